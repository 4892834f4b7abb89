"""When to plan, and from what: facts and readings become the optimizer's Problem, its answer becomes a Plan.

    replan(cause) / cadence --> problem(yard, now) --> Planner (child process, deadline) --> Plan --> limiter

The problem is built by pure functions, some vehicles at a time, between which the loop does what else there is; the planner
may be late, wrong or dead: the last plan holds until it expires, then the limiter goes on with earliest departure first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol, SupportsFloat
from zoneinfo import ZoneInfo

import numpy as np
from uuid6 import uuid7

from controller import lending, limits
from controller.asset_outlook import Outlook, plan_rows
from controller.plan_fallback import learned_plan
from controller.plan_fallback import needed as fallback_needed
from controller.plan_policy import in_force as policy_in_force
from controller.plan_twin import PlanTwin, approved
from controller.planner import Planner, PlannerError
from controller.planning_demand import pieces_of
from controller.planning_life import LifeSettings, PacksNow, charge_curve, kept_out, policy_of, with_life
from controller.planning_limits import feeders_of, least_kw, places, site_limits
from controller.planning_phases import wiring_of, with_phases
from controller.planning_reserve import Reserve, told
from controller.planning_stays import Beside, StaySettings, beside, with_needs
from controller.yard import Yard
from depot import events as ev
from depot.state import Visit
from depot.values import ConnectorId, Limit, Plan
from grid.demand_pieces import DemandPiece as SiteDemandPiece
from optimizer import PlanResult, Policy, Problem, Vehicle, Weights
from optimizer.site_limits import least_of
from optimizer.stays import Need
from optimizer.windows import clock_blocks

log = logging.getLogger(__name__)


EAGER_SHARE = 2e-4
"""Of the mean price, per kWh and hour of delay: enough to order what costs the same, too little to move a price block."""


STEADY_SHARE = 0.03
"""Of the mean price: what it is worth not to stop a session that runs for another one."""

PLANNED_SOC_S = 900.0
"""A state of charge this old still serves for a plan."""

AT_A_TIME = 10
"""Vehicles that are looked at before the loop gets its turn again."""


class Prices(Protocol):
    """What the planner needs of a tariff."""

    @property
    def currency(self) -> str: ...
    @property
    def demand_charge_per_kw_month(self) -> SupportsFloat: ...
    @property
    def demand_interval_min(self) -> int: ...
    def vector(self, start: datetime, slots: int, slot_s: int) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class PlanningSettings:
    """``cadence_s``: at the latest after this. ``spacing_s``: at the earliest after the last one. ``reserve_share`` of
    the limit is held back in slots more than an hour ahead (late arrivals, reference §4.2). ``ready_margin_min``:
    vehicles are planned to be ready this long before they leave. ``demand_share``: the part of the month's demand
    charge that one horizon is made to feel. ``reserve_soc``: no vehicle is planned to give below it; ``wear_per_kwh``: what a
    kWh that leaves a battery costs it (None: a typical share of the price); ``export_price_per_kwh``: what is paid for export;
    ``learned_fallback``: plan by the learned policy while the planner is down. ``life``: what batteries cost.
    ``stays``: what vehicles ask for beside energy."""

    slot_minutes: int = 15
    horizon_h: int = 24
    cadence_s: float = 300.0
    spacing_s: float = 20.0
    policy: Policy = Policy.CHEAPEST
    margin_share: float = 0.01
    reserve_share: float = 0.05
    ready_margin_min: float = 10.0
    demand_share: float = 1 / 21
    expires_s: float = 1200.0
    reserve_soc: float = 0.3
    wear_per_kwh: float | None = None
    export_price_per_kwh: float = 0.0
    learned_fallback: bool = False
    life: LifeSettings = field(default_factory=LifeSettings)
    stays: StaySettings = field(default_factory=StaySettings)


@dataclass(frozen=True, slots=True)
class Asked:
    """A problem with what is needed to read its answer: which visit is which row, how much of a cell it is there."""

    problem: Problem
    visit_ids: tuple[str, ...]
    overlap: tuple[np.ndarray, ...]
    start: datetime
    loads: tuple[int, ...] = ()
    """Rows behind those of the visits: of each preconditioning load, its visit's place."""

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Of each row: the visit, or the name of its load."""
        return tuple(vehicle.id for vehicle in self.problem.vehicles)

    @property
    def slot(self) -> timedelta:
        """How long a slot is."""
        return timedelta(minutes=self.problem.slot_minutes)


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest plan's problem and answer, for whoever asks why it is as it is."""

    plan_id: str
    asked: Asked
    result: PlanResult


def slot_start(at: datetime, slot_minutes: int, zone: ZoneInfo) -> datetime:
    """Start of the local-clock-aligned slot that holds ``at`` (slots are half-open)."""
    local = at.astimezone(zone)
    minutes = local.hour * 60 + local.minute
    return (local - timedelta(minutes=minutes % slot_minutes, seconds=local.second, microseconds=local.microsecond)).astimezone(at.tzinfo)


def background_forecast(yard: Yard, start: datetime, slots: int, slot_s: int, *, now_w: int) -> np.ndarray:
    """Expected background per slot, kW: the measured one for the next hour, then the registered hourly profile (or,
    without one, the measured one)."""
    profile = yard.spec.background_profile_w
    zone = ZoneInfo(yard.spec.timezone)
    out = np.full(slots, now_w / 1000.0)
    if profile:
        for k in range(slots):
            at = start + timedelta(seconds=k * slot_s)
            if k * slot_s >= 3600 or not yard.spec.metered:
                out[k] = profile[at.astimezone(zone).hour] / 1000.0
            else:
                out[k] = max(out[k], profile[at.astimezone(zone).hour] / 1000.0) if yard.last is None else out[k]
    return out


def build(
    yard: Yard,
    settings: PlanningSettings,
    prices: Prices,
    in_force: Sequence[Limit],
    *,
    now: datetime,
    peak_w: int,
    pieces: Sequence[SiteDemandPiece] | None = None,
    outlook: Outlook | None = None,
    packs: PacksNow | None = None,
) -> Asked | None:
    """The problem of this moment; None when no vehicle needs energy and no battery can be used. ``peak_w``: the highest demand
    block so far. ``pieces``: what a peak costs where the tariff says more than a plain rate on what exceeds ``peak_w``; None:
    that. ``outlook``: solar plants and batteries, None: the site has none.
    ``packs``: who knows the vehicles' batteries."""
    steps = building(yard, settings, prices, in_force, now=now, peak_w=peak_w, pieces=pieces, outlook=outlook, packs=packs)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: Asked | None = done.value
            return made


def building(
    yard: Yard,
    settings: PlanningSettings,
    prices: Prices,
    in_force: Sequence[Limit],
    *,
    now: datetime,
    peak_w: int,
    pieces: Sequence[SiteDemandPiece] | None = None,
    outlook: Outlook | None = None,
    packs: PacksNow | None = None,
    policy: Policy | Weights | None = None,
) -> Generator[None, None, Asked | None]:
    """As :func:`build`, in steps of a few milliseconds. Whoever lets others do something between them has to begin again where
    that has changed the yard's ``spec``."""
    zone = ZoneInfo(yard.spec.timezone)
    slot_s = settings.slot_minutes * 60
    start = slot_start(now, settings.slot_minutes, zone)
    wanting: list[Visit] = []
    for n, visit in enumerate(yard.state.visits.values()):
        if _wants(yard, visit, now):
            wanting.append(visit)
        if n % AT_A_TIME == AT_A_TIME - 1:
            yield
    storages = outlook.storages([feeder.feeder_id for feeder in yard.spec.feeders]) if outlook is not None else ()
    if not wanting and not storages:
        return None
    last = max((visit.announced.depart_at for visit in wanting), default=start)
    wish = int(max(0.0, (last - start).total_seconds()) // slot_s) + 1
    most = settings.horizon_h * 3600 // slot_s
    slots = most if storages else max(4, min(wish, most))

    prices_kwh = np.asarray(prices.vector(start, slots, slot_s))
    price = float(np.abs(prices_kwh).mean()) or 1.0
    rows: list[Vehicle] = []
    ids: list[str] = []
    overlaps: list[np.ndarray] = []
    planned: list[Visit] = []
    asks: list[Beside] = []
    stop = start + timedelta(seconds=slots * slot_s)
    by_scope = limits.by_scope(in_force)
    place = places(yard.spec)
    for n, visit in enumerate(wanting):
        if n % AT_A_TIME == AT_A_TIME - 1:
            yield
        own = by_scope.get(str(visit.connector), ())
        made = _vehicle(yard, settings, visit, now=now, start=start, slots=slots, place=place, price=price, own=own, packs=packs)
        if made is not None:
            rows.append(kept_out(made[0], policy or settings.policy, settings.life))
            overlaps.append(made[1])
            ids.append(visit.visit_id)
            asks.append(beside(yard, visit, settings.stays, now=now, until=stop, fresh_s=PLANNED_SOC_S))
            planned.append(visit)
    if not rows and not storages:
        return None
    measured = yard.last.background.now_w if yard.last is not None else yard.spec.worst_background_w
    if outlook is None:
        background = background_forecast(yard, start, slots, slot_s, now_w=measured)
    else:  # the load alone, and what the sun will give
        load = background_forecast(yard, start, slots, slot_s, now_w=measured + outlook.pv_now_w)
        background = load - outlook.pv_kw(start.timestamp(), slots, slot_s)
    kept = _kept_share(settings, slots, slot_s)
    sources = site_limits(by_scope.get("", ()), kept, start=start, slots=slots, slot_s=slot_s)

    def of_feeder(name: str) -> np.ndarray:
        least: np.ndarray = least_kw(by_scope.get(name, ()), start=start, slots=slots, slot_s=slot_s) * kept
        return least

    yield
    of_feeders = feeders_of(yard.spec, of_feeder)
    yield
    block, past = clock_blocks(start.astimezone(zone), slot_minutes=settings.slot_minutes, block_minutes=prices.demand_interval_min)
    problem = Problem(
        t0=start,
        n_slots=slots,
        slot_minutes=settings.slot_minutes,
        first_slot_fraction=max(0.02, 1.0 - (now - start).total_seconds() / slot_s),
        price_per_kwh=prices_kwh,
        demand_charge_per_kw=float(prices.demand_charge_per_kw_month) * settings.demand_share if pieces is None else 0.0,
        mtd_peak_kw=peak_w / 1000.0,
        demand_interval_slots=block,
        demand_offset_slots=past,
        site_limit_kw=least_of(sources),
        limit_sources=sources,
        background_kw=background,
        feeders=of_feeders,
        vehicles=tuple(rows),
        export_limit_kw=np.full(slots, yard.spec.export_limit_w / 1000.0),
        export_price_per_kwh=np.full(slots, settings.export_price_per_kwh),
        currency=prices.currency,
        demand_pieces=pieces_of(pieces or (), start, slots, slot_s, zone, share=settings.demand_share),
        storages=storages,
    )
    problem, loads = with_needs(problem, asks, settings.stays, start=start)
    if yard.spec.phase_limits:
        at = [(visit.connector, visit) for visit in (*planned, *(planned[host] for host in loads)) if visit.connector is not None]
        wirings = [wiring_of(yard, key, visit) for key, visit in at]
        problem = with_phases(problem, yard.spec, wirings, [yard.spec.feeder_of[key] for key, _ in at], kept)
    return Asked(problem, tuple(ids), tuple(overlaps), start, loads)


def _wants(yard: Yard, visit: Visit, now: datetime) -> bool:
    if visit.held or visit.connector is None or visit.connector not in yard.spec.connectors:
        return False
    if not yard.state.connector(visit.connector).operative:
        return False
    if yard.allowed_w(visit.connector, visit) == 0:
        return False
    if not visit.present and (now > visit.announced.depart_at or visit.announced.returning):
        return False
    if yard.load(visit) is not None:
        return True
    if visit.present and yard.asleep(visit.connector, now):
        return False
    if yard.full_lacks_wh(visit.connector, visit, now, fresh_s=PLANNED_SOC_S):
        return True
    return not yard.complete(visit) and yard.remaining_wh(visit) > 0


def _needs_wh(yard: Yard, key: ConnectorId, visit: Visit, now: datetime) -> int:
    """Grid energy that it is planned to draw for its battery, Wh: who has all, or takes nothing, may be planned for its load alone."""
    idle = yard.complete(visit) or (visit.present and yard.asleep(key, now))
    return 0 if idle else yard.remaining_wh(visit)


def _kept_share(settings: PlanningSettings, slots: int, slot_s: int) -> np.ndarray:
    """[slot] the part of each limit that is planned on."""
    later = np.arange(slots) * slot_s >= 3600
    kept: np.ndarray = 1.0 - (settings.margin_share + np.where(later, settings.reserve_share, 0.0))
    return kept


def _vehicle(
    yard: Yard,
    settings: PlanningSettings,
    visit: Visit,
    *,
    now: datetime,
    start: datetime,
    slots: int,
    place: Mapping[ConnectorId, int],
    price: float,
    own: Sequence[Limit],
    packs: PacksNow | None,
) -> tuple[Vehicle, np.ndarray] | None:
    """``place``: of each connector's feeder in the problem; ``own``: limits of its connector."""
    key = visit.connector
    if key is None:
        return None
    spec = yard.spec.connectors[key]
    grant = yard.grants[key]
    slot_s = settings.slot_minutes * 60
    begins = now if visit.present else max(now, visit.announced.arrive_at)
    leaves = visit.announced.depart_at
    margin = min(timedelta(minutes=settings.ready_margin_min), 0.1 * max(timedelta(0), leaves - begins))
    leaves = leaves - margin
    if leaves <= begins:  # overdue or about to leave: everything that is possible, now
        leaves = begins + timedelta(seconds=slot_s)
    overlap = _overlap(begins, leaves, now=now, start=start, slots=slots, slot_s=slot_s)
    inside = np.flatnonzero(overlap > 0)
    if not len(inside):
        return None
    share = yard.phase_share.get(key, 1.0)
    max_w = full_w = min(round(spec.rated_w * share), visit.announced.max_w or spec.rated_w)
    needs = yard.state.smart_charging.needs(key) if visit.present else None
    if needs is not None and needs.max_w:
        max_w = min(max_w, max(needs.max_w, 1))
    accepts = yard.acceptance_w.get(key) if visit.present else None
    if accepts is not None:
        max_w = min(max_w, max(accepts, spec.min_w))
    allowed_w = yard.allowed_w(key, visit)
    if allowed_w is not None:
        max_w = min(max_w, max(round(allowed_w * share), 1))
    external = _external_share(yard, key, start=start, slots=slots, slot_s=slot_s, max_w=max_w, now=now)
    external *= _own_share(own, start=start, slots=slots, slot_s=slot_s, max_w=max_w)
    if yard.on_off(key) and grant.in_session:  # it cannot be held back: what it draws is planned as drawn, and nothing else
        max_w = max(spec.min_w, min(max_w, grant.measured_w or max_w))
        floor_w = max_w
    else:
        floor_w = spec.min_w if grant.in_session and grant.told_w > 0 and not yard.pausable(key, visit) else 0
    battery_wh = yard.battery_wh(visit)
    needs_wh = _needs_wh(yard, key, visit, now)
    full_wh = yard.full_lacks_wh(key, visit, now, fresh_s=PLANNED_SOC_S)
    stored_wh = _stored_wh(yard, key, visit)
    gives_kw = 0.0 if stored_wh is None else yard.may_discharge_w(key, visit) / 1000.0
    vehicle = Vehicle(
        id=visit.visit_id,
        arrival_slot=int(inside[0]),
        departure_slot=int(inside[-1]) + 1,
        energy_kwh=needs_wh * visit.announced.efficiency / 1000.0,
        eff=visit.announced.efficiency,
        p_max_kw=max_w / 1000.0,
        p_min_kw=min(round(spec.min_w * share), max_w) / 1000.0,
        feeder=place[key],
        pausable=yard.pausable(key, visit),
        priority=visit.announced.priority,
        floor_kw=floor_w / 1000.0,
        cap_kw=overlap * max_w / 1000.0 * external,
        delay_per_kwh_h=price * EAGER_SHARE * _eagerness(yard, visit, now),
        steady_per_kwh=price * STEADY_SHARE if _charging(yard, visit) else 0.0,
        urgency=_tightness(needs_wh, max_w, leaves - begins),
        discharge_kw=gives_kw,
        discharge_cap_kw=overlap * gives_kw if gives_kw else None,
        stored_kwh=(stored_wh or 0.0) / 1000.0,
        capacity_kwh=battery_wh / 1000.0,
        reserve_kwh=settings.reserve_soc * battery_wh / 1000.0,
        wear_per_kwh=settings.wear_per_kwh,
        curve=charge_curve(visit.announced, wants_wh=needs_wh * visit.announced.efficiency, full_w=full_w, to_full_wh=full_wh or 0),
    )
    pack = packs.of(visit.announced.vehicle_id, now) if packs is not None else None
    middles_h = np.maximum((start - now).total_seconds() + (np.arange(slots) + 0.5) * slot_s, 0.0) / 3600.0
    return with_life(vehicle, pack, settings.life, ahead_h=middles_h), overlap


def _external_share(yard: Yard, key: ConnectorId, *, start: datetime, slots: int, slot_s: int, max_w: int, now: datetime) -> np.ndarray:
    """Part of the full power that somebody else's limit at the station leaves in each slot."""
    share = np.ones(slots)
    if any(yard.state.smart_charging.limits_on(key)):
        for k in range(slots):
            level_w = yard.external_w(key, max(start + timedelta(seconds=k * slot_s), now))
            if level_w is not None:
                share[k] = min(1.0, level_w / max_w)
    return share


def _own_share(own: Sequence[Limit], *, start: datetime, slots: int, slot_s: int, max_w: int) -> np.ndarray:
    """Part of the full power that limits of the connector itself leave in each slot."""
    share = np.ones(slots)
    for k in range(slots) if own else ():
        at, life = start + timedelta(seconds=k * slot_s), timedelta(seconds=slot_s)
        allowed_w = min((limit.value for limit in own if limit.touches(at, at + life)), default=max_w)
        share[k] = min(1.0, allowed_w / max_w)
    return share


def _stored_wh(yard: Yard, key: ConnectorId, visit: Visit) -> float | None:
    """What its battery holds (or will at its arrival), Wh; None: not known, or it cannot be asked to give any."""
    battery_wh = yard.battery_wh(visit)
    if not battery_wh or not lending.able(yard, key, visit):
        return None
    soc = visit.announced.soc_arrival
    if visit.present and yard.grants[key].in_session:
        soc = yard.least_soc(key, visit, fresh_s=PLANNED_SOC_S)
    return None if soc is None else max(0.0, min(1.0, soc)) * battery_wh


def _tightness(grid_wh: int, max_w: int, stay: timedelta) -> float:
    """Part of its time that a vehicle must charge at full power, 0–1. Where not everything fits, who has time left is
    planned short rather than who has none: it can be caught up with when others turn out to need less."""
    return min(1.0, grid_wh / max_w / max(stay.total_seconds() / 3600.0, 0.01))


def _eagerness(yard: Yard, visit: Visit, now: datetime) -> float:
    """Who goes first where money does not care: who charges already (sessions are not shuffled from plan to plan),
    then who leaves first. A whole number, 1–5: a value of its own for every vehicle breaks more ties, and makes the
    simplex five times as slow."""
    hours = max(0.0, (visit.announced.depart_at - now).total_seconds() / 3600.0)
    first = 2.0 / (1.0 + hours / 6.0)
    return float(round(1.0 + first + (2.0 if _charging(yard, visit) else 0.0)))


def _charging(yard: Yard, visit: Visit) -> bool:
    grant = yard.grants[visit.connector] if visit.connector is not None else None
    return grant is not None and grant.in_session and grant.told_w > 0


def _overlap(begins: datetime, leaves: datetime, *, now: datetime, start: datetime, slots: int, slot_s: int) -> np.ndarray:
    """Part of every slot (of what is left of the first one) in which the vehicle is there, 0–1."""
    edges = np.arange(slots + 1) * float(slot_s)
    edges[0] = max(0.0, (now - start).total_seconds())
    a = (begins - start).total_seconds()
    b = (leaves - start).total_seconds()
    length = np.maximum(edges[1:] - edges[:-1], 1.0)
    inside: np.ndarray = np.clip(np.minimum(edges[1:], b) - np.maximum(edges[:-1], a), 0.0, None) / length
    inside[inside < 0.02] = 0.0
    return inside


def read_answer(asked: Asked, result: PlanResult, *, now: datetime, settings: PlanningSettings) -> Plan:
    """The optimizer's mean powers as a plan: power while the vehicle is there, W."""
    visits, slots = len(asked.visit_ids), asked.problem.n_slots
    overlap = np.array(asked.overlap).reshape(visits, slots)
    rows_kw = result.power_kw.reshape(visits + len(asked.loads), slots)
    present_kw = rows_kw[:visits] / np.where(overlap > 0, overlap, 1.0)
    np.add.at(present_kw, list(asked.loads), rows_kw[visits:])
    present_w = np.round(present_kw * 1000.0).astype(np.int64)
    power = {visit_id: tuple(row) for visit_id, row in zip(asked.visit_ids, present_w.tolist(), strict=True)}
    unmet = {asked.visit_ids[i]: round(float(result.unmet_kwh[i]) * 1000.0) for i in np.flatnonzero(result.unmet_kwh[:visits] > 1e-3)}
    return Plan(
        plan_id=str(uuid7()),
        made_at=now,
        start=asked.start,
        slot_s=settings.slot_minutes * 60,
        power_w=power,
        site_w=tuple(int(w) for w in np.round(np.asarray(result.site_kw) * 1000.0)),
        expires_at=now + timedelta(seconds=settings.expires_s),
        unmet_wh=unmet,
        shed_wh=_shed(asked, result),
        cost=float(result.energy_cost + result.demand_cost),
        solver=str(result.status),
        solve_s=float(result.solve_s),
        storage_w=plan_rows(asked.problem.storages, result.storage_kw),
    )


def _shed(asked: Asked, result: PlanResult) -> dict[str, int]:
    """Of each visit, what of its comfort does not fit, Wh: of a full battery, and of preconditioning."""
    visits, shed = len(asked.visit_ids), dict.fromkeys(asked.visit_ids, 0.0)
    for one in result.short:
        if one.milestone is not None and one.need is Need.COMFORT and one.vehicle in shed:
            shed[one.vehicle] += one.kwh
    for host, kwh in zip(asked.loads, result.unmet_kwh[visits:], strict=True):
        shed[asked.visit_ids[host]] += float(kwh)
    return {visit_id: round(kwh * 1000.0) for visit_id, kwh in shed.items() if kwh > 1e-3}


class Planning:
    """Owns the cadence. ``request(cause)`` asks for a plan soon; many requests become one."""

    def __init__(
        self,
        yard: Yard,
        planner: Planner,
        prices: Prices,
        settings: PlanningSettings,
        *,
        limits_in_force: Callable[[], Sequence[Limit]],
        peak_w: Callable[[], int],
        on_plan: Callable[[], None],
    ) -> None:
        self.yard = yard
        self.planner = planner
        self.prices = prices
        self.settings = settings
        self.limits_in_force = limits_in_force
        self.peak_w = peak_w
        self.on_plan = on_plan
        self.pieces: Callable[[], Sequence[SiteDemandPiece] | None] = lambda: None
        """What a peak costs, where somebody knows the tariff's pieces."""
        self.outlook: Outlook | None = None
        """Solar plants and stationary batteries, where the site has any."""
        self.twin: PlanTwin | None = None
        """Who looks at a plan before it is taken; None: nobody."""
        self.packs: PacksNow | None = None
        """Who knows the vehicles' batteries."""
        self.whole_rate: Callable[[], bool] = lambda: False
        """Whether a kW above what is free costs a plan the month's whole rate: once a peak target says what the month pays for."""
        self.reserve: Reserve | None = None
        """What plans keep free for wrong timetables, where that follows the depot's own errors."""
        self.text = "no plan yet"
        self.failed_since: datetime | None = None
        self.made = 0
        self.newest: Newest | None = None
        self.tried_at: datetime | None = None
        """When a plan was last asked for."""
        self._wanted = asyncio.Event()
        self._cause = "start"

    def request(self, cause: str) -> None:
        """Something that matters to the plan has changed."""
        self._cause = cause
        self._wanted.set()

    async def run(self) -> None:
        """Plan until cancelled. A failure keeps the last plan and is told once per transition."""
        clock = self.yard.clock
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cadence(), name="planning-cadence")
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                await self._plan_once(self._cause)
                await clock.sleep(self.settings.spacing_s)

    async def _cadence(self) -> None:
        while True:
            await self.yard.clock.sleep(self.settings.cadence_s)
            self.request("cadence")

    async def _plan_once(self, cause: str) -> None:
        now = self.tried_at = self.yard.clock.now()
        asked = await self._asked(now)
        if asked is None:
            self.text = "nothing to plan: no vehicle needs energy"
            return
        policy = policy_of(self._policy(), self.settings.life)
        problem = asked.problem
        if self.reserve is not None:
            problem = self.reserve.careful(problem, self.yard.state.visits, now=now)
        try:
            result = await self.planner.solve(problem, policy=policy)
            if self.twin is not None:
                result = await approved(self.twin, self.planner, problem, asked.row_ids, result, policy=policy)
        except PlannerError as error:
            if self.failed_since is None:
                log.error("no new plan: %s; the last plan holds until it expires, then earliest departure first", error)
                self.failed_since = now
            self.text = f"no new plan: {error}"
            if self.settings.learned_fallback and fallback_needed(self.yard.plan, now, cadence_s=self.settings.cadence_s):
                result = await learned_plan(asked.problem)
                if self.twin is None or not (await self.twin.judged(asked.problem, asked.row_ids, result)).veto:
                    await self._take(asked, result, now, cause)
                    self.text = f"no new plan: {error}; a learned policy plans meanwhile"
            return
        if self.failed_since is not None:
            log.info("planning works again")
            self.failed_since = None
        await self._take(replace(asked, problem=problem), told(result, asked.problem, problem), now, cause)
        self.text = f"plan of {len(asked.visit_ids)} vehicles in {max(0.01, result.total_s):.2f} s"

    async def _take(self, asked: Asked, result: PlanResult, now: datetime, cause: str) -> None:
        plan = read_answer(asked, result, now=now, settings=self.settings)
        self.yard.plan = plan
        self.newest = Newest(plan.plan_id, asked, result)
        self.made += 1
        self.on_plan()
        accepted = ev.PlanAccepted(plan.plan_id, plan.cost, sum(plan.unmet_wh.values()), plan.solve_s, cause)
        if not self.yard.journal.frozen:
            await self.yard.journal.append([ev.NewEvent(accepted, now)])

    def _policy(self) -> Policy | Weights:
        return policy_in_force(self.yard.state.plan_policy, self.settings.policy)

    async def _asked(self, now: datetime) -> Asked | None:
        """The problem of this moment, made between what else the loop has to do."""
        while True:
            spec = self.yard.spec
            settings = replace(self.settings, demand_share=1.0) if self.whole_rate() else self.settings
            steps = building(
                self.yard,
                settings,
                self.prices,
                self.limits_in_force(),
                now=now,
                peak_w=self.peak_w(),
                policy=self._policy(),
                pieces=self.pieces(),
                outlook=self.outlook,
                packs=self.packs,
            )
            while self.yard.spec is spec:
                try:
                    next(steps)
                except StopIteration as done:
                    made: Asked | None = done.value
                    return made
                await asyncio.sleep(0)
