"""The planner's reserve: the problem of a moment, made careful by how wrong this depot's announcements were.

    Asked (as announced) --careful()--> Asked (later, hungrier, some room held back) --> Planner
    what it cannot fit   --told()-----> less what only the reserve had added: nobody is called short for a fear

How careful is :mod:`optimizer.reserve`'s; where the errors come from is :mod:`controller.forecast_errors`'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np

from depot.state import Visit
from optimizer import PlanResult, Problem
from optimizer.evaluate import evaluate
from optimizer.reserve import Blend, ForecastErrors, ReserveRule, hedging
from optimizer.stays import TOLERANCE_KWH


class Reserve:
    """``errors``: of this depot, as they are known at the moment."""

    def __init__(self, errors: Callable[[], ForecastErrors], rule: ReserveRule | None = None) -> None:
        self._errors = errors
        self._rule = rule or ReserveRule()
        self._blend: tuple[ForecastErrors, Blend] | None = None

    async def careful(self, problem: Problem, visits: Mapping[str, Visit], *, now: datetime) -> Problem:
        """The problem to be solved in place of ``problem``, whose vehicles are ``visits``. The loop breathes between some vehicles."""
        of = [visits.get(vehicle.id) for vehicle in problem.vehicles]  # None: it has left since the problem was made
        present = np.array([visit is None or visit.present for visit in of], dtype=bool)
        overdue = np.array([0.0 if visit is None else (now - visit.announced.arrive_at).total_seconds() / 60 for visit in of])
        work = hedging(problem, self._blended(), self._rule, present=present, overdue_min=overdue)
        while True:
            await asyncio.sleep(0)
            try:
                next(work)
            except StopIteration as end:
                made: Problem = end.value
                return made

    def _blended(self) -> Blend:
        errors = self._errors()
        if self._blend is None or self._blend[0] is not errors:
            self._blend = (errors, Blend(errors))
        return self._blend[1]


def told(result: PlanResult, announced: Problem, careful: Problem) -> PlanResult:
    """The result as ``announced`` has it: by its prices, and what the reserve added and could not fit is nobody's shortage."""
    if careful is announced:
        return result
    added = np.array([c.energy_kwh - a.energy_kwh for a, c in zip(announced.vehicles, careful.vehicles, strict=True)])
    unmet = np.maximum(result.unmet_kwh - np.maximum(added, 0.0), 0.0)
    missing = {vehicle.id: float(kwh) for vehicle, kwh in zip(announced.vehicles, unmet, strict=True)}
    short = tuple(
        one if one.milestone is not None else replace(one, kwh=missing[one.vehicle])
        for one in result.short
        if one.milestone is not None or missing[one.vehicle] > TOLERANCE_KWH
    )
    verdict = evaluate(announced, result.power_kw, result.storage_kw)
    return replace(result, unmet_kwh=unmet, short=short, energy_cost=verdict.energy_cost, demand_cost=verdict.demand_cost)
