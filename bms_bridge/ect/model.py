"""One step of all reactions in any number of cells at once.

    state = fresh(kinetics, n)        heat = advance(kinetics, state, temperature_k, dt_s)        J per kg of cell in that step

The state has a row per reaction with what has been converted of its reactant (the film's row: what it has lost, net of what
grew again), then the molten share of the separator and the discharged share of the charge; a column per cell. Temperature is given:
measured in a depot, integrated in :mod:`bms_bridge.ect.runaway`. Within a step it is constant, and each reaction is solved on its
own by formulas that no step is too long for: no share leaves 0 to 1. What has been converted is kept rather than what is left, which
keeps slow rates in single precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bms_bridge.ect.kinetics import Kind, Kinetics, Reaction, Separator

Array = npt.NDArray[np.floating[Any]]

_AT_ONCE = 13.0
"""ln of a rate in 1/s beyond which all is gone within any step; keeps squares in the range of single precision."""


def rows(kinetics: Kinetics) -> int:
    """How many rows a state has."""
    return len(kinetics.reactions) + 2


def fresh(kinetics: Kinetics, cells: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """The state of ``cells`` cells in which nothing has happened yet."""
    return np.zeros((rows(kinetics), cells), dtype=dtype)


def advance(kinetics: Kinetics, state: Array, temperature_k: Array, dt_s: Array | float, *, charge: Array | float = 0.0) -> Array:
    """Let ``dt_s`` pass at ``temperature_k``; ``state`` is changed in place. ``charge``: state of charge that an internal short would
    set free once the separator melts; 0: that term is off. Returns the heat of the step, J per kg of cell."""
    inverse = 1.0 / temperature_k
    film, anode, *others = kinetics.reactions
    lost = _anode_lost(anode, film, state, temperature_k, inverse, dt_s)
    heat = anode.heat_j_kg * lost
    decomposed = _film_lost(film, state[0], inverse, dt_s, film.regrowth * lost)
    heat += film.heat_j_kg * decomposed
    state[1] += lost
    for row, reaction in enumerate(others, start=2):
        heat += reaction.heat_j_kg * _converted(reaction, state[row], inverse, dt_s)
    heat += _shorted(kinetics, state, inverse, dt_s, charge)
    return heat


def self_heating_k_per_s(kinetics: Kinetics, state: Array, temperature_k: Array, *, charge: Array | float = 0.0) -> Array:
    """How fast the reactions alone warm the cells now, K/s."""
    tiny_s = 1e-3
    return advance(kinetics, state.copy(), temperature_k, tiny_s, charge=charge) / (tiny_s * kinetics.heat_capacity_j_kg_k)


def conversions(kinetics: Kinetics, state: Array) -> dict[str, Array]:
    """Share of each reaction that has happened, 0 to 1."""
    return {r.name: np.clip(state[row] / r.span, 0.0, 1.0) for row, r in enumerate(kinetics.reactions)}


def _gone(rate_dt: Array) -> Array:
    """1 − exp(−a) to the third order, from 0 to 1 for every a, exact for small ones also in single precision, and several times faster."""
    grown = rate_dt * (1.0 + rate_dt * (0.5 + rate_dt * (1.0 / 6.0)))
    gone: Array = grown / (1.0 + grown)
    return gone


def _rate_dt(reaction: Reaction | Separator, inverse: Array, dt_s: Array | float) -> Array:
    """k·dt, cut off where it means "at once"."""
    rate_dt: Array = np.exp(np.minimum(reaction.ln_a - reaction.ea_over_r * inverse, _AT_ONCE)) * dt_s
    return rate_dt


def _anode_lost(anode: Reaction, film: Reaction, state: Array, temperature_k: Array, inverse: Array, dt_s: Array | float) -> Array:
    done = state[1]
    left = anode.start - done
    if anode.kind is Kind.ANODE:
        # with x as it is, z grows by z_scale·ln(1 + y): here to the third order, above it for large y, and never by more than is left
        exponent = anode.ln_a - anode.ea_over_r * inverse - (anode.z_start + done) * (1.0 / anode.z_scale)
        y = np.exp(np.minimum(exponent, _AT_ONCE)) * left * (dt_s / anode.z_scale)
        grown: Array = anode.z_scale * (y * (6.0 + y) / (6.0 + 4.0 * y))
        return np.asarray(np.minimum(grown, left))
    ln_a = np.where(temperature_k >= anode.hot_from_k, anode.ln_a_hot, anode.ln_a).astype(temperature_k.dtype)
    exponent = ln_a - anode.ea_over_r * inverse - np.maximum(film.start - state[0], 0.0)
    return np.asarray(left * _gone(np.exp(exponent) * dt_s))


def _film_lost(film: Reaction, done: Array, inverse: Array, dt_s: Array | float, regrown: Array) -> Array:
    """What decomposes of the film, while ``regrown`` of it grows at a steady rate. ``done`` is changed in place."""
    rate_dt = _rate_dt(film, inverse, dt_s)
    gone = _gone(rate_dt)
    left = film.start - done
    if film.regrowth == 0.0:
        decomposed: Array = left * gone
        done += decomposed
        return decomposed
    # x' = s − k·x: what was there decays, what grows decays on its way
    change = regrown * gone / np.maximum(rate_dt, 1e-30) - left * gone
    done -= change
    return np.asarray(regrown - change)


def _converted(reaction: Reaction, done: Array, inverse: Array, dt_s: Array | float) -> Array:
    """What one of the other reactions converts. ``done`` is changed in place."""
    gone = _gone(_rate_dt(reaction, inverse, dt_s))
    if reaction.kind is Kind.AUTOCATALYTIC:
        alpha = reaction.start + done
        rest = (1.0 - alpha) * gone
        step: Array = alpha * rest / (1.0 - rest)
    else:
        step = (reaction.start - done) * gone
    done += step
    return step


def _shorted(kinetics: Kinetics, state: Array, inverse: Array, dt_s: Array | float, charge: Array | float) -> Array:
    """The separator melts; where it has, the charge comes out. J per kg of cell."""
    separator = kinetics.separator
    molten, discharged = state[-2], state[-1]
    molten += (1.0 - molten) * _gone(_rate_dt(separator, inverse, dt_s))
    step = (1.0 - discharged) * _gone(molten * (dt_s / separator.short_over_s))
    discharged += step
    heat: Array = separator.electric_j_kg * charge * step
    return heat
