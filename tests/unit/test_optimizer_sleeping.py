"""Rows that sleep: the optimum, its duals and its basis are those of the model in which all rows are awake."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest

from benchmarks.make_scenarios import everything
from optimizer import Policy, Problem, arrays, sleeping
from optimizer.compiled import Compiled
from optimizer.heat import PackHeat, temperatures
from optimizer.keys import Family
from optimizer.planning import costs_of, power_of
from optimizer.problem import FloatArray
from optimizer.solver import Solver
from optimizer.warm import BASIC


def model(*, hot: bool = False, vehicles: int = 24) -> tuple[Problem, Compiled]:
    problem = everything(vehicles, seed=3).with_lenders()
    if hot:  # every battery warms by 40 K, none may pass 45 °C
        heats = [PackHeat(30.0, 45.0, np.array(30.0), settle_h=2.0, rise_per_kw=40.0 / max(v.p_max_kw, 1.0)) for v in problem.vehicles]
        problem = replace(problem, vehicles=tuple(replace(v, heat=heat) for v, heat in zip(problem.vehicles, heats, strict=True)))
    return problem, arrays.build(problem, costs_of(problem, Policy.CHEAPEST))


def solved(compiled: Compiled, monkeypatch: pytest.MonkeyPatch, *, least_share: float) -> tuple[Solver, FloatArray]:
    monkeypatch.setattr(sleeping, "LEAST_SHARE", least_share)
    solver = Solver(compiled, deadline=perf_counter() + 20)
    return solver, solver.solve()


def sums(compiled: Compiled, columns: FloatArray) -> FloatArray:
    of_column = np.repeat(np.arange(len(columns)), np.diff(compiled.starts))
    return np.bincount(compiled.rows, compiled.values * columns[of_column], minlength=len(compiled.row_lower))


@pytest.mark.parametrize("hot", [False, True])
def test_the_optimum_is_that_of_all_rows_and_breaks_none(monkeypatch: pytest.MonkeyPatch, hot: bool) -> None:
    problem, compiled = model(hot=hot)
    _, awake = solved(compiled, monkeypatch, least_share=2.0)
    solver, columns = solved(compiled, monkeypatch, least_share=0.0)
    assert solver.rows_asleep > 0
    assert compiled.cost @ columns == pytest.approx(compiled.cost @ awake, rel=1e-9)
    rows = sums(compiled, columns)
    assert (rows <= compiled.row_upper + 1e-5).all()
    assert (rows >= compiled.row_lower - 1e-5).all()
    assert (columns >= compiled.lower - 1e-6).all()
    assert (columns <= compiled.upper + 1e-6).all()
    if hot:
        assert np.nanmax(temperatures(problem, power_of(problem, compiled, columns))) <= 45.0 + 1e-4


def test_duals_prove_the_optimum_of_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Duals of all rows, 0 for those that sleep: what they say a column costs more than it is worth has the sign of its bound."""
    _, compiled = model(hot=True)
    solver, columns = solved(compiled, monkeypatch, least_share=0.0)
    assert solver.rows_asleep > 0
    row_dual, column_dual = solver.duals()
    assert len(row_dual) == len(compiled.row_lower)
    assert np.array_equal(row_dual, solver.row_duals())
    assert np.allclose(row_dual, solver.duals_under(compiled.cost[None, :])[0], atol=1e-9)
    of_column = np.repeat(np.arange(len(columns)), np.diff(compiled.starts))
    worth = np.bincount(of_column, compiled.values * row_dual[compiled.rows], minlength=len(columns))
    assert np.allclose(compiled.cost - worth, column_dual, atol=1e-7)
    assert (column_dual[columns < compiled.upper - 1e-6] >= -1e-6).all()
    assert (column_dual[columns > compiled.lower + 1e-6] <= 1e-6).all()
    rows = sums(compiled, columns)
    slack = (rows < compiled.row_upper - 1e-5) & (rows > compiled.row_lower + 1e-5)
    heat = compiled.row_keys >> 48 == Family.HEAT  # a rise that costs nothing may lie above what the powers make
    assert np.abs(row_dual[slack & ~heat]).max() < 1e-7


def test_its_basis_begins_the_next_search_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _, compiled = model()
    solver, columns = solved(compiled, monkeypatch, least_share=0.0)
    basis = solver.basis()
    assert basis.complete
    again = Solver(compiled, deadline=perf_counter() + 20, start=basis)
    assert compiled.cost @ again.solve() == pytest.approx(compiled.cost @ columns, rel=1e-9)
    assert again.iterations == 0
    assert set(np.flatnonzero(basis.rows != BASIC)) <= set(again.rows_awake.tolist())


def test_tighter_bounds_wake_what_they_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later solve may break other rows than the first one."""
    _, compiled = model()
    solver, columns = solved(compiled, monkeypatch, least_share=0.0)
    used = compiled.cells[columns[compiled.cells] > 1.0][::2].astype(np.int32)
    solver.change_bounds(used, lower=np.zeros(len(used)), upper=np.zeros(len(used)))
    found = solver.solve()
    monkeypatch.setattr(sleeping, "LEAST_SHARE", 2.0)
    closed = compiled.upper.copy()
    closed[used] = 0.0
    other = Solver(replace(compiled, upper=closed), deadline=perf_counter() + 20)
    assert compiled.cost @ found == pytest.approx(compiled.cost @ other.solve(), rel=1e-9)
    rows = sums(compiled, found)
    assert (rows <= compiled.row_upper + 1e-5).all()
    assert (rows >= compiled.row_lower - 1e-5).all()


def test_a_row_that_is_added_keeps_its_number_when_others_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    _, compiled = model()
    monkeypatch.setattr(sleeping, "LEAST_SHARE", 0.0)
    solver = Solver(compiled, deadline=perf_counter() + 20)
    row = solver.add_row(compiled.cells, np.ones(len(compiled.cells)), upper=np.inf)
    assert row == len(compiled.row_lower)
    free = float(solver.solve()[compiled.cells].sum())
    solver.change_row(row, upper=0.9 * free)
    assert float(solver.solve()[compiled.cells].sum()) <= 0.9 * free + 1e-5
    assert solver.duals()[0][row] < 0


def test_where_few_rows_may_sleep_none_does() -> None:
    problem = replace(model()[0], caps=(), feeders=(), share_shortage=False, vehicles=tuple(
        replace(v, feeder=None, heat=None, milestones=()) for v in model()[0].vehicles
    ))  # fmt: skip
    compiled = arrays.build(problem, costs_of(problem, Policy.CHEAPEST))
    assert Solver(compiled, deadline=perf_counter() + 20).rows_asleep == 0
