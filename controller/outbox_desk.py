"""The outbox desk: a room of the core that shows how notifications stand, and prunes the outbox. It sends nothing.

It reads the notifier's database now and then, in a thread; the notifier may be dead, or never have run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct
from sqlalchemy import Connection

from controller import outbox
from controller.alarms import Condition
from controller.notify.ledger import Delivery, Ledger, Standing
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from storage import StorageError, Store, StoreMissing

log = logging.getLogger(__name__)

LOOK_S: Final = 15.0
PRUNE_S: Final = 6 * 3600.0
STUCK_S: Final = 900.0
"""Messages that wait for so long are worth an alarm: the channel or the notifier is down."""


class Besides(Protocol):
    """Who has a moment to write: :meth:`controller.journal.SqlJournal.beside`."""

    def beside(self, job: Callable[[Connection], None]) -> bool: ...


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message that was given up."""

    channel: str
    title: str
    at: datetime
    error: str
    tries: int


class NotifyView(Struct, frozen=True, kw_only=True):
    """How notifications stand. ``waiting_since``: since when the oldest one waits. Times are the machine's."""

    waiting: int
    sent: int
    dead: int
    waiting_since: datetime | None
    last_arrived: datetime | None
    letters: list[DeadLetter]


class OutboxDesk:
    """See the module. ``now_s``: the machine's time, as the notifier counts."""

    kinds: frozenset[str] = frozenset({"message_undelivered"})

    def __init__(self, yard: Yard, ledger: Path, journal: Besides, *, now_s: Callable[[], float]) -> None:
        self.yard = yard
        self._path = ledger
        self._ledger: Ledger | None = None
        self._journal = journal
        self._now_s = now_s
        self._standing: Standing | None = None
        self._letters: Sequence[Delivery] = ()
        self._pruned_s = 0.0

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {NotifyView: self._view}

    def conditions(self, now: datetime) -> Sequence[Condition] | None:
        """Dead letters, or messages that wait for long; None before the first look."""
        found = self._standing
        if found is None:
            return None
        if found.dead:
            what = f"{found.dead} notification{'s' if found.dead > 1 else ''} could not be delivered"
            return [Condition("message_undelivered", "", f"{what}: {self._letters[0].error}" if self._letters else what)]
        if found.oldest_s is not None and self._now_s() - found.oldest_s > STUCK_S:
            minutes = (self._now_s() - found.oldest_s) / 60
            return [Condition("message_undelivered", "", f"{found.waiting} notifications wait for {minutes:.0f} min: they do not arrive")]
        return []

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            if self._now_s() - self._pruned_s > PRUNE_S:
                self._pruned_s = self._now_s()
                before = self.yard.clock.now() - outbox.KEEP
                self._journal.beside(lambda connection: outbox.forget(connection, self.yard.spec.depot_id, before))  # noqa: B023  # its own value
            await asyncio.sleep(LOOK_S)  # real time: another process is watched

    def look(self) -> None:
        """Read how things stand."""
        try:
            if self._ledger is None:
                self._ledger = Ledger(Store.open(self._path, read_only=True), self.yard.spec.depot_id)
            self._standing, self._letters = self._ledger.standing(), self._ledger.given_up()
        except StoreMissing:
            self._standing, self._letters = Standing(0, 0, 0, None, None), ()
        except StorageError as error:
            log.info("how notifications stand could not be read: %s", error)

    async def _view(self, args: Mapping[str, str]) -> NotifyView | None:
        found = self._standing
        if found is None:
            return None
        return NotifyView(
            waiting=found.waiting,
            sent=found.sent,
            dead=found.dead,
            waiting_since=_at(found.oldest_s),
            last_arrived=_at(found.sent_s),
            letters=[
                DeadLetter(channel=d.channel, title=d.message.title, at=d.message.at, error=d.error, tries=d.tries) for d in self._letters
            ],
        )


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
