"""While the solver is down the learned policy plans, flagged as what it is, and only where no plan holds any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from small_yard import NOW, ONE, TWO, SmallYard

from controller.plan_fallback import needed
from controller.plan_twin import PlanTwin
from controller.planner import PlannerDead
from depot import events as ev
from depot.values import Plan
from optimizer import PlanResult, Policy, Problem, Weights


class Down:
    """A planner whose child is gone."""

    state, text = None, ""

    async def solve(self, problem: Problem, *, policy: Policy | Weights) -> PlanResult:
        raise PlannerDead("the planner's process was killed by signal 9")


def depot(*, fallback: bool = True) -> SmallYard:
    small = SmallYard()
    small.planning.settings = replace(small.planning.settings, learned_fallback=fallback)
    small.planning.twin = PlanTwin(small.yard)
    small.arrive(ONE, "BUS-1", hours=6)
    small.arrive(TWO, "BUS-2", hours=3)
    return small


def plan_now(small: SmallYard) -> Plan | None:
    asyncio.run(small.planning._plan_once("test"))
    return small.yard.plan


def test_the_learned_policy_plans_while_the_planner_is_down() -> None:
    small = depot()
    small.planning.planner = Down()  # type: ignore[assignment]
    plan = plan_now(small)
    assert plan is not None
    assert plan.solver == "learned"
    assert sum(plan.unmet_wh.values()) < 500
    assert "signal 9" in small.planning.text
    assert "learned policy" in small.planning.text
    assert small.planning.failed_since is not None
    assert any(isinstance(e.data, ev.PlanAccepted) for e in small.journal.facts)


def test_a_plan_that_still_holds_stays() -> None:
    small = depot()
    before = plan_now(small)
    assert before is not None
    assert before.solver == "optimal"
    small.planning.planner = Down()  # type: ignore[assignment]
    assert plan_now(small) is before
    small.clock.at += timedelta(seconds=small.planning.settings.expires_s - 60)
    after = plan_now(small)
    assert after is not before
    assert after is not None
    assert after.solver == "learned"


def test_the_planner_takes_over_again() -> None:
    small = depot()
    inner = small.planning.planner
    small.planning.planner = Down()  # type: ignore[assignment]
    plan_now(small)
    small.planning.planner = inner
    plan = plan_now(small)
    assert plan is not None
    assert plan.solver == "optimal"
    assert small.planning.failed_since is None


def test_it_is_off_where_the_settings_say_so() -> None:
    small = depot(fallback=False)
    small.planning.planner = Down()  # type: ignore[assignment]
    assert plan_now(small) is None


def test_it_is_wanted_where_the_next_try_comes_too_late() -> None:
    assert needed(None, NOW, cadence_s=300.0)
    plan = Plan("p", NOW, NOW, 900, {}, (0,), NOW + timedelta(seconds=400))
    assert not needed(plan, NOW, cadence_s=300.0)
    assert needed(plan, NOW + timedelta(seconds=101), cadence_s=300.0)


class Ticks:
    """A clock that tells how long was slept, and ends after so many times."""

    def __init__(self, times: int) -> None:
        self.slept: list[float] = []
        self.times = times

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self.times:
            raise asyncio.CancelledError


@pytest.mark.parametrize(("fails", "asked"), [(True, [60.0, 120.0, 180.0]), (False, [150.0])])
def test_a_planner_that_failed_is_asked_again_within_a_minute(fails: bool, asked: list[float]) -> None:
    small = depot()
    planning, clock = small.planning, Ticks(3)
    planning.settings = replace(planning.settings, cadence_s=150.0)
    planning.failed_since = NOW if fails else None
    small.yard.clock = clock  # type: ignore[assignment]  # only slept by
    found: list[float] = []
    planning.request = lambda _cause: found.append(sum(clock.slept))  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(planning._cadence())
    assert found == asked
