"""The model run forward: cells in an oven, and cells that lose no heat, until they run away.

    ovens_to_runaway(kinetics, [150, 155, …])       the published test: an 18650 put into a hot oven
    adiabatic(kinetics, temperatures, heating)      how long until runaway when no heat leaves and something else heats as well

Runaway is when the reactions alone warm the cell by :data:`RUNAWAY_K_PER_S`. Every lane has time steps of its own, short enough that
its temperature moves by no more than ``step_k``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.ect.kinetics import KELVIN, Kinetics
from bms_bridge.ect.model import Array, advance, fresh

RUNAWAY_K_PER_S: Final = 1.0
"""The rate that GB 38031-2025 C.5.3.7 takes for a runaway, here of the reactions alone."""

STEP_K: Final = 0.1
_FIRST_S = 1e-2
_GROWTH = 1.5
_STEFAN = 5.670374419e-8


@dataclass(frozen=True, slots=True)
class Outcome:
    """Per lane: when it ran away, s (inf: not within the horizon), how hot it was then or at most, °C."""

    runaway_s: Array
    peak_c: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class CellInOven:
    """A lumped 18650 as the oven tests have it: convection and radiation over its whole surface."""

    radius_m: float = 0.009
    length_m: float = 0.065
    density_kg_m3: float = 2580.0
    convection_w_m2_k: float = 7.17
    emissivity: float = 0.8

    @property
    def surface_m2_kg(self) -> float:
        """Surface per kg of cell."""
        return (2.0 / self.radius_m + 2.0 / self.length_m) / self.density_kg_m3


def ovens_to_runaway(
    kinetics: Kinetics, ovens_c: Sequence[float], *, cell: CellInOven | None = None, start_c: float = 28.0, horizon_s: float = 7200.0
) -> Outcome:
    """A cell of ``start_c`` put into each oven."""
    body = cell or CellInOven()
    oven_k = np.asarray(ovens_c, dtype=float) + KELVIN

    def around(temperature_k: Array) -> Array:
        flux = body.convection_w_m2_k * (oven_k - temperature_k) + body.emissivity * _STEFAN * (oven_k**4 - temperature_k**4)
        warming: Array = flux * body.surface_m2_kg / kinetics.heat_capacity_j_kg_k
        return warming

    return _run(kinetics, np.full(len(oven_k), start_c + KELVIN), around, horizon_s=horizon_s, most_s=2.0)


def adiabatic(
    kinetics: Kinetics, temperatures_c: Array, heating_k_per_s: Array | float = 0.0, *, charge: float = 0.0, horizon_s: float = 1e7
) -> Outcome:
    """Cells of these temperatures, unspent, that lose nothing, while something else (current, a short) heats them at a steady rate.
    ``charge``: state of charge for the short circuit that follows a molten separator; 0 leaves that out."""
    start = np.asarray(temperatures_c, dtype=float) + KELVIN
    heating = np.broadcast_to(np.asarray(heating_k_per_s, dtype=float), start.shape)
    return _run(kinetics, start, lambda _: heating, horizon_s=horizon_s, most_s=horizon_s / 50.0, charge=charge)


def _run(
    kinetics: Kinetics, start_k: Array, around: Callable[[Array], Array], *, horizon_s: float, most_s: float, charge: float = 0.0
) -> Outcome:
    state = fresh(kinetics, len(start_k))
    temperature, time = start_k.copy(), np.zeros(len(start_k))
    peak, step = start_k.copy(), np.full(len(start_k), _FIRST_S)
    runaway = np.full(len(start_k), np.inf)
    going = np.ones(len(start_k), dtype=bool)
    while going.any():
        step = np.where(going, np.minimum(step, horizon_s - time), 0.0)
        heat = advance(kinetics, state, temperature, step, charge=charge) / kinetics.heat_capacity_j_kg_k
        outside = around(temperature)
        temperature = temperature + heat + outside * step
        time += step
        peak = np.maximum(peak, temperature)
        own = heat / np.where(going, step, 1.0)
        away = going & (own >= RUNAWAY_K_PER_S)
        runaway[away] = time[away]
        going &= ~away & (time < horizon_s)
        wanted = STEP_K / np.maximum(np.abs(own + outside), 1e-12)
        step = np.clip(np.minimum(wanted, step * _GROWTH), 1e-6, most_s)
    return Outcome(runaway, peak - KELVIN)
