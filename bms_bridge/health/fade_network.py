"""Small neural networks for health with physics in their loss: along a cell's life health does not rise.

    loss = mean (f(x) − y)²  +  monotone · mean max(0, f(x later) − f(x earlier))²  +  decay · |weights|²

Pairs are charges of one cell that follow one another in what was taught. One hidden layer of tanh, all gradients by hand, minimised by
L-BFGS. One alone depends on where chance let it begin: :class:`FadeNetworks` is the mean of several, one of the three estimators of
:mod:`soh`. The penalty is that of Wang et al., Nature Communications 2024 (monotonicity), without their equation network. Needs SciPy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bms_bridge.health.files import Floats, Words

UNITS = 24
STEPS = 150
DECAY = 1e-3
MONOTONE = 10.0


@dataclass(frozen=True, slots=True)
class FadeNetwork:
    """``inner`` [d + 1, units], ``outer`` [units + 1]; ``mean``, ``scale``: of the taught health."""

    inner: Floats
    outer: Floats
    mean: float
    scale: float

    def predict(self, scaled: Floats) -> Floats:
        """Health [n] (shares of nominal) of scaled features [n, d]."""
        hidden = np.tanh(scaled @ self.inner[:-1] + self.inner[-1])
        return np.asarray((hidden @ self.outer[:-1] + self.outer[-1]) * self.scale + self.mean)

    @classmethod
    def fit(
        cls,
        scaled: Floats,
        soh: Floats,
        cells: Words,
        *,
        monotone: float = MONOTONE,
        units: int = UNITS,
        steps: int = STEPS,
        seed: int = 0,
    ) -> FadeNetwork:
        """``scaled`` [n, d], ``soh`` [n], ``cells`` [n] in the order of cells and cycles. ``monotone`` 0: a plain network."""
        random = np.random.default_rng(seed)
        wide = scaled.shape[1]
        mean, scale = float(soh.mean()), float(soh.std()) or 1.0
        target = (soh - mean) / scale
        pairs = np.flatnonzero(cells[1:] == cells[:-1])
        begin = np.concatenate([random.normal(0, 1 / np.sqrt(wide), wide * units), np.zeros(units), random.normal(0, 0.1, units), [0.0]])
        result = minimize(
            _loss,
            begin,
            args=(np.hstack([scaled, np.ones((len(scaled), 1))]), target, pairs, monotone, units),
            method="L-BFGS-B",
            jac=True,
            options={"maxiter": steps},
        )
        inner, outer = _parts(np.asarray(result.x, dtype=np.float64), wide + 1, units)
        return cls(inner, outer, mean, scale)


@dataclass(frozen=True, slots=True)
class FadeNetworks:
    """m networks of one target. ``inner`` [m, d + 1, units], ``outer`` [m, units + 1]; ``mean``, ``scale``: of the taught health."""

    inner: Floats
    outer: Floats
    mean: float
    scale: float

    @classmethod
    def fit(cls, scaled: Floats, soh: Floats, cells: Words, members: int, *, seed: int = 0) -> FadeNetworks:
        """As :meth:`FadeNetwork.fit`, each one begun elsewhere."""
        each = [FadeNetwork.fit(scaled, soh, cells, seed=seed + member) for member in range(members)]
        return cls(np.stack([one.inner for one in each]), np.stack([one.outer for one in each]), each[0].mean, each[0].scale)

    @property
    def features(self) -> int:
        """How many numbers of a charge they ask for."""
        return int(self.inner.shape[1]) - 1

    def predict(self, scaled: Floats) -> tuple[Floats, Floats]:
        """Mean [n] and standard deviation [n] of what the networks say at ``scaled`` [n, d]."""
        said = np.stack([FadeNetwork(*one, self.mean, self.scale).predict(scaled) for one in zip(self.inner, self.outer, strict=True)])
        return said.mean(axis=0), said.std(axis=0)

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """For a model file."""
        return {f"{prefix}inner": self.inner, f"{prefix}outer": self.outer, f"{prefix}numbers": np.array([self.mean, self.scale])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> FadeNetworks:
        """The inverse; ValueError or KeyError: the arrays do not fit together."""
        inner, outer = arrays[f"{prefix}inner"].astype(np.float64), arrays[f"{prefix}outer"].astype(np.float64)
        mean, scale = (float(number) for number in arrays[f"{prefix}numbers"])
        if inner.ndim != 3 or not inner.size or outer.shape != (inner.shape[0], inner.shape[2] + 1):
            raise ValueError("the layers of the networks do not fit together")
        return cls(inner, outer, mean, scale)


def rises(said: Floats, cells: Words) -> float:
    """Mean rise from one charge of a cell to its next one, where it rises at all; 0 where nothing does. In the unit of ``said``."""
    steps = np.diff(said)[cells[1:] == cells[:-1]]
    return float(np.maximum(steps, 0.0).mean()) if len(steps) else 0.0


def _parts(weights: Floats, rows: int, units: int) -> tuple[Floats, Floats]:
    return weights[: rows * units].reshape(rows, units), weights[rows * units :]


def _loss(weights: Floats, points: Floats, target: Floats, pairs: NDArray[np.int64], monotone: float, units: int) -> tuple[float, Floats]:
    """Loss and its gradient. ``points`` [n, d + 1] with a column of ones."""
    inner, outer = _parts(weights, points.shape[1], units)
    hidden = np.tanh(points @ inner)
    said = hidden @ outer[:-1] + outer[-1]
    off = said - target
    loss = float(np.mean(off**2))
    upon = 2 * off / len(target)
    if monotone and len(pairs):
        up = np.maximum(said[pairs + 1] - said[pairs], 0.0)
        loss += monotone * float(np.mean(up**2))
        push = 2 * monotone * up / len(pairs)
        upon[pairs + 1] += push  # no row is in a pair twice as the later one, nor as the earlier one
        upon[pairs] -= push
    onto_outer = np.r_[hidden.T @ upon, upon.sum()] + 2 * DECAY * np.r_[outer[:-1], 0.0]
    back = np.outer(upon, outer[:-1]) * (1 - hidden**2)
    bent = inner.copy()
    bent[-1] = 0.0
    onto_inner = points.T @ back + 2 * DECAY * bent
    loss += DECAY * float((bent**2).sum() + (outer[:-1] ** 2).sum())
    return loss, np.concatenate([onto_inner.ravel(), onto_outer])
