"""Whether a table's current has the other sign: the voltage must rise with a charging current, at once and along a charge.

time, current, voltage --turned--> True: the current is positive while discharging

Two witnesses. Steps: where the current jumps between two neighbouring samples, the voltage jumps the same way (its resistance is
positive). Stretches: while charge flows one way for minutes at a steady current, the open-circuit voltage goes that way. What moved
further counts more. A witness with too few cases, or whose cases do not agree, is silent; two that contradict each other decide nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_STEPS: Final = 6
STEP_SHARE: Final = 0.1
"""A jump of the current is a step from this share of its largest values on."""
LONGEST_STEP_S: Final = 15.0
LEAST_STRETCH_S: Final = 300.0
STEADY: Final = 0.1
"""Between neighbours a steady current differs by no more than this share of its largest values."""
LEAST_MOVE: Final = 0.004
"""A stretch counts where the voltage moved by this share: less is noise, warming or a plateau."""
LEAST_MOVES: Final = 0.03
"""All stretches together: one charge is enough, a plateau is not."""
NEARLY_ALL: Final = 0.9
REST: Final = 0.02


TURNED: Final = (
    "the voltage falls where the current rises: currents must be positive while charging; say --discharge-positive, or change their sign"
)


def turned(time_s: Floats, current_a: Floats, voltage_v: Floats) -> bool:
    """[n] each, in order of time, NaN where missing; V of a cell or of a pack. False: the signs are right, or nothing shows it."""
    good = np.isfinite(time_s) & np.isfinite(current_a) & np.isfinite(voltage_v)
    time, current, voltage = time_s[good], current_a[good], voltage_v[good]
    if len(time) < LEAST_STEPS:
        return False
    most = float(np.quantile(np.abs(current), 0.99))
    if most <= 0:
        return False
    said = [one for one in (_steps(time, current, voltage, most), _stretches(time, current, voltage, most)) if one is not None]
    return bool(said) and not any(said)


def _steps(time: Floats, current: Floats, voltage: Floats, most: float) -> bool | None:
    """True: as it must be; False: turned; None: nothing is said."""
    rise_a, rise_v = np.diff(current), np.diff(voltage)
    usable = (np.diff(time) <= LONGEST_STEP_S) & (np.abs(rise_a) >= STEP_SHARE * most)
    usable[1:] &= np.abs(rise_a[:-1]) < STEP_SHARE * most  # a jump from a standing current, not amid a drive
    usable &= rise_v != 0
    return _agreed(np.sign(rise_a[usable]) * rise_v[usable]) if int(usable.sum()) >= LEAST_STEPS else None


def _stretches(time: Floats, current: Floats, voltage: Floats, most: float) -> bool | None:
    way = np.where(np.abs(current) < REST * most, 0, np.sign(current))
    cut = np.flatnonzero((np.diff(way) != 0) | (np.abs(np.diff(current)) > STEADY * most) | (np.diff(time) > LEAST_STRETCH_S)) + 1
    told = []
    for begin, end in zip(np.r_[0, cut], np.r_[cut, len(time)], strict=True):
        if way[begin] == 0:
            continue
        faded = np.flatnonzero(np.abs(current[begin:end]) < (1 - 2 * STEADY) * abs(current[begin]))  # constant voltage follows
        end = begin + int(faded[0]) if len(faded) else end
        if time[end - 1] - time[begin] < LEAST_STRETCH_S:
            continue
        move = float(voltage[end - 1] - voltage[begin]) / float(np.median(voltage[begin:end]))
        if abs(move) >= LEAST_MOVE:
            told.append(way[begin] * move)
    moves = np.asarray(told)
    return _agreed(moves) if np.abs(moves).sum() >= LEAST_MOVES else None


def _agreed(moves: Floats) -> bool | None:
    """Which way nearly all of the movement went."""
    right = float(moves[moves > 0].sum() / np.abs(moves).sum())
    return True if right >= NEARLY_ALL else False if right <= 1 - NEARLY_ALL else None
