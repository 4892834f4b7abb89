"""The last words of running transactions on disk: written in groups by the journal's writer. Implements
:class:`depot.last_words.LastWords`.

    keep() keep() … keep()  --at most GROUP_S-->  one write along with the facts that wait  -->  all of them are durable

One group is on its way at a time; what comes meanwhile is the next one, and of a transaction only its newest word. So a frozen
journal makes everybody wait, and nothing grows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects.sqlite import insert

from controller.journal_store import Write
from controller.tables import LastWordRow
from depot.last_words import LastWord
from storage import Store

GROUP_S = 0.02
"""How long the first word of a group waits for others, s: few commits for many stations, well within the promised 50 ms."""
MOST_EACH = 32
"""Words that are kept of a station, which may invent transactions without end: then its oldest goes."""

_words: Table = LastWordRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LastWord).decode


class Alongside(Protocol):
    """Who commits: :meth:`controller.journal.SqlJournal.along`."""

    async def along(self, write: Write) -> None: ...


class KeptWords:
    """Last words of one depot. ``is_open``: whether the depot's transaction of that number runs; words of others are void."""

    def __init__(self, store: Store, depot_id: str, journal: Alongside, *, is_open: Callable[[int], bool]) -> None:
        self._depot_id = depot_id
        self._journal = journal
        self._is_open = is_open
        self._kept: dict[str, dict[str, LastWord]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._news: dict[tuple[str, str], LastWord | None] = {}
        """What the next group writes; None: the row goes."""
        self._writing: asyncio.Task[None] | None = None
        self._due: asyncio.TimerHandle | None = None
        upsert = insert(_words)
        upsert = upsert.on_conflict_do_update(index_elements=list(_words.primary_key), set_={"body": upsert.excluded.body})
        mine = [column == "" for column in _words.primary_key]
        self._upsert = str(upsert.compile(dialect=store.engine.dialect))
        self._delete = str(delete(_words).where(*mine).compile(dialect=store.engine.dialect))
        self._load(store)

    def of(self, station_id: str) -> Sequence[LastWord]:
        """See the port. What ended meanwhile without its station's word (a ghost) is not among them."""
        return [word for word in self._kept.get(station_id, {}).values() if word.number is None or self._is_open(word.number)]

    def register_wh(self, station_id: str, number: int) -> int | None:
        """The newest register of a running transaction that its station was told is kept, Wh."""
        words = self._kept.get(station_id, {}).values()
        return next((word.register_wh for word in words if word.number == number), None)

    def keep(self, word: LastWord) -> Awaitable[None]:
        kept = self._kept.setdefault(word.station_id, {})
        if word.transaction_id not in kept and len(kept) >= MOST_EACH:
            self.forget(word.station_id, next(iter(kept)))
        kept[word.transaction_id] = word
        self._news[word.station_id, word.transaction_id] = word
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._soon()
        return done

    def forget(self, station_id: str, transaction_id: str) -> None:
        if self._kept.get(station_id, {}).pop(transaction_id, None) is not None:
            self._news[station_id, transaction_id] = None
            self._soon()

    def _load(self, store: Store) -> None:
        query = select(_words).where(_words.c.depot_id == self._depot_id)
        with store.reading() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            try:
                word = _decode(row.body)
            except msgspec.MsgspecError:  # of other code: it is written anew with the next event
                self._news[row.station_id, row.transaction_id] = None
                continue
            self._kept.setdefault(row.station_id, {})[row.transaction_id] = word
        for station_id, kept in self._kept.items():
            for word in list(kept.values()):
                if word.number is not None and not self._is_open(word.number):
                    del kept[word.transaction_id]
                    self._news[station_id, word.transaction_id] = None

    # -- groups

    def _soon(self) -> None:
        """The group that is open leaves when its time has come, and the one before has landed."""
        if self._due is None and self._writing is None:
            self._due = asyncio.get_running_loop().call_later(GROUP_S, self._begin)

    def _begin(self) -> None:
        self._due = None
        waiting, news = self._waiting, self._news
        self._waiting, self._news = [], {}
        write = self._write(news)

        async def carry_out() -> None:
            error: Exception | None = None
            try:
                await self._journal.along(write)
            except Exception as broken:  # noqa: BLE001  # whoever waits is told
                error = broken
            self._writing = None
            for done in waiting:
                if not done.done():
                    done.set_result(None) if error is None else done.set_exception(error)
            if error is None and self._news:
                self._soon()

        self._writing = asyncio.get_running_loop().create_task(carry_out(), name="last words")

    def _write(self, news: dict[tuple[str, str], LastWord | None]) -> Write:
        depot_id = self._depot_id
        rows = [(depot_id, *key, _encode(word).decode()) for key, word in news.items() if word is not None]
        gone = [(depot_id, *key) for key, word in news.items() if word is None]

        def write(connection: Connection) -> None:
            cursor = connection.connection.cursor()  # by the driver itself: a third of the price
            if rows:
                cursor.executemany(self._upsert, rows)
            if gone:
                cursor.executemany(self._delete, gone)

        return write
