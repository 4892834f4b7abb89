"""Two-stage planning: several futures, one decision now. What a reserve is checked against; too slow for large depots.

    S problems that differ in what is still to come  --one LP-->  powers of the running slot, the same in all of them,
                                                                  and a plan of the rest for each

The futures' models are set side by side; the running slot's columns of a vehicle are one column in all of them, everything
behind it is each future's own. What is minimised is the mean over the futures, so that a future in which somebody is
left short weighs its penalty by its chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from optimizer import arrays
from optimizer.compiled import Compiled, IntArray
from optimizer.errors import InvalidProblem
from optimizer.keys import NO_KEY
from optimizer.planning import DEADLINE_S, costs_of, power_of
from optimizer.problem import FloatArray, Policy, Problem
from optimizer.solver import Solver


@dataclass(frozen=True, eq=False, slots=True)
class TwoStagePlan:
    """``now_kw`` [vehicle]: what each should draw in the running slot. ``power_kw``: of each future, [vehicle × slot]."""

    now_kw: FloatArray
    power_kw: tuple[FloatArray, ...]
    solve_s: float


def plan_two_stage(futures: Sequence[Problem], *, policy: Policy = Policy.CHEAPEST, deadline_s: float = DEADLINE_S) -> TwoStagePlan:
    """The best powers of slot 0 for all ``futures`` together, equally likely.

    They have the same vehicles in the same order, and who may draw in slot 0 is the same in all of them. Vehicles that give and
    stationary batteries play no part. Raises :class:`InvalidProblem` where the futures do not begin alike,
    :class:`SolverFailed` where there is no answer in time.
    """
    deadline = perf_counter() + deadline_s
    if not futures:
        raise InvalidProblem("two stages: at least one future is needed")
    shape = futures[0].upper_kw[:, 0]
    for future in futures[1:]:
        if [v.id for v in future.vehicles] != [v.id for v in futures[0].vehicles] or not np.array_equal(
            future.upper_kw[:, 0] > 0, shape > 0
        ):
            raise InvalidProblem("two stages: the futures must have the same vehicles, and the same of them in slot 0")
    problems = [replace(future.with_lenders(), storages=()) for future in futures]
    parts = [arrays.build(problem, costs_of(problem, policy)) for problem in problems]
    joined, columns = _joined(parts)
    if not len(joined.cost):
        return TwoStagePlan(np.zeros(len(shape)), tuple(np.zeros_like(p.upper_kw) for p in problems), 0.0)
    solver = Solver(joined, deadline=deadline)
    found = solver.solve()
    powers = tuple(power_of(problem, part, found[mine]) for problem, part, mine in zip(problems, parts, columns, strict=True))
    return TwoStagePlan(powers[0][:, 0], powers, solver.solve_s)


def _joined(parts: Sequence[Compiled]) -> tuple[Compiled, list[IntArray]]:
    """One model of all, each at its share of the cost; and where the columns of each part are in it. The cells of slot 0 of the
    same vehicle are one column."""
    shared: dict[int, int] = {}
    places: list[IntArray] = []
    width = 0
    for part in parts:
        place = np.full(len(part.cost), -1, dtype=np.int32)
        now = part.cells[part.slot == 0]
        for column, vehicle in zip(now.tolist(), part.vehicle[part.slot == 0].tolist(), strict=True):
            place[column] = shared.get(vehicle, -1)
        own = np.flatnonzero(place < 0)
        place[own] = np.arange(width, width + len(own), dtype=np.int32)
        width += len(own)
        for column, vehicle in zip(now.tolist(), part.vehicle[part.slot == 0].tolist(), strict=True):
            shared.setdefault(vehicle, int(place[column]))
        places.append(place)
    cost, lower, upper = np.zeros(width), np.full(width, -np.inf), np.full(width, np.inf)
    rows, columns, values = [], [], []
    height = 0
    for part, place in zip(parts, places, strict=True):
        np.add.at(cost, place, part.cost / len(parts))
        lower[place] = np.maximum(lower[place], part.lower)
        upper[place] = np.minimum(upper[place], part.upper)
        rows.append(part.rows + height)
        columns.append(np.repeat(place, np.diff(part.starts)))
        values.append(part.values)
        height += len(part.row_lower)
    at = np.concatenate(columns)
    order = np.argsort(at, kind="stable")
    starts = np.concatenate(([0], np.cumsum(np.bincount(at, minlength=width)))).astype(np.int32)
    joined = replace(
        parts[0],
        cost=cost,
        lower=lower,
        upper=np.maximum(upper, lower),
        row_lower=np.concatenate([part.row_lower for part in parts]),
        row_upper=np.concatenate([part.row_upper for part in parts]),
        starts=starts,
        rows=np.concatenate(rows)[order].astype(np.int32),
        values=np.concatenate(values)[order],
        column_keys=np.full(width, NO_KEY, dtype=np.int64),
        row_keys=np.full(height, NO_KEY, dtype=np.int64),
    )
    return joined, places
