"""A plan is run against what the depot knows of its packs before it is taken; a veto keeps the plan before it, and says why."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from small_yard import NOW, ONE, TWO, SmallYard

from bms_bridge.charging import PackFacts
from bms_bridge.chemistry import Chemistry
from controller.plan_twin import PlanTwin
from depot.values import PackKey
from optimizer import PlanResult, Policy, Problem, Weights, plan
from optimizer.twin import TwinReport


class Doctored:
    """A planner whose answers are made worse before they are handed on; keeps the problems that it was asked."""

    state, text = None, ""

    def __init__(self, *, share: float = 1.0) -> None:
        self.share = share
        self.asked: list[Problem] = []

    async def solve(self, problem: Problem, *, policy: Policy | Weights) -> PlanResult:
        self.asked.append(problem)
        result = plan(problem, policy=policy, direct=True)
        return replace(result, power_kw=result.power_kw * self.share)


class NmcPacks:
    """Every vehicle has one NMC pack."""

    def chemistry_of(self, pack: PackKey) -> Chemistry | None:
        return Chemistry.NMC

    def of(self, vehicle_id: str) -> tuple[PackKey, ...]:
        return (PackKey(vehicle_id, "P1"),)

    def must_speak(self, pack: PackKey) -> bool:
        return False

    def facts_of(self, pack: PackKey) -> PackFacts:
        return PackFacts()

    def tighter_of(self, pack: PackKey) -> None:
        return None


def yard_with(planner: Doctored, *, hottest_c: float | None = None) -> tuple[SmallYard, PlanTwin]:
    small = SmallYard()
    small.arrive(ONE, "BUS-1", hours=4)
    small.arrive(TWO, "BUS-2", hours=4)
    twin = PlanTwin(small.yard)
    if hottest_c is not None:
        twin.packs = NmcPacks()
        twin.hottest_c = lambda: {PackKey("BUS-1", "P1"): hottest_c, PackKey("BUS-2", "P1"): 45.0}
    small.planning.twin = twin
    small.planning.planner = planner  # type: ignore[assignment]
    asyncio.run(small.planning._plan_once("test"))
    return small, twin


def report_of(twin: PlanTwin) -> TwinReport:
    assert twin.report is not None
    return twin.report


def test_an_honest_plan_is_taken_and_its_run_is_kept() -> None:
    small, twin = yard_with(Doctored())
    assert small.yard.plan is not None
    assert set(twin.ids) == {"visit BUS-1", "visit BUS-2"}
    assert report_of(twin).soc_at_departure == pytest.approx([0.8, 0.8], abs=0.01)
    assert twin.conditions(NOW) == []


def test_a_plan_that_does_not_deliver_what_it_says_is_not_taken() -> None:
    small, twin = yard_with(Doctored(share=0.5))
    assert small.yard.plan is None
    assert "said to be served" in small.planning.text
    (condition,) = twin.conditions(NOW)
    assert condition.kind in twin.kinds
    assert "said to be served" in condition.title
    planner = small.planning.planner
    assert isinstance(planner, Doctored)
    planner.share = 1.0
    asyncio.run(small.planning._plan_once("again"))
    assert small.yard.plan is not None
    assert twin.conditions(NOW) == []


def test_a_veto_keeps_the_plan_before_it() -> None:
    small, _ = yard_with(Doctored())
    before = small.yard.plan
    small.planning.planner = Doctored(share=0.5)  # type: ignore[assignment]
    asyncio.run(small.planning._plan_once("again"))
    assert small.yard.plan is before


def test_a_pack_that_would_be_overheated_gets_less_power_in_a_second_plan() -> None:
    planner = Doctored()
    small, twin = yard_with(planner, hottest_c=53.5)
    assert len(planner.asked) == 2
    first, second = (problem.vehicles[0] for problem in planner.asked)
    assert np.max(np.asarray(second.cap_kw)) < np.max(np.asarray(first.cap_kw))
    assert np.array_equal(np.asarray(planner.asked[0].vehicles[1].cap_kw), np.asarray(planner.asked[1].vehicles[1].cap_kw))
    assert small.yard.plan is not None
    assert report_of(twin).hottest_c[0] <= 54.0
    assert twin.conditions(NOW) == []


def test_without_a_battery_nothing_is_said_of_it() -> None:
    small, twin = yard_with(Doctored())
    stay = small.yard.state.visits["visit BUS-1"].announced
    small.put(replace(stay, battery_wh=0, soc_arrival=None))
    asyncio.run(small.planning._plan_once("again"))
    assert small.yard.plan is not None
    assert np.isnan(report_of(twin).soc_at_departure[twin.ids.index("visit BUS-1")])
