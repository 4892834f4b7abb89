"""The month's peak target in a depot: chosen from past nights, free for plans, what the settings say comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import cast

import numpy as np
import pytest
from small_yard import NOW, ONE, THREE, FlatTariff, SmallYard, run

from controller.block_store import BlockSource
from controller.clock import VirtualClock
from controller.demand_watch import DemandSettings, DemandWatch
from controller.forecast_errors import PastVisit
from controller.month_target import LEAST_NIGHTS, MonthTarget, nights_of, noon_of
from controller.planner import InlinePlanner, PlannerLate
from controller.planning_reserve import Reserve, told
from controller.planning_settings import PlanningSettings
from depot import events as ev
from depot.metering import MeterBlock
from depot.values import ConnectorId
from grid.demand_pieces import DemandPiece
from optimizer import PlanResult, Policy, Problem, plan
from optimizer.reserve import ForecastErrors


def visit(nights_ago: int, connector: ConnectorId = ONE, *, kwh: float = 90.0) -> PastVisit:
    """From 19:00 to 7:00 of the depot's clock."""
    came = NOW - timedelta(days=nights_ago, hours=3)
    name = f"{connector}-{nights_ago}"
    said = ev.VisitAnnounced(name, name, came, came + timedelta(hours=12), round(kwh * 1000), 60_000, connector=connector, efficiency=1.0)
    return PastVisit(name, said, said, connector, came, came + timedelta(hours=12), round(kwh * 1000), None)


assert callable(plan)  # its libraries are loaded here, not within the five seconds of a test


class Depot:
    """The small yard with thirty alike nights behind it, at ₹300 a kW and month."""

    def __init__(self, *visits: PastVisit, pieces: list[DemandPiece] | None = None, **settings: int) -> None:
        self.world = SmallYard()
        self.watch = DemandWatch(self.world.yard, DemandSettings(**settings), interval_min=30)
        self.asked: list[str] = []
        self.planner = InlinePlanner(cast("VirtualClock", self.world.clock), charge_s=0.0)
        self.room = MonthTarget(
            self.world.yard, self.watch, self.planner, FlatTariff(), PlanningSettings(),
            visits=lambda: visits or tuple(visit(ago) for ago in range(30, 0, -1)), pieces=lambda: pieces, on_change=self.asked.append,
        )  # fmt: skip


def test_the_target_is_what_the_past_nights_would_have_paid_for() -> None:
    """20 kW beside, 90 kWh in eight hours at ₹6 or four at ₹9: a kW for eight hours saves ₹24 a night, in the ten nights that are
    left of November ₹240: less than the 300 that it costs. In a month's 30 nights it pays, up to 90/8 kW."""

    async def main() -> None:
        depot = Depot()
        assert await depot.room.choose(NOW)
        assert depot.watch.chosen_w is not None
        assert abs(depot.watch.chosen_w - (20_000 + 90_000 / 12)) < 60
        assert depot.asked == ["the month's peak target was chosen"]
        assert "nights" in depot.room.text
        first = datetime(2026, 11, 1, 16, 30, tzinfo=NOW.tzinfo)
        depot.world.clock.at = first
        before = tuple(visit(ago) for ago in range(60, 19, -1))
        early = Depot(*before)
        early.world.clock.at = first
        assert await early.room.choose(first)
        assert early.watch.chosen_w is not None
        assert abs(early.watch.chosen_w - (20_000 + 90_000 / 8)) < 60

    run(main())


def test_plans_may_use_it_and_so_may_the_limiter_until_the_settings_say_other() -> None:
    depot = Depot()
    depot.watch.chosen_w = 70_000
    assert depot.watch.free_peak_w() == 70_000
    fixed = Depot(target_w=90_000)
    fixed.watch.chosen_w = 70_000
    assert (fixed.watch.target_w, fixed.watch.free_peak_w()) == (90_000, 90_000)


def test_above_a_chosen_target_a_plan_feels_the_whole_rate() -> None:
    async def main() -> None:
        world = SmallYard()
        world.arrive(ONE, "BUS", kwh=30)
        for whole, rate in ((False, 300 / 21), (True, 300.0)):
            world.planning.whole_rate = lambda whole=whole: whole
            asked = await world.planning._asked(world.clock.now())
            assert asked is not None
            assert asked.problem.demand_charge_per_kw == pytest.approx(rate)

    run(main())


def test_a_peak_that_was_reached_stays() -> None:
    async def main() -> None:
        depot = Depot()
        depot.watch.store.put(BlockSource.OWN, [MeterBlock(NOW - timedelta(hours=5), 30, 40_000)])
        watch = DemandWatch(depot.world.yard, DemandSettings(), interval_min=30, store=depot.watch.store)
        depot.room._watch = watch
        assert await depot.room.choose(NOW)
        assert watch.chosen_w == 80_000

    run(main())


def test_too_few_nights_say_nothing_and_a_planner_that_fails_is_asked_again() -> None:
    class Late(InlinePlanner):
        async def solve(self, problem: Problem, *, policy: Policy) -> PlanResult:
            raise PlannerLate("no plan within 10 s")

    async def main() -> None:
        few = Depot(*(visit(ago) for ago in range(1, LEAST_NIGHTS)))
        assert await few.room.choose(NOW)
        assert (few.watch.chosen_w, few.asked) == (None, [])
        assert "4 nights are known" in few.room.text
        late = Depot()
        late.room._planner = Late(cast("VirtualClock", late.world.clock))
        assert not await late.room.choose(NOW)
        assert "no new target" in late.room.text

    run(main())


def test_a_floor_of_the_contract_is_free_in_the_target_too() -> None:
    async def main() -> None:
        floor = DemandPiece(group="demand", block_min=30, hours=None, free_kw=Fraction(85), rate_per_kw=Fraction(300))
        depot = Depot(*(visit(ago, where, kwh=300.0) for ago in range(30, 0, -1) for where in (ONE, THREE)), pieces=[floor])
        assert await depot.room.choose(NOW)
        assert depot.watch.chosen_w is not None
        assert abs(depot.watch.chosen_w - 85_000) < 60

    run(main())


def test_nights_are_built_of_what_came() -> None:
    depot = Depot()
    strange = visit(2, ConnectorId("GONE", 1))
    nights = nights_of(
        [visit(2), visit(2, THREE, kwh=0.0), strange, visit(1), visit(0)], depot.world.yard, PlanningSettings(), FlatTariff(), None, now=NOW
    )  # fmt: skip
    assert [len(night.vehicles) for night in nights] == [1, 1]  # tonight is not over
    (night, _) = nights
    assert night.t0 == noon_of(NOW, depot.watch.zone) - timedelta(days=2)
    assert (night.n_slots, night.demand_interval_slots, night.demand_charge_per_kw) == (96, 2, 300.0)
    assert (night.vehicles[0].arrival_slot, night.vehicles[0].departure_slot, night.vehicles[0].p_max_kw) == (28, 76, 60.0)


def test_a_reserve_makes_a_problem_careful_and_its_answer_honest() -> None:
    async def main() -> None:
        world = SmallYard()
        world.arrive(ONE, "HERE", kwh=30)
        coming = ev.VisitAnnounced(
            "visit LATE", "LATE", NOW + timedelta(hours=2), NOW + timedelta(hours=3), 58_000, 60_000, connector=THREE, efficiency=1.0
        )  # fmt: skip
        world.put(coming)
        late = ForecastErrors(late_min=np.full(400, 60.0), early_min=np.zeros(400), energy_ratio=np.full(400, 1.5))
        reserve = Reserve(lambda: late)
        seen: list[Problem] = []

        class Listening(InlinePlanner):
            async def solve(self, problem: Problem, *, policy: Policy) -> PlanResult:
                seen.append(problem)
                return await super().solve(problem, policy=policy)

        world.planning.planner = Listening(cast("VirtualClock", world.clock), charge_s=0.0)
        world.planning.reserve = reserve
        await world.planning._plan_once("test")
        (careful,) = seen
        of = {v.id: v for v in careful.vehicles}
        assert of["visit HERE"].energy_kwh == 30.0
        assert of["visit LATE"].energy_kwh >= 58.0
        assert (careful.site_limit_kw[8:] < careful.site_limit_kw[0]).all()
        assert world.yard.plan is not None
        assert world.yard.plan.unmet_wh.get("visit HERE") is None
        assert world.planning.newest is not None
        announced = replace(careful, vehicles=tuple(replace(v, energy_kwh=40.0) for v in careful.vehicles))
        short = replace(world.planning.newest.result, unmet_kwh=np.array([5.0, 25.0]))
        added = [max(v.energy_kwh - 40.0, 0.0) for v in careful.vehicles]
        assert told(short, announced, careful).unmet_kwh == pytest.approx([max(0.0, 5.0 - added[0]), max(0.0, 25.0 - added[1])])

    run(main())
