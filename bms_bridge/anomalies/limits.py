"""The smallest leak that would be found in the packs of a table, by chemistry, from their own curves, scatter and readings. Pure.

    slope at the like points + scatter of the cells from day to day + readings a day --> limit of each pack --> of each chemistry

On the plateau of LFP the voltage tells next to nothing of charge: such packs are *blind*, and that nothing is said of them means
nothing. What it takes is in :func:`.leak.detectable_share_per_day`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from bms_bridge.anomalies.leak import (
    HOURS_PER_DAY,
    LEAST_SLOPE_V,
    LEAST_UNTOLD_SHARE_PER_DAY,
    WINDOWS_D,
    detectable_share_per_day,
)
from bms_bridge.anomalies.lines import medians
from bms_bridge.anomalies.pack_days import PackDays
from bms_bridge.health.files import Floats

WINDOW_D: Final = max(WINDOWS_D)


@dataclass(frozen=True, slots=True)
class Limit:
    """Of the packs of one chemistry ("": not told): ``blind``: packs in which no leak could be found; the medians of the others' limit
    (``share_per_day`` of the capacity, None: all are blind) and worst one; medians of all: ``slope_v`` per 1.0 of charge (0: not known),
    ``noise_v`` of a cell from day to day."""

    chemistry: str
    packs: int
    blind: int
    share_per_day: float | None
    worst_share_per_day: float | None
    slope_v: float
    noise_v: float

    @property
    def words(self) -> str:
        """One sentence."""
        name = f"{self.chemistry or 'chemistry not told'}, {self.packs} pack{'' if self.packs == 1 else 's'}"
        curve = f"{10 * self.slope_v:.2g} mV for each % of charge, scatter {1000 * self.noise_v:.2g} mV"
        if self.share_per_day is None or self.worst_share_per_day is None:
            return f"{name}: no leak could be found ({curve})"
        worst, usual = (f"C/{HOURS_PER_DAY / share:,.0f}" for share in (self.worst_share_per_day, self.share_per_day))
        blind = f"; in {self.blind} of them none could" if self.blind else ""
        return f"{name}: leaks from {usual} on would be found within {WINDOW_D} days, in the worst pack from {worst} on{blind} ({curve})"


def limits(table: PackDays) -> list[Limit]:
    """By chemistry, from each pack's last :data:`WINDOW_D` days."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    off = table.cells_v - medians(table.cells_v)[:, None]
    for first, end in pairwise(table.begins()):
        begin = int(first) + int(np.searchsorted(table.days[first:end], table.days[end - 1] - WINDOW_D, side="right"))
        told = bool(np.isfinite(table.balanced_ah[begin:end]).any())
        one = _of_pack(off[begin:end], table.numbers["slope_v"][begin:end], told=told)
        found.setdefault(str(table.labels["chemistry"][end - 1]), []).append(one)
    return [_of_chemistry(chemistry, packs) for chemistry, packs in sorted(found.items())]


def _of_pack(off_v: Floats, slopes_v: Floats, *, told: bool) -> tuple[float, float, float]:
    """Limit (inf: blind), slope and scatter."""
    usable = np.isfinite(slopes_v)
    slope_v = float(np.median(slopes_v[usable])) if usable.any() else 0.0
    steps = np.abs(np.diff(off_v[usable], axis=0))
    steps = steps[np.isfinite(steps)]
    noise_v = 1.4826 * float(np.median(steps)) / math.sqrt(2) if len(steps) else 0.0
    count = int((slopes_v[usable] >= LEAST_SLOPE_V).sum())
    share = detectable_share_per_day(slope_v, noise_v, WINDOW_D, (count + 0.5) / WINDOW_D)
    return (share if told else max(share, LEAST_UNTOLD_SHARE_PER_DAY)), slope_v, noise_v


def _of_chemistry(chemistry: str, packs: list[tuple[float, float, float]]) -> Limit:
    shares = np.array([share for share, *_ in packs])
    seeing = shares[np.isfinite(shares)]
    slope_v, noise_v = (float(np.median([pack[place] for pack in packs])) for place in (1, 2))
    usual, worst = (float(np.median(seeing)), float(seeing.max())) if len(seeing) else (None, None)
    return Limit(chemistry, len(packs), len(packs) - len(seeing), usual, worst, slope_v, noise_v)
