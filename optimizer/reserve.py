"""A reserve against wrong timetables, sized from a depot's own forecast errors.

    past visits --> ForecastErrors (samples) --blended with a prior--> quantiles --hedged()--> a more careful Problem --> plan

Whoever has not come yet may come later than announced and need more; whoever is there may leave earlier. The problem is
changed so that its plan stays good when that happens, and no row is added:

arrival     of who is not there yet: announced + a quantile of the delay of those visits that were not there by then either
departure   earlier by a quantile, as far as that leaves time to charge
energy      of who is not there yet: × (median + (quantile − median) · √Σe² / Σe), over all of them: errors of many level out
hold-back   of the site's and the feeders' room in later slots: a share that grows with the look-ahead, in proportion to the part of
            the energy still to be charged that is on its way. Once everybody is there nothing is held back
soon        while somebody is on the way, a kWh in the coming half hour is worth a little more in hours that are not dear: room that is left
            unused there is lost, and the last one who comes may need more than anybody thought
longest     of those who are there, who takes longest to charge has a little more of that worth: of plans that cost the same the one that
            leaves most outlets something to do, so that room can still be used whoever comes late
background  a quantile of what was drawn beside the vehicles more than was forecast, likewise growing with the look-ahead

Few samples say little: a prior stands beside them with the weight of :data:`PRIOR_VISITS` visits. Pure functions.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem
from optimizer.problem import FloatArray, Problem, Vehicle
from optimizer.site_limits import NamedLimit

PRIOR_VISITS = 20.0
"""What the prior weighs beside a depot's own samples, in visits."""

_NORMAL = np.array(
    [-1.96, -1.44, -1.15, -0.93, -0.76, -0.6, -0.45, -0.32, -0.19, -0.06, 0.06, 0.19, 0.32, 0.45, 0.6, 0.76, 0.93, 1.15, 1.44, 1.96]
)
"""Twenty quantiles of the normal distribution, at (k + ½)/20."""

SOURCE = "reserve"
"""What the site's limit is named after where something is held back."""

AT_ONCE = 100
"""Vehicles between two breaths: a few milliseconds."""

WAITED_MIN = 15.0
"""Who is later than anybody ever was is expected so much later still."""


@dataclass(frozen=True, eq=False, slots=True)
class ForecastErrors:
    """Samples, one per past visit (or hour, for the background); each may be empty.

    ``late_min``: arrival after the announced one; ``early_min``: departure before the announced one; ``energy_ratio``: energy
    that was needed over what was announced; ``background_kw``: background above its forecast of an hour or more before."""

    late_min: FloatArray = field(default_factory=lambda: np.zeros(0))
    early_min: FloatArray = field(default_factory=lambda: np.zeros(0))
    energy_ratio: FloatArray = field(default_factory=lambda: np.zeros(0))
    background_kw: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        for name in ("late_min", "early_min", "energy_ratio", "background_kw"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.ndim != 1 or not np.isfinite(array).all():
                raise InvalidProblem(f"forecast errors: {name} is no list of finite numbers")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if (self.energy_ratio < 0).any():
            raise InvalidProblem("forecast errors: energy_ratio is negative; 0 is the least")


PRIOR = ForecastErrors(late_min=15 + 30 * _NORMAL, early_min=10 * _NORMAL, energy_ratio=1 + 0.1 * _NORMAL, background_kw=np.zeros(1))
"""What is taken of a depot that nothing is known of: a quarter of an hour late on average, ± 30 minutes; departures ± 10 minutes;
needs ± 10 %; a background as forecast. Assumed, not measured."""

EXACT = ForecastErrors(late_min=np.zeros(1), early_min=np.zeros(1), energy_ratio=np.ones(1), background_kw=np.zeros(1))
"""A timetable that is never wrong."""


@dataclass(frozen=True, slots=True)
class ReserveRule:
    """How careful: quantiles 0–1 of the errors, ``hold_share`` of the room in slots ``ramp_h`` or more ahead while all energy is
    still on its way; ``soon_share`` of the mean price is what charging soon is worth more then, in hours that are not dearer than that;
    ``longest_share`` of it, at any hour, for who of those there takes longest to charge, and in proportion for the others.
    How they were chosen, and how they do: docs/uncertainty.md."""

    arrival_quantile: float = 0.6
    departure_quantile: float = 0.8
    energy_quantile: float = 0.9
    background_quantile: float = 0.9
    hold_share: float = 0.01
    ramp_h: float = 1.0
    soon_share: float = 0.2
    longest_share: float = 0.03

    def __post_init__(self) -> None:
        for name in ("arrival_quantile", "departure_quantile", "energy_quantile", "background_quantile", "hold_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidProblem(f"reserve: {name} {getattr(self, name)} is not in [0, 1]")
        if not 0 <= self.ramp_h < np.inf:
            raise InvalidProblem(f"reserve: ramp_h {self.ramp_h} is not a finite number of at least 0")
        for name in ("soon_share", "longest_share"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidProblem(f"reserve: {name} {getattr(self, name)} is not a finite number of at least 0")


class Blend:
    """A depot's errors beside a prior, to be asked for quantiles. ``prior_visits``: the weight of the prior."""

    def __init__(self, errors: ForecastErrors, *, prior: ForecastErrors = PRIOR, prior_visits: float = PRIOR_VISITS) -> None:
        self._late = _Weighted(errors.late_min, prior.late_min, prior_visits)
        self._early = _Weighted(errors.early_min, prior.early_min, prior_visits)
        self._ratio = _Weighted(errors.energy_ratio, prior.energy_ratio, prior_visits)
        self._background = _Weighted(errors.background_kw, prior.background_kw, prior_visits)

    def delay_min(self, quantile: float, *, overdue_min: float) -> float:
        """How much later than announced somebody comes who was not there ``overdue_min`` after the announced time (negative: that
        is still ahead): a quantile over the visits that were not there by then either. At least ``overdue_min``."""
        found = self._late.quantile(quantile, above=overdue_min)
        return overdue_min + WAITED_MIN if found is None else found

    def delays_min(self, quantile: float, overdue_min: FloatArray) -> FloatArray:
        """:meth:`delay_min` of many at once."""
        found = self._late.quantiles(quantile, overdue_min)
        delays: FloatArray = np.where(np.isnan(found), overdue_min + WAITED_MIN, found)
        return delays

    def early_min(self, quantile: float) -> float:
        """How much before the announced time somebody leaves; at least 0."""
        return max(0.0, self._early.quantile(quantile) or 0.0)

    def energy_factor(self, quantile: float, energies_kwh: FloatArray) -> float:
        """By how much the needs of vehicles on their way are to be taken larger, all of them by the same: errors that are
        independent level out over many, so the spread shrinks with √Σe² / Σe. At least 1."""
        total = float(energies_kwh.sum())
        if total <= 0:
            return 1.0
        pooled = float(np.sqrt((energies_kwh**2).sum())) / total
        middle = self._ratio.quantile(0.5) or 1.0
        high = self._ratio.quantile(quantile) or middle
        return max(1.0, middle + (high - middle) * pooled)

    def background_kw(self, quantile: float) -> float:
        """What the background draws above its forecast; at least 0."""
        return max(0.0, self._background.quantile(quantile) or 0.0)


class _Weighted:
    """Samples and a prior as one weighted distribution."""

    def __init__(self, samples: FloatArray, prior: FloatArray, prior_weight: float) -> None:
        known = prior if prior_weight > 0 else prior[:0]
        values = np.concatenate((samples, known))
        weights = np.concatenate((np.ones(len(samples)), np.full(len(known), prior_weight / max(len(known), 1))))
        order = np.argsort(values, kind="stable")
        self._values, self._weights = values[order], weights[order]
        self._reached = np.cumsum(self._weights)

    def quantiles(self, q: float, above: FloatArray) -> FloatArray:
        """:meth:`quantile` above each of ``above``; NaN where there is none."""
        first = np.searchsorted(self._values, above, side="right")
        known = first < len(self._values)
        found = np.full(len(above), np.nan)
        if known.any():
            first = first[known]
            passed, middles = self._reached[first] - self._weights[first], self._reached - self._weights / 2
            wanted = passed + q * (self._reached[-1] - passed)
            within = np.interp(wanted, middles, self._values)
            found[known] = np.where(wanted <= middles[first], self._values[first], within)
        return found

    def quantile(self, q: float, *, above: float = -np.inf) -> float | None:
        """Of those above a value; None: there is none."""
        first = int(np.searchsorted(self._values, above, side="right"))
        values, reached = self._values[first:], np.cumsum(self._weights[first:])
        if not len(values) or reached[-1] <= 0:
            return None
        middles = (reached - self._weights[first:] / 2) / reached[-1]
        return float(np.interp(q, middles, values))


def hedged(
    problem: Problem,
    blend: Blend,
    rule: ReserveRule,
    *,
    present: npt.NDArray[np.bool_],
    overdue_min: FloatArray,
) -> Problem:
    """``problem`` as it is announced, made careful. ``present`` [vehicle]: it is there; ``overdue_min`` [vehicle]: minutes since its
    announced arrival (negative: ahead), of no meaning for who is there. Arrivals of who is not there are at slot 1 at the earliest."""
    work = hedging(problem, blend, rule, present=present, overdue_min=overdue_min)
    while True:
        try:
            next(work)
        except StopIteration as end:
            careful: Problem = end.value
            return careful


def hedging(
    problem: Problem,
    blend: Blend,
    rule: ReserveRule,
    *,
    present: npt.NDArray[np.bool_],
    overdue_min: FloatArray,
) -> Generator[None, None, Problem]:
    """The same as :func:`hedged`, with breaths between; the problem is the generator's value."""
    if len(present) != len(problem.vehicles) or len(overdue_min) != len(problem.vehicles):
        raise InvalidProblem(
            f"{len(present)} and {len(overdue_min)} vehicles known to be there or not, the problem has {len(problem.vehicles)}"
        )
    announced_kwh = np.array([v.energy_kwh / v.eff for v in problem.vehicles])
    factor = blend.energy_factor(rule.energy_quantile, announced_kwh[~present])
    early = blend.early_min(rule.departure_quantile) / problem.slot_minutes
    gone_min = problem.slot_minutes * (1 - problem.first_slot_fraction)
    waits_min = gone_min + blend.delays_min(rule.arrival_quantile, np.asarray(overdue_min, dtype=np.float64)) - overdue_min
    arrivals = np.maximum(np.ceil(waits_min / problem.slot_minutes - 1e-6), 1).astype(np.int64)
    mean_price = float(np.abs(problem.price_per_kwh).mean())
    soon_per_kwh = 0.0 if present.all() or problem.price_per_kwh[0] > (1 + rule.soon_share) * mean_price else rule.soon_share * mean_price
    worth_per_kwh = soon_per_kwh + rule.longest_share * mean_price * _longest(problem, present)
    vehicles = []
    for n, (vehicle, there, arrival) in enumerate(zip(problem.vehicles, present.tolist(), arrivals.tolist(), strict=True)):
        arrives = vehicle.arrival_slot if there else arrival
        careful = _careful(vehicle, problem, arrival=arrives, early_slots=early, factor=1.0 if there else factor)
        worth = float(worth_per_kwh[n])
        vehicles.append(replace(careful, steady_per_kwh=careful.steady_per_kwh + worth) if worth else careful)
        if n % AT_ONCE == AT_ONCE - 1:
            yield
    on_its_way = float(announced_kwh[~present].sum()) / max(float(announced_kwh.sum()), 1e-9)
    grows = np.minimum(problem.starts_h / rule.ramp_h, 1.0) if rule.ramp_h > 0 else (np.arange(problem.n_slots) > 0).astype(np.float64)
    held = rule.hold_share * on_its_way * grows
    background = problem.background_kw + blend.background_kw(rule.background_quantile) * grows
    room = np.maximum(problem.site_limit_kw - background, 0.0)
    limit = np.maximum(
        problem.site_limit_kw - held * room - (background - problem.background_kw), np.minimum(problem.site_limit_kw, problem.background_kw)
    )
    feeders = tuple(replace(feeder, limit_kw=feeder.limit_kw * (1 - held)) for feeder in problem.feeders)
    sources = (*problem.limit_sources, NamedLimit(SOURCE, limit)) if problem.limit_sources else ()
    return replace(problem, vehicles=tuple(vehicles), site_limit_kw=limit, feeders=feeders, limit_sources=sources)


def _longest(problem: Problem, present: npt.NDArray[np.bool_]) -> FloatArray:
    """[vehicle] of those who are there, how long each charges at full power, over the longest: 0–1; 0 for all once everybody is there."""
    hours = np.zeros(len(present))
    if present.all():
        return hours
    for n in np.flatnonzero(present):
        most_kw = problem.vehicles[n].p_max_kw * problem.vehicles[n].eff
        hours[n] = problem.vehicles[n].energy_kwh / most_kw if most_kw > 0 else 0.0
    most: float = hours.max(initial=0.0)
    return hours / most if most > 0 else hours


def _careful(vehicle: Vehicle, problem: Problem, *, arrival: int, early_slots: float, factor: float) -> Vehicle:
    """Later, sooner gone and hungrier, but always with the time to charge what it is said to need, as far as it had that. A vehicle
    with several visits or milestones is left as it is: its times hang together."""
    if vehicle.windows or vehicle.milestones:
        return vehicle
    at_most = vehicle.p_max_kw * vehicle.eff * problem.slot_h
    needs = int(np.ceil(vehicle.energy_kwh / at_most - 1e-9)) if at_most > 0 else 0
    first = min(arrival, max(vehicle.arrival_slot, vehicle.departure_slot - needs))
    last = max(int(np.floor(vehicle.departure_slot - early_slots + 1e-6)), min(first + needs, vehicle.departure_slot))
    energy = max(vehicle.energy_kwh, min(vehicle.energy_kwh * factor, (last - first) * at_most))
    if (first, last, energy) == (vehicle.arrival_slot, vehicle.departure_slot, vehicle.energy_kwh):
        return vehicle
    return replace(vehicle, arrival_slot=first, departure_slot=last, energy_kwh=energy)
