"""Pack, modules, cells, sensors: which of a pack's numbers belongs to which module. Pure.

    PackLayout(cells=(12, 12, 12), sensors=(1, 1, 2)) --module_of_cell(13)--> 1

Cells and sensors are counted in the order in which the unit tells them: first all of module 1, then of module 2, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.estimates import InvalidCurve

MOST_MODULES: Final = 256
MOST_CELLS: Final = 1024
MOST_SENSORS: Final = 64


@dataclass(frozen=True, slots=True)
class PackLayout:
    """``cells``: in series, by module; ``sensors``: of temperature, by module, () where nobody said. Raises
    :class:`~bms_bridge.estimates.InvalidCurve`."""

    cells: tuple[int, ...]
    sensors: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < len(self.cells) <= MOST_MODULES or min(self.cells) < 1 or sum(self.cells) > MOST_CELLS:
            raise InvalidCurve(f"a pack has 1 to {MOST_MODULES} modules of one cell or more, {MOST_CELLS} cells at most")
        if self.sensors and (len(self.sensors) != len(self.cells) or min(self.sensors) < 0 or sum(self.sensors) > MOST_SENSORS):
            raise InvalidCurve(f"name the sensors of each of the {len(self.cells)} modules, {MOST_SENSORS} at most, or of none")

    @classmethod
    def one_module(cls, series: int) -> PackLayout:
        """Where nobody said what the modules are: the pack is one."""
        return cls((series,))

    @property
    def series(self) -> int:
        """Cells in series of the whole pack."""
        return sum(self.cells)

    @property
    def modules(self) -> int:
        """How many there are."""
        return len(self.cells)

    def bounds(self) -> list[tuple[int, int]]:
        """First cell and the one after the last of each module, from 0."""
        ends = list(accumulate(self.cells))
        return list(zip([0, *ends[:-1]], ends, strict=True))

    def module_of_cell(self, cell: int) -> int:
        """Both from 0. Raises IndexError."""
        if not 0 <= cell < self.series:
            raise IndexError(cell)
        return next(number for number, (first, end) in enumerate(self.bounds()) if first <= cell < end)

    def module_of_sensor(self, sensor: int) -> int | None:
        """Both from 0; None where nobody said."""
        ends = accumulate(self.sensors)
        return next((number for number, end in enumerate(ends) if sensor < end), None)

    def by_module(self, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Values by cell, cut into modules."""
        return [values[first:end] for first, end in self.bounds()]
