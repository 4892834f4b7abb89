"""The errors of this room (drawn in :mod:`storage`), and how SQLite's own become them."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError


class StorageError(Exception):
    """Root of this room's errors."""


class StoreUnavailable(StorageError):
    """Nothing was stored; the same thing may be tried again later."""


class StoreBusy(StoreUnavailable):
    """Another connection holds the write lock."""


class StoreFull(StoreUnavailable):
    """The disk or the quota is full."""


class StoreFailing(StoreUnavailable):
    """The operating system reports an I/O error, or the file can't be opened or written."""


class StoreConflict(StorageError):
    """A uniqueness or foreign-key rule forbids it."""


class StoreCorrupt(StorageError):
    """The file is not a sound database."""


class StoreMissing(StorageError):
    """There is no such database."""


class FutureDatabase(StorageError):
    """Written by a newer version of the program."""


class LeaseTaken(StorageError):
    """Another process owns this database."""


_CAUSES: dict[int, tuple[type[StorageError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreBusy, "is locked by another program: close the tool that holds it open for writing"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "is locked by another connection of this program"),
    sqlite3.SQLITE_FULL: (StoreFull, "can't grow: free space on its disk"),
    sqlite3.SQLITE_IOERR: (StoreFailing, "can't be written or read (I/O error): look at the disk"),
    sqlite3.SQLITE_CANTOPEN: (StoreFailing, "can't be opened: look at the folder, its owner and its permissions"),
    sqlite3.SQLITE_READONLY: (StoreFailing, "can't be written: look at its permissions and whether its disk is mounted read-only"),
    sqlite3.SQLITE_PERM: (StoreFailing, "can't be written: look at its permissions"),
    sqlite3.SQLITE_CONSTRAINT: (StoreConflict, "refuses it"),
    sqlite3.SQLITE_CORRUPT: (StoreCorrupt, "is damaged: keep it, and restore a backup"),
    sqlite3.SQLITE_NOTADB: (StoreCorrupt, "is not a database: restore a backup, or name another file"),
}


def translate(error: DBAPIError | sqlite3.Error, name: str) -> StorageError | None:
    """Our error for a driver's error; None where it is a mistake in the SQL, which should be seen as it is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None and str(cause).startswith("Could not decode to UTF-8"):
        code = sqlite3.SQLITE_CORRUPT  # the driver says this itself, without a code: all our text is UTF-8
    if code is None:
        return None
    known = _CAUSES.get(code & 0xFF)  # the extended codes carry the primary one in their low byte
    if known is None:
        return None
    kind, text = known
    return kind(f"{name} {text} ({cause})")
