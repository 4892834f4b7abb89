"""Where facts rest: engine, unit of work, migrations, ownership. Knows no room's tables.

    store     Store: one depot database; units of work with one error vocabulary
    migrate   every room's Alembic scripts, applied together
    lease     one owner process per depot database
    copying   a consistent copy while others write

Errors (SQLAlchemy's own do not leave this room, except for wrong SQL):

    StorageError
    ├── StoreUnavailable      nothing was stored; the same thing may be tried again later
    │   ├── StoreBusy         another connection holds the write lock
    │   ├── StoreFull         the disk (or the quota) is full
    │   └── StoreFailing      the operating system reports an I/O error, or the file can't be written
    ├── StoreConflict         a uniqueness or foreign-key rule forbids it
    ├── StoreCorrupt          the file is not a sound database: restore a backup
    ├── StoreMissing          there is no such database
    ├── FutureDatabase        written by a newer version of the program
    └── LeaseTaken            another process owns this database
"""

from storage.copying import copy_database, in_use
from storage.errors import (
    FutureDatabase,
    LeaseTaken,
    StorageError,
    StoreBusy,
    StoreConflict,
    StoreCorrupt,
    StoreFailing,
    StoreFull,
    StoreMissing,
    StoreUnavailable,
)
from storage.lease import Lease
from storage.store import Store

__all__ = [
    "FutureDatabase",
    "Lease",
    "LeaseTaken",
    "StorageError",
    "Store",
    "StoreBusy",
    "StoreConflict",
    "StoreCorrupt",
    "StoreFailing",
    "StoreFull",
    "StoreMissing",
    "StoreUnavailable",
    "copy_database",
    "in_use",
]
