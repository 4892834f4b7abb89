"""The rows of feeders and caps in the Pyomo model; see :mod:`optimizer.limit_rows` for which there are.

limit  Σ_i weight_i · p[i,k] + Σ_{weight_i < 0} −weight_i · g[i,k] + Σ_s weight_s · c[s,k] ≤ room_k
back   Σ_i weight_i · g[i,k] ≤ limit_k
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from pyomo.environ import ConcreteModel, Constraint

from optimizer.keys import Family, Named
from optimizer.limit_rows import BoolArray, IntArray, binding, binding_back
from optimizer.linear import linear
from optimizer.problem import Problem


def write_limits(problem: Problem, model: ConcreteModel, named: Named, *, usable: BoolArray, gives: IntArray, storages: bool) -> None:
    """Rows of what is drawn, and of what is given. ``gives``: cells in which a vehicle may give; ``storages``: the batteries'
    columns are in the model."""
    rows = problem.limit_rows
    vehicle, slot = np.nonzero(usable)
    cell = {(i, k): c for c, (i, k) in enumerate(zip(vehicle.tolist(), slot.tolist(), strict=True))}
    giving = np.zeros_like(usable)
    giving[vehicle[gives], slot[gives]] = True
    members: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for r, i, weight in zip(rows.row.tolist(), rows.vehicle.tolist(), rows.weight.tolist(), strict=True):
        members[r].append((i, weight))
    batteries: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for r, s, weight in zip(rows.storage_row.tolist(), rows.storage.tolist(), rows.storage_weight.tolist(), strict=True):
        batteries[r].append((s, weight))

    n, count = len(problem.feeders), range(len(problem.feeders) + len(problem.caps))
    model.limit = Constraint(count, range(problem.n_slots))
    for r, k in np.argwhere(binding(problem, usable, gives=giving, storages=storages)).tolist():
        terms = [(weight, model.p[cell[i, k]]) for i, weight in members[r] if (i, k) in cell]
        terms += [(-weight, model.g[cell[i, k]]) for i, weight in members[r] if weight < 0 and giving[i, k]]
        if storages:
            terms += [(weight, model.c[s, k]) for s, weight in batteries[r]]
        model.limit[r, k] = _sum(terms) <= float(rows.room_kw[r, k])

    model.back = Constraint(count, range(problem.n_slots))
    for r, k in np.argwhere(binding_back(problem, giving)).tolist():
        terms = [(weight, model.g[cell[i, k]]) for i, weight in members[r] if giving[i, k]]
        model.back[r, k] = _sum(terms) <= float(rows.gives_kw[r, k])

    for rows_of, families in ((model.limit, (Family.FEEDER, Family.CAP)), (model.back, (Family.BACK, Family.CAP_BACK))):
        named.add(families[0], {index: row for index, row in rows_of.items() if index[0] < n}, lambda index: index)
        named.add(families[1], {index: row for index, row in rows_of.items() if index[0] >= n}, lambda index: (index[0] - n, index[1]))


def _sum(terms: list[tuple[float, Any]]) -> Any:
    weighted = [(weight, column) for weight, column in terms if weight != 1.0]
    return linear([w for w, _ in weighted], [c for _, c in weighted], plus=[column for weight, column in terms if weight == 1.0])
