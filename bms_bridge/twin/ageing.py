"""What years take of a cell: time and charged energy, each with an exponent, by ``ageing.csv`` (written by benchmarks/twin_table.py).

    °C, state of charge --time_stress()--> a rate --summed over time, to the power of the exponent--> share of the nominal capacity
    °C, depth, what flows in --cycle_stress()--> a rate --summed over full cycles, to the power of its exponent--> share

The sums of rates are what makes conditions that change add up: the loss of a share took as long as it took, whatever comes next. The same
numbers stand behind the planner's price of a battery's life, there as the mean of eight years. Between the temperatures of the table
(0 to 50 °C) numbers are interpolated, outside of them the last one holds.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.twin import UnknownCell
from bms_bridge.twin.lump import Floats

DEPTHS: Final = (0.2, 0.4, 0.6, 0.8, 0.9)
GENTLE_C: Final = 0.25
"""Capacities an hour up to which a kWh wears the same, however fast it comes."""

YEARS: Final = 8.0
"""Over so many the table's time loss is a mean."""

CYCLES: Final = 1000.0
"""Full cycles of which the table's cycle loss is the sum."""

PIVOT_LOSS: Final = 0.08
"""Share of the nominal capacity at which cells of different exponents are compared; the curve of each turns around it."""

_COLDEST_C, _HOTTEST_C, _PER_K = 0.0, 50.0, 2


@dataclass(frozen=True, eq=False, slots=True)
class Ageing:
    """n cells. Tables over temperature in half kelvins [kind, T] (``cycle`` [depth, kind, T]); exponents [n]."""

    kind: NDArray[np.intp]
    at_empty: Floats
    per_soc: Floats
    cycle: Floats
    steep: Floats
    time_exponent: Floats
    cycle_exponent: Floats

    def time_stress(self, temp_c: Floats, soc: Floats) -> Floats:
        """A year's addition to the sum of time: loss of so many years is (sum)^exponent."""
        place = _place(temp_c)
        mean = self.at_empty[self.kind, place] + self.per_soc[self.kind, place] * soc
        return time_rate(mean, self.time_exponent)

    def cycle_stress(self, temp_c: Floats, c_rate: Floats) -> Floats:
        """[depth, n]: a full cycle's addition to the sum of cycles, where charge comes in at ``c_rate``."""
        place = _place(temp_c)
        fast = 1 + self.steep[self.kind, place] * np.maximum(c_rate - GENTLE_C, 0.0)
        loss = self.cycle[:, self.kind, place] * fast
        rate: Floats = np.power(loss, 1 / self.cycle_exponent) / CYCLES
        return rate


def time_rate(mean: Floats, exponent: Floats) -> Floats:
    """A year's addition to the sum of time, of a cell that loses ``mean`` a year over eight years."""
    rate: Floats = np.power(YEARS ** (1 - exponent) * mean, 1 / exponent)
    return rate


def mean_loss(rate: Floats, exponent: Floats) -> Floats:
    """The other way: mean yearly loss over eight years of such additions."""
    mean: Floats = np.power(rate, exponent) / YEARS ** (1 - exponent)
    return mean


def own_cycle_factor(factor: Floats, exponent: Floats, own: Floats) -> Floats:
    """What the additions to the sum of cycles are multiplied by, for a cell that loses ``factor`` times what the table's loses where that
    is :data:`PIVOT_LOSS`, with an exponent of its ``own``: its loss by cycles is (sum times this)^own."""
    found: Floats = np.power(PIVOT_LOSS, 1 / own) * np.power(factor / PIVOT_LOSS, 1 / exponent)
    return found


def at_depth(by_depth: Floats, depth: Floats) -> Floats:
    """[n] of [depth, n] at each one's ``depth``; below the least depth and above the greatest the last one holds."""
    place = np.clip(np.interp(depth, DEPTHS, np.arange(len(DEPTHS))), 0, len(DEPTHS) - 1 - 1e-9)
    low = place.astype(np.intp)
    who = np.arange(by_depth.shape[1])
    found: Floats = by_depth[low, who] + (by_depth[low + 1, who] - by_depth[low, who]) * (place - low)
    return found


def ageing_of(chemistries: list[str]) -> Ageing:
    """Cells of these chemistries. UnknownCell: there is no model of one."""
    table = _table()
    for name in chemistries:
        if name not in table:
            raise UnknownCell(f"how {name} cells age over years is not known here (known: {', '.join(table)})")
    names = sorted(set(chemistries))
    place = {name: index for index, name in enumerate(names)}
    kind = np.array([place[name] for name in chemistries], dtype=np.intp)
    grid = np.linspace(_COLDEST_C, _HOTTEST_C, round((_HOTTEST_C - _COLDEST_C) * _PER_K) + 1)

    def over(column: str) -> Floats:
        return np.array([np.interp(grid, table[name]["temp_c"], table[name][column]) for name in names])

    return Ageing(
        kind=kind,
        at_empty=over("at_empty"),
        per_soc=over("per_soc"),
        cycle=np.array([over(f"depth_{100 * depth:.0f}") for depth in DEPTHS]),
        steep=over("steep_per_c"),
        time_exponent=np.array([table[name]["time_exponent"][0] for name in names])[kind],
        cycle_exponent=np.array([table[name]["cycle_exponent"][0] for name in names])[kind],
    )


def known_chemistries() -> tuple[str, ...]:
    """Chemistries of which ageing is known."""
    return tuple(_table())


def _place(temp_c: Floats) -> NDArray[np.intp]:
    place: NDArray[np.intp] = np.rint((np.clip(temp_c, _COLDEST_C, _HOTTEST_C) - _COLDEST_C) * _PER_K).astype(np.intp)
    return place


@cache
def _table() -> dict[str, dict[str, Floats]]:
    lines = (files("bms_bridge.twin") / "ageing.csv").read_text(encoding="utf-8").splitlines()
    rows: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        rows.setdefault(row["chemistry"], []).append(row)
    return {name: {key: np.array([float(row[key]) for row in of]) for key in of[0] if key != "chemistry"} for name, of in rows.items()}
