"""Store and lease: errors with one vocabulary, migrations, one owner."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, text
from sqlmodel import SQLModel

import controller
import controller.tables
from storage import (
    FutureDatabase,
    Lease,
    LeaseTaken,
    Store,
    StoreBusy,
    StoreConflict,
    StoreCorrupt,
    StoreFailing,
    StoreFull,
    StoreMissing,
    StoreUnavailable,
)

ROOT = Path(__file__).resolve().parents[2]


def make(path: Path | None) -> Store:
    store = Store.open(path, busy_timeout_s=0.05)
    with store.writing() as connection:
        connection.execute(text("CREATE TABLE notes (depot_id TEXT, n INTEGER, body BLOB, PRIMARY KEY (depot_id, n))"))
    return store


def put(store: Store, n: int, size: int = 1) -> None:
    with store.unit() as session:
        session.connection().execute(text("INSERT INTO notes VALUES ('d', :n, zeroblob(:size))"), {"n": n, "size": size})


def fail_half_way(store: Store) -> None:
    with store.unit() as session:
        session.connection().execute(text("INSERT INTO notes VALUES ('d', 2, NULL)"))
        raise KeyError("no")


def count(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(text("SELECT count(*) FROM notes")).scalar_one())


@pytest.mark.parametrize("in_memory", [False, True])
def test_unit_commits_whole_or_not_at_all(tmp_path: Path, in_memory: bool) -> None:
    with make(None if in_memory else tmp_path / "x.db") as store:
        put(store, 1)
        with pytest.raises(KeyError):
            fail_half_way(store)
        assert count(store) == 1


def test_file_is_set_up_for_durability(tmp_path: Path) -> None:
    with make(tmp_path / "deep" / "x.db") as store, store.reading() as connection:
        pragmas = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert pragmas == ["wal", 2, 1]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o177])
def test_files_are_for_their_owner_only_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with make(tmp_path / "depot.db") as store:
            put(store, 1)
            modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"depot.db": 0o600, "depot.db-wal": 0o600, "depot.db-shm": 0o600}


def test_locked_database_is_busy_then_works(tmp_path: Path) -> None:
    with make(tmp_path / "x.db") as store:
        other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy, match="is locked by another program"):
            put(store, 1)
        assert count(store) == 0  # readers go on
        other.execute("ROLLBACK")
        other.close()
        put(store, 1)
        assert count(store) == 1


def test_full_database_stores_nothing_then_works(tmp_path: Path) -> None:
    with make(tmp_path / "x.db") as store:
        with store.writing() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count={pages + 2}"))
        with pytest.raises(StoreFull, match="free space") as caught:
            put(store, 1, size=200_000)
        assert isinstance(caught.value, StoreUnavailable)
        assert count(store) == 0
        with store.writing() as connection:
            connection.execute(text("PRAGMA max_page_count=1000000"))
        put(store, 1, size=200_000)
        assert count(store) == 1


def test_conflict_is_not_unavailable(tmp_path: Path) -> None:
    with make(tmp_path / "x.db") as store:
        put(store, 1)
        with pytest.raises(StoreConflict):
            put(store, 1)


def test_wrong_sql_is_seen_as_it_is(tmp_path: Path) -> None:
    with make(None) as store, pytest.raises(Exception, match="no such table: nowhere"), store.reading() as connection:
        connection.execute(text("SELECT * FROM nowhere"))


def test_read_only_looks_and_does_not_touch(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        Store.open(tmp_path / "x.db", read_only=True)
    assert not (tmp_path / "x.db").exists()
    make(tmp_path / "x.db").close()
    with Store.open(tmp_path / "x.db", read_only=True) as store:
        assert count(store) == 0
        with pytest.raises(StoreFailing):
            put(store, 1)


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()
    with pytest.raises(StoreFailing, match="can't be opened"):
        Store.open(tmp_path / "x.db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StoreCorrupt, match="not a database"):
        Store.open(tmp_path / "x.db")


def test_a_damaged_page_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with make(path) as store:
        for n in range(50):
            put(store, n, size=3000)
    sound = path.read_bytes()
    assert len(sound) > 20 * 4096
    broken = bytearray(sound)
    broken[8 * 4096 : 8 * 4096 + 64] = os.urandom(64)
    path.write_bytes(broken)
    with pytest.raises(StoreCorrupt, match="is damaged: keep it, and restore a backup"):
        Store.open(path)
    path.write_bytes(sound)
    Store.open(path).close()


# -- migrations ---------------------------------------------------------------------------------------------------------


def test_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    ours = MetaData()
    for table in vars(controller.tables).values():
        if isinstance(table, type) and issubclass(table, SQLModel) and table is not SQLModel:
            SQLModel.metadata.tables[str(table.__tablename__)].to_metadata(ours)
    with Store.open(tmp_path / "x.db") as store:
        store.migrate([controller])
        store.migrate([controller])  # a second time changes nothing
        with store.reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), ours) == []


def test_every_key_begins_with_the_depot() -> None:
    for name, table in SQLModel.metadata.tables.items():
        assert next(iter(table.primary_key.columns)).name == "depot_id", name


def test_database_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    with Store.open(tmp_path / "x.db") as store:
        store.migrate([controller])
        with store.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'controller_9999'"))
        with pytest.raises(FutureDatabase, match=r"newer version of Chargeyard \(step controller_9999"):
            store.migrate([controller])


def test_rooms_can_be_migrated_apart(tmp_path: Path) -> None:
    room = tmp_path / "annex" / "migrations"
    room.mkdir(parents=True)
    for number, before in ((1, None), (2, "annex_0001")):
        (room / f"annex_000{number}.py").write_text(
            f"import sqlalchemy as sa\nfrom alembic import op\nrevision = 'annex_000{number}'\ndown_revision = {before!r}\n"
            f"branch_labels = {None if before else ('annex',)!r}\n"
            f"def upgrade():\n    op.create_table('annex{number}', sa.Column('depot_id', sa.String, primary_key=True))\n",
            encoding="utf-8",
        )
    annex = ModuleType("annex")
    annex.__path__ = [str(room.parent)]
    with Store.open(tmp_path / "x.db") as store:
        store.migrate([annex])
        store.migrate([controller])
        store.migrate([controller, annex])
        store.migrate([annex])
        with store.reading() as connection:
            steps = connection.execute(text("SELECT version_num FROM alembic_version ORDER BY 1")).scalars().all()
            connection.execute(text("SELECT depot_id FROM annex2"))
        (room / "annex_0002.py").unlink()
        with pytest.raises(FutureDatabase, match="annex_0002"):
            store.migrate([annex])
        store.migrate([controller])
    newest = max(path.stem for path in (Path(controller.__path__[0]) / "migrations").glob("controller_*.py"))
    assert steps == ["annex_0002", newest[: len("controller_0000")]]


# -- lease --------------------------------------------------------------------------------------------------------------


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    with Lease.take(database), pytest.raises(LeaseTaken, match=rf"another controller \(pid {os.getpid()}\) runs this depot"):
        Lease.take(database)
    Lease.take(database).release()


def test_a_killed_owner_leaves_no_lock_even_with_a_forked_child(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\nfrom storage import Lease\nlease = Lease.take(sys.argv[1])\n"
        "if os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(30)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "x.db")], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    try:
        with pytest.raises(LeaseTaken, match=f"pid {owner.pid}"):
            Lease.take(tmp_path / "x.db")
        owner.kill()
        owner.wait()
        time.sleep(0.05)
        Lease.take(tmp_path / "x.db").release()
    finally:
        os.kill(child, signal.SIGKILL)
        owner.kill()
        owner.wait()
        owner.stdout.close()
