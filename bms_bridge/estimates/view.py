"""What people and machines read of health: the fleet's table, and one pack's history. Plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from bms_bridge.estimates.charge_view import ChargePoint, ChargeState
from bms_bridge.estimates.prospect_view import PackProspect


class HealthEstimate(msgspec.Struct, frozen=True):
    """One estimate. ``quantity``: ``soh`` (share of the nominal capacity) or ``resistance`` (mΩ of the pack) or
    ``life`` (full cycles until 80 %: P50 between P10 and P90). ``value`` null: there is
    none, for ``reason``. ``since`` and ``until``: the window that it was made from. ``detail``: figures behind it, by method."""

    quantity: str
    method: str
    since: datetime
    until: datetime
    value: float | None
    low: float | None
    high: float | None
    reason: str
    detail: dict[str, Any]


class HealthTrend(msgspec.Struct, frozen=True):
    """Change of health in a year (share), with its 90 % band; null where nothing can be said, for ``reason``."""

    per_year: float | None
    low: float | None
    high: float | None
    reason: str


class PackHealthRow(msgspec.Struct, frozen=True):
    """One pack. ``soh``: the estimate that counts, of the newest of each method (``soh_by``); ``soh_note``: why it counts, or that two
    disagree. ``resistance``: the newest one; ``why_not``: why the newest charge gave no health, or why there is none at all. ``life``: null
    where no model of lives is set or no health is known. ``grade``: for a second life, a band or ``test required``; "": not yet, for
    ``grade_why`` (of ``test required``: why it is). ``charge``: its
    state of charge now; null: nothing was followed yet."""

    vehicle_id: str
    pack_id: str
    chemistry: str
    nominal_ah: float | None
    cells: int | None
    modules: int | None
    heard_at: datetime
    charges: int
    soh: HealthEstimate | None
    resistance: HealthEstimate | None
    life: HealthEstimate | None
    trend: HealthTrend
    why_not: str
    soh_by: list[HealthEstimate] = []
    soh_note: str = ""
    disagree: bool = False
    grade: str = ""
    grade_why: str = ""
    charge: ChargeState | None = None


class FleetHealthView(msgspec.Struct, frozen=True):
    """All packs that were heard of. ``kept``: whether this depot estimates health at all; ``note``: why it does not, or why it is late.
    ``looked_at``: when the job last looked. ``curves``: makes whose open-circuit curve does not fit, a sentence each with what to do."""

    at: datetime
    kept: bool
    note: str
    looked_at: datetime | None
    packs: list[PackHealthRow]
    curves: list[str] = []


class HealthCharge(msgspec.Struct, frozen=True):
    """A charge that was looked at."""

    started_at: datetime
    ended_at: datetime
    charged_ah: float
    detail: dict[str, Any]


class PackPolicy(msgspec.Struct, frozen=True):
    """Charged otherwise. ``stretch``: its years are so many times as long; ``years_more``: P10, P50, P90 until 80 %."""

    words: str
    stretch: float
    years_more: tuple[float, float, float]


class PackHealthView(msgspec.Struct, frozen=True):
    """One pack's row, its estimates (newest last, those without a value too) its last charges, and the oldest one with an
    incremental capacity (``ica`` in its ``detail``). ``prospect``: grade, value, advice, years ahead; null: none was made yet.
    ``otherwise``: what other ways of charging would change, best first; ``otherwise_note``: on what that rests, or why there is nothing.
    ``charge_past``: its state of charge of the last fortnight, a point a quarter of an hour, the oldest first."""

    at: datetime
    row: PackHealthRow
    estimates: list[HealthEstimate]
    charges: list[HealthCharge]
    oldest: HealthCharge | None
    prospect: PackProspect | None = None
    otherwise: list[PackPolicy] = []
    otherwise_note: str = ""
    charge_past: list[ChargePoint] = []
