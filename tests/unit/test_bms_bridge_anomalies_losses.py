"""What the worst cell of a pack loses: found where it is there, and a reason where nothing can be told."""

from __future__ import annotations

import numpy as np
import pytest

from bms_bridge.anomalies.leak import leaks
from bms_bridge.anomalies.losses import losses
from bms_bridge.anomalies.pack_days import PackDays, day_text, made

FIRST = 20_000


def table(loss: float = 0.0, *, days: int = 40, cells: int = 16, slope_v: float = 0.9, noise_v: float = 0.0004) -> PackDays:
    chance = np.random.default_rng(9)
    off = chance.normal(0, 0.002, cells)
    rows = []
    for day in range(days):
        volts = 4.1 + off + chance.normal(0, noise_v, cells)
        volts[5] -= slope_v * loss * day
        rows.append(volts)
    numbers = {"soc": np.full(days, 0.95), "capacity_ah": np.full(days, 100.0), "slope_v": np.full(days, slope_v)}
    dates = [day_text(FIRST + day) for day in range(days)]
    return made(np.array(["E-1/P1"] * days), dates, rows, None, numbers, {})


@pytest.mark.parametrize("loss", [0.0004, 0.001])
def test_a_cell_that_loses_is_named_with_its_loss(loss: float) -> None:
    found = losses(table(loss))["E-1/P1"]
    assert found.share_per_day == pytest.approx(loss, abs=0.0002)
    assert (found.cell, found.day, found.sure) == (5, FIRST + 39, False)
    assert found.error < 0.0004


def test_a_healthy_pack_loses_next_to_nothing() -> None:
    found = losses(table())["E-1/P1"]
    assert found.share_per_day is not None
    assert abs(found.share_per_day) < 0.0003


def test_a_leak_of_the_look_counts_with_its_own_figure() -> None:
    told = table(0.008)
    found = losses(told, leaks(told))["E-1/P1"]
    assert found.sure
    assert found.share_per_day == pytest.approx(0.008, rel=0.1)


@pytest.mark.parametrize(("made_of", "words"), [(table(days=4), "4 days with the end of a charge"), (table(slope_v=0.001), "flat curve")])
def test_too_few_days_and_flat_curves_tell_nothing(made_of: PackDays, words: str) -> None:
    found = losses(made_of)["E-1/P1"]
    assert found.share_per_day is None
    assert words in found.why_not
