"""The table ``pack_day/1``: what a pack said at one like point of a day, the end of its charge at little current.

    file or lake --> PackDays (rows sorted by pack and day) --of_pack()--> the series of one pack

A file (CSV or Parquet) has a row for each pack and day; lists stand in one field, separated by semicolons (Parquet: a list).
:data:`COLUMNS` says what is needed and in which unit. What is missing is NaN or "": each estimate says which of it it needs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge import in_one_step
from bms_bridge.anomalies import TableRefused
from bms_bridge.health import DataRefused
from bms_bridge.health.files import Floats, Words, column_names, left_out, read_columns
from bms_bridge.in_short import UNREADABLE, in_short

Ints = NDArray[np.int64]
EPOCH: Final = date(1970, 1, 1)
MOST_CELLS: Final = 2_000
MOST_LIST_ROWS: Final = 500_000

COLUMNS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("pack", "needed", "", "The pack's name"),
    ("date", "needed", "", "The day, as 2026-11-22"),
    ("cells_v", "needed", "V", "Voltage of each cell at the day's like point, always in the same order"),
    ("soc", "needed", "fraction", "State of charge at that point"),
    ("capacity_ah", "needed", "Ah", "Nominal capacity"),
    ("slope_v", "leak", "V per 1.0 of charge", "How fast the mean cell's voltage rose with charge just before that point"),
    ("balanced_ah", "leak", "Ah", "Charge that balancing took from each cell since the pack's row before; empty: not told"),
    ("chemistry", "cohort", "", "LFP, NMC, NCA, LMO, LTO"),
    ("batch", "cohort", "", "Production batch"),
    ("firmware", "cohort", "", "Of the unit that speaks"),
    ("age_d", "cohort", "d", "Days since the pack was made or first heard"),
    ("temperature_c", "chart", "°C", "Mean of the pack's sensors at the like point"),
    ("resistance_ohm", "chart", "Ω", "Of the mean cell, from steps of current"),
    ("self_discharge", "chart", "fraction per d", "Charge that the pack lost at rest"),
    ("relaxation_v", "chart", "V", "How far the mean cell fell in the half hour after the charge"),
    ("stripping_v", "chart", "V", "How far its fall lies above a smooth decay: stripped lithium holds it up"),
)
"""Name, what for, unit, meaning."""

_NEEDED = tuple(name for name, what, *_ in COLUMNS if what == "needed")
SIGNALS: Final = ("resistance_ohm", "self_discharge", "relaxation_v", "stripping_v")
"""Optional columns that are charted; the spread of the cells is made from ``cells_v``."""

NUMBERS: Final = ("soc", "capacity_ah", "slope_v", "age_d", "temperature_c", *SIGNALS)
RANGES: Final = {
    "age_d": (0.0, 20_000.0),
    "temperature_c": (-60.0, 150.0),
    "resistance_ohm": (1e-6, 10.0),
    "self_discharge": (-0.1, 1.0),
    "relaxation_v": (-1.0, 1.0),
    "stripping_v": (-1.0, 1.0),
}
"""What cannot be is taken for not told."""

LABELS: Final = ("chemistry", "batch", "firmware")


@dataclass(frozen=True, slots=True)
class PackDays:
    """Rows sorted by pack and day. ``numbers``: the columns that are numbers [n], NaN where not told; ``labels``: words [n];
    ``cells_v``: a row of volts for each [n, most cells], NaN behind a pack's last cell; ``balanced_ah``: the same, NaN: not told."""

    packs: Words
    days: Ints
    cells_v: Floats
    balanced_ah: Floats
    numbers: Mapping[str, Floats]
    labels: Mapping[str, Words]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.packs)

    def rows(self, chosen: NDArray[np.bool_] | Ints) -> PackDays:
        """The chosen rows, in their order."""
        return replace(
            self,
            packs=self.packs[chosen],
            days=self.days[chosen],
            cells_v=self.cells_v[chosen],
            balanced_ah=self.balanced_ah[chosen],
            numbers={name: values[chosen] for name, values in self.numbers.items()},
            labels={name: values[chosen] for name, values in self.labels.items()},
        )

    def begins(self) -> Ints:
        """The first row of each pack, and the number of rows behind them."""
        return (
            np.concatenate([[0], np.flatnonzero(self.packs[1:] != self.packs[:-1]) + 1, [len(self)]])
            if len(self)
            else np.zeros(1, np.int64)
        )

    def of_rows(self, first: int, end: int) -> PackDays:
        """A part, without the columns behind the last cell that any of its rows has."""
        own = self.rows(np.arange(first, end))
        there = np.flatnonzero(np.isfinite(own.cells_v).any(axis=0))
        width = int(there[-1]) + 1 if len(there) else 0
        return replace(own, cells_v=own.cells_v[:, :width], balanced_ah=own.balanced_ah[:, :width])

    def of_pack(self, pack: str) -> PackDays:
        """The series of one pack, without the columns behind its last cell."""
        return self.of_rows(int(np.searchsorted(self.packs, pack, "left")), int(np.searchsorted(self.packs, pack, "right")))

    def names(self) -> list[str]:
        """All packs."""
        return [str(name) for name in self.packs[self.begins()[:-1]]]

    @property
    def spread_v(self) -> Floats:
        """Highest less lowest cell of each row."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nanmax(self.cells_v, axis=1) - np.nanmin(self.cells_v, axis=1), dtype=np.float64)


def day_number(text: str) -> int:
    """Days since 1970. ValueError: no date."""
    return (date.fromisoformat(text[:10]) - EPOCH).days


def day_text(day: int) -> str:
    """``2026-11-22``."""
    return date.fromordinal(EPOCH.toordinal() + int(day)).isoformat()


def read_pack_days(path: Path) -> PackDays:
    """The table of one file. Rows that cannot be are left out and told in ``notes``. TableRefused: no such table, or nothing is left."""
    try:
        there = set(column_names(path))
        missing = [name for name in _NEEDED if name not in there]
        if missing:
            raise TableRefused(f"{path}: misses the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} (docs/anomalies.md)")
        numbers = [name for name in NUMBERS if name in there]
        labels = [name for name in LABELS if name in there]
        read = read_columns(path, numbers, ("pack", "date", *labels))
    except DataRefused as error:
        raise TableRefused(str(error)) from error
    lists = _lists(path, [name for name in ("cells_v", "balanced_ah") if name in there])
    return made(read["pack"], read["date"], lists["cells_v"], lists.get("balanced_ah"), read, read, where=str(path))


def made(
    packs: Words,
    dates: Sequence[object] | Words,
    cells_v: Sequence[Floats],
    balanced_ah: Sequence[Floats] | None,
    numbers: Mapping[str, Any],
    labels: Mapping[str, Any],
    *,
    where: str = "the table",
) -> PackDays:
    """A table from columns: checked, sorted, one row for each pack and day (the last one told). TableRefused: nothing is left."""
    count = len(packs)
    if not count:
        raise TableRefused(f"{where}: has no rows")
    days = np.array([_day(text) for text in dates], dtype=np.int64)
    cells, none_usable = _padded(cells_v, low_v=0.5, high_v=5.0)
    balanced, _ = _padded(balanced_ah or [np.empty(0)] * count, low_v=0.0, high_v=1e4, width=cells.shape[1])
    blank, nowhere = np.full(count, np.nan), np.full(count, "", dtype=np.str_)
    found = {name: np.asarray(numbers.get(name, blank), dtype=np.float64).copy() for name in NUMBERS}
    for name, values in found.items():
        low, high = RANGES.get(name, (-np.inf, np.inf))
        with np.errstate(invalid="ignore"):
            values[~(np.isfinite(values) & (values >= low) & (values <= high))] = np.nan
    with np.errstate(invalid="ignore"):
        keep, notes = left_out(
            {
                "without a pack's name": packs == "",
                "the date is none": days < 0,
                "fewer than two cells with a voltage between 0.5 V and 5 V": none_usable,
                "the state of charge is not within 0 and 1": ~((found["soc"] >= 0) & (found["soc"] <= 1)),
                "the nominal capacity is not within 0.1 Ah and 10,000 Ah": ~((found["capacity_ah"] >= 0.1) & (found["capacity_ah"] <= 1e4)),
            }
        )
    if not keep.any():
        raise TableRefused(f"{where}: no row can be used" + (f" ({'; '.join(notes)})" if notes else ""))
    words = {name: np.asarray(labels.get(name, nowhere), dtype=np.str_) for name in LABELS}
    table = PackDays(packs, days, cells, balanced, found, words, notes).rows(keep)
    order = np.lexsort((table.days, table.packs))
    table = table.rows(order)
    last = np.ones(len(table), dtype=np.bool_)
    last[:-1] = (table.packs[1:] != table.packs[:-1]) | (table.days[1:] != table.days[:-1])
    if not last.all():
        table = replace(table.rows(last), notes=(*notes, f"{int((~last).sum())} rows left out: the same day of a pack told twice"))
    return same_cells(table)


def joined(tables: Sequence[PackDays]) -> PackDays:
    """One table of several with different packs."""
    width = max(table.cells_v.shape[1] for table in tables)

    def wide(values: Floats) -> Floats:
        return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=np.nan)

    found = PackDays(
        np.concatenate([table.packs for table in tables]),
        np.concatenate([table.days for table in tables]),
        np.concatenate([wide(table.cells_v) for table in tables]),
        np.concatenate([wide(table.balanced_ah) for table in tables]),
        {name: np.concatenate([table.numbers[name] for table in tables]) for name in NUMBERS},
        {name: np.concatenate([table.labels[name] for table in tables]) for name in LABELS},
        tuple(note for table in tables for note in table.notes),
    )
    return found.rows(np.lexsort((found.days, found.packs)))


def same_cells(table: PackDays) -> PackDays:
    """Rows of a pack that name another number of cells than most of its rows are left out: a cell's place would be another one."""
    widths = np.where(np.isfinite(table.cells_v), np.arange(1, table.cells_v.shape[1] + 1), 0).max(axis=1)
    begins = table.begins()
    usual = np.array([np.bincount(widths[first:end]).argmax() for first, end in pairwise(begins)])
    keep = widths == np.repeat(usual, np.diff(begins))
    if keep.all():
        return table
    note = f"{int((~keep).sum())} rows left out: another number of cells than in most rows of the pack"
    return replace(table.rows(keep), notes=(*table.notes, note))


def _padded(rows: Sequence[Floats], *, low_v: float, high_v: float, width: int | None = None) -> tuple[Floats, NDArray[np.bool_]]:
    """Rows of one width, NaN where there is nothing or what cannot be; and which rows have fewer than two values."""
    most = max((len(row) for row in rows), default=0) if width is None else width
    if most > MOST_CELLS:
        raise TableRefused(f"a row has {most} cells; at most {MOST_CELLS} are read")
    found = np.full((len(rows), max(most, 2)), np.nan)
    for index, row in enumerate(rows):
        part = row[: found.shape[1]]
        found[index, : len(part)] = part
    with np.errstate(invalid="ignore"):
        found[~((found >= low_v) & (found <= high_v))] = np.nan
    return found, np.isfinite(found).sum(axis=1) < 2


def _day(value: object) -> int:
    try:
        return day_number(str(value))
    except ValueError:
        return -1


def _lists(path: Path, names: Sequence[str]) -> dict[str, list[Floats]]:
    """The columns that hold lists."""
    raw: dict[str, list[Any]] = {name: [] for name in names}
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as stream:
                rows = csv.DictReader(stream, skipinitialspace=True)
                rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
                for row in rows:
                    for name in names:
                        raw[name].append(row.get(name) or "")
        else:
            from pyarrow import parquet

            if parquet.read_metadata(path).num_rows > MOST_LIST_ROWS:
                raise TableRefused(f"{path}: more than {MOST_LIST_ROWS:,} rows")
            raw |= parquet.read_table(path, columns=list(names)).to_pydict()
    except UNREADABLE as error:
        raise TableRefused(f"{path}: not readable ({in_short(error)})") from error
    return {name: [_row(value) for value in values] for name, values in raw.items()}


def _row(value: object) -> Floats:
    parts = value.split(";") if isinstance(value, str) else value if isinstance(value, list) else []
    if isinstance(value, str) and not value.strip():
        return np.empty(0)
    return np.array([_number(part) for part in parts], dtype=np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def written(path: Path, table: PackDays) -> None:
    """Write the table as :func:`read_pack_days` reads it. Raises OSError."""
    in_one_step.write(path, as_text(table).encode())


def as_text(table: PackDays) -> str:
    """The table as CSV."""
    names = [name for name in NUMBERS if np.isfinite(table.numbers[name]).any()]
    labels = [name for name in LABELS if (table.labels[name] != "").any()]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(["pack", "date", *labels, *names, "cells_v", "balanced_ah"])
    for row in range(len(table)):
        numbers = [_text(float(table.numbers[name][row]), 9) for name in names]
        cells = table.cells_v[row][: _width(table.cells_v[row])]
        taken = table.balanced_ah[row][: _width(table.balanced_ah[row])]
        writer.writerow(
            [
                table.packs[row],
                day_text(int(table.days[row])),
                *(table.labels[name][row] for name in labels),
                *numbers,
                ";".join(_text(float(value), 5) for value in cells),
                ";".join(_text(float(value), 5) for value in taken),
            ]
        )
    return stream.getvalue()


def _width(row: Floats) -> int:
    there = np.flatnonzero(np.isfinite(row))
    return int(there[-1]) + 1 if len(there) else 0


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if np.isfinite(value) else ""
