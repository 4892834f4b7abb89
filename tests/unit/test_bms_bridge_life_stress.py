"""Fade against temperature and rate: the slopes that were put in are found; what does not vary is not told."""

from __future__ import annotations

import numpy as np
import pytest

from bms_bridge.health import DataRefused
from bms_bridge.life.history import Track
from bms_bridge.life.stress import conditions, loss_after, slopes


def cell(name: str, temp_c: float, rate_c: float, *, pace: float, cycles: int = 300) -> Track:
    at = np.arange(1.0, cycles)
    soh = 1.0 - pace * at
    return Track(name, "lab", "", at, soh, np.full(len(at), 0.003), np.full(len(at), np.nan), temp_c, rate_c, "NCA")


def chamber(per_10_c: float, per_double: float) -> list[Track]:
    rng = np.random.default_rng(2)
    found = []
    for temp_c in (25.0, 35.0, 45.0):
        for rate_c in (0.5, 1.0):
            for number in range(5):
                pace = 4e-4 * per_10_c ** ((temp_c - 25) / 10) * per_double ** np.log2(rate_c) * np.exp(rng.normal(0, 0.05))
                found.append(cell(f"{temp_c:g} {rate_c:g} {number}", temp_c, rate_c, pace=float(pace)))
    return found


def test_both_slopes_are_found_and_lie_in_their_intervals() -> None:
    told = {slope.per: slope for slope in slopes(chamber(1.4, 1.8), cycles=100)}
    assert told["10 °C more"].times == pytest.approx(1.4, abs=0.05)
    assert told["twice the rate"].times == pytest.approx(1.8, abs=0.1)
    assert all(slope.low < slope.times < slope.high for slope in told.values())
    assert told["10 °C more"].make == "NCA"


def test_warm_can_be_kinder() -> None:
    (slope, _) = slopes(chamber(0.8, 1.2), cycles=100)
    assert slope.high < 1


def test_conditions_tell_how_many_reached_the_health() -> None:
    slow, fast = cell("a", 25.0, 0.5, pace=1e-4), cell("b", 25.0, 0.5, pace=1e-3)
    (one,) = conditions([slow, fast], cycles=200, to=0.85)
    assert (one.cells, one.reached) == (2, 1)
    assert one.cycles_to == pytest.approx(150, abs=1)
    assert one.loss_least < one.loss < one.loss_most
    assert np.isnan(loss_after(slow, 1000))


def test_what_does_not_vary_is_not_told() -> None:
    alike = [cell(str(number), 25.0, 0.5, pace=4e-4) for number in range(8)]
    with pytest.raises(DataRefused, match="different temperatures or rates"):
        slopes(alike, cycles=100)
    unknown = [cell(str(number), float("nan"), float("nan"), pace=4e-4) for number in range(3)]
    assert len(conditions(unknown, cycles=100, to=0.9)) == 1
