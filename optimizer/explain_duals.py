"""What the duals of a solved plan say, split into money, life and energy that nobody gets.

    Problem --solved()--> Solved (model, solution, duals by part) --> shadow prices of limits, peaks, cells, needs

The dual of a row is what the objective grows by per unit of its right-hand side, as long as the same limits bind: c_B · B⁻¹ for
the basis B of the optimum. It is linear in the costs c, so that the costs of one part alone give that part of it. In one cell

    its own cost + site + feeders and caps + peak + energy + own rows  =  what a kWh is worth to the vehicle  + reduced cost

where reduced cost > 0 means that nothing is drawn there, < 0 that all that is possible is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import numpy as np
import numpy.typing as npt

from optimizer import arrays
from optimizer.cell_bounds import CellBounds
from optimizer.compiled import Compiled, Costs
from optimizer.keys import PLACE_SHIFT, SLOT_MASK, WHO_MASK, Family, KeyArray
from optimizer.life_bands import column_bounds
from optimizer.planning import READINESS_MONEY, costs_of, plan
from optimizer.polish import polish
from optimizer.problem import FloatArray, Policy, Problem
from optimizer.solver import Solver
from optimizer.warm import Kept, carried
from optimizer.weights import Weights

BILL, LIFE, SHORTAGE, KWH = range(4)
"""Parts: of the objective the first three, in currency; the last one counts kWh (battery) of whole needs that are not served."""

SHARED = (Family.FEEDER, Family.CAP)
PEAKS = (Family.PEAKS, Family.PIECE)
AT_BOUND = 1e-7


@dataclass(frozen=True, eq=False)
class Solved:
    """A model at its optimum. ``costs`` [part × column], ``duals`` [part × row], ``reduced`` [part × column]; ``weight``: of the bill in
    the objective; ``moved`` [slot]: where the price stands on the import. ``problem`` is the one that was solved: of those that may
    give, only who does. ``lower``, ``upper`` [column] as they are in the solver; ``bounds`` of its cells, where they are narrower than
    the problem's: by what batteries accept, and by sessions that cannot pause.
    """

    problem: Problem
    policy: Policy | Weights
    compiled: Compiled
    solver: Solver
    columns: FloatArray
    lower: FloatArray
    upper: FloatArray
    bounds: CellBounds | None
    weight: float
    moved: npt.NDArray[np.bool_]
    costs: FloatArray
    duals: FloatArray
    reduced: FloatArray

    @cached_property
    def row_family(self) -> KeyArray:
        """[row] its family."""
        return family_of(self.compiled.row_keys)

    @cached_property
    def row_who(self) -> KeyArray:
        """[row] whose it is."""
        return who_of(self.compiled.row_keys)

    @cached_property
    def row_slot(self) -> KeyArray:
        """[row] its slot."""
        return slot_of(self.compiled.row_keys)

    def of_cells(self, values: FloatArray) -> FloatArray:
        """[vehicle × slot] of [cell], 0 where there is none."""
        spread = np.zeros(self.problem.upper_kw.shape)
        spread[self.compiled.vehicle, self.compiled.slot] = values
        return spread

    def cost(self, columns: FloatArray) -> FloatArray:
        """[part] of the objective at ``columns``; the bill in currency."""
        parts: FloatArray = self.costs @ columns
        parts[BILL] /= self.weight
        return parts


def family_of(keys: KeyArray) -> KeyArray:
    """The family of each key."""
    return keys >> 48


def who_of(keys: KeyArray) -> KeyArray:
    """Whose each key is."""
    return keys >> PLACE_SHIFT & WHO_MASK


def slot_of(keys: KeyArray) -> KeyArray:
    """The slot of each key."""
    return keys & SLOT_MASK


def solved(problem: Problem, policy: Policy | Weights, *, deadline: float) -> Solved | None:
    """``problem`` at its optimum; None where there is nothing to plan. ``deadline``: of :func:`time.perf_counter`; raises
    :class:`SolverFailed` after it."""
    kept: dict[str, Kept] = {}
    if problem.discharge_upper_kw.any():  # who gives is found by planning; then the model of just these is the same plan's
        result = plan(problem, policy=policy, deadline_s=deadline - perf_counter(), kept=kept)
        problem = problem.with_lenders(np.flatnonzero((result.power_kw < 0).any(axis=1)).tolist())
    costs = costs_of(problem, policy)
    compiled = arrays.build(problem, costs)
    if not len(compiled.cells) and not len(compiled.storage_drawn):
        return None
    last = kept.get("lending", kept.get("charging"))
    solver = Solver(compiled, deadline=deadline, start=carried(last, problem, compiled) if last is not None else None)
    columns, bounds = solver.solve(), None
    lower, upper = compiled.lower, compiled.upper
    if len(compiled.cells) and any(vehicle.curve is not None or not vehicle.pausable for vehicle in problem.vehicles):
        bounds = CellBounds(problem, compiled, solver)
        polish(problem, compiled, solver=solver, columns=columns, round_minimum=False, bounds=bounds)
        columns, lower, upper = solver.solve(), lower.copy(), upper.copy()
        which, lower_of, upper_of = column_bounds(compiled, np.arange(len(compiled.cells)), bounds.lower, bounds.upper)
        lower[which], upper[which] = lower_of, upper_of
    weight = READINESS_MONEY if policy is Policy.READINESS else 1.0
    parts = _parts(problem, policy, costs, compiled, weight)
    duals = solver.duals_under(parts)
    return Solved(
        problem,
        policy,
        compiled,
        solver,
        columns,
        lower,
        upper,
        bounds,
        weight,
        costs.imported != 0,
        parts,
        duals,
        _reduced(compiled, parts, duals),
    )


def _parts(problem: Problem, policy: Policy | Weights, costs: Costs, compiled: Compiled, weight: float) -> FloatArray:
    """[part × column] costs. What is no energy, demand charge or shortage is life: wear, delay, the tie-break."""
    family, slot = family_of(compiled.column_keys), slot_of(compiled.column_keys)
    on_cells = weight * np.where(costs.imported != 0, 0.0, problem.weight_per_kwh) * problem.hours
    parts = np.zeros((4, len(compiled.cost)))
    bill = parts[BILL]
    drawn, given = (np.isin(family, its) for its in ((Family.P, Family.STEEP, Family.STORAGE_DRAWN), (Family.GIVES, Family.STORAGE_GIVEN)))
    bill[drawn] = on_cells[slot[drawn]]
    bill[given] = -on_cells[slot[given]]
    money = np.isin(family, (Family.IMPORTED, Family.EXPORTED, Family.OVER, Family.DEAR))
    bill[money] = compiled.cost[money]
    bill[family == Family.PEAK] = weight * problem.demand_charge_per_kw
    missing = np.isin(family, (Family.UNMET, Family.SHORT, Family.SHARE))
    parts[SHORTAGE, missing] = compiled.cost[missing]
    parts[KWH, family == Family.UNMET] = 1.0
    parts[LIFE] = compiled.cost - bill - parts[SHORTAGE]
    return parts


def _reduced(compiled: Compiled, parts: FloatArray, duals: FloatArray) -> FloatArray:
    column = np.repeat(np.arange(parts.shape[1]), np.diff(compiled.starts))
    reduced = np.array(parts)
    for row, dual in zip(reduced, duals, strict=True):
        row -= np.bincount(column, compiled.values * dual[compiled.rows], minlength=len(row))
    return reduced


@dataclass(frozen=True, eq=False, slots=True)
class Burdens:
    """What a kW bears in a slot for all vehicles, per kW and part: ``site`` [part × slot] for the site's room, ``energy`` for what the
    sun no longer gives, ``peak``; ``shared`` {(family, who): [part × slot]} for feeders and caps, per unit of weight. ``own``
    [part × cell]: of rows of single vehicles."""

    site: FloatArray
    energy: FloatArray
    peak: FloatArray
    shared: dict[tuple[int, int], FloatArray]
    own: FloatArray


def burdens(found: Solved) -> Burdens:
    """Of a solved model."""
    problem, compiled = found.problem, found.compiled
    shape = (4, problem.n_slots)
    site, energy, peak = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    slots = compiled.total_slots
    low, high, at = compiled.lower[compiled.totals], compiled.upper[compiled.totals], found.columns[compiled.totals]
    grows = found.reduced[:KWH, compiled.totals].sum(axis=0) > 0  # of a sum that can be one thing only, either bound may be the dear one
    at_top = (at >= high - AT_BOUND) & ~grows
    below = (at <= low + AT_BOUND) & grows & bool(len(compiled.storage_drawn))  # else nothing could go below, and nothing costs that
    site[:, slots[at_top]] = -found.reduced[:, compiled.totals[at_top]]
    energy[:, slots[below]] = -found.reduced[:, compiled.totals[below]]
    for column, slot in zip(compiled.totals, slots, strict=True):
        span = slice(compiled.starts[column], compiled.starts[column + 1])
        rows, values = compiled.rows[span], compiled.values[span]
        family = found.row_family[rows]
        beside = family != Family.TOTALS
        is_peak = np.isin(family, PEAKS)
        borne = -found.duals[:, rows] * values
        peak[:, slot] += borne[:, is_peak].sum(axis=1)
        energy[:, slot] += borne[:, beside & ~is_peak].sum(axis=1)
    shared: dict[tuple[int, int], FloatArray] = {}
    for row in np.flatnonzero(np.isin(found.row_family, SHARED)):
        place = int(found.row_family[row]), int(found.row_who[row])
        shared.setdefault(place, np.zeros(shape))[:, found.row_slot[row]] = -found.duals[:, row]
    own = _of_cells(found)
    for borne in (site, energy, peak, own, *shared.values()):
        borne[BILL] /= found.weight
    return Burdens(site, energy, peak, shared, own)


def _of_cells(found: Solved) -> FloatArray:
    """[part × cell] what a kW bears for rows of its own vehicle, beside the need: battery levels, milestones."""
    compiled = found.compiled
    counts = np.diff(compiled.starts)[compiled.cells]
    cell = np.repeat(np.arange(len(compiled.cells)), counts)
    firsts = np.repeat(compiled.starts[compiled.cells] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    places = firsts + np.arange(len(cell))
    rows, values = compiled.rows[places], compiled.values[places]
    own = ~np.isin(found.row_family[rows], (*SHARED, Family.ENERGY, Family.TOTALS))
    borne = np.zeros((4, len(compiled.cells)))
    for part, duals in zip(borne, found.duals, strict=True):
        np.add.at(part, cell[own], -duals[rows[own]] * values[own])
    return borne


def worth(found: Solved) -> FloatArray:
    """[part × vehicle] what one more kWh of its need costs, battery side; 0 for vehicles that need nothing."""
    out = np.zeros((4, len(found.problem.vehicles)))
    rows = np.flatnonzero(found.row_family == Family.ENERGY)
    out[:, found.row_who[rows]] = found.duals[:, rows]
    out[BILL] /= found.weight
    return out
