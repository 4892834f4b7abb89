"""The voltage of a rested cell and its charge, both ways, with what an error of the voltage means for the charge. Pure.

Where the curve is flat (LFP between a third and nine tenths) a few millivolts are many per cent: the band tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.estimates import InvalidCurve

Floats = NDArray[np.float64]

LEAST_POINTS: Final = 3
REST_ERROR_V: Final = 0.005
"""How far a cell's voltage may be from that of its full rest: resolution, sensor, half an hour instead of many, hysteresis."""


@dataclass(frozen=True, slots=True)
class RestCurve:
    """``soc``: shares, from 0 to 1, rising; ``cell_v``: V at rest, rising; ``error_v``: see :data:`REST_ERROR_V`. Raises
    :class:`~bms_bridge.estimates.InvalidCurve`."""

    soc: tuple[float, ...]
    cell_v: tuple[float, ...]
    error_v: float = REST_ERROR_V

    def __post_init__(self) -> None:
        soc, volts = np.asarray(self.soc, float), np.asarray(self.cell_v, float)
        if len(soc) != len(volts) or len(soc) < LEAST_POINTS:
            raise InvalidCurve(f"a curve at rest has a voltage for each state of charge, {LEAST_POINTS} points or more")
        if not (np.isfinite(soc).all() and np.isfinite(volts).all() and (np.diff(soc) > 0).all() and (np.diff(volts) > 0).all()):
            raise InvalidCurve("states of charge and voltages at rest must both rise from point to point")
        if soc[0] != 0 or soc[-1] != 1 or volts[0] < 0.5 or volts[-1] > 5:
            raise InvalidCurve("a curve at rest goes from 0 to 1, with voltages of one cell (0.5 to 5 V)")
        if not 0 < self.error_v <= 0.1:
            raise InvalidCurve("the error of a voltage at rest is more than 0 and at most 0.1 V")

    @classmethod
    def of(cls, soc: Sequence[float], cell_v: Sequence[float], error_v: float = REST_ERROR_V) -> RestCurve:
        """Raises :class:`~bms_bridge.estimates.InvalidCurve`."""
        return cls(tuple(map(float, soc)), tuple(map(float, cell_v)), float(error_v))

    @property
    def mean_v(self) -> float:
        """Mean voltage over the whole charge: watt-hours per ampere-hour of a cell."""
        return float(np.trapezoid(self.cell_v, self.soc))

    def charge_at(self, cell_v: Floats) -> tuple[Floats, Floats, Floats]:
        """(state of charge, low, high) of voltages at rest, V, any shape; NaN stays NaN. Beyond the ends: the ends."""
        volts, soc = np.asarray(self.cell_v), np.asarray(self.soc)
        at, low, high = (np.interp(cell_v + off, volts, soc) for off in (0.0, -self.error_v, self.error_v))
        return at, low, high
