"""Judge a power matrix against a problem: cost, peak, what is missing, what is violated. Any scheduler, one yardstick.

Costs are what the vehicles add to the bill: import that they cause beyond the background's own, and the demand charge
on the peak above what was free. Energy beyond a vehicle's need is paid for but serves nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer import feeders as fd
from optimizer.errors import InvalidProblem
from optimizer.pieces import pieces_cost
from optimizer.problem import FloatArray, Problem, level_bounds_kwh
from optimizer.stays import windows_of
from optimizer.storage import upper_kw

VIOLATION_KWH = 0.05
"""Below this a violation is rounding."""


@dataclass(frozen=True, eq=False, slots=True)
class Verdict:
    """``site_kw`` [slot] with background; ``unmet_kwh`` [vehicle] at the battery; ``short``: vehicles that miss more
    than 2 % of their need and 0.1 kWh; ``below_minimum``: cells with a power in (0, p_min); the rest are kWh.
    ``over_cap_kwh``: above the caps, in the sums' weights. ``discharge_kwh``: given beyond what a vehicle may;
    ``state_of_charge_kwh``: below the reserve of a vehicle that gives, or above its capacity, or above what a milestone says that a
    battery takes. ``co2_kg``: carbon of what is imported for them."""

    site_kw: FloatArray
    energy_cost: float
    demand_cost: float
    peak_kw: float
    unmet_kwh: FloatArray
    required_kwh: float
    short: tuple[str, ...]
    below_minimum: int
    over_site_limit_kwh: float
    over_feeder_limit_kwh: float
    over_cap_kwh: float
    over_rating_kwh: float
    outside_window_kwh: float
    discharge_kwh: float
    over_export_limit_kwh: float
    state_of_charge_kwh: float
    co2_kg: float

    @property
    def cost(self) -> float:
        """Energy and demand together."""
        return self.energy_cost + self.demand_cost

    @property
    def unmet_pct(self) -> float:
        """Missing share of all that the batteries had to receive, in %."""
        return 100 * float(self.unmet_kwh.sum()) / self.required_kwh if self.required_kwh else 0.0

    @property
    def violation_kwh(self) -> float:
        """The worst of the violations."""
        site = max(self.over_site_limit_kwh, self.over_feeder_limit_kwh, self.over_cap_kwh)
        batteries = max(self.discharge_kwh, self.state_of_charge_kwh)
        return max(site, self.over_export_limit_kwh, self.over_rating_kwh, self.outside_window_kwh, batteries)

    @property
    def keeps_limits(self) -> bool:
        """Whether no violation is more than rounding."""
        return self.violation_kwh <= VIOLATION_KWH


@dataclass(frozen=True, slots=True)
class Bill:
    """What vehicles and batteries add, in currency; ``peak_kw``: the highest mean of a demand block, background included; ``co2_kg``."""

    energy_cost: float
    demand_cost: float
    peak_kw: float
    co2_kg: float

    @property
    def cost(self) -> float:
        """Energy and demand together."""
        return self.energy_cost + self.demand_cost


def bill_of(problem: Problem, site_kw: FloatArray) -> Bill:
    """What it adds to the bill that the site draws ``site_kw`` [slot] in place of its background alone."""
    background = problem.background_kw
    imported = (np.maximum(site_kw, 0.0) - np.maximum(background, 0.0)) * problem.hours
    exported = (np.maximum(-site_kw, 0.0) - np.maximum(-background, 0.0)) * problem.hours
    paid = np.minimum(problem.export_price_per_kwh, np.maximum(problem.price_per_kwh, 0.0))
    peak = max(float(problem.block_means(site_kw).max()), 0.0)
    return Bill(
        energy_cost=float(problem.price_per_kwh @ imported - paid @ exported),
        demand_cost=problem.demand_charge_per_kw * max(0.0, peak - problem.free_peak_kw) + pieces_cost(problem, site_kw),
        peak_kw=peak,
        co2_kg=float(problem.co2_g_per_kwh @ imported) / 1000,
    )


def evaluate(problem: Problem, power_kw: FloatArray, storage_kw: FloatArray | None = None) -> Verdict:
    """``power_kw`` [vehicle × slot], grid side; ``storage_kw`` [storage × slot], None: the stationary batteries rest. Raises
    :class:`InvalidProblem` for a wrong shape or a number that is not finite."""
    expected = (len(problem.vehicles), problem.n_slots)
    if power_kw.shape != expected:
        raise InvalidProblem(f"the power matrix is {power_kw.shape}, the problem has {expected} (vehicles, slots)")
    if not np.isfinite(power_kw).all():
        i, k = np.argwhere(~np.isfinite(power_kw))[0]
        raise InvalidProblem(f"{problem.vehicles[i].id}, slot {k}: {power_kw[i, k]} is not a finite number")
    hours = problem.hours
    eff = np.array([v.eff for v in problem.vehicles])[:, None]
    need = np.array([v.energy_kwh for v in problem.vehicles])
    rating = np.array([v.p_max_kw for v in problem.vehicles])[:, None]
    least = np.array([v.p_min_kw for v in problem.vehicles])[:, None]
    windows = np.zeros(expected, dtype=bool)
    for i, vehicle in enumerate(problem.vehicles):
        for edges in windows_of(vehicle):
            windows[i, slice(*edges)] = True

    gained = np.where(power_kw > 0, power_kw * eff, power_kw / eff) * hours
    unmet = np.maximum(need - gained.sum(axis=1), 0.0)
    stored = np.zeros((len(problem.storages), problem.n_slots)) if storage_kw is None else storage_kw
    if stored.shape != (len(problem.storages), problem.n_slots) or not np.isfinite(stored).all():
        raise InvalidProblem(f"storage powers are {stored.shape}, or not finite; the problem has {len(problem.storages)} batteries")
    site = power_kw.sum(axis=0) + stored.sum(axis=0) + problem.background_kw
    own_export = np.maximum(-problem.background_kw, 0.0)
    bill = bill_of(problem, site)
    return Verdict(
        site_kw=site,
        energy_cost=bill.energy_cost,
        demand_cost=bill.demand_cost,
        peak_kw=bill.peak_kw,
        unmet_kwh=unmet,
        required_kwh=float(need.sum()),
        short=tuple(problem.vehicles[i].id for i in np.flatnonzero(unmet > 0.02 * need + 0.1)),
        below_minimum=int(((power_kw > 1e-6) & (power_kw < least - 1e-6)).sum()),
        over_site_limit_kwh=float(np.maximum(site - problem.site_limit_kw, 0.0) @ hours),
        over_feeder_limit_kwh=float((np.maximum(_on_feeders(problem, power_kw, stored) - problem.feeder_limit_kw, 0.0) @ hours).sum()),
        over_cap_kwh=float((_over_caps(problem, power_kw, stored) @ hours).sum()),
        over_rating_kwh=float((np.maximum(power_kw - rating, 0.0) @ hours).sum()) + _over_storage_kwh(problem, stored),
        outside_window_kwh=float((np.where(windows, 0.0, np.abs(power_kw)) @ hours).sum()),
        discharge_kwh=float((np.maximum(-power_kw - _may_give(problem), 0.0) @ hours).sum()),
        over_export_limit_kwh=float(np.maximum(-site - np.maximum(problem.export_limit_kw, own_export), 0.0) @ hours),
        state_of_charge_kwh=max(
            _beyond_battery_kwh(problem, gained), _beyond_milestones_kwh(problem, gained), _beyond_storage_kwh(problem, stored)
        ),
        co2_kg=bill.co2_kg,
    )


def _on_feeders(problem: Problem, power_kw: FloatArray, stored: FloatArray) -> FloatArray:
    """[feeder × slot] vehicles on it and below it, and what batteries draw there; what those give is not counted."""
    batteries = fd.sums(
        problem.feeders, problem.feeder_paths, places=[s.feeder for s in problem.storages], power_kw=np.maximum(stored, 0.0)
    )
    return problem.feeder_sums(power_kw) + batteries


def _over_caps(problem: Problem, power_kw: FloatArray, stored: FloatArray) -> FloatArray:
    """[cap × slot] above each cap; what a vehicle or a battery gives makes no room under it."""
    over = np.zeros((len(problem.caps), problem.n_slots))
    for row, cap in zip(over, problem.caps, strict=True):
        row -= cap.limit_kw
        for i, weight in cap.weights.items():
            row += weight * (np.maximum(power_kw[i], 0.0) if weight > 0 else power_kw[i])
        for s, weight in cap.storages.items():
            row += weight * np.maximum(stored[s], 0.0)
    return np.maximum(over, 0.0)


def _over_storage_kwh(problem: Problem, stored: FloatArray) -> float:
    draws, gives = upper_kw(problem)
    return float((np.maximum(stored - draws, 0.0) + np.maximum(-stored - gives, 0.0)).sum(axis=0) @ problem.hours)


def _beyond_storage_kwh(problem: Problem, stored: FloatArray) -> float:
    """The most that a stationary battery is beyond its range at the end of any slot."""
    worst = 0.0
    for storage, row in zip(problem.storages, stored, strict=True):
        level = np.cumsum(np.where(row > 0, row * storage.eff, row / storage.eff) * problem.hours)
        low, high = storage.held_bounds_kwh
        worst = max(worst, low - float(level.min()), float(level.max()) - high)
    return worst


def _may_give(problem: Problem) -> FloatArray:
    return np.array([v.discharge_kw for v in problem.vehicles], dtype=np.float64)[:, None]


def _beyond_battery_kwh(problem: Problem, gained: FloatArray) -> float:
    """The most that a vehicle which may give lacks of its reserve, or has above its capacity, at the end of any slot."""
    worst = 0.0
    for vehicle, row in zip(problem.vehicles, gained, strict=True):
        if vehicle.discharge_kw:
            low, high = level_bounds_kwh(vehicle)
            level = np.cumsum(row[: vehicle.departure_slot])
            worst = max(worst, low - float(level.min(initial=0.0)), float(level.max(initial=0.0)) - high)
    return worst


def _beyond_milestones_kwh(problem: Problem, gained: FloatArray) -> float:
    """The most that a battery has received beyond what a milestone says that it takes, floors aside."""
    worst = 0.0
    for i, vehicle in enumerate(problem.vehicles):
        for milestone in vehicle.milestones:
            if milestone.at_most_kwh is not None:
                until = slice(0, milestone.by_slot)
                floors = vehicle.eff * float(problem.lower_kw[i, until] @ problem.hours[until])
                worst = max(worst, float(gained[i, until].sum()) - max(milestone.at_most_kwh, floors))
    return worst
