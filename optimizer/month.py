"""The month's peak: how high it shall be, chosen before the month has shown it.

    nights of earlier months --typical()--> a few, set end to end as one problem --plan()--> its peak is the target
    each night: with_target() --> the peak is free up to the target, or to what the month has had already

A demand charge is paid for the month's one highest block. Planned night by night at the whole rate, every night fights for a peak
that others make anyway; at a night's share of it, none does. With a target each night uses what the month pays for, and not more.
The problem of several nights is an ordinary one: their slots one after the other, a vehicle only in its own night, and one peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.pieces import DemandPiece
from optimizer.problem import Feeder, FloatArray, Policy, Problem, Vehicle

MOST_NIGHTS = 21
MOST_CELLS = 4_000_000
"""Vehicles × slots that a problem of several nights may have: what the planner's child holds in memory at once."""

DEADLINE_S = 60.0


@dataclass(frozen=True, eq=False, slots=True)
class MonthTarget:
    """``peak_kw``: the highest demand block that the month should have. ``cost``: of such a month's charging, with its demand charge;
    ``energy_cost``: that without it. ``nights``: how many it was found from."""

    peak_kw: float
    cost: float
    energy_cost: float
    nights: int


def peak_target(
    nights: Sequence[Problem], *, nights_ahead: int, most_nights: int = MOST_NIGHTS, deadline_s: float = DEADLINE_S
) -> MonthTarget:
    """The peak of the cheapest month of ``nights_ahead`` nights like ``nights``, whose demand charges are those of a whole month; up to
    their ``mtd_peak_kw`` a peak is free. Raises :class:`InvalidProblem` without nights, or where they do not fit together;
    :class:`SolverFailed` where there is no answer in time."""
    if nights_ahead < 1:
        raise InvalidProblem(f"a month's target for {nights_ahead} nights; at least one is needed")
    chosen = typical(nights, most=fitting(nights, most=most_nights))
    from optimizer.planning import plan  # the controller's core sets nights end to end, but loads no solver

    month = end_to_end(chosen, weight=nights_ahead / len(chosen))
    found = plan(month, policy=Policy.CHEAPEST, deadline_s=deadline_s, direct=True)
    return MonthTarget(max(found.peak_kw, month.mtd_peak_kw), found.cost, found.energy_cost, len(chosen))


def with_target(night: Problem, target_kw: float) -> Problem:
    """The night, whose peak is free up to ``target_kw`` or what is free already. Pieces that a target does not move (those above the
    contract) are the caller's to leave alone: all of them are moved here."""
    pieces = tuple(replace(piece, free_kw=max(piece.free_kw, target_kw)) for piece in night.demand_pieces)
    return replace(night, mtd_peak_kw=max(night.mtd_peak_kw, target_kw), demand_pieces=pieces)


def typical(nights: Sequence[Problem], *, most: int) -> tuple[Problem, ...]:
    """At most ``most`` of them, spread evenly over how much energy they need: each stands for as many others."""
    if not nights:
        raise InvalidProblem("no night is known; a target needs at least one")
    order = np.argsort([sum(v.energy_kwh / v.eff for v in night.vehicles) for night in nights], kind="stable")
    count = max(1, min(most, len(nights)))
    places = ((np.arange(count) + 0.5) * len(nights) / count).astype(int)
    return tuple(nights[k] for k in sorted(order[places].tolist()))


def end_to_end(nights: Sequence[Problem], *, weight: float = 1.0) -> Problem:
    """One problem of all ``nights``: energy at ``weight`` times its price, because each night stands for so many, and one peak.

    Their slots, demand blocks, feeders and demand charges must be alike. Stationary batteries go through from the first night on.
    What orders vehicles inside of a night (delay, steadiness, floors) and the batteries' life play no part.
    Raises :class:`InvalidProblem`."""
    first = nights[0]
    offset = 0
    vehicles: list[Vehicle] = []
    total = sum(night.n_slots for night in nights)
    for n, night in enumerate(nights):
        _same(first, night, n)
        vehicles += [_placed(v, f"{n}/{v.id}", offset, night.n_slots, total, weight) for v in night.vehicles]
        offset += night.n_slots

    def joined(name: str) -> FloatArray:
        return np.concatenate([getattr(night, name) for night in nights])

    return Problem(
        id="month",
        t0=first.t0,
        n_slots=total,
        slot_minutes=first.slot_minutes,
        price_per_kwh=weight * joined("price_per_kwh"),
        site_limit_kw=joined("site_limit_kw"),
        background_kw=joined("background_kw"),
        vehicles=tuple(vehicles),
        feeders=tuple(
            Feeder(feeder.id, np.concatenate([night.feeder_limit_kw[f] for night in nights])) for f, feeder in enumerate(first.feeders)
        ),
        demand_charge_per_kw=first.demand_charge_per_kw,
        mtd_peak_kw=max(night.mtd_peak_kw for night in nights),
        demand_interval_slots=first.demand_interval_slots,
        demand_offset_slots=first.demand_offset_slots,
        export_limit_kw=joined("export_limit_kw"),
        export_price_per_kwh=weight * joined("export_price_per_kwh"),
        currency=first.currency,
        co2_g_per_kwh=weight * joined("co2_g_per_kwh"),
        co2_price_per_tonne=first.co2_price_per_tonne,
        storages=first.storages,
        demand_pieces=tuple(
            DemandPiece(piece.group, piece.per_kw, piece.free_kw, np.concatenate([night.demand_pieces[p].counts for night in nights]))
            for p, piece in enumerate(first.demand_pieces)
        ),
    )


def _placed(vehicle: Vehicle, name: str, offset: int, slots: int, total: int, weight: float) -> Vehicle:
    """The vehicle in its night."""

    def moved(cap: FloatArray | None) -> FloatArray | None:
        if cap is None:
            return None
        out = np.zeros(total)
        out[offset : offset + slots] = cap
        return out

    return replace(
        vehicle,
        id=name,
        arrival_slot=vehicle.arrival_slot + offset,
        departure_slot=vehicle.departure_slot + offset,
        cap_kw=moved(vehicle.cap_kw),
        discharge_cap_kw=moved(vehicle.discharge_cap_kw),
        holding_per_kwh_h=None if vehicle.holding_per_kwh_h is None else weight * vehicle.holding_per_kwh_h,
        wear_per_kwh=None if vehicle.wear_per_kwh is None else weight * vehicle.wear_per_kwh,
        windows=tuple((a + offset, b + offset) for a, b in vehicle.windows),
        milestones=tuple(replace(milestone, by_slot=milestone.by_slot + offset) for milestone in vehicle.milestones),
        life=None,
        delay_per_kwh_h=0.0,
        steady_per_kwh=0.0,
        floor_kw=0.0,
    )


def _same(first: Problem, night: Problem, n: int) -> None:
    blocks = (night.n_slots + night.demand_offset_slots) / night.demand_interval_slots
    alike = {
        "slots of the same length": night.slot_minutes == first.slot_minutes,
        "whole slots": night.first_slot_fraction == 1.0,
        "the same feeders": [f.id for f in night.feeders] == [f.id for f in first.feeders],
        "the same demand charge": night.demand_charge_per_kw == first.demand_charge_per_kw,
        "the same demand pieces": _rates(night) == _rates(first),
        "whole demand blocks": night.demand_offset_slots == 0
        and night.demand_interval_slots == first.demand_interval_slots
        and abs(blocks - round(blocks)) < 1e-9,
    }
    for what, holds in alike.items():
        if not holds:
            raise InvalidProblem(f"night {n} of a month has not {what}")


def _rates(night: Problem) -> list[tuple[str, float, float]]:
    return [(piece.group, piece.per_kw, piece.free_kw) for piece in night.demand_pieces]


def fitting(nights: Sequence[Problem], *, most: int = MOST_NIGHTS, cells: int = MOST_CELLS) -> int:
    """How many of the nights fit into one problem of so many cells: both its vehicles and its slots grow with them."""
    largest = max((len(night.vehicles) * night.n_slots for night in nights), default=0)
    return max(1, min(most, int(np.sqrt(cells / max(largest, 1)))))
