"""The mean cell of a pack: dead cells are left out and named, missing ones do not count."""

from __future__ import annotations

import numpy as np
import pytest

from bms_bridge.mean_cell import mean_cell_v, odd_cells
from web.batteries_page import _weakest


def test_cells_that_live_are_all_in_the_mean() -> None:
    cells = np.array([[3.60, 3.70, 3.80], [3.5, np.nan, 3.6], [np.nan, np.nan, 3.6]])
    np.testing.assert_allclose(mean_cell_v(cells), [3.70, 3.55, np.nan])
    assert mean_cell_v(cells, least_share=0.0)[2] == pytest.approx(3.6)
    assert odd_cells(cells[0]) == []


def test_two_dead_cells_of_ninety_six_are_left_out_and_named() -> None:
    cells = np.full((4, 96), 3.7, dtype=np.float32)
    cells[:, 16], cells[:, 59] = 0.0, 2.1
    np.testing.assert_allclose(mean_cell_v(cells), 3.7, atol=1e-6)
    assert odd_cells(cells[0]) == [17, 60]


def test_of_two_cells_or_where_half_differ_nobody_is_odd() -> None:
    assert odd_cells(np.array([3.7, 2.0])) == []
    assert odd_cells(np.array([3.7, 3.7, 2.0, 2.0])) == []
    np.testing.assert_allclose(mean_cell_v(np.array([[3.7, 3.7, 2.0, 2.0]])), 2.85)


def test_no_cells_give_no_mean() -> None:
    assert np.isnan(mean_cell_v(np.empty((2, 0)))).all()
    assert np.isnan(mean_cell_v(np.full((2, 3), np.nan))).all()


def test_the_page_names_them_beside_the_weakest() -> None:
    told = _weakest({"odd_cells": [17, 60], "weakest_cell": 3, "cells_told": 94, "weakest_soh": 0.8, "weakest_error": 0.01})
    assert "Cells 17, 60 lie" in told
    assert "Weakest of 94 cells: no. 3" in told
    assert "Cell 4 lies" in _weakest({"odd_cells": [4]})
