"""The planning model: the Pyomo model that says what a plan is, compiled to the arrays that HiGHS takes.

Sets     cells (vehicle i, slot k) inside of the plug-in windows; slots; demand blocks; feeders
Columns  p[i,k] kW, unmet[i] kWh (battery), total[k] kW, imported[k] kW, peak kW
Rows     energy    eff_i · Σ_k h_k · p[i,k] + unmet[i] = need_i
         total     total[k] = Σ_i p[i,k], bounded by what the site has left beside its background
         feeder    Σ_{i on f} p[i,k] ≤ limit_f,k          (written only where it can bind)
         peak      Σ_{k in block} h_k/H · total[k] + mean background ≤ peak
         imported  total[k] + background_k ≤ imported[k]    (only where the sun gives more than the base load takes)
Objective  what a :class:`Costs` says, per column

Expressions are built as finished lists of terms: Pyomo's rules would walk each of them once more. What runs in the
loop is its twin, :mod:`optimizer.arrays`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from pyomo.common.dependencies import scipy_available
from pyomo.common.gc_manager import PauseGC
from pyomo.core.expr import LinearExpression, MonomialTermExpression
from pyomo.environ import ConcreteModel, Constraint, NonNegativeReals, Objective, Var, minimize
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from optimizer.problem import FloatArray, Problem

IntArray = npt.NDArray[np.int32]

if not scipy_available:  # asking loads it: here, instead of inside of the first deadline
    raise ImportError("Pyomo needs SciPy to compile a model; install the requirements of the lock file")

_SENSES = {-1: (True, False), 0: (True, True), 1: (False, True)}
"""Bound type of a compiled row: has a lower, has an upper bound."""


@dataclass(frozen=True, eq=False, slots=True)
class Costs:
    """The objective, in currency: per kW of a cell [vehicle × slot], per kWh unmet [vehicle], per kW imported [slot],
    per kW of peak above ``peak_from_kw``. ``site_limited`` False leaves the site limit out."""

    cell: FloatArray
    unmet: FloatArray
    imported: FloatArray
    peak: float
    peak_from_kw: float
    site_limited: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class Compiled:
    """The model as arrays: min cost·x + offset, row_lower ≤ A·x ≤ row_upper, lower ≤ x ≤ upper; A by columns.

    ``cells``: the columns of the cells, which are those of ``vehicle`` and ``slot``; ``unmet``: the columns of the energy
    that is not served, for the vehicles ``needy``.
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    starts: IntArray
    rows: IntArray
    values: FloatArray
    cells: IntArray
    unmet: IntArray
    vehicle: IntArray
    slot: IntArray
    needy: IntArray
    build_s: float
    compile_s: float


def build(problem: Problem, costs: Costs) -> Compiled:
    """Write the model and compile it. Seconds of both stand in the result."""
    started = perf_counter()
    with PauseGC():  # tens of thousands of small objects, none of them garbage: collecting would double the time
        model, vehicle, slot, needy = _write(problem, costs)
        written = perf_counter()
        compiled = _compile(model)
    return Compiled(**compiled, vehicle=vehicle, slot=slot, needy=needy, build_s=written - started, compile_s=perf_counter() - written)


def _write(problem: Problem, costs: Costs) -> tuple[ConcreteModel, IntArray, IntArray, IntArray]:
    need = np.array([v.energy_kwh for v in problem.vehicles])
    needy = np.flatnonzero(need > 0).astype(np.int32)
    usable = (problem.upper_kw > 0) & (need > 0)[:, None]
    vehicle, slot = (index.astype(np.int32) for index in np.nonzero(usable))
    hours = problem.hours

    model = ConcreteModel()
    model.p = Var(range(len(vehicle)), bounds=(0, None))
    cells = list(model.p.values())
    for cell, low, high in zip(cells, problem.lower_kw[usable].tolist(), problem.upper_kw[usable].tolist(), strict=True):
        cell.ub = high
        if low:
            cell.lb = low
    model.unmet = Var(needy.tolist(), within=NonNegativeReals)
    slots = np.unique(slot).tolist()
    model.total = Var(slots, within=NonNegativeReals)
    model.peak = Var(bounds=(costs.peak_from_kw, None))

    terms = [(costs.cell[usable].tolist(), cells)]
    terms.append((costs.unmet[needy].tolist(), list(model.unmet.values())))
    if costs.peak:
        terms.append(([costs.peak], [model.peak]))

    model.energy = Constraint(needy.tolist())
    first = np.searchsorted(vehicle, np.arange(len(problem.vehicles) + 1)).tolist()
    for i in needy.tolist():
        mine = slice(first[i], first[i + 1])
        factors = (problem.vehicles[i].eff * hours[slot[mine]]).tolist()
        model.energy[i] = _linear(factors, cells[mine], plus=[model.unmet[i]]) == float(need[i])

    members: dict[int, list[Any]] = {k: [] for k in slots}
    on_feeder: dict[tuple[int | None, int], list[Any]] = defaultdict(list)
    for i, k, cell in zip(vehicle.tolist(), slot.tolist(), cells, strict=True):
        members[k].append(cell)
        on_feeder[problem.vehicles[i].feeder, k].append(cell)
    model.totals = Constraint(slots)
    for k in slots:
        model.totals[k] = _linear([-1.0], [model.total[k]], plus=members[k]) == 0
        if costs.site_limited:
            model.total[k].ub = float(problem.room_kw[k])

    model.feeder = Constraint(range(len(problem.feeders)), slots)
    binding = problem.feeder_sums(np.where(usable, problem.upper_kw, 0.0)) > problem.feeder_room_kw
    for f, k in np.argwhere(binding).tolist():
        its = on_feeder[f, k]
        model.feeder[f, k] = _linear([], [], plus=its) <= float(problem.feeder_room_kw[f, k])

    if costs.peak:
        background = problem.block_means(problem.background_kw)
        blocks = np.unique(problem.blocks[slots]).tolist()
        model.peaks = Constraint(blocks)
        for block in blocks:
            its_hours = float(hours[problem.blocks == block].sum())
            its_slots = [k for k in slots if problem.blocks[k] == block]
            mean = _linear([float(hours[k]) / its_hours for k in its_slots] + [-1.0], [*(model.total[k] for k in its_slots), model.peak])
            model.peaks[block] = mean <= -float(background[block])

    sunny = [k for k in slots if costs.imported[k]]
    if sunny:
        model.imported = Var(sunny, within=NonNegativeReals)
        model.imports = Constraint(sunny)
        for k in sunny:
            model.imports[k] = _linear([-1.0], [model.imported[k]], plus=[model.total[k]]) <= -float(problem.background_kw[k])
        terms.append(([float(costs.imported[k]) for k in sunny], list(model.imported.values())))

    factors = [factor for some, _ in terms for factor in some]
    model.cost = Objective(expr=_linear(factors, [column for _, some in terms for column in some]), sense=minimize)
    return model, vehicle, slot, needy


def _linear(factors: list[float], columns: list[Any], *, plus: Sequence[Any] = ()) -> LinearExpression:
    """Σ factor · column + Σ plus: a column without a factor is an object less to make and to read."""
    return LinearExpression([*(MonomialTermExpression(term) for term in zip(factors, columns, strict=True)), *plus])


def _compile(model: ConcreteModel) -> dict[str, Any]:
    info = LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=minimize)
    columns = info.columns  # in the compiler's order; without those that stand in no row and have no cost
    place = {id(column): j for j, column in enumerate(columns)}
    senses = np.array([_SENSES[row.bound_type] for row in info.rows], dtype=bool)
    limits = np.asarray(info.rhs, dtype=np.float64)
    uppers = [column.ub for column in columns]
    return {
        "cost": info.c.toarray()[0],
        "lower": np.array([column.lb for column in columns], dtype=np.float64),
        "upper": np.array([np.inf if upper is None else upper for upper in uppers], dtype=np.float64),
        "row_lower": np.where(senses[:, 0], limits, -np.inf),
        "row_upper": np.where(senses[:, 1], limits, np.inf),
        "starts": info.A.indptr.astype(np.int32),
        "rows": info.A.indices.astype(np.int32),
        "values": np.asarray(info.A.data, dtype=np.float64),
        "cells": np.array([place[id(cell)] for cell in model.p.values()], dtype=np.int32),
        "unmet": np.array([place[id(column)] for column in model.unmet.values()], dtype=np.int32),
    }
