"""Demand blocks: clock-aligned means, the expected end, the month's peak."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
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


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-50_000, 400_000), min_size=181, max_size=181), st.sampled_from([15, 30]))
def test_the_peak_is_the_highest_mean_of_the_whole_blocks(powers: list[int], interval_min: int) -> None:
    per_block = interval_min * 6
    imports = [max(0, power_w) for power_w in powers]  # what flows to the grid takes nothing off a block
    means = [sum(imports[k : k + per_block]) / per_block for k in range(0, 180, per_block)]
    assert played(DemandBlocks(interval_min=interval_min), powers).month_peak_w == max(0, *(round(mean) for mean in means))


def test_blocks_that_do_not_fill_a_day_are_refused() -> None:
    with pytest.raises(GridError, match="use 15 or 30"):
        DemandBlocks(interval_min=7)


def test_finished_blocks_are_kept_as_the_meter_keeps_them() -> None:
    state, kept = DemandBlocks(), []
    for k in range(182):
        state = state.advanced(START + timedelta(seconds=10 * k), -6_000 if k % 2 else 90_000, apparent_va=100_000)
        kept += state.finished
    first, second = kept
    assert (first.begins_at, first.minutes, first.import_wh, first.export_wh, first.covered) == (START, 15, 11_250, 750, 1.0)
    assert second.begins_at == START + timedelta(minutes=15)
    assert first.import_vah == 12_500  # of the half of the time in which it imported
    assert state.status(START + timedelta(minutes=30, seconds=30)).mean_va is not None


def test_a_silent_block_leaves_no_record_and_a_gap_is_marked() -> None:
    state = played(DemandBlocks(), [60_000] * 45)  # seven and a half minutes
    state = state.advanced(START + timedelta(minutes=45), 10_000)
    (block,) = state.finished
    assert block.import_wh == round(60 * 500 / 3.6)  # held for a minute beyond the last reading
    assert block.covered == pytest.approx((440 + 60) / 900)


def test_the_meters_clock_moves_the_blocks() -> None:
    ahead = DemandBlocks(clock_offset_s=40)
    state = played(ahead, [30_000] * 87)  # until 14:20 after the start by our clock
    assert state.finished[0].begins_at == START
    assert state.status(START + timedelta(seconds=860)).begins_at == START + timedelta(seconds=860)


def test_a_register_tells_more_than_sampled_power() -> None:
    """Power is read between the peaks of a load that cycles: the register has seen them."""
    state, register = DemandBlocks(), 5_000_000
    for k in range(91):
        state = state.advanced(START + timedelta(seconds=10 * k), 36_000, import_wh=register)
        register += 120  # 43.2 kW
    assert state.finished[0].import_wh == pytest.approx(10_800, abs=240)
    silent = played(DemandBlocks(), [36_000] * 30).advanced(START + timedelta(minutes=12), 36_000)
    assert silent.status(START + timedelta(minutes=13)).covered < 0.6


def test_a_register_bridges_a_silence_inside_of_a_block_and_survives_a_new_meter() -> None:
    state = DemandBlocks()
    for k in range(10):
        state = state.advanced(START + timedelta(seconds=10 * k), 36_000, import_wh=1000 + 100 * k)
    state = state.advanced(START + timedelta(seconds=690), 36_000, import_wh=1000 + 6_900)
    status = state.status(START + timedelta(seconds=700))
    assert (status.covered, status.mean_w) == (1.0, pytest.approx(36_000, rel=0.02))
    replaced = state.advanced(START + timedelta(seconds=700), 36_000, import_wh=3)
    assert replaced.status(START + timedelta(seconds=710)).mean_w == pytest.approx(36_000, rel=0.02)
    jumped = state.advanced(START + timedelta(seconds=700), 36_000, import_wh=9_000_000)
    assert jumped.status(START + timedelta(seconds=710)).mean_w == pytest.approx(36_000, rel=0.02)


def test_what_is_foreseen_counts_for_the_end() -> None:
    blocks = played(DemandBlocks(), [60_000] * 31)
    status = blocks.status(START + timedelta(seconds=300), ahead=((300.0, 120_000.0),))
    assert status.expected_w == round((60 * 600 + 120 * 300) / 900 * 1000)
