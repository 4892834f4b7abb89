"""Random single states of the limiter, judged by the words of ``benchmarks.limiter`` (invariants 1, 4, 8).

The 50,000 states of the benchmark use the same generator; here hypothesis drives it, so that a failure is cut down.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.limiter import State, broken, check, cost, judge_targets, random_state
from controller.allocation import Budget, Move, Row
from controller.limiter import allocate
from depot.values import ConnectorId

STATES = 2_500


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rng=st.randoms(use_true_random=False), most=st.integers(1, 25))
def test_every_invariant_holds_in_one_state(rng: random.Random, most: int) -> None:
    state = random_state(rng, most=most)
    result = allocate(state.rows, site=state.site, feeders=state.feeders, frozen=state.frozen)
    assert not broken(state, result)


def test_every_invariant_holds_in_thousands_of_seeded_states() -> None:
    for number in range(STATES):
        assert not check(random.Random(f"states/{number}")), f"state states/{number}"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rng=st.randoms(use_true_random=False))
def test_once_the_decreases_have_settled_nothing_more_goes_down(rng: random.Random) -> None:
    state = random_state(rng, most=15)
    for row in state.rows:
        row.stuck = row.renew = False
    first = allocate(state.rows, site=state.site, feeders=state.feeders, frozen=True)
    for action in first.actions:
        row = state.rows[action.row]
        if action.move is Move.LOWER:
            row.told_w, row.bound_w = action.level_w, cost(row, action.level_w)
        elif action.move is Move.STOP:
            row.session, row.told_w, row.bound_w = False, 0, row.resting_w
    again = allocate(state.rows, site=state.site, feeders=state.feeders, frozen=True)
    lowered = {action.row for action in first.actions if action.move in (Move.LOWER, Move.STOP)}
    assert not [a for a in again.actions if a.move in (Move.LOWER, Move.STOP) and a.row in lowered]


def test_whom_its_feeder_stops_can_cost_others_their_floor() -> None:
    """It drew 2 kW and could begin again with 7.4: that is counted, and the site has no room for the other's floor."""

    def row(number: int, feeder: int, **more: Any) -> Row:
        return Row(ConnectorId(f"CP{number}", 1), feeder, session=True, on_off=True, pausable=True, min_w=0, **more)

    rows = [
        row(0, 0, rated_w=3_700, ceiling_w=3_700, bound_w=3_700, resting_w=3_700),
        row(1, 1, rated_w=7_400, ceiling_w=7_400, bound_w=2_000, resting_w=7_400),
    ]
    state = State(rows, [], Budget(5_700, 5_700), [Budget(3_700, 3_700), Budget(0, 0)], frozen=True)
    result = allocate(rows, site=state.site, feeders=state.feeders, frozen=True)
    assert result.targets == [0, 0]
    assert not judge_targets(state, result)
    state.site = Budget(11_100, 11_100)
    assert allocate(rows, site=state.site, feeders=state.feeders, frozen=True).targets == [3_700, 0]
