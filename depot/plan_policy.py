"""What people want plans to be good at: a named policy, or a point between them. Pure; the optimizer knows how to plan by it.

command PickPlanPolicy --> fact PlanPolicyPicked --> PickedPolicy in the depot's state --> every plan from then on
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite

from depot.values import InvalidValue

WEIGHT_MOST = 1e6
"""Of a weight; more is a mistake."""


class PlanAim(StrEnum):
    """``weights``: a point between the named policies."""

    CHEAPEST = "cheapest"
    READINESS = "readiness"
    BATTERY_LIFE = "battery-life"
    WEIGHTS = "weights"


@dataclass(frozen=True, slots=True)
class PolicyPick:
    """The weights count for ``weights`` alone. ``wear``: the part of the batteries' wear that counts beside the bill; ``delay_per_kwh_h``:
    what a kWh that comes an hour earlier is worth, ``peak_per_kw``: what a kW less of a horizon's peak is worth, in the depot's
    currency. Raises :class:`~depot.values.InvalidValue`."""

    aim: PlanAim
    wear: float = 0.0
    delay_per_kwh_h: float = 0.0
    peak_per_kw: float = 0.0

    def __post_init__(self) -> None:
        for name in ("wear", "delay_per_kwh_h", "peak_per_kw"):
            value = getattr(self, name)
            if not (isfinite(value) and 0 <= value <= WEIGHT_MOST):
                raise InvalidValue(f"{name} must be a number within 0 and {WEIGHT_MOST:,.0f}, not {value}")
            if value and self.aim is not PlanAim.WEIGHTS:
                raise InvalidValue(f"the policy {self.aim} has no weights of its own: leave {name} away, or pick {PlanAim.WEIGHTS!s}")

    @property
    def words(self) -> str:
        """For people."""
        if self.aim is not PlanAim.WEIGHTS:
            return str(self.aim)
        said = {"battery wear": self.wear, "an hour earlier, per kWh": self.delay_per_kwh_h, "peak, per kW": self.peak_per_kw}
        parts = [f"{name} {value:g}" for name, value in said.items() if value]
        return f"the bill and {', '.join(parts)}" if parts else "the bill alone"


@dataclass(frozen=True, slots=True)
class PickedPolicy:
    """A pick that holds: who made it, when and why."""

    pick: PolicyPick
    by: str
    at: datetime
    reason: str
