"""One station's connection: reads frames, answers calls, and carries out ours one at a time.

    reader  every frame; MeterValues and Heartbeat are answered at once, other calls go to the worker in order
    worker  awaits the depot (the fact must be durable), then sends the answer; of what the reader has dealt with already, only
            that it is durable (:class:`Later`)
    caller  one outstanding CALL; urgent ones first; an older job of the same key is superseded before it leaves

Rules kept here (reference §2 and §6): no CALL before the link is opened (no. 17); a job for a connector where
the start of a transaction is being answered waits until that CONF is on the wire; every job ends with an Outcome, whatever the
station does; k time-outs in a row close the connection (no. 18); any received frame is a sign of life (no. 1, 4).
All time-outs are in the event loop's time, and nothing here uses a thread: it runs on virtual time as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from depot.values import Outcome
from ocpp_server.errors import ErrorCode, PayloadViolation, WireClosed
from ocpp_server.frames import IN, OUT, Kind
from ocpp_server.reply import Reply, read_reply
from ocpp_server.session import (
    AnswerRefused,
    CallReceived,
    ErrorReceived,
    Ignored,
    LateAnswer,
    Malformed,
    MessageId,
    Payload,
    ResultReceived,
    Session,
)
from ocpp_server.settings import OcppSettings
from ocpp_server.version import Version
from ocpp_server.wire import Wire

log = logging.getLogger(__name__)


class Priority(IntEnum):
    """Order of waiting jobs; equal ones in the order in which they came."""

    URGENT = 0
    NORMAL = 1
    HOUSEKEEPING = 2


class Later(NamedTuple):
    """The answer to a call that has been dealt with; it leaves once ``durable`` is done, in its turn."""

    payload: Payload
    durable: Awaitable[None]


class Handler(Protocol):
    """What a protocol version does with a station's calls. Raises :class:`PayloadViolation` to refuse one."""

    @property
    def version(self) -> Version: ...

    def immediate(self, call: CallReceived) -> Payload | Later | None:
        """The answer, where it needs no waiting, or only that for a commit; None: ask :meth:`handle`."""

    async def handle(self, call: CallReceived) -> Payload: ...

    def holds(self, call: CallReceived) -> int | None:
        """The connector whose jobs must wait until this call's answer is on the wire."""

    def answered(self, call: CallReceived, payload: Payload) -> None:
        """The answer is on the wire."""

    def repeatable(self, call: CallReceived) -> bool:
        """Whether an identical frame may get the identical answer."""


class Record(Protocol):
    """Where the link notes what it saw of the station."""

    def leaves(self, action: str, payload: Payload) -> None:
        """A call goes on the wire; :meth:`called` follows, with the same object, however it ends."""

    def called(self, action: str, payload: Payload, reply: Reply, source: str) -> None:
        """A call that was on the wire has ended so. ``source``: as given to :meth:`Link.call`."""

    def heard(self) -> None: ...
    def violated(self, name: str) -> None: ...
    def needs_patience(self, seconds: float) -> None: ...
    def frame(self, direction: str, kind: Kind, message_id: MessageId, action: str, text: str, note: str = "") -> None: ...


@dataclass(slots=True, eq=False)
class _Job:
    action: str
    build: Callable[[], Payload | None]
    priority: Priority
    key: str | None
    connector: int | None
    order: int
    expires_at: float
    source: str
    done: asyncio.Future[Reply]

    def finish(self, reply: Reply) -> None:
        if not self.done.done():
            self.done.set_result(reply)


class Link:
    """One connection. :meth:`run` serves it until it ends; :meth:`end` ends it; :meth:`call` calls the station.

    ``when_ended`` is called once, as soon as it ends; :meth:`run` may go on until a fact that came last is stored.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        handler: Handler,
        record: Record,
        settings: OcppSettings,
        when_ended: Callable[[Link], None],
        idle_s: float,
        patience_s: float = 0.0,
    ) -> None:
        self._wire = wire
        self._handler = handler
        self._record = record
        self._settings = settings
        self._when_ended = when_ended
        self.version = handler.version
        self._session = Session(self.version)
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[tuple[CallReceived, Later | None] | None] = asyncio.Queue(settings.inbox + 1)
        self._jobs: list[_Job] = []
        self._order = 0
        self._wake = asyncio.Event()
        self._opened = False
        self._held: set[int] = set()
        self._pending: tuple[str, _Job, asyncio.Future[Reply]] | None = None
        self._timeouts = 0
        self._ended = asyncio.Event()
        self._farewell = (1000, "")
        self._deaf = False
        self._order_of_sends = 0
        self._sending: dict[int, float] = {}
        """Since when each frame is being sent, oldest first."""
        self._stuck: asyncio.TimerHandle | None = None
        self._group: asyncio.TaskGroup | None = None
        self._background: dict[asyncio.Task[None], None] = {}  # in order: virtual time is deterministic
        self._last_heard = self._loop.time()
        self._tokens = float(settings.frames_burst)
        self._tokens_at = self._loop.time()
        self._excess = 0
        self.idle_s = idle_s
        self._patience_s = max(settings.call_timeout_s, patience_s)
        self._given_up: dict[str, float] = {}

    # ------------------------------------------------------------------ lifetime

    async def run(self, opening: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Serve until the wire closes, :meth:`end` is called or the task is cancelled. Every job has ended then.

        ``opening``: what to do first, beside reading, as :meth:`spawn` does it.
        """
        worker_done = False
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                tasks = [group.create_task(part) for part in (self._read(), self._carry_out_jobs(), self._watch())]
                worker = group.create_task(self._work())
                if opening is not None:
                    self.spawn(opening())
                await self._ended.wait()
                self._group = None
                for task in (*tasks, *self._background):
                    task.cancel()
                await self._close()
                await asyncio.wait([worker])  # a fact that is being stored is not torn off
                worker_done = True
        finally:
            self.end(1011, "")
            if not worker_done:
                await self._close()

    def end(self, code: int = 1000, reason: str = "") -> None:
        """End the connection; jobs that wait end OFFLINE at once, the one in flight UNKNOWN."""
        if self._ended.is_set():
            return
        self._farewell = (code, reason)
        self._ended.set()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        for job in self._jobs:
            job.finish(Reply(Outcome.OFFLINE))
        self._jobs.clear()
        if self._pending is not None:
            self._pending[1].finish(Reply(Outcome.UNKNOWN, code="ConnectionLost", message_id=self._pending[0]))
        while not self._inbox.empty():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)
        self._when_ended(self)

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def open(self) -> None:
        """From now on calls may leave."""
        self._opened = True
        self._wake.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run a coroutine as part of this connection; it is cancelled when the connection ends."""
        if self._group is None:
            work.close()
            return None
        task = self._group.create_task(work)
        self._background[task] = None
        task.add_done_callback(lambda done: self._background.pop(done, None))
        return task

    async def _close(self) -> None:
        """Say farewell, but not to a station that does not read; nobody is waited for longer than a frame may take."""
        try:
            async with asyncio.timeout(0 if self._deaf else self._settings.send_timeout_s):
                await self._wire.close(*self._farewell)
        except TimeoutError:
            self._wire.abort()
        except (WireClosed, OSError):
            pass

    async def _watch(self) -> None:
        """End a connection that is silent for too long, though the socket may look alive (no. 1)."""
        while True:
            silent_s = self._loop.time() - self._last_heard
            if silent_s >= self.idle_s:
                self._record.violated("silent")
                self.end(1001, "no frame received")
                return
            await asyncio.sleep(max(0.1, self.idle_s - silent_s))

    # ------------------------------------------------------------------ their frames

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._wire.recv()
                self._last_heard = self._loop.time()
                self._record.heard()
                if not self._within_rate():
                    await self._pace()
                elif self._tokens < self._settings.frames_burst - self._settings.frames_in_turn:
                    await asyncio.sleep(0)  # what has come already would be read in one go
                await self._dispatch(frame)
        except WireClosed:
            self.end()

    async def _dispatch(self, frame: str | bytes) -> None:
        incoming = self._session.receive(frame)
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        if isinstance(incoming, CallReceived):
            self._record.frame(IN, Kind.SEND if incoming.sent else Kind.CALL, incoming.message_id, incoming.action, text)
            await self._take(incoming)
        elif isinstance(incoming, Malformed):
            self._record.violated("malformed_frame")
            self._record.frame(IN, Kind.UNUSABLE, "", "?", text, incoming.why)
            self._record.frame(OUT, Kind.ERROR, "", "?", incoming.reply)
            await self._send(incoming.reply)
        elif isinstance(incoming, LateAnswer):
            self._record.frame(IN, Kind.UNUSABLE, incoming.message_id, "?", text, "an answer that came too late")
            self._late(incoming.message_id)
        elif isinstance(incoming, Ignored):
            self._record.violated("unusable_frame")
            self._record.frame(IN, Kind.UNUSABLE, "", "?", text, incoming.why)
        elif isinstance(incoming, AnswerRefused):
            self._record.violated("answer_refused")
            self._record.frame(IN, Kind.ERROR, incoming.message_id, incoming.action, text, f"it cannot use our answer: {incoming.code}")
            log.warning("our answer to %s was refused: %s %s", incoming.action, incoming.code, incoming.description)
        elif self._pending is not None and self._pending[0] == incoming.message_id:
            await self._settle(incoming, text)

    def _late(self, message_id: str) -> None:
        """Slow, not stuck: wait longer from now on, and do not count it as a failure."""
        self._record.violated("late_answer")
        self._timeouts = 0
        took_s = self._loop.time() - self._given_up.pop(message_id, self._loop.time())
        self._patience_s = min(self._settings.patience_s, max(self._patience_s, 1.25 * took_s))
        self._record.needs_patience(self._patience_s)

    async def _take(self, call: CallReceived) -> None:
        if call.repeated is not None:
            await self._repeat(call, call.repeated)
            return
        try:
            payload = self._handler.immediate(call)
        except PayloadViolation as bad:
            await self._refuse(call, bad)
            return
        except Exception:
            log.exception("answering %s failed", call.action)
            await self._refuse(call, PayloadViolation(ErrorCode.INTERNAL_ERROR, "could not be processed; send it again"))
            return
        if payload is None or isinstance(payload, Later):
            await self._inbox.put((call, payload))
        else:
            await self._answer(call, payload)

    async def _work(self) -> None:
        while (item := await self._inbox.get()) is not None:
            call, later = item
            held = self._handler.holds(call) if later is None else None
            if held is not None:
                self._held.add(held)
            try:
                await self._handle(call, later)
            except WireClosed:
                self.end()
            finally:
                if held is not None:
                    self._held.discard(held)
                    self._wake.set()

    async def _handle(self, call: CallReceived, later: Later | None) -> None:
        repeated = self._session.answered(call)
        if repeated is not None:
            await self._repeat(call, repeated)
            return
        try:
            if later is None:
                payload = await self._handler.handle(call)
            else:
                await later.durable
                payload = later.payload
        except PayloadViolation as bad:
            await self._refuse(call, bad)
        except Exception:
            log.exception("answering %s failed", call.action)
            await self._refuse(call, PayloadViolation(ErrorCode.INTERNAL_ERROR, "could not be processed; send it again"))
        else:
            await self._answer(call, payload)

    async def _answer(self, call: CallReceived, payload: Payload) -> None:
        if call.sent:
            return
        text = self._session.answer(call, payload, remember=self._handler.repeatable(call))
        await self._send(text)
        self._record.frame(OUT, Kind.RESULT, call.message_id, call.action, text)
        self._handler.answered(call, payload)

    async def _repeat(self, call: CallReceived, text: str) -> None:
        """The same answer again."""
        self._record.violated("repeated_frame")
        await self._send(text)
        self._record.frame(OUT, Kind.RESULT, call.message_id, call.action, text, "the same answer again")

    async def _refuse(self, call: CallReceived, bad: PayloadViolation) -> None:
        self._record.violated(f"refused_{bad.code.value}")
        if call.sent:
            return
        text = self._session.refuse(call, bad.code, bad.description)
        await self._send(text)
        self._record.frame(OUT, Kind.ERROR, call.message_id, call.action, text)

    async def _send(self, text: str) -> None:
        self._order_of_sends += 1
        number = self._order_of_sends
        self._sending[number] = self._loop.time()
        if self._stuck is None:  # one timer for as long as something is sent now and then, not one for each frame
            self._stuck = self._loop.call_later(self._settings.send_timeout_s, self._look_at_sends)
        try:
            await self._wire.send(text)
        finally:
            del self._sending[number]

    def _look_at_sends(self) -> None:
        self._stuck = None
        if not self._sending or self._ended.is_set():
            return
        oldest_s = next(iter(self._sending.values()))
        left_s = oldest_s + self._settings.send_timeout_s - self._loop.time()
        if left_s <= 0:
            self._not_reading()
        else:
            self._stuck = self._loop.call_later(left_s, self._look_at_sends)

    def _not_reading(self) -> None:
        """A frame could not be sent for too long: what was said is lost, and closing frees the sender."""
        self._deaf = True
        self._record.violated("not_reading")
        self.end(1008, "not reading")

    def _within_rate(self) -> bool:
        """Token bucket in loop time."""
        now, burst = self._loop.time(), float(self._settings.frames_burst)
        self._tokens = min(burst, self._tokens + (now - self._tokens_at) * self._settings.frames_per_s)
        self._tokens_at = now
        self._tokens -= 1
        if self._tokens > burst / 2:
            self._excess = 0
        return self._tokens >= 0

    async def _pace(self) -> None:
        """Read a fast sender no faster than the rate; close on a flood. Nothing is dropped."""
        self._record.violated("too_fast")
        self._excess += 1
        if self._excess > self._settings.flood_frames:
            self.end(1008, "too many frames")
            raise WireClosed("flood")
        await asyncio.sleep(-self._tokens / self._settings.frames_per_s)

    # ------------------------------------------------------------------ our calls

    async def call(
        self,
        action: str,
        payload: Payload | Callable[[], Payload | None],
        *,
        priority: Priority = Priority.NORMAL,
        key: str | None = None,
        connector: int | None = None,
        source: str = "",
    ) -> Reply:
        """Call the station. ``payload`` may be built when its turn comes; None then means: no longer wanted.

        ``key``: a newer job with the same key supersedes this one while it waits. ``connector``: wait while the
        start of a transaction there is being answered. ``source``: who asks, for the record. Never raises for what
        the station does.
        """
        if self._ended.is_set():
            return Reply(Outcome.OFFLINE)
        if len(self._jobs) >= self._settings.queued_calls:
            return Reply(Outcome.ERROR, code="QueueFull")
        for older in [job for job in self._jobs if key is not None and job.key == key]:
            self._jobs.remove(older)
            priority = min(priority, older.priority)
            older.finish(Reply(Outcome.ERROR, code="Superseded"))
        self._order += 1
        build = payload if callable(payload) else lambda: payload
        expires_at = self._loop.time() + max(self._settings.queue_timeout_s, 1.5 * self._patience_s)
        job = _Job(action, build, priority, key, connector, self._order, expires_at, source, self._loop.create_future())
        self._jobs.append(job)
        self._wake.set()
        return await job.done

    async def _carry_out_jobs(self) -> None:
        try:
            while True:
                job = self._next_job()
                if job is not None:
                    await self._carry_out(job)
                    continue
                self._wake.clear()
                nearest = min((job.expires_at for job in self._jobs), default=None)
                try:
                    async with asyncio.timeout_at(nearest):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        except WireClosed:
            self.end()

    def _next_job(self) -> _Job | None:
        now = self._loop.time()
        for job in [job for job in self._jobs if job.done.done() or job.expires_at <= now]:
            self._jobs.remove(job)
            job.finish(Reply(Outcome.ERROR, code="NeverSent"))
        ready = [job for job in self._jobs if self._opened and job.connector not in self._held]
        if not ready:
            return None
        job = min(ready, key=lambda job: (job.priority, job.order))
        self._jobs.remove(job)
        return job

    async def _carry_out(self, job: _Job) -> None:
        payload = job.build()
        if payload is None:
            job.finish(Reply(Outcome.ERROR, code="NeverSent"))
            return
        message_id, text = self._session.call(job.action, payload)
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._pending = (message_id, job, answer)
        sent_at = self._loop.time()
        reply = Reply(Outcome.UNKNOWN, code="ConnectionLost", message_id=message_id)
        self._record.frame(OUT, Kind.CALL, message_id, job.action, text)
        try:
            self._record.leaves(job.action, payload)
            async with asyncio.timeout(self._patience_s):
                await self._send(text)
                reply = await answer
            self._timeouts = 0
        except TimeoutError:
            self._session.forget(message_id)
            self._given_up = {**dict(list(self._given_up.items())[-15:]), message_id: sent_at}
            self._record.violated("call_timeout")
            self._record.frame(IN, Kind.SILENCE, message_id, job.action, "", "no answer in time")
            reply = Reply(Outcome.TIMEOUT, message_id=message_id)
            job.finish(reply)
            self._timeouts += 1
            if self._timeouts >= self._settings.breaker_timeouts:
                self.end(1008, "calls are not answered")
        finally:
            self._pending = None
            self._record.called(job.action, payload, reply, job.source)
            job.finish(reply)

    async def _settle(self, incoming: ResultReceived | ErrorReceived, text: str) -> None:
        assert self._pending is not None
        _, job, answer = self._pending
        if answer.done():
            return
        reply, violations = read_reply(job.action, incoming, self.version)
        for name in violations:
            self._record.violated(name)
        kind = Kind.ERROR if isinstance(incoming, ErrorReceived) else Kind.RESULT
        self._record.frame(IN, kind, incoming.message_id, job.action, text, reply.code)
        answer.set_result(reply)
        refusal = (
            None if reply.broken is None else self._session.refuse_answer(reply.message_id, reply.broken.code, reply.broken.description)
        )
        if refusal is not None:
            await self._send(refusal)
            self._record.frame(OUT, Kind.ERROR, reply.message_id, job.action, refusal)
