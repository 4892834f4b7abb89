"""A forest of regression trees from stored numbers, walked with NumPy alone.

All trees lie one behind the other in five arrays; a leaf points at itself, so that every walk takes as many steps as the deepest
tree has levels, and all trees and rows walk at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CHUNK = 4_000


@dataclass(frozen=True, slots=True)
class Forest:
    """``roots`` [t]: the first node of each tree. Per node: ``feature``, ``threshold`` (left when ≤), ``left``, ``right``, ``value``."""

    roots: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]
    depth: int

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean [n] and standard deviation [n] of what the trees say at ``points`` [n, d]."""
        means, spreads = np.empty(len(points)), np.empty(len(points))
        for begin in range(0, len(points), CHUNK):
            part = points[begin : begin + CHUNK].astype(np.float32)
            rows = np.arange(len(part))[:, None]
            node = np.repeat(self.roots[None, :], len(part), axis=0)
            for _ in range(self.depth):
                node = np.where(part[rows, self.feature[node]] <= self.threshold[node], self.left[node], self.right[node])
            said = self.value[node]
            means[begin : begin + CHUNK], spreads[begin : begin + CHUNK] = said.mean(axis=1), said.std(axis=1)
        return means, spreads

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """For a model file."""
        named = {name: getattr(self, name) for name in ("roots", "feature", "threshold", "left", "right", "value")}
        return {f"{prefix}{name}": array for name, array in named.items()} | {f"{prefix}depth": np.array([self.depth], dtype=np.int32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str, features: int) -> Forest:
        """The inverse; ValueError or KeyError: the arrays do not fit together, or point outside of themselves."""
        roots, feature, threshold, left, right, value = (
            arrays[f"{prefix}{name}"] for name in ("roots", "feature", "threshold", "left", "right", "value")
        )
        nodes, depth = len(feature), int(arrays[f"{prefix}depth"][0])
        inside = all(array.size and int(array.min()) >= 0 and int(array.max()) < nodes for array in (roots, left, right))
        if not inside or len({len(feature), len(threshold), len(left), len(right), len(value)}) != 1 or not 0 <= depth < 1_000:
            raise ValueError("the nodes of the trees do not fit together")
        if int(feature.min()) < 0 or int(feature.max()) >= features:
            raise ValueError("a tree asks for a feature that there is not")
        return cls(
            roots.astype(np.int32),
            feature.astype(np.int16),
            threshold.astype(np.float64),
            left.astype(np.int32),
            right.astype(np.int32),
            value.astype(np.float32),
            depth,
        )
