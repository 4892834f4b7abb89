"""The plan as it is shown: against what was measured over the last hours, and ahead to its end; a row for every vehicle.

    Plan, facts, trail, minutes, limits, tariff --plan_in_steps--> PlanView

Shapes here; :mod:`controller.plan_picture` fills them. Powers W, energies Wh, times UTC, shares 0-1; None is unknown.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class PlanHead(Struct, frozen=True, kw_only=True):
    """The plan in force, or the last one. ``over``: it has expired, so nobody follows it any more. ``energy_cost`` and
    ``demand_cost``: what its vehicles add to the bill, in the depot's currency; ``peak_w``: its highest demand block;
    ``planned_wh``: what it gives to vehicles from now on. ``unmet_wh``: battery energy that does not fit."""

    plan_id: str
    made_at: datetime
    start: datetime
    expires_at: datetime
    over: bool
    solver: str
    solve_s: float
    vehicles: int
    planned_wh: int
    unmet_wh: int
    short: int
    cost: float
    energy_cost: float | None = None
    demand_cost: float | None = None
    peak_w: int | None = None


class PlanSlots(Struct, frozen=True, kw_only=True):
    """The slots of the picture, half-open, ``slot_s`` long from ``start`` on; ``now``: the number of the running one. Each list
    has a value per slot. ``site_w``: measured, with the site's own load; ``plan_w``: as planned then (past), or now (ahead);
    ``limit_w``: the least in the slot, ``limit_source`` who sets it (ahead; "" in the past); ``background_w``: the site's
    own load, measured or expected; ``price``: per kWh."""

    start: datetime
    slot_s: int
    now: int
    site_w: list[int | None]
    plan_w: list[int | None]
    limit_w: list[int | None]
    limit_source: list[str]
    background_w: list[int | None]
    price: list[float]


class PlanLayer(Struct, frozen=True, kw_only=True):
    """One layer of the stack. ``kind``: vehicle, feeder, battery, or rest: all that have no layer of their own, ``members`` of them.
    ``drawn_w``: measured, None where nobody knows; ``planned_w``: as in :class:`PlanSlots`. ``energy_wh``: what decides who has a
    layer: drawn and planned together."""

    name: str
    kind: str
    members: int
    energy_wh: int
    drawn_w: list[int | None]
    planned_w: list[int | None]


class PlanRow(Struct, frozen=True, kw_only=True):
    """One stay that the plan knows, or that is here and it does not know. ``to_flow_wh``: grid energy still wanted;
    ``planned_wh``: what the plan gives from now on; ``unmet_wh``: battery energy that does not fit. ``starts_at``,
    ``stops_at``: its first and last planned power; ``pauses`` between them. ``cost``: of the planned energy by the tariff's
    energy prices. ``soc_departure``: expected by the plan. ``power_w``: per slot of the plan, where it was asked for.
    ``precondition_w`` from ``precondition_at`` to its departure: warming or cooling that it asks for, 0: none; ``full_due``: a full
    charge is due; ``shed_wh``: what of these two does not fit; ``tested``: it is in a reference test. ``why_not``: why
    the plan in force does not know it; "" where it does, or will with the next one."""

    visit_id: str
    vehicle_id: str
    label: str
    feeder_id: str
    present: bool
    arrive_at: datetime
    depart_at: datetime
    to_flow_wh: int
    planned_wh: int
    unmet_wh: int
    starts_at: datetime | None
    stops_at: datetime | None
    pauses: int
    cost: float | None
    soc: float | None
    soc_departure: float | None
    soc_target: float | None
    priority: int = 0
    power_w: list[int] = []
    precondition_w: int = 0
    precondition_at: datetime | None = None
    full_due: bool = False
    shed_wh: int = 0
    tested: bool = False
    why_not: str = ""


class PlanView(Struct, frozen=True, kw_only=True):
    """``planner``: running, late, dead, off; ``planner_text``: why. ``failed_since``: no new plan since then. ``fallback``: no plan is
    followed, vehicles go by earliest departure. ``next_at``: a new plan at the latest. ``layers``: by vehicle or feeder
    (``by``), the biggest first, then the rest. ``rows``: who is short first, then by departure; ``total``: of all."""

    at: datetime
    timezone: str
    currency: str
    policy: str
    planner: str
    planner_text: str
    failed_since: datetime | None
    fallback: bool
    next_at: datetime | None
    plan: PlanHead | None
    by: str
    slots: PlanSlots
    layers: list[PlanLayer]
    rows: list[PlanRow]
    total: int
    waiting: int
    """Vehicles that are here or announced and want energy."""
