"""The batteries' columns and rows in the Pyomo model; see :mod:`optimizer.storage` for what they say."""

from __future__ import annotations

from typing import Any

from pyomo.core.expr import LinearExpression, MonomialTermExpression
from pyomo.environ import ConcreteModel, Constraint, Var

from optimizer.keys import Family, Named
from optimizer.problem import Problem
from optimizer.storage import StorageCosts, upper_kw

Terms = list[tuple[float, Any]]


class StorageColumns:
    """Declared on ``model`` by building this; then :meth:`totals` is what the rows of the sums take in."""

    def __init__(self, problem: Problem, model: ConcreteModel, named: Named) -> None:
        self._problem, self._model, self._named = problem, model, named
        cells = [(s, k) for s in range(len(problem.storages)) for k in range(problem.n_slots)]
        draws, gives = upper_kw(problem)
        model.c = Var(cells, bounds=lambda _, s, k: (0, float(draws[s, k])))
        model.d = Var(cells, bounds=lambda _, s, k: (0, float(gives[s, k])))
        model.held = Var(cells, bounds=lambda _, s, k: problem.storages[s].held_bounds_kwh)
        for family, columns in ((Family.STORAGE_DRAWN, model.c), (Family.STORAGE_GIVEN, model.d), (Family.STORAGE_HELD, model.held)):
            named.add(family, columns, lambda index: index)

    def totals(self, k: int) -> Terms:
        """What they add to ``total[k]``."""
        model = self._model
        return [term for s in range(len(self._problem.storages)) for term in ((1.0, model.c[s, k]), (-1.0, model.d[s, k]))]

    def write(self, costs: StorageCosts, given: dict[int, list[Any]]) -> Terms:
        """Their own rows; returns their terms of the objective. ``given``: slots in which vehicles may give."""
        problem, model = self._problem, self._model
        cells = list(model.c.keys())
        model.holds = Constraint(cells)
        terms: Terms = []
        for s, k in cells:
            storage, hours = problem.storages[s], float(problem.hours[k])
            row: Terms = [(storage.eff * hours, model.c[s, k]), (-hours / storage.eff, model.d[s, k]), (-1.0, model.held[s, k])]
            if k:
                row.append((1.0, model.held[s, k - 1]))
            model.holds[s, k] = _linear(row) == 0
            terms += [(float(costs.drawn[k]), model.c[s, k]), (float(costs.given[s, k]), model.d[s, k])]
            terms.append((float(costs.held[s, k]), model.held[s, k]))
        model.out = Constraint(sorted(given))
        for k in sorted(given):
            model.out[k] = _linear([(1.0, model.total[k]), (-1.0, model.given[k])]) >= -float(problem.discharge_room_kw[k])
        self._named.add(Family.HOLDS, model.holds, lambda index: index)
        self._named.add(Family.OUT, model.out, lambda k: (0, k))
        return terms


def _linear(terms: Terms) -> LinearExpression:
    return LinearExpression([MonomialTermExpression(term) for term in terms])
