"""The planning problem and its answer, as numbers.

Slots are half-open: slot k covers [t0 + k·slot, t0 + (k+1)·slot). Powers are grid-side means over a slot in kW,
``energy_kwh`` of a vehicle is what its battery must receive (grid energy = battery energy / ``eff``; discharging, grid
energy = battery energy · ``eff``). Background is what the site draws beside the vehicles, negative where the sun gives more.

Discharge pays for no charging under a limit: charging alone keeps the site's and the feeders' limits, and discharge alone
stays within the background and what may be exported (decision 14). It counts on the bill, and on the demand blocks' means.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from optimizer import caps as cp
from optimizer import charge_curve, heat, life, site_limits, stays
from optimizer import feeders as fd
from optimizer import storage as st
from optimizer.caps import Cap
from optimizer.charge_curve import ChargeCurve
from optimizer.errors import InvalidProblem
from optimizer.feeders import Feeder
from optimizer.heat import PackHeat
from optimizer.life import LifeCost
from optimizer.limit_rows import LimitRows, limit_rows
from optimizer.pieces import DemandPiece, checked
from optimizer.series import FloatArray, per_slot, positive
from optimizer.site_limits import NamedLimit
from optimizer.stays import Milestone, Need, Shortfall
from optimizer.storage import Storage
from optimizer.weights import Weights
from optimizer.windows import Windows, windows_of

__all__ = ["EPS", "Feeder", "FloatArray", "PlanResult", "PlanStatus", "Policy", "Problem", "Vehicle", "level_bounds_kwh"]

EPS = 1e-9

LEAST_BLOCK_SLOTS = 0.01

OF_LENDERS = ("discharge_upper_kw", "takes_part")
"""What a problem knows of itself that depends on who may give."""

GRAMS_PER_TONNE = 1e6


class Policy(StrEnum):
    """What a plan is good at, once everybody's energy is served as far as the limits allow."""

    CHEAPEST = "cheapest"
    READINESS = "readiness"
    BATTERY_LIFE = "battery-life"


class PlanStatus(StrEnum):
    """``unpolished``: optimal, but the time was over before what was left to do beside the optimum was
    done: bounds of batteries that taper, small powers of the first hour. ``learned``: no solver was there; by
    :mod:`optimizer.learned`, good and not optimal. ``rule``: there was no time either for what is good; least laxity first."""

    OPTIMAL = "optimal"
    UNPOLISHED = "unpolished"
    LEARNED = "learned"
    RULE = "rule"


@dataclass(frozen=True, eq=False, slots=True)
class Vehicle:
    """One vehicle: may draw in slots ``arrival_slot`` ≤ k < ``departure_slot``, and in further ``windows`` of that kind, in which it
    visits again (it gives in its first visit only). ``energy_kwh`` is what it shall have received by its last departure,
    ``milestones`` say what by when before that. ``need``: what its energy is for.

    ``p_min_kw``: below it a charger must pause. ``priority``: bigger is served first when not everything fits.
    ``floor_kw``: a session that has begun and cannot pause draws at least this in its cells of the next hour, as far as
    its need and caps allow. ``cap_kw``: upper bound of the mean power per slot of the horizon, where it is tighter
    than ``p_max_kw`` (taper, a slot in which the vehicle is present only in part).
    ``holding_per_kwh_h``: what it costs the battery to hold one kWh for an hour longer (calendar ageing, currency);
    None: a typical share of the energy price.
    ``delay_per_kwh_h``: what it is worth to have a kWh an hour earlier (currency): departures are safer, and sessions
    that run stay on. Above 0 it takes the place of the holding cost when a plan shall be cheapest; keep it small.
    ``steady_per_kwh``: what a kWh is worth more in the coming half hour, because a session that runs would otherwise be
    stopped and begun again (currency); keep it small.
    ``urgency`` 0–1: inside of its class of priority, how much rather it is served than others when not everything fits.
    ``discharge_kw``: most that it may give, 0: none; ``discharge_cap_kw``: per slot, where that is less. For a vehicle that
    gives, ``stored_kwh`` is what its battery holds at its arrival (or now), ``capacity_kwh`` the most and ``reserve_kwh`` the
    least that it may hold; ``wear_per_kwh``: what a kWh that leaves the battery costs it (cycle ageing, currency); None: a
    typical share of the energy price. ``pausable`` False: its session does not survive 0 W, so that it is begun late and then
    stays at ``floor_kw``, or ``p_min_kw`` where it has not begun, until it has what it needs.
    ``life``: what the battery's life costs, where that is known: it takes the place of ``holding_per_kwh_h``, and of an unset
    ``wear_per_kwh``. ``curve``: what the battery accepts by its state of charge; what is planned stays below it.
    ``heat``: how warm charging makes it, where it must not become too hot.
    """

    id: str
    arrival_slot: int
    departure_slot: int
    energy_kwh: float
    p_max_kw: float
    eff: float = 1.0
    p_min_kw: float = 0.0
    feeder: int | None = None
    priority: int = 0
    floor_kw: float = 0.0
    cap_kw: FloatArray | None = None
    holding_per_kwh_h: float | None = None
    delay_per_kwh_h: float = 0.0
    steady_per_kwh: float = 0.0
    urgency: float = 0.0
    discharge_kw: float = 0.0
    discharge_cap_kw: FloatArray | None = None
    stored_kwh: float = 0.0
    capacity_kwh: float = 0.0
    reserve_kwh: float = 0.0
    wear_per_kwh: float | None = None
    pausable: bool = True
    windows: tuple[tuple[int, int], ...] = ()
    milestones: tuple[Milestone, ...] = ()
    need: Need = Need.READINESS
    life: LifeCost | None = None
    curve: ChargeCurve | None = None
    heat: PackHeat | None = None

    @property
    def last_slot(self) -> int:
        """End of its last visit."""
        return self.windows[-1][1] if self.windows else self.departure_slot


@dataclass(frozen=True, eq=False)
class Problem:
    """One planning horizon of one depot; raises :class:`InvalidProblem` when built from numbers that cannot be.

    ``first_slot_fraction``: the part of slot 0 that is still ahead. ``mtd_peak_kw``: peaks up to here cost nothing
    more (this month's recorded peak, or its target). ``demand_interval_slots``: slots per demand block, also a part of one or
    one and a half; the peak is that of block means. ``demand_offset_slots``: how much of the first block lies before slot 0, in
    slots (:func:`optimizer.windows.clock_blocks` finds both).
    ``demand_charge_per_kw``: this horizon's share, on the peak above what is free. ``export_limit_kw``: what may flow to the
    grid, for ``export_price_per_kwh`` (counted at most as high as the price of import). ``storages``: stationary batteries.
    ``demand_pieces``: demand charges that a rate above what is free does not say, in addition to it. ``caps``: limits on weighted
    sums of powers. ``limit_sources``: what ``site_limit_kw`` is the least of, for whoever explains a plan.
    ``share_shortage``: where not everything fits, those of one class are left short in like parts of their needs.
    ``co2_g_per_kwh``: carbon of a kWh from the grid; at ``co2_price_per_tonne`` it weighs beside the bill, and stands on none.
    Arrays have one number per slot; plain numbers and sequences are accepted and spread.
    """

    t0: datetime
    n_slots: int
    slot_minutes: float
    price_per_kwh: FloatArray
    site_limit_kw: FloatArray
    background_kw: FloatArray
    vehicles: tuple[Vehicle, ...]
    feeders: tuple[Feeder, ...] = ()
    first_slot_fraction: float = 1.0
    demand_charge_per_kw: float = 0.0
    mtd_peak_kw: float = 0.0
    demand_interval_slots: float = 1
    demand_offset_slots: float = 0
    export_limit_kw: FloatArray = field(default_factory=lambda: np.zeros(()))
    export_price_per_kwh: FloatArray = field(default_factory=lambda: np.zeros(()))
    currency: str = "USD"
    id: str = ""
    storages: tuple[Storage, ...] = ()
    demand_pieces: tuple[DemandPiece, ...] = ()
    caps: tuple[Cap, ...] = ()
    limit_sources: tuple[NamedLimit, ...] = ()
    share_shortage: bool = False
    co2_g_per_kwh: FloatArray = field(default_factory=lambda: np.zeros(()))
    co2_price_per_tonne: float = 0.0

    def __post_init__(self) -> None:
        if self.n_slots < 1 or not 0 < self.slot_minutes <= 24 * 60:
            raise InvalidProblem(f"{self.n_slots} slots of {self.slot_minutes} min: there must be at least one, each at most a day long")
        if not 0 < self.first_slot_fraction <= 1:
            raise InvalidProblem(f"first_slot_fraction {self.first_slot_fraction} is not in (0, 1]")
        for name in ("price_per_kwh", "site_limit_kw", "background_kw", "export_limit_kw", "export_price_per_kwh", "co2_g_per_kwh"):
            object.__setattr__(self, name, per_slot(name, getattr(self, name), self.n_slots))
        for name in ("site_limit_kw", "export_limit_kw", "export_price_per_kwh", "co2_g_per_kwh"):
            if getattr(self, name).min() < 0:
                raise InvalidProblem(f"{name} is negative; 0 is the least")
        for name in ("demand_charge_per_kw", "mtd_peak_kw", "co2_price_per_tonne"):
            positive(name, getattr(self, name))
        interval, offset = self.demand_interval_slots, self.demand_offset_slots
        if not (LEAST_BLOCK_SLOTS <= interval < np.inf and 0 <= offset < interval):
            raise InvalidProblem(
                f"demand block of {interval:g} slots, {offset:g} of them past: at least {LEAST_BLOCK_SLOTS:g} of a slot, "
                "and less past than it has"
            )
        object.__setattr__(self, "demand_pieces", checked(self.demand_pieces, self.n_slots))
        object.__setattr__(self, "feeders", fd.checked(self.feeders, self.n_slots))
        object.__setattr__(self, "limit_sources", site_limits.checked(self.limit_sources, self.n_slots))
        storages = st.checked(tuple(self.storages), n_feeders=len(self.feeders), n_slots=self.n_slots)
        object.__setattr__(self, "storages", storages)
        object.__setattr__(self, "vehicles", tuple(_with_checked_parts(vehicle, self.n_slots) for vehicle in self.vehicles))
        seen: set[str] = set()
        for vehicle in self.vehicles:
            self._check(vehicle)
            if vehicle.id in seen:
                raise InvalidProblem(f"vehicle {vehicle.id} stands twice in the problem; give every stay an id of its own")
            seen.add(vehicle.id)
        caps = cp.checked(self.caps, n_vehicles=len(self.vehicles), n_storages=len(self.storages), n_slots=self.n_slots)
        object.__setattr__(self, "caps", caps)

    def _check(self, vehicle: Vehicle) -> None:
        who = f"vehicle {vehicle.id}"
        if not 0 <= vehicle.arrival_slot <= vehicle.departure_slot <= self.n_slots:
            raise InvalidProblem(
                f"{who}: arrival_slot {vehicle.arrival_slot}, departure_slot {vehicle.departure_slot}: "
                f"0 ≤ arrival ≤ departure ≤ {self.n_slots} must hold"
            )
        stays.check(vehicle, self.n_slots)
        for name in ("energy_kwh", "p_max_kw", "p_min_kw", "floor_kw", "delay_per_kwh_h", "steady_per_kwh", "discharge_kw"):
            positive(f"{who}: {name}", getattr(vehicle, name))
        for name in ("holding_per_kwh_h", "wear_per_kwh"):
            if getattr(vehicle, name) is not None:
                positive(f"{who}: {name}", getattr(vehicle, name))
        if vehicle.discharge_kw:
            self._check_battery(vehicle, who)
        if not 0 <= vehicle.urgency <= 1:
            raise InvalidProblem(f"{who}: urgency {vehicle.urgency} is not in [0, 1]")
        if not 0 < vehicle.eff <= 1:
            raise InvalidProblem(f"{who}: eff {vehicle.eff} is not in (0, 1]")
        if vehicle.feeder is not None and not 0 <= vehicle.feeder < len(self.feeders):
            raise InvalidProblem(f"{who}: feeder {vehicle.feeder}, but there are {len(self.feeders)} feeders (counted from 0)")
        for name in ("cap_kw", "discharge_cap_kw"):
            cap = getattr(vehicle, name)
            if cap is not None and per_slot(f"{who}: {name}", cap, self.n_slots).min() < 0:
                raise InvalidProblem(f"{who}: {name} is negative; 0 is the least")

    def _check_battery(self, vehicle: Vehicle, who: str) -> None:
        for name in ("stored_kwh", "capacity_kwh", "reserve_kwh"):
            positive(f"{who}: {name}", getattr(vehicle, name))
        if not max(vehicle.stored_kwh, vehicle.reserve_kwh) <= vehicle.capacity_kwh * (1 + EPS):
            raise InvalidProblem(
                f"{who}: stored_kwh {vehicle.stored_kwh:g} and reserve_kwh {vehicle.reserve_kwh:g} must be within its "
                f"capacity_kwh {vehicle.capacity_kwh:g}"
            )

    @property
    def slot_h(self) -> float:
        """A whole slot, in hours."""
        return self.slot_minutes / 60

    @cached_property
    def hours(self) -> FloatArray:
        """[slot] how much of it is ahead, in hours."""
        hours = np.full(self.n_slots, self.slot_h)
        hours[0] *= self.first_slot_fraction
        return hours

    @cached_property
    def weight_per_kwh(self) -> FloatArray:
        """[slot] what a kWh from the grid weighs in a plan: its price, and its carbon where that has one."""
        weight: FloatArray = self.price_per_kwh + self.co2_g_per_kwh * self.co2_price_per_tonne / GRAMS_PER_TONNE
        return weight

    @cached_property
    def starts_h(self) -> FloatArray:
        """[slot] its beginning, in hours from now."""
        return np.concatenate(([0.0], np.cumsum(self.hours)[:-1]))

    @cached_property
    def upper_kw(self) -> FloatArray:
        """[vehicle × slot] most mean power: rating and caps inside of the window, 0 outside."""
        upper = np.zeros((len(self.vehicles), self.n_slots))
        for row, vehicle in zip(upper, self.vehicles, strict=True):
            for window in (slice(*edges) for edges in stays.windows_of(vehicle)):
                row[window] = vehicle.p_max_kw
                if vehicle.cap_kw is not None:
                    row[window] = np.minimum(row[window], per_slot("cap_kw", vehicle.cap_kw, self.n_slots)[window])
        return upper

    @cached_property
    def discharge_room_kw(self) -> FloatArray:
        """[slot] what the vehicles may give together: what the background takes, and what may be exported."""
        room: FloatArray = np.maximum(self.background_kw + self.export_limit_kw, 0.0)
        return room

    @cached_property
    def discharge_upper_kw(self) -> FloatArray:
        """[vehicle × slot] most mean power that it gives: where it may draw as well, energy has a price, and there is room."""
        upper = np.zeros((len(self.vehicles), self.n_slots))
        useful = (self.weight_per_kwh > 0) & (self.discharge_room_kw > 0)
        for i, vehicle in enumerate(self.vehicles):
            if not vehicle.discharge_kw:
                continue
            cap = np.full(self.n_slots, vehicle.discharge_kw)
            if vehicle.discharge_cap_kw is not None:
                cap = np.minimum(cap, per_slot("discharge_cap_kw", vehicle.discharge_cap_kw, self.n_slots))
            upper[i] = np.where(useful & (self.upper_kw[i] > 0) & (self.lower_kw[i] == 0), cap, 0.0)
            upper[i, vehicle.departure_slot :] = 0.0
        return upper

    def with_lenders(self, lenders: Collection[int] = ()) -> Problem:
        """The same depot, in which these vehicles (by their places) may give, and all others only charge. What is known of it already
        stays known, and nothing is checked again: there is only less of it."""
        only = set(range(len(self.vehicles))) - set(lenders)
        fewer = copy(self)
        vehicles = (replace(v, discharge_kw=0.0) if v.discharge_kw and i in only else v for i, v in enumerate(self.vehicles))
        object.__setattr__(fewer, "vehicles", tuple(vehicles))
        for name in OF_LENDERS:
            fewer.__dict__.pop(name, None)
        return fewer

    @cached_property
    def lower_kw(self) -> FloatArray:
        """[vehicle × slot] least mean power: floors of sessions that cannot pause, for an hour, never beyond their need."""
        lower = np.zeros((len(self.vehicles), self.n_slots))
        soon = np.flatnonzero(self.starts_h < 1 - EPS)
        for i, vehicle in enumerate(self.vehicles):
            left_kwh = vehicle.energy_kwh
            for k in soon[(soon >= vehicle.arrival_slot) & (soon < vehicle.departure_slot)] if vehicle.floor_kw else ():
                level = min(vehicle.floor_kw, self.upper_kw[i, k])
                left_kwh -= level * self.hours[k] * vehicle.eff
                if left_kwh < -EPS:
                    break
                lower[i, k] = level
        return lower

    @cached_property
    def feeder_limit_kw(self) -> FloatArray:
        """[feeder × slot] the feeders' limits."""
        return np.array([feeder.limit_kw for feeder in self.feeders], dtype=np.float64).reshape(len(self.feeders), self.n_slots)

    @cached_property
    def room_kw(self) -> FloatArray:
        """[slot] what the vehicles may draw together under the site limit; at least what their floors demand."""
        room: FloatArray = np.maximum(np.maximum(self.site_limit_kw - self.background_kw, 0.0), self.lower_kw.sum(axis=0))
        return room

    @cached_property
    def feeder_paths(self) -> fd.Paths:
        """Of each feeder: its place and those of all above it."""
        return fd.paths(self.feeders)

    @cached_property
    def limit_rows(self) -> LimitRows:
        """Feeders and caps, as limits on weighted sums of powers."""
        return limit_rows(self)

    @cached_property
    def feeder_room_kw(self) -> FloatArray:
        """[feeder × slot] what may be drawn under the feeders' limits; at least what floors demand."""
        return self.limit_rows.room_kw[: len(self.feeders)]

    @cached_property
    def limit_source(self) -> tuple[str, ...]:
        """[slot] who sets the site's limit, of ``limit_sources``; empty where none of them does."""
        return site_limits.sources(self.limit_sources, self.site_limit_kw)

    @cached_property
    def over_limit_kw(self) -> FloatArray:
        """[slot] by how much background and floors alone exceed the site limit: no plan can do anything about it."""
        over: FloatArray = np.maximum(self.background_kw + self.lower_kw.sum(axis=0) - self.site_limit_kw, 0.0)
        return over

    @cached_property
    def windows(self) -> Windows:
        """The demand blocks, as parts of slots."""
        return windows_of(self.hours, slot_h=self.slot_h, interval_slots=self.demand_interval_slots, offset_slots=self.demand_offset_slots)

    @cached_property
    def blocks(self) -> npt.NDArray[np.intp]:
        """[slot] index of the demand block that it begins in."""
        windows = self.windows
        return windows.block[np.searchsorted(windows.slot, np.arange(self.n_slots))]

    @cached_property
    def has_target(self) -> npt.NDArray[np.bool_]:
        """[vehicle] whether it needs energy, at the end or for a milestone."""
        return np.array([v.energy_kwh > 0 or stays.extra_kwh(v) > 0 for v in self.vehicles], dtype=bool)

    @cached_property
    def takes_part(self) -> npt.NDArray[np.bool_]:
        """[vehicle] whether there is something to plan for it: energy that it needs, or that it may lend."""
        return self.has_target | self.discharge_upper_kw.any(axis=1)

    def feeder_sums(self, power_kw: FloatArray) -> FloatArray:
        """[feeder × slot] what the vehicles on each feeder, and below it, draw together."""
        return fd.sums(self.feeders, self.feeder_paths, places=[v.feeder for v in self.vehicles], power_kw=power_kw)

    def block_means(self, site_kw: FloatArray) -> FloatArray:
        """[block] mean of a power per slot over each demand block, as far as the block lies in the horizon."""
        return self.windows.means(site_kw)

    @cached_property
    def free_peak_kw(self) -> float:
        """Peaks up to here cost nothing more: recorded, or made by the background alone, where no battery could shave that."""
        shaves = any(storage.discharge_kw for storage in self.storages)
        alone_kw = 0.0 if shaves else float(self.block_means(self.background_kw).max())
        return max(alone_kw, self.mtd_peak_kw, 0.0)


@dataclass(frozen=True, eq=False, slots=True)
class PlanResult:
    """Advice: what every vehicle and battery should draw, and what that costs.

    ``power_kw`` [vehicle × slot] and ``storage_kw`` [storage × slot] (negative: it gives), ``site_kw`` [slot, with background] are
    grid-side slot means. ``energy_cost`` and ``demand_cost`` are what vehicles and batteries add to the bill. ``unmet_kwh``
    [vehicle] is battery energy that does not fit, ``short`` each need and milestone that it leaves short. ``over_limit_kw``
    [slot]: background and floors alone exceed the site limit by this. ``co2_kg``: carbon of what vehicles and batteries import, where the
    problem says how much a kWh has.
    """

    power_kw: FloatArray
    site_kw: FloatArray
    unmet_kwh: FloatArray
    over_limit_kw: FloatArray
    energy_cost: float
    demand_cost: float
    peak_kw: float
    status: PlanStatus
    policy: Policy | Weights
    build_s: float = 0.0
    compile_s: float = 0.0
    pass_s: float = 0.0
    solve_s: float = 0.0
    storage_kw: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    short: tuple[Shortfall, ...] = ()
    co2_kg: float = 0.0

    @property
    def cost(self) -> float:
        """Energy and demand together."""
        return self.energy_cost + self.demand_cost

    @property
    def total_s(self) -> float:
        """Building, compiling, passing and solving."""
        return self.build_s + self.compile_s + self.pass_s + self.solve_s


def level_bounds_kwh(vehicle: Vehicle) -> tuple[float, float]:
    """How far its battery may go down and up in its first visit from what it holds at its arrival. It need not be at its reserve
    already."""
    needed_kwh = stays.most_asked_kwh(vehicle, by_slot=vehicle.departure_slot)
    full_kwh = (m.at_most_kwh for m in vehicle.milestones if m.at_most_kwh is not None and m.by_slot == vehicle.departure_slot)
    most_kwh = vehicle.energy_kwh if vehicle.floor_kw else min(full_kwh, default=vehicle.energy_kwh)
    needed_kwh = max(needed_kwh, min(vehicle.energy_kwh, most_kwh))
    up_kwh = max(vehicle.capacity_kwh - vehicle.stored_kwh, needed_kwh)  # a need is served whatever was said of the battery
    return min(0.0, vehicle.reserve_kwh - vehicle.stored_kwh), up_kwh


def _with_checked_parts(vehicle: Vehicle, n_slots: int) -> Vehicle:
    who = f"vehicle {vehicle.id}"
    if vehicle.life is not None:
        vehicle = replace(vehicle, life=life.checked(who, vehicle.life, n_slots))
    if vehicle.heat is not None:
        vehicle = replace(vehicle, heat=heat.checked(who, vehicle.heat, n_slots))
    return vehicle if vehicle.curve is None else replace(vehicle, curve=charge_curve.checked(who, vehicle.curve))
