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
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from time import perf_counter

import numpy as np
import numpy.typing as npt

from optimizer.evaluate import Verdict, evaluate
from optimizer.problem import EPS, FloatArray, PlanResult, PlanStatus, Policy, Problem

Matrix = npt.NDArray[np.float32]

SHARPNESS = 3.0
"""Log-odds are multiplied by it: optimal plans do not do things by halves."""

STEPS = 14
"""Newton steps in turn, at first; :data:`AGAIN` where only the highest peak has moved."""
AGAIN = 8
STEP_MOST = 3.0
PEAK_TRIES = 5
PEAK_SHARE = 0.9
"""So much of the peak is tried next, while that makes the bill smaller."""

REPAIRS = 6
"""So often :data:`AGAIN` steps are made where energy is missing."""

MISSING_SHARE = 1e-4
MISSING_KWH = 0.05

MOST_LOGIT = 12.0


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
        hidden = np.tanh(((features - self.mean) / self.scale) @ self.inner + self.inner_bias)
        odds: Matrix = hidden @ self.outer + np.float32(self.outer_bias)
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
        np.full(len(vehicle), tight),
        (need / rating)[vehicle],
        np.full(len(vehicle), min(demand / spread, 100.0)),
    )
    return np.column_stack(columns).astype(np.float32), cells


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
    projection = _Projection(problem, logits, cells)
    yield from projection.approach(STEPS)
    best = projection.filled()
    verdict = evaluate(problem, best)
    yield
    for _ in range(REPAIRS):
        if _missing(verdict) <= MISSING_SHARE * verdict.required_kwh:
            break
        yield from projection.approach(AGAIN)
        power = projection.filled()
        other = evaluate(problem, power)
        if _missing(other) < _missing(verdict):
            best, verdict = power, other
        yield
    for _ in range(PEAK_TRIES if problem.demand_charge_per_kw or problem.demand_pieces else 0):
        wanted_kw = PEAK_SHARE * verdict.peak_kw
        if wanted_kw < max(problem.free_peak_kw, projection.least_peak_kw):
            break
        projection.lower_peak(wanted_kw)
        yield from projection.approach(AGAIN)
        power = projection.filled()
        other = evaluate(problem, power)
        yield
        if other.cost >= verdict.cost or _missing(other) > _missing(verdict) + MISSING_SHARE * verdict.required_kwh:
            break
        best, verdict = power, other
    rule = projection.by_laxity()
    other = evaluate(problem, rule)
    saves = _missing(other) <= _missing(verdict) + MISSING_KWH and other.cost < verdict.cost
    if saves or _missing(other) < _missing(verdict) - MISSING_KWH:
        best, verdict = rule, other
    seconds = perf_counter() - began
    return PlanResult(
        power_kw=best,
        site_kw=verdict.site_kw,
        unmet_kwh=np.where(verdict.unmet_kwh > 1e-6, verdict.unmet_kwh, 0.0),
        over_limit_kw=problem.over_limit_kw,
        energy_cost=verdict.energy_cost,
        demand_cost=verdict.demand_cost,
        peak_kw=verdict.peak_kw,
        status=PlanStatus.LEARNED,
        policy=Policy.CHEAPEST,
        solve_s=seconds,
        storage_kw=np.zeros((len(problem.storages), problem.n_slots)),
    )


def _missing(verdict: Verdict) -> float:
    return float(verdict.unmet_kwh.sum())


class _Projection:
    """From log-odds to powers: x = upper · σ(logit + vehicle's − Σ prices of its limits), beside the floors."""

    def __init__(self, problem: Problem, logits: Matrix, cells: npt.NDArray[np.bool_]) -> None:
        floors = problem.lower_kw
        eff = np.array([v.eff for v in problem.vehicles])
        self._floors = floors
        self._hours = problem.hours
        self._price = problem.price_per_kwh
        self._upper = np.where(cells, np.maximum(problem.upper_kw - floors, 0.0), 0.0)
        self._need = np.maximum(np.array([v.energy_kwh for v in problem.vehicles]) / eff - floors @ problem.hours, 0.0)
        self._logits = logits
        self._kinds = [replace(kind, limit_kw=np.maximum(kind.limit_kw - kind.sums(floors), 0.0)) for kind in limits_of(problem)]
        self._all = list(self._kinds)
        """Before any peak is lowered."""
        self._background = problem.background_kw + floors.sum(axis=0)
        self._worth = np.zeros(len(problem.vehicles), dtype=np.float32)
        self._prices = [np.zeros(kind.limit_kw.shape, dtype=np.float32) for kind in self._kinds]
        stays_kw = self._need.sum() / max(float(problem.hours[cells.any(axis=0)].sum()), EPS) if cells.any() else 0.0
        self.least_peak_kw = stays_kw + float(self._background.min(initial=0.0))

    def lower_peak(self, peak_kw: float) -> None:
        """The site shall stay below this."""
        site = self._kinds[0]
        self._kinds[0] = replace(site, limit_kw=np.minimum(site.limit_kw, np.maximum(peak_kw - self._background, 0.0)))

    def approach(self, rounds: int) -> Generator[None, None, None]:
        """Newton steps in turn: everybody's energy, then every limit."""
        upper, room = self._upper.astype(np.float32), (self._upper * self._hours).astype(np.float32)
        need = np.minimum(self._need, room.sum(axis=1)).astype(np.float32)
        for _ in range(rounds):
            share = self._share()
            filled = room * share
            missing = need - filled.sum(axis=1)
            spread = (filled * (1 - share)).sum(axis=1)
            self._worth += np.clip(missing / np.maximum(spread, 1e-3 * need + 1e-6), -STEP_MOST, STEP_MOST)
            share = self._share()
            power = upper * share
            gives = power * (1 - share)
            for kind, prices in zip(self._kinds, self._prices, strict=True):
                over, slope = kind.sums(power) - kind.limit_kw, kind.sums(gives)
                step = np.clip(over / np.maximum(slope, 1e-3 * kind.limit_kw + 1e-6), -STEP_MOST, STEP_MOST)
                np.maximum(prices + step, 0.0, out=prices, casting="same_kind")
            yield

    def filled(self) -> FloatArray:
        """Powers that keep every limit: too much is scaled down, and who lacks energy gets what is left, the cheapest slots first."""
        power = self._upper * self._share()
        power *= np.minimum(1.0, self._need / np.maximum(power @ self._hours, EPS))[:, None]
        for kind in self._kinds:
            power *= kind.of_vehicles(np.minimum(1.0, kind.limit_kw / np.maximum(kind.sums(power), EPS)))
        missing = self._need - power @ self._hours
        left = [kind.limit_kw - kind.sums(power) for kind in self._kinds]
        for slot in np.argsort(self._price, kind="stable"):
            who = np.flatnonzero((missing > EPS) & (self._upper[:, slot] > power[:, slot]))
            if not len(who):
                continue
            wanted = np.minimum(self._upper[who, slot] - power[who, slot], missing[who] / self._hours[slot])
            for kind, rest in zip(self._kinds, left, strict=True):
                asked = kind.sums_of(who, wanted)
                wanted *= kind.of_some(who, np.clip(rest[:, slot] / np.maximum(asked, EPS), 0.0, 1.0))
            for kind, rest in zip(self._kinds, left, strict=True):
                rest[:, slot] -= kind.sums_of(who, wanted)
            power[who, slot] += wanted
            missing[who] -= wanted * self._hours[slot]
        return power + self._floors

    def by_laxity(self) -> FloatArray:
        """Who has the least time to spare first, as far as it fits, slot after slot: the rule, for where the net does no better."""
        power, left = np.zeros_like(self._upper), self._need.copy()
        slots = np.arange(len(self._hours))
        ends = np.where(self._upper > 0, slots, -1).max(axis=1, initial=-1)
        rating = np.maximum(self._upper.max(axis=1, initial=0.0), EPS)
        stands_h = np.concatenate(([0.0], np.cumsum(self._hours)))
        for slot in slots:
            who = np.flatnonzero((left > EPS) & (self._upper[:, slot] > 0))
            laxity_h = stands_h[ends[who] + 1] - stands_h[slot] - left[who] / rating[who]
            given = np.minimum(self._upper[who, slot], left[who] / self._hours[slot])
            for kind in reversed(self._all):  # the site last: what a feeder does not take is left for others
                given = kind.in_order(who, given, laxity_h, int(slot))
            power[who, slot] = given
            left[who] -= given * self._hours[slot]
        return power + self._floors

    def _share(self) -> Matrix:
        odds = self._logits + self._worth[:, None]
        for kind, prices in zip(self._kinds, self._prices, strict=True):
            odds = odds - kind.prices_of(prices)
        share: Matrix = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        return share


@dataclass(frozen=True, eq=False, slots=True)
class _Kind:
    """Limits of one kind, of which each vehicle loads at most one: ``group`` [vehicle] which, −1 for none; ``limit_kw`` [limit × slot];
    ``weight`` [vehicle] with which it counts, above 0. ``order``: those that load any, by limit; ``first``, ``present``: where in it
    the members of each limit begin that has any."""

    group: npt.NDArray[np.intp]
    limit_kw: FloatArray
    weight: FloatArray
    order: npt.NDArray[np.intp]
    first: npt.NDArray[np.intp]
    present: npt.NDArray[np.intp]

    @classmethod
    def of(cls, group: npt.NDArray[np.intp], limit_kw: FloatArray, weight: FloatArray | None = None) -> _Kind:
        """``weight`` None: everybody counts as it draws."""
        order = np.argsort(group, kind="stable")
        order = order[group[order] >= 0]
        present, first = np.unique(group[order], return_index=True)
        return cls(group, limit_kw, np.ones(len(group)) if weight is None else weight, order, first, present)

    def sums(self, power: npt.NDArray[np.floating]) -> FloatArray:
        """[limit × slot] what is drawn. (No matrix product: its threads would wait for a busy machine.)"""
        sums = np.zeros(self.limit_kw.shape)
        if len(self.order):
            weights = self.weight[self.order, None].astype(power.dtype)
            sums[self.present] = np.add.reduceat(power[self.order] * weights, self.first, axis=0)
        return sums

    def of_vehicles(self, values: FloatArray) -> FloatArray:
        """[vehicle × slot] of what is per limit and slot; 1 for those that load none."""
        found: FloatArray = np.where((self.group >= 0)[:, None], values[self.group], 1.0)
        return found

    def prices_of(self, prices: Matrix) -> Matrix:
        """[vehicle × slot] what its limit costs; 0 for those that load none."""
        found: Matrix = prices[self.group] * np.where(self.group >= 0, self.weight, 0.0).astype(np.float32)[:, None]
        return found

    def sums_of(self, who: npt.NDArray[np.intp], power: FloatArray) -> FloatArray:
        """[limit] of some vehicles in one slot."""
        group, drawn = self.group[who], self.weight[who] * power
        sums: FloatArray = np.bincount(group[group >= 0], weights=drawn[group >= 0], minlength=len(self.limit_kw)).astype(np.float64)
        return sums

    def of_some(self, who: npt.NDArray[np.intp], values: FloatArray) -> FloatArray:
        """[some vehicle] of what is per limit."""
        group = self.group[who]
        found: FloatArray = np.where(group >= 0, values[group], 1.0)
        return found

    def in_order(self, who: npt.NDArray[np.intp], power: FloatArray, rank: FloatArray, slot: int) -> FloatArray:
        """[some vehicle] as much of ``power`` as each limit takes, the least ``rank`` first."""
        order = np.lexsort((rank, self.group[who]))
        group, weight = self.group[who][order], self.weight[who][order]
        drawn = np.cumsum(weight * power[order])
        first = np.searchsorted(group, group)
        before = drawn - weight * power[order] - np.where(first > 0, drawn[np.maximum(first - 1, 0)], 0.0)
        room = np.where(group >= 0, np.maximum(self.limit_kw[group, slot] - before, 0.0) / weight, np.inf)
        given = np.empty_like(power)
        given[order] = np.minimum(power[order], room)
        return given


def limits_of(problem: Problem) -> list[_Kind]:
    """All limits: the site's, the feeders' by their depth in the tree, each cap. A cap's negative weights are left out: what others
    draw makes no room."""
    nobody = np.full(len(problem.vehicles), -1, dtype=np.intp)
    kinds = [_Kind.of(nobody + 1, problem.room_kw[None, :])]
    paths = [() if v.feeder is None else problem.feeder_paths[v.feeder][::-1] for v in problem.vehicles]
    for depth in range(max((len(path) for path in paths), default=0)):
        group = np.array([path[depth] if depth < len(path) else -1 for path in paths], dtype=np.intp)
        kinds.append(_Kind.of(group, problem.feeder_room_kw))
    rows = problem.limit_rows
    for row in range(len(problem.feeders), len(rows.limit_kw)):
        mine = (rows.row == row) & (rows.weight > 0)
        group, weight = nobody.copy(), np.ones(len(nobody))
        group[rows.vehicle[mine]], weight[rows.vehicle[mine]] = 0, rows.weight[mine]
        kinds.append(_Kind.of(group, np.maximum(rows.room_kw[row : row + 1], 0.0), weight))
    return kinds
