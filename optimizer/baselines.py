"""What a depot does without a plan: rules that see the present slot only, to be compared with.

Pure functions from a problem to powers [vehicle × slot]. They know who is plugged in, what each still needs and until
when it stays, and nothing that comes later. All but :func:`uncontrolled` keep the limits of the site, of feeders and caps.
Powers are continuous: none of them pauses below a minimum. Floors are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from optimizer.problem import EPS, FloatArray, Problem
from optimizer.stays import windows_of

Present = npt.NDArray[np.intp]


class _Room:
    """What is left in one slot, of the site and of each feeder and cap (:attr:`Problem.limit_rows`), in kW."""

    def __init__(self, problem: Problem, slot: int) -> None:
        self.site = max(float(problem.site_limit_kw[slot] - problem.background_kw[slot]), 0.0)
        self.rows = np.maximum(problem.limit_rows.limit_kw[:, slot], 0.0)


def uncontrolled(problem: Problem) -> FloatArray:
    """Everybody at full power from arrival on, whatever the limits say."""
    return _slot_by_slot(problem, lambda _present, wanted, _room, _slot, _left: wanted)


def equal_share(problem: Problem) -> FloatArray:
    """The same for everybody who can take it: what one cannot use is shared among the others (max-min fair)."""
    rows = problem.limit_rows

    def share(present: Present, wanted: FloatArray, room: _Room, _slot: int, _left: FloatArray) -> FloatArray:
        given = np.zeros(len(present))
        rising = wanted > EPS
        while rising.any() and room.site > EPS:
            grows = np.zeros(len(problem.vehicles))
            grows[present[rising]] = 1.0
            uses = np.bincount(rows.row, rows.weight * grows[rows.vehicle], minlength=len(room.rows))
            step = min(float((wanted - given)[rising].min()), room.site / rising.sum(), *(room.rows / np.maximum(uses, EPS))[uses > EPS])
            given[rising] += step
            room.site -= step * rising.sum()
            room.rows -= step * uses
            full = rows.vehicle[(rows.weight > 0) & (room.rows <= EPS)[rows.row]]
            rising &= (wanted - given > EPS) & ~np.isin(present, full)
        return given

    return _slot_by_slot(problem, share)


def earliest_departure(problem: Problem) -> FloatArray:
    """Whoever leaves first charges first, at full power as far as it fits."""
    departs = _departures(problem)
    return _in_order(problem, lambda present, slot, _left: departs[present, slot])


def least_laxity_first(problem: Problem) -> FloatArray:
    """Whoever has the least time to spare (time left minus charging time left at full power) charges first."""
    departs = _departures(problem)
    rating = np.array([v.p_max_kw for v in problem.vehicles])
    ends_h = np.concatenate((problem.starts_h, [problem.starts_h[-1] + problem.hours[-1]]))

    def laxity_h(present: Present, slot: int, left: FloatArray) -> FloatArray:
        laxity: FloatArray = ends_h[departs[present, slot]] - ends_h[slot] - left / np.maximum(rating[present], EPS)
        return laxity

    return _in_order(problem, laxity_h)


BASELINES: dict[str, Callable[[Problem], FloatArray]] = {
    "uncontrolled": uncontrolled,
    "equal_share": equal_share,
    "earliest_departure": earliest_departure,
    "least_laxity_first": least_laxity_first,
}
"""By the names that reports use."""


def _slot_by_slot(problem: Problem, share: Callable[[Present, FloatArray, _Room, int, FloatArray], FloatArray]) -> FloatArray:
    """``share(present, wanted_kw, room, slot, left_kwh)`` → kW of those present, slot after slot; ``left_kwh`` is grid side."""
    power = np.zeros_like(problem.upper_kw)
    eff = np.array([v.eff for v in problem.vehicles])
    takes = _most_kwh(problem) / eff[:, None]
    received = np.zeros(len(problem.vehicles))
    for slot, hours in enumerate(problem.hours):
        left = np.maximum(takes[:, slot] - received, 0.0)
        present = np.flatnonzero((problem.upper_kw[:, slot] > 0) & (left > EPS))
        wanted = np.minimum(problem.upper_kw[present, slot], left[present] / hours)
        power[present, slot] = share(present, wanted, _Room(problem, slot), slot, left[present])
        received += power[:, slot] * hours
    return power


def _departures(problem: Problem) -> Present:
    """[vehicle × slot] end of the visit in which a slot lies; of the last one elsewhere."""
    departs = np.zeros((len(problem.vehicles), problem.n_slots), dtype=np.intp)
    for row, vehicle in zip(departs, problem.vehicles, strict=True):
        row[:] = vehicle.last_slot
        for window in windows_of(vehicle):
            row[slice(*window)] = window[1]
    return departs


def _most_kwh(problem: Problem) -> FloatArray:
    """[vehicle × slot] battery energy up to which a vehicle charges until the end of a slot: its need, less where its battery takes
    no more before a trip."""
    most = np.repeat(np.array([v.energy_kwh for v in problem.vehicles])[:, None], problem.n_slots, axis=1)
    for row, vehicle in zip(most, problem.vehicles, strict=True):
        for milestone in vehicle.milestones:
            if milestone.at_most_kwh is not None:
                row[: milestone.by_slot] = np.minimum(row[: milestone.by_slot], milestone.at_most_kwh)
    return most


def _in_order(
    problem: Problem, key: Callable[[Present, int, FloatArray], npt.NDArray[np.floating] | npt.NDArray[np.integer]]
) -> FloatArray:
    """One after the other, least ``key(present, slot, left_kwh)`` first, each as much as it can take and as fits."""
    rows_of = problem.limit_rows.of_vehicles(len(problem.vehicles))

    def share(present: Present, wanted: FloatArray, room: _Room, slot: int, left: FloatArray) -> FloatArray:
        given = np.zeros(len(present))
        for n in np.argsort(key(present, slot, left), kind="stable"):
            its = rows_of[present[n]]
            fits = min(room.site, *(room.rows[row] / weight for row, weight in its if weight > 0), wanted[n])
            given[n] = max(fits, 0.0)
            room.site -= given[n]
            for row, weight in its:
                room.rows[row] -= weight * given[n]
        return given

    return _slot_by_slot(problem, share)
