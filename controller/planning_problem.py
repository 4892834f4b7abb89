"""The problem of a moment: what a plan is made from, and the optimizer's Problem built from it, in steps of a few milliseconds. Pure.

yard, limits in force, prices, packs, solar plants --building()--> Asked
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, SupportsFloat
from zoneinfo import ZoneInfo

import numpy as np

from controller import limits
from controller.asset_outlook import Outlook
from controller.planning_demand import pieces_of
from controller.planning_life import PacksNow, kept_out
from controller.planning_limits import feeders_of, least_kw, places, site_limits
from controller.planning_phases import wiring_of, with_phases
from controller.planning_settings import PlanningSettings
from controller.planning_stays import beside, with_needs
from controller.planning_vehicle import PLANNED_SOC_S, vehicle_of
from controller.planning_visits import HAS_ALL, LaterStay, Rows, chains, joined
from controller.yard import Yard
from depot.state import Visit
from depot.values import Limit
from grid.demand_pieces import DemandPiece as SiteDemandPiece
from optimizer import Policy, Problem, Weights
from optimizer.site_limits import least_of
from optimizer.windows import clock_blocks

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
class Asked:
    """A problem with what is needed to read its answer: which visit is which row, how much of a cell it is there."""

    problem: Problem
    visit_ids: tuple[str, ...]
    overlap: tuple[np.ndarray, ...]
    start: datetime
    loads: tuple[int, ...] = ()
    """Rows behind those of the visits: of each preconditioning load, its visit's place."""
    later: tuple[LaterStay, ...] = ()
    """Stays that are planned in the row of an earlier one of their vehicle."""

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Of each row: the visit, or the name of its load."""
        return tuple(vehicle.id for vehicle in self.problem.vehicles)

    @property
    def slot(self) -> timedelta:
        """How long a slot is."""
        return timedelta(minutes=self.problem.slot_minutes)


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
    following = chains(yard, now)
    for n, visit in enumerate(yard.state.visits.values()):
        why = why_not(yard, visit, now)
        if not why or (why == HAS_ALL and visit.present and visit.visit_id in following):
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
    rows = Rows([], [], [], [])
    stop = start + timedelta(seconds=slots * slot_s)
    by_scope = limits.by_scope(in_force)
    place = places(yard.spec)
    for n, visit in enumerate(wanting):
        if n % AT_A_TIME == AT_A_TIME - 1:
            yield
        own = by_scope.get(str(visit.connector), ())
        made = vehicle_of(yard, settings, visit, now=now, start=start, slots=slots, place=place, price=price, own=own, packs=packs)
        if made is not None:
            rows.vehicles.append(kept_out(made[0], policy or settings.policy, settings.life))
            rows.overlaps.append(made[1])
            rows.asks.append(beside(yard, visit, settings.stays, now=now, until=stop, fresh_s=PLANNED_SOC_S))
            rows.stays.append(visit)
    rows, later = joined(yard, rows, following)
    if not rows.vehicles and not storages:
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
        vehicles=tuple(rows.vehicles),
        export_limit_kw=np.full(slots, yard.spec.export_limit_w / 1000.0),
        export_price_per_kwh=np.full(slots, settings.export_price_per_kwh),
        currency=prices.currency,
        demand_pieces=pieces_of(pieces or (), start, slots, slot_s, zone, share=settings.demand_share),
        storages=storages,
    )
    problem, loads = with_needs(problem, rows.asks, settings.stays, start=start)
    if yard.spec.phase_limits:
        at = [(visit.connector, visit) for visit in (*rows.stays, *(rows.stays[host] for host in loads)) if visit.connector is not None]
        wirings = [wiring_of(yard, key, visit) for key, visit in at]
        problem = with_phases(problem, yard.spec, wirings, [yard.spec.feeder_of[key] for key, _ in at], kept)
    return Asked(problem, rows.ids, tuple(rows.overlaps), start, loads, later)


def why_not(yard: Yard, visit: Visit, now: datetime) -> str:
    """Why nothing is planned for a visit, for people; "": it takes part in plans."""
    if visit.held:
        return "held by a person"
    if visit.connector is None or visit.connector not in yard.spec.connectors:
        return "its charger is not known"
    if not yard.state.connector(visit.connector).operative:
        return "its charger is out of service"
    if yard.allowed_w(visit.connector, visit) == 0:
        return "its battery may take nothing now"
    if not visit.present and now > visit.announced.depart_at:
        return "it has not come"
    if not visit.present and visit.announced.returning:
        return "it has left"
    if yard.load(visit) is not None:
        return ""
    if visit.present and yard.asleep(visit.connector, now):
        return "it takes nothing of what it is offered"
    if yard.full_lacks_wh(visit.connector, visit, now, fresh_s=PLANNED_SOC_S):
        return ""
    return "" if not yard.complete(visit) and yard.remaining_wh(visit) > 0 else HAS_ALL


def _kept_share(settings: PlanningSettings, slots: int, slot_s: int) -> np.ndarray:
    """[slot] the part of each limit that is planned on."""
    later = np.arange(slots) * slot_s >= 3600
    kept: np.ndarray = 1.0 - (settings.margin_share + np.where(later, settings.reserve_share, 0.0))
    return kept
