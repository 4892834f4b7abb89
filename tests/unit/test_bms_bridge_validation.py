"""Whether a sample is believed: ranges, sensors that lie, order and clocks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bms_bridge.contract import PackSample, Source
from bms_bridge.validation import SAME_CHANGES, Checked, IssueKind, Memory, check
from depot.values import PackKey

START = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
PACK = PackKey("BUS7", "P1")


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
