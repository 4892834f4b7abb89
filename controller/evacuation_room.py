"""Evacuation and roll-call: begun by itself for fire, smoke and gas, or by a person; ended by a named person alone.

    begin(area, why) --at once--> open evacuation, deadline, everybody on shift is expected --CheckIn …--> nobody missing
    EndEvacuation, by a safety officer or admin with a reason --> over

It stands over restarts: it is a fact, and where the journal could not write it, the latched trip begins it again
(:mod:`controller.response_room`). Beginning and checking in act before anything is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from controller.alarms import Condition
from controller.emergency_desk import EmergencyDesk
from controller.evacuation_view import BayToClear, EvacuationRow, EvacuationView, RollCallRow, ShiftRow
from controller.names import NameBook
from controller.output_areas import Areas
from controller.room import Carrier, Viewer
from depot import commands as cmd
from depot import events as ev
from depot.emergency import Evacuation, Presence, ShiftPerson
from depot.outputs import Area
from depot.ports import JournalFrozen
from depot.values import Role, UnknownThing

ENDERS: Final = frozenset({Role.SAFETY_OFFICER, Role.ADMIN})
PAST_SHOWN: Final = 10


class EvacuationRoom:
    """``minutes``: its time, five at most. ``clear``: bays beside the burning ones. ``number``: of the incident that a person's
    evacuation opens."""

    kinds: frozenset[str] = frozenset({"evacuation", "person_missing"})

    def __init__(
        self,
        desk: EmergencyDesk,
        names: NameBook,
        *,
        minutes: float = 5.0,
        clear: Callable[[], Sequence[BayToClear]] = lambda: (),
        open_incident: Callable[[Area, str], str],
    ) -> None:
        self.desk, self._names, self.minutes = desk, names, minutes
        self._yard = desk.yard
        self._clear, self._open_incident = clear, open_incident
        self.on_begin: list[Callable[[], None]] = []
        """Who must know at once that a real one has begun."""
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.SetShift: self._set_shift,
            cmd.BeginEvacuation: self._begin,
            cmd.CheckIn: self._check_in,
            cmd.EndEvacuation: self._end,
        }
        self.urgent: Mapping[type[cmd.Command], Callable[[cmd.Command], bool]] = {
            cmd.BeginEvacuation: self._begin_at_once,
            cmd.CheckIn: self._check_in_at_once,
        }
        self.views: Mapping[type[Struct], Viewer] = {EvacuationView: self._view}

    async def run(self) -> None:
        """Nothing to follow up: time itself makes it overdue."""
        await asyncio.Event().wait()

    # -- what the response and the drill ask ----------------------------------------------------------------------

    def begin(
        self, evacuation_id: str, area: Area, reason: str, *, by: str = "", since: datetime | None = None, drill: bool = False
    ) -> None:
        """At once. While one is under way the area is added to it, and its time goes on. ``since``: when its cause came."""
        running = self.desk.book.evacuation(drill=drill)
        if running is not None:
            if area not in running.areas:
                self.desk.put(ev.EvacuationSpread(running.evacuation_id, area, reason[:200]), actor=by or "controller")
            return
        deadline = (since or self._yard.clock.now()) + timedelta(minutes=self.minutes)
        begun = ev.EvacuationBegun(evacuation_id, (area,), reason[:200], deadline, self.desk.book.shift, by, drill)
        self.desk.put(begun, actor=by or "controller")
        for told in self.on_begin if not drill else ():
            told()

    def areas(self) -> dict[Area, str]:
        """The areas that people leave now, and why; of a drill none."""
        running = self.desk.book.evacuation()
        return {} if running is None else dict.fromkeys(running.areas, f"evacuation: {running.reason}")

    def end_drill(self, reason: str) -> None:
        """A drill's own evacuation is over; a real one is not touched."""
        running = self.desk.book.evacuation(drill=True)
        if running is not None:
            missing = tuple(person.person_id for person in running.not_seen)
            self.desk.put(ev.EvacuationEnded(running.evacuation_id, "drill", "", reason[:200], missing))

    def against_reset(self) -> str | None:
        """What speaks against the reset of a battery now."""
        running = self.desk.book.evacuation()
        return None if running is None else "an evacuation is under way: end it first, when everybody was seen"

    # -- commands -------------------------------------------------------------------------------------------------

    async def _set_shift(self, command: cmd.SetShift, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        names = {person.person_id: person.name for person in command.people}
        running = (self.desk.book.evacuation(), self.desk.book.evacuation(drill=True))
        needed = {number for one in running if one is not None for number in (*one.seen, *(p.person_id for p in one.expected))}
        before = {person.person_id for person in self.desk.book.shift}
        await asyncio.to_thread(self._names.put, names)
        await asyncio.to_thread(self._names.forget, before - names.keys() - needed)
        people = tuple(ShiftPerson(person.person_id, person.post) for person in command.people)
        await self.desk.put_durably(ev.ShiftSet(people), actor=cause.actor, cause_id=cause.id)
        return cmd.CommandStatus.DONE, f"{len(people)} people are on shift"

    def _begin_at_once(self, command: cmd.Command) -> bool:
        assert isinstance(command, cmd.BeginEvacuation)
        if not Areas(self._yard.spec, ()).exists(command.area):
            return False
        if self.desk.book.evacuation() is None:
            number = self._open_incident(command.area, f"evacuation by {command.actor}: {command.reason}")
            self.begin(number, command.area, command.reason, by=command.actor)
        else:
            self.begin("", command.area, command.reason, by=command.actor)
        return True

    async def _begin(self, command: cmd.BeginEvacuation, _cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        if not self._begin_at_once(command):
            raise UnknownThing(f"there is no {command.area} in this depot")
        running = self.desk.book.evacuation()
        assert running is not None
        return cmd.CommandStatus.DONE, f"evacuation of {', '.join(map(str, running.areas))}: {len(running.not_seen)} people not seen yet"

    def _check_in_at_once(self, command: cmd.Command) -> bool:
        assert isinstance(command, cmd.CheckIn)
        running = self._roll_call()
        if running is None:
            return False
        seen = running.seen.get(command.person_id)
        if seen is None or (seen.presence, seen.point) != (command.presence, command.point):
            fact = ev.PersonSeen(running.evacuation_id, command.person_id, command.presence, command.actor, command.point)
            self.desk.put(fact, actor=command.actor)
        return True

    async def _check_in(self, command: cmd.CheckIn, _cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        if not self._check_in_at_once(command):
            return cmd.CommandStatus.REFUSED, "no evacuation is under way: there is no roll-call"
        running = self._roll_call()
        left = len(running.not_seen) if running is not None else 0
        who = self._names.name_of(command.person_id) or command.person_id
        return cmd.CommandStatus.DONE, f"{who} is {command.presence}; {left or 'nobody'} still not seen"

    def _roll_call(self) -> Evacuation | None:
        """The real one comes before that of a drill."""
        return self.desk.book.evacuation() or self.desk.book.evacuation(drill=True)

    async def _end(self, command: cmd.EndEvacuation, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        running = self.desk.book.evacuation()
        if command.role not in ENDERS:
            return cmd.CommandStatus.REFUSED, "an evacuation is ended by a safety officer or an admin"
        if running is None:
            return cmd.CommandStatus.REFUSED, "no evacuation is under way"
        missing = running.not_seen
        if missing and not command.despite_missing:
            who = ", ".join(self._names.name_of(p.person_id) or p.person_id for p in missing[:5])
            return (
                cmd.CommandStatus.REFUSED,
                f"not seen: {who}{' and others' if len(missing) > 5 else ''}; find them, or end it despite that",
            )
        if self._yard.journal.frozen:
            raise JournalFrozen("the end of an evacuation must be recorded, and the journal cannot write")
        ids = tuple(person.person_id for person in missing)
        fact = ev.EvacuationEnded(running.evacuation_id, command.actor, command.role.value, command.reason, ids)
        await self.desk.put_durably(fact, actor=cause.actor, cause_id=cause.id)
        return cmd.CommandStatus.DONE, "the evacuation is over" + (f"; {len(ids)} people were not seen" if ids else ", everybody was seen")

    # -- alarms and views -----------------------------------------------------------------------------------------

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """A real evacuation, and who is missing when its time is over."""
        running = self.desk.book.evacuation()
        if running is None:
            return []
        where = ", ".join(area.title if n == 0 else str(area) for n, area in enumerate(running.areas))
        action = f"{running.reason}. Everybody out; roll-call on the page Safety; call the fire brigade. {len(running.not_seen)} not seen."
        found = [Condition("evacuation", running.evacuation_id, f"Evacuation: {where}", action)]
        if running.overdue(now):
            who = ", ".join(self._names.name_of(p.person_id) or p.person_id for p in running.not_seen[:5])
            more = f" and {len(running.not_seen) - 5} more" if len(running.not_seen) > 5 else ""
            title = f"Not seen after {self.minutes:g} minutes: {who}{more}"
            found.append(Condition("person_missing", running.evacuation_id, title))
        return found

    async def _view(self, _: Mapping[str, str]) -> EvacuationView:
        book, now = self.desk.book, self._yard.clock.now()
        real, drill = book.evacuation(), book.evacuation(drill=True)
        past = sorted((e for e in book.evacuations.values() if e.ended_at is not None), key=lambda e: e.began_at, reverse=True)
        return EvacuationView(
            at=now,
            running=None if real is None else self._row(real, now),
            drill=None if drill is None else self._row(drill, now),
            clear=list(self._clear()),
            past=[self._row(evacuation, now) for evacuation in past[:PAST_SHOWN]],
            shift=[ShiftRow(person_id=p.person_id, name=self._names.name_of(p.person_id), post=p.post) for p in book.shift],
            minutes=self.minutes,
        )

    def _row(self, evacuation: Evacuation, now: datetime) -> EvacuationRow:
        expected = {person.person_id: person for person in evacuation.expected}
        people = [*evacuation.expected, *(ShiftPerson(number) for number in evacuation.seen if number not in expected)]
        over = now >= evacuation.deadline or evacuation.ended_at is not None
        rows = [self._person(evacuation, person, person.person_id in expected, over) for person in people]
        order = {Presence.NOT_SEEN.value: 0, Presence.SAFE.value: 1, Presence.OFF_SITE.value: 2}
        counts = {presence: sum(row.presence == presence.value for row in rows) for presence in Presence}
        return EvacuationRow(
            evacuation_id=evacuation.evacuation_id,
            began_at=evacuation.began_at,
            deadline=evacuation.deadline,
            left_s=0.0 if evacuation.ended_at is not None else (evacuation.deadline - now).total_seconds(),
            areas=[str(area) for area in evacuation.areas],
            reason=evacuation.reason,
            by=evacuation.by,
            drill=evacuation.drill,
            people=sorted(rows, key=lambda row: (order[row.presence], row.name, row.person_id)),
            expected=len(expected),
            safe=counts[Presence.SAFE],
            off_site=counts[Presence.OFF_SITE],
            not_seen=counts[Presence.NOT_SEEN],
            overdue=evacuation.ended_at is None and evacuation.overdue(now),
            ended_at=evacuation.ended_at,
            ended_by=evacuation.ended_by,
            end_reason=evacuation.end_reason,
            recorded=self.desk.recorded,
        )

    def _person(self, evacuation: Evacuation, person: ShiftPerson, expected: bool, over: bool) -> RollCallRow:
        seen = evacuation.seen.get(person.person_id)
        presence = evacuation.presence(person.person_id)
        return RollCallRow(
            person_id=person.person_id,
            name=self._names.name_of(person.person_id),
            post=person.post,
            presence=presence.value,
            missing=over and expected and presence is Presence.NOT_SEEN,
            expected=expected,
            at=seen.at if seen is not None else None,
            by=seen.by if seen is not None else "",
            point=seen.point if seen is not None else "",
        )
