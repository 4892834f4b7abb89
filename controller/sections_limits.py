"""The sections ``limits`` and ``override`` of the settings file; see :mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from typing import Literal

from controller.sections import Section, setting


class LimitsSection(Section):
    """Limits that people set."""

    remind_h: float = setting(
        24.0, "A manual limit that holds until it is lifted raises an alarm when it is so old. 0: never.", unit="h", ge=0, le=8760
    )


class OverrideSection(Section):
    """Whether a person may let the load rise above a limit for a while, because vehicles would miss their departure."""

    allowed: bool = setting(False, "Whether it may be done at all.")
    sources: tuple[Literal["manual", "schedule", "demand_response", "scada"], ...] = setting(
        ("manual", "schedule", "demand_response"),
        "Whose limits may be overridden. scada is the utility's own order: only where its contract with you says so.",
    )
    most_kw: float = setting(0.0, "The highest level that may be asked for. 0: as far as all other limits go.", unit="kW", ge=0)
    longest_min: int = setting(60, "The longest time.", unit="min", ge=1, le=720)
    second_person: bool = setting(False, "Whether a second person has to approve it.")
