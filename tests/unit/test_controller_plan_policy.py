"""What a manager picks is what the depot plans by: recorded with name and reason, kept over a restart, taken back."""

from __future__ import annotations

import asyncio
import math

import pytest
from small_yard import ONE, SmallYard

from controller.codec import EventCodec, decode_state, encode_state
from controller.plan_policy import PlanPolicy, PlanPolicyView, in_force
from depot import commands as cmd
from depot import events as ev
from depot.plan_policy import PlanAim, PolicyPick
from depot.values import InvalidValue
from optimizer import Policy, Weights

POINT = PolicyPick(PlanAim.WEIGHTS, wear=0.5, delay_per_kwh_h=0.02, peak_per_kw=3.0)


def with_room(small: SmallYard) -> PlanPolicy:
    room = PlanPolicy(small.yard, Policy.CHEAPEST, replan=small.replans.append)
    small.orders.carriers.update(room.commands)
    return room


def picked(small: SmallYard, pick: PolicyPick | None, reason: str = "the packs are new", number: int = 1) -> cmd.CommandResult:
    command = cmd.PickPlanPolicy(command_id=f"c{number}", actor="Meera", reason=reason, pick=pick)
    return asyncio.run(small.orders.execute(command))


def shown(room: PlanPolicy) -> PlanPolicyView:
    view = asyncio.run(room.views[PlanPolicyView]({}))
    assert isinstance(view, PlanPolicyView)
    return view


def test_a_pick_is_kept_with_its_name_and_reason_and_planned_by_from_then_on() -> None:
    small = SmallYard()
    room = with_room(small)
    assert picked(small, POINT).status is cmd.CommandStatus.DONE
    assert small.replans == ["policy"]
    asked = next(e for e in small.journal.facts if isinstance(e.data, ev.CommandRequested))
    fact = next(e for e in small.journal.facts if isinstance(e.data, ev.PlanPolicyPicked))
    assert asked.data.reason == "the packs are new"  # type: ignore[attr-defined]
    assert (fact.actor, fact.cause_id) == ("Meera", asked.id)
    view = shown(room)
    assert (view.aim, view.wear, view.picked_by, view.reason, view.configured) == ("weights", 0.5, "Meera", "the packs are new", "cheapest")
    assert "wear 0.5" in view.words
    assert in_force(small.yard.state.plan_policy, Policy.CHEAPEST) == Weights(wear=0.5, delay_per_kwh_h=0.02, peak_per_kw=3.0)


def test_the_pick_is_taken_back_and_the_settings_hold_again() -> None:
    small = SmallYard()
    room = with_room(small)
    picked(small, PolicyPick(PlanAim.READINESS))
    assert in_force(small.yard.state.plan_policy, Policy.CHEAPEST) is Policy.READINESS
    assert picked(small, None, number=2).status is cmd.CommandStatus.DONE
    assert in_force(small.yard.state.plan_policy, Policy.BATTERY_LIFE) is Policy.BATTERY_LIFE
    assert (shown(room).aim, shown(room).picked_at) == ("cheapest", None)


def test_the_same_pick_again_changes_nothing() -> None:
    small = SmallYard()
    with_room(small)
    picked(small, POINT)
    assert "already" in picked(small, POINT, number=2).message
    assert sum(isinstance(e.data, ev.PlanPolicyPicked) for e in small.journal.facts) == 1


def test_a_pick_without_a_reason_is_refused() -> None:
    small = SmallYard()
    with_room(small)
    result = picked(small, POINT, reason=" ")
    assert result.status is cmd.CommandStatus.REFUSED
    assert "why" in result.message
    assert small.yard.state.plan_policy is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1, 1e7])
def test_weights_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(InvalidValue, match="wear"):
        PolicyPick(PlanAim.WEIGHTS, wear=bad)


def test_a_named_policy_has_no_weights() -> None:
    with pytest.raises(InvalidValue, match="no weights"):
        PolicyPick(PlanAim.CHEAPEST, peak_per_kw=1.0)


def test_the_pick_outlives_a_restart() -> None:
    codec, fact = EventCodec(), ev.PlanPolicyPicked(POINT, "the packs are new")
    assert codec.decode(fact.TYPE, fact.VERSION, codec.encode(fact)) == fact
    small = SmallYard()
    with_room(small)
    picked(small, POINT)
    assert decode_state(encode_state(small.journal.state)).plan_policy == small.journal.state.plan_policy


def test_a_plan_is_made_by_what_was_picked() -> None:
    small = SmallYard()
    with_room(small)
    small.arrive(ONE, "BUS-1")
    seen: list[object] = []
    inner = small.planning.planner.solve

    async def solve(problem: object, *, policy: object) -> object:
        seen.append(policy)
        return await inner(problem, policy=policy)  # type: ignore[arg-type]

    small.planning.planner.solve = solve  # type: ignore[method-assign, assignment]
    picked(small, POINT)
    asyncio.run(small.planning._plan_once("test"))
    assert seen == [Weights(wear=0.5, delay_per_kwh_h=0.02, peak_per_kw=3.0)]
