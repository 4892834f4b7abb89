"""Random depots whose batteries are known: bands are the convex cost, ceilings and curves hold, and nobody is shorter for money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from optimizer import ChargeCurve, LifeCost, PackHeat, Policy, Problem, Vehicle, life, life_cost, plan
from optimizer.heat import temperatures
from optimizer.life import ageing_of
from optimizer.problem import FloatArray

SLOTS = 8


@st.composite
def depots(draw: st.DrawFn, most_kw: int = 150) -> Problem:
    def vehicle(n: int) -> Vehicle:
        arrival = draw(st.integers(0, SLOTS - 2))
        size, power = draw(st.sampled_from([40.0, 80.0])), draw(st.sampled_from([11.0, 40.0]))
        temps = draw(st.lists(st.integers(0, 50), min_size=SLOTS, max_size=SLOTS).map(lambda t: np.array(t, dtype=np.float64)))
        cells, price = draw(st.sampled_from(["LFP", "NMC"])), draw(st.sampled_from([100.0, 1000.0]))
        return Vehicle(
            id=f"v{n}",
            arrival_slot=arrival,
            departure_slot=draw(st.integers(arrival + 1, SLOTS)),
            energy_kwh=draw(st.integers(1, 40)),
            p_max_kw=power,
            eff=0.9,
            life=life_cost(cells, temp_c=temps, nominal_kwh=size, price_per_kwh=price, power_kw=power, eff=0.9),
        )

    return Problem(
        t0=datetime(2026, 1, 12, tzinfo=UTC),
        n_slots=SLOTS,
        slot_minutes=60,
        price_per_kwh=np.array(draw(st.lists(st.sampled_from([0.1, 0.13, 0.36]), min_size=SLOTS, max_size=SLOTS))),
        site_limit_kw=np.full(SLOTS, float(draw(st.integers(20, 150)) if most_kw <= 150 else most_kw)),
        background_kw=np.zeros(SLOTS),
        demand_charge_per_kw=draw(st.sampled_from([0.0, 0.5])),
        vehicles=tuple(vehicle(n) for n in range(draw(st.integers(1, 4)))),
    )


@pytest.fixture(autouse=True, scope="module")
def fine_steps() -> Iterator[None]:
    """What is compared here is smaller than the steps in which rents count."""
    step, life.RENT_STEP = life.RENT_STEP, 1.0001
    yield
    life.RENT_STEP = step


def known(cost: LifeCost | None) -> LifeCost:
    assert cost is not None
    return cost


@settings(max_examples=10, deadline=None)
@given(problem=depots())
def test_ageing_aware_plans_wear_no_more_than_price_only_ones_for_the_same_energy(problem: Problem) -> None:
    blind, aware = plan(problem, direct=True), plan(problem, policy=Policy.BATTERY_LIFE, direct=True)
    assert aware.unmet_kwh == pytest.approx(blind.unmet_kwh, abs=1e-4)
    worn = [float(ageing_of(problem, result.power_kw).total.sum()) for result in (blind, aware)]
    scale = float(np.abs(problem.price_per_kwh).mean())
    ties = 7e-4 * scale * SLOTS * float(blind.power_kw.sum() + aware.power_kw.sum()) + 0.02 * scale * float(aware.power_kw.sum())
    assert worn[1] <= worn[0] + ties + 1e-6
    assert aware.cost + worn[1] <= blind.cost + worn[0] + ties + 1e-6


@settings(max_examples=10, deadline=None)
@given(problem=depots())
def test_bands_are_the_convex_cost_of_the_power(problem: Problem) -> None:
    """Another model of the same: an excess per cell above the gentle rate, in rows of its own."""
    result = plan(problem, policy=Policy.BATTERY_LIFE, direct=True)
    n, slots = problem.upper_kw.shape
    cells = n * slots
    rent = np.zeros((n, slots))
    steep, gentle = np.zeros((n, slots)), np.full((n, slots), np.inf)
    wear = np.zeros((n, slots))
    for i, vehicle in enumerate(problem.vehicles):
        cost_of = known(vehicle.life)
        for k in range(vehicle.arrival_slot, vehicle.departure_slot):
            rent[i, k] = sum(float(cost_of.rent_per_kwh_h[j]) for j in range(k + 1, vehicle.departure_slot)) + 0.5 * float(
                cost_of.rent_per_kwh_h[k]
            )
        wear[i] = cost_of.wear_per_kwh
        if cost_of.gentle_kw is not None and cost_of.steep_per_kwh is not None:
            steep[i], gentle[i] = cost_of.steep_per_kwh, cost_of.gentle_kw
    cost = np.concatenate(((problem.price_per_kwh + 0.9 * (rent + wear)).ravel(), 0.9 * steep.ravel(), [problem.demand_charge_per_kw]))
    rows, limits = [], []
    for k in range(slots):
        row = np.zeros((n, slots))
        row[:, k] = 1
        rows += [np.concatenate((row.ravel(), np.zeros(cells + 1))), np.concatenate((row.ravel(), np.zeros(cells), [-1.0]))]
        limits += [float(problem.site_limit_kw[k]), 0.0]
    for c in np.flatnonzero(np.isfinite(gentle.ravel())):
        row = np.zeros(2 * cells + 1)
        row[c], row[cells + c] = 1.0, -1.0
        rows.append(row)
        limits.append(float(gentle.ravel()[c]))
    energy = np.zeros((n, 2 * cells + 1))
    for i in range(n):
        energy[i, i * slots : (i + 1) * slots] = 0.9
    served = 0.9 * result.power_kw.sum(axis=1)
    bounds = [*((0.0, float(up) + 1e-7) for up in problem.upper_kw.ravel()), *[(0.0, None)] * (cells + 1)]
    best = linprog(cost, A_ub=np.array(rows), b_ub=np.array(limits) + 1e-7, A_eq=energy, b_eq=served, bounds=bounds)
    assert best.status == 0, best.message
    mine = result.cost + float(ageing_of(problem, result.power_kw).total.sum())
    scale = float(np.abs(problem.price_per_kwh).mean())
    kwh = float(result.power_kw.sum())
    assert mine <= best.fun + (7e-4 * SLOTS + 0.02) * scale * kwh + 1e-4  # the tie-break, and bands that are not worth their columns
    assert mine >= best.fun - 1e-3


@st.composite
def hot(draw: st.DrawFn) -> Problem:
    problem = draw(depots())
    heated = []
    for vehicle in problem.vehicles:
        heat = PackHeat(
            temp_c=float(draw(st.integers(20, 60))),
            ceiling_c=float(draw(st.integers(30, 48))),
            ambient_c=np.array(float(draw(st.integers(10, 50)))),
            settle_h=draw(st.sampled_from([0.5, 4.0])),
            rise_per_kw=draw(st.sampled_from([0.1, 1.0])),
        )
        heated.append(replace(vehicle, heat=heat, floor_kw=draw(st.sampled_from([0.0, 4.0]))))
    return replace(problem, vehicles=tuple(heated))


@settings(max_examples=10, deadline=None)
@given(problem=hot(), policy=st.sampled_from(Policy))
def test_no_ceiling_makes_a_problem_infeasible_and_none_is_passed_by_charging(problem: Problem, policy: Policy) -> None:
    result = plan(problem, policy=policy, direct=True)
    found, resting = temperatures(problem, result.power_kw), temperatures(problem, problem.lower_kw)
    for i, vehicle in enumerate(problem.vehicles):
        assert vehicle.heat is not None
        stay = slice(vehicle.arrival_slot, vehicle.departure_slot)
        assert (found[i, stay] <= np.maximum(vehicle.heat.ceiling_c, resting[i, stay]) + 1e-4).all()


def taken(vehicle: Vehicle, power: FloatArray, hours: FloatArray) -> float:
    """A plain plant: what the battery takes of planned powers, minute by minute."""
    curve = vehicle.curve
    assert curve is not None
    held = curve.stored_kwh
    for kw, h in zip(power, hours, strict=True):
        for _ in range(60):
            accepts = float(np.interp(held / curve.capacity_kwh, curve.soc, curve.accepts_kw))
            held += min(float(kw), accepts) * vehicle.eff * h / 60
    return held - curve.stored_kwh


@settings(max_examples=25, deadline=None)
@given(problem=depots(most_kw=1000), policy=st.sampled_from(Policy))
def test_batteries_can_take_what_is_planned(problem: Problem, policy: Policy) -> None:
    def curved(v: Vehicle) -> Vehicle:
        size = 2.0 * max(v.energy_kwh, v.p_max_kw)
        accepts = np.array([v.p_max_kw, 0.1 * v.p_max_kw])
        return replace(v, curve=ChargeCurve(np.array([0.8, 1.0]), accepts, capacity_kwh=size, stored_kwh=size - v.energy_kwh))

    problem = replace(problem, vehicles=tuple(curved(v) for v in problem.vehicles), slot_minutes=15)
    result = plan(problem, policy=policy, direct=True)
    for i, (vehicle, power) in enumerate(zip(problem.vehicles, result.power_kw, strict=True)):
        planned = float(power @ problem.hours) * vehicle.eff
        most = min(vehicle.energy_kwh, taken(vehicle, problem.upper_kw[i], problem.hours))
        assert (
            taken(vehicle, power, problem.hours) >= 0.75 * most - 1e-6
        )  # one power for a slot: in a short stay much of the tail lies inside of one
        assert planned <= vehicle.energy_kwh + 1e-6
