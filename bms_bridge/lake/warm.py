"""Parquet files: one for each pack and day, always replaced whole, readable by anybody at any time.

    rows --write()--> rows.parquet.part --fsync, checksum--> rename over rows.parquet --fsync of the folder

A reader finds the old file or the new one, never half of one and never the same row in two: no partition has a second file.
In the footer stands up to which row id the file is complete, so that a crash between file and manifest is mended from the file.
Files end in ``.part`` until they are whole; what a crash left of them is removed at the next start.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bms_bridge.lake import LakeDamaged
from bms_bridge.lake.schema import SCHEMA, VERSION, arrow_schema, date_text

if TYPE_CHECKING:
    import pyarrow as pa

NAME: Final = "rows.parquet"
PART: Final = ".part"
_THROUGH, _SCHEMA = b"chargeyard.through_id", b"chargeyard.schema"
_ROW_GROUP = 65_536
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is on the disk. ``version``: of its columns."""

    rows: int
    bytes: int
    sha256: str
    through_id: int
    first_us: int
    last_us: int
    version: int = VERSION


def day_path(depot_id: str, day: int, pack: str) -> str:
    """Where the rows of a pack and day lie."""
    return f"depot={depot_id}/date={date_text(day)}/pack={pack}/{NAME}"


def month_path(depot_id: str, month: str, pack: str) -> str:
    """Where the rows of a pack and month (``2026-11``) lie in the archive."""
    return f"depot={depot_id}/month={month}/pack={pack}/{NAME}"


def write(path: Path, table: pa.Table, through_id: int) -> Written:
    """Put ``table`` there, whole or not at all; it is on the disk when this returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f"{path.name}{PART}")
    try:
        return _write(path, aside, table, through_id)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _write(path: Path, aside: Path, table: pa.Table, through_id: int) -> Written:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetWriter(
        aside,
        table.schema,
        compression="zstd",
        compression_level=_LEVEL,
        write_statistics=["row_id", "received_at", "quality", "soc"],
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=_ROW_GROUP)
        writer.add_key_value_metadata({_THROUGH.decode(): str(through_id), _SCHEMA.decode(): SCHEMA})
    with aside.open("rb") as file:
        os.fchmod(file.fileno(), 0o600)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        os.fsync(file.fileno())
    times = pc.min_max(table.column("received_at").cast(pa.int64())).as_py()
    aside.replace(path)
    sync_folder(path.parent)
    return Written(table.num_rows, size, digest, through_id, times["min"] or 0, times["max"] or 0)


def read(path: Path) -> pa.Table:
    """The file's rows, in today's columns. Raises :class:`~bms_bridge.lake.LakeDamaged`, OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
    except pa.ArrowInvalid as error:
        raise LakeDamaged(f"{path} is damaged: {error}") from error
    schema = arrow_schema()
    columns = []
    for field in schema:
        if field.name in table.column_names:
            columns.append(table.column(field.name).cast(field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def through_of(path: Path) -> int:
    """Up to which row id the file is complete."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        notes = pq.read_metadata(path).metadata or {}
        return int(notes[_THROUGH])
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise LakeDamaged(f"{path} is no file of the lake: {error}") from error


def version_of(path: Path) -> int:
    """The version of the file's columns. Raises :class:`~bms_bridge.lake.LakeDamaged`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        notes = pq.read_metadata(path).metadata or {}
        return int(notes[_SCHEMA].rpartition(b"/")[2])
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise LakeDamaged(f"{path} is no file of the lake: {error}") from error


def described(path: Path) -> Written:
    """A file that was found: what :func:`write` had said of it. Raises :class:`~bms_bridge.lake.LakeDamaged`, OSError."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read(path)
    times = pc.min_max(table.column("received_at").cast(pa.int64())).as_py()
    return Written(
        table.num_rows, path.stat().st_size, sha256_of(path), through_of(path), times["min"] or 0, times["max"] or 0, version_of(path)
    )


def merged(old: pa.Table | None, new: pa.Table) -> pa.Table:
    """Both by row id; of a row that is in both the one with the higher revision."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if old is None or not old.num_rows:
        return new
    if not new.num_rows or pc.max(old.column("row_id")).as_py() < pc.min(new.column("row_id")).as_py():
        return pa.concat_tables([old, new]).unify_dictionaries()
    both = pa.concat_tables([old, new]).unify_dictionaries()
    order = pc.sort_indices(both, sort_keys=[("row_id", "ascending"), ("revision", "descending")])
    both = both.take(order)
    ids = both.column("row_id").to_numpy()
    first = [True, *(ids[1:] != ids[:-1]).tolist()]
    return both.filter(pa.array(first))


def sha256_of(path: Path) -> str:
    """Of the whole file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """A rename within it is on the disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
