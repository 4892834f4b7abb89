"""What a person put in the place of an assumption of residual values. Pure; second life knows what the names mean.

command ChangeValueAssumption --> fact ValueAssumptionChanged --> the depot's state --> every grade and value from then on
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from depot.values import InvalidValue

NAME_MOST, SOURCE_MOST = 80, 200


@dataclass(frozen=True, slots=True)
class AssumedNumber:
    """Least, most likely, most, in the assumption's unit; a cut-off has all three the same. ``source``: where it is from. Raises
    :class:`~depot.values.InvalidValue`."""

    low: float
    mid: float
    high: float
    source: str

    def __post_init__(self) -> None:
        if not all(isfinite(value) for value in (self.low, self.mid, self.high)) or not self.low <= self.mid <= self.high:
            raise InvalidValue("least, most likely and most must be numbers that rise, such as 150, 300, 600")
        if not 0 < len(self.source.strip()) <= SOURCE_MOST or not self.source.isprintable():
            raise InvalidValue(f"say where it is from, in 1 to {SOURCE_MOST} characters: an offer, a contract, a measurement")

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.mid:g}" if self.low == self.high else f"{self.low:g}, {self.mid:g}, {self.high:g}"


@dataclass(frozen=True, slots=True)
class ChangedAssumption:
    """A change that holds: who made it, when and why."""

    number: AssumedNumber
    by: str
    at: datetime
    reason: str
