"""Why the plan is as it is, as it is shown: what limits cost, who is short and what would help, and a slot looked into.

Powers W, energies Wh, money in the depot's currency, times UTC; vehicles by their own ids. None is unknown.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from controller.plan_answers_view import AnswerState


class LimitWorth(Struct, frozen=True, kw_only=True):
    """A limit that binds somewhere. ``kind``: site, feeder, cap. Per slot: ``limit_w``; ``saved_per_kwh``: what the bill would fall
    by if one more kW were there for an hour (negative: it would serve more energy, which costs); ``served_wh``: battery energy
    that one more kW in the slot would serve in addition."""

    kind: str
    id: str
    name: str
    limit_w: list[int]
    saved_per_kwh: list[float]
    served_wh: list[float]


class LimitGain(Struct, frozen=True, kw_only=True):
    """What one more kW over the whole plan is worth. ``kind``: site, feeder, cap, contract (the demand that costs nothing). ``saved``: by
    the plan's prices; ``saved_next``: as solved with one kW more, None where it was not; ``month``: of so many plans like this one
    as a month is taken to have, which no month is."""

    kind: str
    id: str
    name: str
    saved: float
    saved_next: float | None
    served_wh: float
    month: float


class RemedyRow(Struct, frozen=True, kw_only=True):
    """Something that was proved to help. ``kind``: later, limit, charger, priority; ``bill``: what the plan costs more with it."""

    kind: str
    words: str
    amount: float
    unit: str
    bill: float


class ShortRow(Struct, frozen=True, kw_only=True):
    """A vehicle that leaves with less than it needs, why, and what would help, cheapest first. ``tried``: False where the time did not
    suffice to look for help."""

    visit_id: str
    vehicle_id: str
    words: str
    cause: str
    where: str
    need_wh: int
    short_wh: int
    tried: bool
    remedies: list[RemedyRow] = []


class VehicleWorth(Struct, frozen=True, kw_only=True):
    """What a vehicle's wishes cost: ``target_bill`` for one more kWh into its battery, ``target_short``: the part of it that nobody would
    get; ``earlier_bill``, ``earlier_short_wh``: if it leaves a slot earlier, ``earlier_grounds``: exact, solved, or at-least."""

    visit_id: str
    vehicle_id: str
    target_bill: float
    target_short: float
    earlier_bill: float
    earlier_short_wh: int
    earlier_grounds: str


class CostPart(Struct, frozen=True, kw_only=True):
    """A part of what a kWh costs in a cell: energy, peak, site, feeder, cap, life, own, shortage."""

    name: str
    where: str
    per_kwh: float


class CellWhy(Struct, frozen=True, kw_only=True):
    """Why a vehicle draws what it draws in a slot. ``per_kwh``: what a kWh costs there; ``worth_per_kwh``: what one is worth to it."""

    vehicle_id: str
    power_w: int
    most_w: int
    per_kwh: float
    worth_per_kwh: float
    words: str
    parts: list[CostPart]


class SlotWhy(Struct, frozen=True, kw_only=True):
    """A slot looked into. ``state``: done once its cells are there. ``cells``: the vehicle that was asked for, then those that draw the
    most; ``others`` more draw ``others_w`` together. ``binds``: limits that cost something there, the dearest first."""

    at: datetime
    until: datetime
    state: AnswerState
    text: str
    power_w: int
    binds: list[str]
    cells: list[CellWhy]
    others: int
    others_w: int


class AtOnce(Struct, frozen=True, kw_only=True):
    """What the plan's vehicles would come to if each charged at full power from now or its arrival on, whatever the limits say. ``cost``:
    as the plan's, with its part of the demand charge; ``peak_w``: the highest demand block; ``over_limit_w``: by how much the site's limit
    would be exceeded; ``wear_cost``: None: no battery's life has a price."""

    cost: float
    peak_w: int
    over_limit_w: int
    wear_cost: float | None


class ExplanationView(Struct, frozen=True, kw_only=True):
    """``state``: of the explanation of the plan in force; ``deep``: remedies are looked for already. The lists per slot begin at
    ``start``. ``price``: what a kWh that a vehicle draws adds to the energy bill; ``relaxed``: milestones that are missed, and limits that
    cannot be kept, in sentences. ``cost``, ``wear_cost``: of the plan that is explained, made at ``made_at``: what it costs, and what it
    costs the batteries' life, None: none has a price (``wear_basis``: whose ageing that is, in words, where it is the fleet's own);
    ``at_once``: to compare with. ``behind``: it is the plan before the one in
    force, which is being explained."""

    at: datetime
    timezone: str
    currency: str
    state: AnswerState
    text: str
    plan_id: str
    deep: bool
    start: datetime | None
    slot_s: int
    price: list[float]
    limits: list[LimitWorth]
    gains: list[LimitGain]
    shorts: list[ShortRow]
    relaxed: list[str]
    vehicles: list[VehicleWorth]
    slot: SlotWhy | None = None
    wear_cost: float | None = None
    at_once: AtOnce | None = None
    behind: bool = False
    made_at: datetime | None = None
    cost: float | None = None
    wear_basis: str = ""
