"""Rows of refused telemetry on the disk: written in batches, read by pages. In any thread, one at a time.

The database is opened when it is first needed, and again when that failed, so that a broken file neither keeps the core from
its start nor stops anything else.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, delete, func, insert, select

from bms_bridge.contract import Rejection
from controller import rejections as room
from controller.codec import iso
from controller.rejections.tables import RejectionRow
from storage import StorageError, Store

MOST: Final = 20_000
"""So many are kept; the oldest go."""

_TRIM_EVERY = 500
_BUSY_S = 2.0
_TEXT = 1024
_rows: Table = RejectionRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it


def rejections_file(database: Path, depot_id: str) -> Path:
    """The file beside the depot's database: ``var/<depot>-rejections.db``."""
    return database.with_name(f"{depot_id}-rejections.db")


class RejectionStore:
    """The rows of one depot in the file ``path``; None: in memory."""

    def __init__(self, path: Path | None, depot_id: str, *, most: int = MOST) -> None:
        self._path = path
        self._depot_id = depot_id
        self._most = most
        self._store: Store | None = None
        self._next = 1
        self._since_trim = 0
        self._lock = threading.Lock()

    def put(self, rejections: Sequence[Rejection]) -> None:
        """Keep them. Raises :class:`~storage.StorageError`; then none of them is kept."""
        with self._lock:
            store = self._opened()
            rows = [self._row(self._next + k, one) for k, one in enumerate(rejections)]
            with store.writing() as connection:
                connection.execute(insert(_rows), rows)
                self._since_trim += len(rows)
                if self._since_trim >= min(_TRIM_EVERY, self._most):
                    oldest = self._next + len(rows) - self._most
                    connection.execute(delete(_rows).where(_rows.c.depot_id == self._depot_id, _rows.c.number < oldest))
                    self._since_trim = 0
            self._next += len(rows)

    def page(
        self, *, vehicle_id: str = "", reason: str = "", before: int = 0, most: int = 100
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Rows that match, newest first, and how many of each reason there are of the vehicle. Raises :class:`~storage.StorageError`."""
        mine = [_rows.c.depot_id == self._depot_id]
        if vehicle_id:
            mine.append(_rows.c.vehicle_id == vehicle_id)
        wanted = [*mine, *([_rows.c.reason == reason] if reason else []), *([_rows.c.number < before] if before else [])]
        with self._lock, self._opened().reading() as connection:
            query = select(_rows).where(*wanted).order_by(_rows.c.number.desc()).limit(most)
            found = [dict(row) for row in connection.execute(query).mappings()]
            counts = connection.execute(select(_rows.c.reason, func.count()).where(*mine).group_by(_rows.c.reason)).all()
        return found, {str(name): int(count) for name, count in counts}

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    def _opened(self) -> Store:
        if self._store is None:
            store = Store.open(self._path, busy_timeout_s=_BUSY_S)
            try:
                store.migrate([room])
                with store.reading() as connection:
                    newest = connection.execute(select(func.max(_rows.c.number)).where(_rows.c.depot_id == self._depot_id)).scalar()
            except StorageError:
                with suppress(StorageError):
                    store.close()
                raise
            self._next = (newest or 0) + 1
            self._store = store
        return self._store

    def _row(self, number: int, rejection: Rejection) -> dict[str, Any]:
        pack = rejection.pack
        return {
            "depot_id": self._depot_id,
            "number": number,
            "received_at": iso(rejection.received_at),
            "vehicle_id": "" if pack is None else pack.vehicle_id,
            "pack_id": "" if pack is None else pack.pack_id,
            "source": "" if rejection.source is None else rejection.source.value,
            "reason": rejection.reason.value,
            "field": rejection.field,
            "topic": rejection.topic,
            "text": rejection.text[:_TEXT],
            "excerpt": rejection.excerpt[:_TEXT],
        }
