"""The shape of capacity fade: a power law from the first cycle, and a knee after which it goes faster.

    six numbers --soh_at(cycles)--> state of health;  --cycles_to(soh)--> the cycle at which it is reached

        u = n / T          soh(n) = s₀ − A·uᵇ − G·ω·ln(1 + e^((u − 1)/ω))

T is the cycle of the knee, A what the power law has taken until then, G the loss in each further T cycles, ω how soft the knee is. The
curve
falls in every case: A, b, G, ω and T are exponentials of free numbers. Arrays have any shape, with the six numbers along the last axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NAMES = ("soh_when_new", "ln_knee_cycles", "ln_power_loss", "ln_power", "ln_knee_loss", "ln_softness")
SIZE = len(NAMES)
LOWEST = np.array([0.3, 1.0, -9.0, -1.6, -9.0, -3.5])
HIGHEST = np.array([1.4, 11.0, 1.5, 1.6, 3.0, 0.7])
"""Numbers beyond these are held at them: no pack is like that, and exponentials stay finite."""
MOST_CYCLES = 1e5
"""Further ahead nothing is told."""
_HALVINGS = 9


def soh_at(shape: Floats, cycles: Floats) -> Floats:
    """State of health after ``cycles``; ``shape`` [..., 6] and ``cycles`` [...] are broadcast against each other."""
    return _fallen_at(_parts_of(shape), np.log(np.maximum(cycles, 1e-3)))


def cycles_to(shape: Floats, soh: Floats | float, *, start: Floats | float = 0.0) -> Floats:
    """The first cycle from ``start`` on at which the curve is at or below ``soh``; at most :data:`MOST_CYCLES`."""
    parts = _parts_of(shape)
    low = np.log(np.maximum(np.broadcast_to(np.asarray(start, dtype=np.float64), shape.shape[:-1]), 1.0))
    high = np.full(low.shape, np.log(MOST_CYCLES))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = _fallen_at(parts, middle) > soh
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    # what is left is nearly straight
    over, under = _fallen_at(parts, low) - soh, soh - _fallen_at(parts, high)
    inside = (over > 0) & (under >= 0)
    share = np.where(inside, over / np.maximum(over + under, 1e-12), np.where(under >= 0, 0.0, 1.0))
    return np.asarray(np.exp(low + share * (high - low)), dtype=np.float64)


def _parts_of(shape: Floats) -> tuple[Floats, ...]:
    """New health, ln T, ln A, b, G·ω, 1/ω."""
    held = np.minimum(np.maximum(shape, LOWEST), HIGHEST)
    new, knee, loss, power, after, soft = (held[..., place] for place in range(SIZE))
    return new, knee, loss, np.exp(power), np.exp(after + soft), np.exp(-soft)


def _fallen_at(parts: tuple[Floats, ...], ln_cycles: Floats) -> Floats:
    new, knee, loss, power, after, sharp = parts
    ln_u = ln_cycles - knee
    with np.errstate(invalid="ignore"):  # rows that a pack does not have
        bend = (np.exp(ln_u) - 1.0) * sharp
        soft = np.maximum(bend, 0.0) + np.log1p(np.exp(-np.abs(bend)))
    return np.asarray(new - np.exp(loss + power * ln_u) - after * soft, dtype=np.float64)
