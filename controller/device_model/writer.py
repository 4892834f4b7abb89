"""Writes to the device models' database beside the loop: what has come meanwhile goes in one transaction.

A job is lost where the database cannot write; its owner hears so, and nothing else stops. The backlog is bounded: who
brings more waits (:meth:`Writer.room`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection

from storage import StorageError, Store

log = logging.getLogger(__name__)

T = TypeVar("T")
BACKLOG = 5_000
"""Rows that wait before who brings more has to wait."""


class _Job(NamedTuple):
    work: Callable[[Connection], None]
    rows: int
    written: Callable[[bool], None] | None


class Writer:
    """One per database. :meth:`run` writes, until cancelled."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: list[_Job] = []
        self._rows = 0
        self._put = self._done = 0
        self._news = asyncio.Event()
        self._progress = asyncio.Condition()
        self._failing = False

    def put(self, work: Callable[[Connection], None], *, rows: int = 1, written: Callable[[bool], None] | None = None) -> None:
        """Do ``work(connection)`` soon. ``written``: called on the loop with whether it is stored."""
        self._jobs.append(_Job(work, rows, written))
        self._rows += rows
        self._put += 1
        self._news.set()

    async def room(self) -> None:
        """Wait while too much waits to be written."""
        async with self._progress:
            await self._progress.wait_for(lambda: self._rows < BACKLOG)

    async def settled(self) -> None:
        """Wait until all that was put before now is written, or lost."""
        wanted = self._put
        async with self._progress:
            await self._progress.wait_for(lambda: self._done >= wanted)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work(connection)`` finds, with all that was put before. Raises :class:`~storage.StorageError`."""
        await self.settled()

        def look() -> T:
            with self._store.reading() as connection:
                return work(connection)

        return await self._beside(look)

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            jobs, self._jobs = self._jobs, []
            if not jobs:
                continue
            stored = await self._beside(partial(self._write, jobs))
            for job in jobs:
                if job.written is not None:
                    job.written(stored)
            async with self._progress:
                self._rows -= sum(job.rows for job in jobs)
                self._done += len(jobs)
                self._progress.notify_all()

    def _write(self, jobs: list[_Job]) -> bool:
        try:
            with self._store.writing() as connection:
                for job in jobs:
                    job.work(connection)
        except StorageError as error:
            if not self._failing:
                log.error("device models cannot be stored: %s", error)
            self._failing = True
            return False
        if self._failing:
            log.info("device models are stored again")
        self._failing = False
        return True

    async def _beside(self, work: Callable[[], T]) -> T:
        """In a thread, where the database has a file; one in memory belongs to this thread."""
        return work() if self._store.path is None else await asyncio.to_thread(work)
