"""Extended and unscented Kalman filter on an equivalent circuit of a cell, for many traces at once.

Nine states: state of charge; the lagging currents of two RC pairs; hysteresis (−1 to 1); the current sensor's offset; logarithms
of what the
ohmic and the lagging resistances are against the table; what the open-circuit curve is off here; the logarithm of the capacity
against the told one.

    V = OCV(soc) + M·h + e^r·g(T)·R0·i + e^d·g(T)·(R1·x1 + R2·x2) + b + noise          i = measured − offset, capacities per hour

``b`` keeps its value while the state of charge stands still and forgets it as it moves: an error of the curve is the same at every
sample of
a rest, so that a thousand of them are worth one. Without it a filter believes itself certain on the plateau of LFP.
Resistances and capacity in the state make it a joint filter. The unscented form takes central differences (Nørgaard, Poulsen, Ravn,
Automatica 36, 2000; Ito and Xiong, 2000), whose variances cannot turn negative; hysteresis is Plett's one-state model (J. Power
Sources 134, 2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bms_bridge.soc.cells import CellKind
from bms_bridge.soc.ocv import Floats

Method = Literal["ekf", "ukf"]
SOC, FAST, SLOW, HYSTERESIS, OFFSET, OHMIC, LAGGING, CURVE, CAPACITY = range(9)
STATES: Final = 9

GAS_J_PER_MOL_K: Final = 8.314462618
REFERENCE_K: Final = 298.15
CORRELATED_S: Final = 1800.0
"""Errors of the load's voltage and of the curve's steps stay about so long: so many samples are worth one."""
NOISE_S: Final = 60.0
OUTLIER: Final = 3.0
DOUBT_AFTER: Final = 20
DOUBT_SOC: Final = 0.15
CURVE_LEARNS: Final = 0.5
"""Share of a rest's larger error of the curve that is taken over for what it may be off from now on; a smaller one: a tenth of it."""
REOPENED: Final = 3.0
MOST_CURVE_V: Final = 0.25
LOST_SD: Final = 0.4
_STEP = float(np.sqrt(3.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What is believed before the first sample, one number per trace [n]: mean and standard deviation of the state of charge (NaN:
    nothing
    is known), of the offset in capacities per hour, of the logarithms of resistances and capacity."""

    soc: Floats
    soc_sd: Floats
    offset: Floats
    offset_sd: Floats
    capacity: Floats
    capacity_sd: Floats
    ohmic: Floats
    lagging: Floats
    resistance_sd: Floats


@dataclass(slots=True)
class Belief:
    """State [n, 9] and covariance [n, 9, 9]; ``outliers`` [n]: voltages in a row that the model did not expect; ``more_v2`` [n]: V²,
    variance of the curve's error beyond what the kind of cell says of it, as rests have shown it."""

    state: Floats
    cov: Floats
    outliers: NDArray[np.int64]
    more_v2: Floats


def begin(kind: CellKind, start: Start) -> Belief:
    """The belief before the first sample."""
    count = len(start.soc)
    state, cov = np.zeros((count, STATES)), np.zeros((count, STATES, STATES))
    known = np.isfinite(start.soc)
    state[:, SOC] = np.where(known, start.soc, 0.5)
    state[:, OFFSET] = start.offset
    state[:, OHMIC], state[:, LAGGING], state[:, CAPACITY] = start.ohmic, start.lagging, start.capacity
    spreads: dict[int, float | Floats] = {
        SOC: np.where(known, start.soc_sd, 0.4),
        FAST: 0.1,
        SLOW: 0.1,
        HYSTERESIS: 0.6,
        OFFSET: start.offset_sd,
        OHMIC: start.resistance_sd,
        LAGGING: start.resistance_sd,
        CURVE: kind.ocv_error_at(state[:, SOC]),
        CAPACITY: start.capacity_sd,
    }
    for place, spread in spreads.items():
        cov[:, place, place] = np.asarray(spread, dtype=np.float64) ** 2
    return Belief(state, cov, np.zeros(count, dtype=np.int64), np.zeros(count))


def place_by_voltage(kind: CellKind, belief: Belief, current_c: Floats, voltage_v: Floats, temperature_c: Floats) -> None:
    """Narrow the first belief by the first voltage over a grid of states of charge: no linear step bridges a plateau's ends."""
    here = np.isfinite(voltage_v) & np.isfinite(current_c)
    grid = np.linspace(0.0, 1.0, 401)
    warm = _warmth(kind, temperature_c)[:, None]
    current = np.where(here, current_c, 0.0)[:, None]
    load = (kind.ohmic_v_per_c + 0.5 * (kind.fast_v_per_c + kind.slow_v_per_c)) * warm * current
    shifted = (kind.shift_soc * kind.curve.slope(grid))[None, :]
    wrong_v2 = kind.ocv_error_at(grid)[None, :] ** 2 + belief.more_v2[:, None]
    spread = 2 * wrong_v2 + shifted**2 + kind.noise_v**2 + kind.hysteresis_v**2 + (0.5 * load) ** 2 + 0.01 * current**2
    miss = voltage_v[:, None] - kind.curve.voltage(grid)[None, :] - load
    before = -0.5 * (grid[None, :] - belief.state[:, SOC, None]) ** 2 / belief.cov[:, SOC, SOC, None]
    # A voltage far from all that is believed wins over the belief: heavy tails for what was told.
    weight = np.logaddexp(before, -3.5) - 0.5 * np.minimum(miss**2 / spread, 60.0) - 0.5 * np.log(spread)
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight @ grid
    variance = np.maximum(weight @ grid**2 - mean**2, 1e-5)
    belief.state[:, SOC] = np.where(here, mean, belief.state[:, SOC])
    belief.cov[:, SOC, SOC] = np.where(here, variance, belief.cov[:, SOC, SOC])


def advance(kind: CellKind, belief: Belief, current_c: Floats, step_s: Floats, unknown_soc2: Floats, *, method: Method) -> None:
    """One step of time with the mean current over it [n], capacities per hour. ``unknown_soc2``: variance that the charge gains because
    the current was not fully seen."""
    hours = step_s / 3600
    if method == "ukf":
        root = _root(belief.cov) * _STEP
        plus = _moved(kind, belief.state[:, None, :] + np.swapaxes(root, 1, 2), current_c[:, None], step_s[:, None])
        minus = _moved(kind, belief.state[:, None, :] - np.swapaxes(root, 1, 2), current_c[:, None], step_s[:, None])
        half = (plus - minus) / (2 * _STEP)
        state = _moved(kind, belief.state, current_c, step_s)
        cov = np.swapaxes(half, 1, 2) @ half
    else:
        true = current_c - belief.state[:, OFFSET]
        faster, slower = np.exp(-step_s / kind.fast_s), np.exp(-step_s / kind.slow_s)
        turning, forgetting = _turning(kind, true, hours), _forgetting(kind, true, hours)
        moving = np.zeros_like(belief.cov)
        for place, factor in ((FAST, faster), (SLOW, slower), (HYSTERESIS, turning), (CURVE, forgetting)):
            moving[:, place, place] = factor
        for place in (SOC, OFFSET, OHMIC, LAGGING, CAPACITY):
            moving[:, place, place] = 1.0
        per_c = hours * np.exp(-belief.state[:, CAPACITY])
        moving[:, SOC, OFFSET] = -per_c
        moving[:, SOC, CAPACITY] = -true * per_c
        moving[:, FAST, OFFSET] = faster - 1
        moving[:, SLOW, OFFSET] = slower - 1
        state = _moved(kind, belief.state, current_c, step_s)
        cov = moving @ belief.cov @ np.swapaxes(moving, 1, 2)
    true = current_c - state[:, OFFSET]
    forgetting = _forgetting(kind, true, hours)
    moved = np.abs(true) * hours
    cov[:, SOC, SOC] += unknown_soc2 + 1e-9 * step_s / 10 + (0.003 * moved) ** 2
    load = np.exp(state[:, LAGGING]) * kind.slow_v_per_c * np.abs(state[:, SLOW])
    load = load + 0.3 * np.exp(state[:, OHMIC]) * kind.ohmic_v_per_c * np.abs(true)
    wrong_v2 = kind.ocv_error_at(state[:, SOC]) ** 2 + belief.more_v2
    cov[:, CURVE, CURVE] += (wrong_v2 + (kind.load_share * load) ** 2) * (1 - forgetting**2)
    cov[:, HYSTERESIS, HYSTERESIS] += 0.02 * np.minimum(moved / kind.hysteresis_soc, 1.0)
    cov[:, OFFSET, OFFSET] += (5e-4) ** 2 * hours
    cov[:, OHMIC, OHMIC] += 0.02**2 * hours + (0.10**2) * moved
    cov[:, LAGGING, LAGGING] += 0.02**2 * hours + (0.15**2) * moved
    cov[:, CAPACITY, CAPACITY] += (2e-4) ** 2 * hours
    belief.state, belief.cov = state, cov
    belief.state[:, SOC] = np.clip(belief.state[:, SOC], -0.03, 1.03)


def see_voltage(
    kind: CellKind, belief: Belief, current_c: Floats, voltage_v: Floats, temperature_c: Floats, step_s: Floats, *, method: Method
) -> None:
    """Correct the belief by one voltage [n]; NaN: none. Voltages that nobody expects count little; many in a row widen the belief."""
    here = np.isfinite(voltage_v) & np.isfinite(current_c)
    current = np.where(here, current_c, 0.0)
    warm = _warmth(kind, temperature_c)
    if method == "ukf":
        root = _root(belief.cov) * _STEP
        centre = _expected(kind, belief.state, current, warm)
        plus = _expected(kind, belief.state[:, None, :] + np.swapaxes(root, 1, 2), current[:, None], warm[:, None])
        minus = _expected(kind, belief.state[:, None, :] - np.swapaxes(root, 1, 2), current[:, None], warm[:, None])
        half = (plus - minus) / (2 * _STEP)
        bend = (plus + minus - 2 * centre[:, None]) / (2 * _STEP**2)
        mean = centre + bend.sum(axis=1)
        cross = np.einsum("nij,nj->ni", root / _STEP, half)
        variance = (half**2).sum(axis=1) + 2 * (bend**2).sum(axis=1)
    else:
        gradient = _gradient(kind, belief.state, current, warm)
        cross = np.einsum("nij,nj->ni", belief.cov, gradient)
        mean = _expected(kind, belief.state, current, warm)
        spread = np.sqrt(np.maximum(belief.cov[:, SOC, SOC], 0.0))
        bend = 0.5 * (
            kind.curve.voltage(belief.state[:, SOC] + spread)
            + kind.curve.voltage(belief.state[:, SOC] - spread)
            - 2 * kind.curve.voltage(belief.state[:, SOC])
        )
        variance = np.einsum("ni,ni->n", cross, gradient) + 2 * bend**2
    load = np.abs(np.exp(belief.state[:, OHMIC]) * warm * kind.ohmic_v_per_c * current)
    shifted = kind.shift_soc * np.abs(kind.curve.slope(belief.state[:, SOC]))
    often = np.clip(CORRELATED_S / np.maximum(step_s, 1.0), 1.0, CORRELATED_S)
    often_noise = np.clip(NOISE_S / np.maximum(step_s, 1.0), 1.0, NOISE_S)
    noise = kind.noise_v**2 * often_noise + ((kind.load_share * load) ** 2 + shifted**2) * often
    total = variance + noise
    miss = np.where(here, voltage_v - mean, 0.0)
    size = np.abs(miss) / np.sqrt(total)
    odd = size > OUTLIER
    total = np.where(odd, total * (size / OUTLIER) ** 2, total)
    gain = np.where(here[:, None], cross / total[:, None], 0.0)
    belief.state = belief.state + gain * miss[:, None]
    belief.cov = belief.cov - gain[:, :, None] * gain[:, None, :] * total[:, None, None]
    belief.outliers = np.where(here, np.where(odd, belief.outliers + 1, 0), belief.outliers)
    doubt = belief.outliers >= DOUBT_AFTER
    _settle(belief)
    belief.cov[:, SOC, SOC] += np.where(doubt, DOUBT_SOC**2, 0.0)
    belief.outliers[doubt] = 0


def see_charge(kind: CellKind, belief: Belief, soc: Floats, soc_sd: Floats) -> None:
    """Correct the belief by a known state of charge [n], as at the end of a full charge; NaN: none."""
    here = np.isfinite(soc)
    cross = belief.cov[:, :, SOC]
    miss = np.where(here, soc - belief.state[:, SOC], 0.0)
    total = np.maximum(belief.cov[:, SOC, SOC] + soc_sd**2, (miss / OUTLIER) ** 2)
    gain = np.where(here[:, None], cross / total[:, None], 0.0)
    far = here & (np.abs(miss) > OUTLIER * np.sqrt(belief.cov[:, SOC, SOC] + soc_sd**2))
    belief.state = belief.state + gain * miss[:, None]
    belief.cov = belief.cov - gain[:, :, None] * gain[:, None, :] * total[:, None, None]
    # An anchor that the filter did not expect wins: what it believed of the charge was wrong.
    if far.any():
        belief.state[far, SOC] = soc[far]
        belief.cov[far, SOC, :] = 0.0
        belief.cov[far, :, SOC] = 0.0
        belief.cov[far, SOC, SOC] = soc_sd[far] ** 2
        # What drew the charge away was most likely the curve: of its error nothing is known any more.
        wrong_v2 = kind.ocv_error_at(belief.state[:, SOC]) ** 2 + belief.more_v2
        belief.state[far, CURVE] = 0.0
        belief.cov[far, CURVE, :] = 0.0
        belief.cov[far, :, CURVE] = 0.0
        belief.cov[far, CURVE, CURVE] = REOPENED**2 * wrong_v2[far]
    _settle(belief)


def see_curve(kind: CellKind, belief: Belief, resting: NDArray[np.bool_]) -> None:
    """Learn from the error of the curve that rests [n] show how far it may be off at other charges: at once upwards, slowly downwards."""
    expected = kind.ocv_error_at(belief.state[:, SOC]) ** 2 + belief.more_v2
    shown = np.minimum(belief.state[:, CURVE] ** 2 + 0.5 * belief.cov[:, CURVE, CURVE], MOST_CURVE_V**2)
    rate = np.where(shown > expected, CURVE_LEARNS, 0.1 * CURVE_LEARNS)
    learned = np.maximum(belief.more_v2 + rate * (shown - expected), 0.0)
    belief.more_v2 = np.where(resting, learned, belief.more_v2)


def renew_curve(kind: CellKind, belief: Belief) -> None:
    """Another curve holds from now on: nothing is known of its error yet."""
    belief.state[:, CURVE] = 0.0
    belief.cov[:, CURVE, :] = 0.0
    belief.cov[:, :, CURVE] = 0.0
    belief.cov[:, CURVE, CURVE] = kind.ocv_error_at(belief.state[:, SOC]) ** 2
    belief.more_v2 = np.zeros_like(belief.more_v2)


def lose(belief: Belief, lost: NDArray[np.bool_]) -> None:
    """Forget the state of charge [n] where too much may have flowed unseen: the next voltage places it anew."""
    if lost.any():
        belief.cov[lost, SOC, :] = 0.0
        belief.cov[lost, :, SOC] = 0.0
        belief.cov[lost, SOC, SOC] = LOST_SD**2
        belief.cov[lost, FAST, FAST] = belief.cov[lost, SLOW, SLOW] = 0.1**2
        belief.outliers[lost] = 0


def see_rest(belief: Belief, current_c: Floats, current_sd: float) -> None:
    """Correct the offset by what the sensor says while nothing flows [n], capacities per hour; NaN: no rest."""
    here = np.isfinite(current_c)
    cross = belief.cov[:, :, OFFSET]
    miss = np.where(here, current_c - belief.state[:, OFFSET], 0.0)
    total = np.maximum(belief.cov[:, OFFSET, OFFSET] + current_sd**2, (miss / OUTLIER) ** 2)
    gain = np.where(here[:, None], cross / total[:, None], 0.0)
    belief.state = belief.state + gain * miss[:, None]
    belief.cov = belief.cov - gain[:, :, None] * gain[:, None, :] * total[:, None, None]
    _settle(belief)


def _settle(belief: Belief) -> None:
    belief.state[:, SOC] = np.clip(belief.state[:, SOC], -0.03, 1.03)
    belief.state[:, HYSTERESIS] = np.clip(belief.state[:, HYSTERESIS], -1.0, 1.0)
    belief.state[:, OHMIC] = np.clip(belief.state[:, OHMIC], -3.0, 3.0)
    belief.state[:, LAGGING] = np.clip(belief.state[:, LAGGING], -3.0, 3.0)
    belief.state[:, CAPACITY] = np.clip(belief.state[:, CAPACITY], -1.6, 0.4)
    belief.cov = 0.5 * (belief.cov + np.swapaxes(belief.cov, 1, 2))
    places = np.arange(STATES)
    belief.cov[:, places, places] = np.maximum(belief.cov[:, places, places], 1e-12)


def _warmth(kind: CellKind, temperature_c: Floats) -> Floats:
    """What resistances are against 25 °C (Arrhenius); unknown temperatures count as 25 °C."""
    kelvin = np.clip(np.where(np.isfinite(temperature_c), temperature_c, 25.0), -40.0, 90.0) + 273.15
    return np.asarray(np.exp(kind.activation_j_per_mol / GAS_J_PER_MOL_K * (1 / kelvin - 1 / REFERENCE_K)))


def _turning(kind: CellKind, current: Floats, hours: Floats) -> Floats:
    return np.asarray(np.exp(-np.abs(current) * hours / kind.hysteresis_soc))


def _forgetting(kind: CellKind, current: Floats, hours: Floats) -> Floats:
    return np.asarray(np.exp(-np.abs(current) * hours / kind.ocv_error_soc))


def _moved(kind: CellKind, state: Floats, current_c: Floats, step_s: Floats) -> Floats:
    hours = step_s / 3600
    true = current_c - state[..., OFFSET]
    faster, slower = np.exp(-step_s / kind.fast_s), np.exp(-step_s / kind.slow_s)
    turning = _turning(kind, true, hours)
    after = state.copy()
    after[..., SOC] = state[..., SOC] + true * hours * np.exp(-state[..., CAPACITY])
    after[..., FAST] = faster * state[..., FAST] + (1 - faster) * true
    after[..., SLOW] = slower * state[..., SLOW] + (1 - slower) * true
    after[..., HYSTERESIS] = turning * state[..., HYSTERESIS] + (1 - turning) * np.sign(true)
    after[..., CURVE] = _forgetting(kind, true, hours) * state[..., CURVE]
    return after


def load_v(kind: CellKind, belief: Belief, current_c: Floats, temperature_c: Floats) -> Floats:
    """V that current and hysteresis add to the voltage at rest, as believed [n]."""
    current = np.where(np.isfinite(current_c), current_c, 0.0)
    whole = _expected(kind, belief.state, current, _warmth(kind, temperature_c))
    return np.asarray(whole - kind.curve.voltage(belief.state[:, SOC]) - belief.state[:, CURVE])


def _expected(kind: CellKind, state: Floats, current_c: Floats, warm: Floats) -> Floats:
    lagging = kind.fast_v_per_c * state[..., FAST] + kind.slow_v_per_c * state[..., SLOW]
    return np.asarray(
        kind.curve.voltage(state[..., SOC])
        + kind.hysteresis_v * state[..., HYSTERESIS]
        + np.exp(state[..., OHMIC]) * warm * kind.ohmic_v_per_c * (current_c - state[..., OFFSET])
        + np.exp(state[..., LAGGING]) * warm * lagging
        + state[..., CURVE]
    )


def _gradient(kind: CellKind, state: Floats, current_c: Floats, warm: Floats) -> Floats:
    ohmic = np.exp(state[:, OHMIC]) * warm * kind.ohmic_v_per_c
    lagging = np.exp(state[:, LAGGING]) * warm
    gradient = np.zeros_like(state)
    gradient[:, SOC] = kind.curve.slope(state[:, SOC])
    gradient[:, FAST] = lagging * kind.fast_v_per_c
    gradient[:, SLOW] = lagging * kind.slow_v_per_c
    gradient[:, HYSTERESIS] = kind.hysteresis_v
    gradient[:, OFFSET] = -ohmic
    gradient[:, OHMIC] = ohmic * (current_c - state[:, OFFSET])
    gradient[:, LAGGING] = lagging * (kind.fast_v_per_c * state[:, FAST] + kind.slow_v_per_c * state[:, SLOW])
    gradient[:, CURVE] = 1.0
    return gradient


def _root(cov: Floats) -> Floats:
    """A lower root of each covariance; rounding is mended on the diagonal."""
    scale = np.sqrt(np.maximum(np.einsum("nii->ni", cov), 1e-12))
    tidy = cov / (scale[:, :, None] * scale[:, None, :])
    for mend in (1e-9, 1e-6, 1e-3):
        try:
            return np.asarray(np.linalg.cholesky(tidy + mend * np.eye(STATES)) * scale[:, :, None])
        except np.linalg.LinAlgError:
            continue
    values, vectors = np.linalg.eigh(tidy)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 1e-9))[:, None, :] * scale[:, :, None])
