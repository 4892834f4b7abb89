"""The journal: facts are durable before anybody is answered, then folded, then told. Implements ``depot.ports.Journal``.

    append() … append()  -> queue -> one writer takes all that wait -> one transaction (one fsync)
    along() ----------------^          -> state folded -> subscribers told -> appends return

Two writers. ``thread``: a thread of its own commits while the loop goes on (production). ``inline``: commits where it is
called, without threads (virtual time). While the store can't be written, the journal is *frozen*: appends wait and are
tried again (0.1 s doubling to 1 s) until it recovers by itself; ``wait=False`` is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from sqlalchemy import Connection

from controller.codec import EventCodec, Ids, NotDecodable, NotEncodable, to_ms
from controller.journal_store import (
    Answer,
    Companion,
    Draft,
    JournalBroken,
    JournalClosed,
    JournalCorrupt,
    JournalError,
    JournalWriter,
    Tip,
    Write,
    load,
)
from depot.events import Envelope, NewEvent
from depot.ports import Clock, JournalFrozen
from depot.state import DepotState
from storage import Store, StoreUnavailable

__all__ = ["JournalBroken", "JournalClosed", "JournalCorrupt", "JournalError", "JournalFrozen", "SqlJournal"]

log = logging.getLogger(__name__)

Subscriber = Callable[[Sequence[Envelope], DepotState], None]
Job = Callable[[Connection], None]

RETRY_FIRST_S = 0.1
RETRY_MOST_S = 1.0
BATCH_EVENTS = 1000
JOBS_WAITING = 64
SNAPSHOT_EVERY = 2000


@dataclass(slots=True, eq=False)
class _Append:
    """One caller's facts, or its rows beside them, and where it waits for its answer (thread writer only)."""

    drafts: list[Draft]
    wait: bool
    write: Write | None = None
    answer: asyncio.Future[list[Envelope]] | None = None


class SqlJournal:
    """One depot's journal in a :class:`~storage.Store`. Use ``async with``; entering loads and folds what is there.

    The process must own the database (:class:`storage.Lease`). Raises :class:`JournalError` and below (drawn in
    :mod:`controller.journal_store`). ``snapshot_every``: events between two snapshots; 0 keeps none.
    ``companions``: write into each commit beside the audit trail (the outbox).
    """

    def __init__(
        self,
        store: Store,
        depot_id: str,
        *,
        clock: Clock,
        writer: Literal["thread", "inline"] = "thread",
        snapshot_every: int = SNAPSHOT_EVERY,
        codec: EventCodec | None = None,
        ids: Ids | None = None,
        companions: Sequence[Companion] = (),
    ) -> None:
        if writer == "thread" and store.path is None:
            raise ValueError("a journal in memory has one connection and needs writer='inline'")
        self.depot_id = depot_id
        self._store = store
        self._clock = clock
        self._codec = codec or EventCodec()
        self._ids = ids or Ids()
        self._companions = companions
        self._snapshot_every = snapshot_every
        self._mode = writer
        self._subscribers: list[Subscriber] = []
        self._state = DepotState()
        self._frozen_because: str | None = None
        self._failure: Exception | None = None
        self._driver: _ThreadDriver | _InlineDriver | None = None

    async def __aenter__(self) -> Self:
        tip = load(self._store, self.depot_id, self._codec)
        self._state = tip.state
        writer = JournalWriter(self._store, self.depot_id, self._codec, tip, self._companions)
        kind = _ThreadDriver if self._mode == "thread" else _InlineDriver
        self._driver = kind(self, self._store, writer, self._snapshot_every)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def state(self) -> DepotState:
        """All durable facts, folded."""
        return self._state

    @property
    def frozen(self) -> bool:
        """The store can't be written now."""
        return self._frozen_because is not None

    @property
    def frozen_because(self) -> str | None:
        """Why, in a sentence for people; None while it writes."""
        return self._frozen_because

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call ``callback(new envelopes, state)`` on the loop after each durable batch, before the appends return.
        It must be quick; what it raises is logged and hurts nobody. Returns the way to end it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def append(self, events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]:
        """Make ``events`` durable, all or none, and return their envelopes in order.

        A key that the journal has already is answered with the first envelope (``duplicate=True``). While frozen:
        waits, or with ``wait=False`` raises :class:`JournalFrozen`. A caller that is cancelled while it waits can't
        know whether its facts were stored; a key makes the repeat harmless.
        """
        driver = self._open_driver()
        if not events:
            return []
        if not wait and self._frozen_because is not None:
            raise JournalFrozen(self._frozen_because)
        return await driver.append(_Append([self._draft(event) for event in events], wait))

    async def along(self, write: Write) -> None:
        """Let ``write(connection)`` be part of the next commit, with whatever facts wait, and return once that is durable. For
        rows that are no facts and must not be lost; while frozen it waits. ``write`` may be called again where a commit failed,
        and raises nothing but what the store does to it."""
        await self._open_driver().append(_Append([], wait=True, write=write))

    def _open_driver(self) -> _ThreadDriver | _InlineDriver:
        if self._failure is not None:
            raise JournalBroken(f"the journal stopped: {self._failure}") from self._failure
        if self._driver is None:
            raise JournalClosed("the journal is not open")
        return self._driver

    def beside(self, job: Job) -> bool:
        """Let the writer do ``job(connection)`` in a transaction of its own when it has nothing better to do. Best
        effort, for data that may be lost: False, and nothing done, while frozen, closed or behind."""
        if self._driver is None or self.frozen or self._failure is not None:
            return False
        return self._driver.beside(job)

    async def close(self) -> None:
        """Write what waits, keep a snapshot, stop. Appends that can't be written any more raise JournalFrozen."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

    def _draft(self, event: NewEvent) -> Draft:
        """Encode now, so that a bad fact hits its own caller. What is folded is what was read back from the bytes:
        then a replay can't differ from what was lived."""
        now = self._clock.now()
        data = self._codec.encode(event.data)
        kind = type(event.data)
        try:
            decoded = self._codec.decode(kind.TYPE, kind.VERSION, data)
        except NotDecodable as error:
            raise NotEncodable(f"{kind.TYPE}: {error}") from error
        envelope = Envelope(
            id=self._ids.uuid7(now),
            depot_id=self.depot_id,
            seq=0,
            type=kind.TYPE,
            version=kind.VERSION,
            occurred_at=to_ms(event.occurred_at),
            reported_at=None if event.reported_at is None else to_ms(event.reported_at),
            received_at=to_ms(event.received_at or now),
            actor=event.actor,
            cause_id=event.cause_id,
            key=event.key,
            data=decoded,
        )
        return Draft(envelope, data)

    # what the drivers report, always on the loop

    def landed(self, answers: Sequence[Answer], tip: Tip) -> None:
        """A batch is durable."""
        self.thawed()
        self._state = tip.state
        fresh = [envelope for answer in answers if isinstance(answer, list) for envelope in answer if not envelope.duplicate]
        if not fresh:
            return
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(fresh, tip.state)
            except Exception:
                log.exception("a subscriber of the journal failed; the facts are stored all the same")

    def froze(self, because: str) -> None:
        """The store refused a write."""
        if self._frozen_because is None:
            log.error("journal frozen: %s; increases, new sessions and acknowledgements wait", because)
        self._frozen_because = because

    def thawed(self) -> None:
        """The store took a write."""
        if self._frozen_because is not None:
            log.warning("journal writes again")
            self._frozen_because = None

    def broke(self, failure: Exception) -> None:
        """The writer can't go on."""
        if self._failure is None:
            log.critical("journal stopped: %s", failure)
            self._failure = failure


class _InlineDriver:
    """Commits where it is called. A turn lock keeps the order while somebody waits for the store to recover."""

    def __init__(self, journal: SqlJournal, store: Store, writer: JournalWriter, snapshot_every: int) -> None:
        self._journal = journal
        self._store = store
        self._writer = writer
        self._snapshot_every = snapshot_every
        self._turn = asyncio.Lock()
        self._probe: asyncio.TimerHandle | None = None

    async def append(self, call: _Append) -> list[Envelope]:
        async with self._turn:
            delay = RETRY_FIRST_S
            while True:
                try:
                    answers = self._writer.commit([call.drafts], [call.write] if call.write is not None else ())
                    break
                except StoreUnavailable as error:
                    self._journal.froze(str(error))
                    if not call.wait:
                        self._probe_later(delay)
                        raise JournalFrozen(str(error)) from error
                except Exception as error:
                    self._journal.broke(error)
                    raise
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MOST_S)
            self._journal.landed(answers, self._writer.tip)
        _best_effort(lambda: self._writer.snapshot(self._snapshot_every))
        (answer,) = answers
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _probe_later(self, delay: float) -> None:
        """Nobody waits inside, so nobody would notice that the store works again."""

        def probe() -> None:
            self._probe = None
            if not self._journal.frozen or self._turn.locked():
                return
            try:
                self._writer.probe()
            except StoreUnavailable:
                self._probe_later(min(delay * 2, RETRY_MOST_S))
            else:
                self._journal.thawed()

        if self._probe is None:
            self._probe = asyncio.get_running_loop().call_later(delay, probe)

    def beside(self, job: Job) -> bool:
        return _beside(self._store, job)

    async def close(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
        _best_effort(lambda: self._writer.snapshot(min(1, self._snapshot_every)))


class _ThreadDriver:
    """Commits in a thread: takes all that waits, one transaction, hands the answers back to the loop."""

    def __init__(self, journal: SqlJournal, store: Store, writer: JournalWriter, snapshot_every: int) -> None:
        self._journal = journal
        self._store = store
        self._writer = writer
        self._snapshot_every = snapshot_every
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[_Append | Job | None] = queue.SimpleQueue()
        self._jobs: list[Job] = []
        self._jobs_waiting = 0
        self._waiting: list[_Append] = []
        self._stopping = False
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def append(self, call: _Append) -> list[Envelope]:
        call.answer = self._loop.create_future()
        self._inbox.put(call)
        return await call.answer

    def beside(self, job: Job) -> bool:
        if self._jobs_waiting >= JOBS_WAITING:
            return False
        self._jobs_waiting += 1
        self._inbox.put(job)
        return True

    async def close(self) -> None:
        self._inbox.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()

    # on the loop

    def _post(self, call: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            self._stopping = True  # the loop is gone: nobody is left to be answered

    def _answer(self, calls: list[_Append], answers: Sequence[Answer], tip: Tip) -> None:
        self._journal.landed(answers, tip)
        for call, answer in zip(calls, answers, strict=True):
            assert call.answer is not None
            if call.answer.done():
                continue
            if isinstance(answer, Exception):
                call.answer.set_exception(answer)
            else:
                call.answer.set_result(answer)

    def _refuse(self, calls: list[_Append], error: Exception) -> None:
        for call in calls:
            assert call.answer is not None
            if not call.answer.done():
                call.answer.set_exception(error)

    def _end(self, failure: Exception | None) -> None:
        if failure is not None:
            self._journal.broke(failure)
        # only here, where nothing can be put in any more, is the inbox surely empty afterwards
        left = [*self._waiting, *(item for item in self._drain() if isinstance(item, _Append))]
        self._refuse(left, JournalBroken(f"the journal stopped: {failure}") if failure else JournalClosed("the journal is closed"))
        if not self._ended.done():
            self._ended.set_result(None)

    # in the thread

    def _run(self) -> None:
        failure: Exception | None = None
        try:
            self._write_until_stopped()
        except Exception as error:  # noqa: BLE001  # a thread has no caller: the loop is told, and every append raises it
            failure = error
        self._post(self._end, failure)

    def _write_until_stopped(self) -> None:
        delay, frozen = RETRY_FIRST_S, False
        while True:
            self._collect(block=not (frozen or self._waiting or self._jobs or self._stopping))
            if self._stopping and not self._waiting:
                self._aside()
                break
            try:
                if self._waiting:
                    calls = self._waiting
                    answers = self._writer.commit([call.drafts for call in calls], [call.write for call in calls if call.write is not None])
                    self._waiting = []
                    self._post(self._answer, calls, answers, self._writer.tip)
                elif frozen:
                    self._writer.probe()
                    self._post(self._journal.thawed)
            except StoreUnavailable as error:
                frozen = True
                self._post(self._journal.froze, str(error))
                self._refuse_impatient(str(error))
                if self._stopping:
                    break
                self._pause(delay, str(error))
                delay = min(delay * 2, RETRY_MOST_S)
                continue
            delay, frozen = RETRY_FIRST_S, False
            self._aside()
        _best_effort(lambda: self._writer.snapshot(min(1, self._snapshot_every)))

    def _collect(self, *, block: bool) -> None:
        """Take what waits in the inbox, up to a batch; with ``block``, wait for the first."""
        if block:
            self._take(self._inbox.get())
        events = sum(len(call.drafts) for call in self._waiting)
        while events < BATCH_EVENTS and not self._stopping:
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                break
            self._take(item)
            events += len(item.drafts) if isinstance(item, _Append) else 0
        self._waiting = [call for call in self._waiting if call.answer is not None and not call.answer.cancelled()]

    def _take(self, item: _Append | Job | None) -> None:
        if item is None:
            self._stopping = True
        elif isinstance(item, _Append):
            self._waiting.append(item)
        else:
            self._jobs.append(item)

    def _pause(self, delay: float, because: str) -> None:
        """Wait before the next try, but refuse at once who won't wait, and wake when it is time to stop."""
        until = time.monotonic() + delay
        while not self._stopping and (left := until - time.monotonic()) > 0:
            try:
                self._take(self._inbox.get(timeout=left))
            except queue.Empty:
                return
            self._refuse_impatient(because)

    def _refuse_impatient(self, because: str) -> None:
        impatient = [call for call in self._waiting if not call.wait or self._stopping]
        if impatient:
            self._waiting = [call for call in self._waiting if call not in impatient]
            self._post(self._refuse, impatient, JournalFrozen(because))

    def _aside(self) -> None:
        """Snapshot when due, then the jobs that nobody waits for."""
        _best_effort(lambda: self._writer.snapshot(self._snapshot_every))
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            self._jobs_waiting -= 1
            _beside(self._store, job)

    def _drain(self) -> list[_Append | Job | None]:
        items: list[_Append | Job | None] = []
        while not self._inbox.empty():
            items.append(self._inbox.get_nowait())
        return items


def _best_effort(action: Callable[[], None]) -> None:
    try:
        action()
    except StoreUnavailable as error:
        log.info("not kept (%s); nothing depends on it", error)


def _beside(store: Store, job: Job) -> bool:
    try:
        with store.writing() as connection:
            job(connection)
    except StoreUnavailable as error:
        log.info("not kept (%s); nothing depends on it", error)
        return False
    except Exception:
        log.exception("a job beside the journal failed; the journal goes on")
        return False
    return True
