"""The heat columns and rows in the Pyomo model; see :mod:`optimizer.heat` for what they say."""

from __future__ import annotations

from typing import Any

from pyomo.core.expr import LinearExpression, MonomialTermExpression
from pyomo.environ import ConcreteModel, Constraint, Var

from optimizer.compiled import Shape
from optimizer.heat import heat_rows
from optimizer.keys import Family, Named
from optimizer.problem import Problem


def write_heat(problem: Problem, model: ConcreteModel, named: Named, shape: Shape) -> None:
    """Declare them on ``model``, whose cells are ``p`` and, where a vehicle may give, ``g``."""
    rows = heat_rows(problem, shape.vehicle, shape.slot)
    cells = rows.cells.tolist()
    most = dict(zip(cells, rows.most_k.tolist(), strict=True))
    model.rise = Var(cells, bounds=lambda _, c: (0.0, most[c]))
    model.heat = Constraint(cells)
    for c, keep, per_kw in zip(cells, rows.keep.tolist(), rows.per_kw.tolist(), strict=True):
        terms: list[tuple[float, Any]] = [(per_kw, model.p[c]), (-1.0, model.rise[c])]
        if keep:
            terms.append((keep, model.rise[c - 1]))
        if c in model.g:
            terms.append((per_kw, model.g[c]))
        model.heat[c] = LinearExpression([MonomialTermExpression(term) for term in terms]) <= 0.0
    named.add(Family.RISE, model.rise, lambda c: (shape.vehicle[c], shape.slot[c]))
    named.add(Family.HEAT, model.heat, lambda c: (shape.vehicle[c], shape.slot[c]))
