"""Samples from files: tables of a laboratory or a logger (CSV, Parquet), and partitions of the depot's own lake.

    file --read_samples--> {cell or pack: Samples}

The lake's rows are what CAN, MQTT, HTTP and OCPP brought (:mod:`bms_bridge.lake.schema`): the time of a sample is when it came less how
old it was, so that a unit's own clock is not asked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bms_bridge.features import SamplesRefused
from bms_bridge.features.samples import Floats, Samples, ordered
from bms_bridge.health import DataRefused
from bms_bridge.health.files import MOST_ROWS, column_names, read_columns
from bms_bridge.in_short import UNREADABLE, in_short
from bms_bridge.sample_columns import Column, Quantity, dated_seconds, find

HOUSE_NAMES = {Quantity.TIME: "t_s", Quantity.CURRENT: "current_a", Quantity.VOLTAGE: "voltage_v"}
LAKE_COLUMNS = ("pack", "received_at", "age_s", "current_a", "voltage_v", "temperatures_c", "cells_v")
MOST_CELLS = 2_000


def read_samples(path: Path, refused: dict[str, str] | None = None, *, discharge_positive: bool = False) -> dict[str, Samples]:
    """Samples of each cell of one file (Parquet, CSV): ``t_s``, ``current_a`` (positive while charging), ``voltage_v``; where they are
    told, ``temperature…_c`` (any number), ``cell…_v`` (any number), ``cell`` (a name), ``cycle``, ``phase``. Names and units of cyclers
    and loggers are known (:mod:`bms_bridge.sample_columns`); a time may be one with its date. Where a file counts cycles
    and its time begins anew in each cycle or phase, they are laid one behind the other, an hour apart. A partition of the lake (Parquet
    with ``pack``, ``received_at`` and ``age_s``) is read as it is. A cell whose samples cannot be used is put into ``refused`` with the
    reason, so that the others are read. ``discharge_positive``: currents are turned. SamplesRefused: the file cannot be used, or none of
    its cells.
    """
    without: dict[str, str] = {} if refused is None else refused
    try:
        there = column_names(path)
        if set(LAKE_COLUMNS) <= set(there):
            return _lake_samples(path, without, discharge_positive)
        needed = {quantity: next(iter(find(there, quantity)), Column(house)) for quantity, house in HOUSE_NAMES.items()}
        warm, cells, cycles = (find(there, quantity) for quantity in (Quantity.TEMPERATURE, Quantity.CELL_VOLTAGE, Quantity.CYCLE))
        extra = cycles[:1]
        words = [name for name in ("cell", "phase") if name in there]
        read = read_columns(path, [one.name for one in (*needed.values(), *warm, *cells, *extra)], words)
        clock = needed[Quantity.TIME]
        if np.isfinite(read[clock.name]).mean() < 0.5:
            read[clock.name] = dated_seconds(read_columns(path, (), (clock.name,))[clock.name].tolist())
    except DataRefused as error:
        raise SamplesRefused(
            f"{error}. Samples need t_s (s), current_a (A, positive while charging) and voltage_v (V); names of cyclers, as Test_Time(s) "
            "or Current_measured, are known, too"
        ) from error
    time_s, current_a, voltage_v = (one.read(read[one.name]) for one in needed.values())
    current_a = -current_a if discharge_positive else current_a
    count = len(time_s)
    whose = read["cell"] if "cell" in words else np.full(count, path.stem)
    phase = read["phase"] if "phase" in words else np.full(count, "", dtype=np.str_)
    found = {}
    for name in np.unique(whose):
        own = np.flatnonzero(whose == name)
        cycle = read[extra[0].name][own] if extra else np.zeros(len(own))
        try:
            found[str(name)] = ordered(
                _behind(time_s[own], cycle, phase[own]),
                current_a[own],
                voltage_v[own],
                temperatures_c=np.column_stack([one.read(read[one.name])[own] for one in warm]) if warm else None,
                cells_v=np.column_stack([one.read(read[one.name])[own] for one in cells]) if cells else None,
                cycle=cycle,
            )
        except SamplesRefused as error:
            without[str(name)] = str(error)
    return _some(path, found, without)


def _some(path: Path, found: dict[str, Samples], without: dict[str, str]) -> dict[str, Samples]:
    if not found:
        raise SamplesRefused(f"{path}: {next(iter(without.values()), 'no samples')}")
    return found


def _lake_samples(path: Path, without: dict[str, str], discharge_positive: bool) -> dict[str, Samples]:
    """Packs of one partition of the lake, by pseudonym."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if parquet.read_metadata(path).num_rows > MOST_ROWS:
            raise SamplesRefused(f"{path}: more than {MOST_ROWS:,} rows")
        table = parquet.read_table(path, columns=list(LAKE_COLUMNS), partitioning=None)
        arrived = np.asarray(table["received_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist(), dtype=np.float64) / 1e6
        age_s, current_a, voltage_v = (
            np.array([np.nan if one is None else float(one) for one in table[name].to_pylist()])
            for name in ("age_s", "current_a", "voltage_v")
        )
        current_a = -current_a if discharge_positive else current_a
        packs = np.array([str(one) for one in table["pack"].to_pylist()], dtype=np.str_)
        warm, cells = (table[name].to_pylist() for name in ("temperatures_c", "cells_v"))
        found = {}
        for pack in np.unique(packs):
            own = np.flatnonzero(packs == pack)
            try:
                found[str(pack)] = ordered(
                    (arrived - np.nan_to_num(age_s))[own],
                    current_a[own],
                    voltage_v[own],
                    temperatures_c=_lists([warm[row] for row in own]),
                    cells_v=_lists([cells[row] for row in own]),
                )
            except SamplesRefused as error:
                without[str(pack)] = str(error)
    except UNREADABLE as error:
        raise SamplesRefused(f"{path}: not readable as a partition of the lake ({in_short(error)})") from error
    return _some(path, found, without)


def _lists(rows: list[list[float | None] | None]) -> Floats:
    """[n, widest], NaN where nothing was told. SamplesRefused: wider than any pack."""
    width = max((len(row) for row in rows if row), default=0)
    if width > MOST_CELLS:
        raise SamplesRefused(f"{width} values in one sample; at most {MOST_CELLS} are read")
    table = np.full((len(rows), width), np.nan)
    for number, row in enumerate(rows):
        if row:
            table[number, : len(row)] = [np.nan if one is None else one for one in row]
    return table


def _behind(time_s: Floats, cycle: Floats, phase: NDArray[np.str_]) -> Floats:
    """Times that begin anew, laid one behind the other."""
    changes = np.flatnonzero((np.diff(cycle) != 0) | (phase[1:] != phase[:-1])) + 1
    starts = [0, *changes.tolist()]
    if all(time_s[start] >= time_s[start - 1] for start in starts[1:]):
        return time_s
    laid, at = time_s.copy(), 0.0
    for begin, end in zip(starts, [*starts[1:], len(time_s)], strict=True):
        piece = time_s[begin:end]
        laid[begin:end] = piece - np.nanmin(piece) + at if np.isfinite(piece).any() else np.nan
        at = max(at, float(np.nanmax(laid[begin:end])) + 3600) if np.isfinite(laid[begin:end]).any() else at
    return laid
