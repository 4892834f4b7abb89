"""Faults 1, 3, 4 and 5 at the journal: a killed process, a full disk, a locked database, a damaged page. All real."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

import controller
from controller.clock import SystemClock
from controller.codec import EventCodec
from controller.journal import JournalFrozen, SqlJournal
from controller.journal_store import load, read_events
from depot.events import NewEvent, SetpointGranted, TransactionStarted
from depot.values import ConnectorId
from storage import Lease, Store, StoreCorrupt

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)

WRITER = """
import asyncio, sys
from datetime import UTC, datetime
import controller
from controller.clock import SystemClock
from controller.journal import SqlJournal
from depot.events import NewEvent, TransactionStarted
from depot.values import ConnectorId
from storage import Lease, Store

async def main(path, first, last):
    with Lease.take(path), Store.open(path) as store:
        store.migrate([controller])
        async with SqlJournal(store, "d1", clock=SystemClock(), snapshot_every=50) as journal:
            async def worker(part):
                for k in range(first + part, last, 8):  # what is not acknowledged is said again by the next process
                    event = TransactionStarted(k, f"s{k}", ConnectorId(f"CP{k % 24}", 1), "TAG", 0)
                    (envelope,) = await journal.append([NewEvent(event, datetime.now(UTC), key=f"start {k}")])
                    sys.stdout.write(f"{k} {envelope.seq} {envelope.id}\\n")
                    sys.stdout.flush()
            async with asyncio.TaskGroup() as group:
                for part in range(8):
                    group.create_task(worker(part))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def granted(level_w: int) -> NewEvent:
    return NewEvent(SetpointGranted(ConnectorId("CP1", 1), level_w, NOW), NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "depot.db") as store:
        store.migrate([controller])
        yield store


async def until_frozen(journal: SqlJournal, frozen: bool, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while journal.frozen is not frozen:  # noqa: ASYNC110  # what the limiter sees is this property, so it is watched
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("last", "kills_wanted"), [(400, 5), pytest.param(1000, 20, marks=pytest.mark.long)])
def test_fault_1_killed_writer_loses_and_doubles_nothing_that_it_acknowledged(tmp_path: Path, last: int, kills_wanted: int) -> None:
    database, kills, seed = tmp_path / "depot.db", 0, 20260329
    acked: dict[int, tuple[int, str]] = {}
    rng = random.Random(seed)
    deadline = time.monotonic() + 240
    while len(acked) < last:
        assert time.monotonic() < deadline
        first = min(set(range(last)) - set(acked)) // 8 * 8
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(database), str(first), str(last)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert process.stdout is not None
        die_after = rng.randrange(1, last // kills_wanted)
        heard = 0
        for line in process.stdout:
            words = line.split()
            if len(words) == 3 and line.endswith("\n"):
                k, seq, event_id = int(words[0]), int(words[1]), words[2]
                assert acked.setdefault(k, (seq, event_id)) == (seq, event_id), f"start {k} was answered in two ways (seed {seed})"
                heard += 1
                if heard == die_after and kills < kills_wanted:
                    process.kill()
                    kills += 1
        process.wait()
        process.stdout.close()
    assert kills >= kills_wanted // 2  # a fast writer may be through before all of them
    with Store.open(database) as store:
        store.verify()
        stored = {
            event.data.transaction_id: (event.seq, event.id)
            for event, _ in read_events(store, "d1", EventCodec())
            if isinstance(event.data, TransactionStarted)
        }
        assert len(stored) == last
        assert stored == acked
        assert load(store, "d1", EventCodec()) == load(store, "d1", EventCodec(), use_snapshot=False)
    Lease.take(database).release()


@pytest.mark.anyio
@pytest.mark.parametrize("writer", ["thread", "inline"])
async def test_fault_3_full_disk_freezes_and_recovers_by_itself(store: Store, writer: str, caplog: pytest.LogCaptureFixture) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock(), writer=writer, snapshot_every=0) as journal:  # type: ignore[arg-type]  # parametrized
        await journal.append([granted(1)])
        limit_pages(store, extra=0)
        accepted = 1
        while accepted < 1000:  # until the last page is full
            try:
                await journal.append([granted(accepted)], wait=False)
                accepted += 1
            except JournalFrozen:
                break
        assert "free space" in (journal.frozen_because or "")
        waiting = asyncio.create_task(journal.append([granted(7777)]))
        begun = time.monotonic()
        with pytest.raises(JournalFrozen):
            await journal.append([granted(8888)], wait=False)
        assert time.monotonic() - begun < 0.1
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert journal.state.seq == accepted
        limit_pages(store, extra=100_000)
        (envelope,) = await asyncio.wait_for(waiting, 5)
        assert envelope.seq == accepted + 1
        assert not journal.frozen
        await journal.append([granted(9)], wait=False)
    assert caplog.text.count("journal frozen") == 1
    assert caplog.text.count("journal writes again") == 1
    assert load(store, "d1", EventCodec(), use_snapshot=False).seq == accepted + 2


def limit_pages(store: Store, *, extra: int) -> None:
    """A real quota on every pooled connection (the pragma belongs to the connection)."""
    with store.reading() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + extra}")


@pytest.mark.anyio
@pytest.mark.parametrize("writer", ["thread", "inline"])
async def test_fault_4_locked_database_keeps_the_loop_running_and_loses_nothing(
    store: Store, tmp_path: Path, writer: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock(), writer=writer) as journal:  # type: ignore[arg-type]  # parametrized
        await journal.append([granted(1)])
        other = sqlite3.connect(tmp_path / "depot.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        waiting = [asyncio.create_task(journal.append([granted(k)])) for k in range(10)]
        await until_frozen(journal, True)
        assert "is locked by another program" in (journal.frozen_because or "")
        gaps, before = [], time.monotonic()
        for _ in range(20):
            await asyncio.sleep(0.05)
            gaps.append(time.monotonic() - before)
            before = time.monotonic()
            with pytest.raises(JournalFrozen):
                await journal.append([granted(5)], wait=False)
            assert not journal.beside(lambda connection: None)
        if writer == "thread":
            assert max(gaps) < 0.5
        other.execute("ROLLBACK")
        other.close()
        answers = await asyncio.wait_for(asyncio.gather(*waiting), 5)
        assert [envelope.seq for (envelope,) in answers] == list(range(2, 12))
        assert not journal.frozen
    assert caplog.text.count("journal frozen") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("writer", ["thread", "inline"])
async def test_fault_4_journal_thaws_although_nobody_waits(store: Store, tmp_path: Path, writer: str) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock(), writer=writer) as journal:  # type: ignore[arg-type]  # parametrized
        other = sqlite3.connect(tmp_path / "depot.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalFrozen):
            await journal.append([granted(1)], wait=False)
        assert journal.frozen
        other.execute("ROLLBACK")
        other.close()
        await until_frozen(journal, False)
    assert load(store, "d1", EventCodec()).seq == 0


@pytest.mark.anyio
async def test_fault_4_given_up_and_closed_while_frozen(store: Store, tmp_path: Path) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
        other = sqlite3.connect(tmp_path / "depot.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        given_up = asyncio.create_task(journal.append([granted(1)]))
        waiting = asyncio.create_task(journal.append([granted(2)]))
        await until_frozen(journal, True)
        given_up.cancel()
        begun = time.monotonic()
        await journal.close()
        assert time.monotonic() - begun < 2
        with pytest.raises(JournalFrozen):
            await waiting
        with pytest.raises(asyncio.CancelledError):
            await given_up
        other.execute("ROLLBACK")
        other.close()
    assert load(store, "d1", EventCodec()).seq == 0


@pytest.mark.anyio
async def test_fault_4_cancelled_appends_do_not_pile_up_for_the_thaw(store: Store, tmp_path: Path) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
        other = sqlite3.connect(tmp_path / "depot.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for k in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await journal.append([granted(k)])
        other.execute("ROLLBACK")
        other.close()
        (envelope,) = await journal.append([granted(9)])
        assert envelope.seq <= 2  # the last one given up may have been in the very transaction that succeeded


@pytest.mark.anyio
async def test_fault_5_damaged_page_is_refused_and_the_sound_copy_starts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "depot.db"
    with Store.open(path) as store:
        store.migrate([controller])
        async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
            await asyncio.gather(*(journal.append([granted(k)]) for k in range(500)))
    sound = path.read_bytes()
    rng, refused, unharmed = random.Random(5), 0, 0
    pages = len(sound) // 4096
    for page in range(1, pages):
        broken = bytearray(sound)
        at = page * 4096 + rng.randrange(0, 4000)
        broken[at : at + 48] = os.urandom(48)
        path.write_bytes(broken)
        try:
            with Store.open(path) as store:
                tip = load(store, "d1", EventCodec(), use_snapshot=False)
                assert tip.seq == 500, f"page {page}: silently wrong"
                unharmed += 1  # the bytes were free space, or a part that can be rebuilt
        except (StoreCorrupt, controller.journal_store.JournalCorrupt):
            refused += 1
    assert refused > pages // 2, (refused, unharmed)
    path.write_bytes(sound)
    with Store.open(path) as store:
        assert load(store, "d1", EventCodec()).seq == 500
