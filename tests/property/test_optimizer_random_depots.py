"""Random depots: the plan is feasible, nobody is short for money, and an independent model finds nothing cheaper."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from optimizer import (
    Cap,
    ChargeCurve,
    DemandPiece,
    Feeder,
    LifeCost,
    Milestone,
    Need,
    PackHeat,
    Policy,
    Problem,
    Storage,
    Vehicle,
    arrays,
    feasible_energy_kwh,
    min_peak_kw,
    model,
    plan,
)
from optimizer.baselines import BASELINES
from optimizer.compiled import Compiled, shape_of
from optimizer.evaluate import evaluate
from optimizer.keys import NO_KEY
from optimizer.planning import costs_of
from optimizer.problem import FloatArray
from optimizer.solver import Solver
from optimizer.warm import Kept, carried

SLOTS = 6
levels = st.integers(0, 60).map(float)


@st.composite
def lives(draw: st.DrawFn) -> LifeCost:
    steep = draw(st.booleans())
    per_slot = st.lists(st.integers(0, 40).map(lambda n: n / 100), min_size=SLOTS, max_size=SLOTS).map(np.array)
    return LifeCost(
        rent_per_kwh_h=draw(per_slot | st.sampled_from([np.array(0.0), np.array(0.03)])),
        wear_per_kwh=draw(per_slot),
        gentle_kw=float(draw(st.integers(0, 30))) if steep else None,
        steep_per_kwh=draw(per_slot | st.just(np.array(0.4))) if steep else None,
    )


@st.composite
def heats(draw: st.DrawFn) -> PackHeat:
    return PackHeat(
        temp_c=float(draw(st.integers(10, 60))),
        ceiling_c=float(draw(st.integers(30, 50))),
        ambient_c=np.array(float(draw(st.integers(0, 50)))),
        settle_h=draw(st.sampled_from([0.1, 1.0, 4.0])),
        rise_per_kw=draw(st.sampled_from([0.0, 0.3, 3.0])),
    )


@st.composite
def curves(draw: st.DrawFn) -> ChargeCurve:
    capacity = draw(st.integers(10, 60))
    accepts = np.array([0.0, *(float(draw(st.integers(0, 60))) for _ in range(3))])[::-1]
    return ChargeCurve(np.array([0.0, 0.5, 0.8, 1.0]), accepts, float(capacity), float(draw(st.integers(0, capacity))))


@st.composite
def vehicles(draw: st.DrawFn, name: str, feeders: int, alive: bool = False) -> Vehicle:
    arrival = draw(st.integers(0, SLOTS))
    p_max = draw(st.integers(0, 50))
    capacity = draw(st.integers(10, 60)) if draw(st.booleans()) else 0
    vehicle = Vehicle(
        id=name,
        arrival_slot=arrival,
        departure_slot=draw(st.integers(arrival, SLOTS)),
        energy_kwh=draw(st.integers(0, 60)) / 2,
        p_max_kw=p_max,
        p_min_kw=min(p_max, draw(st.sampled_from([0.0, 4.14, 10.0]))),
        eff=draw(st.sampled_from([0.85, 0.9, 1.0])),
        feeder=draw(st.none() | st.integers(0, feeders - 1)) if feeders else None,
        priority=draw(st.integers(-1, 3)),
        floor_kw=draw(st.sampled_from([0.0, 0.0, 4.14])),
        cap_kw=draw(st.none() | st.lists(levels, min_size=SLOTS, max_size=SLOTS).map(np.array)),
        discharge_kw=draw(st.integers(1, 40)) if capacity else 0.0,
        discharge_cap_kw=draw(st.none() | st.lists(levels, min_size=SLOTS, max_size=SLOTS).map(np.array)),
        stored_kwh=draw(st.integers(0, capacity)),
        capacity_kwh=capacity,
        reserve_kwh=draw(st.integers(0, capacity)) / 2,
        wear_per_kwh=draw(st.none() | st.sampled_from([0.0, 0.05, 2.0])),
        life=draw(st.none() | lives()) if alive else None,
        heat=draw(st.none() | heats()) if alive else None,
        curve=draw(st.none() | curves()) if alive else None,
    )
    return vehicle if vehicle.curve is None else replace(vehicle, floor_kw=0.0)  # what a battery does not take is no floor


@st.composite
def batteries(draw: st.DrawFn, name: str, feeders: int) -> Storage:
    capacity = draw(st.integers(5, 60))
    return Storage(
        id=name,
        charge_kw=draw(st.integers(0, 40)),
        discharge_kw=draw(st.integers(0, 40)),
        stored_kwh=draw(st.integers(0, 70)),
        capacity_kwh=capacity,
        reserve_kwh=draw(st.integers(0, capacity)),
        eff=draw(st.sampled_from([0.85, 0.95, 1.0])),
        wear_per_kwh=draw(st.none() | st.sampled_from([0.0, 0.05, 2.0])),
        feeder=draw(st.none() | st.integers(0, feeders - 1)) if feeders else None,
        life=draw(st.none() | st.none() | lives()),
    )


@st.composite
def pieces(draw: st.DrawFn) -> DemandPiece:
    counts = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=SLOTS, max_size=SLOTS).map(np.array))
    return DemandPiece(draw(st.sampled_from(["a", "b"])), draw(st.sampled_from([0.0, 0.7, 15.0])), draw(levels), counts)


@st.composite
def caps(draw: st.DrawFn, name: str, n_vehicles: int, n_batteries: int) -> Cap:
    some = st.sampled_from([-1.0, -1 / 3, 0.5, 1.0, 1.0])
    return Cap(
        id=name,
        weights={i: draw(some) for i in range(n_vehicles) if draw(st.booleans())},
        limit_kw=draw(st.lists(st.integers(-10, 60).map(float), min_size=SLOTS, max_size=SLOTS).map(np.array)),
        storages={i: draw(st.sampled_from([0.0, 1 / 3, 1.0])) for i in range(n_batteries)},
    )


@st.composite
def problems(draw: st.DrawFn, most_batteries: int = 0, most_pieces: int = 0, most_caps: int = 0, alive: bool = False) -> Problem:
    feeders = draw(st.integers(0, 3))
    n_vehicles, n_batteries = draw(st.integers(0, 5)), draw(st.integers(0, most_batteries))
    per_slot = st.lists(levels, min_size=SLOTS, max_size=SLOTS).map(np.array)
    return Problem(
        t0=datetime(2026, 1, 12, tzinfo=UTC),
        n_slots=SLOTS,
        slot_minutes=draw(st.sampled_from([15, 30])),
        first_slot_fraction=draw(st.sampled_from([1.0, 0.5, 0.02])),
        price_per_kwh=draw(st.lists(st.integers(-2, 12).map(lambda p: p / 10), min_size=SLOTS, max_size=SLOTS).map(np.array)),
        site_limit_kw=draw(per_slot),
        background_kw=draw(st.lists(st.integers(-30, 80).map(float), min_size=SLOTS, max_size=SLOTS).map(np.array)),
        demand_charge_per_kw=draw(st.sampled_from([0.0, 0.5, 20.0])),
        mtd_peak_kw=draw(levels),
        demand_interval_slots=draw(st.sampled_from([1, 2, 4, 0.75, 1.5])),
        export_limit_kw=draw(st.sampled_from([0.0, 0.0, 15.0])),
        export_price_per_kwh=draw(st.sampled_from([0.0, 0.3, 5.0])),
        feeders=tuple(Feeder(f"F{n}", draw(per_slot), draw(st.none() | st.integers(0, n - 1)) if n else None) for n in range(feeders)),
        vehicles=tuple(draw(vehicles(f"v{n}", feeders, alive)) for n in range(n_vehicles)),
        storages=tuple(draw(batteries(f"b{n}", feeders)) for n in range(n_batteries)),
        demand_pieces=tuple(draw(pieces()) for _ in range(draw(st.integers(0, most_pieces)))),
        caps=tuple(draw(caps(f"c{n}", n_vehicles, n_batteries)) for n in range(draw(st.integers(0, most_caps)))),
    )


@st.composite
def visiting(draw: st.DrawFn) -> Problem:
    """With further visits, milestones and shared shortages."""
    problem = draw(problems())

    def more(vehicle: Vehicle) -> Vehicle:
        edges = sorted(draw(st.lists(st.integers(vehicle.departure_slot, SLOTS), min_size=0, max_size=4)))
        windows = tuple(zip(edges[::2], edges[1::2], strict=False))
        return replace(vehicle, windows=windows, milestones=tuple(draw(milestones())), need=draw(st.sampled_from(Need)))

    def milestones() -> st.SearchStrategy[list[Milestone]]:
        least, most = st.none() | st.integers(0, 40).map(float), st.none() | st.integers(0, 40).map(float)
        one = st.builds(Milestone, st.integers(0, SLOTS), at_least_kwh=least, at_most_kwh=most, need=st.sampled_from(Need))
        return st.lists(one, max_size=3)

    return replace(problem, vehicles=tuple(more(v) for v in problem.vehicles), share_shortage=draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(problem=problems() | problems(alive=True), policy=st.sampled_from(Policy), round_minimum=st.booleans())
def test_a_plan_keeps_every_limit_that_can_be_kept(problem: Problem, policy: Policy, round_minimum: bool) -> None:
    result = plan(problem, policy=policy, round_minimum=round_minimum)
    power = result.power_kw
    assert np.isfinite(power).all()
    drawn, given_kw = np.maximum(power, 0.0), np.maximum(-power, 0.0)
    assert (power >= np.where(problem.discharge_upper_kw > 0, -problem.discharge_upper_kw, problem.lower_kw) - 1e-6).all()
    assert (power <= problem.upper_kw + 1e-6).all()
    assert (drawn.sum(axis=0) <= problem.room_kw + 1e-5).all()
    assert (problem.feeder_sums(drawn) <= problem.feeder_room_kw + 1e-5).all()
    assert (given_kw.sum(axis=0) <= problem.discharge_room_kw + 1e-5).all()
    assert (problem.feeder_sums(given_kw) <= problem.feeder_limit_kw + 1e-5).all()
    assert not given_kw.any() or policy is not Policy.READINESS
    assert (result.site_kw <= np.maximum(problem.site_limit_kw, problem.site_limit_kw + result.over_limit_kw) + 1e-5).all()
    eff = np.array([v.eff for v in problem.vehicles])
    received = (drawn @ problem.hours) * eff - (given_kw @ problem.hours) / eff
    need = np.array([v.energy_kwh for v in problem.vehicles])
    assert (received <= need + 1e-5).all()
    assert received + result.unmet_kwh == pytest.approx(need, abs=1e-4)
    verdict = evaluate(problem, power)
    assert verdict.state_of_charge_kwh <= 1e-4
    assert verdict.over_export_limit_kwh <= 1e-4
    assert verdict.discharge_kwh <= 1e-4
    assert (result.energy_cost, result.demand_cost, result.peak_kw) == (verdict.energy_cost, verdict.demand_cost, verdict.peak_kw)


@settings(max_examples=50, deadline=None)
@given(problem=problems())
def test_nobody_is_short_for_money_and_no_rule_serves_more(problem: Problem) -> None:
    eff = np.array([v.eff for v in problem.vehicles])

    def grid_kwh(unmet: FloatArray) -> float:
        return float((unmet / eff).sum()) if len(eff) else 0.0

    result = plan(problem)
    for name, rule in BASELINES.items():
        if name != "uncontrolled" and not problem.lower_kw.any():
            assert grid_kwh(result.unmet_kwh) <= grid_kwh(evaluate(problem, rule(problem)).unmet_kwh) + 1e-4
    served = sum(v.energy_kwh for v in problem.vehicles) - float(result.unmet_kwh.sum())
    assert served <= feasible_energy_kwh(problem) + 1e-4
    if not problem.feeders and not problem.lower_kw.any():  # a feeder or a floor may push energy to hours with more background
        assert min_peak_kw(problem) <= max(float(evaluate(problem, BASELINES["uncontrolled"](problem)).site_kw.max()), 0.0) + 1e-3


@settings(max_examples=50, deadline=None)
@given(problem=problems())
def test_an_independent_model_finds_nothing_cheaper(problem: Problem) -> None:
    """A dense model with the cells' cost alone, for the same served energy."""
    problem = problem.with_lenders()
    if (problem.background_kw < 0).any() or not problem.vehicles:
        return
    result = plan(problem)
    n, slots = problem.upper_kw.shape
    hours, eff = problem.hours, np.array([v.eff for v in problem.vehicles])
    cost = np.append((problem.price_per_kwh * hours * np.ones((n, 1))).ravel(), problem.demand_charge_per_kw)
    rows, limits = [], []
    for k in range(slots):
        row = np.zeros((n, slots))
        row[:, k] = 1
        rows.append(np.append(row.ravel(), 0.0))
        limits.append(problem.room_kw[k])
        for f in range(len(problem.feeders)):
            mine = row * np.array([[float(stands_below(problem, v.feeder, f))] for v in problem.vehicles])
            rows.append(np.append(mine.ravel(), 0.0))
            limits.append(problem.feeder_room_kw[f, k])
    for share in blocks_step_by_step(problem):
        rows.append(np.append((share / share.sum() * np.ones((n, 1))).ravel(), -1.0))
        limits.append(-float((problem.background_kw * share).sum() / share.sum()))
    energy = np.zeros((n, n * slots + 1))
    for i in range(n):
        energy[i, i * slots : (i + 1) * slots] = hours * eff[i]
    served = (result.power_kw @ hours) * eff
    bounds = [*zip(problem.lower_kw.ravel() - 1e-7, problem.upper_kw.ravel() + 1e-7, strict=True), (problem.free_peak_kw, None)]
    best = linprog(cost, A_ub=np.array(rows), b_ub=np.array(limits) + 1e-7, A_eq=energy, b_eq=served, bounds=bounds)
    assert best.status == 0, best.message
    optimum = best.fun - problem.demand_charge_per_kw * problem.free_peak_kw
    kwh = float((result.power_kw @ hours).sum())
    holding = 7e-4 * (float(np.abs(problem.price_per_kwh).mean()) or 1.0) * kwh * SLOTS * problem.slot_h
    assert result.cost <= optimum + holding + 1e-3


@settings(max_examples=60, deadline=None)
@given(problem=problems(most_batteries=1, most_caps=3), policy=st.sampled_from(Policy))
def test_no_cap_is_exceeded_and_what_is_given_makes_no_room(problem: Problem, policy: Policy) -> None:
    found = plan(problem, policy=policy, direct=True)
    drawn, given_kw = np.maximum(found.power_kw, 0.0), np.maximum(-found.power_kw, 0.0)
    for cap in problem.caps:
        total, floors, back = (np.zeros(SLOTS) for _ in range(3))
        for i, weight in cap.weights.items():
            total += weight * drawn[i] + max(-weight, 0.0) * given_kw[i]
            floors += weight * problem.lower_kw[i]
            back += weight * given_kw[i]
        for s, weight in cap.storages.items():
            total += weight * np.maximum(found.storage_kw[s], 0.0)
        assert (total <= np.maximum(cap.limit_kw, floors) + 1e-5).all()
        if all(weight >= 0 for weight in cap.weights.values()):
            assert (back <= np.maximum(cap.limit_kw, 0.0) + 1e-5).all()
    if not problem.lower_kw.any() and all(cap.limit_kw.min() >= 0 for cap in problem.caps):
        assert evaluate(problem, found.power_kw, found.storage_kw).over_cap_kwh <= 1e-4


@settings(max_examples=60, deadline=None)
@given(problem=problems(most_batteries=2), policy=st.sampled_from(Policy))
def test_batteries_keep_every_limit_and_cost_nothing(problem: Problem, policy: Policy) -> None:
    found = plan(problem, policy=policy)
    verdict = evaluate(problem, found.power_kw, found.storage_kw)
    over = problem.over_limit_kw @ problem.hours
    assert verdict.over_site_limit_kwh <= over + 1e-4
    if not problem.lower_kw.any():
        assert verdict.over_feeder_limit_kwh <= 1e-4
    assert max(verdict.over_rating_kwh, verdict.state_of_charge_kwh, verdict.over_export_limit_kwh) <= 1e-4
    if policy is not Policy.READINESS:
        alone = plan(replace(problem, storages=()), policy=policy)
        assert found.unmet_kwh.sum() <= alone.unmet_kwh.sum() + 1e-4 or len({v.priority for v in problem.vehicles}) > 1


@settings(max_examples=60, deadline=None)
@given(
    problem=problems()
    | problems(most_batteries=2)
    | problems(most_pieces=3)
    | problems(most_batteries=1, most_caps=3)
    | problems(most_caps=2, alive=True)
    | visiting(),
    policy=st.sampled_from(Policy),
)
def test_the_arrays_say_what_the_pyomo_model_says(problem: Problem, policy: Policy) -> None:
    if not shape_of(problem, costs_of(problem, policy)).usable.any() and not problem.storages:
        return
    fast, reference = (build(problem, costs_of(problem, policy)) for build in (arrays.build, model.build))
    assert (fast.vehicle == reference.vehicle).all()
    assert (fast.slot == reference.slot).all()
    assert (fast.needy == reference.needy).all()
    assert (fast.gives == reference.gives).all()
    assert (fast.total_slots == reference.total_slots).all()
    assert len(fast.storage_drawn) == len(reference.storage_drawn)
    assert len(fast.storage_given) == len(reference.storage_given)
    assert (fast.steep_of == reference.steep_of).all()
    assert (fast.gentle_kw == reference.gentle_kw).all()
    assert (fast.column_keys[fast.cells] == reference.column_keys[reference.cells]).all()
    assert np.array_equal(np.sort(fast.column_keys), np.sort(reference.column_keys))
    assert np.array_equal(np.sort(fast.row_keys), np.sort(reference.row_keys))
    for mine, theirs in zip(in_order(fast), in_order(reference), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(problem=visiting(), policy=st.sampled_from(Policy), round_minimum=st.booleans())
def test_milestones_keep_every_limit_and_say_what_is_short(problem: Problem, policy: Policy, round_minimum: bool) -> None:
    result = plan(problem, policy=policy, round_minimum=round_minimum, direct=True)
    verdict = evaluate(problem, result.power_kw)
    assert (result.power_kw >= problem.lower_kw - problem.discharge_upper_kw - 1e-6).all()
    assert (result.power_kw <= problem.upper_kw + 1e-6).all()
    assert (np.maximum(result.power_kw, 0.0).sum(axis=0) <= problem.room_kw + 1e-5).all()
    assert max(verdict.state_of_charge_kwh, verdict.outside_window_kwh, verdict.discharge_kwh) <= 1e-4
    said = {(short.vehicle, short.milestone): short.kwh for short in result.short}
    for vehicle, row in zip(problem.vehicles, result.power_kw, strict=True):
        gained = np.where(row > 0, row * vehicle.eff, row / vehicle.eff) * problem.hours
        asked = {None: (problem.n_slots, vehicle.energy_kwh)}
        asked |= {n: (m.by_slot, m.at_least_kwh) for n, m in enumerate(vehicle.milestones) if m.at_least_kwh is not None}
        for number, (by_slot, least) in asked.items():
            missing = max(0.0, least - float(gained[:by_slot].sum()))
            assert said.get((vehicle.id, number), 0.0) == pytest.approx(missing, abs=1e-5)
        most = max((least for _, least in asked.values()), default=0.0)
        assert gained.sum() <= most + 1e-4


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_lending_energy_never_costs_more_and_leaves_nobody_short(problem: Problem) -> None:
    alone, together = plan(problem.with_lenders()), plan(problem)
    if together.unmet_kwh.sum() < alone.unmet_kwh.sum() - 1e-6:
        return
    eff = np.array([v.eff for v in problem.vehicles])
    wear = np.array(
        [
            0.22 * (float(np.abs(problem.price_per_kwh).mean()) or 1.0) if v.wear_per_kwh is None else v.wear_per_kwh
            for v in problem.vehicles
        ]
    )
    worn = float((np.maximum(-together.power_kw, 0.0) @ problem.hours) @ (wear / eff)) if len(eff) else 0.0
    kwh = float((np.abs(alone.power_kw) @ problem.hours).sum() + (np.abs(together.power_kw) @ problem.hours).sum())
    holding = 7e-4 * (float(np.abs(problem.price_per_kwh).mean()) or 1.0) * kwh * SLOTS * problem.slot_h
    assert together.cost + worn <= alone.cost + holding + 1e-3
    assert together.unmet_kwh.sum() <= alone.unmet_kwh.sum() + 1e-4


@settings(max_examples=60, deadline=None)
@given(
    problem=problems() | problems(most_batteries=2) | problems(most_pieces=3) | problems(most_batteries=1, most_caps=3),
    before=problems() | problems(most_batteries=2) | problems(most_pieces=3) | problems(alive=True),
    later=st.integers(-SLOTS, SLOTS),
    policy=st.sampled_from(Policy),
)
def test_from_any_old_basis_the_optimum_is_the_same(problem: Problem, before: Problem, later: int, policy: Policy) -> None:
    """``before`` shares names of vehicles with ``problem``, and nothing else: more comes and goes than between two plans."""
    before = replace(before, t0=problem.t0 - timedelta(minutes=problem.slot_minutes) * later, slot_minutes=problem.slot_minutes)
    for one in (before, problem):
        if not shape_of(one, costs_of(one, policy)).usable.any() and not one.storages:
            return
    old, new = (arrays.build(one, costs_of(one, policy)) for one in (before, problem))
    first = Solver(old, deadline=perf_counter() + 10)
    first.solve()
    start = carried(Kept.of(before, old, first.basis(), first.row_duals()), problem, new)
    assert start is not None
    cold = new.cost @ Solver(new, deadline=perf_counter() + 10).solve()
    warm = new.cost @ Solver(new, deadline=perf_counter() + 10, start=start).solve()
    assert warm == pytest.approx(cold, rel=1e-6, abs=1e-6)


def blocks_step_by_step(problem: Problem) -> list[FloatArray]:
    """Hours of each slot in each demand block that is not over, counted in hundredths of a slot."""
    steps = (np.arange(100 * problem.n_slots) + 0.5) / 100
    steps = steps[steps > 1 - problem.first_slot_fraction]
    of_block = np.floor((steps + problem.demand_offset_slots) / problem.demand_interval_slots)
    return [np.bincount(steps[of_block == b].astype(int), minlength=problem.n_slots) * problem.slot_h / 100 for b in np.unique(of_block)]


def stands_below(problem: Problem, feeder: int | None, above: int) -> bool:
    """Whether what is on ``feeder`` flows through ``above``."""
    while feeder is not None and feeder != above:
        feeder = problem.feeders[feeder].parent
    return feeder == above


def rows_of(compiled: Compiled) -> list[tuple[object, ...]]:
    """Every row as its bounds and its coefficients, in an order that does not depend on how the model was written."""
    matrix = np.zeros((len(compiled.row_lower), len(compiled.cost)))
    columns = np.repeat(np.arange(len(compiled.cost)), np.diff(compiled.starts))
    np.add.at(matrix, (compiled.rows, columns), compiled.values)
    own = [*compiled.cells, *compiled.unmet, *compiled.totals, *compiled.giving, *compiled.storage_drawn, *compiled.storage_given]
    others = np.setdiff1d(np.arange(len(compiled.cost)), own)
    return sorted(
        (round(low, 9), round(high, 9), *np.round(row[own], 9), *sorted(np.round(row[others][row[others] != 0], 9)))
        for row, low, high in zip(matrix, compiled.row_lower, compiled.row_upper, strict=True)
    )


def in_order(compiled: Compiled) -> tuple[FloatArray, ...]:
    """The model by its keys: matrix, bounds of rows, bounds and costs of columns, in an order that does not depend on how it was
    written. Every column and row has a key, and no two have the same."""
    for keys in (compiled.column_keys, compiled.row_keys):
        assert len(np.unique(keys)) == len(keys)
        assert NO_KEY not in keys
    rows, columns = np.argsort(compiled.row_keys), np.argsort(compiled.column_keys)
    matrix = np.zeros((len(rows), len(columns)))
    np.add.at(matrix, (compiled.rows, np.repeat(np.arange(len(columns)), np.diff(compiled.starts))), compiled.values)
    of_columns = (compiled.lower[columns], compiled.upper[columns], compiled.cost[columns])
    return (matrix[np.ix_(rows, columns)], compiled.row_lower[rows], compiled.row_upper[rows], *of_columns)
