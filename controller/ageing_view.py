"""What people and machines read of the fleet's own ageing. Plain data."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class AgeingRow(Struct, frozen=True, kw_only=True):
    """Of one chemistry. ``source``: ``fleet`` (the depot's own finding), ``file`` (that the settings name) or ``table`` (as shipped):
    ``calendar_counts`` and ``cycle_counts`` are what plans count with, times the table. ``calendar`` … ``bounded``: the newest finding of
    the depot, with 90 % intervals; null where there is none. ``follows``: false where a person set it back (``decided_by`` …).
    ``why_none``: why the last look found nothing new."""

    chemistry: str
    source: str
    calendar_counts: float
    cycle_counts: float
    calendar: float | None = None
    cycle: float | None = None
    calendar_interval: tuple[float, float] | None = None
    cycle_interval: tuple[float, float] | None = None
    packs: int = 0
    estimates: int = 0
    found_at: datetime | None = None
    bounded: bool = False
    follows: bool = True
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""
    looked_at: datetime | None = None
    why_none: str = ""


class AgeingView(Struct, frozen=True, kw_only=True):
    """``kept``: whether this depot estimates health; ``priced``: whether the life of vehicles' batteries has a price in plans, without
    which no factor changes one of them."""

    at: datetime
    kept: bool
    priced: bool
    rows: list[AgeingRow]
