"""Audit trail: an entry for everything that somebody caused, written with its fact, and every changed byte located."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import controller
from controller.audit import GENESIS, Checked, head, read_page, verify, verify_head
from controller.clock import SystemClock
from controller.journal import JournalBroken, SqlJournal
from depot import events as ev
from depot.values import PackKey, UtilityLink
from storage import Store

NOW = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)
SEED = 21
LINK = UtilityLink(NOW, NOW, 60_000, 7_200, 120)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "depot.db") as store:
        store.migrate([controller])
        yield store


def journal(store: Store) -> SqlJournal:
    return SqlJournal(store, "d1", clock=SystemClock(), snapshot_every=0)


def asked(number: int, actor: str = "mira", kind: str = "SetManualLimit") -> ev.NewEvent:
    return ev.NewEvent(ev.CommandRequested(f"c{number}", kind, "site", "₹ & heat"), NOW + timedelta(seconds=number), actor=actor)


def answered(number: int, outcome: str = "done") -> ev.NewEvent:
    return ev.NewEvent(ev.CommandFinished(f"c{number}", outcome, "site limited"), NOW + timedelta(seconds=number))


def grant(number: int) -> ev.NewEvent:
    return ev.NewEvent(ev.StationBooted(f"CP{number}", "ACME"), NOW)


async def fill(store: Store, count: int) -> None:
    """``count`` commands with their answers and facts of no person between them."""
    async with journal(store) as j:
        for number in range(count):
            await j.append([grant(number), asked(number, f"person {number % 3}"), grant(number + 1000)])
            await j.append([answered(number)])


@pytest.mark.anyio
async def test_each_command_has_its_request_and_its_outcome(store: Store) -> None:
    async with journal(store) as j:
        await j.append([asked(1), grant(1), answered(1)])
        await j.append([asked(2, "omar", "StartCharging")])
        await j.append([answered(2, "refused")])
    page = read_page(store, "d1")
    assert [(e.seq, e.event_seq, e.actor, e.kind, e.target, e.outcome) for e in page.entries] == [
        (4, 5, "controller", "StartCharging", "site", "refused"),
        (3, 4, "omar", "StartCharging", "site", "requested"),
        (2, 3, "controller", "SetManualLimit", "site", "done"),
        (1, 1, "mira", "SetManualLimit", "site", "requested"),
    ]
    assert page.entries[3].reason == "₹ & heat"
    assert page.entries[3].at == NOW + timedelta(seconds=1)
    checked = verify(store, "d1")
    assert (checked.entries, checked.facts, checked.sound, checked.whole) == (4, 5, True, True)
    assert (checked.entries, checked.hash) == head(store, "d1")


@pytest.mark.anyio
async def test_what_people_and_the_utility_caused_is_kept_what_the_controller_noted_is_not(store: Store) -> None:
    async with journal(store) as j:
        pack = PackKey("BUS-1", "p1")
        await j.append([ev.NewEvent(ev.PackReset(pack, "sana", "safety officer", "sensor replaced"), NOW)])
        await j.append([ev.NewEvent(ev.UtilityLinkChanged(LINK, "heartbeat"), NOW)])
        await j.append([ev.NewEvent(ev.UtilityLinkChanged(LINK, "command 7"), NOW, actor="modbus:10.0.0.7")])
    utility, entry = read_page(store, "d1").entries
    assert (utility.actor, utility.kind, utility.reason) == ("modbus:10.0.0.7", "UtilityOrder", "command 7")
    assert (entry.actor, entry.kind, entry.target, entry.reason, entry.outcome) == (
        "sana",
        "PackReset",
        str(pack),
        "sensor replaced",
        "reset",
    )


@pytest.mark.anyio
async def test_a_repeated_command_has_one_entry(store: Store) -> None:
    async with journal(store) as j:
        for _ in range(3):
            await j.append([ev.NewEvent(ev.CommandRequested("c1", "StartCharging", "CP1/1", "again"), NOW, key="command/c1", actor="mira")])
    assert len(read_page(store, "d1").entries) == 1


@pytest.mark.anyio
async def test_pages_filters_and_dates(store: Store) -> None:
    await fill(store, 20)
    first = read_page(store, "d1", limit=15)
    assert [e.seq for e in first.entries] == list(range(40, 25, -1))
    rest = read_page(store, "d1", limit=50, before=first.before)
    assert [e.seq for e in rest.entries] == list(range(25, 0, -1))
    assert rest.before is None
    assert {e.actor for e in read_page(store, "d1", actor="person 1").entries} == {"person 1"}
    assert len(read_page(store, "d1", kind="SetManualLimit", since=NOW + timedelta(seconds=18)).entries) == 4
    assert read_page(store, "d2").entries == []


@pytest.mark.anyio
async def test_entry_and_fact_are_stored_together_or_not_at_all(store: Store) -> None:
    """The trail refuses its row (another writer took the number): the fact is not stored either."""
    async with journal(store) as j:
        await j.append([asked(1)])
        with store.writing() as connection:
            connection.exec_driver_sql(
                "INSERT INTO audit SELECT depot_id, 2, 99, at, actor, kind, target, reason, outcome, command_id, prev, hash FROM audit"
            )
            connection.exec_driver_sql("UPDATE audit SET event_seq = 2 WHERE seq = 2")
        with pytest.raises(JournalBroken):
            await j.append([asked(2)])
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT max(seq) FROM events").scalar() == 1


CELLS = {
    "events": ("id", "type", "version", "occurred_at", "received_at", "actor", "data", "digest"),
    "audit": ("at", "actor", "kind", "target", "reason", "outcome", "command_id", "prev", "hash"),
}


@pytest.mark.anyio
async def test_fault_21_one_changed_byte_is_found_and_located(store: Store) -> None:
    """In either table, any row, any column, any byte; put back, the trail is sound again."""
    await fill(store, 30)
    sound = verify(store, "d1")
    rng = random.Random(SEED)
    assert store.path is not None
    tried = 0
    with sqlite3.connect(store.path, isolation_level=None) as raw:
        for table, columns in CELLS.items():
            for column in columns:
                for _ in range(4):
                    (seq,) = raw.execute(f"SELECT seq FROM {table} ORDER BY random() LIMIT 1").fetchone()
                    before, kind = raw.execute(
                        f"SELECT CAST({column} AS BLOB), typeof({column}) FROM {table} WHERE seq = ?", (seq,)
                    ).fetchone()
                    if not before:
                        continue
                    place = rng.randrange(len(before))
                    after = before[:place] + bytes([before[place] ^ rng.choice((1, 2, 4, 0x80))]) + before[place + 1 :]
                    put = f"UPDATE {table} SET {column} = CAST(? AS {kind}) WHERE seq = ?"
                    raw.execute(put, (after, seq))
                    found = verify(store, "d1")
                    assert found.complaint is not None, f"seed {SEED}: {table}.{column} of {seq}, byte {place}"
                    if table == "events":
                        assert f"fact seq {seq} " in found.complaint, f"{table}.{column} of {seq}: {found.complaint}"
                    else:
                        where = f"entry {seq} "
                        (fact,) = raw.execute("SELECT event_seq FROM audit WHERE seq = ?", (seq,)).fetchone()
                        assert where in found.complaint or f"fact seq {fact} " in found.complaint, found.complaint
                    raw.execute(put, (before, seq))
                    tried += 1
    assert tried > 50
    assert verify(store, "d1") == sound


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("DELETE FROM audit WHERE seq = 7", "has no entry: one was removed after entry 6"),
        ("DELETE FROM audit WHERE seq = 20", "has no entry: one was removed after entry 19"),
        ("DELETE FROM events WHERE seq = 6", "fact seq 6 is missing"),
        ("DELETE FROM events WHERE seq = 40", "entry 20 tells of a fact that the journal does not hold"),
        ("UPDATE audit SET seq = 99 WHERE seq = 20", "entry 20 is missing"),
        ("UPDATE audit SET event_seq = 1 WHERE seq = 1", "entry 1 (fact seq 1) was changed"),
        ("UPDATE audit SET depot_id = 'd2' WHERE seq = 3", "has no entry"),
        ("UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE seq = 9", "fact seq 9 or its entry cannot be read"),
    ],
)
async def test_removed_and_moved_rows_are_found(store: Store, statement: str, complaint: str) -> None:
    await fill(store, 10)
    with store.writing() as connection:
        connection.exec_driver_sql(statement)
    assert complaint in (verify(store, "d1").complaint or "")


@pytest.mark.anyio
async def test_checking_in_steps_gives_the_same(store: Store) -> None:
    await fill(store, 25)
    checked, steps = Checked(), 0
    while not checked.whole:
        checked = verify(store, "d1", checked, most=7)
        steps += 1
    assert checked == verify(store, "d1")
    assert steps == 15
    await fill(store, 1)
    assert verify(store, "d1", checked).entries == 52


@pytest.mark.anyio
async def test_a_head_that_was_kept_elsewhere_finds_a_trail_that_was_written_anew(store: Store, tmp_path: Path) -> None:
    await fill(store, 5)
    seq, kept = head(store, "d1")
    assert verify_head(store, "d1", seq, kept.hex()) is None
    await fill(store, 2)
    assert verify_head(store, "d1", seq, kept.hex().upper()) is None
    assert "no entry 99" in (verify_head(store, "d1", 99, kept.hex()) or "")
    with Store.open(tmp_path / "forged.db") as forged:
        forged.migrate([controller])
        async with journal(forged) as j:
            for number in range(10):
                await j.append([asked(number, "somebody else")])
        assert verify(forged, "d1").sound
        assert "written anew" in (verify_head(forged, "d1", seq, kept.hex()) or "")


@pytest.mark.anyio
async def test_an_older_database_gets_its_trail_when_it_is_migrated(store: Store) -> None:
    await fill(store, 12)
    whole = verify(store, "d1")
    with store.writing() as connection:
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        for table in set(tables) - {"events", "snapshots", "probes", "samples", "alembic_version"}:
            connection.exec_driver_sql(f"DROP TABLE {table}")  # what came after the first version
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'controller_0001'")
    store.migrate([controller])
    assert verify(store, "d1") == whole
    assert whole.entries == 24


def test_an_empty_trail_is_sound(store: Store) -> None:
    assert verify(store, "d1") == Checked(whole=True)
    assert head(store, "d1") == (0, GENESIS)
