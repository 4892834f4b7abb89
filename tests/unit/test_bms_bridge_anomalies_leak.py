"""Cells that lose charge: found, measured, and not seen where they are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fake_pack_days import CAPACITY_AH, FIRST_DAY, fleet, string

from bms_bridge.anomalies.leak import detectable_share_per_day, drift, leaks


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
