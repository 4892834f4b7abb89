"""The alarm desk: a room of the core that raises, clears and keeps alarms, and takes what people say to them.

    sources --conditions, once a second--> decide --> facts --> journal --> DepotState.alarms
    AcknowledgeAlarms, ShelveAlarm, UnshelveAlarm --> facts

Alarms are facts, so they stand over a restart, and a condition that still holds is not raised twice. While the journal
is frozen they are raised all the same: shown at once, recorded when it writes again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from controller import alarms as rules
from controller.alarm_view import MOST_ROWS, AlarmsView, alarm_counts, alarm_rows, approval_rows
from controller.alarms import Condition, Conditions, Timers
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.alarms import Alarms, AlarmState
from depot.fold.protection import alarms_after
from depot.ports import JournalFrozen
from depot.values import DepotError

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
_REMEMBERED: Final = 5000
"""Times of raised alarms that are kept for the counts of a day."""
_UNRECORDED_MOST: Final = 2000

_Done = tuple[cmd.CommandStatus, str]


class AlarmDesk:
    """See the module. ``sources``: who watches what; the composition root names them, and may add more before run."""

    def __init__(self, yard: Yard, sources: Iterable[Conditions] = ()) -> None:
        self.yard = yard
        self.sources: list[Conditions] = list(sources)
        self.timers = Timers()
        self.seen: dict[str, Condition] = {}
        self.flood = False
        self._started = yard.clock.now()
        self._raised: deque[datetime] = deque((a.raised_at for a in yard.state.alarms.values()), maxlen=_REMEMBERED)
        self._unrecorded: list[ev.NewEvent] = []
        self._failing: set[int] = set()

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {cmd.AcknowledgeAlarms: self._acknowledge, cmd.ShelveAlarm: self._shelve, cmd.UnshelveAlarm: self._unshelve}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {AlarmsView: self._view}

    @property
    def alarms(self) -> Alarms:
        """All that stand, with those that the journal could not take yet."""
        alarms: Alarms = self.yard.state.alarms
        for new in self._unrecorded:
            alarms = alarms_after(alarms, new.data, actor=new.actor, at=new.occurred_at)
        return alarms

    async def run(self) -> None:
        while True:
            await self.look()
            await self.yard.clock.sleep(LOOK_S)

    # -- looking ------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Ask all sources, decide, record."""
        now = self.yard.clock.now()
        watched = self._ask(now)
        facts, self.timers = rules.decide(self.alarms, self.seen, watched, self.timers, now)
        self._raised.extend(now for fact in facts if isinstance(fact, ev.AlarmRaised))
        flood = rules.flooded(self._raised, now, was=self.flood)
        if flood != self.flood:
            self.flood = flood
            log.warning("alarm flood: %s", "more alarms come than one person can follow" if flood else "over")
        await self._record([ev.NewEvent(fact, now) for fact in facts])

    def _ask(self, now: datetime) -> frozenset[str]:
        """Refresh what holds; the kinds that were answered for. Conditions of a silent source stay as they were."""
        answered: set[str] = set()
        found: dict[str, Condition] = {}
        for source in self.sources:
            try:
                conditions = source.conditions(now)
                held = None if conditions is None else {c.key: c for c in conditions if c.kind in rules.KINDS}
            except Exception:
                if id(source) not in self._failing:
                    self._failing.add(id(source))
                    log.exception("%s can't say which conditions hold; its alarms stay as they are", type(source).__name__)
                continue
            self._failing.discard(id(source))
            if held is not None:
                answered |= source.kinds
                found |= held
        kept = {key: c for key, c in self.seen.items() if c.kind not in answered}
        self.seen = kept | found
        return frozenset(answered)

    async def _record(self, new: Sequence[ev.NewEvent]) -> None:
        waiting = [*self._unrecorded, *new]
        if not waiting:
            return
        try:
            await self.yard.journal.append(waiting, wait=False)
            self._unrecorded = []
        except JournalFrozen:
            self._unrecorded = waiting[-_UNRECORDED_MOST:]

    # -- what people say ----------------------------------------------------------------------------------------

    async def _acknowledge(self, command: cmd.AcknowledgeAlarms, cause: ev.Envelope) -> _Done:
        alarms = self.alarms
        waiting = [key for key in dict.fromkeys(command.keys) if key in alarms and not _seen_by_somebody(alarms, key)]
        if not waiting:
            return cmd.CommandStatus.DONE, "nothing was left to acknowledge: it is normal again, or somebody else was quicker"
        await self._append(cause, [ev.AlarmAcknowledged(key) for key in waiting])
        return cmd.CommandStatus.DONE, alarms[waiting[0]].title if len(waiting) == 1 else f"{len(waiting)} alarms acknowledged"

    async def _shelve(self, command: cmd.ShelveAlarm, cause: ev.Envelope) -> _Done:
        alarm = self.alarms.get(command.key)
        if alarm is None:
            return cmd.CommandStatus.REFUSED, "this alarm is normal: there is nothing to put aside"
        if not command.reason:
            raise DepotError("putting an alarm aside needs a reason")
        span = None if command.minutes is None else timedelta(minutes=command.minutes)
        refusal = rules.may_shelve(alarm.kind, alarm.priority, alarm.state, span)
        if refusal is not None:
            return cmd.CommandStatus.REFUSED, refusal
        until = None if span is None else self.yard.clock.now() + span
        await self._append(cause, [ev.AlarmShelved(command.key, until, command.reason)])
        how = "out of service until somebody takes it back" if command.minutes is None else f"shelved for {command.minutes} min"
        return cmd.CommandStatus.DONE, f"{alarm.title}: {how}"

    async def _unshelve(self, command: cmd.UnshelveAlarm, cause: ev.Envelope) -> _Done:
        alarm = self.alarms.get(command.key)
        if alarm is None or alarm.shelf is None:
            return cmd.CommandStatus.DONE, "this alarm is not put aside"
        await self._append(cause, [ev.AlarmUnshelved(command.key, command.reason)])
        return cmd.CommandStatus.DONE, f"{alarm.title}: back"

    async def _append(self, cause: ev.Envelope, facts: Sequence[ev.Event]) -> None:
        now = self.yard.clock.now()
        await self.yard.journal.append([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id) for fact in facts])

    # -- what is shown ------------------------------------------------------------------------------------------

    async def _view(self, args: Mapping[str, str]) -> AlarmsView:
        now, alarms = self.yard.clock.now(), self.alarms
        rows = alarm_rows(alarms, self.seen)
        return AlarmsView(
            at=now,
            counts=alarm_counts(alarms),
            rows=rows[:MOST_ROWS],
            more=max(0, len(rows) - MOST_ROWS),
            flood=self.flood,
            raised_10_min=sum(now - at < rules.FLOOD_WINDOW for at in self._raised),
            raised_24_h=sum(now - at < timedelta(days=1) for at in self._raised),
            counted_since=max(self._started, now - timedelta(days=1)),
            recorded=not self._unrecorded,
            approvals=approval_rows(self.yard.state.approvals),
        )


def _seen_by_somebody(alarms: Alarms, key: str) -> bool:
    return alarms[key].state not in (AlarmState.UNACKNOWLEDGED, AlarmState.CLEARED)
