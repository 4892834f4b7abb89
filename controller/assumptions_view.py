"""What people and machines read of the assumptions behind residual values. Plain data."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class AssumptionRow(Struct, frozen=True, kw_only=True):
    """One that counts now. ``name``: it is changed by; ``limit``: a cut-off, all three numbers the same. ``origin``: ``shipped``, ``file``
    (of the settings) or ``person`` (``changed_by`` …). ``before``: what would count again if it were set back; null where nobody changed
    it. ``least``, ``most``: what is accepted."""

    name: str
    words: str
    low: float
    mid: float
    high: float
    unit: str
    source: str
    limit: bool
    origin: str
    least: float
    most: float
    before: tuple[float, float, float] | None = None
    changed_by: str = ""
    changed_at: datetime | None = None
    reason: str = ""


class AssumptionsView(Struct, frozen=True, kw_only=True):
    """All of them; ``currency`` of money."""

    at: datetime
    currency: str
    rows: list[AssumptionRow]
