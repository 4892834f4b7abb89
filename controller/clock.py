"""Time, in four kinds: the world's, a depot's, a scaled one for the demo, a virtual one that jumps when all is idle.

    SystemClock    the world's time
    SteadyClock    a depot's: follows the world's, but is never set
    ScaledClock    depot time runs ``speed`` times faster than the wall; processes given the same numbers agree
    VirtualClock   depot time is the time of a :class:`VirtualLoop`: no waiting, deterministic, one thread

This is the only module that asks the operating system what time it is.

    ClockError(RuntimeError)
    ├── VirtualDeadlock    nothing is ready and no timer runs: the program would wait for ever
    └── NotVirtual         a thread, a socket or a child process was asked of a virtual loop
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from depot.ports import Clock

__all__ = [
    "ClockError",
    "NotVirtual",
    "ScaledClock",
    "SteadyClock",
    "SystemClock",
    "VirtualClock",
    "VirtualDeadlock",
    "VirtualLoop",
    "run_virtual",
]

T = TypeVar("T")

Progress = Callable[[datetime], None]
"""Told the virtual time as it advances, at most about ten times a second of real time."""

SLEW = 0.01
"""Share of the time by which a :class:`SteadyClock` may run faster or slower; a minute is caught up in 100 minutes."""

LOOK_S = 0.01
"""A :class:`SteadyClock` looks at the clock that it follows no more often; between two looks it runs on."""

_PROGRESS_S = 0.1
_RESOLUTION_S = 1e-9


class ClockError(RuntimeError):
    """Root of this module's errors."""


class VirtualDeadlock(ClockError):
    """No task can ever run again. The message lists the tasks and where each one waits."""


class NotVirtual(ClockError):
    """Something that takes real time was asked of a virtual loop; the message names it."""


class SystemClock:
    """The world's time. ``now()`` is aware UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class SteadyClock:
    """Time that starts at ``clock``'s and then runs on, following it by at most :data:`SLEW` of the time that passes.

    Profiles, grants and limits carry moments: were the clock set under them, those that live would look expired, and
    power would be given away twice. So a clock that is set (NTP, a person, a machine that slept) never sets this one.
    ``off_s`` says how far it still is; :meth:`follow` takes the other's time at once, for when nothing is under way.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._origin = clock.now()
        self._origin_s = self._at_s = clock.monotonic()
        self._slewed_s = 0.0
        self.off_s = 0.0

    def now(self) -> datetime:
        at_s = self._clock.monotonic()
        if 0 <= at_s - self._at_s < LOOK_S:
            return self._origin + timedelta(seconds=at_s - self._origin_s + self._slewed_s)
        return self._looked(at_s)

    def _looked(self, at_s: float) -> datetime:
        """Now, nearer to the other clock by what may be caught up since the last look at it."""
        most_s = max(0.0, at_s - self._at_s) * SLEW
        self._at_s = at_s
        steady = self._origin + timedelta(seconds=at_s - self._origin_s + self._slewed_s)
        off_s = (self._clock.now() - steady).total_seconds()
        step_s = min(max(off_s, -most_s), most_s)
        self._slewed_s += step_s
        self.off_s = off_s - step_s
        return steady + timedelta(seconds=step_s)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def follow(self) -> float:
        """Take the other clock's time; by how many seconds that sets this one."""
        self._looked(self._clock.monotonic())
        jumped_s, self.off_s = self.off_s, 0.0
        self._slewed_s += jumped_s
        return jumped_s


class ScaledClock:
    """Depot time that left ``epoch_depot`` when the wall (Unix seconds) showed ``epoch_wall``, ``speed`` times as fast.

    Depends on nothing but the three numbers and the wall, so that several processes agree. All three methods are in
    depot seconds: ``sleep(10)`` at speed 60 takes a sixth of a second. Protocol time-outs use the loop's own time.
    """

    def __init__(self, epoch_wall: float, epoch_depot: datetime, speed: float) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"clock speed {speed} must be a positive number; 1 is real time")
        self.epoch_wall = epoch_wall
        self.epoch_depot = _utc(epoch_depot)
        self.speed = speed

    @classmethod
    def starting(cls, epoch_depot: datetime, speed: float) -> ScaledClock:
        """A clock that starts now; hand its ``epoch_wall`` to the processes that must agree with it."""
        return cls(time.time(), epoch_depot, speed)

    def now(self) -> datetime:
        return self.epoch_depot + timedelta(seconds=(time.time() - self.epoch_wall) * self.speed)

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.speed)


class VirtualClock:
    """Depot time that follows an event loop's time from ``start`` on. Meant for :class:`VirtualLoop`; on an ordinary
    loop it is a real-time clock with a chosen beginning. ``loop`` None: the running one."""

    def __init__(self, start: datetime, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.start = _utc(start)
        self._loop = loop or asyncio.get_running_loop()
        self._origin = self._loop.time()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self._loop.time() - self._origin)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without a world: when nothing is ready, its time jumps to the next timer.

    Starts at time 0. ``on_advance`` is called with the loop's time after each jump, throttled in real time.
    Threads, executors, sockets, signals and child processes are refused with :class:`NotVirtual`; a state in which
    nothing can ever happen again raises :class:`VirtualDeadlock` out of ``run_until_complete``.
    """

    _scheduled: list[asyncio.TimerHandle]
    _thread_id: int | None

    def __init__(self, on_advance: Callable[[float], None] | None = None) -> None:
        super().__init__()
        self._now = 0.0
        self._clock_resolution = _RESOLUTION_S
        self._selector = self  # BaseEventLoop asks its selector to wait; here waiting is only arithmetic
        self._on_advance = on_advance
        self._told_at = -math.inf

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """What a selector does: wait ``timeout`` seconds for events. There never are any, so the time jumps."""
        if timeout is None:
            raise VirtualDeadlock(self._explain_deadlock())
        if timeout > 0:
            # exactly to the timer, so that durations come out without rounding (the base class caps a wait at a day)
            self._now = min(self._scheduled[0].when(), self._now + timeout + _RESOLUTION_S)
            if self._on_advance is not None:
                real = time.monotonic()
                if real - self._told_at >= _PROGRESS_S:
                    self._told_at = real
                    self._on_advance(self._now)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """No descriptors, no events."""

    def _write_to_self(self) -> None:
        """Called to wake the loop from another thread or a signal; the loop never sleeps, but it has one thread only."""
        if self._thread_id not in (None, threading.get_ident()):
            raise NotVirtual("a virtual loop was called from another thread: virtual time knows no threads")

    def _explain_deadlock(self) -> str:
        lines = [f"virtual time stands at {self._now:.3f} s: nothing is ready and no timer runs; waiting for ever:"]
        for task in sorted(asyncio.all_tasks(self), key=lambda t: t.get_name()):
            stack = task.get_stack(limit=1)
            where = f"{stack[-1].f_code.co_filename}:{stack[-1].f_lineno} in {stack[-1].f_code.co_qualname}" if stack else "not started"
            lines.append(f"  {task.get_name()}: {where}")
        return "\n".join(lines)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]  # takes anything, refuses it
        raise NotVirtual(f"a thread was asked for {getattr(func, '__qualname__', func)}: run it inline in virtual mode")

    def _make_socket_transport(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotVirtual("a socket was opened on a virtual loop: use an in-memory transport")

    async def create_server(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotVirtual("a server was opened on a virtual loop: use an in-memory transport")

    async def create_connection(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotVirtual("a connection was opened on a virtual loop: use an in-memory transport")

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotVirtual("a datagram socket was opened on a virtual loop: use an in-memory transport")

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotVirtual("a child process was asked of a virtual loop: call the work inline and charge it a fixed time")

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotVirtual("a child process was asked of a virtual loop: call the work inline and charge it a fixed time")

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]  # takes anything, refuses it
        raise NotVirtual("a file descriptor was watched on a virtual loop: use an in-memory transport")

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]  # takes anything, refuses it
        raise NotVirtual("a file descriptor was watched on a virtual loop: use an in-memory transport")


def run_virtual(main: Callable[[VirtualClock], Coroutine[Any, Any, T]], *, start: datetime, progress: Progress | None = None) -> T:
    """Run ``main(clock)`` to its end in virtual time that begins at ``start``, and return its result.

    Deterministic: one thread, timers in order of their time. (Like every asyncio program, it must not iterate over
    sets of tasks where the order matters.) Raises what ``main`` raises, and :class:`VirtualDeadlock`.
    """
    clock: VirtualClock

    def advanced(_: float) -> None:
        if progress is not None:
            progress(clock.now())

    loop = VirtualLoop(advanced)
    clock = VirtualClock(start, loop)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(clock))


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone; depot time is aware UTC")
    return at.astimezone(UTC)
