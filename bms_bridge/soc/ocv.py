"""Open-circuit voltage of a cell over its state of charge: a rising curve through knots, shipped or learned from a slow charge.

    knots (soc, V) --OcvCurve--> voltage(soc), slope(soc), soc_of(V)
    a slow charge, or a charge and a discharge --fit_ocv--> knots + how far the curve may be off

Beyond 0 and 1 a curve goes on in a straight, steep line, so that an estimate that left the range is drawn back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from bms_bridge.soc import CurveRefused

Floats = NDArray[np.float64]

STEP = 0.001
BEYOND = 0.1
_LEAST_SLOPE_V = 1e-3
_OUTER_SLOPE_V = 2.0
KNOTS = 41
LEAST_SPAN = 0.6
"""Share of the capacity that a slow charge must pass through before a curve is learned from it."""


@dataclass(frozen=True, slots=True)
class OcvCurve:
    """Knots: ``soc`` rising within 0..1 [n], ``volts`` rising [n], V per cell. CurveRefused: they do not rise, or are too few."""

    soc: tuple[float, ...]
    volts: tuple[float, ...]
    _table: Floats = field(init=False, repr=False, compare=False)
    _slopes: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        soc, volts = np.asarray(self.soc, dtype=np.float64), np.asarray(self.volts, dtype=np.float64)
        if len(soc) != len(volts) or len(soc) < 4 or not (np.isfinite(soc).all() and np.isfinite(volts).all()):
            raise CurveRefused("an open-circuit curve needs at least four knots, each with a state of charge and a voltage")
        if (np.diff(soc) <= 0).any() or (np.diff(volts) < 0).any() or soc[0] < -1e-9 or soc[-1] > 1 + 1e-9:
            raise CurveRefused("an open-circuit curve must rise: states of charge from 0 to 1, voltages never falling")
        if soc[0] > 0.05 or soc[-1] < 0.95:
            raise CurveRefused("an open-circuit curve must reach from 0 to 1 (5 % at either end may be missing)")
        grid = np.linspace(-BEYOND, 1 + BEYOND, round((1 + 2 * BEYOND) / STEP) + 1)
        inner = np.clip(grid, soc[0], soc[-1])
        table = PchipInterpolator(soc, volts)(inner) + _LEAST_SLOPE_V * inner
        table -= _LEAST_SLOPE_V * 0.5
        table += _OUTER_SLOPE_V * (grid - np.clip(grid, soc[0], soc[-1]))
        object.__setattr__(self, "_table", table)
        object.__setattr__(self, "_slopes", np.gradient(table, STEP))

    def voltage(self, soc: Floats) -> Floats:
        """V at these states of charge (any shape)."""
        return self._at(self._table, soc)

    def slope(self, soc: Floats) -> Floats:
        """V per whole charge at these states of charge."""
        return self._at(self._slopes, soc)

    def soc_of(self, volts: Floats) -> Floats:
        """State of charge (0 to 1) at which a rested cell has these voltages."""
        grid = np.linspace(-BEYOND, 1 + BEYOND, len(self._table))
        return np.clip(np.interp(volts, self._table, grid), 0.0, 1.0)

    @staticmethod
    def _at(table: Floats, soc: Floats) -> Floats:
        place = np.clip((soc + BEYOND) / STEP, 0, len(table) - 1.001)
        low = place.astype(np.int64)
        share = place - low
        return table[low] * (1 - share) + table[low + 1] * share


def from_electrodes(
    positive: Callable[[Floats], Floats], negative: Callable[[Floats], Floats], window: tuple[float, float, float, float]
) -> OcvCurve:
    """The curve of a cell from published potentials of its electrodes (V over stoichiometry).

    ``window``: stoichiometry of the negative at 0 and 1, of the positive at 0 and 1.
    """
    soc = np.concatenate([[0.0, 0.005, 0.01, 0.02, 0.03], np.linspace(0.04, 0.96, 93), [0.97, 0.98, 0.99, 0.995, 1.0]])
    volts = positive(window[2] + (window[3] - window[2]) * soc) - negative(window[0] + (window[1] - window[0]) * soc)
    return OcvCurve(tuple(soc.tolist()), tuple(np.maximum.accumulate(volts).tolist()))


@dataclass(frozen=True, slots=True)
class OcvFit:
    """A learned curve. ``capacity_ah``: of the cell, as counted; ``resistance_v_per_c``: what was taken off for the current, V at one
    capacity per hour (NaN: charge and discharge were averaged); ``error_v``: one standard deviation of what the curve may be off."""

    curve: OcvCurve
    capacity_ah: float
    resistance_v_per_c: float
    error_v: float
    notes: tuple[str, ...]


def fit_ocv(
    time_s: Floats,
    current_a: Floats,
    voltage_v: Floats,
    *,
    resistance_ohm: float | None = None,
    capacity_ah: float | None = None,
) -> OcvFit:
    """Learn the curve of a cell from one slow charge from empty to full, or from a charge and a discharge (the better way).

    Arrays [n]: s, A (charging positive), V per cell. With both directions the mean, weighted by the other one's current, takes the
    resistance out. With one, the voltage is corrected by ``resistance_ohm``, or by 0.08 V at one capacity per hour.
    ``capacity_ah``: of the cell, where the charge did not begin at empty. CurveRefused: too short, too fast, or nothing rises.
    """
    there = np.isfinite(time_s) & np.isfinite(current_a) & np.isfinite(voltage_v)
    time_s, current_a, voltage_v = time_s[there], current_a[there], voltage_v[there]
    if len(time_s) < 50:
        raise CurveRefused(f"only {len(time_s)} whole samples: a curve needs at least 50 over one slow charge")
    up = _longest(current_a > 0.02 * np.abs(current_a).max())
    down = _longest(current_a < -0.02 * np.abs(current_a).max())
    sides = {name: _side(time_s, current_a, voltage_v, part) for name, part in (("charge", up), ("discharge", down))}
    passed = {name: side[0][-1] for name, side in sides.items() if side is not None}
    if not passed:
        raise CurveRefused("no charge and no discharge of at least 30 samples was found; currents must be positive while charging")
    most = max(passed.values())
    capacity = capacity_ah or most
    used = [name for name, charge in passed.items() if charge >= LEAST_SPAN * capacity]
    if not used:
        raise CurveRefused(f"the longest charge passes {most:.3g} Ah: a curve needs at least {LEAST_SPAN:.0%} of {capacity:.3g} Ah")
    grid = np.unique(np.concatenate([[0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06], np.linspace(0.08, 0.96, KNOTS - 10), [0.98, 0.99, 1.0]]))
    volts, rates = {}, {}
    for name in used:
        side = sides[name]
        assert side is not None
        own = passed[name] if capacity_ah is None else capacity
        charge, current, voltage = side
        soc = charge / own if name == "charge" else 1 - charge / own
        order = np.argsort(soc, kind="stable")
        volts[name] = np.interp(grid, soc[order], voltage[order])
        rates[name] = np.interp(grid, soc[order], np.abs(current[order])) / own
    fastest = max(float(np.median(rate)) for rate in rates.values())
    if fastest > 1.5:
        raise CurveRefused(f"{fastest:.1f} capacities per hour are too fast for a curve: charge at a fifth or slower")
    notes = []
    if len(used) == 2:
        share = rates["charge"] / np.maximum(rates["charge"] + rates["discharge"], 1e-9)
        found = volts["charge"] * (1 - share) + volts["discharge"] * share
        resistance, error = float("nan"), 0.004 + 0.03 * fastest
    else:
        sign = 1 if used[0] == "charge" else -1
        resistance = 0.08 if resistance_ohm is None else resistance_ohm * capacity
        found = volts[used[0]] - sign * resistance * rates[used[0]]
        error = 0.006 + (0.06 if resistance_ohm is None else 0.03) * fastest
        notes.append(f"only a {used[0]}: the resistance was {'assumed' if resistance_ohm is None else 'told'}, not measured")
    if fastest > 0.2:
        notes.append(f"{fastest:.2f} capacities per hour are fast for a curve: a fifth or slower is better")
    curve = OcvCurve(tuple(grid.tolist()), tuple(np.maximum.accumulate(found).tolist()))
    if curve.volts[-1] - curve.volts[0] < 0.2:
        raise CurveRefused("the voltage hardly rises over the charge: is it that of one cell?")
    return OcvFit(curve, float(capacity), resistance, error, tuple(notes))


def _longest(flags: NDArray[np.bool_]) -> slice:
    """The longest stretch of true flags; single false ones do not end it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (flags | (np.roll(flags, 1) & np.roll(flags, -1))).astype(np.int8), [0]])))
    if not len(edges):
        return slice(0, 0)
    lengths = edges[1::2] - edges[::2]
    best = int(lengths.argmax())
    return slice(int(edges[2 * best]), int(edges[2 * best + 1]))


def _side(time_s: Floats, current_a: Floats, voltage_v: Floats, part: slice) -> tuple[Floats, Floats, Floats] | None:
    if part.stop - part.start < 30:
        return None
    time, current, voltage = time_s[part], current_a[part], voltage_v[part]
    charge = np.concatenate([[0.0], np.cumsum(np.abs(mean_current(current)) * np.diff(time))]) / 3600
    return charge, current, voltage


def mean_current(current: Floats) -> Floats:
    """Mean of a current between samples (last axis): logarithmic where a charging current falls steadily, as in a constant-voltage
    phase told seldom; else the plain mean. A current that goes up and down (driving) has no logarithmic mean: it would be counted short."""
    before, after = current[..., :-1], current[..., 1:]
    plain = 0.5 * (before + after)
    with np.errstate(all="ignore"):
        ratio = after / before
        logarithmic = (after - before) / np.log(ratio)
    falls = (after > 0) & (ratio > 0.02) & (ratio < 0.9)
    # Where it fell before, or goes on to fall, by about the same share.
    share = np.log(np.where(falls, ratio, 1.0))
    again = np.zeros_like(falls)
    alike = falls[..., :-1] & falls[..., 1:] & (np.abs(share[..., 1:] - share[..., :-1]) < 0.25 * np.abs(share[..., 1:] + share[..., :-1]))
    again[..., :-1] |= alike
    again[..., 1:] |= alike
    return np.asarray(np.where(falls & again & np.isfinite(logarithmic), logarithmic, plain), dtype=np.float64)


def thinned_knots(curve: OcvCurve, soc: Sequence[float]) -> tuple[float, ...]:
    """Voltages of a curve at few states of charge, rounded to a millivolt: a table that can be read."""
    return tuple(round(float(volt), 3) for volt in curve.voltage(np.asarray(soc, dtype=np.float64)))
