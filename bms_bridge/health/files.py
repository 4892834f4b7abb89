"""Tables from files that may be anything: Parquet and CSV as columns of numbers and words, or one sentence that says what is wrong.

folder --find--> files --read--> {column: array}
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import DataRefused
from bms_bridge.in_short import UNREADABLE, in_short

ENDINGS = (".parquet", ".csv")
MOST_BYTES = 400_000_000
MOST_ROWS = 5_000_000
MOST_FILES = 200

Floats = NDArray[np.float64]
Words = NDArray[np.str_]


def data_files(path: Path) -> list[Path]:
    """``path`` itself, or the Parquet and CSV files in it and in its folders, by name. DataRefused: nothing there, or too much."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataRefused(f"{path} is neither a file nor a folder")
    found = sorted(file for pattern in ("*", "*/*") for file in path.glob(pattern) if file.suffix.lower() in ENDINGS and file.is_file())
    if not found:
        raise DataRefused(f"{path} holds no .parquet and no .csv file, nor do its folders")
    if len(found) > MOST_FILES:
        raise DataRefused(f"{path} holds {len(found)} files; at most {MOST_FILES} are read at once: name a folder below it")
    return found


def column_names(path: Path) -> tuple[str, ...]:
    """The names of the columns of one file, without reading its rows. DataRefused: it is no table."""
    _check_size(path)
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as stream:
                return tuple(name.strip() for name in next(csv.reader([stream.readline(1_000_000)]), ()))
        from pyarrow import parquet

        return tuple(parquet.read_schema(path).names)
    except UNREADABLE as error:
        raise DataRefused(f"{path}: not readable as {path.suffix[1:] or 'a table'} ({in_short(error)})") from error


def read_columns(path: Path, numbers: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """The named columns of one file, numbers as float64 [n] (what is no number is NaN), words as text [n] (what is missing is "").

    DataRefused: no table, a column is missing, or more than :data:`MOST_ROWS` rows.
    """
    there = column_names(path)
    missing = [name for name in (*numbers, *words) if name not in there]
    if missing:
        raise DataRefused(f"{path}: misses the column{'s' if len(missing) > 1 else ''} {', '.join(missing[:6])}")
    if len(set(there)) < len(there):
        raise DataRefused(f"{path}: two columns have the same name")
    try:
        if path.suffix.lower() == ".csv":
            raw = _csv_columns(path, (*numbers, *words))
        else:
            from pyarrow import parquet

            if parquet.read_metadata(path).num_rows > MOST_ROWS:
                raise DataRefused(f"{path}: more than {MOST_ROWS:,} rows")
            raw = parquet.read_table(path, columns=list(dict.fromkeys((*numbers, *words)))).to_pydict()
    except UNREADABLE as error:
        raise DataRefused(f"{path}: not readable as {path.suffix[1:] or 'a table'} ({in_short(error)})") from error
    return {name: _floats(raw[name]) for name in numbers} | {name: _words(raw[name]) for name in words}


def left_out(reasons: Mapping[str, NDArray[np.bool_]]) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Rows to keep, and a sentence for each reason for which others were left out; a row counts for its first reason."""
    bad: NDArray[np.bool_] | None = None
    told = []
    for reason, rows in reasons.items():
        new = rows if bad is None else rows & ~bad
        if new.any():
            told.append(f"{int(new.sum())} rows left out: {reason}")
        bad = rows if bad is None else bad | rows
    assert bad is not None
    return ~bad, tuple(told)


def _check_size(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size == 0:
        raise DataRefused(f"{path}: empty or not there")
    if size > MOST_BYTES:
        raise DataRefused(f"{path}: {size / 1e6:,.0f} MB; at most {MOST_BYTES / 1e6:,.0f} MB are read")


def _csv_columns(path: Path, names: Iterable[str]) -> dict[str, list[str]]:
    text = path.read_text(encoding="utf-8-sig")
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
    wanted = list(dict.fromkeys(names))
    found: dict[str, list[str]] = {name: [] for name in wanted}
    for count, row in enumerate(rows):
        if count >= MOST_ROWS:
            raise DataRefused(f"{path}: more than {MOST_ROWS:,} rows")
        for name in wanted:
            found[name].append(row.get(name) or "")
    return found


def _floats(values: Sequence[object]) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _words(values: Sequence[object]) -> Words:
    return np.array(["" if value is None else str(value)[:200] for value in values], dtype=np.str_)
