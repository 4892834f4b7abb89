"""Facts of emergencies: trips that got worse, evacuations, incidents, drills. See :mod:`depot.emergency`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.emergency import DrillLink, DrillState, Presence, ShiftPerson, StepState
from depot.events.envelope import Event
from depot.outputs import Area
from depot.values import PackKey


@dataclass(frozen=True, slots=True)
class TripWorsened(Event):
    """At a tripped pack more was found: it is answered as this cause, too. Recorded after it acted."""

    TYPE: ClassVar[str] = "emergency.trip_worsened"
    pack: PackKey
    cause: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class ShiftSet(Event):
    """Who is on the site from now on, by staff numbers."""

    TYPE: ClassVar[str] = "emergency.shift_set"
    people: tuple[ShiftPerson, ...]


@dataclass(frozen=True, slots=True)
class EvacuationBegun(Event):
    """Everybody leaves ``areas`` by ``deadline``. Recorded after it acted."""

    TYPE: ClassVar[str] = "emergency.evacuation_begun"
    evacuation_id: str
    areas: tuple[Area, ...]
    reason: str
    deadline: datetime
    expected: tuple[ShiftPerson, ...]
    by: str = ""
    drill: bool = False


@dataclass(frozen=True, slots=True)
class EvacuationSpread(Event):
    """It takes in one more area; its time goes on as it was."""

    TYPE: ClassVar[str] = "emergency.evacuation_spread"
    evacuation_id: str
    area: Area
    reason: str


@dataclass(frozen=True, slots=True)
class PersonSeen(Event):
    """Somebody (``by``) said of a person where they are; or took that back."""

    TYPE: ClassVar[str] = "emergency.person_seen"
    evacuation_id: str
    person_id: str
    presence: Presence
    by: str
    point: str = ""


@dataclass(frozen=True, slots=True)
class EvacuationEnded(Event):
    """A person ended it. ``not_seen``: who was missing then."""

    TYPE: ClassVar[str] = "emergency.evacuation_ended"
    evacuation_id: str
    person: str
    role: str
    reason: str
    not_seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentOpened(Event):
    """From now on all that happens is kept in its file."""

    TYPE: ClassVar[str] = "emergency.incident_opened"
    incident_id: str
    cause: str
    text: str
    pack: PackKey | None = None
    area: Area | None = None
    drill: bool = False


@dataclass(frozen=True, slots=True)
class ResponseStepChanged(Event):
    """A step of the response was confirmed, or escalated because it was not. ``took_s``: from its beginning."""

    TYPE: ClassVar[str] = "emergency.response_step_changed"
    incident_id: str
    step: str
    state: StepState
    detail: str = ""
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class IncidentClosed(Event):
    """Its file is complete; ``digest`` (SHA-256, hex) is that of its ``lines`` lines."""

    TYPE: ClassVar[str] = "emergency.incident_closed"
    incident_id: str
    person: str
    role: str
    reason: str
    digest: str
    lines: int


@dataclass(frozen=True, slots=True)
class DrillBegun(Event):
    """The chain is tested with a synthetic pack. ``drill_id`` is that of its incident file, too."""

    TYPE: ClassVar[str] = "emergency.drill_begun"
    drill_id: str
    by: str
    contactors: bool = False


@dataclass(frozen=True, slots=True)
class DrillNotified(Event):
    """People are told, in words that begin with DRILL."""

    TYPE: ClassVar[str] = "emergency.drill_notified"
    drill_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class DrillEnded(Event):
    """How each link did."""

    TYPE: ClassVar[str] = "emergency.drill_ended"
    drill_id: str
    state: DrillState
    links: tuple[DrillLink, ...]
