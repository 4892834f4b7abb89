"""What breaks things: processes killed and stopped, disks filled, databases locked, clocks set, planners that lie.

Everything here is real where it can be (a signal, a quota of the kernel or of SQLite, a lock on the file); each is a
context manager or says how it ends, so that a test that fails leaves nothing broken behind. Sockets are broken by
``chaos_proxy`` and ``attackers``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import numpy as np
from sqlalchemy import text

from controller.planner import InlinePlanner, PlannerDead, PlannerGarbage, PlannerLate, PlannerState
from depot.ports import Clock
from optimizer import PlanResult, Policy, Problem
from storage import Store

# -- processes --------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def paused(pid: int) -> AsyncIterator[None]:
    """SIGSTOP for the block, SIGCONT after it: the process knows nothing of the time between."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def rss_mb(pid: int) -> float:
    """Resident memory of a process, MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def open_files(pid: int) -> int:
    """Open file descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


# -- disk and database ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(store: Store) -> Iterator[None]:
    """No page more than the database has: SQLite itself says SQLITE_FULL, without root. For a store of this process."""
    _pages(store, extra=0)
    try:
        yield
    finally:
        _pages(store, extra=1_000_000)


def _pages(store: Store, *, extra: int) -> None:
    """On the pooled connection: the pragma belongs to it."""
    with store.reading() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + extra}")


@contextlib.contextmanager
def no_room(pid: int) -> Iterator[None]:
    """Another process's writes to files are refused by the kernel, as those to a full disk are. No root is needed for a
    process of one's own, and pipes and sockets go on."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program holds the database's write lock."""
    other = sqlite3.connect(database, isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


# -- time -------------------------------------------------------------------------------------------------------------


class SetClock:
    """A clock whose wall time somebody sets; what runs on, runs on. Jumps are what NTP, a person or a resumed virtual
    machine does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.off = timedelta()

    def now(self) -> datetime:
        return self._clock.now() + self.off

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


# -- planner ----------------------------------------------------------------------------------------------------------


class Lie(StrEnum):
    """How a planner fails."""

    HANGS = "hangs"
    DIES = "dies"
    SAYS_NONSENSE = "says nonsense"
    WANTS_EVERYTHING = "wants everything"
    WANTS_NOTHING = "wants nothing"
    IS_RANDOM = "is random"
    IS_FINE = "is fine"


@dataclass(slots=True)
class LyingPlanner:
    """A planner of the virtual clock that fails another way each time it is asked; what it says passes no check on its
    way, so the limiter meets all of it. ``told``: how often each lie was told."""

    clock: Clock
    rng: random.Random
    deadline_s: float = 10.0
    lies: tuple[Lie, ...] = tuple(Lie)
    told: dict[Lie, int] | None = None
    state: PlannerState = PlannerState.RUNNING
    text: str = "lies"

    async def solve(self, problem: Problem, *, policy: Policy) -> PlanResult:
        self.told = self.told if self.told is not None else dict.fromkeys(self.lies, 0)
        least = min(self.told.values())
        lie = self.rng.choice([lie for lie, count in self.told.items() if count == least])
        self.told[lie] += 1
        if lie is Lie.HANGS:
            await self.clock.sleep(self.deadline_s)
            self.state = PlannerState.LATE
            raise PlannerLate("no plan in time")
        if lie is Lie.DIES:
            self.state = PlannerState.DEAD
            raise PlannerDead("was killed by signal 6")
        if lie is Lie.SAYS_NONSENSE:
            self.state = PlannerState.DEAD
            raise PlannerGarbage("no answer but bytes")
        self.state = PlannerState.RUNNING
        honest = await InlinePlanner(self.clock, charge_s=1.0).solve(problem, policy=policy)
        return honest if lie is Lie.IS_FINE else self._bent(honest, lie)

    def _bent(self, honest: PlanResult, lie: Lie) -> PlanResult:
        shape = honest.power_kw.shape
        if lie is Lie.WANTS_EVERYTHING:
            power = np.full(shape, 1e6)
        elif lie is Lie.WANTS_NOTHING:
            power = np.zeros(shape)
        else:
            chance = np.random.default_rng(self.rng.getrandbits(32))
            power = chance.uniform(-500.0, 500.0, shape)
        return replace(honest, power_kw=power)


async def until(what: Callable[[], object], patience_s: float, why: str = "") -> float:
    """Wait until ``what()`` is true; how many seconds of the loop's time it took. Raises AssertionError with ``why``."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not what():
        assert loop.time() - began <= patience_s, f"{why or 'it did not happen'}: not within {patience_s:g} s"
        await asyncio.sleep(0.02)
    return loop.time() - began
