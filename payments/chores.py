"""What the worker does once an hour beside the debits: settlement reports, payments that are missing in them, reminders.

Each piece stands alone: one that fails is logged and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta

from sqlmodel import func, select

from depot.ports import Clock
from payments.dunning import Reminder, note_reminders, to_send
from payments.gateway import Gateway, Ok
from payments.records import Books, looking
from payments.rules import INDIA
from payments.settlements import days_to_fetch, find_missing, take_in
from payments.tables import PaymentRow, ReminderRow, TallyRow
from payments.terms import Terms
from payments.times import from_ms, to_ms
from storage import Store

__all__ = ["FETCHED", "Chores", "Messenger"]

log = logging.getLogger(__name__)

FETCHED = "settlements_fetched"
"""Tally whose note is the last day of which the report was read."""

Messenger = Callable[[Reminder], Awaitable[bool]]
"""Hands a reminder over; whether it was taken."""


@dataclass(slots=True)
class Chores:
    """Of one depot, used by its one worker. ``messenger`` None: reminders stand on the pages only."""

    store: Store
    depot_id: str
    clock: Clock
    gateway: Gateway
    terms: Terms
    messenger: Messenger | None = None

    async def run(self) -> None:
        """All of it, once."""
        await self.settle()
        missing = find_missing(self.store, self.depot_id, self.clock.now())
        if missing:
            log.warning("%d payments are in no settlement", missing)
        with self.store.unit() as session:
            note_reminders(Books(session, self.depot_id), self.clock.now(), days=self.terms.rules.reminder_days)
        await self.remind()

    async def settle(self) -> int:
        """Read the reports that are due, today's so far included; the number of new lines."""
        now, new = self.clock.now(), 0
        today = now.astimezone(INDIA).date()
        for day in (*days_to_fetch(self._fetched(), now, self._first_day()), *([today] if self._first_day() else [])):
            answer = await self.gateway.settlement_items(day)
            if not isinstance(answer, Ok):
                log.info("the settlement report of %s is not to be had now", day)
                break
            new += take_in(self.store, self.depot_id, answer.value, day=day, now=self.clock.now())
            if day < today:
                self._note_fetched(day)
        return new

    async def remind(self) -> int:
        """Hand over the reminders that wait; how many were taken."""
        if self.messenger is None:
            return 0
        with looking(self.store) as session:
            waiting = to_send(Books(session, self.depot_id), self.clock.now(), days=self.terms.rules.reminder_days)
        taken = 0
        for reminder in waiting:
            done = await self.messenger(reminder)
            taken += done
            with self.store.unit() as session:
                row = session.get(ReminderRow, (self.depot_id, reminder.session_id, reminder.number))
                assert row is not None
                row.tries += 1
                if done:
                    row.sent_ms = to_ms(self.clock.now())
        return taken

    def _first_day(self) -> date | None:
        with looking(self.store) as session:
            first = session.exec(select(func.min(PaymentRow.taken_ms)).where(PaymentRow.depot_id == self.depot_id, PaymentRow.booked)).one()
        return from_ms(first).astimezone(INDIA).date() if first is not None else None

    def _fetched(self) -> list[date]:
        """Every day up to the last that was read."""
        with looking(self.store) as session:
            row = session.get(TallyRow, (self.depot_id, FETCHED))
        first = self._first_day()
        if row is None or first is None or not row.note:
            return []
        last = date.fromisoformat(row.note)
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def _note_fetched(self, day: date) -> None:
        with self.store.unit() as session:
            row = session.get(TallyRow, (self.depot_id, FETCHED))
            if row is None:
                row = TallyRow(depot_id=self.depot_id, name=FETCHED, number=0, last_ms=0)
                session.add(row)
            row.number, row.last_ms = row.number + 1, to_ms(self.clock.now())
            row.note = max(row.note, day.isoformat())
