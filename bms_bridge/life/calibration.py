"""With which factors a fleet ages beside the table that plans count with: one for calendar, one for cycles.

    per pack: health, expected calendar and cycle loss so far --robust regression--> two factors --prior around one--> Factors

A pack's own health when new is its own number. Rows that lie far off count less (Huber). Rows of one pack resemble each other, so how
sure the
factors are is told by how packs differ (sandwich by pack). The prior is one with a spread of a half: where time and cycles cannot be told
apart, or little was lost, the factors stay near the table. They are held within a quarter and four.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import DataRefused
from depot.ageing import LEAST, MOST

Floats = NDArray[np.float64]

PRIOR_SPREAD = 0.5
LEAST_PACKS = 5
HUBER = 1.5
LEAST_DEVIATION = 0.003
ROUNDS = 30
BLIND = 1e-6
"""A direction with this share of the most information counts as unseen."""


@dataclass(frozen=True, slots=True)
class Factors:
    """``calendar``, ``cycle``: times what the table says; ``…_spread``: one standard deviation. ``bounded``: one was held at an end."""

    calendar: float
    cycle: float
    calendar_spread: float
    cycle_spread: float
    packs: int
    rows: int
    bounded: bool


def fit_factors(packs: NDArray[np.str_], calendar: Floats, cycle: Floats, soh: Floats, deviation: Floats) -> Factors:
    """Arrays have one element per row: the pack's name, what the table says it has lost by then in time and by cycles, its health and
    its standard
    deviation (shares of nominal). DataRefused: fewer than five packs with two rows."""
    _, which, counts = np.unique(packs, return_inverse=True, return_counts=True)
    twice = counts[which] > 1
    names, which = np.unique(packs[twice], return_inverse=True)
    if len(names) < LEAST_PACKS:
        raise DataRefused(
            f"{len(names)} packs with two rows or more are too few; at least {LEAST_PACKS} are needed to tell packs from chance"
        )
    expected, lost = np.column_stack([calendar, cycle])[twice], -soh[twice]
    base = 1.0 / np.square(np.maximum(deviation[twice], LEAST_DEVIATION))
    slopes, weight = np.ones(2), base
    for _ in range(ROUNDS):
        seen, said = _from_own_mean(expected, weight, which), _from_own_mean(lost[:, None], weight, which)[:, 0]
        bend = (seen * weight[:, None]).T @ seen
        back = np.linalg.pinv(bend, rcond=BLIND, hermitian=True)
        slopes = back @ ((seen * weight[:, None]).T @ said) + (np.eye(2) - back @ bend) @ np.ones(2)
        off = np.abs(said - seen @ slopes) * np.sqrt(base)
        usual = max(float(np.median(off)) / 0.6745, 1.0)
        weight = base * np.minimum(1.0, HUBER * usual / np.maximum(off, 1e-12))
    pulls = seen * (weight * (said - seen @ slopes))[:, None]
    by_pack = np.column_stack([np.bincount(which, weights=pulls[:, column]) for column in range(2)])
    packs_share = len(names) / max(len(names) - 2, 1)
    unsure = packs_share * back @ (by_pack.T @ by_pack) @ back + 1e-8 * np.eye(2) + 1e6 * (np.eye(2) - back @ bend)
    known, prior = np.linalg.inv(0.5 * (unsure + unsure.T)), np.eye(2) / PRIOR_SPREAD**2
    left = np.linalg.inv(known + prior)
    found = left @ (known @ slopes + prior @ np.ones(2))
    held = np.clip(found, LEAST, MOST)
    spread = np.sqrt(np.diag(left))
    return Factors(
        float(held[0]), float(held[1]), float(spread[0]), float(spread[1]), len(names), int(twice.sum()), bool((held != found).any())
    )


def _from_own_mean(values: Floats, weight: Floats, which: NDArray[np.intp]) -> Floats:
    """``values`` [row, column] less the weighted mean of their pack."""
    heavy = np.bincount(which, weights=weight)
    means = np.column_stack([np.bincount(which, weights=weight * values[:, column]) / heavy for column in range(values.shape[1])])
    return np.asarray(values - means[which], dtype=np.float64)
