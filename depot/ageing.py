"""How fast the depot's own batteries age beside the table that plans count with. Pure.

fact AgeingFactorsTaken (what the fleet's estimates say) --+--> Ageing of each chemistry in the depot's state --> every plan from then on
fact AgeingFollowed (what a person decided)       ---------+
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from depot.values import InvalidValue

LEAST, MOST = 0.25, 4.0
"""A factor beyond these is a mistake, not a battery."""


@dataclass(frozen=True, slots=True)
class AgeingFactors:
    """Of one chemistry: ``calendar`` and ``cycle`` times what the table says, each with one standard deviation (``…_spread``), from so
    many ``packs`` and ``rows`` of estimates. ``found_at``: when they were found. ``bounded``: one was held at an end. Raises
    :class:`~depot.values.InvalidValue`."""

    calendar: float
    cycle: float
    calendar_spread: float
    cycle_spread: float
    packs: int
    rows: int
    found_at: datetime
    bounded: bool = False

    def __post_init__(self) -> None:
        if not (LEAST <= self.calendar <= MOST and LEAST <= self.cycle <= MOST):
            raise InvalidValue(f"factors of ageing lie between {LEAST:g} and {MOST:g}, not {self.calendar:g} and {self.cycle:g}")
        if not (0 <= self.calendar_spread <= MOST and 0 <= self.cycle_spread <= MOST):
            raise InvalidValue(f"how unsure factors of ageing are lies between 0 and {MOST:g}")


@dataclass(frozen=True, slots=True)
class Ageing:
    """Of one chemistry. ``factors`` None: none were taken yet. ``follows``: plans count with them; ``by``, ``at``, ``reason``: who last
    decided that, "" and None where nobody did."""

    factors: AgeingFactors | None = None
    follows: bool = True
    by: str = ""
    at: datetime | None = None
    reason: str = ""

    @property
    def in_force(self) -> AgeingFactors | None:
        """What plans count with; None: the table as it is."""
        return self.factors if self.follows else None
