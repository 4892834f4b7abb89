"""The settings of a site that can run on a generator; see :mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from typing import Literal

from controller.sections import Section, setting


class GeneratorSection(Section):
    """A standby generator. Without this section the site knows no other supply than the grid."""

    rating_kw: float = setting(..., "The most that the whole site may draw while it runs on the generator.", unit="kW", ge=0)
    return_delay_s: float = setting(300.0, "How long that limit stays after the return to the grid.", unit="s", ge=0, le=86_400)
    host: str = setting("", "Address of the transfer switch's Modbus TCP gateway. Empty: no contact, people say what feeds the site.")
    port: int = setting(502, "Its Modbus TCP port.", ge=1, le=65_535)
    unit: int = setting(1, "Modbus unit id.", ge=0, le=255)
    address: int = setting(0, "The contact's number, counted from 0 as on the wire.", ge=0, le=65_535)
    table: Literal["discrete", "coil"] = setting("discrete", "What the contact is: discrete input (function 2) or coil (function 1).")
    closed_means: Literal["generator", "grid"] = setting("generator", "What a closed contact says.")
