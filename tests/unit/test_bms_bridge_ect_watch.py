"""Hot packs of a depot: kept from 70 °C on, scored about once a second, alarmed early, silent in an ordinary summer."""

from __future__ import annotations

import pytest

from bms_bridge.chemistry import Chemistry
from bms_bridge.ect.watch import Alarm, EctWatch, Score
from bms_bridge.pack_propagation import Advice
from depot.values import PackKey

BUS = PackKey("BUS7", "P1")
OTHER = PackKey("BUS8", "P1")


def soak(watch: EctWatch, *celsius: float, minutes: float, start_s: float = 0.0, chemistry: Chemistry = Chemistry.LFP) -> Score | None:
    """A pack whose sensors say ``celsius`` for so long, a sample a second, or every 15 s where it takes long."""
    for second in range(0, int(minutes * 60) + 1, 1 if minutes <= 1 else 15):
        watch.hear(BUS, chemistry, list(enumerate(celsius)), start_s + second)
        watch.tick(start_s + second)
    return watch.score_of(BUS)


def test_a_summer_of_55_degrees_is_not_even_kept() -> None:
    watch = EctWatch()
    for second in range(1000):
        watch.hear(BUS, Chemistry.UNKNOWN, [(0, 45.0), (1, 55.0), (2, 62.0)], second * 3600.0)
        assert watch.tick(second * 3600.0) == []
    assert watch.score_of(BUS) is None


def test_the_inside_is_taken_as_hotter_than_the_sensor() -> None:
    assert soak(EctWatch(inner_offset_k=0.0), 68.0, minutes=0.1) is None
    assert soak(EctWatch(inner_offset_k=5.0), 66.0, minutes=0.1) is not None
    score = soak(EctWatch(inner_offset_k=5.0), 95.0, minutes=0.1)
    assert score is not None
    assert score.node_c == pytest.approx(100.0)
    assert score.state_of_safety == pytest.approx(1 - 0.5 * 10 / 120, abs=0.001)


def test_a_pack_at_the_gate_is_scored_but_not_alarmed_for_its_score() -> None:
    score = soak(EctWatch(), 70.0, 66.0, minutes=5)
    assert score is not None
    assert score.state_of_safety > 0.99
    assert score.stage == 0
    assert score.alarm is None


def test_a_hundred_degrees_for_an_hour_derate() -> None:
    score = soak(EctWatch(), 95.0, 60.0, minutes=60)
    assert score is not None
    assert 0.5 < score.state_of_safety < 0.9
    assert score.coldest > 0.99
    assert score.alarm is Alarm.DERATE
    assert score.stage == 1


def test_ten_minutes_before_a_runaway_it_trips_though_the_score_is_high() -> None:
    score = soak(EctWatch(), 130.0, 90.0, minutes=0.1)
    assert score is not None
    assert score.state_of_safety > 0.75
    assert score.runaway_in_s[0] is not None
    assert score.runaway_in_s[0] < 600
    assert score.alarm is Alarm.TRIP
    assert score.stage == 2


def test_a_pack_that_warms_fast_has_less_time() -> None:
    steady, rising = EctWatch(), EctWatch()
    calm = soak(steady, 90.0, minutes=1)
    for second in range(61):
        rising.hear(BUS, Chemistry.LFP, [(0, 84.0 + second * 0.1)], float(second))
        rising.tick(float(second))
    risen = rising.score_of(BUS)
    assert calm is not None
    assert risen is not None
    assert calm.runaway_in_s[0] is not None
    assert risen.runaway_in_s[0] is not None
    assert risen.runaway_in_s[0] < calm.runaway_in_s[0] / 4


@pytest.mark.parametrize("chemistry", list(Chemistry))
@pytest.mark.parametrize("celsius", [70.0, 85.0, 110.0, 140.0, 190.0])
def test_the_earliest_time_is_not_after_the_latest(chemistry: Chemistry, celsius: float) -> None:
    score = soak(EctWatch(), celsius, minutes=0.2, chemistry=chemistry)
    assert score is not None
    early, late = score.runaway_in_s
    assert early is not None
    assert late is None or early <= late


def test_what_is_spent_stays_spent_until_a_person_has_looked() -> None:
    watch = EctWatch()
    hot = soak(watch, 115.0, minutes=30)
    cold = soak(watch, 30.0, minutes=1, start_s=2000.0)
    assert hot is not None
    assert cold is not None
    assert cold.state_of_safety < 0.9
    assert cold.runaway_in_s == (None, None)
    watch.forget(BUS)
    assert watch.score_of(BUS) is None
    assert soak(watch, 30.0, minutes=0.1, start_s=3000.0) is None
    again = soak(watch, 71.0, minutes=0.1, start_s=4000.0)
    assert again is not None
    assert again.state_of_safety > 0.99


def test_packs_do_not_touch_each_other() -> None:
    watch = EctWatch()
    for second in range(0, 600, 10):
        watch.hear(BUS, Chemistry.LFP, list(enumerate([120.0] * 40)), float(second))
        watch.hear(OTHER, Chemistry.LFP, list(enumerate([71.0] * 40)), float(second))
        watch.tick(float(second))
    hot, warm = watch.score_of(BUS), watch.score_of(OTHER)
    assert hot is not None
    assert warm is not None
    assert hot.state_of_safety < 0.85
    assert warm.state_of_safety > 0.99


def test_a_pack_that_falls_silent_while_hot_goes_on_as_it_was() -> None:
    watch = EctWatch()
    soak(watch, 110.0, minutes=1)
    for second in range(61, 3600, 10):
        watch.tick(float(second))
    later = watch.score_of(BUS)
    assert later is not None
    assert later.state_of_safety < 0.75


def test_a_clock_that_stood_still_or_jumped_does_no_harm() -> None:
    watch = EctWatch()
    soak(watch, 110.0, minutes=1)
    before = watch.score_of(BUS)
    watch.tick(30.0)
    watch.tick(30.0)
    watch.tick(1e9)
    after = watch.score_of(BUS)
    assert before is not None
    assert after is not None
    assert after.state_of_safety == pytest.approx(before.state_of_safety, abs=0.05)


def test_two_sensors_in_runaway_within_90_seconds_are_a_lost_pack() -> None:
    watch = EctWatch()
    soak(watch, 125.0, 90.0, 90.0, minutes=0.2)
    calm = soak(watch, 140.0, 90.0, 90.0, minutes=0.2, start_s=20.0)
    lost = soak(watch, 150.0, 131.0, 90.0, minutes=0.2, start_s=80.0)
    assert calm is not None
    assert lost is not None
    assert (calm.spreads, lost.spreads) == (Advice.MAINTENANCE, Advice.EVACUATE)


def test_a_pack_that_warms_by_a_kelvin_a_second_is_in_stage_3_whatever_its_temperature() -> None:
    watch = EctWatch()
    for second in range(40):
        watch.hear(BUS, Chemistry.LFP, [(0, 60.0 + 1.2 * second)], float(second))
        watch.tick(float(second))
    score = watch.score_of(BUS)
    assert score is not None
    assert score.stage == 3


def test_an_internal_short_at_81_degrees_is_not_seen_by_the_score() -> None:
    """What it is not: cells with an internal short ran away from about 80 °C. The score sees nothing there; other rules must."""
    score = soak(EctWatch(inner_offset_k=0.0), 81.0, minutes=1)
    assert score is not None
    assert score.state_of_safety > 0.99
