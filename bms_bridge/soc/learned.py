"""A small taught estimator of the state of charge: ridge regression on random features of a sample and its recent past. For comparison.

    traces with a known state of charge --teach--> Taught --say--> state of charge with one constant interval

It knows no cell, no charge counted and no anchor: what it says of a cell of another kind is worth what its teachers were. No model ships.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.soc import TraceRefused
from bms_bridge.soc.estimate import Samples
from bms_bridge.soc.ocv import Floats

PASTS_S: Final = (60.0, 600.0, 3600.0)
RANDOM_FEATURES: Final = 300
MOST_ROWS: Final = 20_000
RIDGE: Final = 3e-4


@dataclass(frozen=True, slots=True)
class Taught:
    """Numbers only: mean and spread of the inputs [9], random directions [9, k] and shifts [k], weights [1 + 9 + k],
    half of a 90 % interval."""

    mean: Floats
    spread: Floats
    directions: Floats
    shifts: Floats
    weights: Floats
    half: float

    def say(self, samples: Samples) -> tuple[Floats, Floats, Floats]:
        """State of charge, low and high end of the 90 % interval [n, m]; NaN where current or voltage is missing."""
        inputs = _inputs(samples)
        said = np.clip(_expanded(inputs, self.mean, self.spread, self.directions, self.shifts) @ self.weights, 0.0, 1.0)
        return said, np.clip(said - self.half, 0.0, 1.0), np.clip(said + self.half, 0.0, 1.0)


def teach(samples: Samples, soc: Floats, *, seed: int = 0) -> Taught:
    """Learn from traces [n, m] with known states of charge. A quarter of the traces is kept apart for the interval. TraceRefused:
    fewer than four traces."""
    count = len(soc)
    if count < 4:
        raise TraceRefused(f"{count} traces are too few to teach an estimator: at least 4 are needed")
    random = np.random.default_rng(seed)
    inputs = _inputs(samples)
    apart = np.zeros(count, dtype=bool)
    apart[:: 4 if count >= 8 else 3] = True
    good = np.isfinite(inputs).all(axis=2) & np.isfinite(soc)
    rows = np.argwhere(good & ~apart[:, None])
    rows = rows[random.permutation(len(rows))[:MOST_ROWS]]
    known, target = inputs[rows[:, 0], rows[:, 1]], soc[rows[:, 0], rows[:, 1]]
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    directions = random.normal(0, 0.7, (known.shape[1], RANDOM_FEATURES))
    shifts = random.uniform(-2, 2, RANDOM_FEATURES)
    wide = _expanded(known, mean, spread, directions, shifts)
    weights = np.linalg.solve(wide.T @ wide + RIDGE * len(wide) * np.eye(wide.shape[1]), wide.T @ target)
    kept = good & apart[:, None]
    off = np.abs(np.clip(_expanded(inputs[kept], mean, spread, directions, shifts) @ weights, 0, 1) - soc[kept])
    return Taught(mean, spread, directions, shifts, np.asarray(weights), float(np.quantile(off, 0.9)))


def _inputs(samples: Samples) -> Floats:
    """[n, m, 9]: voltage, current, temperature, and what current and voltage were in the last minute, ten minutes, hour."""
    steps = np.zeros_like(samples.time_s)
    steps[:, 1:] = np.nan_to_num(np.diff(samples.time_s, axis=1))
    current, voltage = np.nan_to_num(samples.current_c), samples.voltage_v
    held = np.where(np.isfinite(voltage), voltage, np.nanmean(voltage, axis=1, keepdims=True))
    columns = [voltage, samples.current_c, np.nan_to_num(samples.temperature_c, nan=25.0)]
    for values in (current, held):
        for past in PASTS_S:
            share = 1 - np.exp(-steps / past)
            smooth = np.empty_like(values)
            smooth[:, 0] = values[:, 0]
            for place in range(1, values.shape[1]):
                smooth[:, place] = smooth[:, place - 1] + share[:, place] * (values[:, place] - smooth[:, place - 1])
            columns.append(smooth)
    return np.stack(columns, axis=2)


def _expanded(inputs: Floats, mean: Floats, spread: Floats, directions: Floats, shifts: Floats) -> Floats:
    plain = (inputs - mean) / spread
    return np.concatenate([np.ones((*plain.shape[:-1], 1)), plain, np.tanh(plain @ directions + shifts)], axis=-1)
