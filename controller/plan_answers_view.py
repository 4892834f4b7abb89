"""What people asked of the plan, and what came of it, as it is shown: what-ifs side by side with the plan, and the frontier.

Powers W, energies Wh, money in the depot's currency, times UTC; vehicles by their own ids. None is unknown.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class AnswerState(StrEnum):
    """How far a question is. ``none``: nobody asked."""

    NONE = "none"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ChangeAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change, in people's terms. ``kind``: limit (of the site), feeder, price, contract (what the peak may be for nothing), more
    (vehicles in addition), charger (power of a vehicle's charger, 0: it is down), depart, arrive, need. ``amount``: kW, minutes,
    kWh, a count, currency per kWh; a factor where ``how`` is ``times``. ``target``: a feeder, a vehicle, or a charger such as
    CP-05/1. ``from_at``, ``until_at``: when it holds, null: over the whole plan."""

    kind: str
    amount: float
    how: str = "by"
    target: str = ""
    from_at: datetime | None = None
    until_at: datetime | None = None


class PlanFigures(Struct, frozen=True, kw_only=True):
    """What a plan comes to. ``short``: who leaves with less than it needs. ``wear_cost``: of batteries whose wear is known."""

    cost: float
    energy_cost: float
    demand_cost: float
    energy_wh: int
    peak_w: int
    unmet_wh: int
    short: list[str]
    wear_cost: float | None


class VehicleDifference(Struct, frozen=True, kw_only=True):
    """What a change does to one vehicle; None: it is not in that plan. ``moved_wh``: what it draws at other times."""

    vehicle_id: str
    unmet_before_wh: int | None
    unmet_after_wh: int | None
    moved_wh: int


class WhatIfRow(Struct, frozen=True, kw_only=True):
    """One question. ``current``: about the plan that is in force now. ``changes``: in words. ``vehicles``: those for which something
    differs, the worst first, the first of ``differs``."""

    question_id: str
    asked_at: datetime
    state: AnswerState
    text: str
    plan_id: str
    current: bool
    changes: list[str]
    before: PlanFigures | None = None
    after: PlanFigures | None = None
    vehicles: list[VehicleDifference] = []
    differs: int = 0
    solve_s: float = 0.0


class WhatIfsView(Struct, frozen=True, kw_only=True):
    """The newest questions, newest first. ``able``: there is a plan to ask of. ``feeders``, ``vehicles``: what a change may be of."""

    at: datetime
    timezone: str
    currency: str
    able: bool
    start: datetime | None
    stop: datetime | None
    feeders: list[str]
    vehicles: list[str]
    rows: list[WhatIfRow]


class FrontierRow(Struct, frozen=True, kw_only=True):
    """A plan that could be picked. ``aim``: what it gives up money for; ``step``: how far, 0 to 1; the weights make it again.
    ``delay_kwh_h``: how late energy comes, kWh times hours. ``picked``: plans are made by it now."""

    aim: str
    step: float
    cost: float
    energy_cost: float
    demand_cost: float
    wear_cost: float
    peak_w: int
    delay_kwh_h: float
    unmet_wh: int
    wear: float
    delay_per_kwh_h: float
    peak_per_kw: float
    picked: bool


class FrontierView(Struct, frozen=True, kw_only=True):
    """The newest frontier. ``done`` plans of ``of``. ``current``: of the plan that is in force now. ``complete``: False where the time was
    over first. ``able``: there is a plan to start from."""

    at: datetime
    timezone: str
    currency: str
    able: bool
    state: AnswerState
    text: str
    asked_at: datetime | None
    current: bool
    done: int
    of: int
    complete: bool
    seconds: float
    rows: list[FrontierRow]
