"""Resistance and capacity from the same samples, by recursive least squares: a check of what the joint filter found.

steps of current and voltage --resistance--> ohmic resistance over time        charge between two anchors --capacity--> Ah with
an interval
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.soc.ocv import Floats, mean_current

FORGETTING: Final = 0.98
LEAST_STEP_C: Final = 0.05
MOST_STEP_S: Final = 30.0
LEAST_SPAN: Final = 0.3


@dataclass(frozen=True, slots=True)
class Resistance:
    """``ohm`` [n]: as known after each sample, NaN until ten steps were seen; ``ohm_sd``: one standard deviation at the end;
    ``steps``: seen."""

    ohm: Floats
    ohm_sd: float
    steps: int


def resistance(time_s: Floats, current_a: Floats, voltage_v: Floats, *, capacity_ah: float, forgetting: float = FORGETTING) -> Resistance:
    """Recursive least squares with forgetting of a voltage's steps on the current's. Arrays [n]: s, A, V per cell, NaN: missing.
    Steps below a
    twentieth of the capacity per hour, or over more than half a minute, tell nothing and are passed over."""
    found = np.full(len(time_s), np.nan)
    rise_a, rise_v, step_s = np.diff(current_a), np.diff(voltage_v), np.diff(time_s)
    with np.errstate(invalid="ignore"):
        use = (np.abs(rise_a) >= LEAST_STEP_C * capacity_ah) & np.isfinite(rise_v) & (step_s <= MOST_STEP_S)
    ohm, weight, squares, seen, effective = 0.0, 1e-9, 0.0, 0, 1e-9
    for place in range(len(rise_a)):
        if use[place]:
            miss = float(rise_v[place]) - ohm * float(rise_a[place])
            weight = forgetting * weight + float(rise_a[place]) ** 2
            effective = forgetting * effective + 1
            ohm += float(rise_a[place]) / weight * miss
            squares = forgetting * squares + miss**2
            seen += 1
        if seen >= 10:
            found[place + 1] = ohm
    return Resistance(found, float(np.sqrt(squares / max(effective - 1, 1.0) / weight)) if seen >= 10 else float("nan"), seen)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Ah and one standard deviation; ``span``: the share of charge that passed."""

    capacity_ah: float
    sd_ah: float
    span: float


def capacity(
    time_s: Floats, current_a: Floats, first: tuple[int, float, float], last: tuple[int, float, float], *, offset_sd_a: float
) -> Capacity | None:
    """Capacity from the charge between two anchors: (place, state of charge, standard deviation) each. ``offset_sd_a``: of the current
    sensor. None: less than a third of the charge passed, or the current is missing."""
    (begin, soc_a, sd_a), (end, soc_b, sd_b) = sorted((first, last))
    current = current_a[begin : end + 1]
    span = soc_b - soc_a
    if end - begin < 2 or abs(span) < LEAST_SPAN or not np.isfinite(current).all():
        return None
    steps = np.diff(time_s[begin : end + 1])
    charge_ah = float((mean_current(current) * steps).sum()) / 3600
    hours = float(steps.sum()) / 3600
    found = charge_ah / span
    if found <= 0:
        return None
    relative = np.hypot(np.hypot(sd_a, sd_b) / span, offset_sd_a * hours / max(abs(charge_ah), 1e-9))
    return Capacity(found, float(found * relative), abs(span))
