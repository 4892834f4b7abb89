"""How much charge a pack's worst cell loses beyond the pack's middle, of every pack that was looked at: for its grade. Pure.

    pack days of the last four weeks --a line for each cell--> loss of the worst cell, with its error, or why it is not known

What all cells of a pack lose alike is not seen, and what balancing took is counted only where it is told. A leak that the look has found
counts with its own figure (:mod:`.leak`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.anomalies.leak import HEALTHY_SHARE_PER_DAY, WINDOWS_D, Leak, charge_difference
from bms_bridge.anomalies.lines import LEAST_READINGS
from bms_bridge.anomalies.pack_days import PackDays

WINDOW_D: Final = max(WINDOWS_D)
LEAST_SPAN_D: Final = 14
_Z90: Final = 1.645


@dataclass(frozen=True, slots=True)
class Loss:
    """``share_per_day``: of the nominal capacity, beyond the pack's middle; ``error``: its standard error; ``cell``: from 0; ``day``: of
    the newest reading (days since 1970); ``sure``: the look calls it a leak; ``balancing_told``: what balancing took is counted.
    ``share_per_day`` None: not known, for ``why_not``."""

    share_per_day: float | None
    error: float = 0.0
    cell: int = 0
    day: int = 0
    sure: bool = False
    balancing_told: bool = False
    why_not: str = ""


def losses(table: PackDays, found: Iterable[Leak] = ()) -> dict[str, Loss]:
    """By pack. ``found``: leaks of the same look; those that hold now count."""
    leaking = {leak.pack: leak for leak in found if leak.now}
    begins, out = table.begins(), dict[str, Loss]()
    for first, end in itertools.pairwise(begins):
        pack, newest = str(table.packs[first]), int(table.days[end - 1])
        if pack in leaking:
            out[pack] = _of_leak(leaking[pack], newest)
        else:
            recent = int(first) + int(np.searchsorted(table.days[first:end], newest - WINDOW_D, side="right"))
            out[pack] = _of(table.of_rows(recent, int(end)), newest)
    return out


def _of_leak(leak: Leak, day: int) -> Loss:
    return Loss(leak.share_per_day, (leak.high - leak.share_per_day) / _Z90, leak.cell, day, True, leak.balancing_told)


def _of(series: PackDays, newest: int) -> Loss:
    behind = charge_difference(series)
    there = np.isfinite(behind).sum(axis=1) >= 2
    if not there.any():
        return Loss(None, day=newest, why_not="the voltage at the end of its charges tells too little of its charge (a flat curve)")
    days, behind = series.days[there].astype(np.float64), behind[there]
    if len(days) < LEAST_READINGS or days[-1] - days[0] < LEAST_SPAN_D:
        return Loss(
            None,
            day=newest,
            why_not=f"{len(days)} days with the end of a charge in the last four weeks: {LEAST_READINGS} over {LEAST_SPAN_D} are needed",
        )
    weights = series.numbers["slope_v"][there] ** 2
    told = np.isfinite(behind).all(axis=0)
    if told.sum() < 2:
        return Loss(None, day=newest, why_not="its cells are not told on every day")
    x = days - np.average(days, weights=weights)
    y = behind[:, told] - np.average(behind[:, told], axis=0, weights=weights)
    moment = float((weights * x * x).sum())
    slope = (weights[:, None] * x[:, None] * y).sum(axis=0) / moment
    left = y - x[:, None] * slope
    variance = (weights[:, None] * left**2).sum(axis=0) / (len(days) - 2)
    loss = np.median(slope) - slope
    worst = int(np.argmax(loss))
    error = float(np.hypot(np.sqrt(variance[worst] / moment), HEALTHY_SHARE_PER_DAY))
    balanced = bool(np.isfinite(series.balanced_ah).any())
    return Loss(float(loss[worst]), error, int(np.flatnonzero(told)[worst]), newest, False, balanced)
