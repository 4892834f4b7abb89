"""Raw samples, put in order: sorted, gaps told, sensors aligned in time, cut into charges, discharges and rests.

    columns that may be anything --ordered--> Samples --phases--> charges, discharges, rests (as stretches of rows)

A gap is a pause of the samples longer than :data:`GAP_STEPS` of their usual steps (and :data:`LEAST_GAP_S`): nothing is integrated
over it, and no window may hold one. Currents are positive while charging.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bms_bridge.features import SamplesRefused

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

GAP_STEPS, LEAST_GAP_S = 6.0, 30.0
REST_C_RATE = 0.01
"""Below this share of the nominal capacity an hour a current is a rest (a sensor's offset is no charge)."""
MOST_CURRENT_A, MOST_VOLTAGE_V = 5_000.0, 2_000.0
LEAST_C, MOST_C = -50.0, 200.0


@dataclass(frozen=True, slots=True)
class Samples:
    """One cell or pack; all arrays have n rows in the order of time. ``time_s``: seconds since anything; ``current_a``: positive while
    charging; ``temperatures_c`` [n, sensors] and ``cells_v`` [n, cells]: NaN where not measured, no columns where there are none;
    ``cycle``: as the file counts (0 where it does not); ``notes``: what was left out, for people."""

    time_s: Floats
    current_a: Floats
    voltage_v: Floats
    temperatures_c: Floats
    cells_v: Floats
    cycle: Floats
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time_s)

    def rows(self, chosen: Rows | NDArray[np.bool_] | slice) -> Samples:
        """The chosen rows."""
        return Samples(
            self.time_s[chosen],
            self.current_a[chosen],
            self.voltage_v[chosen],
            self.temperatures_c[chosen],
            self.cells_v[chosen],
            self.cycle[chosen],
        )

    @property
    def gap_s(self) -> float:
        """A longer step than this is a gap."""
        steps = np.diff(self.time_s)
        return max(GAP_STEPS * float(np.median(steps)), LEAST_GAP_S) if len(steps) else LEAST_GAP_S

    def charge_ah(self) -> Floats:
        """[n] Ah since the first sample, by trapezia; nothing is counted over a gap."""
        steps = np.diff(self.time_s)
        moved = np.where(steps > self.gap_s, 0.0, steps * (self.current_a[1:] + self.current_a[:-1]) / 2)
        return np.concatenate([[0.0], np.cumsum(moved)]) / 3600


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of rows [``begin``, ``end``): ``sign`` 1 charge, −1 discharge, 0 rest."""

    sign: int
    begin: int
    end: int


def ordered(
    time_s: Floats,
    current_a: Floats,
    voltage_v: Floats,
    *,
    temperatures_c: Floats | None = None,
    cells_v: Floats | None = None,
    cycle: Floats | None = None,
) -> Samples:
    """Samples from columns that may be anything: rows without time, current or voltage and impossible ones are left out and told, as are
    repeated times (the first one stays). SamplesRefused: fewer than two rows are left, or the columns differ in length."""
    time_s, current_a, voltage_v = (np.asarray(column, dtype=np.float64) for column in (time_s, current_a, voltage_v))
    if not time_s.ndim == current_a.ndim == voltage_v.ndim == 1:
        raise SamplesRefused("time, current and voltage must be plain columns: one number a sample")
    count = len(time_s)
    warm = np.full((count, 0), np.nan) if temperatures_c is None else _table(temperatures_c)
    cells = np.full((count, 0), np.nan) if cells_v is None else _table(cells_v)
    cycles = np.zeros(count) if cycle is None else np.nan_to_num(np.asarray(cycle, dtype=np.float64), posinf=0.0, neginf=0.0)
    if {len(current_a), len(voltage_v), len(warm), len(cells), len(cycles)} != {count}:
        raise SamplesRefused("the columns of samples differ in length")
    there = np.isfinite(time_s) & np.isfinite(current_a) & np.isfinite(voltage_v)
    with np.errstate(invalid="ignore"):
        possible = (np.abs(current_a) <= MOST_CURRENT_A) & (voltage_v > 0) & (voltage_v <= MOST_VOLTAGE_V) & (np.abs(time_s) < 1e12)
        warm_there, cells_there = (warm >= LEAST_C) & (warm <= MOST_C), (cells > 0) & (cells < 10)
    odd_warm, odd_cells = int((np.isfinite(warm) & ~warm_there).sum()), int((np.isfinite(cells) & ~cells_there).sum())
    warm, cells = np.where(warm_there, warm, np.nan), np.where(cells_there, cells, np.nan)
    keep = np.flatnonzero(there & possible)
    order = keep[np.argsort(time_s[keep], kind="stable")]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = np.diff(time_s[order]) > 0
    notes = []
    for number, why in (
        (count - int(there.sum()), "no time, current or voltage"),
        (int((there & ~possible).sum()), f"not within {MOST_CURRENT_A:,.0f} A and 0 to {MOST_VOLTAGE_V:,.0f} V"),
        (int((~fresh).sum()), "the same time told twice"),
    ):
        if number:
            notes.append(f"{number} samples left out: {why}")
    if odd_warm:
        notes.append(f"{odd_warm} temperatures left out: not within {LEAST_C:g} and {MOST_C:g} °C")
    if odd_cells:
        notes.append(f"{odd_cells} voltages of cells left out: not within 0 and 10 V")
    order = order[fresh]
    if len(order) < 2:
        raise SamplesRefused("fewer than two samples can be used" + (f" ({'; '.join(notes)})" if notes else ""))
    time_s, current_a, voltage_v, warm, cells, cycles = (
        np.asarray(column, dtype=np.float64)[order] for column in (time_s, current_a, voltage_v, warm, cells, cycles)
    )
    return Samples(time_s, current_a, voltage_v, warm, cells, cycles, tuple(notes))


def aligned(time_s: Floats, values: Floats, at_s: Floats, *, oldest_s: float) -> Floats:
    """A sensor with times of its own, told at other times: linear between its samples; NaN before its first one, after its last one, and
    where the two around lie more than ``oldest_s`` apart. ``time_s`` need not be in order."""
    good = np.isfinite(time_s) & np.isfinite(values)
    order = np.argsort(time_s[good], kind="stable")
    times, told = time_s[good][order], values[good][order]
    if not len(times):
        return np.full(len(at_s), np.nan)
    after = np.searchsorted(times, at_s, side="left")
    exact = np.isin(at_s, times)
    inside = (after > 0) & (after < len(times))
    low, high = np.clip(after - 1, 0, len(times) - 1), np.clip(after, 0, len(times) - 1)
    near = inside & (times[high] - times[low] <= oldest_s)
    return np.where(near | exact, np.interp(at_s, times, told), np.nan)


def lag_s(samples: Samples, *, most_s: float = 5.0) -> float:
    """How many seconds the current is told later than the voltage (negative: earlier): where steps of one fit those of the other best.

    NaN where there are fewer than five steps of the current. Source: peak of the cross-correlation of both signals' changes.
    """
    step = float(np.median(np.diff(samples.time_s)))
    fine = max(step / 4, most_s / 50)
    grid = np.arange(samples.time_s[0], samples.time_s[-1], fine)
    if len(grid) > 2_000_000 or len(grid) < 20:
        return float("nan")
    moved = [np.diff(np.interp(grid, samples.time_s, values)) for values in (samples.current_a, samples.voltage_v)]
    current, voltage = (np.where(np.abs(values) > 4 * np.mean(np.abs(values)), values, 0.0) for values in moved)
    if np.count_nonzero(np.diff(current != 0)) < 10 or not voltage.any():
        return float("nan")
    shifts = np.arange(-round(most_s / fine), round(most_s / fine) + 1)
    fits = [float(np.dot(np.roll(current, -shift), voltage)) for shift in shifts]
    best = np.flatnonzero(np.asarray(fits) >= max(fits) - 1e-12 * abs(max(fits)))
    return float(np.mean(shifts[best]) * fine)


def phases(samples: Samples, nominal_ah: float) -> list[Phase]:
    """Charges, discharges and rests in the order of time; cut at gaps and where the file's count of cycles changes."""
    sign = np.where(np.abs(samples.current_a) < REST_C_RATE * nominal_ah, 0, np.sign(samples.current_a)).astype(np.int64)
    cut = np.flatnonzero((np.diff(sign) != 0) | (np.diff(samples.time_s) > samples.gap_s) | (np.diff(samples.cycle) != 0)) + 1
    edges = [0, *cut.tolist(), len(samples)]
    return [Phase(int(sign[begin]), begin, end) for begin, end in pairwise(edges)]


def _table(values: Floats) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim not in (1, 2):
        raise SamplesRefused("temperatures and voltages of cells must be tables: a row for each sample, a column for each sensor")
    return table[:, None] if table.ndim == 1 else table
