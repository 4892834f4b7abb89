"""The benchmark of anomalies in small: a short that is put into a string is found in its cell, healthy strings are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.anomalies import measured, stated_cells
from benchmarks.leaking_packs import Charges, Invented, measured_cells, nmc_pack

DAYS = 90


def row(cells: list[Charges], packs: int, healthy: int) -> tuple[int, int, int]:
    def make(name: str, _number: int, random: np.random.Generator, rate: float, onset: int) -> Invented:
        return nmc_pack(name, cells, DAYS, random, leak_c_rate=rate, onset=onset, balancing="told")

    found = measured("told", make, 5000, packs, healthy, seed=5)
    return found.found, found.false_alarms, found.false_charts


def test_strings_of_stated_cells() -> None:
    assert row(stated_cells(np.random.default_rng(1)), 2, 3) == (2, 0, 0)


@pytest.mark.data
def test_strings_of_measured_cells(data_dir: Path) -> None:
    cells = measured_cells(data_dir, 150)
    batches = {cell.batch for cell in cells}
    batch = sorted(batches)[0]
    assert row([cell for cell in cells if cell.batch == batch], 2, 3) == (2, 0, 0)
