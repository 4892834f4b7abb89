"""Random single states of the limiter, judged by the words of ``benchmarks.limiter`` (invariants 1, 4, 8).

The 50,000 states of the benchmark use the same generator; here hypothesis drives it, so that a failure is cut down.
"""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.limiter import broken, check, cost, random_state
from controller.allocation import Move
from controller.limiter import allocate

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
