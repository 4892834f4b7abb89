"""Plans one after another: what a plan that begins at the last one's end must share with a plan from nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from optimizer import Feeder, Policy, Problem, Replanner, SolverFailed, Vehicle, arrays, plan
from optimizer.compiled import Compiled
from optimizer.planning import costs_of
from optimizer.solver import Solver
from optimizer.warm import Basis, Kept, carried

ROOT = Path(__file__).resolve().parents[2]
SLOTS = 40
T0 = datetime(2026, 1, 12, 18, 0, tzinfo=UTC)


def depot(seed: int = 1, vehicles: int = 40) -> Problem:
    """A night behind two feeders, its site limit tight, two of ten vehicles able to give."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(vehicles):
        arrival = int(rng.integers(0, 15))
        departure = int(rng.integers(arrival + 8, SLOTS + 1))
        lends = n % 10 < 2
        rows.append(
            Vehicle(
                id=f"v{n}",
                arrival_slot=arrival,
                departure_slot=departure,
                energy_kwh=float(rng.uniform(5, 60)),
                p_max_kw=22.0,
                p_min_kw=4.14,
                eff=0.9,
                feeder=n % 2,
                priority=n % 3,
                discharge_kw=15.0 if lends else 0.0,
                stored_kwh=30.0 if lends else 0.0,
                capacity_kwh=90.0 if lends else 0.0,
                reserve_kwh=10.0 if lends else 0.0,
                wear_per_kwh=0.001,
            )
        )
    return Problem(
        t0=T0,
        n_slots=SLOTS,
        slot_minutes=15,
        price_per_kwh=np.repeat(rng.uniform(0.05, 0.4, SLOTS // 4), 4),
        site_limit_kw=260.0,
        background_kw=np.full(SLOTS, 40.0),
        vehicles=tuple(rows),
        feeders=(Feeder("A", np.full(SLOTS, 140.0)), Feeder("B", np.full(SLOTS, 130.0))),
        demand_charge_per_kw=0.8,
        mtd_peak_kw=100.0,
    )


def next_quarter(problem: Problem, power_kw: np.ndarray, *, seed: int) -> Problem:
    """A quarter of an hour later: what was planned is charged, some have left, one has come, needs and prices have moved."""
    rng = np.random.default_rng(seed)
    stay = []
    for vehicle, row in zip(problem.vehicles, power_kw, strict=True):
        left = max(0.0, vehicle.energy_kwh - max(row[0], 0.0) * 0.25 * vehicle.eff)
        if vehicle.departure_slot <= 1 or rng.random() < 0.03:
            continue
        arrival, departure = max(vehicle.arrival_slot - 1, 0), vehicle.departure_slot - 1
        stay.append(replace(vehicle, arrival_slot=arrival, departure_slot=departure, energy_kwh=left * rng.uniform(0.97, 1.03)))
    if problem.n_slots > 12:
        stay.append(replace(stay[0], id=f"new-{seed}", arrival_slot=0, departure_slot=10, energy_kwh=20.0))
    per_slot = {one.name: getattr(problem, one.name) for one in fields(problem)}
    ahead = {name: value[1:] for name, value in per_slot.items() if isinstance(value, np.ndarray)}
    return replace(
        problem,
        **ahead
        | {
            "t0": problem.t0 + timedelta(minutes=15),
            "n_slots": problem.n_slots - 1,
            "price_per_kwh": ahead["price_per_kwh"] * rng.uniform(0.98, 1.02),
            "feeders": tuple(Feeder(f.id, f.limit_kw[1:]) for f in problem.feeders),
            "vehicles": tuple(stay),
        },
    )


def night(replanner: Replanner, policy: Policy, ticks: int = 25) -> list[tuple[Problem, np.ndarray, float]]:
    """(problem, powers, cost) of each tick."""
    problem, seen = depot(), []
    for tick in range(ticks):
        found = replanner.plan(problem, policy=policy, round_minimum=True)
        seen.append((problem, found.power_kw, found.cost))
        problem = next_quarter(problem, found.power_kw, seed=tick)
    return seen


@pytest.mark.parametrize("policy", list(Policy))
def test_every_tick_of_a_night_costs_what_a_plan_from_nothing_costs(policy: Policy) -> None:
    replanner = Replanner()
    problem = depot()
    for tick in range(25):
        warm, cold = replanner.plan(problem, policy=policy), plan(problem, policy=policy)
        costs = costs_of(problem.with_lenders(), policy)
        if not (warm.power_kw < 0).any() and not (cold.power_kw < 0).any():
            objective = [
                float((costs.cell * found.power_kw).sum() + costs.unmet @ found.unmet_kwh)
                + costs.peak * max(0.0, found.peak_kw - problem.free_peak_kw)
                for found in (warm, cold)
            ]
            assert objective[0] == pytest.approx(objective[1], rel=1e-6)
        assert warm.unmet_kwh.sum() == pytest.approx(cold.unmet_kwh.sum(), abs=1e-4)
        problem = next_quarter(problem, warm.power_kw, seed=tick)


def test_the_same_problems_one_after_another_give_the_same_plans() -> None:
    first, second = night(Replanner(), Policy.CHEAPEST), night(Replanner(), Policy.CHEAPEST)
    for (_, mine, _), (_, theirs, _) in zip(first, second, strict=True):
        assert np.array_equal(mine, theirs)


def test_a_basis_of_nonsense_is_a_slow_start_and_nothing_else() -> None:
    problem = depot().with_lenders()
    compiled = arrays.build(problem, costs_of(problem, Policy.CHEAPEST))
    best = compiled.cost @ Solver(compiled, deadline=perf_counter() + 20).solve()
    rng = np.random.default_rng(3)
    for share in (0.0, 0.1, 0.9):
        columns = np.where(rng.random(len(compiled.cost)) < share, 1, rng.choice([0, 2, 4], len(compiled.cost))).astype(np.int8)
        rows = rng.integers(0, 3, len(compiled.row_lower)).astype(np.int8)
        solver = Solver(compiled, deadline=perf_counter() + 20, start=Basis(columns, rows))
        assert compiled.cost @ solver.solve() == pytest.approx(best, rel=1e-6)


def test_what_is_still_there_keeps_its_place_and_what_is_new_begins_at_a_bound() -> None:
    problem = depot(vehicles=6).with_lenders()
    compiled = arrays.build(problem, costs_of(problem, Policy.CHEAPEST))
    solver = Solver(compiled, deadline=perf_counter() + 20)
    solver.solve()
    kept = Kept.of(problem, compiled, solver.basis(), solver.row_duals())
    same = carried(kept, problem, compiled)
    assert same is not None
    assert same.complete
    assert np.array_equal(same.columns, kept.basis.columns)
    assert np.array_equal(same.rows, kept.basis.rows)
    other = replace(problem, vehicles=tuple(reversed(problem.vehicles[1:])))  # the first has left, the others stand in another order
    again = arrays.build(other, costs_of(other, Policy.CHEAPEST))
    found = carried(kept, other, again)
    assert found is not None
    at, now = cells_of(problem, compiled, same), cells_of(other, again, found)
    assert now == {cell: code for cell, code in at.items() if cell[0] != "v0"}
    assert carried(kept, replace(problem, t0=T0 + timedelta(minutes=7)), compiled) is None  # slots that are others
    assert carried(kept, replace(problem, slot_minutes=30), compiled) is None


def cells_of(problem: Problem, compiled: Compiled, basis: Basis) -> dict[tuple[str, int], int]:
    """(vehicle, slot): where its column stands."""
    cells = zip(compiled.vehicle, compiled.slot, basis.columns[compiled.cells], strict=True)
    return {(problem.vehicles[i].id, int(k)): int(code) for i, k, code in cells}


def test_no_time_in_the_middle_of_a_warm_plan_is_told_at_the_deadline_and_forgotten() -> None:
    replanner = Replanner()
    problem = depot(vehicles=300)
    replanner.plan(problem)
    changed = replace(problem, price_per_kwh=problem.price_per_kwh[::-1].copy())
    began = perf_counter()
    with pytest.raises(SolverFailed):
        replanner.plan(changed, deadline_s=0.001)
    assert perf_counter() - began < 5
    assert replanner.plan(changed).cost == pytest.approx(plan(changed).cost, rel=1e-6)


def test_planning_loads_no_pyomo() -> None:
    code = """
import sys
import numpy as np
from datetime import UTC, datetime
from optimizer import Problem, Replanner, Vehicle
van = Vehicle(id="v", arrival_slot=0, departure_slot=2, energy_kwh=1.0, p_max_kw=8.0)
Replanner().plan(Problem(t0=datetime(2026, 1, 1, tzinfo=UTC), n_slots=2, slot_minutes=15, price_per_kwh=np.ones(2), site_limit_kw=9.0,
                         background_kw=1.0, vehicles=(van,)))
print([name for name in sys.modules if name.startswith("pyomo")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
