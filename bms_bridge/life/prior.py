"""What whole lives say of curves to come: each life's own curve, the mean of each group, the spread of lives within groups.

    tracks --fitted: each life by least squares beside its group's mean--> again with the new means and spread --> Population

Empirical Bayes: a life that ended early or was measured little leans on the others of its group, a group of few lives on all groups. All
lives are fitted at once (Levenberg and Marquardt's steps on arrays).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bms_bridge.life.fade import HIGHEST, LOWEST, SIZE, Floats, soh_at
from bms_bridge.life.history import Rows, Track, as_rows

Index = NDArray[np.intp]

ROWS_OF_LIFE = 50
FIT_DEVIATION = 0.005
"""How far, as a share of nominal, a measured life may lie from its curve."""
ROUNDS, STEPS = 6, 20
BROAD = np.array([0.05, 0.7, 1.0, 0.5, 1.0, 0.6])
"""Spread of the six numbers before anything is known."""
LEAST_SPREAD = 0.01
LEAN = 1.0
"""The mean of all lives counts in a group's mean like so many lives."""
OWN_SHARE = 0.8
"""So much of a real life's distance from its group's mean is in each drawn curve; the rest is drawn from the spread."""


@dataclass(frozen=True, slots=True)
class Population:
    """``groups`` and ``means`` [group, 6]; ``lives`` [group]: how many; ``spread`` [6, 6]: covariance within groups; ``apart`` [life,
    6]: each life's
    distance from its group's mean."""

    groups: tuple[str, ...]
    means: Floats
    lives: Floats
    spread: Floats
    apart: Floats

    def drawn(self, groups: Sequence[str], particles: int, rng: np.random.Generator) -> Floats:
        """[pack, particle, 6] for packs of these groups. For a group that is not known each curve comes from any group, by its lives."""
        known = {name: place for place, name in enumerate(self.groups)}
        many = (len(groups), particles)
        where = np.repeat(np.array([known.get(name, -1) for name in groups], dtype=np.intp)[:, None], particles, axis=1)
        anyone = rng.choice(len(self.groups), size=many, p=self.lives / self.lives.sum())
        middle = self.means[np.where(where >= 0, where, anyone)]
        chance = rng.standard_normal((*many, SIZE)) @ np.linalg.cholesky(self.spread).T
        own = self.apart[rng.integers(0, len(self.apart), many)]
        return np.asarray(np.clip(middle + OWN_SHARE * own + np.sqrt(1 - OWN_SHARE**2) * chance, LOWEST, HIGHEST), dtype=np.float64)


def fit_population(tracks: Sequence[Track]) -> Population:
    """From lives with at least some fade; see the module."""
    rows = as_rows(tracks, ROWS_OF_LIFE)
    groups = tuple(sorted({track.group for track in tracks}))
    member = np.array([groups.index(track.group) for track in tracks], dtype=np.intp)
    shapes = _first_guess(rows)
    means = np.repeat(shapes.mean(axis=0)[None, :], len(groups), axis=0)
    spread = np.diag(BROAD**2)
    for _ in range(ROUNDS):
        shapes, unsure = _fit(rows, means[member], np.linalg.inv(spread), shapes)
        everyone = shapes.mean(axis=0)
        means = np.array([(shapes[member == g].sum(axis=0) + LEAN * everyone) / ((member == g).sum() + LEAN) for g in range(len(groups))])
        apart = shapes - means[member]
        spread = (apart.T @ apart + unsure.sum(axis=0)) / len(shapes) + LEAST_SPREAD**2 * np.eye(SIZE)
    return Population(groups, means, np.bincount(member, minlength=len(groups)).astype(np.float64), spread, apart)


def _first_guess(rows: Rows) -> Floats:
    last = np.nanmax(rows.cycles, axis=1)
    ones = np.ones(len(last))
    new = np.nanmax(rows.soh, axis=1)
    return np.column_stack(
        [new, np.log(np.maximum(last * 0.8, 5.0)), np.log(0.08) * ones, 0 * ones, np.log(0.2) * ones, np.log(0.2) * ones]
    )


def _misses(shapes: Floats, rows: Rows) -> Floats:
    off = (soh_at(shapes[:, None, :], rows.cycles) - rows.soh) / np.hypot(FIT_DEVIATION, rows.deviation)
    return np.nan_to_num(off)


def _fit(rows: Rows, middle: Floats, stiff: Floats, start: Floats) -> tuple[Floats, Floats]:
    """The most likely six numbers of each life [life, 6], and how unsure they are [life, 6, 6]."""
    shapes, damp = start.copy(), np.full(len(start), 1e-2)
    one, step = np.eye(SIZE), 1e-4

    def cost(at: Floats) -> Floats:
        off = at - middle
        return np.asarray(np.square(_misses(at, rows)).sum(axis=1) + np.einsum("ci,ij,cj->c", off, stiff, off), dtype=np.float64)

    now = cost(shapes)
    bend = np.repeat(stiff[None], len(shapes), axis=0)
    for _ in range(STEPS):
        slope = np.stack(
            [(_misses(shapes + step * one[d], rows) - _misses(shapes - step * one[d], rows)) / (2 * step) for d in range(SIZE)], axis=-1
        )
        bend = np.einsum("cmi,cmj->cij", slope, slope) + stiff
        pull = np.einsum("cmi,cm->ci", slope, _misses(shapes, rows)) + (shapes - middle) @ stiff
        own = np.einsum("cii->ci", bend)
        move = np.linalg.solve(bend + damp[:, None, None] * own[:, :, None] * one, -pull[..., None])[..., 0]
        tried = np.clip(shapes + np.clip(move, -1, 1), LOWEST, HIGHEST)
        then = cost(tried)
        better = then < now
        shapes, now = np.where(better[:, None], tried, shapes), np.where(better, then, now)
        damp = np.clip(np.where(better, damp / 3, damp * 5), 1e-8, 1e6)
    return shapes, np.asarray(np.linalg.inv(bend), dtype=np.float64)
