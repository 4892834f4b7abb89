"""Cells that lose charge: the leak current of an internal short from charge to charge, with its limit of detection. Pure.

    cell voltage - pack's median --/ dV/dSoC--> charge difference --+ what balancing took--> line over 6 to 28 days --> leak current

All cells of a string get the same charge. What a cell lies behind the others at the same point of two charges, it has lost by itself,
or by balancing. A leak of C/5000 loses 0.48 % of the capacity a day. How well a voltage tells charge is the slope of the curve at that
point, so each reading weighs with its slope: on the plateau of LFP next to nothing, and :func:`detectable_share_per_day` says what
that means.

A line must explain the readings better than a step does: a sensor that was exchanged, or cells that were balanced by hand, are no
leak. It must stand out of the scatter of all cells in the pack, whose own self-discharge differs, and hold for some readings. Nothing
is said below :data:`LEAST_SHARE_PER_DAY`, and below :data:`LEAST_UNTOLD_SHARE_PER_DAY` where nobody tells what was balanced: there
:mod:`.balanced` looks for a cell that falls out of a string which a balancer holds together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.anomalies.balanced import falls_out
from bms_bridge.anomalies.lines import LEAST_READINGS, Flags, Ints, Readings, lines, medians, no_step, parts
from bms_bridge.anomalies.pack_days import PackDays
from bms_bridge.health.files import Floats

WINDOWS_D: Final = (6, 10, 18, 28)
LEAST_SHARE_PER_DAY: Final = 24 / 10_000
"""C/10000: below it cells differ by themselves, and nobody is called."""

LEAST_UNTOLD_SHARE_PER_DAY: Final = 24 / 7_000
"""Where balancing is not told it may be what moves the cells: only a larger drift counts."""

SIGMAS: Final = 6.0
CONFIRM: Final = 3
"""Readings in a row that must say so."""

HEALTHY_SHARE_PER_DAY: Final = 0.0002
"""Scatter of self-discharge among healthy cells, at least: 0.6 % a month."""

LEAST_VOLTAGE_NOISE_V: Final = 0.0005
LEAST_SLOPE_V: Final = 0.02
"""0.2 mV for each percent: below it a voltage says nothing of charge, and the reading is left out."""

MOST_SLOPE_V: Final = 50.0
"""0.5 V for each percent: no curve of a cell is steeper, the number is a mistake."""

HOURS_PER_DAY: Final = 24.0
_APART_D: Final = 100_000
"""Between the days of one pack and those of the next, where all stand in one line: no window reaches over it."""

_RECENT_D: Final = 90
"""The newest readings are looked for within so many days of a pack's last row; the longest window reaches back from each."""

_PACKS_AT_ONCE: Final = 500
"""So many packs are gathered at once: this bounds what the look needs of memory."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A cell that loses charge. ``share_per_day``: of the nominal capacity, with an interval of 90 %; ``sigmas``: how far out of the
    pack's scatter; ``behind``: how far it lies behind the median now (fraction); ``since_day``: begin of the window that shows it;
    ``day``: when it was sure (days since 1970); ``balancing_told``: whether balancing was counted; ``now``: its newest readings
    still say so."""

    pack: str
    cell: int
    day: int
    since_day: int
    share_per_day: float
    low: float
    high: float
    current_a: float
    sigmas: float
    behind: float
    spread_v: float
    slope_v: float
    readings: int
    balancing_told: bool
    now: bool

    @property
    def c_rate(self) -> float:
        """Leak current over capacity, 1/h: 0.0002 is C/5000."""
        return self.share_per_day / HOURS_PER_DAY

    def days_to_spread(self, threshold_v: float) -> float:
        """Days until the cells differ by ``threshold_v`` at the like point, should it go on so; 0: already."""
        room_v = threshold_v - self.spread_v
        return max(0.0, room_v / max(self.slope_v * self.share_per_day, 1e-9))


@dataclass(frozen=True, slots=True)
class Drift:
    """Of every reading and cell [n, cells]: loss in shares of the capacity a day, its standard error, sigmas beyond the pack;
    NaN where no window has enough readings. ``found``: that a leak is sure there."""

    share_per_day: Floats
    error: Floats
    sigmas: Floats
    window_d: Floats
    found: Flags


def charge_difference(table: PackDays) -> Floats:
    """How far each cell lies from its pack's median in charge (fraction), as if nothing had been balanced; NaN where the slope is
    unknown or too flat [n, cells]. ``table``: of any packs, sorted by pack and day."""
    slope_v = table.numbers["slope_v"]
    with np.errstate(invalid="ignore"):
        usable = np.where((slope_v >= LEAST_SLOPE_V) & (slope_v <= MOST_SLOPE_V), slope_v, np.nan)
    behind = (table.cells_v - medians(table.cells_v)[:, None]) / usable[:, None]
    if not np.isfinite(table.balanced_ah).any():
        return np.asarray(behind, dtype=np.float64)
    begins = table.begins()
    taken = np.nan_to_num(table.balanced_ah) / table.numbers["capacity_ah"][:, None]
    there = np.logical_or.reduceat(np.isfinite(table.cells_v), begins[:-1], axis=0)
    owner = np.repeat(np.arange(len(begins) - 1), np.diff(begins))
    taken -= medians(np.where(there[owner], taken, np.nan))[:, None]
    total = np.cumsum(taken, axis=0)
    first = total[begins[:-1]] - taken[begins[:-1]]
    return np.asarray(behind + total - first[owner], dtype=np.float64)


def drift(table: PackDays, *, newest: bool = False) -> Drift:
    """Losses of the cells of all packs at each of their readings; see the module. ``table``: sorted by pack and day. ``newest``: only
    what the newest :data:`CONFIRM` readings of each pack need is looked at; the others stay NaN and not found."""
    n, cells = table.cells_v.shape
    share, error, sigmas, window = (np.full((n, cells), np.nan, dtype=np.float32 if newest else np.float64) for _ in range(4))
    candidate = np.zeros((n, cells), dtype=np.bool_)
    differences = charge_difference(table)
    begins = table.begins()
    owner = np.repeat(np.arange(len(begins) - 1), np.diff(begins))
    told = np.logical_or.reduceat(np.isfinite(table.balanced_ah).any(axis=1), begins[:-1])
    least = np.where(told, LEAST_SHARE_PER_DAY, LEAST_UNTOLD_SHARE_PER_DAY)[owner]
    usable = np.isfinite(differences).sum(axis=1) >= 2
    rows = np.flatnonzero(usable)
    if not len(rows):
        return Drift(share, error, sigmas, window, candidate)
    weights = (table.numbers["slope_v"][rows] / LEAST_VOLTAGE_NOISE_V) ** 2
    days = table.days[rows]
    line_up = owner[rows].astype(np.int64) * _APART_D + (days - int(table.days.min()))
    ends = _newest(owner[rows]) if newest else np.arange(len(rows))
    readings = Readings(days.astype(np.float64), table.numbers["soc"][rows], differences[rows], weights)
    for width in WINDOWS_D:
        low = np.searchsorted(line_up, line_up[ends] - width, side="right")
        chosen = (ends - low + 1 >= LEAST_READINGS) & (days[ends] - days[low] >= 0.6 * (width - 1))
        for part in parts(np.flatnonzero(chosen), width * cells):
            at = ends[part]
            fitted = lines(readings, low[part], at)
            loss = -fitted.slope
            enough = np.isfinite(loss).sum(axis=1) >= 2
            beyond_median = loss - medians(loss)[:, None]
            scatter = np.maximum(1.4826 * medians(np.abs(beyond_median)), HEALTHY_SHARE_PER_DAY)[:, None]
            whole = np.hypot(fitted.error, scatter)
            beyond = np.where(enough[:, None], beyond_median / whole, np.nan)
            with np.errstate(invalid="ignore"):
                out = (beyond > SIGMAS) & (beyond_median > least[rows[at], None])
            some = np.flatnonzero(out.any(axis=1))
            out[some] &= no_step(readings, low[part][some], at[some], fitted, some)
            _keep_better(rows[at], (share, error, sigmas, window), (loss, whole, beyond, np.full(loss.shape, float(width))))
            candidate[rows[at]] |= out
    found = _confirmed(candidate, rows, owner)
    untold = np.flatnonzero(~told[owner[rows]])
    if len(untold):
        found[rows[untold]] |= falls_out(readings, untold, owner[rows], line_up) & np.isfinite(share[rows[untold]])
    return Drift(share, error, sigmas, window, found)


def leaks(table: PackDays, *, now: bool = False) -> list[Leak]:
    """The first sure reading of every leaking cell of every pack, with the newest estimate of its size. ``now``: only of packs with a
    cell whose newest readings say so; this takes a hundredth of the time."""
    begins = table.begins()
    packs: Sequence[int] = range(len(begins) - 1)
    if now:
        packs = [pack for many in parts(np.arange(len(begins) - 1), 1, most=_PACKS_AT_ONCE) for pack in _leaking_now(table, begins, many)]
    return [leak for pack in packs for leak in _of_pack(table.of_rows(int(begins[pack]), int(begins[pack + 1])))]


def _leaking_now(table: PackDays, begins: Ints, packs: Ints) -> list[int]:
    """Those of ``packs`` (in a row) with a cell that leaks now."""
    first, last = int(begins[packs[0]]), int(begins[packs[-1] + 1])
    own = begins[packs[0] : packs[-1] + 2]
    recent = table.days[first:last] > np.repeat(table.days[own[1:] - 1], np.diff(own)) - _RECENT_D
    part = table.rows(first + np.flatnonzero(recent))
    seen, edges = drift(part, newest=True), part.begins()
    sure: Flags = np.asarray(seen.found.any(axis=1))
    return [int(pack) for pack, end in zip(packs, edges[1:], strict=True) if sure[max(int(end) - CONFIRM, 0) : end].any()]


def _of_pack(series: PackDays) -> list[Leak]:
    found: list[Leak] = []
    seen = drift(series)
    told = bool(np.isfinite(series.balanced_ah).any())
    for cell in np.flatnonzero(seen.found.any(axis=0)):
        at = np.flatnonzero(seen.found[:, cell])
        first, newest = int(at[0]), int(at[-1])
        size, error = float(seen.share_per_day[newest, cell]), float(seen.error[newest, cell])
        behind_v = float(np.nanmedian(series.cells_v[newest]) - series.cells_v[newest, cell])
        slope_v = float(series.numbers["slope_v"][newest])
        found.append(
            Leak(
                pack=str(series.packs[0]),
                cell=int(cell),
                day=int(series.days[first]),
                since_day=int(series.days[first] - seen.window_d[first, cell] + 1),
                share_per_day=size,
                low=max(0.0, size - 1.645 * error),
                high=size + 1.645 * error,
                current_a=size * float(series.numbers["capacity_ah"][newest]) / HOURS_PER_DAY,
                sigmas=float(seen.sigmas[newest, cell]),
                behind=behind_v / slope_v,
                spread_v=float(series.spread_v[newest]),
                slope_v=slope_v,
                readings=int((series.days > series.days[newest] - seen.window_d[newest, cell]).sum()),
                balancing_told=told,
                now=newest >= len(series) - CONFIRM,
            )
        )
    return found


def detectable_share_per_day(slope_v: float, noise_v: float, window_d: int, readings_per_day: float = 1.0) -> float:
    """The smallest loss (share of the capacity a day) that :func:`drift` would find in a window, where a cell's voltage scatters by
    ``noise_v`` from one like point to the next and the curve rises by ``slope_v`` over the whole charge. ``inf``: none."""
    count = int(window_d * readings_per_day)
    if count < LEAST_READINGS or slope_v < LEAST_SLOPE_V:
        return math.inf
    step_d = 1 / readings_per_day
    spread = step_d * math.sqrt(count * (count**2 - 1) / 12)
    noise = max(noise_v, LEAST_VOLTAGE_NOISE_V) / slope_v
    return max(LEAST_SHARE_PER_DAY, SIGMAS * math.hypot(noise / spread, HEALTHY_SHARE_PER_DAY))


def _keep_better(rows: Ints, kept: Sequence[Floats], new: Sequence[Floats]) -> None:
    """Put what stands out more (the third of both) in the place of what was kept."""
    with np.errstate(invalid="ignore"):
        better = np.isfinite(new[2]) & ~(kept[2][rows] >= new[2])
    for old, now in zip(kept, new, strict=True):
        old[rows] = np.where(better, now, old[rows])


def _newest(owner: Ints) -> Ints:
    """Of each owner (in a row) the places of its newest readings: those that may confirm one of its last :data:`CONFIRM`."""
    last = np.append(owner[1:] != owner[:-1], True)
    left = np.repeat(np.flatnonzero(last), np.diff(np.append(-1, np.flatnonzero(last)))) - np.arange(len(owner))
    return np.flatnonzero(left < 2 * CONFIRM - 1)


def _confirmed(candidate: Flags, rows: Ints, owner: Ints) -> Flags:
    """Where a cell was a candidate in :data:`CONFIRM` usable readings (``rows``) of its pack in a row."""
    found = np.zeros_like(candidate)
    own = candidate[rows]
    sure = own[CONFIRM - 1 :].copy()
    for back in range(1, CONFIRM):
        sure &= own[CONFIRM - 1 - back : len(own) - back]
    same = owner[rows[CONFIRM - 1 :]] == owner[rows[: len(rows) - CONFIRM + 1]]
    found[rows[CONFIRM - 1 :]] = sure & same[:, None]
    return found
