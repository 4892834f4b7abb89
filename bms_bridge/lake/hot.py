"""The lake's own database (SQLite): rows of the last weeks, raw messages of the last days, and what lies where.

A unit of work is one transaction, flushed to the disk when it returns. One process writes (it holds the lease); commands look on.
The rows are written and read by the driver itself: there are thousands a second. One depot a file: no key begins with its id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from bms_bridge.lake.schema import DAY_US, NAMES, VERSION, Row, day_of, read_back, stored
from depot.values import PackKey
from storage import Store

TIER_WARM: Final = "warm"
TIER_COLD: Final = "cold"
NEWEST: Final = -1
"""The ``day`` of a record that is the newest one; others are marks at the end of a day."""

_COLUMNS = ", ".join({"pack": "pack_no", "received_at": "received_us", "reported_at": "reported_us"}.get(n, n) for n in NAMES)
_PACK = NAMES.index("pack")
_INSERT = f"INSERT OR REPLACE INTO lake_row ({_COLUMNS}, day) VALUES ({', '.join('?' * (len(NAMES) + 1))})"  # noqa: S608  # our own names


@dataclass(frozen=True, slots=True)
class PackEntry:
    """A pack that was heard of. ``no``: in this database."""

    no: int
    pack: str
    key: PackKey
    first_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A Parquet file of the manifest. ``path``: within its tier's folder. ``through_id``: every row of its pack and days up to
    this id is in it. ``version``: of its columns."""

    path: str
    tier: str
    pack_no: int
    first_day: int
    last_day: int
    rows: int
    bytes: int
    sha256: str
    through_id: int
    first_us: int
    last_us: int
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Rows of one pack and day that no file holds. ``sealed``: how many its file holds."""

    pack_no: int
    day: int
    rows: int
    last_id: int
    sealed: int


class Numbers(NamedTuple):
    """A row's numbers as they are stored. ``cells_v``, ``temperatures_c``: 32-bit floats, NaN where none; times: microseconds."""

    row_id: int
    pack_no: int
    received_us: int
    age_s: float
    withdrawn: int
    current_a: float | None
    voltage_v: float | None
    cells_v: bytes
    temperatures_c: bytes
    soc: float | None


class Hot:
    """See the module. ``connection`` of the methods: what :meth:`work` or :meth:`look` gives."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @contextmanager
    def work(self) -> Iterator[sqlite3.Connection]:
        """A unit of work: committed at the end, rolled back on an error. Raises :class:`storage.StorageError`."""
        with self.store.writing() as connection:
            yield _driver(connection)

    @contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """One consistent view."""
        with self.store.reading() as connection:
            yield _driver(connection)

    # -- batches -------------------------------------------------------------------------------------------------------

    def last_number(self, connection: sqlite3.Connection, boot: str) -> int:
        """The newest batch of this run of the core that is here; 0: none."""
        found = connection.execute("SELECT number FROM lake_boot WHERE boot = ?", (boot,)).fetchone()
        return int(found[0]) if found else 0

    def took(self, connection: sqlite3.Connection, boot: str, number: int, at_us: int) -> None:
        connection.execute("INSERT OR REPLACE INTO lake_boot (boot, number, at_us) VALUES (?, ?, ?)", (boot, number, at_us))
        connection.execute("DELETE FROM lake_boot WHERE at_us < ? AND boot <> ?", (at_us - 40 * DAY_US, boot))

    def next_batch(self, connection: sqlite3.Connection) -> int:
        """A number that no batch had before."""
        number = int(self.meta(connection, "batch") or 0) + 1
        self.set_meta(connection, "batch", str(number))
        return number

    def put_raw(self, connection: sqlite3.Connection, batch: int, at_us: int, items: int, body: bytes) -> None:
        connection.execute("INSERT INTO lake_raw (batch, at_us, items, body) VALUES (?, ?, ?, ?)", (batch, at_us, items, body))

    def raw_since(self, connection: sqlite3.Connection, at_us: int) -> Iterator[tuple[int, int, bytes]]:
        """(batch, when it came, body), oldest first; read as it is taken."""
        yield from connection.execute("SELECT batch, at_us, body FROM lake_raw WHERE at_us >= ? ORDER BY batch", (at_us,))

    # -- packs ---------------------------------------------------------------------------------------------------------

    def packs(self, connection: sqlite3.Connection) -> list[PackEntry]:
        found = connection.execute("SELECT pack_no, pack, vehicle_id, pack_id, first_us FROM lake_pack ORDER BY pack_no")
        return [PackEntry(no, pack, PackKey(vehicle, own), first) for no, pack, vehicle, own, first in found]

    def add_pack(self, connection: sqlite3.Connection, pack: str, key: PackKey, first_us: int) -> PackEntry:
        row = (pack, key.vehicle_id, key.pack_id, first_us)
        connection.execute("INSERT OR IGNORE INTO lake_pack (pack, vehicle_id, pack_id, first_us) VALUES (?, ?, ?, ?)", row)
        number = connection.execute("SELECT pack_no FROM lake_pack WHERE pack = ?", (pack,)).fetchone()[0]
        return PackEntry(int(number), pack, key, first_us)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def put_rows(self, connection: sqlite3.Connection, rows: Sequence[Row], numbers: dict[str, int]) -> None:
        """``numbers``: of the packs by pseudonym. A row that is there already is replaced."""
        values = [(*_with(stored(row), numbers[row.pack]), day_of(row.received_us)) for row in rows]
        connection.executemany(_INSERT, values)
        connection.executemany("INSERT OR IGNORE INTO lake_open (day, pack_no) VALUES (?, ?)", {(row[-1], row[_PACK]) for row in values})

    def stored_rows(
        self, connection: sqlite3.Connection, entry: PackEntry, *, day: int | None = None, after: int = 0, most_id: int | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of a pack as SQLite has them (:func:`~bms_bridge.lake.schema.stored`), by id, with the pseudonym in its place."""
        query = f"SELECT {_COLUMNS} FROM lake_row WHERE pack_no = ? AND row_id > ?"  # noqa: S608  # our own names
        values: list[int] = [entry.no, after]
        if day is not None:
            query += " AND day = ?"
            values.append(day)
        if most_id is not None:
            query += " AND row_id <= ?"
            values.append(most_id)
        for found in connection.execute(query + " ORDER BY row_id", values):
            yield _with(found, entry.pack)

    def rows(self, connection: sqlite3.Connection, entry: PackEntry, *, after: int = 0) -> Iterator[Row]:
        for found in self.stored_rows(connection, entry, after=after):
            yield read_back(found)

    def rows_between(self, connection: sqlite3.Connection, first: int, last: int, names: dict[int, str]) -> dict[int, Row]:
        """All rows of a range of ids, by id."""
        query = f"SELECT {_COLUMNS} FROM lake_row WHERE row_id BETWEEN ? AND ?"  # noqa: S608  # our own names
        found = (read_back(_with(values, names[values[_PACK]])) for values in connection.execute(query, (first, last)))
        return {row.row_id: row for row in found}

    def numbers(self, connection: sqlite3.Connection, *, after: int, most: int) -> Iterator[Numbers]:
        """What charge and voltage are reckoned from, of all packs, by id."""
        query = (
            "SELECT row_id, pack_no, received_us, age_s, quality = 'withdrawn', current_a, voltage_v, cells_v, temperatures_c, soc "
            "FROM lake_row WHERE row_id > ? ORDER BY row_id LIMIT ?"
        )
        for found in connection.execute(query, (after, most)):
            yield Numbers(*found)

    def first_id_since(self, connection: sqlite3.Connection, day: int, *, at_most: int) -> int:
        """The id before the first row that came on ``day`` or later; no more than ``at_most``."""
        found = connection.execute("SELECT min(row_id) FROM lake_row WHERE day >= ?", (day,)).fetchone()[0]
        return at_most if found is None else min(at_most, int(found) - 1)

    def unsealed(self, connection: sqlite3.Connection) -> list[Unsealed]:
        """What no file holds yet, the oldest day first."""
        query = """
            SELECT r.pack_no, r.day, count(*), max(r.row_id), coalesce(max(f.rows), 0) FROM lake_open o
            JOIN lake_row r ON r.day = o.day AND r.pack_no = o.pack_no
            LEFT JOIN lake_file f ON f.pack_no = r.pack_no AND f.first_day = r.day AND f.tier = 'warm'
            WHERE r.row_id > coalesce(f.through_id, 0) GROUP BY r.day, r.pack_no ORDER BY r.day, r.pack_no"""
        return [Unsealed(*found) for found in connection.execute(query)]

    def forget_rows(self, connection: sqlite3.Connection, *, before_day: int, through_id: int) -> int:
        """Drop rows of days before, as far as a file holds them and records have them (``through_id``). How many."""
        query = """
            DELETE FROM lake_row WHERE day < ? AND row_id <= ? AND row_id <= (
                SELECT max(f.through_id) FROM lake_file f WHERE f.pack_no = lake_row.pack_no AND f.first_day <= lake_row.day
                AND f.last_day >= lake_row.day)"""
        return connection.execute(query, (before_day, through_id)).rowcount

    # -- files ---------------------------------------------------------------------------------------------------------

    def files(self, connection: sqlite3.Connection, *, pack_no: int | None = None, tier: str | None = None) -> list[FileEntry]:
        """The manifest, by pack and day."""
        query = (
            "SELECT path, tier, pack_no, first_day, last_day, rows, bytes, sha256, through_id, first_us, last_us, version FROM lake_file "
            "WHERE (? IS NULL OR pack_no = ?) AND (? IS NULL OR tier = ?) ORDER BY pack_no, first_day"
        )
        names = tuple(FileEntry.__dataclass_fields__)
        found = connection.execute(query, (pack_no, pack_no, tier, tier))
        return [FileEntry(**dict(zip(names, values, strict=True))) for values in found]

    def put_file(self, connection: sqlite3.Connection, entry: FileEntry) -> None:
        """A file of a day closes it: what waited is in it."""
        connection.execute(
            "DELETE FROM lake_open WHERE pack_no = ? AND day BETWEEN ? AND ?", (entry.pack_no, entry.first_day, entry.last_day)
        )
        values = (
            entry.path, entry.tier, entry.pack_no, entry.first_day, entry.last_day, entry.rows, entry.bytes, entry.sha256,
            entry.through_id, entry.first_us, entry.last_us, entry.version,
        )  # fmt: skip
        connection.execute(f"INSERT OR REPLACE INTO lake_file VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608  # only marks

    def drop_file(self, connection: sqlite3.Connection, path: str) -> None:
        connection.execute("DELETE FROM lake_file WHERE path = ?", (path,))

    # -- records of packs' lives, and what else is remembered ------------------------------------------------------------

    def lives(self, connection: sqlite3.Connection) -> dict[int, tuple[int, bytes]]:
        """The newest record of each pack: (row id up to which it knows, record)."""
        found = connection.execute("SELECT pack_no, through_id, record FROM lake_life WHERE day = ?", (NEWEST,))
        return {no: (through, record) for no, through, record in found}

    def put_life(self, connection: sqlite3.Connection, pack_no: int, through_id: int, record: bytes, *, day: int = NEWEST) -> None:
        values = (pack_no, day, through_id, record)
        connection.execute("INSERT OR REPLACE INTO lake_life (pack_no, day, through_id, record) VALUES (?, ?, ?, ?)", values)

    def mark_before(self, connection: sqlite3.Connection, pack_no: int, row_id: int) -> tuple[int, bytes] | None:
        """The newest mark that knows nothing from ``row_id`` on."""
        query = "SELECT through_id, record FROM lake_life WHERE pack_no = ? AND day >= 0 AND through_id < ? ORDER BY day DESC LIMIT 1"
        found: tuple[int, bytes] | None = connection.execute(query, (pack_no, row_id)).fetchone()
        return found

    def drop_marks(self, connection: sqlite3.Connection, pack_no: int, *, before_day: int) -> None:
        """Drop marks of days before, but for the newest of them: there is always one to begin from."""
        newest = "SELECT max(day) FROM lake_life WHERE pack_no = ? AND day BETWEEN 0 AND ?"
        connection.execute(
            f"DELETE FROM lake_life WHERE pack_no = ? AND day >= 0 AND day < ({newest})",  # noqa: S608  # our own text
            (pack_no, pack_no, before_day),
        )

    def meta(self, connection: sqlite3.Connection, name: str) -> str | None:
        found = connection.execute("SELECT value FROM lake_meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, connection: sqlite3.Connection, name: str, value: str) -> None:
        connection.execute("INSERT OR REPLACE INTO lake_meta (name, value) VALUES (?, ?)", (name, value))

    @property
    def used_bytes(self) -> int:
        """Of the file, without pages that are free again."""
        with self.look() as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)


def _driver(connection: Any) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _with(values: Sequence[Any], pack: Any) -> tuple[Any, ...]:
    return (*values[:_PACK], pack, *values[_PACK + 1 :])


def lake_file(folder: Path, depot_id: str) -> Path:
    """The lake's database in the depot's folder."""
    return folder / f"{depot_id}-lake.db"
