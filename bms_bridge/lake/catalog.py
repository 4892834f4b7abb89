"""What is in the lake: columns with unit and meaning, data sets with rows, bytes and time ranges, packs, replays.

Read from the manifest, so that it costs no look into any file; :func:`checked` looks into all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from bms_bridge.lake.catalog_view import ColumnView, DatasetView, LakeCatalogView, ReplayView
from bms_bridge.lake.hot import TIER_COLD, TIER_WARM, Hot
from bms_bridge.lake.places import Places
from bms_bridge.lake.schema import COLUMNS, SCHEMA, moment
from bms_bridge.lake.warm import PART, sha256_of


def catalog(hot: Hot, *, kept: dict[str, str] | None = None) -> LakeCatalogView:
    """The catalogue as the database has it. ``kept``: how long each data set is kept, in words. Raises :class:`storage.StorageError`."""
    words = kept or {}
    with hot.look() as connection:
        files = hot.files(connection)
        hot_rows = connection.execute(
            "SELECT count(*), count(DISTINCT pack_no), min(received_us), max(received_us) FROM lake_row"
        ).fetchone()
        raw = connection.execute(
            "SELECT coalesce(sum(items), 0), coalesce(sum(length(body)), 0), min(at_us), max(at_us) FROM lake_raw"
        ).fetchone()
        packs = connection.execute("SELECT count(*) FROM lake_pack").fetchone()[0]
        histories = connection.execute("SELECT count(*) FROM lake_history").fetchone()[0]
        replays = connection.execute(
            "SELECT number, at_us, by, rows, changed, new, withdrawn, done FROM lake_replay ORDER BY number DESC LIMIT 50"
        ).fetchall()
    sets = [_set("hot", hot_rows[0], hot.used_bytes - raw[1], 0, hot_rows[1], hot_rows[2:4], words)]
    for tier in (TIER_WARM, TIER_COLD):
        mine = [entry for entry in files if entry.tier == tier]
        times = (min((e.first_us for e in mine), default=None), max((e.last_us for e in mine), default=None))
        sets.append(
            _set(tier, sum(e.rows for e in mine), sum(e.bytes for e in mine), len(mine), len({e.pack_no for e in mine}), times, words)
        )
    sets.append(_set("raw", raw[0], raw[1], 0, 0, raw[2:4], words))
    return LakeCatalogView(
        schema=SCHEMA,
        columns=[ColumnView(c.name, c.kind, c.unit, c.meaning, c.source, c.since) for c in COLUMNS],
        datasets=sets,
        packs=packs,
        replays=[ReplayView(n, moment(at), by, rows, ch, new, gone, bool(done)) for n, at, by, rows, ch, new, gone, done in replays],
        histories=histories,
    )


def _set(
    name: str, rows: int, size: int, files: int, packs: int, times: tuple[int | None, int | None], words: dict[str, str]
) -> DatasetView:
    first, last = (None if us is None else moment(us) for us in times)
    return DatasetView(name, rows, max(0, size), files, packs, first, last, words.get(name, ""))


def checked(hot: Hot, places: Places) -> Iterator[tuple[str, str]]:
    """Every file of the manifest hashed again: (path, "" or what is wrong); and files that the manifest does not have."""
    with hot.look() as connection:
        files = hot.files(connection)
    named = set()
    for entry in files:
        path = places.of(entry)
        named.add(path)
        try:
            digest = sha256_of(path)
        except OSError as error:
            yield str(path), f"cannot be read: {error.strerror}"
            continue
        yield (
            str(path),
            "" if digest == entry.sha256 else "is not what was written: restore it from a copy, or run compact after removing it",
        )
    for path in sorted(places.warm.rglob("*.parquet")):
        if path not in named:
            yield str(path), "is not in the manifest"
    for path in sorted(places.warm.rglob(f"*{PART}")):
        yield str(path), "was left by a crash, or is being written"
