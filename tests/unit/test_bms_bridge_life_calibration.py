"""Two factors from a fleet's own histories: found where they can be, near one where they cannot, never beyond their bounds."""

from __future__ import annotations

import numpy as np
import pytest

from bms_bridge.health import DataRefused
from bms_bridge.life.calibration import LEAST, MOST, Factors, fit_factors


def fitted(calendar: float, cycle: float, *, packs: int = 40, wild: float = 0.0, alike: bool = False, seed: int = 0) -> Factors:
    rng = np.random.default_rng(seed)
    names, time, turns, soh = [], [], [], []
    for pack in range(packs):
        new, rest, use = rng.normal(1.0, 0.02), rng.uniform(0.004, 0.012), rng.uniform(0.002, 0.012)
        use = rest if alike else use
        for years in np.linspace(0, 3, 12):
            miss = rng.normal(0, 0.004) + (rng.random() < wild) * rng.normal(0.1, 0.02)
            names.append(f"P{pack}")
            time.append(rest * years)
            turns.append(use * years)
            soh.append(new - calendar * rest * years - cycle * use * years + miss)
    size = len(names)
    return fit_factors(np.array(names), np.array(time), np.array(turns), np.array(soh), np.full(size, 0.004))


@pytest.mark.parametrize(("calendar", "cycle"), [(1.0, 1.0), (2.0, 2.0), (0.6, 2.5)])
def test_the_factors_are_found(calendar: float, cycle: float) -> None:
    found = fitted(calendar, cycle)
    assert found.calendar == pytest.approx(calendar, abs=0.2)
    assert found.cycle == pytest.approx(cycle, abs=0.2)
    assert abs(found.calendar - calendar) < 3 * found.calendar_spread
    assert not found.bounded


def test_estimates_far_off_change_little() -> None:
    assert fitted(2.0, 2.0, wild=0.05).cycle == pytest.approx(2.0, abs=0.35)


def test_time_and_cycles_that_cannot_be_told_apart_share_what_was_lost() -> None:
    found = fitted(2.0, 2.0, alike=True)
    assert found.calendar + found.cycle == pytest.approx(4.0, abs=0.3)
    assert found.calendar == pytest.approx(found.cycle, abs=0.2)
    assert found.calendar_spread > 0.25


def test_bounds_hold_and_are_told() -> None:
    found = fitted(30.0, 30.0)
    assert (found.calendar, found.cycle, found.bounded) == (MOST, MOST, True)
    assert fitted(-3.0, -3.0).cycle == LEAST


def test_few_packs_are_refused() -> None:
    with pytest.raises(DataRefused, match="at least 5"):
        fitted(1.0, 1.0, packs=3)
