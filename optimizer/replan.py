"""Plans again and again: the same depot a few minutes later, begun where the last plan ended.

Each plan writes its model's arrays anew (that is the smaller part of its time) and begins the search at the old basis, as far
as its columns and rows are still there (:mod:`optimizer.warm`). What comes out is an optimum of the new problem, as a plan
from nothing is: the same objective to the solver's tolerance. Where several plans cost exactly the same, the one that is
found may depend on where the search began: the same problem after the same problems gives the same plan, and one that
moves less than a plan from nothing would. What is done beside the optimum begins at the last plan's, too
(:mod:`optimizer.steps`).
"""

from __future__ import annotations

from optimizer.errors import SolverFailed
from optimizer.planning import DEADLINE_S, plan
from optimizer.polish import RoundMinimum
from optimizer.problem import PlanResult, Policy, Problem
from optimizer.warm import Kept
from optimizer.weights import Weights


class Replanner:
    """One depot's plans, one after another. Not for two threads at once."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def plan(
        self,
        problem: Problem,
        *,
        policy: Policy | Weights = Policy.CHEAPEST,
        deadline_s: float = DEADLINE_S,
        round_minimum: RoundMinimum = False,
    ) -> PlanResult:
        """As :func:`optimizer.plan`. After a :class:`SolverFailed` the next plan begins from nothing."""
        try:
            return plan(problem, policy=policy, deadline_s=deadline_s, round_minimum=round_minimum, kept=self._kept)
        except SolverFailed:
            self.forget()
            raise

    def forget(self) -> None:
        """Begin the next plan from nothing."""
        self._kept.clear()
