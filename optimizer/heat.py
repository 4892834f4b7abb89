"""How warm charging makes a battery, and a ceiling that plans keep: what a pack that could come near it is, and the numbers of its rows.

Columns  rise[i,k] K: by how much a battery is warmer at the end of slot k than if it had only rested since its arrival
Rows     heat    rise[i,k] ≥ e^(−t/τ) · rise[i, cell before] + (1 − e^(−h_k/τ)) · K_i · (p[i,k] + g[i,k])      t: between the cells' ends
Bounds   rise[i,k] ≤ ceiling − temperature at rest, but at least what the floors of its session make of it

At rest a pack comes from the temperature that it has to the ambient one, with the time constant τ. Its losses grow with the square of
the power; K is their straight line up to the vehicle's most power, so that between they are overstated: the ceiling is never passed for
that. No power at all is always allowed, however hot it is already, so that no ceiling makes a problem infeasible. Only packs that would
pass it when charged as fast as they can from arrival to departure have these rows. :mod:`optimizer.heat_model` writes them in Pyomo,
:mod:`optimizer.heat_arrays` straight into arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem

if TYPE_CHECKING:
    from optimizer.problem import Problem

FloatArray = npt.NDArray[np.float64]
Index = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False, slots=True)
class PackHeat:
    """``temp_c``: of the hottest cells at arrival, or now; ``ceiling_c``: what they are kept below. ``ambient_c``: what they come to at
    rest, one number or one per slot. ``settle_h``: time constant. ``rise_per_kw``: by how many K a kW (grid side) that lasted would
    warm them."""

    temp_c: float
    ceiling_c: float
    ambient_c: FloatArray
    settle_h: float
    rise_per_kw: float


def checked(who: str, heat: PackHeat, n_slots: int) -> PackHeat:
    """The same with an array that cannot be written to; raises :class:`InvalidProblem`."""
    ambient = np.array(heat.ambient_c, dtype=np.float64)
    if ambient.shape not in ((), (n_slots,)) or not np.isfinite(ambient).all():
        raise InvalidProblem(f"{who}: heat.ambient_c: one finite number is expected, or one for each of the {n_slots} slots")
    if not (np.isfinite(heat.temp_c) and np.isfinite(heat.ceiling_c)):
        raise InvalidProblem(f"{who}: heat.temp_c and heat.ceiling_c must be finite numbers")
    if not (np.isfinite(heat.settle_h) and heat.settle_h > 0 and np.isfinite(heat.rise_per_kw) and heat.rise_per_kw >= 0):
        raise InvalidProblem(f"{who}: heat.settle_h must be above 0 and heat.rise_per_kw at least 0, both finite")
    ambient.flags.writeable = False
    return replace(heat, ambient_c=ambient)


@dataclass(frozen=True, eq=False, slots=True)
class HeatRows:
    """A row and a column for each of ``cells`` (places in the model's cells): ``keep``: what remains of the rise at the cell before, 0 at a
    vehicle's first; ``per_kw``: what a kW of this cell adds; ``most_k``: the most rise."""

    cells: Index
    keep: FloatArray
    per_kw: FloatArray
    most_k: FloatArray


def heat_rows(problem: Problem, vehicle: Index, slot: Index) -> HeatRows:
    """The rows of the vehicles that could pass their ceiling, where the model's cells are those of ``vehicle`` and ``slot``, ordered by
    both."""
    if all(one.heat is None for one in problem.vehicles):
        return HeatRows(np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0), np.zeros(0))
    packs = _Packs(problem)
    rest = packs.at_rest()
    could = (rest + packs.rise(np.maximum(problem.upper_kw, problem.discharge_upper_kw)) > packs.ceiling_c[:, None]).any(axis=1)
    most = np.maximum(packs.ceiling_c[:, None] - rest, packs.rise(problem.lower_kw))
    found: list[tuple[Index, FloatArray, FloatArray, FloatArray]] = []
    bounds = np.searchsorted(vehicle, np.arange(len(problem.vehicles) + 1))
    for n in np.flatnonzero(could):
        i, settle_h = packs.who[n], packs.settle_h[n]
        cells = np.arange(bounds[i], bounds[i + 1])
        if len(cells):
            hours = problem.hours[slot[cells]]
            ends = problem.starts_h[slot[cells]] + hours
            keep = np.concatenate(([0.0], np.exp(-np.diff(ends) / settle_h)))
            found.append((cells, keep, (1.0 - np.exp(-hours / settle_h)) * packs.rise_per_kw[n], most[n, slot[cells]]))
    if not found:
        return HeatRows(np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0), np.zeros(0))
    cells, keep, per_kw, most_k = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return HeatRows(cells, keep, per_kw, most_k)


def temperatures(problem: Problem, power_kw: FloatArray) -> FloatArray:
    """[vehicle × slot] °C at the end of each slot under ``power_kw``, as the rows say it; NaN where nothing is known."""
    packs = _Packs(problem)
    found = np.full(power_kw.shape, np.nan)
    found[packs.who] = packs.at_rest() + packs.rise(np.abs(power_kw))
    return found


class _Packs:
    """The packs of which the heat is known, those of the vehicles ``who``: all at once, slot after slot."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        found = [(i, vehicle.heat) for i, vehicle in enumerate(problem.vehicles) if vehicle.heat is not None]
        self.who = np.array([i for i, _ in found], dtype=np.intp)
        self.ceiling_c, self.settle_h, self.rise_per_kw, self._temp_c = (
            np.array([getattr(heat, name) for _, heat in found]) for name in ("ceiling_c", "settle_h", "rise_per_kw", "temp_c")
        )
        self._ambient = np.array([np.broadcast_to(heat.ambient_c, problem.n_slots) for _, heat in found]).reshape(
            len(found), problem.n_slots
        )
        self._arrival = np.array([problem.vehicles[i].arrival_slot for i in self.who])

    def at_rest(self) -> FloatArray:
        """[pack × slot] °C at its end, if it only rested from its arrival on."""
        rest, temp = np.empty((len(self.who), self._problem.n_slots)), self._temp_c
        for k, hours in enumerate(self._problem.hours):
            ambient = self._ambient[:, k]
            temp = np.where(k >= self._arrival, ambient + (temp - ambient) * np.exp(-hours / self.settle_h), temp)
            rest[:, k] = temp
        return rest

    def rise(self, power_kw: FloatArray) -> FloatArray:
        """[pack × slot] K above that at its end, under ``power_kw`` [vehicle × slot]."""
        rise, now = np.empty((len(self.who), self._problem.n_slots)), np.zeros(len(self.who))
        for k, hours in enumerate(self._problem.hours):
            kept = np.exp(-hours / self.settle_h)
            now = kept * now + (1.0 - kept) * self.rise_per_kw * power_kw[self.who, k]
            rise[:, k] = now
        return rise
