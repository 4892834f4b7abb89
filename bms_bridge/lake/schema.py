"""The columns of the lake: one wide row for each sample (decision 27), lineage included; rows to and from SQLite and Arrow.

    COLUMNS --> catalogue, Arrow schema, SQLite columns          Row <--> sqlite tuple <--> Arrow table

Numbers are rounded to 32-bit floats once, when a row is made: what is folded into the record of a pack's life is exactly what
can be read back. A new column is added at the end with the version since which it stands; older files lack it and read as null.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

VERSION: Final = 2
"""Of the columns; stands in every file."""

SCHEMA: Final = f"pack_rows/{VERSION}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
DAY_US: Final = 86_400_000_000


class Quality(StrEnum):
    """How far a row can be believed. ``WITHDRAWN``: a replay found that there was no such sample."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    LATE = "late"
    WITHDRAWN = "withdrawn"


class Row(msgspec.Struct, kw_only=True, gc=False):
    """One sample as it is kept; see :data:`COLUMNS`. Times are microseconds since 1970, UTC. None: not said."""

    row_id: int
    revision: int
    pack: str
    received_us: int
    reported_us: int | None
    age_s: float
    quality: str
    issues: str
    source: str
    message_schema: str
    origin: str
    firmware: str
    sequence: int | None
    temperatures_c: tuple[float | None, ...]
    cells_v: tuple[float | None, ...]
    soc: float | None
    soh: float | None
    current_a: float | None
    voltage_v: float | None
    cell_min_v: float | None
    cell_max_v: float | None
    insulation_ohm: float | None
    limit_a: float | None
    limit_v: float | None
    stop: bool
    alarms: str
    uncertainty_c: float
    c_rate_per_h: float | None
    balancing_a: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """``kind``: of Arrow. ``unit`` "": none. ``source``: who says it. ``since``: the version of the columns."""

    name: str
    kind: str
    unit: str
    meaning: str
    source: str
    since: int = 1


COLUMNS: Final[tuple[Column, ...]] = (
    Column("row_id", "int64", "", "Which sample: its batch × 2^24 + item × 2^12 + sample; grows with arrival", "lake"),
    Column("revision", "int16", "", "0 as it was first derived; each replay that changed the row adds 1", "lake"),
    Column("pack", "dictionary", "", "The pack's pseudonym; only the depot's secret can make it", "lake"),
    Column("received_at", "timestamp", "UTC", "When it reached the depot; decides on the partition `date`", "core's clock"),
    Column("reported_at", "timestamp", "UTC", "When the unit says that it was so; never trusted", "unit"),
    Column("age_s", "float", "s", "How old it was when it came, after repair of the clock", "validation"),
    Column(
        "quality", "dictionary", "", "good; doubtful (something was left out or complained of); late; withdrawn by a replay", "validation"
    ),
    Column("issues", "dictionary", "", "What was complained of: kinds, separated by commas", "validation"),
    Column("source", "dictionary", "", "mqtt, can, http, gbt or ocpp", "core"),
    Column("message_schema", "dictionary", "", "Schema of the message that was decoded, empty where there was none", "message"),
    Column("origin", "dictionary", "", "Map and DBC by which it was decoded, with their hashes", "core"),
    Column("firmware", "dictionary", "", "Of the unit that speaks", "unit"),
    Column("sequence", "int64", "", "The unit's own count of samples", "unit"),
    Column("temperatures_c", "floats", "°C", "By sensor, always in the same order; null: no value", "unit or charger"),
    Column("cells_v", "floats", "V", "By cell, always in the same order", "unit"),
    Column("soc", "float", "fraction", "State of charge, 0 to 1", "unit or charger"),
    Column("soh", "float", "fraction", "State of health as the unit says it", "unit"),
    Column("current_a", "float", "A", "Pack current, charging positive", "unit"),
    Column("voltage_v", "float", "V", "Pack voltage", "unit"),
    Column("cell_min_v", "float", "V", "Lowest cell voltage", "unit"),
    Column("cell_max_v", "float", "V", "Highest cell voltage", "unit"),
    Column("insulation_ohm", "float", "Ω", "Between traction circuit and chassis", "unit"),
    Column("limit_a", "float", "A", "The most charging current that the battery management system allows", "unit"),
    Column("limit_v", "float", "V", "The most charging voltage that it allows", "unit"),
    Column("stop", "bool", "", "It demands that charging ends", "unit"),
    Column("alarms", "dictionary", "", "Flags that are raised: names, separated by commas", "unit"),
    Column("uncertainty_c", "float", "K", "How much hotter it may be than it says", "core"),
    Column("c_rate_per_h", "float", "1/h", "Power over the registered capacity, charging positive; null where either is unknown", "lake"),
    Column("balancing_a", "floats", "A", "What balancing takes from each cell, in the order of cells_v; 0: nothing", "unit", since=2),
)

NAMES: Final = tuple(column.name for column in COLUMNS)
_LISTS = frozenset(column.name for column in COLUMNS if column.kind == "floats")
_TIMES = {"received_at": "received_us", "reported_at": "reported_us"}
FIELDS: Final = tuple(_TIMES.get(name, name) for name in NAMES)
"""The fields of :class:`Row` in the order of the columns."""

_IS_LIST = tuple(name in _LISTS for name in NAMES)
_NAN = float("nan")
_packers: dict[int, struct.Struct] = {}


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // _US


def moment(us: int) -> datetime:
    """The time of so many microseconds."""
    return _EPOCH + timedelta(microseconds=us)


def day_of(us: int) -> int:
    """Days since 1970, UTC."""
    return us // DAY_US


def date_text(day: int) -> str:
    """``2026-11-22``."""
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def narrowed(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """As 32-bit floats; what is no finite number there becomes None."""
    size = len(values)
    packer = _packers.get(size) or _packers.setdefault(size, struct.Struct(f"{size}f"))
    try:
        packed = packer.pack(*[_NAN if value is None else value for value in values])
    except OverflowError:
        packed = packer.pack(*[_NAN if value is None or abs(value) > 3e38 else value for value in values])
    return tuple([value if value == value and abs(value) <= 3.4e38 else None for value in packer.unpack(packed)])


def stored(row: Row) -> tuple[Any, ...]:
    """The row for SQLite, in the order of :data:`COLUMNS`."""
    values = list(msgspec.structs.astuple(row))
    for index, is_list in enumerate(_IS_LIST):
        if is_list:
            values[index] = _bytes_of(values[index])
    return tuple(values)


def read_back(values: Sequence[Any]) -> Row:
    """The row that :func:`stored` made."""
    found: dict[str, Any] = {
        field: (_list_of(value) if is_list else value) for field, value, is_list in zip(FIELDS, values, _IS_LIST, strict=True)
    }
    found["stop"] = bool(found["stop"])
    return Row(**found)


def _bytes_of(values: Sequence[float | None]) -> bytes:
    return array("f", [_NAN if value is None else value for value in values]).tobytes() if values else b""


def _list_of(data: bytes) -> tuple[float | None, ...]:
    found = array("f")
    found.frombytes(data or b"")
    return tuple(None if value != value else value for value in found)


def arrow_schema() -> pa.Schema:
    """The columns for Arrow."""
    import pyarrow as pa

    kinds = {
        "int64": pa.int64(),
        "int16": pa.int16(),
        "dictionary": pa.dictionary(pa.int32(), pa.string()),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "float": pa.float32(),
        "floats": pa.list_(pa.float32()),
        "bool": pa.bool_(),
    }
    return pa.schema([pa.field(column.name, kinds[column.kind]) for column in COLUMNS])


def arrow_table(rows: Iterable[Sequence[Any]]) -> pa.Table:
    """An Arrow table of rows as SQLite has them (:func:`stored`)."""
    import pyarrow as pa

    columns: list[list[Any]] = [[] for _ in COLUMNS]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    schema = arrow_schema()
    arrays = []
    for field, kind, values in zip(schema, COLUMNS, columns, strict=True):
        if kind.kind == "floats":
            arrays.append(_list_array(values))
        elif kind.kind == "bool":
            arrays.append(pa.array([bool(value) for value in values], field.type))
        elif kind.kind == "dictionary":
            arrays.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        elif kind.kind == "timestamp":
            arrays.append(pa.array(values, pa.int64()).cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _list_array(blobs: Sequence[bytes]) -> pa.Array:
    """Lists of floats out of their bytes, without a Python object for each value."""
    import numpy as np
    import pyarrow as pa

    data = np.frombuffer(b"".join(blob or b"" for blob in blobs), dtype=np.float32)
    offsets = np.zeros(len(blobs) + 1, dtype=np.int32)
    np.cumsum([len(blob or b"") // 4 for blob in blobs], out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(data, mask=np.isnan(data)))


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of an Arrow table; columns that an older file lacks are None or empty."""
    import pyarrow as pa

    columns: list[list[Any]] = []
    for column in COLUMNS:
        if column.name not in table.column_names:
            columns.append([() if column.kind == "floats" else None] * table.num_rows)
            continue
        values = table.column(column.name)
        if column.kind == "timestamp":
            values = values.cast(pa.int64())
        found = values.to_pylist()
        columns.append([tuple(value or ()) for value in found] if column.kind == "floats" else found)
    return [Row(**dict(zip(FIELDS, values, strict=True))) for values in zip(*columns, strict=True)]
