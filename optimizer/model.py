"""The planning model: the Pyomo model that says what a plan is, compiled to the arrays that HiGHS takes.

Sets     cells (vehicle i, slot k) inside of the plug-in windows; those of them in which i may give; slots; demand blocks; limits
Columns  p[i,k] kW, unmet[i] kWh (battery), total[k] kW, imported[k] kW, peak kW, over[p] kW, dear;
         where vehicles may give: g[i,k] kW, given[k] kW, level[i,k] kWh (against the start), exported[k] kW
Rows     energy    eff_i · Σ_k h_k · p[i,k] − Σ_k h_k/eff_i · g[i,k] + unmet[i] = need_i
         total     total[k] = Σ_i p[i,k], bounded by what the site has left beside its background; stationary batteries
                   (:mod:`optimizer.storage`) draw and give in the same sum
         limit     Σ_i weight_i · p[i,k] ≤ limit_k for feeders, with all below them, and caps; back: the same for g
                   (:mod:`optimizer.limit_rows`; written only where they can bind)
         peak      Σ_{k in block} h_k/H · (total[k] − given[k]) + mean background ≤ peak
         piece     the same mean ≤ free_p + over[p] for the blocks that count; in a group of several  per_kw_p · over[p] ≤ dear
         imported  total[k] − given[k] + exported[k] + background_k ≤ imported[k]    (only where the site might export)
         given     given[k] = Σ_i g[i,k], bounded by what the background takes and what may be exported
         level     level[i,k] = level[i,k−1] + eff_i · h_k · p[i,k] − h_k/eff_i · g[i,k], within reserve and capacity
         and those of milestones and shared shortages (:mod:`optimizer.stays`)
Batteries that could become too hot have rows of their own (:mod:`optimizer.heat`).
Cells for which their battery's wear rises with the power stand in it twice (:mod:`optimizer.life_bands`).
Objective  what a :class:`Costs` says, per column

Expressions are built as finished lists of terms: Pyomo's rules would walk each of them once more. This model is the
authoritative one, to be read and changed first; what runs is its twin, :mod:`optimizer.arrays`, which a test holds to it.
"""

from __future__ import annotations

from collections import defaultdict
from time import perf_counter
from typing import Any

import numpy as np
from pyomo.common.dependencies import scipy_available
from pyomo.common.gc_manager import PauseGC
from pyomo.environ import ConcreteModel, Constraint, NonNegativeReals, Objective, Var, minimize
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from optimizer.compiled import Compiled, Costs, Shape, levels_of, shape_of
from optimizer.heat_model import write_heat
from optimizer.keys import Family, Named
from optimizer.life_bands import with_bands
from optimizer.limit_rows_model import write_limits
from optimizer.linear import linear as _linear
from optimizer.pieces import counted_blocks, groups, over_background_kw
from optimizer.problem import Problem, level_bounds_kwh
from optimizer.stays_model import StayColumns
from optimizer.storage_model import StorageColumns

if not scipy_available:  # asking loads it: here, instead of inside of the first deadline
    raise ImportError("Pyomo needs SciPy to compile a model; install the requirements of the lock file")

_SENSES = {-1: (True, False), 0: (True, True), 1: (False, True)}
"""Bound type of a compiled row: has a lower, has an upper bound."""


def build(problem: Problem, costs: Costs) -> Compiled:
    """Write the model and compile it. Seconds of both stand in the result."""
    started = perf_counter()
    with PauseGC():  # tens of thousands of small objects, none of them garbage: collecting would double the time
        model, shape, named = _write(problem, costs)
        written = perf_counter()
        compiled = _compile(model, named)
    plain = Compiled(
        **compiled,
        vehicle=shape.vehicle,
        slot=shape.slot,
        needy=shape.needy,
        total_slots=shape.slots,
        gives=shape.gives,
        build_s=written - started,
        compile_s=perf_counter() - written,
    )
    return with_bands(problem, costs.steep, plain)


def _write(problem: Problem, costs: Costs) -> tuple[ConcreteModel, Shape, Named]:
    need = np.array([v.energy_kwh for v in problem.vehicles])
    shape = shape_of(problem, costs)
    usable, vehicle, slot, needy = shape.usable, shape.vehicle, shape.slot, shape.needy
    hours = problem.hours

    model, named = ConcreteModel(), Named()
    model.p = Var(range(len(vehicle)), bounds=(0, None))
    cells = list(model.p.values())
    for cell, low, high in zip(cells, problem.lower_kw[usable].tolist(), problem.upper_kw[usable].tolist(), strict=True):
        cell.ub = high
        if low:
            cell.lb = low
    model.unmet = Var(needy.tolist(), within=NonNegativeReals)
    named.add(Family.P, model.p, lambda c: (vehicle[c], slot[c]))
    named.add(Family.UNMET, model.unmet, lambda i: (i,))
    slots = shape.slots.tolist()
    storage = StorageColumns(problem, model, named) if costs.storage is not None else None
    model.total = Var(slots, bounds=(0, None))
    model.peak = Var(bounds=(costs.peak_from_kw, None))
    named.add(Family.TOTAL, model.total, _at_slot)
    named.add(Family.PEAK, model.peak)

    upper = problem.discharge_upper_kw[vehicle, slot]
    model.g = Var(shape.gives.tolist(), bounds=lambda _, c: (0, float(upper[c])))
    given: dict[int, list[Any]] = defaultdict(list)
    for c, column in model.g.items():
        given[int(slot[c])].append(column)
    model.given = Var(sorted(given), bounds=lambda _, k: (0, float(problem.discharge_room_kw[k])))
    named.add(Family.GIVES, model.g, lambda c: (vehicle[c], slot[c]))
    named.add(Family.GIVEN, model.given, _at_slot)
    stays = StayColumns(problem, model, shape, costs.stays)

    terms = [(costs.cell[usable].tolist(), cells)]
    if costs.given is not None:
        terms.append((costs.given[vehicle[shape.gives], slot[shape.gives]].tolist(), list(model.g.values())))
    terms.append((costs.unmet[needy].tolist(), list(model.unmet.values())))
    if costs.peak:
        terms.append(([costs.peak], [model.peak]))

    model.energy = Constraint(needy.tolist())
    first = np.searchsorted(vehicle, np.arange(len(problem.vehicles) + 1)).tolist()
    for i in needy.tolist():
        mine = slice(first[i], first[i + 1])
        factors = (problem.vehicles[i].eff * hours[slot[mine]]).tolist()
        lent = [c for c in range(first[i], first[i + 1]) if c in model.g]
        factors += [-float(hours[slot[c]]) / problem.vehicles[i].eff for c in lent]
        its = [*zip(factors, cells[mine] + [model.g[c] for c in lent], strict=True), *stays.energy(i)]
        model.energy[i] = _linear([f for f, _ in its], [c for _, c in its], plus=[model.unmet[i]]) == float(need[i])
    named.add(Family.ENERGY, model.energy, lambda i: (i,))

    members: dict[int, list[Any]] = {k: [] for k in slots}
    for k, cell in zip(slot.tolist(), cells, strict=True):
        members[k].append(cell)
    model.totals = Constraint(slots)
    for k in slots:
        theirs = storage.totals(k) if storage is not None else []
        model.totals[k] = _linear([-1.0, *(f for f, _ in theirs)], [model.total[k], *(c for _, c in theirs)], plus=members[k]) == 0
        if storage is not None:
            model.total[k].lb = -float(problem.discharge_room_kw[k])
        if costs.site_limited:
            model.total[k].ub = float(problem.room_kw[k])
    named.add(Family.TOTALS, model.totals, _at_slot)

    write_limits(problem, model, named, usable=usable, gives=shape.gives, storages=storage is not None)
    its = stays.write(named)
    terms.append(([factor for factor, _ in its], [column for _, column in its]))
    _write_lenders(problem, model, named, shape, given)
    write_heat(problem, model, named, shape)
    if storage is not None and costs.storage is not None:
        used = storage.write(costs.storage, given)
        terms.append(([factor for factor, _ in used], [column for _, column in used]))

    if costs.peak:
        background = problem.block_means(problem.background_kw)
        windows = problem.windows
        blocks = windows.holding(shape.slots).tolist()
        model.peaks = Constraint(blocks)
        for block in blocks:
            model.peaks[block] = _mean_above(problem, model, block, slots, given, model.peak) <= -float(background[block])
        named.add(Family.PEAKS, model.peaks, lambda block: (0, windows.last_slots[block], windows.last_parts[block]))
    if costs.pieces and problem.demand_pieces:
        dear = _write_pieces(problem, model, named, slots, given)
        terms.append(([costs.pieces * factor for factor, _ in dear], [column for _, column in dear]))

    sunny = [k for k in slots if costs.imported[k]]
    if sunny:
        model.imported = Var(sunny, within=NonNegativeReals)
        sold = [k for k in sunny if costs.exported is not None and costs.exported[k]]
        model.exported = Var(sold, within=NonNegativeReals)
        model.imports = Constraint(sunny)
        for k in sunny:
            lent = [model.given[k]] if k in given else []
            drawn = [model.total[k], *([model.exported[k]] if k in sold else [])]
            net = _linear([-1.0] * (1 + len(lent)), [model.imported[k], *lent], plus=drawn)
            model.imports[k] = net <= -float(problem.background_kw[k])
        named.add(Family.IMPORTED, model.imported, _at_slot)
        named.add(Family.EXPORTED, model.exported, _at_slot)
        named.add(Family.IMPORTS, model.imports, _at_slot)
        if costs.exported is not None:
            terms.append(([float(costs.exported[k]) for k in sold], list(model.exported.values())))
        terms.append(([float(costs.imported[k]) for k in sunny], list(model.imported.values())))

    factors = [factor for some, _ in terms for factor in some]
    model.cost = Objective(expr=_linear(factors, [column for _, some in terms for column in some]), sense=minimize)
    return model, shape, named


def _at_slot(k: int) -> tuple[int, int]:
    """Places of what there is once in a slot, for its key."""
    return 0, k


def _mean_above(problem: Problem, model: ConcreteModel, block: int, slots: list[int], given: dict[int, list[Any]], column: Any) -> Any:
    """Mean of what the vehicles draw in a block, less ``column``."""
    windows = problem.windows
    its = windows.block == block
    share = dict(zip(windows.slot[its].tolist(), (windows.hours[its] / windows.block_hours[block]).tolist(), strict=True))
    share = {k: part for k, part in share.items() if k in slots}
    lent = [k for k in share if k in given]
    return _linear(
        [*share.values(), *(-share[k] for k in lent), -1.0],
        [*(model.total[k] for k in share), *(model.given[k] for k in lent), column],
    )


def _write_pieces(
    problem: Problem, model: ConcreteModel, named: Named, slots: list[int], given: dict[int, list[Any]]
) -> list[tuple[float, Any]]:
    """Rows of the demand pieces; (cost, column) of what they add. ``over``: kW above what is free; ``dear``: the highest cost of a
    group of several."""
    pieces, background = problem.demand_pieces, problem.block_means(problem.background_kw)
    windows = problem.windows
    reached = set(windows.holding(np.array(slots, dtype=np.intp)).tolist())
    rows = [(p, b) for p, piece in enumerate(pieces) for b in counted_blocks(problem, piece).tolist() if b in reached]
    model.over = Var(sorted({p for p, _ in rows}), bounds=lambda _, p: (over_background_kw(problem, pieces[p]), None))
    model.piece = Constraint(rows)
    for p, block in rows:
        mean = _mean_above(problem, model, block, slots, given, model.over[p])
        model.piece[p, block] = mean <= pieces[p].free_kw - float(background[block])
    costs: list[tuple[float, Any]] = []
    its = {name: [p for p in members if p in model.over] for name, members in groups(problem).items()}
    several = [name for name, members in its.items() if len(members) > 1]
    model.dear = Var(several, bounds=(0, None))
    model.dearest = Constraint([(name, p) for name in several for p in its[name]])
    for name, members in its.items():
        if name in several:
            for p in members:
                model.dearest[name, p] = _linear([pieces[p].per_kw, -1.0], [model.over[p], model.dear[name]]) <= 0.0
            costs.append((1.0, model.dear[name]))
        else:
            costs += [(pieces[p].per_kw, model.over[p]) for p in members]
    named.add(Family.OVER, model.over, lambda p: (p,))
    named.add(Family.DEAR, model.dear, lambda name: (its[name][0],))
    named.add(Family.PIECE, model.piece, lambda index: (index[0], windows.last_slots[index[1]], windows.last_parts[index[1]]))
    named.add(Family.DEAREST, model.dearest, lambda index: (index[1],))
    return costs


def _write_lenders(problem: Problem, model: ConcreteModel, named: Named, shape: Shape, given: dict[int, list[Any]]) -> None:
    """What holds where vehicles may give: sums per slot, and the level of each battery."""
    model.gifts = Constraint(sorted(given))
    for k in sorted(given):
        model.gifts[k] = _linear([-1.0], [model.given[k]], plus=given[k]) == 0

    at = levels_of(problem, shape).tolist()
    model.level = Var(at)
    model.levels = Constraint(at)
    before: tuple[int, int] | None = None
    for c in at:
        i, hours = int(shape.vehicle[c]), float(problem.hours[shape.slot[c]])
        vehicle = problem.vehicles[i]
        model.level[c].lb, model.level[c].ub = level_bounds_kwh(vehicle)
        factors, columns = [vehicle.eff * hours, -1.0], [model.p[c], model.level[c]]
        if c in model.g:
            factors.append(-hours / vehicle.eff)
            columns.append(model.g[c])
        plus = [model.level[before[1]]] if before is not None and before[0] == i else []
        model.levels[c] = _linear(factors, columns, plus=plus) == 0
        before = (i, c)
    named.add(Family.GIFTS, model.gifts, _at_slot)
    named.add(Family.LEVEL, model.level, lambda c: (shape.vehicle[c], shape.slot[c]))
    named.add(Family.LEVELS, model.levels, lambda c: (shape.vehicle[c], shape.slot[c]))


def _compile(model: ConcreteModel, named: Named) -> dict[str, Any]:
    info = LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=minimize)
    columns = info.columns  # in the compiler's order; without those that stand in no row and have no cost
    place = {id(column): j for j, column in enumerate(columns)}
    senses = np.array([_SENSES[row.bound_type] for row in info.rows], dtype=bool)
    limits = np.asarray(info.rhs, dtype=np.float64)
    lowers = [column.lb for column in columns]
    uppers = [column.ub for column in columns]
    return {
        "cost": info.c.toarray()[0],
        "lower": np.array([-np.inf if lower is None else lower for lower in lowers], dtype=np.float64),
        "upper": np.array([np.inf if upper is None else upper for upper in uppers], dtype=np.float64),
        "row_lower": np.where(senses[:, 0], limits, -np.inf),
        "row_upper": np.where(senses[:, 1], limits, np.inf),
        "starts": info.A.indptr.astype(np.int32),
        "rows": info.A.indices.astype(np.int32),
        "values": np.asarray(info.A.data, dtype=np.float64),
        "column_keys": named.of(columns),
        "row_keys": named.of(row.constraint for row in info.rows),
        "cells": np.array([place[id(cell)] for cell in model.p.values()], dtype=np.int32),
        "unmet": np.array([place[id(column)] for column in model.unmet.values()], dtype=np.int32),
        "totals": np.array([place[id(column)] for column in model.total.values()], dtype=np.int32),
        "giving": np.array([place[id(column)] for column in model.g.values()], dtype=np.int32),
        "storage_drawn": np.array([place[id(column)] for column in model.c.values()] if hasattr(model, "c") else [], dtype=np.int32),
        "storage_given": np.array([place[id(column)] for column in model.d.values()] if hasattr(model, "d") else [], dtype=np.int32),
    }
