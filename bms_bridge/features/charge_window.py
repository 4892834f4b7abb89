"""The end of one charge as sixteen numbers, from raw samples: what :mod:`bms_bridge.health.soh` estimates health from.

    charge --last stretch below the cut-off voltage--> voltage's eight, --constant voltage, current falling--> current's eight

The windows are those of Wang et al., Nature Communications 2024: 0.2 V below the cut-off voltage at constant current, and the current
from 0.5 A to 0.1 A at constant voltage (of cells of some Ah: a kind of charge has windows of its own, see :class:`Window`). Both are cut
exactly at their edges (between samples, linearly) and laid on even steps of time, so that what the BMS's sampling is does not matter.
Mean, population deviation, excess kurtosis, skewness, charge, time, slope of the straight line over time, and Shannon's entropy of the
values' shares of their sum. A window that was not measured whole, has a gap or the wrong current is missing: then there are no numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bms_bridge.features import WindowMissing
from bms_bridge.features.samples import Floats, Phase, Samples, phases
from bms_bridge.health.charge_table import FEATURES, ChargeTable

LEAST_POINTS = 8


@dataclass(frozen=True, slots=True)
class Window:
    """Of one kind of charge; per cell. ``cut_off_v``: where constant voltage begins; ``below_v``: height of the voltage window;
    ``from_a``, ``to_a``: the falling current's window; ``step_s``: even steps on which statistics are made (those of the taught table:
    entropies count points); ``steady``: how far the current may stray from its median in the voltage window (a share)."""

    cut_off_v: float
    below_v: float = 0.2
    from_a: float = 0.5
    to_a: float = 0.1
    step_s: float = 5.0
    steady: float = 0.1

    def __post_init__(self) -> None:
        if not (0 < self.below_v < self.cut_off_v <= 10 and 0 < self.to_a < self.from_a <= 1_000):
            raise ValueError("a window lies below the cut-off voltage (at most 10 V per cell), and its current falls from more to less")
        if not (0.01 <= self.step_s <= 600 and 0 < self.steady < 1):
            raise ValueError("steps of a window are 0.01 to 600 s long, and its current strays by less than itself")


def window_features(charge: Samples, window: Window) -> Floats:
    """[16], in the order of :data:`bms_bridge.health.charge_table.FEATURES`. WindowMissing: why there are none.

    ``charge``: of one charge, of one cell (a pack's voltage divided by its cells in series, its current by its strings).
    """
    time_s, current_a, voltage_v = charge.time_s, charge.current_a, charge.voltage_v
    low, high = window.cut_off_v - window.below_v, window.cut_off_v
    reached = np.flatnonzero(voltage_v >= high - 0.002)
    if not len(reached):
        raise WindowMissing(f"the charge ended at {voltage_v.max():.3f} V, below the cut-off voltage of {high:g} V")
    top = int(reached[0])
    under = np.flatnonzero(voltage_v[:top] <= low)
    if not len(under):
        raise WindowMissing(f"the charge began above {low:g} V: {window.below_v:g} V below the cut-off voltage are needed")
    first = int(under[-1])
    begin = _crossing(time_s[first : first + 2], voltage_v[first : first + 2], low)
    end = _crossing(time_s[top - 1 : top + 1], voltage_v[top - 1 : top + 1], high)
    inside = current_a[first : top + 1]
    usual = float(np.median(inside))
    if usual <= window.from_a or np.mean(np.abs(inside - usual) <= window.steady * usual) < 0.9:
        raise WindowMissing(f"no constant current between {low:g} and {high:g} V (median {usual:.3g} A)")
    falling = np.flatnonzero(current_a[top:] <= window.to_a)
    if not len(falling):
        raise WindowMissing(f"the current fell to {current_a[top:].min():.3g} A only; {window.to_a:g} A are needed")
    last = top + int(falling[0])
    above = np.flatnonzero(current_a[top:last] >= window.from_a)
    from_row = top + int(above[-1]) if len(above) else -1
    if from_row < 0 or last <= from_row:
        raise WindowMissing(f"the current at the cut-off voltage began below {window.from_a:g} A")
    fall = _crossing(time_s[from_row : from_row + 2], -current_a[from_row : from_row + 2], -window.from_a)
    out = _crossing(time_s[last - 1 : last + 1], -current_a[last - 1 : last + 1], -window.to_a)
    for start, stop, name in ((first, top, "voltage"), (from_row, last, "constant voltage")):
        widest = float(np.diff(time_s[start : stop + 1]).max())
        if widest > charge.gap_s or widest > (time_s[stop] - time_s[start]) / 3:
            raise WindowMissing(f"a gap of {widest:.0f} s in the window of {name}")
    return np.concatenate(
        [
            _eight(time_s, voltage_v, current_a, begin, end, window.step_s),
            _eight(time_s, current_a, current_a, fall, out, window.step_s),
        ]
    )


def _eight(time_s: Floats, values: Floats, current_a: Floats, begin: float, end: float, step_s: float) -> Floats:
    """Mean, deviation, excess kurtosis, skewness, charge (Ah), time (s), slope (per s), entropy; within [begin, end]."""
    count = int((end - begin) // step_s) + 1
    if count < LEAST_POINTS:
        raise WindowMissing(f"a window of {end - begin:.0f} s holds fewer than {LEAST_POINTS} steps of {step_s:g} s")
    at = begin + step_s * np.arange(count)
    told = np.interp(at, time_s, values)
    edges = np.concatenate([[begin], time_s[(time_s > begin) & (time_s < end)], [end]])
    flowing = np.interp(edges, time_s, current_a)
    charge_ah = float(np.sum(np.diff(edges) * (flowing[1:] + flowing[:-1]) / 2)) / 3600
    off = told - told.mean()
    deviation = float(np.sqrt(np.mean(off**2)))
    if deviation < 1e-9:
        raise WindowMissing("nothing moved in a window: a sensor that stands still")
    shares = np.maximum(told, 1e-12) / np.maximum(told, 1e-12).sum()
    centred = at - at.mean()
    return np.array(
        [
            told.mean(),
            deviation,
            float(np.mean(off**4)) / deviation**4 - 3.0,
            float(np.mean(off**3)) / deviation**3,
            charge_ah,
            end - begin,
            float(np.dot(centred, told) / np.dot(centred, centred)),
            float(-np.sum(shares * np.log(shares))),
        ]
    )


def _crossing(time_s: Floats, values: Floats, level: float) -> float:
    """When a rising value passes ``level`` between two samples."""
    rise = float(values[1] - values[0])
    share = 1.0 if rise <= 0 else float(np.clip((level - values[0]) / rise, 0.0, 1.0))
    return float(time_s[0] + share * (time_s[1] - time_s[0]))


def charges_of(samples: Samples, nominal_ah: float, window: Window) -> tuple[list[tuple[float, Floats]], list[tuple[float, str]]]:
    """All charges of one cell: (cycle, sixteen numbers) of those that hold the window, (cycle, why not) of the others.

    A charge is counted by the file's cycle, or by its place where the file does not count.
    """
    found, missing = [], []
    counted = bool(samples.cycle.any())
    for number, phase in enumerate(charging(samples, nominal_ah), start=1):
        cycle = float(samples.cycle[phase.begin]) if counted else float(number)
        try:
            found.append((cycle, window_features(samples.rows(slice(phase.begin, phase.end)), window)))
        except WindowMissing as error:
            missing.append((cycle, str(error)))
    return found, missing


def charging(samples: Samples, nominal_ah: float) -> list[Phase]:
    """Stretches of charge, of which rows with a current within a hundredth of nothing at the end count too; shorter than
    :data:`LEAST_POINTS` rows are none."""
    return [phase for phase in phases(samples, nominal_ah) if phase.sign > 0 and phase.end - phase.begin >= LEAST_POINTS]


def charge_table(kind: str, cells: dict[str, list[tuple[float, Floats]]], nominal_ah: float, batch: str = "") -> ChargeTable:
    """What :meth:`bms_bridge.health.soh.SohModel.estimate` takes. WindowMissing: no charge of any cell holds the window."""
    rows = [(cell, cycle, numbers) for cell in sorted(cells) for cycle, numbers in sorted(cells[cell], key=lambda pair: pair[0])]
    if not rows:
        raise WindowMissing("no charge holds the whole window")
    count = len(rows)
    unknown: NDArray[np.float64] = np.full(count, np.nan)
    features = np.array([numbers for _, _, numbers in rows])
    assert features.shape[1] == len(FEATURES)
    return ChargeTable(
        kind,
        np.array([cell for cell, _, _ in rows], dtype=np.str_),
        np.array([cycle for _, cycle, _ in rows]),
        np.full(count, batch, dtype=f"<U{max(len(batch), 1)}"),
        np.full(count, "", dtype=np.str_),
        unknown,
        features,
        unknown.copy(),
        np.full(count, nominal_ah),
    )
