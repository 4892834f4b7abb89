"""What people and machines read of reference tests: the newest one of a vehicle. Plain data."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class ReferenceTestView(Struct, frozen=True, kw_only=True):
    """``able``: whether one can be ordered now; ``why_not``: why it cannot. ``phase``: ``""`` (none was ever ordered), ``waiting``,
    ``rest_before``, ``pulses``, ``charge``, ``rest_after``, ``over``; ``words`` say the same for people, with what it waits for.
    ``step`` of ``steps``: powers of the pulses that were held. Powers at the charger, W. ``ends_about``: by what is left, while it
    runs. ``outcome``: ``done``, ``broken_off``, ``called_off``, ``expired``, ``""``; ``why``: how it ended. ``held_back_s``: so long
    the charge was slower than its rate."""

    at: datetime
    vehicle_id: str
    able: bool
    why_not: str
    phase: str
    words: str
    ordered_by: str = ""
    ordered_at: datetime | None = None
    reason: str = ""
    until: datetime | None = None
    most_soc: float | None = None
    pulses: int = 0
    connector: str = ""
    began_at: datetime | None = None
    phase_at: datetime | None = None
    ends_about: datetime | None = None
    step: int = 0
    steps: int = 0
    rate_w: int = 0
    low_w: int = 0
    high_w: int = 0
    limit_w: int | None = None
    outcome: str = ""
    why: str = ""
    ended_at: datetime | None = None
