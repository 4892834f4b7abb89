"""State of Safety: one number from 1 (sound) to 0 (runaway), and the stage of a runaway, from temperature and conversion. Pure.

    SoS = 1 − Σ w_i·α_i − λ·max(0, T − T_onset) / (T_trigger − T_onset)        clipped to 0..1

The weights are not the shares of heat, by which SoS 0.5 comes a minute or two before the end: what happens early counts more. With
them SoS 0.5 came 21, 11 and 4 min before the runaway in ovens of 150, 155 and 180 °C; the price is that a cell in an oven of 130 °C, which
does not run away, comes to about 0.5 too. In a depot a cell of 130 °C is an emergency all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from bms_bridge.ect.kinetics import KELVIN, Kinetics
from bms_bridge.ect.model import Array

WEIGHTS: Final[Mapping[str, float]] = {"sei": 0.3, "anode": 0.4, "cathode": 0.2, "electrolyte": 0.1}
"""w_i, Σ = 1. A cathode of two steps shares its weight between them."""

LAMBDA: Final = 0.5
ONSET_C: Final = 90.0
TRIGGER_C: Final = 210.0
"""Of the failure databank's heated cells without an internal short nine of ten ran away above it. Of those with one three of four
did so below, from about 80 °C: for those this number comes too late, and the rules for voltage, dT/dt, insulation and gas must catch
them."""

GATE_C: Final = 70.0
"""Nothing is integrated below. At 45 °C the film would be eaten up within 105 days and the anode by 1.9 % a year, which in a real cell
are ageing and re-growth, no damage to safety."""

DERATE_BELOW: Final = 0.8
TRIP_BELOW: Final = 0.5

SEI_C: Final = 80.0
SEPARATOR_C: Final = 130.0
_MOLTEN = 0.1


def state_of_safety(kinetics: Kinetics, state: Array, temperature_k: Array) -> Array:
    """SoS of each cell, 0 to 1."""
    hot = np.maximum(0.0, temperature_k - (KELVIN + ONSET_C)) / (TRIGGER_C - ONSET_C)
    score: Array = 1.0 - LAMBDA * hot
    for row, (reaction, weight) in enumerate(zip(kinetics.reactions, weights(kinetics), strict=True)):
        score -= np.fmin(np.fmax(state[row] * (weight / reaction.span), 0.0), weight)
    return np.fmin(np.fmax(score, 0.0), 1.0)


def weights(kinetics: Kinetics) -> tuple[float, ...]:
    """w_i in the order of the set's reactions."""
    names = [reaction.name.partition("_")[0] for reaction in kinetics.reactions]
    return tuple(WEIGHTS[name] / names.count(name) for name in names)


def stages(state: Array, temperature_k: Array, self_heating_k_per_s: Array) -> npt.NDArray[np.int8]:
    """0: below all of it. 1: the film decomposes, the cell begins to warm itself. 2: the separator melts, gas comes. 3: runaway."""
    melting = (temperature_k >= KELVIN + SEPARATOR_C) | (state[-2] >= _MOLTEN)
    away = (temperature_k >= KELVIN + TRIGGER_C) | (self_heating_k_per_s >= 1.0)
    found = np.where(away, 3, np.where(melting, 2, np.where(temperature_k >= KELVIN + SEI_C, 1, 0)))
    return found.astype(np.int8)
