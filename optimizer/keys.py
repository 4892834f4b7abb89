"""Names of a model's columns and rows that outlast the problem: 64-bit keys.

    key = family << 48 | who << 24 | part << 18 | slot

``who``: the place of a vehicle in the problem (of the families with :data:`OF_VEHICLES`), else that of a feeder, a battery, a
demand piece …; ``slot``: counted from the problem's first (of a demand block: its last one); ``part`` (less than 64): a number
beside them, where a vehicle has several columns or rows in a slot. Places and slots differ from problem to problem: with the
vehicles' ids and the clock :mod:`optimizer.warm` finds the same column in the next one.

A new kind of columns or rows takes a :class:`Family`, and gives each a key in both writers: in the arrays
``matrix.block(..., keys=keys_of(Family.CAP, who, slot))`` for rows and ``column_keys[columns] = keys_of(...)`` for columns, in the
Pyomo model ``named.add(Family.CAP, model.cap, lambda index: (who, slot))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

KeyArray = npt.NDArray[np.int64]
_Places = npt.NDArray[np.integer] | int

OF_VEHICLES = 1 << 8
"""Of a family: ``who`` is a vehicle."""

OF_SLOTS = 1 << 9
"""Of a family: ``slot`` is one, and moves with the clock."""

PLACE_SHIFT = 24
WHO_MASK = (1 << 24) - 1
PART_SHIFT = 18
MOST_SLOTS = SLOT_MASK = (1 << 18) - 1

NO_KEY = -1
"""A column or row that no other problem knows."""


class Family(IntEnum):
    """Kinds of columns and rows. Numbers are free up to 255; none may stand twice."""

    P = 1 | OF_VEHICLES | OF_SLOTS
    UNMET = 2 | OF_VEHICLES
    TOTAL = 3 | OF_SLOTS
    PEAK = 4
    GIVES = 5 | OF_VEHICLES | OF_SLOTS
    GIVEN = 6 | OF_SLOTS
    LEVEL = 7 | OF_VEHICLES | OF_SLOTS
    IMPORTED = 8 | OF_SLOTS
    EXPORTED = 9 | OF_SLOTS
    OVER = 10
    DEAR = 11
    STORAGE_DRAWN = 12 | OF_SLOTS
    STORAGE_GIVEN = 13 | OF_SLOTS
    STORAGE_HELD = 14 | OF_SLOTS
    STEEP = 20 | OF_VEHICLES | OF_SLOTS
    RISE = 21 | OF_VEHICLES | OF_SLOTS
    SHORT = 30 | OF_VEHICLES | OF_SLOTS
    EXTRA = 31 | OF_VEHICLES
    SHARE = 32 | OF_VEHICLES

    ENERGY = 101 | OF_VEHICLES
    TOTALS = 102 | OF_SLOTS
    FEEDER = 103 | OF_SLOTS
    PEAKS = 104 | OF_SLOTS
    PIECE = 105 | OF_SLOTS
    DEAREST = 106
    IMPORTS = 107 | OF_SLOTS
    GIFTS = 108 | OF_SLOTS
    BACK = 109 | OF_SLOTS
    LEVELS = 110 | OF_VEHICLES | OF_SLOTS
    HOLDS = 111 | OF_SLOTS
    OUT = 112 | OF_SLOTS
    CAP = 113 | OF_SLOTS
    CAP_BACK = 114 | OF_SLOTS
    HEAT = 121 | OF_VEHICLES | OF_SLOTS
    LEAST = 130 | OF_VEHICLES | OF_SLOTS
    MOST = 131 | OF_VEHICLES | OF_SLOTS
    SHARES = 132 | OF_VEHICLES


def keys_of(family: Family, who: _Places = 0, slot: _Places = 0, part: _Places = 0) -> KeyArray:
    """Keys of some columns or rows; places as arrays of one length, or plain numbers."""
    wide = (np.asarray(place, dtype=np.int64) for place in (who, part, slot))
    places = [np.atleast_1d(place) << shift for place, shift in zip(wide, (PLACE_SHIFT, PART_SHIFT, 0), strict=True)]
    keys: KeyArray = places[0] | places[1] | places[2] | (int(family) << 48)
    return keys


class Named:
    """Keys of a Pyomo model's variables and constraints, by what Pyomo made of them."""

    def __init__(self) -> None:
        self._keys: dict[int, int] = {}

    def add(self, family: Family, component: Any, places: Callable[[Any], tuple[int, ...]] = lambda _: ()) -> None:
        """``places``: from an index of the component to (who, slot), or (who, slot, part); what is left out is 0."""
        for index, data in component.items():
            who, slot, part, *_ = (*(int(place) for place in places(index)), 0, 0, 0)
            self._keys[id(data)] = int(family) << 48 | who << PLACE_SHIFT | part << PART_SHIFT | slot

    def of(self, data: Iterable[Any]) -> KeyArray:
        """Keys of variables or constraints, :data:`NO_KEY` for unknown ones."""
        return np.array([self._keys.get(id(one), NO_KEY) for one in data], dtype=np.int64)
