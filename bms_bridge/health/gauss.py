"""Gaussian process regression from stored numbers: mean and standard deviation, with NumPy alone.

    k(x, z) = signal · Matérn₃⸝₂(|x − z| / lengths) + linear · (offset + x·z),   y = f(x) + noise

One length per feature: a feature that says nothing gets a long one. The Matérn part forgets far from all that was taught, so that the
deviation grows there; the linear part carries a trend into the unknown. What is stored are the taught points and the kernel; the
factor of their covariance is made again when the model is loaded (0.2 s for 1,500 points).
Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Kernel:
    """``lengths`` [d]; all variances in units of the scaled target's."""

    signal: float
    lengths: Floats
    linear: float
    offset: float
    noise: float

    def between(self, left: Floats, right: Floats) -> Floats:
        """Covariances [n, m] of the functions' values (without the noise)."""
        away = cdist(left / self.lengths, right / self.lengths) * np.sqrt(3.0)
        return np.asarray(self.signal * (1.0 + away) * np.exp(-away) + self.linear * (self.offset + left @ right.T))

    def at(self, points: Floats) -> Floats:
        """Variances [n] of the function's values."""
        return np.asarray(self.signal + self.linear * (self.offset + np.einsum("ij,ij->i", points, points)))


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """``points`` [n, d] and ``targets`` [n] as they were taught; predictions in the targets' unit."""

    kernel: Kernel
    points: Floats
    targets: Floats
    mean: float
    scale: float
    _factor: Floats = field(init=False, repr=False)
    _weights: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        covariance = self.kernel.between(self.points, self.points)
        covariance[np.diag_indices_from(covariance)] += self.kernel.noise + 1e-8 * (self.kernel.signal + self.kernel.linear)
        factor, _ = cho_factor(covariance, lower=True, overwrite_a=True)
        object.__setattr__(self, "_factor", np.tril(factor))
        object.__setattr__(self, "_weights", cho_solve((factor, True), (self.targets - self.mean) / self.scale))

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean [n] and standard deviation of a new measurement [n] (the noise included) at ``points`` [n, d]."""
        means, deviations = np.empty(len(points)), np.empty(len(points))
        for begin in range(0, len(points), CHUNK):
            part = slice(begin, begin + CHUNK)
            across = self.kernel.between(points[part], self.points)
            means[part] = across @ self._weights
            solved = solve_triangular(self._factor, across.T, lower=True, check_finite=False)
            known = np.einsum("ij,ij->j", solved, solved)
            deviations[part] = np.sqrt(np.maximum(self.kernel.at(points[part]) - known, 0.0) + self.kernel.noise)
        return means * self.scale + self.mean, deviations * self.scale

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """For a model file."""
        kernel = self.kernel
        numbers = np.array([kernel.signal, kernel.linear, kernel.offset, kernel.noise, self.mean, self.scale])
        return {
            f"{prefix}numbers": numbers,
            f"{prefix}lengths": kernel.lengths,
            f"{prefix}points": self.points.astype(np.float32),
            f"{prefix}targets": self.targets,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> GaussianProcess:
        """The inverse; ValueError or KeyError: the arrays do not fit together."""
        signal, linear, offset, noise, mean, scale = (float(number) for number in arrays[f"{prefix}numbers"])
        points = arrays[f"{prefix}points"].astype(np.float64)
        lengths, targets = arrays[f"{prefix}lengths"].astype(np.float64), arrays[f"{prefix}targets"].astype(np.float64)
        if points.ndim != 2 or points.shape != (len(targets), len(lengths)):
            raise ValueError("points, targets and lengths do not fit together")
        return cls(Kernel(signal, lengths, linear, offset, noise), points, targets, mean, scale)
