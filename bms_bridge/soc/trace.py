"""Samples of a cell or a pack from a table: columns found by name, rows put in order, what cannot be left out and told.

    file (CSV, Parquet, an export of the lake) --read_trace--> Trace --as_samples--> what the filter takes

Columns: ``time`` (s, or a time with a date), ``current_a`` (charging positive), ``voltage_v``, ``temperature_c``; names and units of
cyclers and loggers are known (:mod:`bms_bridge.sample_columns`), as are the lake's own (``received_at``, ``age_s``, ``temperatures_c``,
``cells_v``). Cells: ``cells_v`` as a list, or columns ``cell_1_v``,
``cell_2_v`` …
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from bms_bridge.in_short import UNREADABLE, in_short
from bms_bridge.mean_cell import mean_cell_v
from bms_bridge.sample_columns import Quantity, dated_seconds, find
from bms_bridge.soc import TraceRefused
from bms_bridge.soc.estimate import Samples
from bms_bridge.soc.ocv import Floats

MOST_BYTES: Final = 400_000_000
MOST_ROWS: Final = 2_000_000
MOST_CELLS: Final = 2_000
LEAST_ROWS: Final = 3
_WANTED: Final = {"current_a": Quantity.CURRENT, "voltage_v": Quantity.VOLTAGE, "temperature_c": Quantity.TEMPERATURE}


@dataclass(frozen=True, slots=True)
class Trace:
    """Samples in order [n]: s since the first, A with charging positive, V (of a cell after :meth:`per_cell`), °C; NaN: missing.
    ``cells_v`` [n, cells], empty where none are told. ``begin``: the first sample's time, UTC, where the table has dates.
    ``notes``: what was left out."""

    time_s: Floats
    current_a: Floats
    voltage_v: Floats
    temperature_c: Floats
    cells_v: Floats
    begin: datetime | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.time_s)

    def per_cell(self, series: int | None) -> Trace:
        """The same with voltages of one cell: those of the cells, in the mean, or the pack's over ``series``. TraceRefused: the
        number of cells
        is not known and the voltage is not one cell's."""
        if self.cells_v.shape[1]:
            return replace(self, voltage_v=mean_cell_v(self.cells_v, least_share=0.0))
        typical = float(np.nanmedian(self.voltage_v)) if np.isfinite(self.voltage_v).any() else float("nan")
        if series is None and typical > 5.0:
            raise TraceRefused(f"voltages about {typical:.0f} V are a pack's: say with --series how many cells are in series")
        return self if not series or series == 1 else replace(self, voltage_v=self.voltage_v / series)


def read_trace(path: Path, *, discharge_positive: bool = False) -> Trace:
    """Read one table; ``discharge_positive``: its currents are turned.

    TraceRefused: it is none, a column is missing, or too little is left."""
    columns = _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)
    names = {name.strip().lower(): name for name in columns}
    clock = next(iter(find(columns, Quantity.TIME)), None)
    if clock is None:
        raise TraceRefused(
            f"{path}: no column of times; name it time_s (s) or time (with its date); it has {', '.join(sorted(names)[:12])}"
        )
    found: dict[str, Floats] = {}
    for wanted, quantity in _WANTED.items():
        one = next(iter(find(columns, quantity)), None)
        if one is not None:
            found[wanted] = one.read(_numbers(columns[one.name]))
    if discharge_positive and "current_a" in found:
        found["current_a"] = -found["current_a"]
    if "temperature_c" not in found and "temperatures_c" in names:
        found["temperature_c"] = _row_means(_lists(columns[names["temperatures_c"]]))
    cells = _cells(columns, names)
    length = len(columns[clock.name])
    missing = [wanted for wanted in ("current_a",) if wanted not in found]
    if "voltage_v" not in found and not cells.shape[1]:
        missing.append("voltage_v (or cells_v)")
    if missing:
        raise TraceRefused(f"{path}: no column {' and no column '.join(missing)}; it has {', '.join(sorted(names)[:12])}")
    nothing = np.full(length, np.nan)
    at_s, begin = _seconds(columns[clock.name])
    if begin is None:
        at_s = clock.read(at_s)
    elif "age_s" in names and clock.name.strip().lower() == "received_at":
        at_s = at_s - np.nan_to_num(_numbers(columns[names["age_s"]]), nan=0.0)
    voltage, temperature = found.get("voltage_v", nothing), found.get("temperature_c", nothing)
    return tidy(at_s, found["current_a"], voltage, temperature, cells, begin, str(path))


def tidy(
    seconds: Floats, current_a: Floats, voltage_v: Floats, temperature_c: Floats, cells_v: Floats, begin: datetime | None, name: str
) -> Trace:
    """Rows in order of time, each time once, impossible values taken for missing. TraceRefused: fewer than three rows are left."""
    notes = []
    for what, values, low, high in (
        ("currents", current_a, -20_000.0, 20_000.0), ("voltages", voltage_v, 0.0, 2_000.0), ("temperatures", temperature_c, -60.0,
        150.0),
    ):  # fmt: skip
        with np.errstate(invalid="ignore"):
            odd = np.isfinite(values) & ((values < low) | (values > high))
        odd |= np.isinf(values)
        if odd.any():
            notes.append(f"{int(odd.sum())} {what} outside of {low:g} to {high:g} taken for missing")
            values[odd] = np.nan
    with np.errstate(invalid="ignore"):
        possible = (cells_v > 0.5) & (cells_v < 6.0)
    if odd_cells := int((np.isfinite(cells_v) & ~possible).sum()):
        notes.append(f"{odd_cells} voltages of cells outside of 0.5 to 6 V taken for missing")
    cells_v = np.where(possible, cells_v, np.nan)
    order = np.argsort(seconds, kind="stable")
    order = order[np.isfinite(seconds[order])]
    if len(order) < len(seconds):
        notes.append(f"{len(seconds) - len(order)} rows left out: no time")
    keep = np.concatenate([[True], np.diff(seconds[order]) > 0]) if len(order) else np.zeros(0, dtype=bool)
    if not keep.all():
        notes.append(f"{int((~keep).sum())} rows left out: the same time as another")
    if (np.diff(seconds[np.isfinite(seconds)]) < 0).any():
        notes.append("rows were not in the order of time; they were sorted")
    order = order[keep]
    if len(order) < LEAST_ROWS:
        raise TraceRefused(f"{name}: {len(order)} rows with a time; at least {LEAST_ROWS} are needed")
    if not np.isfinite(current_a[order]).any():
        raise TraceRefused(f"{name}: no current in any row{_told(notes)}")
    if not (np.isfinite(voltage_v[order]).any() or np.isfinite(cells_v[order]).any()):
        raise TraceRefused(f"{name}: no voltage in any row{_told(notes)}")
    first = float(seconds[order[0]])
    start = None if begin is None else datetime.fromtimestamp(begin.timestamp() + first, tz=UTC)
    return Trace(
        seconds[order] - first, current_a[order], voltage_v[order], temperature_c[order], cells_v[order], start, tuple(notes)
    )  # fmt: skip


def _told(notes: Sequence[str]) -> str:
    return f" ({'; '.join(notes)}; are they in A, V and °C?)" if notes else ""


def binned(trace: Trace, step_s: float) -> Trace:
    """Means over steps of ``step_s`` where samples are closer: fewer steps, the same charge. Sparse traces come back as they are."""
    if len(trace) < 10 or float(np.median(np.diff(trace.time_s))) > step_s / 2:
        return trace
    place = np.floor(trace.time_s / step_s).astype(np.int64)
    _, place = np.unique(place, return_inverse=True)
    count = int(place.max()) + 1

    def mean(values: Floats) -> Floats:
        there = np.isfinite(values)
        total = np.bincount(place, np.where(there, values, 0.0), count)
        number = np.bincount(place, there, count)
        return np.asarray(np.divide(total, number, out=np.full(count, np.nan), where=number > 0))

    cells = np.stack([mean(column) for column in trace.cells_v.T], axis=1) if trace.cells_v.shape[1] else np.zeros((count, 0))
    return replace(
        trace,
        time_s=mean(trace.time_s),
        current_a=mean(trace.current_a),
        voltage_v=mean(trace.voltage_v),
        temperature_c=mean(trace.temperature_c),
        cells_v=cells,
    )


def as_samples(trace: Trace, capacity_ah: float) -> Samples:
    """What the filter takes: one row, currents in capacities per hour."""
    rows = (trace.time_s, trace.current_a / capacity_ah, trace.voltage_v, trace.temperature_c)
    time, current, voltage, temperature = (np.asarray(row, dtype=np.float64)[None, :] for row in rows)
    return Samples(time_s=time, current_c=current, voltage_v=voltage, temperature_c=temperature)


def _parquet(path: Path) -> dict[str, Sequence[Any]]:
    _size(path)
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise TraceRefused(f"{path}: Parquet needs Arrow, which is not installed here; write the table as CSV") from error
    try:
        if parquet.read_metadata(path).num_rows > MOST_ROWS:
            raise TraceRefused(f"{path}: more than {MOST_ROWS:,} rows; take a part of it")
        content: dict[str, Sequence[Any]] = parquet.read_table(path).to_pydict()
    except UNREADABLE as error:
        raise TraceRefused(f"{path}: not readable as Parquet ({in_short(error)})") from error
    return content


def _csv(path: Path) -> dict[str, Sequence[Any]]:
    _size(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            names = next(rows, [])
            if len(set(names)) < len(names):
                raise TraceRefused(f"{path}: two columns have the same name")
            columns: list[list[str]] = [[] for _ in names]
            for count, row in enumerate(rows):
                if count >= MOST_ROWS:
                    raise TraceRefused(f"{path}: more than {MOST_ROWS:,} rows; take a part of it")
                if not row:
                    continue
                for place, column in enumerate(columns):
                    column.append(row[place] if place < len(row) else "")
    except UNREADABLE as error:
        raise TraceRefused(f"{path}: not readable as CSV ({in_short(error)})") from error
    return dict(zip(names, columns, strict=True))


def _size(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if not size:
        raise TraceRefused(f"{path}: empty or not there")
    if size > MOST_BYTES:
        raise TraceRefused(f"{path}: {size / 1e6:,.0f} MB; at most {MOST_BYTES / 1e6:,.0f} MB are read")


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _numbers(values: Sequence[Any]) -> Floats:
    return np.array([_number(value) for value in values], dtype=np.float64)


def _lists(values: Sequence[Any]) -> Floats:
    """A column of lists (or of text like ``[3.3, 3.4]``) as [n, longest]."""
    rows = [
        [_number(part) for part in (value.strip("[] ").replace(";", ",").split(",") if isinstance(value, str) else _listed(value))]
        for value in values
    ]
    width = min(max((len(row) for row in rows), default=0), MOST_CELLS)
    table = np.full((len(rows), width), np.nan)
    for place, row in enumerate(rows):
        table[place, : min(len(row), width)] = row[:width]
    return table


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _row_means(table: Floats) -> Floats:
    there = np.isfinite(table)
    total, number = np.where(there, table, 0.0).sum(axis=1), there.sum(axis=1)
    return np.asarray(np.divide(total, number, out=np.full(len(table), np.nan), where=number > 0))


def _cells(columns: dict[str, Sequence[Any]], names: dict[str, str]) -> Floats:
    if "cells_v" in names:
        table = _lists(columns[names["cells_v"]])
        return table[:, np.isfinite(table).any(axis=0)]
    own = sorted((int(name[5:-2]), name) for name in names if name.startswith("cell_") and name.endswith("_v") and name[5:-2].isdecimal())
    if not own:
        return np.zeros((len(next(iter(columns.values()), ())), 0))
    return np.stack([_numbers(columns[names[name]]) for _, name in own[:MOST_CELLS]], axis=1)


def _seconds(values: Sequence[Any]) -> tuple[Floats, datetime | None]:
    """Seconds, and 1970 where the values were times with a date."""
    numbers = _numbers([None if isinstance(value, datetime) else value for value in values])
    if not len(numbers) or np.isfinite(numbers).mean() > 0.5:
        return numbers, None
    return dated_seconds(values), datetime.fromtimestamp(0, tz=UTC)
