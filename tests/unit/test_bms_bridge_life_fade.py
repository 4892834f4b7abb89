"""The curve of fade falls, and is met again by its inverse."""

from __future__ import annotations

import numpy as np
import pytest
from fake_lives import SPREAD, USUAL

from bms_bridge.life.fade import MOST_CYCLES, SIZE, cycles_to, soh_at


def test_it_falls_whatever_the_numbers_are() -> None:
    rng = np.random.default_rng(1)
    shapes = USUAL + 4 * SPREAD * rng.standard_normal((200, SIZE))
    cycles = np.geomspace(1, 1e5, 60)
    soh = soh_at(shapes[:, None, :], cycles)
    assert np.isfinite(soh).all()
    assert (np.diff(soh, axis=1) <= 1e-12).all()


def test_the_inverse_finds_the_cycle_again() -> None:
    shapes = USUAL + SPREAD * np.random.default_rng(2).standard_normal((50, SIZE))
    found = cycles_to(shapes, soh_at(shapes, np.full(50, 700.0)))
    assert found == pytest.approx(np.full(50, 700.0), rel=2e-4)
    assert cycles_to(shapes, 0.99, start=900.0) == pytest.approx(np.full(50, 900.0), rel=2e-4)  # passed long ago: now
    assert cycles_to(USUAL[None], -1e9)[0] == pytest.approx(MOST_CYCLES)


def test_rows_that_are_not_there_stay_unknown() -> None:
    assert np.isnan(soh_at(USUAL, np.array([np.nan]))).all()
    assert np.isfinite(soh_at(np.full(SIZE, 1e9), np.array([10.0]))).all()
