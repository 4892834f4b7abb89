"""A consistent copy of a database while others write to it, and the question whether others have it open.

database (+ its write-ahead log) --copy_database()--> one file, flushed to the disk, complete in itself
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from storage.errors import StoreMissing, translate

Progress = Callable[[int, int], None]
"""(pages copied, pages in all)"""

PAGES_AT_ONCE = 2048
"""Between two reports of progress: 8 MB."""

_SHARED_FIRST = 0x40000002
_SHARED_SIZE = 510
"""The bytes on which every open connection holds a lock for as long as it is open (SQLite, os_unix.c; in WAL mode from
its first look on)."""


def copy_database(source: Path, target: Path, *, progress: Progress | None = None, pages_at_once: int = PAGES_AT_ONCE) -> None:
    """Copy ``source`` as it is at one moment, whoever writes meanwhile, to the new file ``target`` (readable by its owner
    only). Nobody is kept from writing. Raises :class:`~storage.errors.StorageError` and below, OSError."""
    if not source.is_file():
        raise StoreMissing(f"there is no database {source}")
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with (
            contextlib.closing(sqlite3.connect(source, isolation_level=None)) as old,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as new,
        ):
            old.execute("PRAGMA query_only=ON")
            # one view for all steps: without it every commit of somebody else would begin the copy anew
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()
            new.execute("PRAGMA journal_mode=OFF")
            new.execute("PRAGMA synchronous=OFF")
            old.backup(new, pages=pages_at_once, progress=_told(progress), sleep=0.05)
            new.execute("PRAGMA journal_mode=DELETE")  # no log beside the copy: the one file is all
    except sqlite3.Error as error:
        ours = translate(error, f"database {source}")
        if ours is None:
            raise
        raise ours from error
    flush(target)


def _told(progress: Progress | None) -> Callable[[int, int, int], object] | None:
    return None if progress is None else lambda _status, left, pages: progress(pages - left, pages)


def in_use(database: Path) -> bool:
    """Whether another process has the database open. Asks the kernel and changes nothing, so it may be asked of a
    damaged file too. Don't ask while this process has it open: closing a file drops a process's own locks."""
    try:
        descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
    except (BlockingIOError, PermissionError):
        return True
    finally:
        os.close(descriptor)
    return False


def flush(path: Path) -> None:
    """What was written to a file, or the names in a folder, are on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
