"""Truth tables of the limiter: projection onto the budgets, and what may leave now (invariants 1, 4, 8, 11)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.allocation import Action, Allocation, Budget, Move, Row
from controller.limiter import allocate
from depot.values import Because, ConnectorId

AMPLE = Budget(10**6, 10**6)


def row(n: int = 0, **given: object) -> Row:
    """A 22 kW charger with a running session that is told and draws 10 kW, a default of 0 and no plan."""
    facts: dict[str, object] = {"told_w": 10_000, "bound_w": 10_000, "ceiling_w": 22_000, "session": True} | given
    return Row(ConnectorId(f"CP{n}", 1), rank=(0.0, float(n)), rated_w=22_000, min_w=4_000, **{"feeder": 0, **facts})  # type: ignore[arg-type]  # the fields by name


def waiting(n: int = 0, **given: object) -> Row:
    """A plugged vehicle without a session."""
    return row(n, told_w=0, bound_w=0, session=False, startable=True, **given)


def go(*rows: Row, site: int | Budget = AMPLE, feeders: tuple[int | Budget, ...] = (AMPLE,), frozen: bool = False) -> Allocation:
    def budget(given: int | Budget) -> Budget:
        return given if isinstance(given, Budget) else Budget(given, given)

    return allocate(rows, site=budget(site), feeders=[budget(f) for f in feeders], frozen=frozen)


def moves(result: Allocation) -> list[tuple[int, Move, int]]:
    return [(a.row, a.move, a.level_w) for a in result.actions]


def test_site_and_feeder_bind_by_whichever_is_less() -> None:
    rows = [row(0), row(1, feeder=1)]
    result = go(*rows, site=40_000, feeders=(12_000, 40_000))
    assert result.targets == [12_000, 22_000]
    assert result.because == [Because.FEEDER, Because.CHARGER]
    assert go(*rows, site=30_000, feeders=(40_000, 40_000)).targets == [22_000, 8_000]
    assert go(*rows, site=30_000, feeders=(40_000, 40_000)).because[1] is Because.SITE


def test_without_a_plan_who_leaves_first_is_served_first_and_priority_goes_before_that() -> None:
    assert go(row(0), row(1), site=26_000).targets == [22_000, 4_000]
    assert go(row(0), replace(row(1), rank=(-1.0, 99.0)), site=26_000).targets == [4_000, 22_000]


def test_a_plan_is_a_wish_within_the_limits() -> None:
    assert go(row(0, plan_w=7_000), row(1, plan_w=9_000)).targets == [7_000, 9_000]
    assert go(row(0, plan_w=10**9), site=15_000).targets == [15_000]
    assert go(row(0, plan_w=7_000)).because == [Because.PLAN]


@pytest.mark.parametrize(("plan_w", "target"), [(0, 0), (1_999, 0), (2_000, 4_000), (3_999, 4_000), (4_000, 4_000), (22_001, 22_000)])
def test_levels_are_0_or_between_minimum_and_rating(plan_w: int, target: int) -> None:
    assert go(row(pausable=True, plan_w=plan_w)).targets == [target]


def test_too_little_room_for_the_minimum_is_0_for_who_may_pause() -> None:
    assert go(row(pausable=True), site=3_999).targets == [0]


def test_invariant_8_a_session_that_cannot_pause_keeps_its_minimum_whatever_the_plan_says() -> None:
    result = go(row(plan_w=0))
    assert result.targets == [4_000]
    assert result.because == [Because.MINIMUM]


def test_invariant_8_floors_come_before_the_wishes_of_more_urgent_vehicles() -> None:
    assert go(row(0, pausable=True), row(1), site=10_000).targets == [6_000, 4_000]


def test_invariant_8_a_hard_limit_breaks_floors_the_least_urgent_first_and_no_more_than_it_takes() -> None:
    rows = [row(n, told_w=4_000, bound_w=4_000) for n in range(3)]
    assert go(*rows, site=12_000).targets == [4_000, 4_000, 4_000]
    assert go(*rows, site=11_999).targets == [7_999, 4_000, 0]
    assert go(*rows, site=4_000).targets == [4_000, 0, 0]
    assert go(*rows, site=0).targets == [0, 0, 0]


def test_invariant_8_a_feeder_breaks_only_the_floors_behind_it() -> None:
    rows = [row(0, feeder=0), row(1, feeder=1)]
    assert go(*rows, feeders=(3_000, 22_000)).targets == [0, 22_000]


def test_floors_are_broken_by_what_is_drawn_not_by_defaults_that_matter_after_our_death() -> None:
    rows = [row(n, told_w=4_000, bound_w=4_000, resting_w=4_000, default_w=4_000) for n in range(3)]
    assert go(*rows, site=9_000).targets == [4_000, 4_000, 0]


def test_a_session_that_nobody_started_has_no_floor_and_one_that_needs_nothing_neither() -> None:
    assert go(row(told_w=0, bound_w=0, plan_w=0)).targets == [0]
    assert go(row(ceiling_w=0)).targets == [0]


def test_uncovered_it_is_counted_at_its_rating_at_every_level() -> None:
    uncovered = row(0, told_w=4_000, bound_w=22_000, resting_w=22_000, default_w=22_000)
    assert go(uncovered, row(1), site=30_000).targets == [22_000, 8_000]
    assert go(replace(uncovered, pausable=True, plan_w=0), row(1), site=30_000).targets == [0, 8_000]


def test_a_learned_factor_divides_the_level() -> None:
    result = go(row(factor=1.25, bound_w=12_500), site=20_000)
    assert result.targets == [16_000]


def test_the_unreachable_are_counted_at_their_bound() -> None:
    result = go(row(0, reachable=False, bound_w=18_000), row(1), site=30_000)
    assert result.targets[1] == 12_000
    assert all(a.row == 1 for a in result.actions)


def test_a_stuck_charger_is_made_room_for_while_there_is_too_little() -> None:
    stuck = row(0, told_w=4_000, bound_w=22_000, stuck=True)
    result = go(stuck, row(1, told_w=22_000, bound_w=22_000), site=30_000)
    assert moves(result) == [(1, Move.LOWER, 8_000)]
    assert go(stuck, row(1), site=60_000).targets == [22_000, 22_000]  # enough for all: it is as good as any


@pytest.mark.parametrize(
    ("site", "target", "moved"),
    [(40_000, 22_000, []), (19_000, 0, [(0, Move.STOP, 0)])],
)
def test_who_follows_no_level_runs_or_is_stopped(site: int, target: int, moved: list[tuple[int, Move, int]]) -> None:
    result = go(row(on_off=True, told_w=22_000, bound_w=22_000), site=site)
    assert result.targets == [target]
    assert moves(result) == moved


def test_who_was_told_to_stop_and_goes_on_is_made_room_for_and_told_again() -> None:
    defiant = row(0, on_off=True, told_w=22_000, bound_w=22_000, stuck=True)
    result = go(defiant, row(1, told_w=22_000, bound_w=22_000), site=30_000)
    assert (0, Move.STOP, 0) in moves(result)
    assert (1, Move.LOWER, 8_000) in moves(result)


def test_who_follows_no_level_starts_only_where_its_rating_fits() -> None:
    assert moves(go(waiting(on_off=True), site=21_999)) == []
    assert moves(go(waiting(on_off=True), site=22_000)) == [(0, Move.START, 22_000)]


def test_who_follows_no_level_is_not_told_more_unless_its_rating_fits() -> None:
    known = row(on_off=True, told_w=10_000, bound_w=12_500, default_w=0)
    assert moves(go(known, site=15_000)) == []
    assert moves(go(known, site=22_000)) == [(0, Move.RAISE, 22_000)]


def test_decreases_leave_before_increases_and_increases_only_into_what_the_bounds_leave() -> None:
    down, up = row(0, pausable=True, plan_w=4_000), row(1, plan_w=18_000)
    first = go(down, up, site=22_000)
    assert moves(first) == [(0, Move.LOWER, 4_000)]
    assert first.waiting
    told = replace(down, told_w=4_000)  # accepted, but not settled: its bound has not fallen
    assert moves(go(told, up, site=22_000)) == []
    settled = replace(told, bound_w=4_000)
    assert moves(go(settled, up, site=22_000)) == [(1, Move.RAISE, 18_000)]


def test_part_of_an_increase_leaves_when_nobody_is_coming_down() -> None:
    held = row(0, reachable=False, bound_w=15_000, told_w=15_000)
    result = go(held, row(1, told_w=4_000, bound_w=4_000), site=30_000)
    assert moves(result) == [(1, Move.RAISE, 15_000)]


def test_part_of_an_increase_waits_while_somebody_is_settling() -> None:
    settling = row(0, told_w=4_000, bound_w=15_000, plan_w=4_000)
    assert moves(go(settling, row(1, told_w=4_000, bound_w=4_000), site=26_000)) == []
    assert moves(go(replace(settling, stuck=True), row(1, told_w=4_000, bound_w=4_000), site=26_000)) == [(1, Move.RAISE, 11_000)]


def test_too_small_a_change_waits_unless_a_limit_needs_it_or_a_renewal_carries_it() -> None:
    one = row(told_w=10_000, bound_w=10_000, plan_w=9_600)
    assert moves(go(one)) == []
    assert moves(go(replace(one, renew=True))) == [(0, Move.LOWER, 9_600)]
    assert moves(go(replace(one, plan_w=9_000))) == [(0, Move.LOWER, 9_000)]
    assert moves(go(replace(one, plan_w=10_400))) == []
    short = go(replace(one, plan_w=-1), site=9_900)
    assert short.actions == [Action(0, Move.LOWER, 9_900, urgent=True)]


def test_invariant_11_without_a_calm_moment_only_a_limit_moves_it() -> None:
    busy = row(calm=False)
    assert moves(go(busy)) == []
    assert moves(go(replace(busy, plan_w=5_000))) == []
    assert moves(go(busy, site=9_000)) == [(0, Move.LOWER, 9_000)]


def test_a_renewal_repeats_the_level() -> None:
    assert moves(go(row(renew=True, calm=False))) == [(0, Move.RENEW, 10_000)]


def test_a_level_whose_bound_has_expired_is_not_renewed_but_raised_into_free_room() -> None:
    back = row(0, told_w=20_000, bound_w=4_000, resting_w=4_000, default_w=4_000, renew=True)
    other = row(1, told_w=22_000, bound_w=22_000, pausable=True)
    assert (0, Move.RENEW, 20_000) not in moves(go(back, other, site=26_000))
    assert moves(go(back, site=26_000)) == [(0, Move.RAISE, 22_000)]


def test_invariant_4_frozen_nothing_rises_or_starts_and_decreases_go_on() -> None:
    rows = [row(0, told_w=20_000, bound_w=20_000, plan_w=5_000), row(1, plan_w=20_000), waiting(2, plan_w=5_000), row(3, renew=True)]
    result = go(*rows, frozen=True)
    assert moves(result) == [(0, Move.LOWER, 5_000), (3, Move.RENEW, 10_000)]
    assert result.because[1] is Because.FROZEN


def test_while_bounds_exceed_the_site_nobody_rises_anywhere() -> None:
    result = go(row(0, told_w=22_000, bound_w=22_000), row(1, feeder=1, told_w=4_000, bound_w=4_000), site=25_000, feeders=(22_000, 22_000))
    assert result.site_short_w == 1_000
    assert all(a.move is Move.LOWER for a in result.actions)


def test_while_a_feeder_is_short_others_behind_another_one_may_rise() -> None:
    rows = [row(0, told_w=22_000, bound_w=22_000), row(1, feeder=1, told_w=4_000, bound_w=4_000)]
    result = go(*rows, feeders=(20_000, 22_000))
    assert result.feeder_short_w == [2_000, 0]
    assert moves(result) == [(0, Move.LOWER, 20_000), (1, Move.RAISE, 22_000)]


def test_a_limit_that_will_drop_within_a_profiles_life_lowers_in_time_but_not_urgently() -> None:
    result = go(row(told_w=22_000, bound_w=22_000), site=Budget(30_000, 12_000))
    assert result.actions == [Action(0, Move.LOWER, 12_000, urgent=False)]


def test_a_start_needs_room_for_its_level() -> None:
    assert moves(go(waiting(0), site=9_000)) == [(0, Move.START, 9_000)]
    assert moves(go(waiting(0), site=3_999)) == []
    assert moves(go(waiting(0, plan_w=0))) == []


def test_the_biggest_relief_leaves_first() -> None:
    rows = [row(0, told_w=6_000, bound_w=6_000, pausable=True, plan_w=0), row(1, told_w=20_000, bound_w=20_000, pausable=True, plan_w=0)]
    assert [a.row for a in go(*rows).actions] == [1, 0]


def test_an_empty_depot_needs_nothing() -> None:
    assert go().actions == []
