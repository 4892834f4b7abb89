"""Three phases: who loads which, and the caps that currents per phase and unbalance are.

    wiring of each outlet, phases that its vehicle uses --loads()--> part of its power on each grid phase --phase_caps()--> caps

Nothing that is not known is taken to be kind: a vehicle on fewer than three phases behind an outlet whose wiring nobody knows counts
with its whole share on each of the three phases, and makes no phase lighter than another. Currents are those of symmetrical
voltages; a charger's power factor is taken as one number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from optimizer.caps import Cap
from optimizer.errors import InvalidProblem
from optimizer.series import FloatArray, per_slot, positive

PHASES = 3


@dataclass(frozen=True, slots=True)
class Wiring:
    """An outlet and the vehicle behind it. ``phases``: the grid phases (1, 2, 3) of the outlet's L1, L2, L3 in this order, so that
    (2, 3, 1) is a rotated one; empty: not known. ``used``: on how many of them the vehicle draws, the first ones; None: on all."""

    phases: tuple[int, ...] = ()
    used: int | None = None

    def __post_init__(self) -> None:
        if len(set(self.phases)) != len(self.phases) or not set(self.phases) <= {1, 2, 3}:
            raise InvalidProblem(f"phases {self.phases}: each of 1, 2 and 3 at most once")
        if self.used is not None and not 1 <= self.used <= PHASES:
            raise InvalidProblem(f"a vehicle draws on 1, 2 or 3 phases, not on {self.used}")

    @property
    def count(self) -> int:
        """On how many phases power flows."""
        return min(self.used or PHASES, len(self.phases) or PHASES)

    @property
    def known(self) -> bool:
        """Whether it is known which phases these are."""
        return bool(self.phases) or self.count == PHASES


@dataclass(frozen=True, eq=False, slots=True)
class PhaseLimits:
    """What one place, the site or a feeder, carries per phase. ``wirings``: by the vehicle's place in the problem, of all that
    draw through here; ``storages``: stationary batteries here, three-phase. ``current_a``: the most on each phase;
    ``unbalance_a``: the most by which one phase may exceed another; ``deviation_a``: the most by which one may
    differ from the mean of the three; each a number or one per slot, None: no such limit. ``background_kw`` [3 × slot]:
    what else draws, or a number for all. ``power_factor``: of what vehicles draw."""

    id: str
    wirings: Mapping[int, Wiring]
    current_a: FloatArray | float | None = None
    unbalance_a: FloatArray | float | None = None
    deviation_a: FloatArray | float | None = None
    background_kw: FloatArray = field(default_factory=lambda: np.zeros(()))
    voltage_v: float = 230.0
    power_factor: float = 1.0
    storages: Collection[int] = ()


def loads(wiring: Wiring) -> tuple[float, float, float]:
    """Part of the power that L1, L2 and L3 of the grid carry; where it is not known which, on each the most that it may be."""
    part = 1.0 / wiring.count
    if not wiring.phases:
        return (part, part, part)
    used = wiring.phases[: wiring.count]
    return (part * (1 in used), part * (2 in used), part * (3 in used))


def phase_caps(limits: PhaseLimits, n_slots: int) -> tuple[Cap, ...]:
    """The caps of one place, over ``n_slots`` slots. Raises :class:`InvalidProblem` for numbers that cannot be.

    A background that exceeds a limit by itself leaves 0 for vehicles, never less.
    """
    positive(f"{limits.id}: voltage_v", limits.voltage_v)
    if not 0 < limits.power_factor <= 1:
        raise InvalidProblem(f"{limits.id}: power_factor {limits.power_factor} is not in (0, 1]")
    background = _background(limits, n_slots)
    mean = background.mean(axis=0)
    caps: list[Cap] = []
    if limits.current_a is not None:
        most = _kw(limits, "current_a", n_slots)
        for n in range(PHASES):
            weights = {i: loads(wiring)[n] for i, wiring in limits.wirings.items()}
            caps.append(_cap(limits, f"L{n + 1}", weights, most - background[n], dict.fromkeys(limits.storages, 1.0 / PHASES)))
    if limits.unbalance_a is not None:
        most = _kw(limits, "unbalance_a", n_slots)
        for a, b in permutations(range(PHASES), 2):
            weights = {i: _above(wiring, a, b) for i, wiring in limits.wirings.items()}
            caps.append(_cap(limits, f"L{a + 1} above L{b + 1}", weights, most - (background[a] - background[b])))
    if limits.deviation_a is not None:
        most = _kw(limits, "deviation_a", n_slots)
        for n in range(PHASES):
            for sign, word in ((1.0, "above"), (-1.0, "below")):
                weights = {i: _beyond_mean(wiring, n, sign) for i, wiring in limits.wirings.items()}
                caps.append(_cap(limits, f"L{n + 1} {word} the mean", weights, most - sign * (background[n] - mean)))
    return tuple(cap for cap in caps if any(cap.weights.values()) or cap.storages)


def phase_kw(wirings: Sequence[Wiring], power_kw: FloatArray) -> FloatArray:
    """[3 × slot] what vehicles with known wirings load on each phase, of ``power_kw`` [vehicle × slot]."""
    parts = np.array([loads(wiring) for wiring in wirings], dtype=np.float64).reshape(-1, PHASES)
    on_phases: FloatArray = parts.T @ power_kw
    return on_phases


def _above(wiring: Wiring, a: int, b: int) -> float:
    """What a kW adds to phase a more than to b; at most, where it is not known."""
    part = loads(wiring)
    return part[a] - part[b] if wiring.known else part[a]


def _beyond_mean(wiring: Wiring, n: int, sign: float) -> float:
    """What a kW adds to a phase above (1) or below (−1) the mean of the three; at most, where it is not known."""
    if wiring.known:
        return sign * (loads(wiring)[n] - 1.0 / PHASES)
    return 1.0 / wiring.count - 1.0 / PHASES if sign > 0 else 1.0 / PHASES


def _cap(
    limits: PhaseLimits, what: str, weights: Mapping[int, float], limit_kw: FloatArray, storages: Mapping[int, float] | None = None
) -> Cap:
    some = {i: weight for i, weight in weights.items() if weight}
    return Cap(f"{limits.id}: {what}", some, np.maximum(limit_kw, 0.0), source=limits.id, storages=storages or {})


def _kw(limits: PhaseLimits, name: str, n_slots: int) -> FloatArray:
    """A current on one phase as real power, per slot."""
    amperes = per_slot(f"{limits.id}: {name}", getattr(limits, name), n_slots)
    if amperes.min() < 0:
        raise InvalidProblem(f"{limits.id}: {name} is negative; 0 is the least")
    return amperes * (limits.voltage_v * limits.power_factor / 1000.0)


def _background(limits: PhaseLimits, n_slots: int) -> FloatArray:
    given = np.asarray(limits.background_kw, dtype=np.float64)
    if given.ndim == 0:
        given = np.full((PHASES, n_slots), float(given))
    if given.shape != (PHASES, n_slots):
        raise InvalidProblem(
            f"{limits.id}: background_kw has one row for each of the three phases, and a number for each of {n_slots} slots"
        )
    return np.array([per_slot(f"{limits.id}: background_kw of L{n + 1}", row, n_slots) for n, row in enumerate(given)])
