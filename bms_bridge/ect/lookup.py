"""Time to thermal runaway by look-up: a table over temperature and heating, made by :mod:`bms_bridge.ect.runaway` and kept in
``time_to_runaway.json``.

    time_to_runaway_s("lfp", 120.0, heating_k_per_s=0.001)     a cell of 120 °C that something heats by 0.001 K/s and that loses nothing
    python -m benchmarks.oven_tests --write-table              makes the file anew; a test compares it with the model

A cell that loses no heat is the worst case, and so is one that has spent nothing yet. Between the points the logarithm of the time is
interpolated. Below :data:`COLDEST_C` nothing is said.
"""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt

from bms_bridge.ect.kinetics import all_sets
from bms_bridge.ect.model import Array
from bms_bridge.ect.runaway import adiabatic

SCHEMA: Final = "time_to_runaway/1"
FILE: Final = "time_to_runaway.json"
TEMPERATURES_C: Final = tuple(float(c) for c in range(70, 215, 5))
HEATINGS_K_PER_S: Final = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
COLDEST_C: Final = TEMPERATURES_C[0]
Ways = tuple[tuple[str, bool], ...]

LONGEST_S: Final = 1e7
"""Four months: what the table says at most."""

_LEAST_HEATING = 1e-5  # where 0 stands on the logarithmic axis


def time_to_runaway_s(set_name: str, temperature_c: float, *, heating_k_per_s: float = 0.0, short: bool = False) -> float:
    """Seconds until a cell runs away that loses no heat; inf below :data:`COLDEST_C`, 0 above the hottest of the table.

    ``heating_k_per_s``: by what is not one of the reactions. ``short``: its separator is taken to melt and to short a full cell.
    """
    return float(earliest_runaway_s(((set_name, short),), np.array([temperature_c]), np.array([heating_k_per_s]))[0])


def earliest_runaway_s(ways: Ways, temperature_c: Array, heating_k_per_s: Array) -> Array:
    """The same for many cells at once, by the earliest of several (set, short)."""
    table = _earliest(ways)
    row, up = _place((temperature_c - COLDEST_C) / (TEMPERATURES_C[1] - COLDEST_C), len(TEMPERATURES_C))
    heating = np.log10(np.maximum(heating_k_per_s, _LEAST_HEATING))
    column, right = _place(heating - math.log10(_LEAST_HEATING), len(HEATINGS_K_PER_S))
    lower = (1.0 - right) * table[row, column] + right * table[row, column + 1]
    upper = (1.0 - right) * table[row + 1, column] + right * table[row + 1, column + 1]
    seconds = np.exp((1.0 - up) * lower + up * upper)
    found: Array = np.where((temperature_c >= COLDEST_C) & (seconds < 0.99 * LONGEST_S), seconds, np.inf)
    found[temperature_c > TEMPERATURES_C[-1]] = 0.0
    return found


def _place(position: Array, points: int) -> tuple[npt.NDArray[np.intp], Array]:
    """Between which two points of an axis, and how far along. What is no number stands at its beginning."""
    inside = np.fmax(np.fmin(position, points - 1.0), 0.0)
    low = np.minimum(inside.astype(np.intp), points - 2)
    return low, inside - low


@cache
def _earliest(ways: Ways) -> Array:
    tables = _tables()
    earliest: Array = np.min([tables[way] for way in ways], axis=0)
    return earliest


def build() -> dict[str, object]:
    """The file's content, worked out."""
    temperatures, heatings = np.meshgrid(TEMPERATURES_C, HEATINGS_K_PER_S, indexing="ij")
    tables = []
    for name, kinetics in all_sets().items():
        for short in (False, True):
            outcome = adiabatic(kinetics, temperatures.ravel(), heatings.ravel(), charge=1.0 if short else 0.0, horizon_s=LONGEST_S)
            seconds = np.clip(outcome.runaway_s, 0.01, LONGEST_S).reshape(temperatures.shape)
            tables.append({"set": name, "short": short, "seconds": [[float(f"{s:.4g}") for s in row] for row in seconds]})
    return {"schema": SCHEMA, "temperatures_c": TEMPERATURES_C, "heatings_k_per_s": HEATINGS_K_PER_S, "tables": tables}


@cache
def _tables() -> dict[tuple[str, bool], Array]:
    """Logarithms of the seconds, by set and whether the separator shorts."""
    content = json.loads(files("bms_bridge.ect").joinpath(FILE).read_text(encoding="utf-8"))
    axes = tuple(content["temperatures_c"]), tuple(content["heatings_k_per_s"])
    if content["schema"] != SCHEMA or axes != (TEMPERATURES_C, HEATINGS_K_PER_S):
        raise ValueError(f"{FILE} was made for other axes: make it anew (python -m benchmarks.oven_tests --write-table)")
    return {(table["set"], table["short"]): np.log(np.asarray(table["seconds"])) for table in content["tables"]}
