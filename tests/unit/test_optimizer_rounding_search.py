"""The search after relax-and-round: as cheap as a mixed-integer model where that closes, nothing where there is nothing to gain."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import pytest

from benchmarks import raw_plan
from benchmarks.plan_depots import mixed, random_depot
from optimizer import Policy, Problem, arrays, plan, rounding
from optimizer.cell_bounds import SHORT_KWH
from optimizer.errors import SolverFailed
from optimizer.evaluate import evaluate
from optimizer.planning import costs_of
from optimizer.problem import FloatArray
from optimizer.scenario import read
from optimizer.solver import Solver

EXACT = 1e-3


@dataclass
class Counting:
    """A solver that counts its solutions, and has no time left after ``most``."""

    real: Solver
    most: int = 10_000
    solved: int = field(default=0)

    def solve(self) -> FloatArray:
        self.solved += 1
        if self.solved > self.most:
            raise SolverFailed("the time is over")
        return self.real.solve()

    def change_bounds(self, columns: np.ndarray, *, lower: FloatArray, upper: FloatArray) -> None:
        self.real.change_bounds(columns, lower=lower, upper=upper)


def rounded(problem: Problem, *, most: int = 10_000, everywhere: bool = True) -> tuple[FloatArray, FloatArray, Counting]:
    """Costs of the relaxed and of the rounded plan, and the solver that was used."""
    compiled = arrays.build(problem, costs_of(problem, Policy.CHEAPEST))
    solver = Counting(Solver(compiled, deadline=perf_counter() + 60))
    relaxed = solver.solve()
    solver.solved, solver.most = 0, most
    found = rounding.round_minimum_powers(problem, compiled, solver=solver, columns=relaxed, everywhere=everywhere)  # type: ignore[arg-type]  # as a solver does
    return compiled.cost @ relaxed, compiled.cost @ found, solver


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("seed", [2, 6, 17, 23, 30, 44])
def test_as_cheap_as_a_mixed_integer_model(seed: int, everywhere: bool) -> None:
    scenario = random_depot(seed)
    problem, depot = read(scenario), raw_plan.Depot.read(scenario)
    relaxed = plan(problem)
    whole = raw_plan.solve_whole(depot, seconds=2.0, everywhere=everywhere, most_missing=relaxed.unmet_kwh + SHORT_KWH)
    found = plan(problem, round_minimum="all" if everywhere else True)
    assert (found.unmet_kwh <= relaxed.unmet_kwh + 2 * SHORT_KWH).all()
    if whole is not None:
        assert evaluate(problem, found.power_kw).below_minimum == 0 or not everywhere
        mine = raw_plan.objective_of(depot, found.power_kw)
        assert mine <= whole.objective + EXACT * abs(whole.objective)


def without_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "searched", lambda *_, rounded, **__: rounded)


def test_it_finds_cheaper_ways_than_half_way_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = read(mixed(12, seed=1))
    bound, searched, _ = rounded(problem)
    without_search(monkeypatch)
    _, half_way, _ = rounded(problem)
    assert searched <= bound * (1 + 2e-4)
    assert half_way > bound * (1 + 5e-4)


def test_it_rounds_what_half_way_rounding_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = read(mixed(24, seed=3))
    searched = plan(problem, round_minimum="all")
    without_search(monkeypatch)
    assert evaluate(problem, plan(problem, round_minimum="all").power_kw).below_minimum > 0
    verdict = evaluate(problem, searched.power_kw)
    assert (verdict.below_minimum, verdict.keeps_limits) == (0, True)


def test_nothing_is_tried_where_the_rounded_plan_is_close_already() -> None:
    _, _, solver = rounded(read(mixed(60, seed=1)), everywhere=False)
    assert solver.solved <= rounding.PASSES + 1


def test_when_the_time_is_over_the_best_so_far_stands() -> None:
    problem = read(mixed(12, seed=1))
    bound, best, solver = rounded(problem)
    by_half_way = rounding.PASSES_EVERYWHERE
    assert solver.solved > by_half_way
    for most in (by_half_way, by_half_way + 2, solver.solved - 1):
        _, cut_off, _ = rounded(problem, most=most)
        assert best <= cut_off <= bound * 1.001


def test_the_same_problem_is_rounded_the_same_way() -> None:
    problem = read(mixed(24, seed=3))
    one, other = (plan(problem, round_minimum="all").power_kw for _ in range(2))
    assert np.array_equal(one, other)
