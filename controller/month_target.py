"""The month's peak target, chosen from the nights of the past: a room that asks the planner once a day.

    past visits --nights()--> problems of whole nights --end_to_end()--> Planner --> the peak of the cheapest such month
                                                                                       --> DemandWatch: free for plans, soft for the limiter

A night goes from noon to noon. Its vehicles are those that came, with what they took and until when they were to stay; limits,
prices and what a peak costs are today's. With the month's peak so far a new target is chosen every noon; where too few nights
are known, or the planner has no answer, the last one holds. Nothing of it is a fact: the same past gives the same target again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from controller.demand_watch import DemandWatch
from controller.forecast_errors import PastVisit
from controller.planner import Planner, PlannerError
from controller.planning_demand import pieces_of
from controller.planning_problem import Prices, background_forecast
from controller.planning_settings import PlanningSettings
from controller.yard import Yard
from depot.commands import Command
from grid.demand_pieces import DemandPiece as SiteDemandPiece
from grid.months import Month
from optimizer import Feeder, InvalidProblem, Policy, Problem, Vehicle
from optimizer.month import end_to_end, fitting, typical
from optimizer.windows import clock_blocks

log = logging.getLogger(__name__)

LEAST_NIGHTS = 5
"""Fewer nights say too little of a month."""

NIGHTS_BACK = 42
LOOK_S = 600.0
MOST_CELLS = 1_000_000
"""Vehicles × slots of the question: its answer is read by the core."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """``target_w`` from ``nights`` nights, for the rest of ``month``; ``at``: when."""

    target_w: int
    nights: int
    month: Month
    at: datetime


class MonthTarget:
    """One per depot. ``pieces``: what a peak costs this month, without any target; None: the tariff's plain rate."""

    def __init__(
        self,
        yard: Yard,
        watch: DemandWatch,
        planner: Planner,
        prices: Prices,
        settings: PlanningSettings,
        *,
        visits: Callable[[], Sequence[PastVisit]],
        pieces: Callable[[], Sequence[SiteDemandPiece] | None],
        on_change: Callable[[str], None] = lambda _cause: None,
    ) -> None:
        self.chosen: Chosen | None = None
        self.text = "no target yet"
        self.commands: Mapping[type[Command], Any] = {}
        self.views: Mapping[type[Any], Any] = {}
        self._yard = yard
        self._watch = watch
        self._planner = planner
        self._prices = prices
        self._settings = settings
        self._visits = visits
        self._pieces = pieces
        self._on_change = on_change
        self._looked: tuple[date, Month] | None = None

    async def run(self) -> None:
        """Choose anew after every noon, until cancelled."""
        while True:
            await self._yard.clock.sleep(LOOK_S)
            now = self._yard.clock.now()
            day = noon_of(now, self._watch.zone).date(), self._watch.month(now)
            if day != self._looked and await self.choose(now):
                self._looked = day

    async def choose(self, now: datetime) -> bool:
        """Once. Whether the question was answered, or need not be asked today any more."""
        month = self._watch.month(now)
        nights = nights_of(self._visits(), self._yard, self._settings, self._prices, self._pieces(), now=now)
        if len(nights) < LEAST_NIGHTS:
            self.text = f"no target: {len(nights)} nights are known, {LEAST_NIGHTS} are needed"
            return True
        so_far_kw = self._watch.status(now).month_peak_w / 1000
        ahead = max(1, round(len(nights) / _days(nights) * (month.until - now.astimezone(self._watch.zone).date()).days))
        chosen = typical([replace(night, mtd_peak_kw=so_far_kw) for night in nights], most=fitting(nights, cells=MOST_CELLS))
        try:
            question = end_to_end(chosen, weight=ahead / len(chosen))
            result = await self._planner.solve(question, policy=Policy.CHEAPEST)
        except (InvalidProblem, PlannerError) as error:
            log.warning("no peak target for %s: %s", month, error)
            self.text = f"no new target: {error}"
            return isinstance(error, InvalidProblem)
        self.chosen = Chosen(round(max(result.peak_kw, so_far_kw) * 1000), len(chosen), month, now)
        self.text = f"{self.chosen.target_w / 1000:.0f} kW, from {len(chosen)} of {len(nights)} nights"
        log.info("peak target for the rest of %s: %s", month, self.text)
        self._watch.chosen_w = self.chosen.target_w
        self._on_change("the month's peak target was chosen")
        return True


def noon_of(at: datetime, zone: ZoneInfo) -> datetime:
    """The last local noon."""
    local = at.astimezone(zone)
    noon = local.replace(hour=12, minute=0, second=0, microsecond=0)
    return noon if local >= noon else noon - timedelta(days=1)


def nights_of(
    visits: Sequence[PastVisit],
    yard: Yard,
    settings: PlanningSettings,
    prices: Prices,
    pieces: Sequence[SiteDemandPiece] | None,
    *,
    now: datetime,
) -> list[Problem]:
    """The past nights with vehicles, oldest first, as whole horizons of 24 hours with a whole month's demand charge."""
    zone = ZoneInfo(yard.spec.timezone)
    tonight = noon_of(now, zone)
    by_night: dict[datetime, list[PastVisit]] = defaultdict(list)
    for visit in visits:
        begins = noon_of(visit.arrived_at, zone)
        if tonight - timedelta(days=NIGHTS_BACK) <= begins < tonight and visit.connector in yard.spec.connectors:
            by_night[begins].append(visit)
    return [_night(yard, settings, prices, pieces, begins, stays) for begins, stays in sorted(by_night.items(), key=lambda item: item[0])]


def _night(
    yard: Yard,
    settings: PlanningSettings,
    prices: Prices,
    pieces: Sequence[SiteDemandPiece] | None,
    begins: datetime,
    stays: Sequence[PastVisit],
) -> Problem:
    slot_s, slots = settings.slot_minutes * 60, 24 * 60 // settings.slot_minutes
    feeders = [feeder.feeder_id for feeder in yard.spec.feeders]
    vehicles = (_vehicle(yard, stay, n, begins=begins, slots=slots, slot_s=slot_s, feeders=feeders) for n, stay in enumerate(stays))
    measured = yard.last.background.now_w if yard.last is not None else yard.spec.worst_background_w
    block, past = clock_blocks(begins, slot_minutes=settings.slot_minutes, block_minutes=prices.demand_interval_min)
    left = 1 - settings.margin_share
    return Problem(
        t0=begins,
        n_slots=slots,
        slot_minutes=settings.slot_minutes,
        price_per_kwh=np.asarray(prices.vector(begins, slots, slot_s)),
        demand_charge_per_kw=float(prices.demand_charge_per_kw_month) if pieces is None else 0.0,
        demand_interval_slots=block,
        demand_offset_slots=past,
        site_limit_kw=np.full(slots, yard.spec.contract_w / 1000 * left),
        background_kw=background_forecast(yard, begins, slots, slot_s, now_w=measured),
        feeders=tuple(Feeder(f.feeder_id, np.full(slots, f.rating_w / 1000 * left)) for f in yard.spec.feeders),
        vehicles=tuple(vehicle for vehicle in vehicles if vehicle is not None),
        currency=prices.currency,
        demand_pieces=pieces_of(pieces or (), begins, slots, slot_s, ZoneInfo(yard.spec.timezone), share=1.0),
    )


def _vehicle(yard: Yard, stay: PastVisit, n: int, *, begins: datetime, slots: int, slot_s: int, feeders: Sequence[str]) -> Vehicle | None:
    """What came, as whole slots; None: nothing that could be planned."""
    spec, announced = yard.spec.connectors[stay.connector], stay.announced
    first = int(np.ceil((stay.arrived_at - begins).total_seconds() / slot_s))
    last = min(slots, int((max(announced.depart_at, stay.left_at) - begins).total_seconds() // slot_s))
    kwh = stay.delivered_wh / 1000
    if not 0 <= first < last or kwh <= 0:
        return None
    return Vehicle(
        id=f"{n}/{stay.visit_id}",
        arrival_slot=first,
        departure_slot=last,
        energy_kwh=kwh * announced.efficiency,
        p_max_kw=min(spec.rated_w, announced.max_w or spec.rated_w) / 1000,
        eff=announced.efficiency,
        feeder=feeders.index(yard.spec.feeder_of[stay.connector]),
        priority=announced.priority,
    )


def _days(nights: Sequence[Problem]) -> int:
    """Calendar days that the nights cover: a depot that rests at weekends has fewer nights than days."""
    return max(1, (nights[-1].t0.date() - nights[0].t0.date()).days + 1)
