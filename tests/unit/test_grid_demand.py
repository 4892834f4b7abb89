"""Demand blocks: clock-aligned means, the expected end, the month's peak."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid import GridError
from grid.demand import DemandBlocks

START = datetime(2026, 1, 12, 10, 0, tzinfo=UTC)
"""15:30 in Kolkata: a block boundary of 15 and of 30 minutes there, and not of 60."""


def played(blocks: DemandBlocks, powers: list[int], *, start: datetime = START, step_s: int = 10) -> DemandBlocks:
    for k, power_w in enumerate(powers):
        blocks = blocks.advanced(start + timedelta(seconds=k * step_s), power_w)
    return blocks


def test_mean_and_expected_of_the_running_block() -> None:
    blocks = played(DemandBlocks(), [90_000] * 31 + [30_000])
    status = blocks.status(START + timedelta(seconds=310))
    assert (status.begins_at, status.ends_at) == (START, START + timedelta(minutes=15))
    assert status.mean_w == 90_000
    assert status.expected_w == round((90_000 * 310 + 30_000 * 590) / 900)
    assert status.covered == 1.0


def test_blocks_follow_the_local_clock() -> None:
    status = DemandBlocks(interval_min=60).status(START + timedelta(minutes=5))
    assert (status.begins_at, status.ends_at) == (START - timedelta(minutes=30), START + timedelta(minutes=30))


def test_a_finished_block_sets_the_months_peak() -> None:
    blocks = played(DemandBlocks(month_peak_w=50_000), [60_000] * 90 + [10_000] * 90 + [0])
    assert blocks.status(START + timedelta(minutes=30, seconds=5)).month_peak_w == 60_000
    assert played(DemandBlocks(month_peak_w=70_000), [60_000] * 91).month_peak_w == 70_000


def test_a_new_month_starts_at_zero_at_local_midnight() -> None:
    last_block = datetime(2026, 1, 31, 18, 15, tzinfo=UTC)
    blocks = played(DemandBlocks(month_peak_w=80_000), [40_000] * 90, start=last_block)
    assert blocks.month_peak_w == 80_000
    assert blocks.advanced(datetime(2026, 1, 31, 18, 30, tzinfo=UTC), 1000).month_peak_w == 0


def test_a_start_just_before_the_end_does_not_set_a_peak() -> None:
    blocks = played(DemandBlocks(), [200_000] * 4, start=START + timedelta(minutes=14, seconds=30))
    assert blocks.month_peak_w == 0
    assert blocks.status(START + timedelta(minutes=15, seconds=1)).mean_w == 200_000


def test_silence_is_not_made_up() -> None:
    blocks = DemandBlocks().advanced(START, 100_000)
    status = blocks.status(START + timedelta(minutes=10))
    assert status.covered == pytest.approx(0.1)
    assert status.mean_w == 100_000
    quiet = blocks.advanced(START + timedelta(hours=3), 5_000)
    assert quiet.month_peak_w == 0
    assert quiet.status(START + timedelta(hours=3)).mean_w is None


def test_nothing_measured_yet_is_unknown() -> None:
    status = DemandBlocks().status(START)
    assert (status.mean_w, status.expected_w) == (None, None)


def test_an_older_reading_changes_nothing() -> None:
    blocks = played(DemandBlocks(), [10_000, 20_000])
    assert blocks.advanced(START, 99_000) is blocks


def test_allowed_power_takes_the_block_to_its_limit() -> None:
    blocks = played(DemandBlocks(), [90_000] * 30)
    now = START + timedelta(seconds=300)
    allowed = blocks.allowed_w(60_000, now)
    assert allowed == 45_000
    assert blocks.advanced(now, allowed).status(now).expected_w == 60_000


@given(st.lists(st.integers(-50_000, 400_000), min_size=181, max_size=181), st.sampled_from([15, 30]))
def test_the_peak_is_the_highest_mean_of_the_whole_blocks(powers: list[int], interval_min: int) -> None:
    per_block = interval_min * 6
    means = [sum(powers[k : k + per_block]) / per_block for k in range(0, 180, per_block)]
    assert played(DemandBlocks(interval_min=interval_min), powers).month_peak_w == max(0, *(round(mean) for mean in means))


def test_blocks_that_do_not_fill_a_day_are_refused() -> None:
    with pytest.raises(GridError, match="use 15 or 30"):
        DemandBlocks(interval_min=7)
