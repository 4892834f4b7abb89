"""Whether a sample is believed: ranges, sensors that lie, order and clocks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bms_bridge.charging import Charging
from bms_bridge.contract import PackSample, Source
from bms_bridge.validation import SAME_CHANGES, Around, Checked, IssueKind, Memory, check
from depot.values import PackKey

START = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
PACK = PackKey("BUS7", "P1")
CHARGING = Charging(told_w=80_000, metered_w=62_000, running_s=100.0, taken_wh=2000.0)


def sample(
    received_s: float, reported_s: float | None = None, temperatures: Iterable[float | None] = (25, 26, 27, 28), **more: Any
) -> PackSample:
    reported_at = START + timedelta(seconds=received_s if reported_s is None else reported_s)
    fields = {"reported_at": reported_at, "source": Source.MQTT} | more
    return PackSample(pack=PACK, received_at=START + timedelta(seconds=received_s), temperatures_c=tuple(temperatures), **fields)


def run(samples: Iterable[PackSample]) -> list[Checked]:
    memory, found = Memory(), []
    for one in samples:
        memory, checked = check(memory, one)
        found.append(checked)
    return found


def kinds(checked: Checked) -> list[IssueKind]:
    return [issue.kind for issue in checked.issues]


def test_a_sound_sample_has_no_issue() -> None:
    checked = run([sample(0, soc=0.5, current_a=100.0)])[0]
    assert not checked.issues
    assert (checked.hottest_c, checked.coldest_c, checked.spread_c, checked.distinct) == (28, 25, 3, 4)


@pytest.mark.parametrize("value", [-41, 201, 215, 32767, float("nan"), float("inf")])
def test_a_temperature_that_cannot_be_is_left_out(value: float) -> None:
    checked = run([sample(0, temperatures=[25, 25, 25, value])])[0]
    assert checked.hottest_c == 25
    assert checked.distinct == 3
    assert kinds(checked) == [IssueKind.RANGE]


def test_percent_is_not_a_fraction() -> None:
    checked = run([sample(0, soc=87.0)])[0]
    assert checked.soc is None
    assert "fraction" in checked.issues[0].text
    assert checked.hottest_c == 28


def test_a_missing_sensor_does_not_count() -> None:
    checked = run([sample(0, temperatures=[25, None, 26, 27])])[0]
    assert checked.distinct == 3
    assert kinds(checked) == [IssueKind.MISSING]


def test_a_stuck_sensor_does_not_count_but_its_heat_does() -> None:
    found = run(sample(t, temperatures=[25 + t / 60, 26 + t / 61, 50.0, 27 + t / 59]) for t in range(0, 1200, 30))
    assert found[10].distinct == 4
    assert found[-1].distinct == 3
    assert kinds(found[-1]) == [IssueKind.STUCK]
    assert found[-1].hottest_c == 50


def test_a_pack_at_rest_has_no_stuck_sensors() -> None:
    found = run(sample(t) for t in range(0, 7200, 30))
    assert all(checked.distinct == 4 and not checked.issues for checked in found)


def test_a_sensor_that_repeats_another_does_not_count() -> None:
    found = run(sample(t, temperatures=[25 + t / 7, 26 + t / 11, 25 + t / 7, 27 + t / 13]) for t in range(2 * SAME_CHANGES))
    assert found[0].distinct == 4
    assert found[-1].distinct == 3
    assert "sensor 2 repeats sensor 0" in found[-1].issues[0].text


def test_out_of_order_is_late() -> None:
    found = run([sample(0, 0), sample(1, 1), sample(2, 0.5), sample(3, 3)])
    assert [checked.late for checked in found] == [False, False, True, False]


def test_a_queue_that_is_emptied_is_late_by_its_age() -> None:
    found = run([*(sample(t, t) for t in range(5)), *(sample(300 + t / 100, 10 + t) for t in range(200)), sample(302, 302)])
    assert [round(checked.age_s) for checked in found[5:8]] == [290, 289, 288]
    assert all(checked.late for checked in found[5:205])
    assert not found[-1].late


@pytest.mark.parametrize("wrong_s", [-20_000, 20_000])
def test_a_clock_that_is_wrong_from_the_start_does_not_matter(wrong_s: float) -> None:
    found = run(sample(t, t + wrong_s) for t in range(20))
    assert not any(checked.late or checked.issues for checked in found)


@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_a_clock_that_is_set_is_believed_again_after_a_while(jump_s: float) -> None:
    found = run([*(sample(t, t) for t in range(0, 60, 5)), *(sample(t, t + jump_s) for t in range(60, 180, 5))])
    assert not found[-1].late
    assert sum(checked.late for checked in found) <= 12


def test_a_store_of_the_past_that_is_emptied_slowly_is_not_taken_for_a_set_clock() -> None:
    past = [sample(60 + t / 3, -4000 + t) for t in range(600)]  # three times as fast as it was filled
    live = [sample(60.1 + t, 60.1 + t) for t in range(0, 200, 10)]
    found = run(sorted([*(sample(t, t) for t in range(60)), *past, *live], key=lambda s: s.received_at))
    assert sum(checked.late for checked in found) == len(past)
    found = run([*(sample(t, t) for t in range(60)), *past])
    assert all(checked.late for checked in found[60:])


def test_a_time_that_is_years_off_counts_as_none() -> None:
    checked = run([sample(0, -1e9)])[0]
    assert not checked.late
    assert kinds(checked) == [IssueKind.CLOCK]


def test_what_the_broker_had_kept_is_never_news() -> None:
    found = run([sample(0, -5, retained=True), sample(1, -3600, retained=True), sample(2, -1e9, retained=True), sample(3)])
    assert [(checked.late, checked.too_old) for checked in found] == [(True, False), (True, True), (True, True), (False, False)]


def test_without_a_time_of_its_own_arrival_counts() -> None:
    checked = run([sample(0, reported_at=None, source=Source.OCPP, temperatures=[31])])[0]
    assert (checked.late, checked.age_s, checked.issues) == (False, 0, ())


# -- order and clocks ---------------------------------------------------------------------------------------------------


def texts(checked: Checked, kind: IssueKind) -> list[str]:
    return [issue.text for issue in checked.issues if issue.kind is kind]


def test_what_came_before_says_nothing_new() -> None:
    found = run([sample(0, 0, sequence=7), sample(1, 0, sequence=7), sample(2, 1, sequence=8), sample(3, 0, sequence=7)])
    assert [(checked.repeated, checked.late) for checked in found] == [(False, False), (True, True), (False, False), (True, True)]
    assert kinds(found[1]) == [IssueKind.REPEATED]


def test_a_sequence_that_stands_still_hides_nothing() -> None:
    found = run(sample(t, sequence=1) for t in range(20))
    assert not any(checked.repeated or checked.issues for checked in found)


def test_missing_samples_are_counted_and_a_unit_may_begin_anew() -> None:
    found = run([sample(0, sequence=1), sample(1, sequence=5), sample(2, sequence=6), sample(3, sequence=0), sample(4, sequence=1)])
    assert [texts(checked, IssueKind.LOST) for checked in found] == [[], ["3 samples before it did not come"], [], [], []]


def test_a_clock_that_stands_still_is_found_out_by_values_that_change() -> None:
    found = run(sample(t, 0, temperatures=[25 + t / 10, 26, 27, 28]) for t in range(120))
    assert sum(checked.late for checked in found) <= 1
    assert not found[-1].late
    assert "stood still" in texts(found[-1], IssueKind.CLOCK)[0]


def test_a_unit_that_repeats_itself_is_no_news_however_long() -> None:
    found = run(sample(t, 0) for t in range(300))
    assert all(checked.repeated for checked in found[1:])


def test_a_clock_that_goes_on_after_it_stood_still_is_followed_again() -> None:
    still = [sample(t, 0, temperatures=[25 + t / 10, 26, 27, 28]) for t in range(120)]
    found = run([*still, *(sample(t, t) for t in range(120, 200))])
    assert not any(checked.late for checked in found[121:])
    found = run([*still, *(sample(t, t - 119) for t in range(120, 200))])
    assert not found[-1].late


def test_a_clock_of_another_age_is_followed_by_its_steps() -> None:
    found = run([*(sample(t, t - 1.7e9) for t in range(100)), sample(100, 20 - 1.7e9), sample(101, 101 - 1.7e9)])
    assert [checked.late for checked in found[98:]] == [False, False, True, False]
    found = run([sample(0, -1.7e9), sample(1, 1), sample(2, 2)])  # it has heard the time
    assert [checked.late for checked in found] == [False, False, False]


def test_a_queue_that_falls_behind_slowly_is_late_in_the_end() -> None:
    """A tenth of every second: no clock loses so much, so it is the way that has become longer."""
    found = run(sample(t * 1.1, t) for t in range(600))
    assert not found[100].late
    assert found[-1].late
    assert 50 < found[-1].age_s <= 60


@pytest.mark.parametrize(("drift", "word"), [(5e-4, "loses 43 s a day"), (-5e-4, "gains 43 s a day")])
def test_a_clock_that_drifts_is_allowed_for_and_told(drift: float, word: str) -> None:
    found = run(sample(t, t * (1 - drift)) for t in range(0, 20_000, 10))
    assert not any(checked.late for checked in found)
    said = [text for checked in found for text in texts(checked, IssueKind.CLOCK)]
    assert 4 <= len(said) <= 5
    assert word in said[-1]
    assert max(checked.age_s for checked in found) < 1


# -- units and numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("soc", 87.0, "percent"),
        ("soc", 870.0, "0.1 percent"),
        ("current_a", 184_500.0, "mA"),
        ("voltage_v", 648_000.0, "mV"),
        ("voltage_v", 6480.0, "0.1 V"),
        ("cell_max_v", 3310.0, "mV"),
        ("limit_a", -5.0, "0 to 3000"),
    ],
)
def test_a_number_in_another_unit_is_left_out_and_named(field: str, value: float, words: str) -> None:
    checked = run([sample(0, **{field: value})])[0]
    assert getattr(checked, field) is None
    assert kinds(checked) == [IssueKind.RANGE]
    assert checked.issues[0].field == field
    assert words in checked.issues[0].text


@pytest.mark.parametrize(
    ("value", "words"), [(298.1, "K"), (2981.0, "0.1 K"), (251.0, "0.1 °C"), (215.0, "not available"), (32767.0, "not available")]
)
def test_a_temperature_in_another_unit_is_left_out_and_named(value: float, words: str) -> None:
    checked = run([sample(0, temperatures=[25, 25, 25, value])])[0]
    assert checked.distinct == 3
    assert words in checked.issues[0].text


def test_what_looks_like_fahrenheit_is_told_but_taken_as_it_stands() -> None:
    found = run(sample(t, temperatures=[77, 78, 77.5, 79]) for t in range(3))
    assert found[-1].hottest_c == 79
    assert "°F" in texts(found[-1], IssueKind.UNIT)[0]
    found = run([sample(0), *(sample(t, temperatures=[77, 78, 77.5, 79]) for t in range(1, 4))])
    assert not texts(found[-1], IssueKind.UNIT), "it was cool before: it is hot"


def test_a_sender_of_percent_is_not_believed_when_it_says_one() -> None:
    found = run([*(sample(t, soc=80.0 - t) for t in range(5)), sample(5, soc=0.9)])
    assert found[-1].soc is None
    assert kinds(found[-1]) == [IssueKind.UNIT]
    found = run([*(sample(t, soc=80.0 - t) for t in range(5)), *(sample(t, soc=0.5) for t in range(5, 80))])
    assert found[-1].soc == 0.5, "it was put right"


def test_one_wild_value_blinds_nothing() -> None:
    found = run([sample(0, soc=0.5), sample(1, soc=50.0), sample(2, soc=0.5)])
    assert [checked.soc for checked in found] == [0.5, None, 0.5]


def test_a_state_of_charge_that_jumps_is_told() -> None:
    found = run([sample(0, soc=0.5), sample(10, soc=0.53), sample(20, soc=0.8), sample(5000, soc=0.3)])
    assert [len(texts(checked, IssueKind.JUMP)) for checked in found] == [0, 0, 1, 0]
    assert found[2].soc == 0.8


@pytest.mark.parametrize(("current_a", "words"), [(-100.0, "the other way round"), (1000.0, "0.1 A")])
def test_a_current_that_the_charger_contradicts_is_left_out_after_a_minute(current_a: float, words: str) -> None:
    memory = Memory()
    found = []
    for t in range(90):
        memory, checked = check(memory, sample(t, current_a=current_a, voltage_v=600.0), Around(charging=lambda: CHARGING))
        found.append(checked)
    assert found[30].current_a == current_a
    assert found[-1].current_a is None
    assert words in texts(found[-1], IssueKind.SIGN)[0]
    memory, checked = check(memory, sample(95, current_a=100.0, voltage_v=600.0), Around(charging=lambda: CHARGING))
    assert checked.current_a == 100.0


def test_a_current_that_the_charger_agrees_with_is_believed() -> None:
    memory = Memory()
    for t in range(120):
        memory, checked = check(memory, sample(t, current_a=100.0, voltage_v=600.0), Around(charging=lambda: CHARGING))
        assert checked.current_a == 100.0


def test_insulation_that_looks_like_kilo_ohms_is_told_but_kept() -> None:
    checked = run([sample(0, insulation_ohm=900.0, voltage_v=600.0)])[0]
    assert checked.insulation_ohm == 900.0
    assert "kΩ" in texts(checked, IssueKind.UNIT)[0]


def test_a_sensor_that_falls_faster_than_any_mass_cools_does_not_count_for_that_sample() -> None:
    found = run([sample(0), sample(1, temperatures=[25, 26, 58, 28]), sample(2), sample(3)])
    assert [checked.distinct for checked in found] == [4, 4, 3, 4]
    assert "sensor 2 fell by 31 K in 1 s" in texts(found[2], IssueKind.JUMP)[0]


def test_another_firmware_is_told_and_learned_anew() -> None:
    found = run([*(sample(t, soc=80.0, firmware="1.0") for t in range(4)), sample(4, soc=0.8, firmware="1.1")])
    assert found[-1].soc == 0.8
    assert "'1.1' now, before it was '1.0'" in texts(found[-1], IssueKind.FIRMWARE)[0]


# -- cells --------------------------------------------------------------------------------------------------------------


def cells(number: int, base: float = 3.3, step: float = 0.001) -> tuple[float, ...]:
    return tuple(round(base + step * ((k * 7) % 13), 4) for k in range(number))


def test_sound_cells_have_no_issue_and_give_lowest_and_highest() -> None:
    checked = run([sample(0, cells_v=cells(96), voltage_v=sum(cells(96)))])[0]
    assert not checked.issues
    assert (checked.cell_min_v, checked.cell_max_v, checked.cells_v) == (3.3, 3.312, cells(96))


def test_cells_that_cannot_be_are_left_out_one_by_one() -> None:
    told = (3.3, None, 3290.0, float("nan"), 3.31)
    checked = run([sample(0, cells_v=told)])[0]
    assert checked.cells_v == (3.3, None, None, None, 3.31)
    assert kinds(checked) == [IssueKind.MISSING, IssueKind.RANGE]
    assert "mV" in checked.issues[1].text


def test_another_number_of_cells_is_told() -> None:
    found = run([sample(0, cells_v=cells(96)), sample(1, cells_v=cells(90)), sample(2, cells_v=cells(90))])
    assert [texts(checked, IssueKind.CELLS) for checked in found] == [[], ["it tells 90 cells; before it told 96"], []]


def test_the_more_dangerous_word_about_cells_counts() -> None:
    checked = run([sample(0, cells_v=cells(8, 3.6), cell_min_v=3.6, cell_max_v=3.4)])[0]
    assert (checked.cell_min_v, checked.cell_max_v) == (3.4, 3.61)
    assert len(texts(checked, IssueKind.CELLS)) == 2
    checked = run([sample(0, cells_v=cells(8, 3.6), cell_max_v=4.3)])[0]
    assert checked.cell_max_v == 4.3


def test_cells_that_do_not_add_up_are_told_when_it_lasts() -> None:
    found = run(sample(t, cells_v=cells(96), voltage_v=250.0) for t in range(4))
    assert [len(texts(checked, IssueKind.CELLS)) for checked in found] == [0, 0, 1, 1]
    two_strings = run(sample(t, cells_v=cells(96), voltage_v=sum(cells(48))) for t in range(4))
    assert not any(checked.issues for checked in two_strings)


def test_cells_that_do_not_follow_a_current_are_a_copy() -> None:
    found = run(sample(t, cells_v=cells(16), current_a=0.0 if t < 5 else 120.0) for t in range(30))
    assert not found[4].issues
    assert "no cell has moved" in texts(found[-1], IssueKind.STUCK)[0]


def test_a_stuck_cell_is_doubtful() -> None:
    def told(t: int) -> tuple[float, ...]:
        return (*(round(v + t * 1e-4, 4) for v in cells(16)), 3.35)

    found = run(sample(t, cells_v=told(t)) for t in range(0, 900, 5))
    assert found[50].doubtful_cells == ()
    assert found[-1].doubtful_cells == (16,)
    assert texts(found[-1], IssueKind.STUCK) == ["cells 16 have not moved while the others did"]


def test_a_module_told_twice_is_found() -> None:
    def told(t: int) -> tuple[float, ...]:
        one = tuple(round(3.3 + 0.001 * ((k * 5 + t) % 11), 4) for k in range(12))
        return (*one, *(round(v + 0.0137, 4) for v in one), *one)

    found = run(sample(t, cells_v=told(t)) for t in range(0, 120, 2))
    assert "cells 24 to 31 repeat cells 0 to 7" in texts(found[-1], IssueKind.DUPLICATE)[0]
    assert not texts(found[10], IssueKind.DUPLICATE)
