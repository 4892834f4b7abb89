"""Commands on stations' periodic event streams (OCPP 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.commands.stations import StationCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustEventStream(StationCommand):
    """Let a stream come so often, s, with so many values at once. None: as it is."""

    TITLE: ClassVar[str] = "Adjust event stream"

    stream_id: int
    interval_s: int | None = None
    values_at_once: int | None = None
