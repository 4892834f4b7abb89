"""What a plan weighs against each other: a point between the named policies, and the frontier that such points make.

    frontier(problem) --> Frontier of FrontierPoint --a manager picks one--> plan(problem, policy=point.weights), tick after tick

Four aims, the smaller the better, all for the same served energy: cost (the bill), wear (of the batteries), peak, delay (of
readiness). Weights turn them into one objective in currency. They belong to no single night: what was picked for this one is
what the depot plans the next ones by.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from math import isfinite

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem


class Aim(StrEnum):
    """What a plan can be good at."""

    COST = "cost"
    WEAR = "wear"
    PEAK = "peak"
    READINESS = "readiness"


@dataclass(frozen=True, slots=True)
class Weights:
    """What an aim is worth beside the bill, which weighs 1. All 0: the policy ``cheapest``; ``wear`` 1: ``battery-life``.

    ``wear``: the part of the batteries' wear (currency) that counts. ``delay_per_kwh_h``: currency for each kWh that comes an hour
    later. ``peak_per_kw``: currency for each kW of the horizon's peak above what is free, beside the demand charge. Raises
    :class:`InvalidProblem` for a number that is negative or not finite.
    """

    wear: float = 0.0
    delay_per_kwh_h: float = 0.0
    peak_per_kw: float = 0.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (isfinite(value) and value >= 0):
                raise InvalidProblem(f"weight {one.name} is {value}; a finite number of at least 0 is expected")

    def __str__(self) -> str:
        said = [f"{one.name}={getattr(self, one.name):g}" for one in fields(self) if getattr(self, one.name)]
        return f"weights({', '.join(said)})"


@dataclass(frozen=True, eq=False, slots=True)
class FrontierPoint:
    """One plan of the frontier, and the weights that make it again: ``plan(problem, policy=point.weights)``.

    ``aim``: what it gives up money for (``cost``: nothing). ``step``: how far, 0 least to 1 most. ``wear_cost``: what the batteries age
    by it (currency). ``delay_kwh_h``: hours from arrival until energy comes, times kWh (grid side). ``peak_kw`` of demand blocks.
    ``site_kw`` [slot] with background.
    """

    aim: Aim
    step: float
    weights: Weights
    energy_cost: float
    demand_cost: float
    wear_cost: float
    peak_kw: float
    delay_kwh_h: float
    unmet_kwh: float
    site_kw: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def cost(self) -> float:
        """Energy and demand together."""
        return self.energy_cost + self.demand_cost

    @property
    def scores(self) -> tuple[float, float, float, float]:
        """Cost, wear, peak, delay: what a frontier compares."""
        return self.cost, self.wear_cost, self.peak_kw, self.delay_kwh_h


@dataclass(frozen=True, eq=False, slots=True)
class Frontier:
    """Plans none of which is better than another in every aim; the cheapest first, then by aim and step.

    ``complete``: False where the time was over, or somebody cancelled, before all steps were done. ``solved``: plans that were
    computed; dominated ones are not among ``points``.
    """

    points: tuple[FrontierPoint, ...]
    complete: bool
    solved: int
    seconds: float
    currency: str


@dataclass(frozen=True, slots=True)
class FrontierProgress:
    """``done`` plans of ``of``; ``text`` says what is computed."""

    done: int
    of: int
    text: str
