"""Facts of how fast the depot's own batteries age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.ageing import AgeingFactors
from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class AgeingFactorsTaken(Event):
    """The fleet's own estimates say that batteries of a chemistry age by these factors beside the table."""

    TYPE: ClassVar[str] = "ageing.factors_taken"
    chemistry: str
    factors: AgeingFactors


@dataclass(frozen=True, slots=True)
class AgeingFollowed(Event):
    """A person decided whether plans follow the fleet's own factors of a chemistry (``follows``) or the table."""

    TYPE: ClassVar[str] = "ageing.followed"
    chemistry: str
    follows: bool
    reason: str = ""
