"""SQL over the lake by DuckDB: one statement that reads, within bounds of memory, time and rows, and no other file than the lake's.

    SELECT … FROM samples          warm and cold files, and what no file holds yet from the database, each row once
             packs, files, lives   small tables beside it

While a query runs no file is replaced (it holds a shared lock on ``.swap``); the lake goes on taking samples meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bms_bridge.lake import QueryRefused, QueryTooLarge, lifetime, warm
from bms_bridge.lake.hot import TIER_COLD, TIER_WARM, FileEntry, Hot, PackEntry
from bms_bridge.lake.places import Places
from bms_bridge.lake.schema import COLUMNS, arrow_schema, arrow_table, date_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY_MB: Final = 512
TIME_S: Final = 30.0
MOST_ROWS: Final = 10_000
_ROWS_AT_ONCE = 4_096
MOST_HOT: Final = 2_000_000
"""Rows of the database that a query takes along; the newest, where there are more."""


@dataclass(frozen=True, slots=True)
class Found:
    """``more``: there were more rows than asked for."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool


def query(
    hot: Hot,
    places: Places,
    sql: str,
    *,
    most_rows: int = MOST_ROWS,
    memory_mb: int = MEMORY_MB,
    time_s: float = TIME_S,
    names: bool = False,
) -> Found:
    """What ``sql`` finds. ``names``: the table ``packs`` also says whose pack it is, for people of the depot.

    Raises :class:`~bms_bridge.lake.QueryRefused` for anything but one statement that reads, and for one that takes too much.
    """
    import duckdb

    with _snapshot(hot, places, names=names) as (connection, folders):
        try:
            statements = duckdb.extract_statements(sql)
        except duckdb.Error as error:
            raise QueryRefused(_sentence(error)) from None
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise QueryRefused("only one SELECT is carried out: nothing can be changed, written or loaded from a query")
        connection.execute(f"SET memory_limit = '{memory_mb}MB'")
        connection.execute("SET allowed_directories = $folders", {"folders": folders})
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        overdue = threading.Event()

        def stop() -> None:
            overdue.set()
            connection.interrupt()

        timer = threading.Timer(time_s, stop)
        timer.start()
        try:
            reader = connection.sql(sql).to_arrow_reader(_ROWS_AT_ONCE)
            rows: list[tuple[Any, ...]] = []
            while len(rows) <= most_rows and (part := next(reader, None)) is not None:
                rows += zip(*(column.to_pylist() for column in part.columns), strict=True)
        except duckdb.Error as error:
            if overdue.is_set():
                raise QueryTooLarge(f"it took longer than {time_s:g} s: ask for fewer days or packs") from None
            if isinstance(error, duckdb.OutOfMemoryException):
                raise QueryTooLarge(f"it needs more than {memory_mb} MB: ask for fewer days or packs") from None
            raise QueryRefused(_sentence(error)) from None
        finally:
            timer.cancel()
        return Found(tuple(reader.schema.names), rows[:most_rows], len(rows) > most_rows)


@contextmanager
def _snapshot(hot: Hot, places: Places, *, names: bool) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
    """A DuckDB that sees the lake as it is now."""
    import duckdb
    import pyarrow as pa

    places.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with places.swap.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        with hot.look() as sql:
            entries = {entry.no: entry for entry in hot.packs(sql)}
            files = hot.files(sql)
            waiting = hot.unsealed(sql)
            through = {(f.pack_no, f.first_day): f.through_id for f in files if f.tier == TIER_WARM}
            tables = []
            left = MOST_HOT
            for part in sorted(waiting, key=lambda found: -found.day):
                if left <= 0:
                    break
                path = places.warm / warm.day_path(places.depot_id, part.day, entries[part.pack_no].pack)
                after = max(through.get((part.pack_no, part.day), 0), warm.through_of(path) if path.exists() else 0)
                table = arrow_table(hot.stored_rows(sql, entries[part.pack_no], day=part.day, after=after))
                left -= table.num_rows
                tables.append(table)
            lives = {entries[no].pack: lifetime.decode(record) for no, (_, record) in hot.lives(sql).items()}
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": 2,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
            },
        )
        try:
            fresh = pa.concat_tables([arrow_schema().empty_table(), *tables]).unify_dictionaries()
            connection.register("fresh", fresh)
            columns = ", ".join(f'"{name}"' for name in arrow_schema().names)
            parts = [f"SELECT CAST(received_at AS DATE) AS date, {columns} FROM fresh"]  # noqa: S608  # our own names
            for tier, partition in ((TIER_WARM, "date"), (TIER_COLD, "month")):
                own = [entry for entry in files if entry.tier == tier and (tier == TIER_WARM or places.cold is not None)]
                for version in sorted({entry.version for entry in own}):
                    # pack and date are known by the paths, columns by the version: a question for one opens no other file
                    paths = [str(places.of(entry)) for entry in own if entry.version == version]
                    day = "date" if tier == TIER_WARM else "CAST(received_at AS DATE) AS date"
                    kinds = f"{{'depot': VARCHAR, '{partition}': {'DATE' if tier == TIER_WARM else 'VARCHAR'}, 'pack': VARCHAR}}"
                    source = f"read_parquet({_listed(paths)}, hive_partitioning = true, hive_types = {kinds})"
                    parts.append(f"SELECT {day}, {_of_version(version)} FROM {source}")  # noqa: S608  # our own names
            source = " UNION ALL ".join(parts)
            connection.execute(f"CREATE VIEW samples AS {source}")
            connection.register("packs", _packs(list(entries.values()), names=names))
            connection.register("files", _files(files, entries))
            connection.register("lives", _lives(lives))
            folders = [str(places.warm), *([str(places.cold)] if places.cold is not None else [])]
            yield connection, folders
        finally:
            connection.close()


def _of_version(version: int) -> str:
    """The columns as files of this version have them: null for those that came later."""
    kinds = {"floats": "FLOAT[]"}
    return ", ".join(
        f'"{column.name}"' if column.since <= version else f'CAST(NULL AS {kinds[column.kind]}) AS "{column.name}"' for column in COLUMNS
    )


def _packs(entries: Sequence[PackEntry], *, names: bool) -> pa.Table:
    """Packs by pseudonym; with ``names`` also whose they are."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "pack": pa.array([entry.pack for entry in entries], pa.string()),
        "first_at": pa.array([entry.first_us for entry in entries], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
    }
    if names:
        columns["vehicle_id"] = pa.array([entry.key.vehicle_id for entry in entries], pa.string())
        columns["pack_id"] = pa.array([entry.key.pack_id for entry in entries], pa.string())
    return pa.table(columns)


def _files(files: Sequence[FileEntry], entries: Mapping[int, PackEntry]) -> pa.Table:
    """The manifest."""
    import pyarrow as pa

    return pa.table(
        {
            "path": pa.array([entry.path for entry in files], pa.string()),
            "tier": pa.array([entry.tier for entry in files], pa.string()),
            "pack": pa.array([entries[entry.pack_no].pack for entry in files], pa.string()),
            "first_date": pa.array([date_text(entry.first_day) for entry in files], pa.string()),
            "last_date": pa.array([date_text(entry.last_day) for entry in files], pa.string()),
            "rows": pa.array([entry.rows for entry in files], pa.int64()),
            "bytes": pa.array([entry.bytes for entry in files], pa.int64()),
            "sha256": pa.array([entry.sha256 for entry in files], pa.string()),
        }
    )


def _lives(lives: Mapping[str, lifetime.Life]) -> pa.Table:
    """Records of packs' lives as JSON."""
    import pyarrow as pa

    records = [json.dumps(lifetime.shown(life, None)) for life in lives.values()]
    return pa.table({"pack": pa.array(list(lives), pa.string()), "record": pa.array(records, pa.string())})


def _listed(paths: Sequence[str]) -> str:
    return "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"


def _sentence(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:400]
