"""The voltage after a step of the current as a distribution of relaxation times, and impedance over frequency from it (pseudo-EIS).

    V(t)/ΔI = R₀ + Σ Rᵢ (1 − e^(−t/τᵢ)) + drift·t,  all ≥ 0, τᵢ on an even grid of logarithms  --non-negative least squares-->  Rᵢ

    Z(ω) = R₀ + Σ Rᵢ / (1 + jωτᵢ)

Only what the step could show is told: times from half of its first sample to its last one, frequencies of these times. What is faster
than the first sample lies in R₀. Source: Gavrilyuk, Osinkin and Bronin, "On a variation of the Tikhonov regularization method for
calculating the distribution function of relaxation times in impedance spectroscopy", Electrochimica Acta 2020 (the kernel, and why a
penalty is needed); here Tikhonov's penalty on the second difference, as heavy as leaves the residual near to the voltage's noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from bms_bridge.features import WindowMissing
from bms_bridge.features.pulses import Step
from bms_bridge.features.samples import Floats, Samples

PER_DECADE = 6
PENALTIES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
LEAST_POINTS = 8
MOST_POINTS = 300


@dataclass(frozen=True, slots=True)
class Relaxation:
    """``ohmic_ohm``: at once; ``times_s`` [n] and ``parts_ohm`` [n]: the distribution; ``residual_ohm``: root mean square of what it
    leaves; ``noise_ohm``: of the samples; ``fastest_s``, ``slowest_s``: what the step could show."""

    ohmic_ohm: float
    times_s: Floats
    parts_ohm: Floats
    residual_ohm: float
    noise_ohm: float
    fastest_s: float
    slowest_s: float

    def after(self, since_s: Floats) -> Floats:
        """[k] Ω so long after a step, without the drift."""
        return np.asarray(self.ohmic_ohm + (1 - np.exp(-since_s[:, None] / self.times_s)) @ self.parts_ohm)


def relaxation(samples: Samples, step: Step) -> Relaxation:
    """Of one step. WindowMissing: it was held or sampled too little."""
    end = int(np.searchsorted(samples.time_s, step.time_s + step.hold_s, side="right"))
    held = samples.rows(slice(step.row + 1, end))
    since = held.time_s - float(samples.time_s[step.row])
    if len(since) < LEAST_POINTS or since[-1] < 4 * since[0]:
        raise WindowMissing(f"{len(since)} samples within {step.hold_s:.0f} s after a step are too few for relaxation times")
    answer = (held.voltage_v - samples.voltage_v[step.row]) / step.change_a
    if len(since) > MOST_POINTS:
        chosen = np.unique(np.geomspace(1, len(since), MOST_POINTS).astype(np.int64)) - 1
        since, answer = since[chosen], answer[chosen]
    fastest, slowest = float(since[0]) / 2, float(since[-1])
    times = np.geomspace(fastest, slowest, max(int(np.ceil(PER_DECADE * np.log10(slowest / fastest))), 4))
    scale = float(np.abs(answer).max()) or 1.0
    kernel = np.hstack([np.ones((len(since), 1)), 1 - np.exp(-since[:, None] / times), since[:, None] / slowest])
    bend = np.zeros((len(times), kernel.shape[1]))
    for row in range(len(times)):
        for offset, weight in ((-1, 1.0), (0, -2.0), (1, 1.0)):
            if 0 <= row + offset < len(times):
                bend[row, 1 + row + offset] = weight
    noise = _noise(answer)
    best: NDArray[np.float64] | None = None
    left = float("inf")
    for penalty in PENALTIES:
        weight = np.sqrt(penalty * len(since))
        found, _ = nnls(np.vstack([kernel, weight * bend]), np.r_[answer / scale, np.zeros(len(times))])
        off = float(np.sqrt(np.mean((kernel @ found - answer / scale) ** 2))) * scale
        if best is None or off < 0.9 * left:
            best, left = found, off
        if off <= 1.05 * noise:
            break
    assert best is not None
    return Relaxation(float(best[0]) * scale, times, best[1:-1] * scale, left, noise, fastest, slowest)


def impedance(found: Relaxation, frequencies_hz: Floats | None = None) -> tuple[Floats, NDArray[np.complex128]]:
    """(Hz [n], Ω [n]) from the slowest to the fastest that the step could show; others are refused by NaN."""
    low, high = 1 / (2 * np.pi * found.slowest_s), 1 / (2 * np.pi * found.fastest_s)
    hertz = np.geomspace(low, high, 24) if frequencies_hz is None else np.asarray(frequencies_hz, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        told = found.ohmic_ohm + np.sum(found.parts_ohm / (1 + 2j * np.pi * hertz[:, None] * found.times_s), axis=1)
    outside = (hertz < low * 0.999) | (hertz > high * 1.001)
    return hertz, np.where(outside, np.nan + 0j, told)


def _noise(answer: Floats) -> float:
    """Deviation of the samples' noise, from second differences of the later half (where the curve is nearly straight)."""
    late = answer[len(answer) // 2 :]
    if len(late) < 5:
        return 0.0
    return float(np.median(np.abs(np.diff(late, 2))) / 0.6745 / np.sqrt(6.0))
