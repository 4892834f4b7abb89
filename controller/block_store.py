"""Demand blocks on disk: the site's own, and those of the billing meter that somebody imported. Bounded, side by side.

    DemandWatch --put(own)--> journal's writer, beside facts --> demand_blocks --between()--> bills, charts
    import      --put(utility)-->

A block that could not be written (the journal is frozen or behind) waits in memory and is tried again with the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from controller.samples import Besides
from controller.tables import DemandBlockRow
from depot.metering import MeterBlock
from storage import Store

WAITING_MOST = 2_976
"""Blocks that wait to be written: a month of quarter hours."""

_blocks: Table = DemandBlockRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it


class BlockSource(StrEnum):
    """Whose meter counted."""

    OWN = "own"
    UTILITY = "utility"


class BlockStore:
    """Blocks of one depot, kept for ``keep_days``. ``since``: the earliest that is kept is never older than this."""

    def __init__(self, store: Store, depot_id: str, journal: Besides, *, keep_days: int) -> None:
        self._store = store
        self._depot_id = depot_id
        self._journal = journal
        self._keep = timedelta(days=keep_days)
        self._waiting: deque[tuple[BlockSource, MeterBlock, bool]] = deque(maxlen=WAITING_MOST)

    @property
    def waiting(self) -> int:
        """Blocks that are not on their way to the disk yet."""
        return len(self._waiting)

    def put(self, source: BlockSource, blocks: Iterable[MeterBlock], *, replace: bool = True) -> bool:
        """Keep blocks. One that is known already is replaced, or left as it is. False: they wait for the journal."""
        self._waiting.extend((source, block, replace) for block in blocks)
        return self.flush()

    def flush(self) -> bool:
        """Hand what waits to the journal's writer. False: it could not take it now."""
        if not self._waiting:
            return True
        taken = tuple(self._waiting)

        def write(connection: Connection) -> None:
            newest = 0
            for source, block, over in taken:
                values = _values(block)
                minute = _minute(block.begins_at)
                newest = max(newest, minute)
                row = insert(_blocks).values(depot_id=self._depot_id, source=source.value, minute=minute, **values)
                index = ["depot_id", "source", "minute"]
                connection.execute(
                    row.on_conflict_do_update(index_elements=index, set_=values)
                    if over
                    else row.on_conflict_do_nothing(index_elements=index)
                )
            oldest = newest - int(self._keep / timedelta(minutes=1))
            connection.execute(delete(_blocks).where(_blocks.c.depot_id == self._depot_id, _blocks.c.minute < oldest))

        if not self._journal.beside(write):
            return False
        self._waiting.clear()
        return True

    def between(self, source: BlockSource, start: datetime, stop: datetime) -> list[MeterBlock]:
        """Blocks that begin in [start, stop), oldest first; those that wait are among them."""
        query = select(_blocks).where(
            _blocks.c.depot_id == self._depot_id,
            _blocks.c.source == source.value,
            _blocks.c.minute >= _minute(start),
            _blocks.c.minute < _minute(stop),
        )
        with self._store.reading() as connection:
            found = {row.minute: _block(row) for row in connection.execute(query)}
        for its_source, block, over in tuple(self._waiting):
            if its_source is source and start <= block.begins_at < stop and (over or _minute(block.begins_at) not in found):
                found[_minute(block.begins_at)] = block
        return [block for _, block in sorted(found.items())]

    def months(self, source: BlockSource) -> tuple[datetime, datetime] | None:
        """When the first and the last kept block begin; None: there is none."""
        query = select(func.min(_blocks.c.minute), func.max(_blocks.c.minute)).where(
            _blocks.c.depot_id == self._depot_id, _blocks.c.source == source.value
        )
        with self._store.reading() as connection:
            first, last = connection.execute(query).one()
        return None if first is None else (_at(first), _at(last))


class BlockMemory:
    """The same without a disk, for a core that has none. Keeps a month."""

    def __init__(self) -> None:
        self._kept: dict[BlockSource, dict[datetime, MeterBlock]] = {source: {} for source in BlockSource}

    def put(self, source: BlockSource, blocks: Iterable[MeterBlock], *, replace: bool = True) -> bool:
        kept = self._kept[source]
        for block in blocks:
            if replace or block.begins_at not in kept:
                kept[block.begins_at] = block
        while len(kept) > WAITING_MOST:
            kept.pop(min(kept))
        return True

    def flush(self) -> bool:
        return True

    def between(self, source: BlockSource, start: datetime, stop: datetime) -> Sequence[MeterBlock]:
        return [block for at, block in sorted(self._kept[source].items()) if start <= at < stop]

    def months(self, source: BlockSource) -> tuple[datetime, datetime] | None:
        kept = self._kept[source]
        return (min(kept), max(kept)) if kept else None


def _values(block: MeterBlock) -> dict[str, Any]:
    return {
        "minutes": block.minutes,
        "import_wh": block.import_wh,
        "import_vah": block.import_vah,
        "export_wh": block.export_wh,
        "covered": block.covered,
    }


def _block(row: Any) -> MeterBlock:
    return MeterBlock(_at(row.minute), row.minutes, row.import_wh, row.import_vah, row.export_wh, row.covered)


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _at(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
