"""The room of notes: what stations tell that nobody here acts on, kept for people."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from controller.allowance import Allowance
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.notes import KeptNote, Note

LISTED_MOST = 120
"""Notes an hour of one station that are kept."""


class NoteView(Struct, frozen=True, kw_only=True):
    """One note. ``kind``: priority_charging, settlement; ``transaction``: as the station names it."""

    station_id: str
    at: datetime
    kind: str
    transaction: str
    said: dict[str, str]
    reported_at: datetime | None


class NotesView(Struct, frozen=True, kw_only=True):
    """Newest first."""

    at: datetime
    notes: list[NoteView]


class Notes:
    """The room, and the :class:`~depot.notes.NoteDesk`."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._allowance = Allowance(LISTED_MOST)
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {NotesView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def noted(self, station_id: str, note: Note) -> None:
        now = self._yard.clock.now()
        unlisted = self._allowance.take(station_id, now)
        if unlisted is not None:
            await self._yard.journal.append([ev.NewEvent(ev.StationNoted(station_id, note, unlisted), now)])

    async def _show(self, args: Mapping[str, str]) -> NotesView | None:
        """``station_id``, ``kind``: only those."""
        wanted, kind = args.get("station_id", ""), args.get("kind", "")
        notes = [n for n in self._yard.state.notes if wanted in ("", n.station_id) and kind in ("", n.note.kind.value)]
        return NotesView(at=self._yard.clock.now(), notes=[_shown(n) for n in reversed(notes)])


def _shown(kept: KeptNote) -> NoteView:
    note = kept.note
    return NoteView(
        station_id=kept.station_id, at=kept.at, kind=note.kind.value, transaction=note.transaction, said=dict(note.said),
        reported_at=note.reported_at,
    )  # fmt: skip
