"""Stationary batteries in the plan: what they are, what using them costs, and their part of the planning model.

Columns  c[s,k] kW drawn, d[s,k] kW given, held[s,k] kWh (against the start)
Rows     held   held[s,k] = held[s,k−1] + eff_s · h_k · c[s,k] − h_k/eff_s · d[s,k], within reserve and capacity
         out    total[k] − given[k] ≥ −(background + export limit)     (only where vehicles may give, too)
and in the rows of :mod:`optimizer.model`  total[k] = Σ_i p[i,k] + Σ_s c[s,k] − Σ_s d[s,k]; a feeder's carries Σ c

What a battery gives counts under the site's limit, other than what vehicles give: it does not drive away. Nothing that a battery
is or does can make a problem infeasible: 0 kW is always allowed, also from a state of charge outside of its range.
A twin writes the same straight into arrays, as :mod:`optimizer.arrays` does for the rest.

What its life costs, where that is known (:mod:`optimizer.life`): rent on what it holds, from the middle of a slot to the middle of the
next, and wear on what leaves it, by how warm it is then. Both count whatever the policy, as its wear does that nothing more is known of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.life import LifeCost
from optimizer.life import checked as checked_life

if TYPE_CHECKING:
    from optimizer.problem import FloatArray, Problem

TYPICAL_WEAR = 0.22
"""What a kWh that leaves a battery costs it, as a share of the mean price, for packs that nothing is known of: 0.004 % of the
capacity a full cycle, 20 % loss writes off 180 per kWh of pack (a proxy, no validated cell model): 0.036 per kWh beside a
mean price of 0.16."""

END_SHARE = 0.98
"""Of the cheapest price: what a kWh that is left at the end is worth, so that nothing is bought only to be held."""


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """One battery. ``charge_kw``, ``discharge_kw``: the most, grid side. ``stored_kwh``: what it holds now; it is used between
    ``reserve_kwh`` and ``capacity_kwh``. ``eff``: each way. ``wear_per_kwh``: what a kWh that leaves it costs it (currency); None:
    a typical share of the price. ``end_value_per_kwh``: what a stored kWh is worth at the horizon's end; None: what it
    would cost to buy it back at the cheapest price, less a little. ``feeder``: which one its charging loads. ``life``: what holding and
    giving cost it; its wear takes the place of an unset ``wear_per_kwh``, and what fast charging wears more plays no part."""

    id: str
    charge_kw: float
    discharge_kw: float
    stored_kwh: float
    capacity_kwh: float
    reserve_kwh: float = 0.0
    eff: float = 0.95
    wear_per_kwh: float | None = None
    end_value_per_kwh: float | None = None
    feeder: int | None = None
    life: LifeCost | None = None

    @property
    def held_bounds_kwh(self) -> tuple[float, float]:
        """How far it may go down and up from what it holds now; it need not be in its range already."""
        return min(0.0, self.reserve_kwh - self.stored_kwh), max(0.0, self.capacity_kwh - self.stored_kwh)


@dataclass(frozen=True, eq=False, slots=True)
class StorageCosts:
    """Per kW drawn [slot], per kW given [storage × slot], per kWh held at a slot's end [storage × slot]; currency."""

    drawn: FloatArray
    given: FloatArray
    held: FloatArray


def checked(storages: Sequence[Storage], *, n_feeders: int, n_slots: int) -> tuple[Storage, ...]:
    """The batteries, with arrays that cannot be written to; raises :class:`InvalidProblem` for one that cannot be."""
    _check(storages, n_feeders)
    return tuple(s if s.life is None else replace(s, life=checked_life(f"storage {s.id}", s.life, n_slots)) for s in storages)


def _check(storages: Sequence[Storage], n_feeders: int) -> None:
    seen: set[str] = set()
    for storage in storages:
        who = f"storage {storage.id}"
        if storage.id in seen:
            raise InvalidProblem(f"{who} stands twice in the problem")
        seen.add(storage.id)
        numbers = ("charge_kw", "discharge_kw", "stored_kwh", "capacity_kwh", "reserve_kwh", "wear_per_kwh", "end_value_per_kwh")
        for name in numbers:
            value = getattr(storage, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise InvalidProblem(f"{who}: {name} is {value}; a finite number of at least 0 is expected")
        if storage.reserve_kwh > storage.capacity_kwh:
            raise InvalidProblem(f"{who}: reserve_kwh {storage.reserve_kwh:g} is above capacity_kwh {storage.capacity_kwh:g}")
        if not 0 < storage.eff <= 1:
            raise InvalidProblem(f"{who}: eff {storage.eff} is not in (0, 1]")
        if storage.feeder is not None and not 0 <= storage.feeder < n_feeders:
            raise InvalidProblem(f"{who}: feeder {storage.feeder}, but there are {n_feeders} feeders (counted from 0)")


def upper_kw(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """[storage × slot] most that each draws, and gives: nothing is given where energy costs nothing, or pays."""
    shape = (len(problem.storages), problem.n_slots)
    charge = np.array([s.charge_kw for s in problem.storages], dtype=np.float64)
    discharge = np.array([s.discharge_kw for s in problem.storages], dtype=np.float64)
    gives = np.where(problem.weight_per_kwh > 0, 1.0, 0.0)
    return np.broadcast_to(charge[:, None], shape).copy(), discharge[:, None] * gives[None, :]


def costs_of(problem: Problem, *, weight: float, on_import: np.ndarray, scale: float) -> StorageCosts | None:
    """What using them costs. ``on_import`` [slot]: the price stands on what is imported, not on what is drawn; ``scale``: the mean
    price; ``weight``: of money in the objective."""
    if not problem.storages:
        return None
    price, hours = problem.weight_per_kwh, problem.hours
    positive = price[price > 0]
    cheapest = float(positive.min()) if len(positive) else 0.0
    eff = np.array([s.eff for s in problem.storages])
    wear = wear_per_kwh(problem, scale) / eff[:, None]
    end = [END_SHARE * cheapest / s.eff if s.end_value_per_kwh is None else s.end_value_per_kwh for s in problem.storages]
    rent = rent_per_kwh(problem)
    held = 0.5 * (rent + np.concatenate((rent[:, 1:], np.zeros((len(eff), 1))), axis=1))
    held[:, -1] -= end
    return StorageCosts(
        drawn=weight * np.where(on_import, 0.0, price) * hours,
        given=weight * (wear - np.where(on_import, 0.0, price)) * hours,
        held=weight * held,
    )


def wear_per_kwh(problem: Problem, scale: float) -> FloatArray:
    """[storage × slot] what a kWh that leaves each costs it. ``scale``: the mean price."""
    wear = np.zeros((len(problem.storages), problem.n_slots))
    for row, one in zip(wear, problem.storages, strict=True):
        known = TYPICAL_WEAR * scale if one.life is None else one.life.wear_per_kwh
        row[:] = known if one.wear_per_kwh is None else one.wear_per_kwh
    return wear


def rent_per_kwh(problem: Problem) -> FloatArray:
    """[storage × slot] what holding a kWh for a slot costs each; 0 where nothing is known of its life."""
    rent = np.zeros((len(problem.storages), problem.n_slots))
    for row, one in zip(rent, problem.storages, strict=True):
        if one.life is not None:
            row[:] = one.life.rent_per_kwh_h * problem.hours
    return rent


def life_costs(problem: Problem, storage_kw: FloatArray, *, scale: float) -> FloatArray:
    """[storage] what ``storage_kw`` [storage × slot] costs the batteries, in currency: wear of what leaves them, and rent of what they
    hold more than at the start (less: it is saved). ``scale``: the mean price."""
    eff = np.array([s.eff for s in problem.storages])[:, None]
    out = np.maximum(-storage_kw, 0.0) / eff * problem.hours
    held = np.cumsum(np.maximum(storage_kw, 0.0) * eff * problem.hours - out, axis=1)
    before = np.concatenate((np.zeros((len(eff), 1)), held[:, :-1]), axis=1)
    costs: FloatArray = (out * wear_per_kwh(problem, scale) + rent_per_kwh(problem) * (held + before) / 2).sum(axis=1)
    return costs
