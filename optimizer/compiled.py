"""What a model is made of and what becomes of it: the objective, the cells, and the arrays that HiGHS takes.

Shared by the Pyomo model (:mod:`optimizer.model`) and by its twin (:mod:`optimizer.arrays`); nothing here loads Pyomo.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from optimizer.keys import PLACE_SHIFT, WHO_MASK, Family, KeyArray
from optimizer.problem import FloatArray, Problem
from optimizer.stays import StayCosts
from optimizer.storage import StorageCosts

IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False, slots=True)
class Costs:
    """The objective, in currency: per kW of a cell [vehicle × slot], per kWh unmet [vehicle], per kW imported [slot],
    per kW of peak above ``peak_from_kw``. ``site_limited`` False leaves the site limit out. ``pieces``: weight of the
    demand pieces, 0 leaves them out. ``given``: per kW that a vehicle
    gives [vehicle × slot], None: none of them does; ``exported``: per kW exported [slot]; ``storage``: of stationary batteries,
    None: they stay out of it; ``stays``: of what milestones ask for, None: nothing; ``steep``: per kW above a vehicle's gentle rate,
    beside the cell's cost [vehicle × slot], None: nobody has one."""

    cell: FloatArray
    unmet: FloatArray
    imported: FloatArray
    peak: float
    peak_from_kw: float
    site_limited: bool = True
    pieces: float = 0.0
    given: FloatArray | None = None
    exported: FloatArray | None = None
    storage: StorageCosts | None = None
    stays: StayCosts | None = None
    steep: FloatArray | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Compiled:
    """The model as arrays: min cost·x + offset, row_lower ≤ A·x ≤ row_upper, lower ≤ x ≤ upper; A by columns.

    ``cells``: the columns of the cells, which are those of ``vehicle`` and ``slot``; ``unmet``: the columns of the energy
    that is not served, for the vehicles ``needy``; ``totals``: the columns of the sums of
    ``total_slots``; ``giving``: those of what is given, in the cells ``gives``; ``storage_drawn``, ``storage_given``: those of
    stationary batteries, by battery and slot. ``column_keys``, ``row_keys``: what each column and row is
    (:mod:`optimizer.keys`), none of them twice. ``steep``: the columns of the second bands (:mod:`optimizer.life_bands`), which are those
    of the cells ``steep_of`` and begin at ``gentle_kw``.
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    starts: IntArray
    rows: IntArray
    values: FloatArray
    cells: IntArray
    unmet: IntArray
    vehicle: IntArray
    slot: IntArray
    needy: IntArray
    totals: IntArray
    total_slots: IntArray
    giving: IntArray
    gives: IntArray
    storage_drawn: IntArray
    storage_given: IntArray
    column_keys: KeyArray
    row_keys: KeyArray
    build_s: float
    compile_s: float
    steep: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    steep_of: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    gentle_kw: FloatArray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """Which cells and vehicles a model has: ``usable`` [vehicle × slot] and, of each cell, ``vehicle`` and ``slot``;
    ``needy``: the vehicles; ``gives``: the cells in which a vehicle may give; ``lends``: the vehicles that may; ``slots``: those
    in which anything may flow."""

    usable: npt.NDArray[np.bool_]
    vehicle: IntArray
    slot: IntArray
    needy: IntArray
    gives: IntArray
    lends: IntArray
    slots: IntArray


def shape_of(problem: Problem, costs: Costs) -> Shape:
    """The cells of ``problem`` under ``costs``, in the order in which both writers count them."""
    part = problem.takes_part if costs.given is not None else problem.has_target
    usable = (problem.upper_kw > 0) & part[:, None]
    vehicle, slot = (index.astype(np.int32) for index in np.nonzero(usable))
    giving = np.zeros(len(vehicle), dtype=bool) if costs.given is None else problem.discharge_upper_kw[vehicle, slot] > 0
    return Shape(
        usable=usable,
        vehicle=vehicle,
        slot=slot,
        needy=np.flatnonzero(part).astype(np.int32),
        gives=np.flatnonzero(giving).astype(np.int32),
        lends=np.unique(vehicle[giving]),
        slots=np.unique(slot) if costs.storage is None else np.arange(problem.n_slots, dtype=np.int32),
    )


def shortages_of(compiled: Compiled) -> tuple[IntArray, IntArray]:
    """Columns of all that is left short, of needs and of milestones, and the vehicle of each."""
    family = compiled.column_keys >> 48
    columns = np.flatnonzero((compiled.column_keys >= 0) & np.isin(family, (Family.UNMET, Family.SHORT))).astype(np.int32)
    return columns, ((compiled.column_keys[columns] >> PLACE_SHIFT) & WHO_MASK).astype(np.int32)


def levels_of(problem: Problem, shape: Shape) -> IntArray:
    """The cells in which the level of a battery is followed: the first visits of those that may give."""
    until = np.array([v.departure_slot for v in problem.vehicles])[shape.vehicle]
    return np.flatnonzero(np.isin(shape.vehicle, shape.lends) & (shape.slot < until)).astype(np.int32)
