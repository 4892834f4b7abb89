"""How fast health falls, from estimates with intervals. Pure.

A straight line through estimates (each counts by its interval), with a 90 % band by leaving out one after the other (jackknife). It says
nothing of what comes: fade is not straight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_ESTIMATES: Final = 6
LEAST_DAYS: Final = 60.0
YEAR_S: Final = 365.25 * 86_400
DAY_S: Final = 86_400.0
_T90 = 1.9
"""Two-sided 90 % of Student's t for few degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Trend:
    """``per_year``: change of the share in a year, with its band; None: nothing can be said, for ``reason``."""

    per_year: float | None
    low: float | None
    high: float | None
    reason: str = ""


def trend(at_s: NDArray[np.float64], value: NDArray[np.float64], half: NDArray[np.float64]) -> Trend:
    """``at_s`` Unix seconds, ``value`` shares, ``half`` half the interval of each."""
    count = len(at_s)
    days = float(at_s.max() - at_s.min()) / DAY_S if count else 0.0
    if count < LEAST_ESTIMATES or days < LEAST_DAYS:
        return Trend(None, None, None, f"{count} estimates over {days:.0f} days: {LEAST_ESTIMATES} over {LEAST_DAYS:.0f} are needed")
    years, weight = (at_s - at_s.min()) / YEAR_S, 1.0 / np.maximum(half, 0.002) ** 2
    slope = _slope(years, value, weight)
    every = np.arange(count)
    without = np.array([_slope(years[every != k], value[every != k], weight[every != k]) for k in every])
    error = float(np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum()))
    return Trend(round(slope, 5), round(slope - _T90 * error, 5), round(slope + _T90 * error, 5))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    middle_x, middle_y = float(np.average(x, weights=weight)), float(np.average(y, weights=weight))
    spread = float((weight * (x - middle_x) ** 2).sum())
    return float((weight * (x - middle_x) * (y - middle_y)).sum()) / spread if spread > 0 else 0.0
