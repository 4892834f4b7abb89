"""What the fleet's estimates say of its ageing beside the table, as it is kept for the core. Plain data."""

from __future__ import annotations

from datetime import datetime

import msgspec


class AgeingFound(msgspec.Struct, frozen=True):
    """Of one chemistry, looked at ``at``. ``calendar``, ``cycle``: times what the table says, with one standard deviation; null where
    nothing can be said yet, for ``reason``. ``bounded``: one was held at an end of what can be."""

    chemistry: str
    at: datetime
    calendar: float | None = None
    cycle: float | None = None
    calendar_spread: float = 0.0
    cycle_spread: float = 0.0
    packs: int = 0
    rows: int = 0
    bounded: bool = False
    reason: str = ""
