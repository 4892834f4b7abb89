"""One depot database: engine, units of work, soundness. SQLite now; every key begins with ``depot_id`` from day one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool
from sqlmodel import Session, create_engine

from storage.errors import StorageError, StoreCorrupt, StoreMissing, translate

WHOLE_CHECK_BYTES = 256 * 1024 * 1024
"""Up to this size a database is checked whole when it is opened (about a second); larger ones by :meth:`Store.verify`."""

_BUSY_TIMEOUT_S = 5.0


class Store:
    """A database file with ``journal_mode=WAL``, ``synchronous=FULL``, foreign keys on; or, without a path, one in
    memory with a single shared connection, for virtual runs in one thread.

    Units of work take the write lock when they begin, so that they never fail half-way for a lock. Threads may
    share a Store that has a file. Raises :class:`~storage.errors.StorageError` and below.
    """

    def __init__(self, engine: Engine, path: Path | None) -> None:
        self.engine = engine
        self.path = path
        self._reader = engine.execution_options(chargeyard_reading=True)
        self._impatient: dict[float, Engine] = {}

    @classmethod
    def open(cls, path: Path | str | None, *, busy_timeout_s: float = _BUSY_TIMEOUT_S, read_only: bool = False) -> Self:
        """Open or create. ``busy_timeout_s``: how long a unit of work waits for somebody else's write lock.

        ``read_only``: looks only; the file must exist. Raises :class:`~storage.errors.StoreCorrupt` for a file that
        is not a sound database, :class:`~storage.errors.StoreMissing`, :class:`~storage.errors.StoreFailing`.
        """
        file = None if path is None else Path(path)
        if file is None:
            engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        else:
            if read_only and not file.is_file():
                raise StoreMissing(f"there is no database {file}")
            if not read_only:
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _create_private(file)
            engine = create_engine(f"sqlite:///{file}", poolclass=QueuePool, connect_args={"check_same_thread": False})
        _dress(engine, busy_timeout_s, read_only)
        store = cls(engine, file)
        try:
            with store.reading() as connection:
                connection.execute(text("SELECT count(*) FROM sqlite_master"))
            if file is not None and file.stat().st_size <= WHOLE_CHECK_BYTES:
                store.verify()
        except StorageError:
            store.close()
            raise
        return store

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"database {self.path}" if self.path is not None else "the database in memory"

    @contextmanager
    def unit(self) -> Iterator[Session]:
        """A unit of work: committed at the end, rolled back on an error."""
        with self.translated(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.connection()
            yield session

    @contextmanager
    def writing(self, *, busy_timeout_s: float | None = None) -> Iterator[Connection]:
        """A unit of work on a plain connection, for bulk. Does not nest with others when the store is in memory."""
        with self.translated(), self._engine(busy_timeout_s).begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view, without the write lock."""
        with self.translated(), self._reader.begin() as connection:
            yield connection

    def _engine(self, busy_timeout_s: float | None) -> Engine:
        """The same connections, another patience. Kept, because the journal asks for it at every commit."""
        if busy_timeout_s is None:
            return self.engine
        if busy_timeout_s not in self._impatient:
            self._impatient[busy_timeout_s] = self.engine.execution_options(chargeyard_busy_s=busy_timeout_s)
        return self._impatient[busy_timeout_s]

    def migrate(self, rooms: Sequence[ModuleType]) -> None:
        """Bring the tables of ``rooms`` (packages with a folder ``migrations``) up to date in one transaction. Raises
        :class:`~storage.errors.FutureDatabase` where the database knows steps of these rooms that we don't."""
        from storage.migrate import upgrade  # Alembic takes 0.2 s to import, readers don't need it

        upgrade(self, rooms)

    def verify(self) -> None:
        """Check the whole file: pages, indexes, foreign keys. Raises :class:`~storage.errors.StoreCorrupt`."""
        with self.reading() as connection:
            found = connection.execute(text("PRAGMA integrity_check(3)")).scalars().all()
            orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
        if found != ["ok"]:
            raise StoreCorrupt(f"{self.name} is damaged: keep it, and restore a backup ({'; '.join(map(str, found))})")
        if orphans:
            raise StoreCorrupt(f"{self.name} is damaged: {len(orphans)} rows refer to rows that are not there; restore a backup")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns the driver's errors into this room's."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            ours = translate(error, self.name)
            if ours is None:
                raise
            raise ours from error

    def close(self) -> None:
        """Close every connection; the last one folds the write-ahead log back into the file."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _create_private(file: Path) -> None:
    """Create ``file`` empty and readable by its owner only, whatever the umask; SQLite gives the write-ahead log the
    same mode. An existing file keeps its mode. What is wrong with a path is told by the opening that follows."""
    with suppress(OSError):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def _dress(engine: Engine, busy_timeout_s: float, read_only: bool) -> None:
    """Set up each connection, and begin transactions ourselves: the driver's own way begins them too late."""

    @event.listens_for(engine, "connect")
    def connected(raw: sqlite3.Connection, record: Any) -> None:
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout={round(busy_timeout_s * 1000)}")
        record.info["busy_s"] = busy_timeout_s
        if read_only:
            raw.execute("PRAGMA query_only=ON")
        else:
            raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        options = connection.get_execution_options()
        wanted = options.get("chargeyard_busy_s", busy_timeout_s)
        if connection.info["busy_s"] != wanted:
            raw.execute(f"PRAGMA busy_timeout={round(wanted * 1000)}")
            connection.info["busy_s"] = wanted
        raw.execute("BEGIN" if read_only or options.get("chargeyard_reading") else "BEGIN IMMEDIATE")
