"""The audit desk: a room of the core that shows the trail, and checks it after each start, once a day, and when asked.

A check reads the whole journal, so it goes in small steps in a thread, with a pause after each: the loop never waits
for it. What it ends with is a fact (``AuditSealed``) and a line in the log: the head, to be kept elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from msgspec import Struct

from controller import audit
from controller.alarms import Condition
from controller.audit import Checked
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.values import DepotError
from storage import Store, StoreCorrupt, StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_CHECK_S: Final = 60.0
EVERY: Final = timedelta(days=1)
STEP_FACTS: Final = 1000
PAUSE_S: Final = 0.05
PAGE: Final = 50
PAGE_MOST: Final = 500


class AuditRow(Struct, frozen=True, kw_only=True):
    """One entry. ``event_seq``: position of its fact in the journal."""

    seq: int
    at: datetime
    actor: str
    kind: str
    target: str
    reason: str
    outcome: str
    command_id: str
    event_seq: int


class CheckView(Struct, frozen=True, kw_only=True):
    """The last check: sound up to entry ``entries``, unless ``complaint`` says what is not. ``at`` None: none yet."""

    at: datetime | None
    entries: int
    head: str
    complaint: str | None
    running: bool


class AuditView(Struct, frozen=True, kw_only=True):
    """One page of entries, newest first. ``before``: give it to get the next one; null at the end. ``newest``: number of
    the newest entry of all."""

    entries: list[AuditRow]
    before: int | None
    newest: int
    check: CheckView


class AuditDesk:
    """See the module."""

    kinds: frozenset[str] = frozenset({"audit_broken"})

    def __init__(self, yard: Yard, store: Store) -> None:
        self.yard = yard
        self._store = store
        self._depot_id = yard.spec.depot_id
        self._checked: Checked | None = None
        self._checked_at: datetime | None = None
        self._running = False
        self._wanted = asyncio.Event()

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {cmd.CheckAudit: self._check_now}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {AuditView: self._view}

    def conditions(self, now: datetime) -> Sequence[Condition] | None:
        """A trail that is not as it was written; None before the first check."""
        if self._checked is None:
            return None
        complaint = self._checked.complaint
        return [] if complaint is None else [Condition("audit_broken", "", f"The audit trail is not as it was written: {complaint}")]

    async def run(self) -> None:
        await self._pause(FIRST_CHECK_S)
        while True:
            self._wanted.clear()
            await self.check()
            await self._pause(EVERY.total_seconds())

    async def check(self) -> Checked:
        """The whole trail, step by step; the result is shown, logged and sealed."""
        self._running = True
        try:
            done = Checked()
            while done.sound and not done.whole:
                done = await self._aside(lambda: audit.verify(self._store, self._depot_id, done, most=STEP_FACTS))  # noqa: B023  # called at once
                await self.yard.clock.sleep(PAUSE_S)
        except StoreUnavailable as error:
            log.warning("the audit trail could not be checked: %s", error)
            return self._checked or Checked()
        except StoreCorrupt as error:
            done = Checked(complaint=str(error))
        finally:
            self._running = False
        before = self._checked
        self._checked, self._checked_at = done, self.yard.clock.now()
        if done.sound:
            log.info("audit head %d:%s", done.entries, done.hash.hex())
            if done.entries and (before is None or before.entries != done.entries):
                sealed = ev.AuditSealed(done.entries, done.hash.hex())
                await self.yard.journal.append([ev.NewEvent(sealed, self._checked_at)])
        else:
            log.critical("the audit trail is not as it was written: %s", done.complaint)
        return done

    async def _pause(self, seconds: float) -> None:
        """Until then, or until somebody wants a check."""
        asked = asyncio.create_task(self._wanted.wait())
        waited = asyncio.create_task(self.yard.clock.sleep(seconds))
        try:
            await asyncio.wait((asked, waited), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            waited.cancel()

    async def _aside(self, work: Callable[[], T]) -> T:
        """In a thread; a store in memory has one connection and stays in this one."""
        return work() if self._store.path is None else await asyncio.to_thread(work)

    async def _check_now(self, command: cmd.CheckAudit, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        self._wanted.set()
        return cmd.CommandStatus.DONE, "the check has begun; the page Audit shows how it ends"

    async def _view(self, args: Mapping[str, str]) -> AuditView:
        before, limit = _number(args, "before", 0), _number(args, "limit", PAGE)
        page = await self._aside(
            lambda: audit.read_page(
                self._store,
                self._depot_id,
                before=before or None,
                actor=args.get("actor", ""),
                kind=args.get("kind", ""),
                limit=min(PAGE_MOST, max(1, limit)),
            )
        )
        newest, _ = await self._aside(lambda: audit.head(self._store, self._depot_id))
        checked = self._checked
        return AuditView(
            entries=[
                AuditRow(
                    seq=e.seq,
                    at=e.at,
                    actor=e.actor,
                    kind=e.kind,
                    target=e.target,
                    reason=e.reason,
                    outcome=e.outcome,
                    command_id=e.command_id,
                    event_seq=e.event_seq,
                )
                for e in page.entries
            ],
            before=page.before,
            newest=newest,
            check=CheckView(
                at=self._checked_at,
                entries=checked.entries if checked is not None else 0,
                head=checked.hash.hex() if checked is not None and checked.entries else "",
                complaint=checked.complaint if checked is not None else None,
                running=self._running,
            ),
        )


def _number(args: Mapping[str, str], name: str, default: int) -> int:
    text = args.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 15:
        raise DepotError(f"{name} is a number, not {text[:40]!r}")
    return int(text)
