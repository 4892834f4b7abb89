"""Copies of a database that others write to; whether others have it open."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from storage import Store, StoreCorrupt, StoreMissing, copy_database, in_use

WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
k = int(sys.argv[2])
while True:
    k += 1
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO a VALUES (?, zeroblob(2000))", (k,))
    db.execute("INSERT INTO b VALUES (?)", (k,))
    db.execute("COMMIT")
    if k % 20 == 0: print(k, flush=True)
"""


def filled(path: Path, rows: int) -> Path:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE a (k INTEGER PRIMARY KEY, filler)")
        db.execute("CREATE TABLE b (k INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO a VALUES (?, zeroblob(2000))", [(k,) for k in range(rows)])
        db.executemany("INSERT INTO b VALUES (?)", [(k,) for k in range(rows)])
    db.close()
    return path


def test_a_copy_is_one_moment_of_a_database_that_others_write_to_all_the_time(tmp_path: Path) -> None:
    source = filled(tmp_path / "d.db", 2000)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(source), "2000"], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    steps: list[tuple[int, int]] = []
    try:
        writer.stdout.readline()

        def progress(done: int, total: int) -> None:
            steps.append((done, total))
            if len(steps) < 5:
                assert writer.stdout is not None
                writer.stdout.readline()  # it commits between our steps

        copy_database(source, tmp_path / "copy.db", progress=progress, pages_at_once=200)
    finally:
        writer.kill()
        writer.communicate()
    assert len(steps) >= 5
    assert [done for done, _ in steps] == sorted(done for done, _ in steps), "it began anew"
    assert steps[-1][0] == steps[-1][1]
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    with sqlite3.connect(tmp_path / "copy.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        a, b = (db.execute(f"SELECT count(*), max(k) FROM {table}").fetchone() for table in "ab")
    db.close()
    assert a == b
    assert a[0] >= 2000
    assert not list(tmp_path.glob("copy.db-*"))


def test_what_is_only_in_the_log_is_copied_too(tmp_path: Path) -> None:
    with Store.open(tmp_path / "d.db") as store:
        with store.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
            connection.exec_driver_sql("INSERT INTO t VALUES (7)")
        assert (tmp_path / "d.db-wal").stat().st_size > 0
        copy_database(tmp_path / "d.db", tmp_path / "copy.db")
    with Store.open(tmp_path / "copy.db", read_only=True) as copy, copy.reading() as connection:
        assert connection.exec_driver_sql("SELECT x FROM t").scalar_one() == 7


def test_nothing_there_and_something_else_there(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        copy_database(tmp_path / "none.db", tmp_path / "copy.db")
    (tmp_path / "text.db").write_text("no database at all, but long enough to look like one\n" * 100)
    with pytest.raises(StoreCorrupt):
        copy_database(tmp_path / "text.db", tmp_path / "copy.db")
    filled(tmp_path / "d.db", 1)
    with pytest.raises(FileExistsError):
        copy_database(tmp_path / "d.db", tmp_path / "text.db")


OPENED = """
import sys
from storage import Store
with Store.open(sys.argv[1], read_only="read" in sys.argv) as store, store.reading() as c:
    pass
store = Store.open(sys.argv[1], read_only="read" in sys.argv)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["read", "write"])
def test_another_process_that_has_it_open_is_seen_also_when_it_does_nothing(tmp_path: Path, how: str) -> None:
    path = filled(tmp_path / "d.db", 3)
    assert not in_use(path)
    root = Path(__file__).resolve().parents[2]
    other = subprocess.Popen(
        [sys.executable, "-c", OPENED, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    assert in_use(path)
    other.communicate("")
    assert not in_use(path)
    assert not in_use(tmp_path / "none.db")
