"""What stations tell that nobody here acts on, kept for people: a driver's priority, payments that a station settled itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

KEPT = 300
"""Notes that are remembered, the newest, of all stations together."""


class NoteKind(StrEnum):
    """What a note is about."""

    PRIORITY = "priority_charging"
    SETTLEMENT = "settlement"


@dataclass(frozen=True, slots=True)
class Note:
    """One of them. ``transaction``: as the station names it, "" for none; ``said``: field by field, in words for people."""

    kind: NoteKind
    transaction: str
    said: Mapping[str, str] = field(default_factory=dict)
    reported_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeptNote:
    """A note, of whom, and when it came."""

    station_id: str
    at: datetime
    note: Note


class NoteDesk(Protocol):
    """Who hears of them."""

    async def noted(self, station_id: str, note: Note) -> None: ...
