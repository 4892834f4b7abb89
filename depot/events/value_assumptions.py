"""Facts of what residual values rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.value_assumptions import AssumedNumber


@dataclass(frozen=True, slots=True)
class ValueAssumptionChanged(Event):
    """A person put a number in the place of an assumption; ``number`` None: what the settings say, again."""

    TYPE: ClassVar[str] = "second_life.assumption_changed"
    name: str
    number: AssumedNumber | None
    reason: str = ""
