"""A particle filter for each pack, all packs at once: what its history of health says of the curve that it follows.

    prior, history (cycles, health, its deviation) --step by step: weigh, resample, move--> 6-number curves [pack, particle]

Resampling as of Liu and West (2001): a pack whose weights have become uneven draws its particles anew, each moved a little towards their
mean and then at random, so that mean and spread stay what they were. Packs with fewer rows of history have NaN at the end of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bms_bridge.life.fade import HIGHEST, LOWEST, SIZE, Floats, cycles_to, soh_at
from bms_bridge.life.history import Word

Index = NDArray[np.intp]

KEPT = 0.97
"""How much of a particle's distance from the mean stays when it is moved (Liu and West's a)."""
UNEVEN_SHARE = 0.5
"""Weights are uneven where so few particles count of all."""
TAIL = 4.0
"""Degrees of freedom of a miss: an estimate may be far off, and one alone does not overrule all others."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """``shapes`` [pack, particle, 6] and ``weights`` [pack, particle], which sum to one for each pack."""

    shapes: Floats
    weights: Floats


def filtered(drawn: Floats, cycles: Floats, soh: Floats, deviation: Floats, *, rng: np.random.Generator) -> Cloud:
    """The cloud after all rows of the history.

    ``drawn`` [pack, particle, 6]: from the prior. ``cycles``, ``soh``, ``deviation`` [pack, row]: health after these cycles and its
    standard
    deviation (shares of nominal); rows with a NaN say nothing.
    """
    shapes, weights = drawn.copy(), np.full(drawn.shape[:2], 1.0 / drawn.shape[1])
    for row in range(cycles.shape[1]):
        there = np.flatnonzero(np.isfinite(cycles[:, row]) & np.isfinite(soh[:, row]) & np.isfinite(deviation[:, row]))
        if not len(there):
            continue
        off = (soh_at(shapes[there], cycles[there, row, None]) - soh[there, row, None]) / deviation[there, row, None]
        told = -0.5 * (TAIL + 1) * np.log1p(off * off / TAIL)
        with np.errstate(divide="ignore"):
            logs = np.log(weights[there]) + told
        made = np.exp(logs - logs.max(axis=1, keepdims=True))
        made /= made.sum(axis=1, keepdims=True)
        uneven = 1.0 / np.square(made).sum(axis=1) < UNEVEN_SHARE * made.shape[1]
        weights[there] = made
        again = there[uneven]
        if len(again):
            shapes[again] = moved(shapes[again], weights[again], rng)
            weights[again] = 1.0 / made.shape[1]
    return Cloud(shapes, weights)


def heeded(drawn: Floats, words: Sequence[Word], many: int, rng: np.random.Generator) -> Floats:
    """``many`` curves for each pack, chosen of ``drawn`` [pack, more, 6] by how well they fit its word: what is known before any history
    counts. Curves as of the prior, with the word's life."""
    level, life, spread = (np.array([getattr(word, name) for word in words])[:, None] for name in ("soh", "cycles", "deviation"))
    off = (np.log(cycles_to(drawn, np.broadcast_to(level, drawn.shape[:2]))) - np.log(life)) / spread
    logs = -0.5 * (TAIL + 1) * np.log1p(off * off / TAIL)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    made = moved(drawn, weights, rng)
    return np.asarray(made[:, rng.permutation(drawn.shape[1])[:many]], dtype=np.float64)


def moved(shapes: Floats, weights: Floats, rng: np.random.Generator) -> Floats:
    """As many particles again, of the same weight: drawn by their weights, moved with the spread that they have."""
    packs, many, _ = shapes.shape
    mean = np.einsum("pk,pkd->pd", weights, shapes)
    off = shapes - mean[:, None, :]
    spread = np.einsum("pk,pki,pkj->pij", weights, off, off) + 1e-10 * np.eye(SIZE)
    root = np.linalg.cholesky(spread)
    chosen = np.take_along_axis(shapes, _systematic(weights, rng)[..., None], axis=1)
    chance = np.einsum("pij,pkj->pki", root, rng.standard_normal((packs, many, SIZE)))
    new = mean[:, None, :] + KEPT * (chosen - mean[:, None, :]) + np.sqrt(1 - KEPT**2) * chance
    return np.asarray(np.clip(new, LOWEST, HIGHEST), dtype=np.float64)


def _systematic(weights: Floats, rng: np.random.Generator) -> Index:
    packs, many = weights.shape
    edges = np.cumsum(weights, axis=1)
    edges[:, -1] = 1.0
    at = (rng.random((packs, 1)) + np.arange(many)) / many
    # one sorted line for all packs: pack p lives in [p, p + 1)
    lifted = (edges + np.arange(packs)[:, None]).ravel()
    found = np.searchsorted(lifted, (at + np.arange(packs)[:, None]).ravel()).reshape(packs, many)
    return np.asarray(np.clip(found - many * np.arange(packs)[:, None], 0, many - 1), dtype=np.intp)


def quantiles(values: Floats, weights: Floats, shares: tuple[float, ...]) -> Floats:
    """[pack, share] of ``values`` [pack, particle] by weight."""
    order = np.argsort(values, axis=1)
    ranked, heavy = np.take_along_axis(values, order, axis=1), np.take_along_axis(weights, order, axis=1)
    before = np.cumsum(heavy, axis=1) - 0.5 * heavy
    return np.array([np.interp(shares, line, told) for line, told in zip(before, ranked, strict=True)])
