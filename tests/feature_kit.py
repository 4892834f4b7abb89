"""An invented cell for the tests of features: an open-circuit curve with two steps, a resistance, two RC pairs. Nothing was measured."""

from __future__ import annotations

import numpy as np

from bms_bridge.features.samples import Floats, Samples, ordered

OHM, PAIRS = 0.030, ((0.015, 0.6), (0.020, 12.0))
PEAKS_V = (3.55, 3.85)


def open_v(soc: Floats) -> Floats:
    """Two plateaus at :data:`PEAKS_V`, so that dQ/dV has two peaks there."""
    grid = np.linspace(3.0, 4.25, 3_000)
    density = 0.15 + sum(np.exp(-(((grid - at) / 0.04) ** 2)) for at in PEAKS_V)
    share = np.cumsum(density) / density.sum()
    return np.asarray(np.interp(soc, share, grid))


def flow(time_s: Floats, current_a: Floats, *, capacity_ah: float = 2.0, soc: float = 0.5, pairs: bool = True) -> Floats:
    """Terminal voltage for a current that stands from each time to the next one."""
    steps = np.diff(time_s, prepend=time_s[0])
    held = np.r_[current_a[0], current_a[:-1]]
    charge = soc + np.cumsum(held * steps) / 3600 / capacity_ah
    voltage = open_v(charge) + OHM * current_a
    for ohm, tau in PAIRS if pairs else ():
        over, at = np.zeros(len(time_s)), 0.0
        for row in range(len(time_s)):
            decay = np.exp(-steps[row] / tau)
            at = at * decay + ohm * held[row] * (1 - decay)
            over[row] = at
        voltage = voltage + over
    return np.asarray(voltage)


def pulse(*, step_s: float = 0.1, rest_s: float = 20.0, hold_s: float = 40.0, amps: float = 4.0, noise_v: float = 0.0) -> Samples:
    """Rest, a charging pulse, rest."""
    time_s = np.arange(0.0, 2 * rest_s + hold_s, step_s)
    current_a = np.where((time_s >= rest_s) & (time_s < rest_s + hold_s), amps, 0.0)
    voltage = flow(time_s, current_a, capacity_ah=50.0) + np.random.default_rng(3).normal(0, noise_v, len(time_s)) if noise_v else None
    return ordered(time_s, current_a, flow(time_s, current_a, capacity_ah=50.0) if voltage is None else voltage)


def charge(
    *, capacity_ah: float = 2.0, step_s: float = 5.0, cut_off_v: float = 4.2, amps: float = 1.0, ohm: float = 0.06, begin: float = 0.02
) -> Samples:
    """Constant current to the cut-off voltage, then constant voltage until the current is 0.05 A; a rest of a minute on both sides."""
    time_s, current_a, voltage_v, at, now = [0.0], [0.0], [float(open_v(np.array([begin]))[0])], begin, 0.0
    for row in range(13):
        time_s.append(5.0 * (row + 1))
        current_a.append(0.0)
        voltage_v.append(voltage_v[0])
    now = time_s[-1]
    flowing = amps
    while flowing > 0.05:
        inner = float(open_v(np.array([at]))[0])
        flowing = min(amps, (cut_off_v - inner) / ohm)
        now += step_s
        time_s.append(now)
        current_a.append(flowing)
        voltage_v.append(inner + flowing * ohm)
        at += flowing * step_s / 3600 / capacity_ah
    return ordered(np.array(time_s), np.array(current_a), np.array(voltage_v))
