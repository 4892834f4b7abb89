"""Plan: from a problem and a policy to powers, and the two questions that a limit's choice needs.

What a policy minimises, in currency: the bill as a tie-break or first, early or late energy, and far above both what is
not served, the higher priority dearer.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from time import perf_counter

import numpy as np
import numpy.typing as npt

from optimizer import arrays, life
from optimizer.baselines import least_laxity_first
from optimizer.compiled import Compiled, Costs, shape_of
from optimizer.evaluate import evaluate
from optimizer.lending import lenders
from optimizer.life_bands import cell_powers, steep_costs
from optimizer.penalties import penalties, ranks
from optimizer.polish import RoundMinimum, polish
from optimizer.problem import FloatArray, PlanResult, PlanStatus, Policy, Problem
from optimizer.solver import Solver
from optimizer.stays import StayCosts, marks, shortfalls
from optimizer.steps import Steps
from optimizer.storage import TYPICAL_WEAR
from optimizer.storage import costs_of as storage_costs_of
from optimizer.warm import Kept, carried
from optimizer.weights import Weights

TIE_HOLDING = 7e-4
"""Holding one kWh for an hour, as a share of the mean price, where only the bill counts. It breaks the ties between
slots of one price block, which is what makes the plain model slow, and is too small to leave a cheaper block."""

TYPICAL_HOLDING = 0.03
"""The same for battery life, for packs that nothing is known of: 180 per kWh of pack, 20 % loss writes it off, 2 % a
year of calendar loss at half charge and 25 °C, growing with e^{2·SoC} (a proxy, no validated cell model): about
0.005 per kWh and hour beside a mean price of 0.16."""

READINESS_MONEY = 1e-4
"""Weight of the bill where energy shall come early."""

STEADY_H = 0.5
"""How far ahead a session that runs is held to go on."""

DEADLINE_S = 10.0


def plan(
    problem: Problem,
    *,
    policy: Policy | Weights = Policy.CHEAPEST,
    deadline_s: float = DEADLINE_S,
    round_minimum: RoundMinimum = False,
    direct: bool = True,
    kept: dict[str, Kept] | None = None,
) -> PlanResult:
    """The best plan within ``deadline_s`` seconds under ``policy``, or weights between the policies; raises :class:`SolverFailed`
    without one.

    Always feasible: energy that does not fit is reported as unmet, background above the limit as ``over_limit_kw``.
    ``round_minimum`` removes powers between 0 and a vehicle's minimum where possible, from the cells of the next hour or from
    ``all``. Sessions that cannot pause are begun late rather than interrupted (:mod:`optimizer.sessions`).
    ``direct`` False writes the model with Pyomo and compiles it: the same arrays, several times slower, for whoever wants the
    authoritative model itself to run. ``kept``: bases of the last plan, by which model of it they belong to; they are begun with
    and replaced (:class:`optimizer.replan.Replanner` holds them).
    """
    if not direct:
        import_module("optimizer.model")  # Pyomo: to load it is no plan's time
    deadline = perf_counter() + deadline_s
    status = PlanStatus.OPTIMAL
    wanted, costs = problem, costs_of(problem, policy)
    if not shape_of(problem, costs).usable.any() and costs.storage is None:
        return _result(problem, np.zeros_like(problem.upper_kw), policy=policy, status=status)
    if costs.given is not None and shape_of(charging := problem.with_lenders(), costs).usable.any():
        problem, costs = charging, costs_of(charging, policy)
    compiled, model = _written(problem, costs, direct=direct), "charging"
    solver, columns = _solved(problem, compiled, deadline=deadline, kept=kept, model=model)
    if problem is not wanted:
        bill = evaluate(problem, power_of(problem, compiled, columns), storage_of(problem, compiled, columns)).cost
        given = _given(wanted, costs.imported != 0, weights_of(policy).wear)
        if who := lenders(wanted, given, base=compiled, solver=solver, bill=bill):
            problem = wanted.with_lenders(who)
            compiled, model = _written(problem, costs_of(problem, policy), direct=direct), "lending"
            solver, columns = _solved(problem, compiled, deadline=deadline, kept=kept, model=model)
    steps = Steps(kept, model, problem, compiled) if kept is not None else None
    columns, finished = polish(problem, compiled, solver=solver, columns=columns, round_minimum=round_minimum, steps=steps)
    if not finished:
        status = PlanStatus.UNPOLISHED
    power, stored = power_of(problem, compiled, columns), storage_of(problem, compiled, columns)
    return _result(problem, power, policy=policy, status=status, compiled=compiled, solver=solver, storage_kw=stored)


def rule_plan(problem: Problem, *, policy: Policy | Weights = Policy.CHEAPEST) -> PlanResult:
    """What can be said when there was no time for a plan: whoever has the least time to spare charges first, under all limits, whatever
    that costs. Its status says so. No solver, no discharge, no batteries; minimum powers play no part."""
    return _result(problem, least_laxity_first(problem), policy=policy, status=PlanStatus.RULE)


def _written(problem: Problem, costs: Costs, *, direct: bool) -> Compiled:
    if direct:
        return arrays.build(problem, costs)
    from optimizer import model  # Pyomo takes a second and 100 MB: loaded by nobody else

    return model.build(problem, costs)


def _solved(
    problem: Problem, compiled: Compiled, *, deadline: float, kept: dict[str, Kept] | None, model: str
) -> tuple[Solver, FloatArray]:
    """The solver and its columns at the optimum, begun where the last plan's ``model`` ended."""
    last = kept.get(model) if kept is not None else None
    solver = Solver(compiled, deadline=deadline, start=carried(last, problem, compiled) if last is not None else None)
    columns = solver.solve()
    if kept is not None:
        kept[model] = Kept.of(problem, compiled, solver.basis(), solver.row_duals())
    return solver, columns


def costs_of(problem: Problem, policy: Policy | Weights) -> Costs:
    """The policy's objective.

    Where the sun gives more than the base load takes, or batteries may, only import beyond it costs, so that the price moves
    from the cells to the import column. (A negative price stays on the cells: nobody is paid for not importing.)
    Whoever wants readiness lends nothing.
    """
    weights = weights_of(policy)
    price, hours = problem.weight_per_kwh, problem.hours
    lends = policy is not Policy.READINESS and bool(problem.discharge_upper_kw.any())
    sunny = (price > 0) & ((problem.background_kw < 0) | bool(problem.storages))
    if lends:
        sunny |= problem.discharge_upper_kw.any(axis=0) & (problem.discharge_room_kw > problem.background_kw)
    scale = price_scale(problem)
    if policy is Policy.READINESS:
        steep = None
        weight, delay = READINESS_MONEY, np.broadcast_to(scale * problem.starts_h, problem.upper_kw.shape)
        delay = delay * (1 + 0.5 * ranks(problem))[:, None]
    else:
        steep = steep_costs(problem, weights.wear, scale) if weights.wear else None
        weight, delay = 1.0, weights.wear * battery_per_kwh(problem) + _ties(problem, weights.wear, scale)
        delay = delay + weights.delay_per_kwh_h * problem.starts_h
        steady = np.array([v.steady_per_kwh for v in problem.vehicles])
        delay = delay + steady[:, None] * (problem.starts_h >= STEADY_H)  # dearer later is cheaper now, and nothing is ever paid for
    peak_per_kw = problem.demand_charge_per_kw + weights.peak_per_kw
    per_kw = peak_per_kw + sum(piece.per_kw for piece in problem.demand_pieces)
    most = weight * (float(np.abs(price).max()) + per_kw / problem.slot_h) + float(delay.max(initial=0.0))
    if steep is not None:
        most += float((steep / hours).max())
    unmet, stays = penalties(problem, most)
    return Costs(
        cell=(weight * np.where(sunny, 0.0, price) + delay) * hours,
        unmet=unmet,
        imported=weight * np.where(sunny, price, 0.0) * hours,
        peak=weight * peak_per_kw,
        peak_from_kw=problem.free_peak_kw,
        pieces=weight,
        given=weight * _given(problem, sunny, weights.wear) if lends else None,
        exported=-weight * np.where(sunny, np.minimum(problem.export_price_per_kwh, price), 0.0) * hours
        if problem.export_price_per_kwh.any()
        else None,
        storage=storage_costs_of(problem, weight=weight, on_import=sunny, scale=scale),
        stays=stays,
        steep=steep,
    )


def _given(problem: Problem, moved: npt.NDArray[np.bool_], wear: float) -> FloatArray:
    """[vehicle × slot] what a kW that is given costs: the battery's wear, less the price, where that has not ``moved`` from the
    cells to the import, and less the rent that the battery saves, as far as the batteries' life counts (``wear``)."""
    typical = TYPICAL_WEAR * price_scale(problem)
    least = life.least_wear(problem) * max(wear, 1.0)
    per_kwh = np.array(
        [
            v.wear_per_kwh if v.wear_per_kwh is not None else typical if v.life is None else known
            for v, known in zip(problem.vehicles, least, strict=True)
        ]
    )
    eff = np.array([v.eff for v in problem.vehicles])
    worn = (per_kwh / eff)[:, None] - wear * life.rent_until(problem, in_steps=True) / eff[:, None]
    cost: FloatArray = (worn - np.where(moved, 0.0, problem.weight_per_kwh)) * problem.hours
    return cost


def min_peak_kw(problem: Problem) -> float:
    """Least site peak (slot means, with background) that serves everyone's energy; the site limit plays no part.

    Energy that no site limit could serve (rating, window, feeder) is left out.
    """
    background = max(float(problem.background_kw.max()), 0.0)
    dear = 10 * 2 / problem.slot_h
    slotwise = replace(problem, demand_interval_slots=1, demand_offset_slots=0)
    costs = _flat_costs(slotwise, unmet=np.full(len(problem.vehicles), dear), peak=1.0, peak_from_kw=background, site_limited=False)
    if its := marks(slotwise):
        costs = replace(costs, stays=StayCosts(np.full(len(its), dear)))
    power = _solve(slotwise, costs)
    return max(float((power.sum(axis=0) + problem.background_kw).max()), background)


def feasible_energy_kwh(problem: Problem) -> float:
    """Most battery energy that can be delivered to all vehicles together under all limits."""
    power = _solve(problem, _flat_costs(problem, unmet=np.ones(len(problem.vehicles)), peak=0.0, peak_from_kw=0.0, site_limited=True))
    eff = np.array([v.eff for v in problem.vehicles])
    return float(np.minimum((power @ problem.hours) * eff, _needs(problem)).sum())


def power_of(problem: Problem, compiled: Compiled, columns: FloatArray) -> FloatArray:
    """[vehicle × slot] powers of a solution, free of the solver's rounding. What is given is negative."""
    power = np.zeros_like(problem.upper_kw)
    power[compiled.vehicle, compiled.slot] = cell_powers(compiled, columns)
    power[compiled.vehicle[compiled.gives], compiled.slot[compiled.gives]] -= columns[compiled.giving]
    power[np.abs(power) < 1e-7] = 0.0
    return np.clip(power, -problem.discharge_upper_kw, problem.upper_kw)


def storage_of(problem: Problem, compiled: Compiled, columns: FloatArray) -> FloatArray:
    """[storage × slot] what the batteries draw in a solution, negative where they give."""
    power = (columns[compiled.storage_drawn] - columns[compiled.storage_given]).reshape(-1, problem.n_slots)
    power[np.abs(power) < 1e-7] = 0.0
    return power


def _result(
    problem: Problem,
    power_kw: FloatArray,
    *,
    policy: Policy | Weights,
    status: PlanStatus,
    compiled: Compiled | None = None,
    solver: Solver | None = None,
    storage_kw: FloatArray | None = None,
) -> PlanResult:
    verdict = evaluate(problem, power_kw, storage_kw)
    return PlanResult(
        power_kw=power_kw,
        site_kw=verdict.site_kw,
        unmet_kwh=np.where(verdict.unmet_kwh > 1e-6, verdict.unmet_kwh, 0.0),
        over_limit_kw=problem.over_limit_kw,
        energy_cost=verdict.energy_cost,
        demand_cost=verdict.demand_cost,
        co2_kg=verdict.co2_kg,
        peak_kw=verdict.peak_kw,
        status=status,
        policy=policy,
        build_s=compiled.build_s if compiled else 0.0,
        compile_s=compiled.compile_s if compiled else 0.0,
        pass_s=solver.pass_s if solver else 0.0,
        solve_s=solver.solve_s if solver else 0.0,
        storage_kw=np.zeros((len(problem.storages), problem.n_slots)) if storage_kw is None else storage_kw,
        short=shortfalls(problem, power_kw),
    )


def _solve(problem: Problem, costs: Costs) -> FloatArray:
    if not ((problem.upper_kw > 0) & problem.has_target[:, None]).any():
        return np.zeros_like(problem.upper_kw)
    compiled = arrays.build(problem, costs)
    return power_of(problem, compiled, Solver(compiled, deadline=perf_counter() + 6 * DEADLINE_S).solve())


def _flat_costs(problem: Problem, *, unmet: FloatArray, peak: float, peak_from_kw: float, site_limited: bool) -> Costs:
    # a trace of holding cost, for speed only: 1e-6 of what a kWh weighs
    late = 1e-6 * (problem.n_slots - np.arange(problem.n_slots)) / problem.n_slots
    return Costs(
        cell=np.broadcast_to(late, problem.upper_kw.shape),
        unmet=unmet,
        imported=np.zeros(problem.n_slots),
        peak=peak,
        peak_from_kw=peak_from_kw,
        site_limited=site_limited,
    )


def weights_of(policy: Policy | Weights) -> Weights:
    """What a policy weighs beside the bill. (Readiness is an order of its own: there the bill is a tie-break.)"""
    if isinstance(policy, Weights):
        return policy
    return Weights(wear=1.0) if policy is Policy.BATTERY_LIFE else Weights()


def held_h(problem: Problem) -> FloatArray:
    """[vehicle × slot] how long a kWh that comes in a slot is held until the departure, hours."""
    until = np.array([v.last_slot for v in problem.vehicles]) * problem.slot_h
    held: FloatArray = np.maximum(until[:, None] - np.arange(problem.n_slots) * problem.slot_h, 0.0)
    return held


def holding(problem: Problem) -> FloatArray:
    """[vehicle] what holding a kWh for an hour costs its battery (currency); a typical share of the price where nothing is known, 0
    where its life is."""
    typical = TYPICAL_HOLDING * price_scale(problem)
    told = (typical if v.holding_per_kwh_h is None else v.holding_per_kwh_h for v in problem.vehicles)
    return np.array([0.0 if v.life is not None else per_kwh_h for v, per_kwh_h in zip(problem.vehicles, told, strict=True)])


def battery_per_kwh(problem: Problem) -> FloatArray:
    """[vehicle × slot] what a grid-side kWh costs its battery, by when it comes: rent and wear where its life is known, else what holding
    it costs. Never both."""
    cost: FloatArray = held_h(problem) * holding(problem)[:, None] + life.cell_costs(problem)
    return cost


def _ties(problem: Problem, wear: float, scale: float) -> FloatArray:
    """[vehicle × slot] what orders a vehicle's slots where neither bill nor battery do: the later the better, or the earlier
    (``delay_per_kwh_h``). A holding cost that is no tie-break stands alone, and is at least as high."""
    eager = np.array([v.delay_per_kwh_h for v in problem.vehicles])[:, None]
    held, counts = held_h(problem), (wear * holding(problem))[:, None]
    tie = np.where((eager > 0) & (counts <= TIE_HOLDING * scale), eager * problem.starts_h, TIE_HOLDING * scale * held)
    return np.maximum(tie - counts * held, 0.0)


def _needs(problem: Problem) -> FloatArray:
    return np.array([v.energy_kwh for v in problem.vehicles])


def price_scale(problem: Problem) -> float:
    """Mean size of the price; 1 where energy is free."""
    return float(np.abs(problem.price_per_kwh).mean()) or 1.0
