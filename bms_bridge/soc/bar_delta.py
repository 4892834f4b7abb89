"""Each cell of a pack as a small difference to the pack's mean: the mean gets the whole filter, a cell a cheap one of three states.

    mean of the cells --estimate.follow--> Track;  cells' voltages − mean --differences--> state of charge of each cell, with a deviation

After Plett, "Efficient battery pack state estimation using bar-delta filtering" (EVS24, 2009). States of a cell: difference in
state of charge,
in resistance (V at one capacity per hour), and in the logarithm of capacity. All cells of a pack at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.soc.cells import CellKind
from bms_bridge.soc.ocv import Floats

CHARGE, RESISTANCE, CAPACITY = range(3)
CELL_NOISE_V: Final = 0.003
CURVE_V: Final = 0.002
"""How far curves of cells of one pack differ; the same over long times, so that samples add little."""
CORRELATED_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Differences:
    """Of each cell [cells]: difference to the mean at the end, one standard deviation; ``soc`` [n, cells] over time where it was asked
    for, else empty. ``resistance_v_per_c`` to the mean; ``capacity``: ratio to the mean."""

    delta_soc: Floats
    delta_soc_sd: Floats
    resistance_v_per_c: Floats
    capacity: Floats
    delta_over_time: Floats


@dataclass(frozen=True, slots=True)
class CellsMark:
    """Where the cells of a pack were left: states [cells, 3], their covariances, and the time of the last sample (s, NaN: none)."""

    state: Floats
    cov: Floats
    time_s: float


def begin_cells(count: int, *, spread: float = 0.03) -> CellsMark:
    """Before the first sample. ``spread``: of the cells' states of charge beforehand."""
    cov = np.zeros((count, 3, 3))
    cov[:, CHARGE, CHARGE], cov[:, RESISTANCE, RESISTANCE], cov[:, CAPACITY, CAPACITY] = spread**2, 0.02**2, 0.02**2
    return CellsMark(np.zeros((count, 3)), cov, float("nan"))


def differences(
    kind: CellKind, time_s: Floats, current_c: Floats, mean_soc: Floats, cells_v: Floats, *, spread: float = 0.03, keep: bool = False
) -> Differences:
    """Follow the cells' differences. ``mean_soc`` [n]: the pack's, as estimated; ``cells_v`` [n, cells], NaN: missing;
    ``current_c`` [n] capacities
    per hour. ``spread``: of the cells' states of charge beforehand."""
    return cells_on(kind, begin_cells(cells_v.shape[1], spread=spread), time_s, current_c, mean_soc, cells_v, keep=keep)[0]


def cells_on(
    kind: CellKind, mark: CellsMark, time_s: Floats, current_c: Floats, mean_soc: Floats, cells_v: Floats, *, keep: bool = False
) -> tuple[Differences, CellsMark]:
    """The same from where the cells were left; the mark that is given is not changed."""
    count = cells_v.shape[1]
    state, cov = mark.state.copy(), mark.cov.copy()
    over = np.zeros((len(time_s) if keep else 0, count))
    held = np.nan_to_num(current_c)
    moving = np.tile(np.eye(3), (count, 1, 1))
    last_s = mark.time_s
    for place in range(len(time_s)):
        step = float(time_s[place]) - last_s if np.isfinite(last_s) else 0.0
        last_s = float(time_s[place])
        passed = float(held[place]) * step / 3600
        state[:, CHARGE] -= passed * state[:, CAPACITY]
        moving[:, CHARGE, CAPACITY] = -passed
        cov = moving @ cov @ np.swapaxes(moving, 1, 2)
        cov[:, CHARGE, CHARGE] += (2e-4) ** 2 * step / 3600
        cov[:, RESISTANCE, RESISTANCE] += (5e-4) ** 2 * step / 3600
        soc = float(mean_soc[place])
        here = np.isfinite(cells_v[place]) & np.isfinite(soc) & np.isfinite(current_c[place])
        if here.sum() >= 2:
            own = np.clip(soc + state[:, CHARGE], -0.05, 1.05)
            slope = kind.curve.slope(own)
            expected = kind.curve.voltage(own) - float(kind.curve.voltage(np.array([soc]))[0]) + held[place] * state[:, RESISTANCE]
            volts = np.where(here, cells_v[place], 0.0)
            miss = volts - volts[here].mean() - (expected - expected[here].mean())
            often = max(CORRELATED_S / max(step, 1.0), 1.0)
            noise = CELL_NOISE_V**2 * max(60.0 / max(step, 1.0), 1.0) + (CURVE_V**2 + (0.004 * slope) ** 2) * often
            gradient = np.stack([slope, np.full(count, held[place]), np.zeros(count)], axis=1)
            cross = np.einsum("nij,nj->ni", cov, gradient)
            total = np.einsum("ni,ni->n", cross, gradient) + noise
            miss = np.where(here, miss, 0.0)
            total = np.maximum(total, (miss / 4.0) ** 2)
            gain = np.where(here[:, None], cross / total[:, None], 0.0)
            state = state + gain * miss[:, None]
            cov = cov - gain[:, :, None] * gain[:, None, :] * total[:, None, None]
        if keep:
            over[place] = state[:, CHARGE]
    found = Differences(
        delta_soc=state[:, CHARGE],
        delta_soc_sd=np.sqrt(np.maximum(cov[:, CHARGE, CHARGE], 0.0)),
        resistance_v_per_c=state[:, RESISTANCE],
        capacity=np.exp(state[:, CAPACITY]),
        delta_over_time=over,
    )
    return found, CellsMark(state, cov, last_s)
