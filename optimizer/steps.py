"""The steps that a plan takes after its first solution (:mod:`optimizer.polish`), from plan to plan.

    this plan's step --Steps.solve()--> begun where the last plan's step of that name ended --> kept for the next plan

The next plan does nearly the same in its steps, too, and would else find its way again from its first solution to each of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.compiled import Compiled
from optimizer.problem import FloatArray, Problem
from optimizer.solver import Solver
from optimizer.warm import Kept, carried, passed_slots

Runs = dict[int, tuple[int, int]]
"""By a vehicle's place: the slots in which its session runs, half-open."""


class Steps:
    """Those of a ``model``, in ``kept``: each stands there under its name behind the model's."""

    def __init__(self, kept: dict[str, Kept], model: str, problem: Problem, compiled: Compiled) -> None:
        self._kept, self._model, self._problem, self._compiled = kept, model, problem, compiled

    def solve(self, solver: Solver, step: str) -> FloatArray:
        """As ``solver`` solves, begun where the last plan ended here."""
        self.begin(solver, step)
        columns = solver.solve()
        self.keep(solver, step)
        return columns

    def begin(self, solver: Solver, step: str) -> None:
        """Begin the next search where the last plan's ``step`` ended, if it took one."""
        last = self._kept.get(self._named(step))
        if last is not None and (start := carried(last, self._problem, self._compiled)) is not None:
            solver.restart(start)

    def keep(self, solver: Solver, step: str, *, runs: Runs | None = None, dearer: float = 0.0) -> None:
        """What was solved last, for the next plan."""
        found = Kept.of(self._problem, self._compiled, solver.basis(), solver.row_duals())
        named = {self._problem.vehicles[place].id: run for place, run in (runs or {}).items()}
        self._kept[self._named(step)] = replace(found, runs=named, dearer=dearer)

    def runs(self, step: str) -> tuple[Runs, float]:
        """The sessions of the last plan's ``step`` in the slots of this one, those that are over left out, and what they cost more than
        the relaxed plan, as a share: nothing where prices have changed since, for then they have to prove themselves anew."""
        last = self._kept.get(self._named(step))
        passed = passed_slots(last, self._problem) if last is not None else None
        if last is None or passed is None:
            return {}, 0.0
        found = {}
        for place, vehicle in enumerate(self._problem.vehicles):
            begin, end = last.runs.get(vehicle.id, (0, 0))
            if end > max(begin, passed):
                found[place] = max(begin - passed, 0), min(end - passed, self._problem.n_slots)
        return found, last.dearer if _same_prices(last, passed, self._problem) else 0.0

    def _named(self, step: str) -> str:
        return f"{self._model}: {step}"


def _same_prices(last: Kept, passed: int, problem: Problem) -> bool:
    """In the slots that both plans see."""
    begin = max(passed, 0)
    then, now = last.price_per_kwh[begin:], problem.price_per_kwh[max(-passed, 0) :]
    both = min(len(then), len(now))
    return bool(np.allclose(then[:both], now[:both]))
