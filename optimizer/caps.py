"""Caps: limits on weighted sums of powers, whatever they stand for (a phase, an unbalance, a cabinet with outlets of two feeders).

    Σ_i weight_i · p[i,k] + Σ_s weight_s · c[s,k] ≤ limit_k           i: vehicles, s: stationary batteries

Weights of vehicles may be negative: what one draws then makes room for others. **What a vehicle gives makes no room** (decision
14): it counts only where it makes a sum larger, that is with the weight's size where the weight is negative. A cap without
negative weights holds for what is given alone, too, as a feeder's limit does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.series import FloatArray, per_slot


@dataclass(frozen=True, eq=False, slots=True)
class Cap:
    """``weights``: by the vehicle's place in the problem; ``storages``: by the battery's, 0 or more (only what they draw counts).
    ``limit_kw``: per slot; where floors of sessions or what is drawn beside exceed it already, nothing is added. ``source``: who
    says so, for people."""

    id: str
    weights: Mapping[int, float]
    limit_kw: FloatArray
    source: str = ""
    storages: Mapping[int, float] = field(default_factory=dict)

    @property
    def one_sided(self) -> bool:
        """Whether nobody makes room for others under it."""
        return all(weight >= 0 for weight in self.weights.values())


def checked(caps: Sequence[Cap], *, n_vehicles: int, n_storages: int, n_slots: int) -> tuple[Cap, ...]:
    """The caps with one limit per slot and without weights of 0; raises :class:`InvalidProblem` for one that cannot be."""
    out = []
    seen: set[str] = set()
    for cap in caps:
        if cap.id in seen:
            raise InvalidProblem(f"cap {cap.id} stands twice in the problem")
        seen.add(cap.id)
        _check(cap.weights, n_vehicles, f"cap {cap.id}: vehicle", least=-np.inf)
        _check(cap.storages, n_storages, f"cap {cap.id}: storage", least=0.0)
        limit = per_slot(f"cap {cap.id}: limit_kw", cap.limit_kw, n_slots)
        weights, storages = ({i: float(its[i]) for i in sorted(its) if its[i]} for its in (cap.weights, cap.storages))
        out.append(Cap(cap.id, weights, limit, cap.source, storages))
    return tuple(out)


def _check(weights: Mapping[int, float], count: int, who: str, *, least: float) -> None:
    for place, weight in weights.items():
        if not 0 <= place < count:
            raise InvalidProblem(f"{who} {place}, but there are {count} (counted from 0)")
        if not (np.isfinite(weight) and weight >= least):
            raise InvalidProblem(
                f"{who} {place} has the weight {weight}; a finite number{' of at least 0' if least == 0 else ''} is expected"
            )
