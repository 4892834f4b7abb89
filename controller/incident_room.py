"""Incident files: opened by a trip, an evacuation or a drill; what led to it, what was decided, told, confirmed, and by whom; then closed.

    open(cause, …) --at once--> number; head and half an hour of signals wait for the disk
    journal's facts, signals, notes --each second, in a thread--> file        CloseIncident, by a person --> digest, a fact

Nothing waits for the disk: a file that cannot be written is an alarm, and is written when it can be. See
:mod:`controller.incident_files` for the file, :mod:`controller.incident_export` for what people get.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from controller import incident_files as files
from controller.alarms import Condition
from controller.codec import iso
from controller.emergency_desk import EmergencyDesk
from controller.incident_files import IncidentFile, Record
from controller.incident_signals import COLUMNS, Piece, Signals
from controller.incident_view import IncidentsView
from controller.incident_viewer import rows_of
from controller.names import NameBook
from controller.room import Carrier, Viewer
from controller.safety_log import SafetyLog
from controller.safety_row import Row
from depot import commands as cmd
from depot import events as ev
from depot.emergency import Incident
from depot.outputs import Area
from depot.ports import JournalFrozen
from depot.state import DepotState
from depot.values import ConnectorId, PackKey, Role, UnknownThing

log = logging.getLogger(__name__)

FLUSH_S: Final = 1.0
CLOSERS: Final = frozenset({Role.SAFETY_OFFICER, Role.ADMIN})
MOST_WAITING: Final = 20_000
"""Records that wait for a disk; beyond them the newest are not kept, and the file says so."""

DENSE: Final = timedelta(hours=6)
"""So long each second's signals are kept; after it one a minute."""

SPARSE_S: Final = 60.0
PRUNE_S: Final = 6 * 3600.0


@dataclass(slots=True)
class _Open:
    """An open file. ``waiting``: records for the disk. ``told``: up to when signals are in ``waiting`` or the file."""

    waiting: list[Record | Piece] = field(default_factory=list)
    file: IncidentFile | None = None
    told: datetime | None = None
    dropped: int = 0


class IncidentRoom:
    """``tripped``: packs that are now. ``keep``: how long files stay after they were closed."""

    kinds: frozenset[str] = frozenset({"incident_unwritten"})

    def __init__(
        self,
        desk: EmergencyDesk,
        folder: Path,
        signals: Signals,
        names: NameBook,
        *,
        tripped: Callable[[], Iterable[PackKey]],
        keep: timedelta = timedelta(days=3650),
    ) -> None:
        self.desk, self.folder, self._signals, self._names, self.keep = desk, folder, signals, names, keep
        self._yard, self._tripped = desk.yard, tripped
        self.unwritten = ""
        self.present: frozenset[str] = frozenset()
        self._files: dict[str, _Open] = {}
        self._log = SafetyLog()
        self._writing = asyncio.Lock()
        self._pruned_s = -PRUNE_S
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.NoteIncident: self._note, cmd.CloseIncident: self._close}
        self.views: Mapping[type[Struct], Viewer] = {IncidentsView: self._view}
        for incident in desk.book.open_incidents():
            self._begin(incident, None, {}, "the controller was restarted; what was said before is not known any more")

    # -- opened, at once --------------------------------------------------------------------------------------------

    def open(
        self,
        *,
        cause: str,
        text: str,
        evidence: Mapping[str, str] | None = None,
        pack: PackKey | None = None,
        area: Area | None = None,
        connector: ConnectorId | None = None,
        drill: bool = False,
    ) -> str:
        """Its number. Touches no disk."""
        number = self.next_number()
        self.desk.put(ev.IncidentOpened(number, cause, text[:300], pack, area, drill))
        self._begin(self.desk.book.incidents[number], connector, evidence or {}, "")
        return number

    def next_number(self) -> str:
        """``2026-11-22-1``: the day by the depot's clock, and a count."""
        day = self._yard.clock.now().astimezone(ZoneInfo(self._yard.spec.timezone)).date().isoformat()
        taken = {*self.desk.book.incidents, *self.present}
        return next(number for count in range(1, 10_000) if (number := f"{day}-{count}") not in taken)

    def _begin(self, incident: Incident, connector: ConnectorId | None, evidence: Mapping[str, str], words: str) -> None:
        spec = self._yard.spec
        entry = self._files[incident.incident_id] = _Open()
        if words:
            entry.waiting.append({"kind": "fact", "at": iso(self._yard.clock.now()), "title": words})
            entry.told = self._yard.clock.now()
        else:
            head = {
                "kind": "head", "schema": files.SCHEMA, "incident_id": incident.incident_id, "depot_id": spec.depot_id, "depot": spec.name,
                "timezone": spec.timezone, "opened_at": iso(incident.opened_at), "cause": incident.cause, "text": incident.text,
                "evidence": dict(evidence), "vehicle_id": incident.pack.vehicle_id if incident.pack else "",
                "pack_id": incident.pack.pack_id if incident.pack else "", "connector": str(connector) if connector else "",
                "area": str(incident.area) if incident.area else "", "drill": incident.drill,
            }  # fmt: skip
            entry.waiting.append(head)

    def tell(self, incident_id: str, record: Record) -> None:
        """One more record for an open file."""
        entry = self._files.get(incident_id)
        if entry is None:
            return
        if len(entry.waiting) >= MOST_WAITING:
            entry.dropped += 1
        else:
            entry.waiting.append(record)

    def landed(self, facts: Sequence[ev.Envelope], _: DepotState) -> None:
        """A durable batch of the journal."""
        if not self._files:
            return
        for fact in facts:
            row = self._log.row_of(fact) or _of_command(fact)
            if row is None:
                continue
            record = {
                "kind": "fact", "at": iso(row.at), "title": row.title, "detail": row.detail, "tone": row.tone, "by": row.by or fact.actor,
                "type": fact.type, "seq": fact.seq,
            }  # fmt: skip
            about = _about(fact.data)
            for incident_id in self._files:
                drill = self.desk.book.incidents[incident_id].drill
                if about == incident_id or (not drill and about not in self.desk.book.drills):
                    self.tell(incident_id, record)

    # -- to the disk ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.flush()
                await self._prune()
                await asyncio.sleep(FLUSH_S)  # real time; not at once after a trip either: the stop goes first
        finally:
            for entry in self._files.values():
                if entry.file is not None:
                    entry.file.release()
                    entry.file = None

    async def flush(self) -> None:
        """Write what waits."""
        async with self._writing:
            for incident_id in list(self._files):
                await self._write(incident_id)

    async def _write(self, incident_id: str) -> bool:
        """Whether everything of this file is on the disk."""
        entry, incident = self._files[incident_id], self.desk.book.incidents[incident_id]
        self._take_signals(entry, incident)
        if not entry.waiting and entry.file is not None:
            return True
        records: list[Record | Piece] = list(entry.waiting)
        if entry.dropped:
            records.append({"kind": "fact", "at": iso(self._yard.clock.now()), "title": f"{entry.dropped} records could not be kept"})

        def write() -> IncidentFile:
            file = entry.file or IncidentFile.open(files.file_of(self.folder, incident_id))
            if not file.digest:
                file.append([_signals(one) if isinstance(one, Piece) else one for one in records])
            return file

        try:
            file = entry.file = await asyncio.to_thread(write)
        except OSError as error:
            if not self.unwritten:
                log.error("incident %s cannot be written: %s", incident_id, error)
            self.unwritten = error.strerror or str(error)
            return False
        del entry.waiting[: len(records) - (1 if entry.dropped else 0)]
        entry.dropped = 0
        self.unwritten = ""
        self.present |= {incident_id}
        if file.digest:  # closed, and killed before the journal knew
            self.desk.put(ev.IncidentClosed(incident_id, "", "", "closed before a restart", file.digest, file.count))
            del self._files[incident_id]
        return True

    def _take_signals(self, entry: _Open, incident: Incident) -> None:
        if incident.pack is None:
            return
        now = self._yard.clock.now()
        sparse = now - incident.opened_at > DENSE
        if sparse and entry.told is not None and (now - entry.told).total_seconds() < SPARSE_S:
            return
        piece = self._signals.since(incident.pack, entry.told)
        if piece is None or len(entry.waiting) >= MOST_WAITING:
            return
        entry.told = piece.newest
        entry.waiting.append(piece.last() if sparse else piece)

    async def _prune(self) -> None:
        now_s = self._yard.clock.monotonic()
        if now_s - self._pruned_s < PRUNE_S:
            return
        self._pruned_s = now_s
        now, opened = self._yard.clock.now(), list(self._files)
        try:
            gone = await asyncio.to_thread(lambda: files.drop_old(self.folder, now, self.keep, but=opened))
            self.present = await asyncio.to_thread(lambda: files.present(self.folder))
        except OSError as error:
            log.warning("old incident files could not be looked through: %s", error)
            return
        for number in gone:
            log.info("incident file %s was dropped by its age", number)

    # -- closed -----------------------------------------------------------------------------------------------------

    def against_close(self, incident: Incident) -> str:
        """What speaks against closing its file; empty: nothing."""
        if incident.closed_at is not None:
            return "it is closed"
        if (
            incident.drill
            and incident.incident_id in self.desk.book.drills
            and self.desk.book.drills[incident.incident_id].ended_at is None
        ):
            return "its drill is under way"
        if incident.pack is not None and not incident.drill and incident.pack in set(self._tripped()):
            return f"{incident.pack} is tripped: reset it first"
        evacuation = self.desk.book.evacuations.get(incident.incident_id)
        if evacuation is not None and evacuation.ended_at is None:
            return "its evacuation is under way: end it first"
        return ""

    async def close(self, incident_id: str, *, person: str, role: str, reason: str, cause_id: str | None = None) -> str:
        """Complete the file and close it; its digest. Raises OSError where the disk does: it stays open."""
        incident = self.desk.book.incidents[incident_id]
        self._tell_people(incident)
        steps = {name: {"state": told.state.value, "detail": told.detail, "took_s": told.took_s} for name, told in incident.steps.items()}
        self.tell(incident_id, {"kind": "steps", "at": iso(self._yard.clock.now()), "steps": steps})
        async with self._writing:
            if not await self._write(incident_id):
                raise OSError(self.unwritten)
            file = self._files[incident_id].file
            assert file is not None
            last = {"at": iso(self._yard.clock.now()), "by": person, "role": role, "reason": reason}
            digest = await asyncio.to_thread(lambda: file.close(last))
            del self._files[incident_id]
        await self.desk.put_durably(
            ev.IncidentClosed(incident_id, person, role, reason, digest, file.count), actor=person or "controller", cause_id=cause_id
        )
        return digest

    def _tell_people(self, incident: Incident) -> None:
        """The roll-call as it ended, with names: the file is kept for a time, the journal for ever."""
        evacuation = self.desk.book.evacuations.get(incident.incident_id)
        if evacuation is None:
            return
        rows = []
        posts = {person.person_id: person.post for person in evacuation.expected}
        for number in dict.fromkeys([*posts, *evacuation.seen]):
            seen = evacuation.seen.get(number)
            rows.append({
                "person_id": number, "name": self._names.name_of(number), "post": posts.get(number, ""),
                "presence": evacuation.presence(number).value, "at": iso(seen.at) if seen else None,
                "by": seen.by if seen else "", "point": seen.point if seen else "",
            })  # fmt: skip
        self.tell(incident.incident_id, {
            "kind": "people", "began_at": iso(evacuation.began_at), "deadline": iso(evacuation.deadline),
            "ended_at": iso(evacuation.ended_at) if evacuation.ended_at else None, "ended_by": evacuation.ended_by,
            "reason": evacuation.end_reason, "people": rows,
        })  # fmt: skip

    # -- commands, alarms, views --------------------------------------------------------------------------------------

    def _known(self, incident_id: str) -> Incident:
        found = self.desk.book.incidents.get(incident_id)
        if found is None:
            raise UnknownThing(f"there is no incident {incident_id}")
        return found

    async def _note(self, command: cmd.NoteIncident, _cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        incident = self._known(command.incident_id)
        if incident.closed_at is not None:
            return cmd.CommandStatus.REFUSED, f"incident {command.incident_id} is closed: nothing in its file changes any more"
        note = {"kind": "note", "at": iso(self._yard.clock.now()), "by": command.actor, "text": command.reason}
        self.tell(command.incident_id, note)
        await self.flush()
        words = f"; it is not on the disk yet ({self.unwritten})" if self.unwritten else ""
        return cmd.CommandStatus.DONE, f"noted in the file of incident {command.incident_id}{words}"

    async def _close(self, command: cmd.CloseIncident, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        incident = self._known(command.incident_id)
        if command.role not in CLOSERS:
            return cmd.CommandStatus.REFUSED, "an incident's file is closed by a safety officer or an admin"
        if against := self.against_close(incident):
            return cmd.CommandStatus.REFUSED, against
        if self._yard.journal.frozen:
            raise JournalFrozen("the digest of a closed file must be recorded, and the journal cannot write")
        try:
            digest = await self.close(
                command.incident_id, person=command.actor, role=command.role.value, reason=command.reason, cause_id=cause.id
            )
        except OSError as error:
            return cmd.CommandStatus.FAILED, f"incident {command.incident_id} stays open: its file cannot be written ({error})"
        return cmd.CommandStatus.DONE, f"incident {command.incident_id} is closed; SHA-256 {digest}"

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """Files that cannot be written."""
        return [Condition("incident_unwritten", title=f"Incident files cannot be written: {self.unwritten}")] if self.unwritten else []

    async def _view(self, _: Mapping[str, str]) -> IncidentsView:
        return rows_of(self)


def _signals(piece: Piece) -> Record:
    """The record of signals; half an hour of them takes its time to write, so this runs in the thread."""
    rows = [[iso(at) if isinstance(at, datetime) else at, *more] for at, *more in piece.rows()]
    return {"kind": "signals", "pack": str(piece.pack), "columns": list(COLUMNS), "rows": rows}


def _of_command(fact: ev.Envelope) -> Row | None:
    """What people and machines ordered meanwhile, whatever it was about, and what became of it."""
    match fact.data:
        case ev.CommandRequested(_, kind, target, reason):
            return Row(at=fact.occurred_at, title=f"{kind} of {target or 'the depot'} ordered", detail=reason, by=fact.actor)
        case ev.CommandFinished(_, outcome, message):
            return Row(at=fact.occurred_at, title=f"Order {outcome}", detail=message)
        case _:
            return None


def _about(data: Any) -> str:
    """The incident, drill or evacuation that a fact is about, by its number; "" where it names none."""
    return next((str(value) for name in ("incident_id", "drill_id", "evacuation_id") if (value := getattr(data, name, ""))), "")
