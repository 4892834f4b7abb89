"""ICA (dQ/dV) and DVA (dV/dQ) of one slow charge or discharge, their peaks, and where peaks have moved to over a life.

    samples --medians of equal charge--> V(Q) --smoothing spline, as stiff as the noise asks--> dV/dQ over Q, dQ/dV over V

V is smoothed as a function of Q, never the other way: on a plateau Q(V) is steep, and noise would be blown up. The spline's stiffness
is found by generalised cross-validation, so that neither sampling nor noise needs a setting. Both curves are then told on fixed grids,
so that curves of two years can be laid on one another.
Source: Dubarry and Anseán, "Best practices for incremental capacity analysis", Frontiers in Energy Research 2022 (peaks, grids, and
why rates above about C/5 blur them: that is told as a note).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_smoothing_spline
from scipy.signal import find_peaks, savgol_filter

from bms_bridge.features import WindowMissing
from bms_bridge.features.samples import Floats, Samples

GRID_V = 0.005
KNOTS = 160
LEAST_POINTS = 30
LEAST_SHARE = 0.15
"""A curve of less than this share of the nominal capacity has no peaks worth naming."""
BLUR_C_RATE = 0.25
PROMINENT = 0.08
"""A peak stands out by at least this share of the highest one."""
FARTHEST_V = 0.06


@dataclass(frozen=True, slots=True)
class Peak:
    """``at``: V (ICA) or Ah (DVA); ``height``: Ah/V or V/Ah; ``prominence``: how far it stands out, in the same unit; ``width``: at half
    of its prominence, in the unit of ``at``; ``area``: under it within that width (Ah, or V)."""

    at: float
    height: float
    prominence: float
    width: float
    area: float


@dataclass(frozen=True, slots=True)
class Curves:
    """``voltage_v`` [n], ``ica_ah_per_v`` [n]; ``charge_ah`` [m] from the stretch's beginning, ``dva_v_per_ah`` [m]; ``noise_v``: what the
    smoothing took away; ``c_rate``: median; ``notes``: for people."""

    voltage_v: Floats
    ica_ah_per_v: Floats
    charge_ah: Floats
    dva_v_per_ah: Floats
    noise_v: float
    c_rate: float
    notes: tuple[str, ...]


def curves(stretch: Samples, nominal_ah: float, *, grid_v: float = GRID_V) -> Curves:
    """Of one charge or discharge at constant current (what follows at constant voltage is cut off). WindowMissing: why there are none."""
    current = np.abs(stretch.current_a)
    if len(stretch) < LEAST_POINTS or not current.any():
        raise WindowMissing(f"{len(stretch)} samples are too few for dQ/dV; at least {LEAST_POINTS} are needed")
    usual = float(np.median(current[current > 0]))
    steady = np.abs(current - usual) <= 0.1 * usual
    begin, end = _longest(steady)
    part = stretch.rows(slice(begin, end))
    if len(part) and np.diff(part.time_s).max(initial=0.0) > stretch.gap_s:
        raise WindowMissing("a gap in the curve: dQ/dV needs one stretch without a gap")
    charge_ah = np.abs(part.charge_ah()) if len(part) > 1 else np.zeros(0)
    if len(part) < LEAST_POINTS or charge_ah[-1] < LEAST_SHARE * nominal_ah:
        told = charge_ah[-1] / nominal_ah if len(charge_ah) else 0.0
        raise WindowMissing(
            f"{told:.0%} of the nominal capacity at constant current are too little for dQ/dV; {LEAST_SHARE:.0%} are needed"
        )
    sign = 1.0 if np.median(part.current_a) > 0 else -1.0
    at, voltage = _binned(charge_ah, part.voltage_v)
    spline = make_smoothing_spline(at, sign * voltage)
    even = np.linspace(at[0], at[-1], 4 * KNOTS)
    smooth, slope = spline(even), spline.derivative()(even)
    noise_v = float(np.sqrt(np.mean((spline(at) - sign * voltage) ** 2)))
    floor = max(1e-3 * float(np.ptp(smooth)) / float(at[-1] - at[0]), 1e-9)
    rising = np.maximum.accumulate(smooth + 1e-9 * np.arange(len(smooth)))
    low, high = np.ceil(rising[0] / grid_v) * grid_v, np.floor(rising[-1] / grid_v) * grid_v
    grid = np.arange(low, high + grid_v / 2, grid_v)
    if len(grid) < LEAST_POINTS // 2:
        raise WindowMissing("the voltage hardly moved: nothing to differentiate")
    # dQ/dV from charge in each step of the grid: exact in sum however flat the plateau, then calmed by Savitzky and Golay's parabola
    inverse = np.interp(np.r_[grid - grid_v / 2, grid[-1] + grid_v / 2], rising, even)
    stepped = np.diff(inverse) / grid_v
    ica = savgol_filter(stepped, 5, 2) if len(stepped) >= 5 else stepped
    c_rate = usual / nominal_ah
    notes = (f"{c_rate:.2g} C: above {BLUR_C_RATE:g} C polarisation shifts and blurs the peaks",) if c_rate > BLUR_C_RATE else ()
    order = slice(None) if sign > 0 else slice(None, None, -1)
    return Curves((sign * grid)[order], np.maximum(ica, 0.0)[order], even, np.maximum(slope, floor), noise_v, c_rate, notes)


def peaks(at: Floats, height: Floats, *, prominent: float = PROMINENT) -> list[Peak]:
    """Of a curve on an even grid, in the order of ``at``; the ends are no peaks."""
    if len(at) < 5:
        return []
    step = float(at[1] - at[0])
    tops, told = find_peaks(height, prominence=prominent * float(height.max()), width=1)
    found = []
    for number, top in enumerate(tops):
        left, right = round(float(told["left_ips"][number])), round(float(told["right_ips"][number]))
        area = float(np.trapezoid(height[left : right + 1], dx=step))
        shift = _vertex(height[top - 1], height[top], height[top + 1]) if 0 < top < len(at) - 1 else 0.0
        found.append(
            Peak(
                float(at[top] + shift * step),
                float(height[top]),
                float(told["prominences"][number]),
                float(told["widths"][number]) * step,
                area,
            )
        )
    return found


def tracked(before: list[Peak], now: list[Peak], *, farthest: float = FARTHEST_V) -> list[tuple[Peak, Peak | None]]:
    """Each peak of a reference beside the one that it has become: the pairs of least movement, in order (peaks do not pass one another);
    None where it is gone or moved farther than ``farthest`` (unit of ``at``)."""
    cost = np.full((len(before) + 1, len(now) + 1), np.inf)
    cost[0, :] = 0.0
    choice = np.zeros(cost.shape, dtype=np.int8)
    for i in range(1, len(before) + 1):
        for j in range(len(now) + 1):
            lost = cost[i - 1, j] + farthest
            moved = cost[i - 1, j - 1] + abs(before[i - 1].at - now[j - 1].at) if j else np.inf
            skipped = cost[i, j - 1] if j else np.inf
            near = j > 0 and abs(before[i - 1].at - now[j - 1].at) <= farthest
            ways = (lost, moved if near else np.inf, skipped)
            choice[i, j] = int(np.argmin(ways))
            cost[i, j] = ways[choice[i, j]]
    found: list[tuple[Peak, Peak | None]] = []
    i, j = len(before), len(now)
    while i:
        step = choice[i, j]
        if step == 0:
            found.append((before[i - 1], None))
            i -= 1
        elif step == 1:
            found.append((before[i - 1], now[j - 1]))
            i, j = i - 1, j - 1
        else:
            j -= 1
    return found[::-1]


def _binned(charge_ah: Floats, voltage_v: Floats) -> tuple[Floats, Floats]:
    """Medians of equal stretches of charge: spikes fall out, and a thousand samples cost no more than a hundred."""
    count = min(KNOTS, len(charge_ah) // 3) if len(charge_ah) > 2 * KNOTS else len(charge_ah)
    which = np.minimum((charge_ah / charge_ah[-1] * count).astype(np.int64), count - 1)
    order = np.unique(which)
    at = np.array([float(charge_ah[which == one].mean()) for one in order])
    middle = np.array([float(np.median(voltage_v[which == one])) for one in order])
    keep = np.r_[True, np.diff(at) > 1e-9]
    return at[keep], middle[keep]


def _longest(wanted: np.ndarray) -> tuple[int, int]:
    """The longest run of what is wanted, single others in between forgiven."""
    held = wanted.copy()
    held[1:-1] |= wanted[:-2] & wanted[2:]
    edges = np.flatnonzero(np.diff(np.r_[0, held.astype(np.int8), 0]))
    if not len(edges):
        return 0, 0
    begins, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - begins))
    return int(begins[best]), int(ends[best])


def _vertex(left: float, middle: float, right: float) -> float:
    """Where the parabola through three even points has its top, in steps from the middle one."""
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(np.clip((left - right) / (2 * bend), -0.5, 0.5))
