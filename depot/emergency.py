"""What the depot remembers of emergencies: who is on shift, evacuations with their roll-call, incidents, drills. Pure.

    EvacuationBegun --> open --PersonSeen …--> EvacuationEnded, by a named person; nothing else ends a real one
    IncidentOpened  --> open --ResponseStepChanged …--> IncidentClosed, with the digest of its file
    DrillBegun      --> under way --DrillEnded--> passed, failed, overtaken, interrupted, stopped

People stand here by their staff numbers; their names are kept apart (:mod:`controller.shift_names`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from depot.outputs import Area
from depot.values import PackKey

T = TypeVar("T")

EVACUATIONS_KEPT = 20
INCIDENTS_KEPT = 300
DRILLS_KEPT = 200
"""So many that are over are remembered, the newest; incidents' files stay as long as their retention says."""


class Presence(StrEnum):
    """What the roll-call knows of a person."""

    NOT_SEEN = "not seen"
    SAFE = "safe"
    OFF_SITE = "off site"


class StepState(StrEnum):
    """How far one step of the response got. ``LATE``: confirmed, after it had been escalated."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    ESCALATED = "escalated"
    LATE = "confirmed late"
    NOT_THERE = "not there"


class LinkState(StrEnum):
    """How one link of a drill's chain did. ``NOT_THERE``: this depot has nothing to test there; it proves nothing."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_THERE = "not there"


class DrillState(StrEnum):
    """``OVERTAKEN``: by a real emergency. ``INTERRUPTED``: the controller ended in the middle of it."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    OVERTAKEN = "overtaken"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ShiftPerson:
    """Somebody who is on the site now. ``post``: what they do, or where."""

    person_id: str
    post: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was said of a person in a roll-call. ``point``: the assembly point."""

    presence: Presence
    at: datetime
    by: str
    point: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evacuation:
    """One evacuation. ``expected``: who was on shift when it began. ``ended_at`` None: it is under way."""

    evacuation_id: str
    began_at: datetime
    deadline: datetime
    areas: tuple[Area, ...]
    reason: str
    by: str
    expected: tuple[ShiftPerson, ...] = ()
    drill: bool = False
    seen: Mapping[str, Seen] = field(default_factory=dict)
    ended_at: datetime | None = None
    ended_by: str = ""
    end_reason: str = ""

    def presence(self, person_id: str) -> Presence:
        seen = self.seen.get(person_id)
        return Presence.NOT_SEEN if seen is None else seen.presence

    @property
    def not_seen(self) -> tuple[ShiftPerson, ...]:
        """Who was expected and of whom nobody has said where they are."""
        return tuple(person for person in self.expected if self.presence(person.person_id) is Presence.NOT_SEEN)

    def overdue(self, now: datetime) -> bool:
        """Whether its time is over and somebody is still not seen."""
        return now >= self.deadline and bool(self.not_seen)


@dataclass(frozen=True, slots=True)
class StepTold:
    """The last that the journal knows of one step of a response. ``took_s``: from its beginning; None: not confirmed."""

    state: StepState
    at: datetime
    detail: str = ""
    took_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident. Either ``pack`` or ``area`` may be unknown. ``digest``: SHA-256 of its closed file, hex."""

    incident_id: str
    opened_at: datetime
    cause: str
    text: str
    pack: PackKey | None = None
    area: Area | None = None
    drill: bool = False
    steps: Mapping[str, StepTold] = field(default_factory=dict)
    closed_at: datetime | None = None
    closed_by: str = ""
    close_reason: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class DrillLink:
    """One link of the chain. ``took_s`` None: it was not reached, or has no time."""

    name: str
    state: LinkState
    words: str = ""
    took_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill."""

    drill_id: str
    began_at: datetime
    by: str
    contactors: bool = False
    state: DrillState = DrillState.RUNNING
    links: tuple[DrillLink, ...] = ()
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EmergencyBook:
    """What stands by the journal. ``worse``: what was found at tripped packs beyond the cause of their trip."""

    shift: tuple[ShiftPerson, ...] = ()
    evacuations: Mapping[str, Evacuation] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    drills: Mapping[str, Drill] = field(default_factory=dict)
    worse: Mapping[PackKey, tuple[str, ...]] = field(default_factory=dict)

    def evacuation(self, *, drill: bool = False) -> Evacuation | None:
        """The one that is under way."""
        return next((e for e in self.evacuations.values() if e.ended_at is None and e.drill is drill), None)

    def open_incidents(self) -> list[Incident]:
        return [incident for incident in self.incidents.values() if incident.closed_at is None]

    def incident_of(self, pack: PackKey) -> Incident | None:
        """The open incident of a pack."""
        return next((i for i in self.incidents.values() if i.pack == pack and i.closed_at is None), None)

    def with_evacuation(self, new: Evacuation) -> EmergencyBook:
        kept = _newest(self.evacuations, EVACUATIONS_KEPT, lambda e: e.ended_at is None)
        return replace(self, evacuations={**kept, new.evacuation_id: new})

    def with_incident(self, new: Incident) -> EmergencyBook:
        kept = _newest(self.incidents, INCIDENTS_KEPT, lambda i: i.closed_at is None)
        return replace(self, incidents={**kept, new.incident_id: new})

    def with_drill(self, new: Drill) -> EmergencyBook:
        kept = _newest(self.drills, DRILLS_KEPT, lambda d: d.state is DrillState.RUNNING)
        return replace(self, drills={**kept, new.drill_id: new})

    def worsened(self, pack: PackKey, cause: str) -> EmergencyBook:
        known = self.worse.get(pack, ())
        return self if cause in known else replace(self, worse={**self.worse, pack: (*known, cause)})

    def better(self, pack: PackKey) -> EmergencyBook:
        """The pack was reset."""
        return self if pack not in self.worse else replace(self, worse={p: c for p, c in self.worse.items() if p != pack})


def _newest(known: Mapping[str, T], most: int, lasts: Callable[[T], bool]) -> dict[str, T]:
    """Without the oldest ones that are over, so that one more may come."""
    over = [key for key, one in known.items() if not lasts(one)]
    gone = set(over[: max(0, len(over) - most + 1)])
    return {key: one for key, one in known.items() if key not in gone}
