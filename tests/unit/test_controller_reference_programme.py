"""The course of a reference test: what suits a stay, each phase, each way to break off."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.reference_programme import (
    HOLD_S,
    PAUSE_MOST_S,
    REST_S,
    STEP_PATIENCE_S,
    Course,
    Offer,
    Recipe,
    Seen,
    advanced,
    begun,
    fixed_s,
    recipe_for,
    steps_of,
)
from depot.reference_tests import ReferenceOutcome, ReferencePhase

NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
OFFER = Offer(most_w=50_000, least_w=5_000, battery_wh=100_000, lacks_wh=70_000, left_s=9 * 3600, pulses=3)
RECIPE = Recipe(rate_w=25_000, low_w=10_000, high_w=40_000, pulses=3)
CALM = Seen(
    NOW, present=True, reachable=True, session=False, against="", most_w=50_000, measured_w=None, told_w=0, soc=0.3, takes_nothing=False,
    lacks_wh=70_000, leaves_at=NOW + timedelta(hours=9),
)  # fmt: skip


def seen(after_s: float, **more: Any) -> Seen:
    return replace(CALM, now=NOW + timedelta(seconds=after_s), **more)


def at(phase: ReferencePhase, **more: Any) -> Course:
    return Course(phase, NOW, looked_at=NOW, step_since=NOW, **more)


# -- what suits a stay --------------------------------------------------------------------------------------------------


def test_a_long_stay_is_charged_at_a_quarter_of_the_battery_an_hour() -> None:
    assert recipe_for(OFFER) == RECIPE


def test_a_shorter_stay_is_charged_faster_and_never_beyond_the_upper_power_of_the_pulses() -> None:
    left_s = fixed_s(3) + 70_000 * 1.1 / 38_000 * 3600
    found = recipe_for(replace(OFFER, left_s=left_s))
    assert isinstance(found, Recipe)
    assert found.rate_w == pytest.approx(38_000, abs=5)
    assert found.high_w == 40_000


def test_a_stay_that_is_too_short_is_refused_with_its_times() -> None:
    found = recipe_for(replace(OFFER, left_s=3 * 3600))
    assert found == "the test takes 4 h 10 min, and the vehicle must be left alone in 3 h 0 min"


def test_a_charger_that_cannot_go_low_is_refused() -> None:
    assert "least power (30.0 kW) is too near" in str(recipe_for(replace(OFFER, least_w=30_000)))


# -- phases -------------------------------------------------------------------------------------------------------------


def test_it_rests_without_power_before_the_first_pulse() -> None:
    course = begun(RECIPE, NOW)
    course = advanced(RECIPE, course, seen(1, session=True, told_w=30_000, measured_w=30_000))
    assert (course.phase, course.limit_w, course.there_since) == (ReferencePhase.REST_BEFORE, 0, None)
    course = advanced(RECIPE, course, seen(30, session=True, measured_w=80))
    course = advanced(RECIPE, course, seen(29 + REST_S))
    assert course.phase is ReferencePhase.REST_BEFORE
    course = advanced(RECIPE, course, seen(30 + REST_S))
    assert (course.phase, course.limit_w) == (ReferencePhase.PULSES, 40_000)


def test_what_goes_on_to_draw_is_no_rest() -> None:
    course = begun(RECIPE, NOW)
    course = advanced(RECIPE, course, seen(901, session=True, measured_w=9_000))
    assert (course.outcome, course.why) == (ReferenceOutcome.BROKEN_OFF, "it did not come to rest within 15 minutes")


def test_pulses_go_down_and_up_and_each_power_is_held() -> None:
    course, levels, after_s = at(ReferencePhase.PULSES, limit_w=40_000), [], 0.0
    while course.phase is ReferencePhase.PULSES:
        after_s += 5
        levels.append(course.limit_w)
        course = advanced(RECIPE, course, seen(after_s, session=True, measured_w=course.limit_w, told_w=course.limit_w))
    changes = [a for a, b in zip(levels, [0, *levels], strict=False) if a != b]
    assert changes == [40_000, 10_000, 40_000, 10_000, 40_000, 10_000, 40_000]
    assert len(changes) == steps_of(3)
    assert after_s >= steps_of(3) * HOLD_S
    assert (course.phase, course.limit_w) == (ReferencePhase.CHARGE, 25_000)


def test_a_pulse_that_does_not_come_breaks_it_off_with_what_held_it_back() -> None:
    course = at(ReferencePhase.PULSES, limit_w=40_000)
    course = advanced(RECIPE, course, seen(STEP_PATIENCE_S, session=True, measured_w=22_000, told_w=22_000))
    assert not course.over
    course = advanced(RECIPE, course, seen(STEP_PATIENCE_S + 1, session=True, measured_w=22_000, held_by="its feeder had no room"))
    assert course.why == "a pulse wanted 40.0 kW, and it drew 22.0 kW (its feeder had no room)"


@pytest.mark.parametrize("full", [{"takes_nothing": True}, {"soc": 0.995, "measured_w": 100}])
def test_a_full_battery_ends_the_charge_and_rests(full: dict[str, Any]) -> None:
    course = advanced(RECIPE, at(ReferencePhase.CHARGE), seen(3600, session=True, told_w=25_000, lacks_wh=0, **full))
    assert (course.phase, course.limit_w) == (ReferencePhase.REST_AFTER, 0)


def test_a_battery_that_goes_on_taking_a_little_is_full_after_half_an_hour() -> None:
    course = at(ReferencePhase.CHARGE)
    more: dict[str, Any] = {"session": True, "told_w": 25_000, "measured_w": 2_000, "soc": 1.0, "lacks_wh": 0}
    course = advanced(RECIPE, course, seen(10, **more))
    assert course.phase is ReferencePhase.CHARGE
    assert advanced(RECIPE, course, seen(10 + 1800, **more)).phase is ReferencePhase.REST_AFTER


def test_who_is_held_back_goes_on_and_counts_it_and_who_stands_still_breaks_off() -> None:
    course = at(ReferencePhase.CHARGE)
    course = advanced(RECIPE, course, seen(60, session=True, told_w=12_000, measured_w=12_000, held_by="the site had no room"))
    assert (course.phase, course.held_back_s) == (ReferencePhase.CHARGE, 60.0)
    course = advanced(RECIPE, course, seen(70, session=True, held_by="the site had no room"))
    course = advanced(RECIPE, course, seen(71 + PAUSE_MOST_S, session=True, held_by="the site had no room"))
    assert course.why == "its charge stood still for 20 minutes: the site had no room"


def test_it_is_done_after_the_second_rest() -> None:
    course = advanced(RECIPE, at(ReferencePhase.REST_AFTER), seen(0, session=True, lacks_wh=0))
    course = advanced(RECIPE, course, seen(REST_S, session=True, lacks_wh=0))
    assert (course.phase, course.outcome, course.why) == (ReferencePhase.OVER, ReferenceOutcome.DONE, "")
    assert advanced(RECIPE, course, seen(9_999, present=False)) == course


# -- what ends it before its time ---------------------------------------------------------------------------------------

RUNNING = [ReferencePhase.REST_BEFORE, ReferencePhase.PULSES, ReferencePhase.CHARGE, ReferencePhase.REST_AFTER]


@pytest.mark.parametrize("phase", RUNNING)
@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"present": False}, "the vehicle left"),
        ({"against": "E-1/P1 is tripped"}, "E-1/P1 is tripped"),
        ({"leaves_at": NOW + timedelta(minutes=20)}, "must be left alone in 20 min"),
        ({"leaves_at": NOW - timedelta(minutes=20)}, "must be left alone in 0 min"),
    ],
)
def test_in_every_phase_leaving_safety_and_departure_come_first(phase: ReferencePhase, more: dict[str, Any], why: str) -> None:
    course = advanced(RECIPE, at(phase, limit_w=9_000), seen(0, **more))
    assert (course.outcome, course.limit_w) == (ReferenceOutcome.BROKEN_OFF, 0)
    assert why in course.why


def test_a_charger_out_of_reach_is_waited_for_five_minutes() -> None:
    course = advanced(RECIPE, at(ReferencePhase.CHARGE), seen(10, reachable=False, session=True, told_w=25_000))
    course = advanced(RECIPE, course, seen(310, reachable=False, session=True, told_w=25_000))
    assert not course.over
    assert not advanced(RECIPE, course, seen(315, session=True, told_w=25_000)).over
    assert "out of reach" in advanced(RECIPE, course, seen(311, reachable=False, session=True, told_w=25_000)).why


def test_a_battery_that_is_held_back_is_not_pulsed() -> None:
    course = advanced(RECIPE, at(ReferencePhase.PULSES), seen(5, session=True, most_w=20_000))
    assert course.why == "it may take 20.0 kW now, and the pulses need 40.0 kW"
