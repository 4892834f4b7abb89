"""Cells that lose charge: found, measured, and not seen where they are not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from fake_pack_days import CAPACITY_AH, FIRST_DAY, fleet, string

from bms_bridge.anomalies.leak import charge_difference, detectable_share_per_day, drift, leaks
from bms_bridge.anomalies.pack_days import PackDays, joined


@pytest.mark.parametrize("divisor", [2000, 5000])
def test_a_leak_is_found_in_its_cell_with_its_size_within_days(divisor: int) -> None:
    (found,) = leaks(string("E-1/P1", leak_c_rate=1 / divisor))
    assert (found.pack, found.cell, found.now) == ("E-1/P1", 3, True)
    assert 0 < found.day - FIRST_DAY - 20 <= 12
    assert found.share_per_day == pytest.approx(24 / divisor, rel=0.1)
    assert found.low < 24 / divisor < found.high
    assert found.current_a == pytest.approx(CAPACITY_AH / divisor, rel=0.1)
    assert found.days_to_spread(found.spread_v) == 0


def test_healthy_strings_raise_nothing() -> None:
    assert leaks(fleet(10)) == []


@pytest.mark.parametrize("step_v", [-0.01, -0.05, 0.05])
def test_an_exchanged_sensor_is_no_leak(step_v: float) -> None:
    assert leaks(string("E-1/P1", step_v=step_v)) == []


def test_what_balancing_hides_is_found_where_it_is_told() -> None:
    """All others are bled as fast as the cell leaks: no voltage moves."""
    hidden = string("E-1/P1", leak_c_rate=1 / 5000, bled_ah=CAPACITY_AH * 24 / 5000)
    assert float(np.ptp(np.nanmedian(hidden.cells_v, axis=1) - hidden.cells_v[:, 3])) < 0.02
    (found,) = leaks(hidden)
    assert (found.cell, found.balancing_told) == (3, True)
    assert found.share_per_day == pytest.approx(24 / 5000, rel=0.15)


def test_on_the_plateau_of_lfp_nothing_is_said() -> None:
    assert leaks(string("E-1/P1", slope_v=0.015, leak_c_rate=1 / 5000)) == []
    assert not np.isfinite(drift(string("E-1/P1", slope_v=0.015)).sigmas).any()
    assert math.isinf(detectable_share_per_day(0.015, 0.001, 28))


def test_the_limit_of_detection_falls_with_slope_and_time() -> None:
    limits = [detectable_share_per_day(slope_v, 0.001, days) for slope_v, days in ((0.03, 6), (0.27, 6), (0.03, 28), (1.1, 28))]
    assert limits == sorted(limits, reverse=True)
    assert limits[-1] == pytest.approx(24 / 10_000)
    assert math.isinf(detectable_share_per_day(1.1, 0.001, 4))


def test_gaps_and_cells_without_a_value_are_borne() -> None:
    series = string("E-1/P1", leak_c_rate=1 / 2000)
    series.cells_v[::7, 5] = np.nan
    keep = np.ones(len(series), dtype=np.bool_)
    keep[[25, 26, 31]] = False
    (found,) = leaks(series.rows(keep))
    assert found.cell == 3


def balanced(name: str, *, seed: int, leak_c_rate: float = 0.0, step_v: float = 0.0) -> PackDays:
    """A string that a balancer holds together without saying so: it bleeds all but the lowest by C/1500 for four hours a day."""
    bled_ah = 4 / 1500 * CAPACITY_AH if leak_c_rate else 0.0
    table = string(name, 80, cells=16, seed=seed, leak_c_rate=leak_c_rate, onset=40, step_v=step_v, bled_ah=bled_ah)
    return replace(table, balanced_ah=np.full_like(table.balanced_ah, np.nan))


def test_a_leak_that_an_untold_balancer_almost_hides_is_a_cell_that_falls_out_of_its_string() -> None:
    """C/5000 less what the balancer bleeds from the others is C/11000: no drift by itself."""
    (found,) = leaks(balanced("E-1/P1", seed=4, leak_c_rate=1 / 5000))
    assert (found.cell, found.now, found.balancing_told) == (3, True, False)
    assert 5 <= found.day - FIRST_DAY - 40 <= 20
    assert found.share_per_day < 24 / 5000
    assert leaks(balanced("E-1/P1", seed=4)) == []


@pytest.mark.parametrize("step_v", [-0.02, -0.03, -0.06])
def test_an_exchanged_sensor_in_a_balanced_string_is_no_leak(step_v: float) -> None:
    assert leaks(balanced("E-1/P1", seed=5, step_v=step_v)) == []


def test_a_look_at_now_finds_what_the_whole_look_finds_now() -> None:
    """Packs of other sizes beside each other, one whose leak is over, days without a reading."""
    strings = [
        string("A", leak_c_rate=1 / 2000, cells=9),
        string("B", leak_c_rate=1 / 5000),
        string("C", 45, leak_c_rate=1 / 5000, onset=30, cells=14),
        string("D"),
        balanced("E", seed=4, leak_c_rate=1 / 5000),
    ]
    random = np.random.default_rng(1)
    table = joined([one.rows(random.random(len(one)) < 0.85) for one in strings])
    whole = {(one.pack, one.cell): one for one in leaks(table) if one.now}
    now = {(one.pack, one.cell): one for one in leaks(table, now=True)}
    assert set(whole) >= {("A", 3), ("B", 3), ("E", 3)}
    assert {key: one for key, one in now.items() if one.now} == whole


def test_lines_are_those_of_weighted_least_squares() -> None:
    table = string("A", 28, slope_v=1.0)
    random = np.random.default_rng(2)
    table.numbers["slope_v"][:] = random.uniform(0.6, 1.4, 28)
    seen = drift(table)
    values = charge_difference(table)
    weights = table.numbers["slope_v"]
    for cell in range(table.cells_v.shape[1]):
        if seen.window_d[-1, cell] == 28:
            slope = np.polyfit(table.days - table.days[0], values[:, cell], 1, w=weights)[0]
            assert seen.share_per_day[-1, cell] == pytest.approx(-slope, rel=1e-6)
    assert (seen.window_d[-1] == 28).any()
