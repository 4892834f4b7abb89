"""The fact of a note. See :mod:`depot.notes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.notes import Note


@dataclass(frozen=True, slots=True)
class StationNoted(Event):
    """A station told something that is kept for people. ``unlisted``: so many more were only counted before this one."""

    TYPE: ClassVar[str] = "station.noted"
    station_id: str
    note: Note
    unlisted: int = 0
