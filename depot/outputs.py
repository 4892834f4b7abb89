"""Outputs: contactors, ventilation, siren, beacon, emergency isolation. What they are, which areas they act on, what was isolated. Pure.

    bay ⊂ feeder ⊂ site        an area is isolated by a person, by what failed in it, or because a contactor dropped out by itself
    AreaIsolated --> OutputBook.isolated --AreaReset, by a named person--> out of it; nothing else takes it out

Every output has two states, a normal one and an emergency one, and a declared one that it takes when its coil drops out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

from depot.values import InvalidValue


class Level(StrEnum):
    """How wide an area is, the narrowest first."""

    BAY = "bay"
    FEEDER = "feeder"
    SITE = "site"


class Area(NamedTuple):
    """A part of the depot that can be isolated, written ``bay B4``, ``feeder A``, ``site``. A station whose bay has no name
    is a bay by itself."""

    level: Level
    area_id: str = ""

    def __str__(self) -> str:
        return f"{self.level} {self.area_id}".strip()

    @property
    def title(self) -> str:
        """As a sentence begins."""
        return str(self)[0].upper() + str(self)[1:]

    @classmethod
    def of(cls, level: str, area_id: str) -> Self:
        """Read what a person wrote; raises :class:`~depot.values.InvalidValue`."""
        if level not in list(Level):
            raise InvalidValue(f"{level[:20]!r} is no area: bay, feeder or site")
        if (level == Level.SITE) == bool(area_id):
            raise InvalidValue("the site has no name of its own" if area_id else f"which {level}? Name it")
        return cls(Level(level), area_id)


SITE = Area(Level.SITE)


class OutputKind(StrEnum):
    """``isolation``: the emergency solenoid of a breaker (undervoltage or shunt release), beside or instead of a contactor."""

    CONTACTOR = "contactor"
    ISOLATION = "isolation"
    VENTILATION = "ventilation"
    SIREN = "siren"
    BEACON = "beacon"

    @property
    def isolates(self) -> bool:
        """Whether it cuts power, rather than warns or airs."""
        return self in (OutputKind.CONTACTOR, OutputKind.ISOLATION)


WORDS: Mapping[OutputKind, tuple[str, str]] = {
    OutputKind.CONTACTOR: ("closed", "open"),
    OutputKind.ISOLATION: ("closed", "open"),
    OutputKind.VENTILATION: ("stopped", "running"),
    OutputKind.SIREN: ("silent", "sounding"),
    OutputKind.BEACON: ("dark", "lit"),
}
"""What people call the normal and the emergency state of each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """One output. ``falls_safe``: it takes its emergency state when its coil drops out. ``proven``: it has a read-back.
    ``watched``: its module drops it out when nobody writes. ``settle_s``: within which the read-back follows. A contactor opens
    when less than ``opens_below_a`` flows (A, as if on one phase) or after ``opens_after_s``. ``sounds_s``: how long a siren
    sounds after each new cause; 0: until the reset. ``recloses``: a contactor that dropped out without being asked closes by itself."""

    output_id: str
    kind: OutputKind
    area: Area
    name: str = ""
    falls_safe: bool = True
    proven: bool = True
    watched: bool = False
    settle_s: float = 1.0
    opens_below_a: float = 1.0
    opens_after_s: float = 5.0
    sounds_s: float = 0.0
    recloses: bool = True

    @property
    def title(self) -> str:
        return self.name or self.output_id

    @property
    def dead_word(self) -> str:
        """The state that it takes when its coil drops out."""
        return WORDS[self.kind][self.falls_safe]


class Origin(StrEnum):
    """Why an area is isolated: a person said so, a narrower isolation was not confirmed, a contactor dropped out by itself, a
    battery tripped, a charger in it goes on although it was told to stop, or a record of it could not be read."""

    PERSON = "person"
    WIDENED = "widened"
    DROPPED = "dropped out"
    TRIP = "trip"
    NOT_STOPPED = "not stopped"
    DAMAGED = "damaged record"


@dataclass(frozen=True, slots=True)
class Isolated:
    """An area that is isolated: since when, and in whose words why."""

    area: Area
    since: datetime
    origin: Origin
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class OutputTest:
    """The last test of an output: both ways, with its read-back."""

    at: datetime
    passed: bool
    result: str
    by: str


@dataclass(frozen=True, slots=True)
class OutputBook:
    """What stands by the journal: areas that are isolated, the last test of each output."""

    isolated: Mapping[Area, Isolated] = field(default_factory=dict)
    tests: Mapping[str, OutputTest] = field(default_factory=dict)

    def with_isolated(self, entry: Isolated) -> OutputBook:
        """One more; what is isolated already keeps its first cause."""
        return self if entry.area in self.isolated else replace(self, isolated={**self.isolated, entry.area: entry})

    def without(self, area: Area) -> OutputBook:
        return replace(self, isolated={a: entry for a, entry in self.isolated.items() if a != area})

    def with_test(self, output_id: str, test: OutputTest) -> OutputBook:
        return replace(self, tests={**self.tests, output_id: test})
