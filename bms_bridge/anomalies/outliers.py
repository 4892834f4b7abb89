"""A second opinion on a cohort: an isolation forest, and an autoencoder that is linear (principal components). It raises nothing by itself.

    newest charts [packs, features] --> forest: how soon a pack is isolated
                                    --> components that explain the cohort --> what of a pack they cannot rebuild, signal by signal

Both are taught from the cohort itself, so neither can say more than "unlike the others". With few packs they say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health.files import Floats

LEAST_PACKS: Final = 16
MOST_ALONE: Final = 60
TENTHS: Final = 10
EXPLAINED: Final = 0.9
UNLIKE: Final = 4.0


@dataclass(frozen=True, slots=True)
class Opinion:
    """Of each pack: ``forest`` (0 to 1; about 0.5 is usual, towards 1 is odd), ``rebuilt``: the error of the linear autoencoder in
    robust sigmas of the cohort, ``by_feature`` [packs, features]: shares of that error; ``unlike``: both say so, ``by_forest``,
    ``by_components``: each."""

    forest: Floats
    rebuilt: Floats
    by_feature: Floats
    unlike: NDArray[np.bool_]
    by_forest: NDArray[np.bool_]
    by_components: NDArray[np.bool_]


def second_opinion(features: Floats, *, seed: int = 0) -> Opinion | None:
    """``features`` [packs, features] in robust sigmas, of one cohort; NaN: 0. None: fewer than :data:`LEAST_PACKS`, or nothing varies."""
    x = np.clip(np.nan_to_num(features), -20, 20)
    if len(x) < LEAST_PACKS or x.shape[1] < 2 or not (x.std(axis=0) > 0).any():
        return None
    from sklearn.ensemble import IsolationForest

    forest = -IsolationForest(n_estimators=200, random_state=seed, n_jobs=1).fit(x).score_samples(x)
    left = _not_rebuilt(x)
    error = np.sqrt((left**2).sum(axis=1))
    middle = float(np.median(error))
    scale = max(1.4826 * float(np.median(np.abs(error - middle))), 0.1)
    rebuilt = (error - middle) / scale
    shares = left**2 / np.maximum((left**2).sum(axis=1, keepdims=True), 1e-12)
    by_forest = forest - np.median(forest) > UNLIKE * max(1.4826 * float(np.median(np.abs(forest - np.median(forest)))), 0.01)
    return Opinion(np.asarray(forest), rebuilt, shares, by_forest & (rebuilt > UNLIKE), by_forest, rebuilt > UNLIKE)


def _not_rebuilt(x: Floats) -> Floats:
    """What the components of *other* packs cannot rebuild of each: a pack must not teach that it is usual. Of many packs a tenth at a
    time is left out, of few each alone."""
    left = np.zeros_like(x)
    parts = len(x) if len(x) <= MOST_ALONE else TENTHS
    for part in range(parts):
        own = np.arange(len(x)) % parts == part
        others = x[~own]
        middle = np.median(others, axis=0)
        _, weight, components = np.linalg.svd(np.clip(others - middle, -3, 3), full_matrices=False)
        share = np.cumsum(weight**2) / max(float((weight**2).sum()), 1e-12)
        kept = components[: min(int(np.searchsorted(share, EXPLAINED)) + 1, x.shape[1] - 1)]
        off = x[own] - middle
        left[own] = off - (off @ kept.T) @ kept
    return left
