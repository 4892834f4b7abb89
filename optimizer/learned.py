"""A learned policy beside the optimizer: what an optimal plan would do, guessed cell by cell, brought under all limits.

    problem --features--> small net --> log-odds of charging in a cell --projection--> powers that keep limits --> PlanResult

The net was taught by optimal plans of simulated nights (``benchmarks/train_policy.py``; weights in ``learned_policy.json``). What it
says is a wish. The projection finds the powers nearest to it (in relative entropy) that bring everybody's energy under the
site's, the feeders' and all other limits: each vehicle gets a number that is added to its log-odds, each limit one per slot
that is taken off (its price), by Newton steps in turn. What is left over or missing is scaled down and filled up, so that limits
hold whatever the net says. No solver, no linear programme: it is there when the solver is not.

Vehicles only charge, stationary batteries rest, minimum powers play no part. Deterministic.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from time import perf_counter

import numpy as np
import numpy.typing as npt

from optimizer.evaluate import Bill, bill_of
from optimizer.learned_projection import Projection
from optimizer.problem import EPS, FloatArray, PlanResult, PlanStatus, Policy, Problem

Matrix = npt.NDArray[np.float32]

SHARPNESS = 3.0
"""Log-odds are multiplied by it: optimal plans do not do things by halves."""

STEPS = 14
"""Newton steps in turn, at first; :data:`AGAIN` where only the highest peak has moved."""
AGAIN = 8
PEAK_TRIES = 5
PEAK_SHARE = 0.9
"""So much of the peak is tried next, while that makes the bill smaller."""

REPAIRS = 6
"""So often :data:`AGAIN` steps are made where energy is missing."""

MISSING_SHARE = 1e-4
MISSING_KWH = 0.05

MOST_LOGIT = 12.0

BLOCK = 4096
"""Cells."""


@dataclass(frozen=True, eq=False, slots=True)
class Net:
    """Two layers: tanh, then log-odds. ``mean``, ``scale``: of the features; ``names`` of them, checked when it is read."""

    names: tuple[str, ...]
    mean: Matrix
    scale: Matrix
    inner: Matrix
    inner_bias: Matrix
    outer: Matrix
    outer_bias: float

    def logits(self, features: Matrix) -> Matrix:
        """[cell] log-odds, of [cell × feature]."""
        inner = self.inner / self.scale[:, None]
        bias = self.inner_bias - self.mean @ inner
        odds = np.empty(len(features), dtype=np.float32)
        for first in range(0, len(features), BLOCK):  # what fits into the cache at a time
            hidden = features[first : first + BLOCK] @ inner
            hidden += bias
            np.tanh(hidden, out=hidden)
            np.matmul(hidden, self.outer, out=odds[first : first + BLOCK])
        odds += np.float32(self.outer_bias)
        return odds


FEATURES = (
    "alone", "cheaper", "fleet", "price", "price_next", "need", "crowd", "crowd_alone", "stay_h", "since_h", "left_h", "tight",
    "power", "peak",
)  # fmt: skip
"""Of a cell. ``alone``: share at which the vehicle would charge there if it were alone, unbounded at both ends; ``cheaper``: share of
its room in cheaper slots; ``fleet``: as ``alone``, of all together under the site's limit; ``price``: in deviations from the mean;
``price_next``: against the cheapest slot of the rest of its stay; ``need``: share of its room that it needs; ``crowd``: rating there
against the site's room, as a logarithm; ``crowd_alone``: the same of what all would draw alone; ``stay_h``, ``since_h``,
``left_h``: hours; ``tight``: energy against the site's room while anybody is there; ``power``: hours at full power that it needs;
``peak``: the demand charge against the price's spread."""


@cache
def shipped() -> Net:
    """The net of ``learned_policy.json``."""
    content = json.loads((files("optimizer") / "learned_policy.json").read_text(encoding="utf-8"))
    if tuple(content["features"]) != FEATURES:
        raise ValueError("learned_policy.json was trained on other features; run benchmarks/train_policy.py")

    def matrix(name: str) -> Matrix:
        return np.array(content[name], dtype=np.float32)

    return Net(
        names=FEATURES,
        mean=matrix("mean"),
        scale=matrix("scale"),
        inner=matrix("inner"),
        inner_bias=matrix("inner_bias"),
        outer=matrix("outer"),
        outer_bias=float(content["outer_bias"]),
    )


def features_of(problem: Problem) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """[cell × feature] of :data:`FEATURES`, and which [vehicle × slot] the cells are: those in which a vehicle with a need may charge."""
    hours, price = problem.hours, problem.price_per_kwh
    need = np.array([v.energy_kwh / v.eff for v in problem.vehicles])
    upper = np.where(need[:, None] > 0, problem.upper_kw, 0.0)
    cells = upper > 0
    room = upper * hours
    total = np.maximum(room.sum(axis=1), EPS)
    spread = max(float(price.std()), 0.05 * float(np.abs(price).mean()), EPS)
    site = np.maximum(problem.room_kw, EPS)

    order = np.argsort(price, kind="stable")
    group = np.cumsum(np.concatenate(([False], np.diff(price[order]) > EPS)))  # slots of one price, cheapest first
    starts = np.flatnonzero(np.concatenate(([True], np.diff(group) > 0)))
    of_slot = np.empty(len(price), dtype=np.intp)
    of_slot[order] = group
    by_group = np.add.reduceat(room[:, order], starts, axis=1)
    before = np.cumsum(by_group, axis=1) - by_group
    alone = (need[:, None] - before) / np.maximum(by_group, EPS)
    fleet_group = np.add.reduceat((np.minimum(upper.sum(axis=0), site) * hours)[order], starts)
    fleet = (need.sum() - (np.cumsum(fleet_group) - fleet_group)) / np.maximum(fleet_group, EPS)

    alone_kw = np.clip(alone, 0.0, 1.0)[:, of_slot] * upper
    masked = np.where(cells, price, np.inf)
    ahead = np.minimum.accumulate(masked[:, ::-1], axis=1)[:, ::-1]
    stays_h = total / np.maximum(upper.max(axis=1, initial=0.0), EPS)
    since = np.cumsum(np.where(cells, hours, 0.0), axis=1)
    anybody = cells.any(axis=0)
    tight = need.sum() / max(float((np.minimum(site, upper.sum(axis=0)) * hours)[anybody].sum()), EPS)
    rating = np.maximum(upper.max(axis=1, initial=0.0), EPS)
    demand = problem.demand_charge_per_kw + sum(piece.per_kw for piece in problem.demand_pieces)

    vehicle, slot = np.nonzero(cells)
    columns = (
        np.clip(alone, -2.0, 3.0)[vehicle, of_slot[slot]],
        (before / total[:, None])[vehicle, of_slot[slot]],
        np.clip(fleet, -2.0, 3.0)[of_slot[slot]],
        ((price - price.mean()) / spread)[slot],
        ((price - ahead) / spread)[vehicle, slot],
        np.minimum(need / total, 2.0)[vehicle],
        np.log(np.maximum(upper.sum(axis=0), EPS) / site).clip(-4, 4)[slot],
        np.log(np.maximum(alone_kw.sum(axis=0), 1e-3 * site) / site).clip(-4, 4)[slot],
        stays_h[vehicle],
        since[vehicle, slot],
        (since[:, -1:] - since)[vehicle, slot],
        tight,
        (need / rating)[vehicle],
        min(demand / spread, 100.0),
    )
    features = np.empty((len(vehicle), len(columns)), dtype=np.float32)
    for place, column in enumerate(columns):
        features[:, place] = column
    return features, cells


def propose(problem: Problem, net: Net | None = None) -> PlanResult:
    """A plan by the learned policy, within milliseconds; flagged by its status. It always keeps the limits that can be kept."""
    work = steps(problem, net)
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: PlanResult = end.value
            return result


def steps(problem: Problem, net: Net | None = None) -> Generator[None, None, PlanResult]:
    """The same as :func:`propose`, with breaths between; the plan is the generator's value."""
    began = perf_counter()
    net = net or shipped()
    features, cells = features_of(problem)
    yield
    logits = np.zeros(cells.shape, dtype=np.float32)
    if cells.any():
        logits[cells] = np.clip(SHARPNESS * net.logits(features), -MOST_LOGIT, MOST_LOGIT)
    yield
    projection = Projection(problem, logits[cells], cells)
    yield from projection.approach(STEPS)
    best = _Try.of(problem, projection.filled())
    yield
    for _ in range(REPAIRS):
        if best.missing_kwh <= MISSING_SHARE * best.required_kwh:
            break
        yield from projection.approach(AGAIN)
        other = _Try.of(problem, projection.filled())
        best = other if other.missing_kwh < best.missing_kwh else best
        yield
    for _ in range(PEAK_TRIES if problem.demand_charge_per_kw or problem.demand_pieces else 0):
        wanted_kw = PEAK_SHARE * best.bill.peak_kw
        if wanted_kw < max(problem.free_peak_kw, projection.least_peak_kw):
            break
        projection.lower_peak(wanted_kw)
        yield from projection.approach(AGAIN)
        other = _Try.of(problem, projection.filled())
        yield
        if other.bill.cost >= best.bill.cost or other.missing_kwh > best.missing_kwh + MISSING_SHARE * best.required_kwh:
            break
        best = other
    rule = _Try.of(problem, projection.by_laxity())
    yield
    saves = rule.missing_kwh <= best.missing_kwh + MISSING_KWH and rule.bill.cost < best.bill.cost
    best = rule if saves or rule.missing_kwh < best.missing_kwh - MISSING_KWH else best
    return PlanResult(
        power_kw=best.power_kw,
        site_kw=best.site_kw,
        unmet_kwh=np.where(best.unmet_kwh > 1e-6, best.unmet_kwh, 0.0),
        over_limit_kw=problem.over_limit_kw,
        energy_cost=best.bill.energy_cost,
        demand_cost=best.bill.demand_cost,
        co2_kg=best.bill.co2_kg,
        peak_kw=best.bill.peak_kw,
        status=PlanStatus.LEARNED,
        policy=Policy.CHEAPEST,
        solve_s=perf_counter() - began,
        storage_kw=np.zeros((len(problem.storages), problem.n_slots)),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Try:
    """Powers, and what counts of them: the bill, and what is not served (kWh at the batteries)."""

    power_kw: FloatArray
    site_kw: FloatArray
    unmet_kwh: FloatArray
    missing_kwh: float
    required_kwh: float
    bill: Bill

    @classmethod
    def of(cls, problem: Problem, power_kw: FloatArray) -> _Try:
        need, eff = (np.array([getattr(v, name) for v in problem.vehicles]) for name in ("energy_kwh", "eff"))
        site = power_kw.sum(axis=0) + problem.background_kw
        unmet = np.maximum(need - (power_kw @ problem.hours) * eff, 0.0)
        return cls(power_kw, site, unmet, float(unmet.sum()), float(need.sum()), bill_of(problem, site))
