"""Events that stations tell by themselves (NotifyEvent): kept, bounded, and alarms where they are severe.

    event --seen before? too many?--> Writer: the event, and the variable's value --severe, not cleared--> Condition (alarm)

The severity is the message's (2.1) or its monitor's; where neither says one, it is kept and shown, and is no alarm. An alarm
ends when the station says that it is over, when its monitor is removed, when it boots, or after a day without a word.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from controller.alarms import Condition
from controller.device_model.store import ModelStore, StoredEvent
from controller.device_model.writer import Writer
from controller.yard import Yard
from depot.device_model import ACTUAL, SEVERE, Monitor, ReportedEvent

A_MINUTE: Final = 60
"""Events of one station that are kept in a minute; more are only counted."""
REMEMBERED: Final = 200
"""Signs of a station's last events, by which a repetition is known."""
STANDING_MOST: Final = 20
"""Alarms of one station at once."""
STANDS: Final = timedelta(days=1)
ALERTING: Final = "Alerting"
DANGER: Final = 1
"""Danger and hardware failure: the worse kind of alarm."""


@dataclass(slots=True)
class _Memory:
    """Of one station."""

    signs: deque[tuple[int, datetime | None]]
    arrived: deque[datetime]


class Happenings:
    """All stations' events. ``unlisted``: by station, how many came too fast to be kept."""

    kinds: Final = frozenset({"station_danger", "station_event"})

    def __init__(self, yard: Yard, store: ModelStore, writer: Writer) -> None:
        self._yard = yard
        self._store = store
        self._writer = writer
        self._memory: dict[str, _Memory] = {}
        self._severities: dict[tuple[str, int], int] = {}
        self._standing: dict[tuple[str, str], StoredEvent] = {}
        self._next = 1
        self.unlisted: Counter[str] = Counter()

    def restore(self, next_event: int, monitors: Iterable[tuple[str, Monitor, datetime]], newest: Sequence[StoredEvent]) -> None:
        """``newest``: severe events, newest first."""
        self._next = next_event
        self._severities = {(station_id, monitor.monitor_id): monitor.severity for station_id, monitor, _ in monitors}
        for stored in reversed(newest):
            self._follow(stored)

    def monitors_told(self, station_id: str, monitors: Iterable[Monitor]) -> None:
        self._severities |= {(station_id, monitor.monitor_id): monitor.severity for monitor in monitors}

    def monitors_gone(self, station_id: str, ids: Iterable[int]) -> None:
        """What they had said is over."""
        gone = set(ids)
        for number in gone:
            self._severities.pop((station_id, number), None)
        for key, stored in list(self._standing.items()):
            if key[0] == station_id and stored.event.monitor_id in gone:
                del self._standing[key]

    def booted(self, station_id: str) -> None:
        """It begins anew: what still holds it says again."""
        for key in [key for key in self._standing if key[0] == station_id]:
            del self._standing[key]

    async def take(self, station_id: str, events: Sequence[ReportedEvent]) -> None:
        await self._writer.room()
        now = self._yard.clock.now()
        memory = self._memory.setdefault(station_id, _Memory(deque(maxlen=REMEMBERED), deque(maxlen=A_MINUTE)))
        kept: list[StoredEvent] = []
        for event in events:
            sign = (event.event_id, event.at)
            if sign in memory.signs:
                continue
            memory.signs.append(sign)
            severity = event.severity
            if severity is None and event.monitor_id is not None:
                severity = self._severities.get((station_id, event.monitor_id))
            stored = StoredEvent(self._next, station_id, severity, event, now)
            self._follow(stored)
            if len(memory.arrived) == A_MINUTE and now - memory.arrived[0] < timedelta(minutes=1):
                self.unlisted[station_id] += 1
                continue
            memory.arrived.append(now)
            self._next += 1
            kept.append(stored)
        if events:
            values = {(event.variable, ACTUAL): event.value for event in sorted(events, key=lambda event: event.event_id)}

            def work(connection: Connection) -> None:
                self._store.put_values(connection, station_id, values, {}, now)
                for stored in kept:
                    self._store.put_event(connection, stored)
                self._store.trim_events(connection, station_id)

            self._writer.put(work, rows=len(events))

    # -- alarms -----------------------------------------------------------------------------------------------------

    def _follow(self, stored: StoredEvent) -> None:
        """What stands now that this has happened."""
        event = stored.event
        subject = event.variable.key if event.monitor_id is None else f"{event.variable.key}#{event.monitor_id}"
        key = (stored.station_id, subject)
        if event.cleared:
            self._standing.pop(key, None)
        elif event.trigger == ALERTING and stored.severity is not None and stored.severity <= SEVERE:
            mine = sum(station_id == stored.station_id for station_id, _ in self._standing)
            if key in self._standing or mine < STANDING_MOST:
                self._standing[key] = stored

    def conditions(self, now: datetime) -> list[Condition]:
        """See :class:`controller.alarms.Conditions`."""
        for key in [key for key, stored in self._standing.items() if now - stored.received_at > STANDS]:
            del self._standing[key]
        return [_condition(stored) for stored in self._standing.values()]


def _condition(stored: StoredEvent) -> Condition:
    event, severity = stored.event, stored.severity or 0
    words = f"{stored.station_id}: {str(event.variable)[:80]} is {event.value[:40] or 'not told'}"
    told = " ".join(part for part in (event.code, event.info) if part)
    monitor = "" if event.monitor_id is None else f" #{event.monitor_id}"
    kind = "station_danger" if severity <= DANGER else "station_event"
    return Condition(kind, f"{stored.station_id} {str(event.variable)[:80]}{monitor}", f"{words} ({told[:80]})." if told else f"{words}.")
