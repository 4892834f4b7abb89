"""Stays and what they need: milestones of received energy, several visits, and how a shortage is shared.

A milestone says how much energy a vehicle's battery has received by the beginning of a slot, since now, over all of its
visits: at least so much (soft, with a penalty that depends on what it is for), at most so much (what the battery holds).

Columns  short[m] kWh below a milestone; extra[i] kWh above the vehicle's need, where a milestone asks for more than that;
         share[i,s] kWh that are short in the dearer segment s                 (only where a shortage shall be shared)
Rows     least   Σ_{k<by} (eff_i·h_k·p[i,k] − h_k/eff_i·g[i,k]) + short[m] ≥ at least
         most    the same sum ≤ at most                                        (written only where it can bind)
         share   unmet[i] − Σ_s share[i,s] ≤ the first segment's part of the need
and in the rows of :mod:`optimizer.model`  energy  … + unmet[i] − extra[i] = need_i

Nothing here can make a problem infeasible: ``at most`` gives way to the floors of sessions that cannot pause, ``at least``
to everything. :mod:`optimizer.stays_model` and :mod:`optimizer.stays_arrays` write the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem

if TYPE_CHECKING:
    from optimizer.problem import FloatArray, Problem, Vehicle

TOLERANCE_KWH = 1e-6
"""Less than this is the solver's rounding, and no shortage."""

SHARE_EDGES = (0.05, 0.15, 0.3, 0.5, 0.75)
"""Parts of a need at which a kWh that is short becomes dearer, where a shortage shall be shared: of those of one class who
compete for the same energy nobody is short by more than 5 % before all of them are, and so on; the last 25 % are the dearest."""

MOST_MILESTONES = 64
"""Of one vehicle: more parts of a slot have no key (:mod:`optimizer.keys`)."""


class Need(StrEnum):
    """What energy is for: who goes short first. Safety before the departures of everybody, comfort after them."""

    SAFETY = "safety"
    READINESS = "readiness"
    COMFORT = "comfort"


@dataclass(frozen=True, slots=True)
class Milestone:
    """By the beginning of slot ``by_slot`` the battery has received ``at_least_kwh`` (soft) and ``at_most_kwh``, counted from now over
    all visits, discharge taken off (so that 0 at least is a wish where a vehicle may give); None: any. ``label`` says in a word
    what for."""

    by_slot: int
    at_least_kwh: float | None = None
    at_most_kwh: float | None = None
    need: Need = Need.READINESS
    label: str = ""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A need that a plan leaves short by ``kwh`` (battery side). ``visit``: 0 for the first; ``milestone``: its place in the
    vehicle's milestones, None: the whole need, by the last departure; ``by_slot``: when it would have been due."""

    vehicle: str
    kwh: float
    visit: int
    milestone: int | None
    by_slot: int
    need: Need
    label: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class StayCosts:
    """Per kWh short of a milestone [mark, in the order of :func:`marks`]; per kWh short in each dearer segment [vehicle × segment],
    None: a shortage is not shared. Currency."""

    short: FloatArray
    share: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A milestone of the vehicle with this place; ``part``: how many of its milestones before are for the same slot."""

    vehicle: int
    part: int
    milestone: Milestone

    @property
    def places(self) -> tuple[int, int, int]:
        """Of its columns and rows (:mod:`optimizer.keys`)."""
        return self.vehicle, self.milestone.by_slot, self.part


def check(vehicle: Vehicle, n_slots: int) -> None:
    """Raise :class:`InvalidProblem` for visits or milestones that cannot be."""
    who = f"vehicle {vehicle.id}"
    before = vehicle.departure_slot
    for visit, window in enumerate(vehicle.windows, start=1):
        if len(window) != 2 or not before <= window[0] <= window[1] <= n_slots:
            raise InvalidProblem(
                f"{who}: visit {visit} has the slots {tuple(window)}: it begins when the one before has ended ({before}) at the earliest, "
                f"and must end by slot {n_slots}"
            )
        before = window[1]
    if len(vehicle.milestones) > MOST_MILESTONES:
        raise InvalidProblem(f"{who}: {len(vehicle.milestones)} milestones; at most {MOST_MILESTONES} are possible")
    for number, milestone in enumerate(vehicle.milestones):
        where = f"{who}: milestones[{number}]"
        if not 0 <= milestone.by_slot <= n_slots:
            raise InvalidProblem(f"{where}: by_slot {milestone.by_slot} is not in 0 … {n_slots}")
        for name, kwh in (("at_least_kwh", milestone.at_least_kwh), ("at_most_kwh", milestone.at_most_kwh)):
            if kwh is not None and not (np.isfinite(kwh) and kwh >= 0):
                raise InvalidProblem(f"{where}: {name} is {kwh}; a finite number of at least 0 is expected")


def marks(problem: Problem) -> list[Mark]:
    """All milestones, by vehicle and in its order: as both writers and the costs count them."""
    found: list[Mark] = []
    for i, vehicle in enumerate(problem.vehicles):
        for n, milestone in enumerate(vehicle.milestones):
            found.append(Mark(i, sum(m.by_slot == milestone.by_slot for m in vehicle.milestones[:n]), milestone))
    return found


def least_marks(problem: Problem, usable: npt.NDArray[np.bool_], lends: npt.NDArray[np.integer]) -> Iterator[tuple[int, Mark, float]]:
    """(place in :func:`marks`, mark, kWh) of those that ask for energy and have a cell to get it in. ``usable`` [vehicle × slot]: the
    cells; ``lends``: places of the vehicles that may give."""
    first_cell = np.where(usable.any(axis=1), usable.argmax(axis=1), problem.n_slots + 1)
    for place, mark in enumerate(marks(problem)):
        least = mark.milestone.at_least_kwh
        if least is not None and (least > 0 or mark.vehicle in lends) and first_cell[mark.vehicle] < mark.milestone.by_slot:
            yield place, mark, least


def most_marks(problem: Problem, usable: npt.NDArray[np.bool_]) -> Iterator[tuple[Mark, float]]:
    """(mark, kWh) of those whose upper bound can bind, with the bound: at least what the floors put in."""
    for mark in marks(problem):
        vehicle, milestone = problem.vehicles[mark.vehicle], mark.milestone
        if milestone.at_most_kwh is None:
            continue
        until = slice(0, milestone.by_slot)
        factors = vehicle.eff * problem.hours[until]
        most = float(np.where(usable[mark.vehicle, until], problem.upper_kw[mark.vehicle, until], 0.0) @ factors)
        if most > milestone.at_most_kwh + TOLERANCE_KWH:
            yield mark, max(milestone.at_most_kwh, float(problem.lower_kw[mark.vehicle, until] @ factors))


def extra_kwh(vehicle: Vehicle) -> float:
    """What its milestones ask for beyond its need."""
    return most_asked_kwh(vehicle) - vehicle.energy_kwh


def most_asked_kwh(vehicle: Vehicle, by_slot: int | None = None) -> float:
    """The most that one of its milestones (until ``by_slot``) asks for."""
    asked = (m.at_least_kwh for m in vehicle.milestones if by_slot is None or m.by_slot <= by_slot)
    return max((kwh for kwh in asked if kwh is not None), default=0.0)


def share_bounds_kwh(vehicle: Vehicle) -> tuple[float, list[float]]:
    """kWh in the first segment of what may be short, and widths of the dearer ones; the last has no end."""
    edges = [edge * vehicle.energy_kwh for edge in SHARE_EDGES]
    return edges[0], [*np.diff(edges).tolist(), np.inf]


def shortfalls(problem: Problem, power_kw: FloatArray) -> tuple[Shortfall, ...]:
    """Every need that ``power_kw`` [vehicle × slot] leaves short, by vehicle; of one vehicle in the order of time."""
    found: list[Shortfall] = []
    eff = np.array([v.eff for v in problem.vehicles])[:, None]
    gained = np.where(power_kw > 0, power_kw * eff, power_kw / eff) * problem.hours if len(problem.vehicles) else power_kw
    received = np.concatenate((np.zeros((len(gained), 1)), np.cumsum(gained, axis=1)), axis=1)
    whole = np.array([v.energy_kwh for v in problem.vehicles]) - received[:, -1]
    interesting = (whole > TOLERANCE_KWH) | np.array([bool(v.milestones) for v in problem.vehicles], dtype=bool)
    for i in np.flatnonzero(interesting):
        vehicle = problem.vehicles[i]
        its = []
        for n, milestone in enumerate(vehicle.milestones):
            if milestone.at_least_kwh is None:
                continue
            missing = milestone.at_least_kwh - float(received[i, milestone.by_slot])
            if missing > TOLERANCE_KWH:
                visit = visit_at(vehicle, milestone.by_slot)
                its.append(Shortfall(vehicle.id, missing, visit, n, milestone.by_slot, milestone.need, milestone.label))
        if whole[i] > TOLERANCE_KWH:
            last = len(vehicle.windows)
            its.append(Shortfall(vehicle.id, float(whole[i]), last, None, vehicle.last_slot, vehicle.need))
        found += sorted(its, key=lambda short: short.by_slot)
    return tuple(found)


def visit_at(vehicle: Vehicle, slot: int) -> int:
    """Which visit a milestone at the beginning of ``slot`` belongs to: the last one that has begun before it."""
    return sum(window[0] < slot for window in vehicle.windows)


def windows_of(vehicle: Vehicle) -> Sequence[tuple[int, int]]:
    """All of its visits, the first among them."""
    return ((vehicle.arrival_slot, vehicle.departure_slot), *vehicle.windows)
