"""The columns and rows of milestones and shared shortages in the Pyomo model; see :mod:`optimizer.stays` for what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyomo.core.expr import LinearExpression, MonomialTermExpression
from pyomo.environ import ConcreteModel, Constraint, Var

from optimizer.keys import Family, Named
from optimizer.problem import Problem
from optimizer.stays import SHARE_EDGES, StayCosts, extra_kwh, least_marks, most_marks, share_bounds_kwh

if TYPE_CHECKING:
    from optimizer.compiled import Shape

Terms = list[tuple[float, Any]]


class StayColumns:
    """Declared on ``model`` by building this; :meth:`energy` is what the energy rows take in. ``costs`` None: only the upper bounds
    of milestones hold."""

    def __init__(self, problem: Problem, model: ConcreteModel, shape: Shape, costs: StayCosts | None) -> None:
        self._problem, self._model, self._shape, self._costs = problem, model, shape, costs
        self._least = list(least_marks(problem, shape.usable, shape.lends)) if costs is not None else []
        beyond = {i: extra_kwh(problem.vehicles[i]) for i in sorted({mark.vehicle for _, mark, _ in self._least})}
        model.extra = Var([i for i, kwh in beyond.items() if kwh > 0], bounds=lambda _, i: (0, beyond[i]))
        model.short = Var([place for place, _, _ in self._least], bounds=(0, None))
        shares = costs is not None and costs.share is not None
        self._sharing = [i for i in shape.needy.tolist() if problem.vehicles[i].energy_kwh > 0] if shares else []
        segments = [(i, s) for i in self._sharing for s in range(len(SHARE_EDGES))]
        model.share = Var(segments, bounds=lambda _, i, s: (0, share_bounds_kwh(problem.vehicles[i])[1][s]))

    def energy(self, i: int) -> Terms:
        """What it adds to the energy row of a vehicle."""
        return [(-1.0, self._model.extra[i])] if i in self._model.extra else []

    def write(self, named: Named) -> Terms:
        """Its own rows, which it names as its columns; returns its terms of the objective."""
        problem, model = self._problem, self._model
        model.least = Constraint([place for place, _, _ in self._least])
        for place, mark, kwh in self._least:
            received = self._received(mark.vehicle, mark.milestone.by_slot)
            model.least[place] = _linear([*received, (1.0, model.short[place])]) >= kwh
        bounded = list(most_marks(problem, self._shape.usable))
        model.most = Constraint([mark.places for mark, _ in bounded])
        for mark, kwh in bounded:
            model.most[mark.places] = _linear(self._received(mark.vehicle, mark.milestone.by_slot)) <= kwh
        model.shares = Constraint(self._sharing)
        for i in self._sharing:
            dearer = [(-1.0, model.share[i, s]) for s in range(len(SHARE_EDGES))]
            model.shares[i] = _linear([(1.0, model.unmet[i]), *dearer]) <= share_bounds_kwh(problem.vehicles[i])[0]
        places = {place: mark.places for place, mark, _ in self._least}
        named.add(Family.LEAST, model.least, places.__getitem__)
        named.add(Family.SHORT, model.short, places.__getitem__)
        named.add(Family.MOST, model.most, lambda index: index)
        named.add(Family.SHARES, model.shares, lambda i: (i,))
        named.add(Family.SHARE, model.share, lambda index: (index[0], 0, index[1]))
        named.add(Family.EXTRA, model.extra, lambda i: (i,))
        if self._costs is None:
            return []
        terms = [(float(self._costs.short[place]), model.short[place]) for place, _, _ in self._least]
        if self._costs.share is not None:
            terms += [(float(self._costs.share[i, s]), column) for (i, s), column in model.share.items()]
        return terms

    def _received(self, i: int, by_slot: int) -> Terms:
        """Battery energy of a vehicle before a slot."""
        problem, model, shape = self._problem, self._model, self._shape
        eff = problem.vehicles[i].eff
        low, high = np.searchsorted(shape.vehicle, (i, i + 1)).tolist()
        its = [c for c in range(low, high) if shape.slot[c] < by_slot]
        hours = {c: float(problem.hours[shape.slot[c]]) for c in its}
        drawn: Terms = [(eff * hours[c], model.p[c]) for c in its]
        return drawn + [(-hours[c] / eff, model.g[c]) for c in its if c in model.g]


def _linear(terms: Terms) -> LinearExpression:
    return LinearExpression([MonomialTermExpression(term) for term in terms])
