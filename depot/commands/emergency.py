"""Commands of emergencies: shift, evacuation, roll-call, incident files, drills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from depot.commands.command import Command
from depot.emergency import Presence
from depot.outputs import Area
from depot.values import InvalidValue, Role

MOST_PEOPLE = 500
MOST_ID = 32


@dataclass(frozen=True, slots=True)
class ShiftEntry:
    """Somebody on shift. ``person_id``: a staff number or the like, never a name; ``name``: for the screens, kept apart."""

    person_id: str
    name: str = ""
    post: str = ""

    def __post_init__(self) -> None:
        for what, text, most in (("person_id", self.person_id, MOST_ID), ("name", self.name, 80), ("post", self.post, 60)):
            if len(text) > most or not text.isprintable() or text != text.strip():
                raise InvalidValue(f"{what} {text[:40]!r}: at most {most} printable characters, no blank at its ends")
        if not self.person_id:
            raise InvalidValue("person_id is empty: each person on shift needs one")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetShift(Command):
    """Say who is on the site from now on; the whole list."""

    TITLE: ClassVar[str] = "Set who is on shift"

    people: tuple[ShiftEntry, ...]

    def __post_init__(self) -> None:
        ids = [person.person_id for person in self.people]
        if len(ids) > MOST_PEOPLE:
            raise InvalidValue(f"{len(ids)} people; a shift has at most {MOST_PEOPLE}")
        if len(set(ids)) != len(ids):
            raise InvalidValue(f"person {next(i for i in ids if ids.count(i) > 1)} is named twice")

    @property
    def target(self) -> str:
        return f"{len(self.people)} on shift"

    @property
    def bare(self) -> Command:
        return replace(self, people=tuple(replace(person, name="") for person in self.people))


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginEvacuation(Command):
    """Everybody leaves this area; the roll-call begins. Takes effect before it is recorded."""

    TITLE: ClassVar[str] = "Begin evacuation"

    area: Area

    @property
    def target(self) -> str:
        return str(self.area)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIn(Command):
    """Say where a person is, in the roll-call that is under way. One who is not on the list is added."""

    TITLE: ClassVar[str] = "Roll-call"

    person_id: str
    presence: Presence = Presence.SAFE
    point: str = ""

    def __post_init__(self) -> None:
        ShiftEntry(self.person_id, post=self.point)

    @property
    def target(self) -> str:
        return self.person_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"presence": self.presence.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEvacuation(Command):
    """End it: ``actor`` is the person, ``role`` the one of their session. While somebody is not seen only with ``despite_missing``."""

    TITLE: ClassVar[str] = "End evacuation"

    role: Role
    despite_missing: bool = False

    @property
    def target(self) -> str:
        return "evacuation"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"role": self.role.value, "despite_missing": str(self.despite_missing).lower()}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteIncident(Command):
    """Write the reason into an open incident's file as a note of a person."""

    TITLE: ClassVar[str] = "Note in incident file"

    incident_id: str

    @property
    def target(self) -> str:
        return self.incident_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIncident(Command):
    """Close an incident's file: nothing in it changes any more."""

    TITLE: ClassVar[str] = "Close incident file"

    incident_id: str
    role: Role

    @property
    def target(self) -> str:
        return self.incident_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"role": self.role.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDrill(Command):
    """Test the chain with a synthetic pack. ``contactors``: also those, where no session runs behind them."""

    TITLE: ClassVar[str] = "Start drill"

    contactors: bool = False

    @property
    def target(self) -> str:
        return "drill"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"contactors": str(self.contactors).lower()}


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDrill(Command):
    """End the drill that is under way."""

    TITLE: ClassVar[str] = "Stop drill"

    @property
    def target(self) -> str:
        return "drill"
