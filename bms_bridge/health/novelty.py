"""How far a charge lies from all that was taught: the estimator's own words are worth nothing out there.

The distance is Mahalanobis' in the scaled features, with a shrunk covariance, divided by the root of their number: about one for a
charge in the middle of the taught ones. Two limits come from folds that were kept apart (never from the charges that taught the
covariance): what charges of other cells of known batches reach, and what charges of unknown batches reach for which wide intervals
still held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHRINK = 0.05
"""How much of the covariance is replaced by its diagonal, so that two features that say the same do not make everything novel."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """``middle`` [d]; ``whitening`` [d, d]."""

    middle: Floats
    whitening: Floats

    @classmethod
    def of(cls, scaled: Floats) -> Novelty:
        """From scaled features [n, d] of the taught charges."""
        middle = scaled.mean(axis=0)
        covariance = np.cov(scaled - middle, rowvar=False)
        shrunk = (1 - SHRINK) * covariance + SHRINK * np.diag(np.diag(covariance) + 1e-6)
        values, vectors = np.linalg.eigh(shrunk)
        return cls(middle, vectors / np.sqrt(np.maximum(values, 1e-9)))

    def distance(self, scaled: Floats) -> Floats:
        """[n], about one for what is usual."""
        away = (scaled - self.middle) @ self.whitening
        return np.asarray(np.sqrt(np.mean(away**2, axis=1)))

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """For a model file."""
        return {f"{prefix}middle": self.middle, f"{prefix}whitening": self.whitening}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> Novelty:
        """The inverse; ValueError or KeyError: the arrays do not fit together."""
        middle, whitening = arrays[f"{prefix}middle"].astype(np.float64), arrays[f"{prefix}whitening"].astype(np.float64)
        if whitening.shape != (len(middle), len(middle)):
            raise ValueError("middle and whitening do not fit together")
        return cls(middle, whitening)
