"""Bounds of one connector: what counts, and from when on it no longer does (invariant 1)."""

from __future__ import annotations

import pytest

from controller.grants import EXPIRY_SKEW_S, READING_GRACE_S, Grant
from depot.events import TrustLevel

T = 1_000.0
LIFE = 180.0
RATED, MIN = 22_000, 4_140


def grant(**given: object) -> Grant:
    facts: dict[str, object] = {"default_w": MIN, "autonomous": False, "commissioned": True, "in_session": True} | given
    return Grant(RATED, **facts)  # type: ignore[arg-type]  # the fields by name, as a test writes them


def told(g: Grant, level_w: int, now_s: float) -> int:
    return g.send(level_w, until_s=now_s + LIFE, now_s=now_s)


def confirmed(level_w: int, now_s: float = T, **given: object) -> Grant:
    """A grant that was told ``level_w`` at ``now_s``, has settled there and draws it."""
    g = grant(**given)
    g.accepted(told(g, level_w, now_s), now_s=now_s)
    g.measured(level_w, at_s=now_s + g.settle_s)
    return g


def test_an_increase_counts_from_the_moment_it_is_sent() -> None:
    g = grant()
    told(g, 20_000, T)
    assert g.bound_w(T) == 20_000


def test_a_refused_increase_counts_no_more_and_is_not_what_it_was_told() -> None:
    g = confirmed(10_000)
    number = told(g, 20_000, T + 10)
    g.refused(number)
    assert (g.bound_w(T + 10), g.told_w) == (10_000, 10_000)


def test_a_refused_decrease_stays_told_and_its_old_level_stays_counted() -> None:
    g = confirmed(20_000)
    g.refused(told(g, 10_000, T + 10))
    assert (g.bound_w(T + 10), g.told_w) == (20_000, 10_000)


@pytest.mark.parametrize("level_w", [10_000, 20_000])
def test_an_unanswered_level_counts_until_it_has_surely_expired(level_w: int) -> None:
    g = confirmed(8_000, T - 1000)
    told(g, level_w, T)
    assert g.bound_w(T + LIFE + EXPIRY_SKEW_S - 0.1) == level_w
    assert g.bound_w(T + LIFE + EXPIRY_SKEW_S) == MIN


def test_a_decrease_needs_the_answer_the_time_and_the_meter() -> None:
    g = confirmed(20_000)
    number = told(g, 10_000, T + 10)
    assert g.bound_w(T + 10) == 20_000
    g.accepted(number, now_s=T + 11)
    g.measured(10_000, at_s=T + 12)
    assert g.bound_w(T + 12) == 20_000  # agrees, but not yet settled
    assert g.bound_w(T + 14.5) == 20_000  # settled, but no meter value since
    assert g.look_due_s(T + 14.5) == T + 14
    g.measured(10_000, at_s=T + 14.6)
    assert g.bound_w(T + 14.6) == 10_000


def test_a_meter_that_disagrees_keeps_what_it_shows() -> None:
    g = confirmed(20_000)
    g.accepted(told(g, 10_000, T + 10), now_s=T + 10)
    g.measured(19_000, at_s=T + 14)
    assert g.bound_w(T + 14) == 19_000


def test_a_station_without_meter_is_believed_after_a_grace() -> None:
    g = grant()
    g.accepted(told(g, 20_000, T), now_s=T)
    g.accepted(told(g, 10_000, T + 10), now_s=T + 10)
    assert g.bound_w(T + 13 + READING_GRACE_S - 0.1) == 20_000
    assert g.bound_w(T + 13 + READING_GRACE_S) == 10_000


def test_an_answer_to_an_older_call_than_the_last_confirmed_one_changes_nothing() -> None:
    g = grant()
    first = told(g, 20_000, T)
    second = told(g, 10_000, T + 1)
    g.accepted(second, now_s=T + 2)
    g.accepted(first, now_s=T + 3)
    assert g.confirmed_w == 10_000


def test_an_accepted_call_leaves_younger_ones_in_flight() -> None:
    g = grant()
    first = told(g, 10_000, T)
    told(g, 20_000, T + 1)
    g.accepted(first, now_s=T + 2)
    assert g.bound_w(T + 2) == 20_000


def test_an_expired_profile_leaves_the_default_and_an_old_meter_value_does_not_outlive_it() -> None:
    g = confirmed(20_000)
    assert g.bound_w(T + LIFE + EXPIRY_SKEW_S - 0.1) == 20_000
    assert g.bound_w(T + LIFE + EXPIRY_SKEW_S) == MIN


def test_uncovered_without_a_default_it_counts_at_its_rating_whatever_it_is_told() -> None:
    g = confirmed(5_000, default_w=None)
    assert g.bound_w(T + 10) == RATED


@pytest.mark.parametrize(
    ("autonomous", "commissioned", "bound_w"),
    [(True, True, MIN), (False, True, 0), (True, False, 0)],
)
def test_without_a_session_it_counts_if_it_could_start_by_itself(autonomous: bool, commissioned: bool, bound_w: int) -> None:
    assert grant(in_session=False, autonomous=autonomous, commissioned=commissioned).bound_w(T) == bound_w


def test_after_a_restart_nothing_is_relied_on_until_the_default_is_back_and_has_settled() -> None:
    g = confirmed(10_000)
    g.forgotten(now_s=T + 10)
    assert g.bound_w(T + 10) == RATED
    g.default_installed(MIN, now_s=T + 12)
    assert g.bound_w(T + 12) == RATED
    g.measured(MIN, at_s=T + 16)
    assert g.bound_w(T + 16) == MIN


def test_the_end_of_a_session_takes_its_profiles_along_and_settles() -> None:
    g = confirmed(20_000)
    told(g, 22_000, T + 9)
    g.session_ended(now_s=T + 10)
    assert g.bound_w(T + 11) == 22_000
    assert (g.bound_w(T + 12), g.told_w) == (0, 0)


def test_a_session_that_nobody_told_anything_was_told_its_default_and_is_looked_at() -> None:
    g = grant(in_session=False, autonomous=True)
    g.session_started(now_s=T)
    assert (g.told_w, g.bound_w(T)) == (MIN, MIN)
    assert g.look_due_s(T + 0.5) is None
    assert g.look_due_s(T + 1) == T + 1


def test_what_its_meter_shows_above_the_level_is_not_forgotten_when_a_new_level_is_sent() -> None:
    g = confirmed(20_000)
    g.measured(21_500, at_s=T + 5)
    number = told(g, 10_000, T + 6)
    assert g.bound_w(T + 6) == 21_500
    g.accepted(number, now_s=T + 6)
    assert g.bound_w(T + 8) == 21_500


def test_a_learned_factor_multiplies_every_level() -> None:
    g = confirmed(10_000)
    g.judged(TrustLevel.OVERDRAWS, 1.14)
    assert g.bound_w(T + 3) == 11_400


def test_who_overdrew_and_never_came_down_counts_at_its_rating_in_the_next_session() -> None:
    g = confirmed(10_000)
    g.measured(11_500, at_s=T + 4)
    g.judged(TrustLevel.OVERDRAWS, 1.17)
    g.session_ended(now_s=T + 10)
    told(g, 10_000, T + 100)
    assert g.all_or_nothing
    assert g.bound_w(T + 100) == RATED


def test_who_overdrew_and_came_down_when_told_is_known_by_its_factor() -> None:
    g = confirmed(10_000)
    g.measured(11_500, at_s=T + 4)
    g.judged(TrustLevel.OVERDRAWS, 1.17)
    g.accepted(told(g, 7_000, T + 10), now_s=T + 10)
    g.measured(8_050, at_s=T + 14)
    assert g.doubted_w is None
    g.session_ended(now_s=T + 20)
    assert not g.all_or_nothing


def test_who_follows_no_level_counts_at_its_rating_until_its_vehicle_is_known_then_at_what_it_draws() -> None:
    g = grant()
    g.session_started(now_s=T)
    g.judged(TrustLevel.DEFIANT, 1.0)
    g.measured(9_000, at_s=T + 100)
    assert g.bound_w(T + 100) == RATED
    g.measured(9_000, at_s=T + 200)
    assert g.bound_w(T + 200) == 11_450
    told(g, RATED, T + 201)
    assert g.bound_w(T + 201) == RATED  # told more: it might draw a multiple of it


def test_who_follows_no_level_and_starts_by_itself_counts_at_its_rating_without_a_session() -> None:
    assert grant(in_session=False, autonomous=True, trust=TrustLevel.DEFIANT).bound_w(T) == RATED
    assert grant(in_session=False, autonomous=False, trust=TrustLevel.DEFIANT).bound_w(T) == 0


def test_overdue_is_who_gives_no_answer_for_a_second_or_shows_no_lower_power_after_settling() -> None:
    g = confirmed(20_000)
    assert not g.overdue(T + 5, bound_w=g.bound_w(T + 5), patience_s=1)
    number = told(g, 10_000, T + 10)
    assert not g.overdue(T + 10.9, bound_w=g.bound_w(T + 10.9), patience_s=1)
    assert g.overdue(T + 11, bound_w=g.bound_w(T + 11), patience_s=1)
    g.accepted(number, now_s=T + 11)
    assert not g.overdue(T + 14, bound_w=g.bound_w(T + 14), patience_s=1)  # settling: it answered
    assert g.overdue(T + 16, bound_w=g.bound_w(T + 16), patience_s=1)  # no meter value since
    g.measured(10_000, at_s=T + 16)
    assert not g.overdue(T + 16, bound_w=g.bound_w(T + 16), patience_s=1)


def test_a_refused_decrease_is_overdue() -> None:
    g = confirmed(20_000)
    g.refused(told(g, 10_000, T + 10))
    assert g.overdue(T + 11, bound_w=g.bound_w(T + 11), patience_s=1)


def test_looks_come_early_for_an_overdraw_and_again_when_settled() -> None:
    g = grant()
    number = told(g, 20_000, T)
    assert g.look_due_s(T + 2) is None  # in flight: nothing is expected yet
    g.accepted(number, now_s=T)
    assert g.look_due_s(T + 2) == T + 1
    g.measured(20_000, at_s=T + 2)
    assert g.look_due_s(T + 2.5) is None
    assert g.look_due_s(T + 3) == T + 3
    g.measured(20_000, at_s=T + 3)
    assert g.look_due_s(T + 60) is None


def test_a_renewal_that_nobody_answered_may_hold_the_level_so_nothing_lower_is_expected() -> None:
    g = confirmed(20_000)
    told(g, 20_000, T + 90)
    assert g.expected_w() == 20_000
    g.measured(20_000, at_s=T + LIFE + EXPIRY_SKEW_S + 5)
    assert g.expected_w() is None
    assert g.bound_w(T + LIFE + EXPIRY_SKEW_S + 5) == 20_000


def test_a_pause_that_expired_and_is_told_again_settles_from_the_default() -> None:
    g = confirmed(0)
    back = T + 400
    g.accepted(told(g, 0, back), now_s=back)
    assert g.permitted_w(back + 1) == MIN
    assert g.look_due_s(back + 3) == back + 3
