"""Cells that stand in a model twice, because what flows above a gentle rate wears their battery more.

    first band    0 … gentle kW            costs what the cell costs
    second band   0 … upper − gentle kW    costs what more it wears on top of it

The second band is the cell's own column once more: it stands in the same rows with the same coefficients, whatever these rows are, and
only its cost and its bounds differ. So it is not written beside the cell, but copied from it in the finished arrays. It is dearer than the
first band and therefore used after it: together they are the convex cost of the power, with no row more. Only vehicles have them for
which the difference is worth its columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optimizer.keys import Family, keys_of
from optimizer.problem import FloatArray, Problem

if TYPE_CHECKING:
    from optimizer.compiled import Compiled, IntArray

Cells = npt.NDArray[np.integer]

WORTH_SHARE = 0.02
"""Of the mean price: a steepness below this is no reason for a second column."""


def steep_costs(problem: Problem, wear: float, scale: float) -> FloatArray | None:
    """[vehicle × slot] what a kW above its vehicle's gentle rate costs more, 0 where it has none; None: nobody has. ``wear``: the weight
    of the batteries' life; ``scale``: the mean price."""
    steep = np.zeros(problem.upper_kw.shape)
    for row, upper, vehicle in zip(steep, problem.upper_kw, problem.vehicles, strict=True):
        life = vehicle.life
        if life is None or life.gentle_kw is None or life.steep_per_kwh is None:
            continue
        per_kwh = np.where(upper > life.gentle_kw, wear * vehicle.eff * life.steep_per_kwh, 0.0)
        if per_kwh.max() >= WORTH_SHARE * scale:
            row[:] = per_kwh * problem.hours
    return steep if steep.any() else None


def with_bands(problem: Problem, steep: FloatArray | None, compiled: Compiled) -> Compiled:
    """``compiled`` with the second bands of the cells for which ``steep`` names a cost, as the last columns."""
    if steep is None:
        return compiled
    of = np.flatnonzero(steep[compiled.vehicle, compiled.slot] > 0).astype(np.int32)
    if not len(of):
        return compiled
    cells = compiled.cells[of]
    told = np.array([vehicle.life.gentle_kw or 0.0 if vehicle.life is not None else 0.0 for vehicle in problem.vehicles])
    gentle = told[compiled.vehicle[of]]
    columns = np.arange(len(compiled.cost), len(compiled.cost) + len(of), dtype=np.int32)
    lengths = np.diff(compiled.starts)[cells]
    picked = np.repeat(compiled.starts[cells] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    banded = replace(
        compiled,
        cost=np.concatenate((compiled.cost, compiled.cost[cells] + steep[compiled.vehicle[of], compiled.slot[of]])),
        starts=np.concatenate((compiled.starts, compiled.starts[-1] + np.cumsum(lengths))).astype(np.int32),
        rows=np.concatenate((compiled.rows, compiled.rows[picked])),
        values=np.concatenate((compiled.values, compiled.values[picked])),
        column_keys=np.concatenate((compiled.column_keys, keys_of(Family.STEEP, compiled.vehicle[of], compiled.slot[of]))),
        steep=columns,
        steep_of=of,
        gentle_kw=gentle,
    )
    lower = np.concatenate((compiled.lower, np.zeros(len(of))))
    upper = np.concatenate((compiled.upper, np.zeros(len(of))))
    which, low, high = column_bounds(banded, np.arange(len(compiled.cells)), compiled.lower[compiled.cells], compiled.upper[compiled.cells])
    lower[which], upper[which] = low, high
    return replace(banded, lower=lower, upper=upper)


def cell_powers(compiled: Compiled, columns: FloatArray) -> FloatArray:
    """[cell] what a solution draws in each cell, both bands together."""
    power: FloatArray = columns[compiled.cells].copy()
    power[compiled.steep_of] += columns[compiled.steep]
    return power


def cell_bounds(compiled: Compiled) -> tuple[FloatArray, FloatArray]:
    """[cell] least and most power, both bands together."""
    lower, upper = compiled.lower[compiled.cells], compiled.upper[compiled.cells]
    lower[compiled.steep_of] += compiled.lower[compiled.steep]
    upper[compiled.steep_of] += compiled.upper[compiled.steep]
    return lower, upper


def column_bounds(compiled: Compiled, cells: Cells, lower: FloatArray, upper: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """The columns of some ``cells`` (by their places), and what their bounds are where a cell's power lies between ``lower`` and ``upper``
    [of those cells]: the first band is filled first."""
    place = np.full(len(compiled.cells), -1)
    place[compiled.steep_of] = np.arange(len(compiled.steep_of))
    band = place[cells]
    twice = band >= 0
    first = np.full(len(cells), np.inf)
    first[twice] = compiled.gentle_kw[band[twice]]
    which = np.concatenate((compiled.cells[cells], compiled.steep[band[twice]])).astype(np.int32)
    low = np.concatenate((np.minimum(lower, first), np.maximum(lower - first, 0.0)[twice]))
    high = np.concatenate((np.minimum(upper, first), np.maximum(upper - first, 0.0)[twice]))
    return which, low, high
