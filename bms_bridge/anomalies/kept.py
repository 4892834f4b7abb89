"""Day rows that stay: a look at 180 days of thousands of packs asks the lake for the newest days only. A cache, nothing more.

    lake --the last days, and all days of packs that are new or changed--> a file for each day --> Kept (recent rows, charts' grid)

The files (``pack_day_kept/1``, Parquet, one for each day) may be deleted at any time: what is missing is asked of the lake again. Samples
that come later than :data:`AGAIN_D` days do not change a row that stays.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bms_bridge.anomalies import TableRefused
from bms_bridge.anomalies.cohorts import Grid, grid_of
from bms_bridge.anomalies.from_lake import NoDays
from bms_bridge.anomalies.pack_days import LABELS, NUMBERS, PackDays, day_number, day_text, same_cells
from bms_bridge.anomalies.pieces import SAMPLES_A_DAY, AskDays, Pieces, Told
from bms_bridge.health.files import Floats

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA: Final = "pack_day_kept/1"
AGAIN_D: Final = 3
"""So many days are asked again at each look: samples come late."""

RECENT_D: Final = 60
"""Voltages of cells are loaded for so many days; the charts see all."""

MOST_ROWS_ASKED: Final = 400_000
_KNOWN: Final = "known.json"
_MARK: Final = b"chargeyard.schema"


@dataclass(frozen=True, slots=True)
class Kept:
    """``recent``: rows with their cells; ``grid``: of all days, for the charts. Packs without a row in the last days are in the grid
    only."""

    recent: PackDays
    grid: Grid


def refreshed(
    folder: Path,
    packs: Mapping[str, float],
    ask: AskDays,
    *,
    since: int,
    today: int,
    samples: float = SAMPLES_A_DAY,
    told: Told | None = None,
) -> tuple[str, ...]:
    """Ask for what is missing, as much at once as the lake can answer, and keep it; what was left out, in sentences.

    ``packs``: capacities (Ah) by VEHICLE/PACK; ``samples``: of a pack and day; ``told``: how far it is, in pack days. Raises OSError,
    TableRefused, :class:`bms_bridge.lake.QueryRefused`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = _known(folder)
    other = sorted(name for name, capacity_ah in packs.items() if known.get(name) != capacity_ah)
    days = [day for day in range(since, today + 1) if day > today - AGAIN_D or not _ours(_file(folder, day))]
    for path in folder.glob("*.parquet"):
        if day_number(path.stem) < since:
            path.unlink()
    same = [name for name in packs if name not in set(other)]
    wanted = [
        (names, first, last)
        for names, missing in ((same, days), (other, list(range(since, today + 1))))
        for first, last in _spans(missing if names else [], max(1, MOST_ROWS_ASKED // max(len(names), 1)))
    ]
    pieces = Pieces(ask, samples=samples)
    if told is not None:
        pieces.tell(told, of=sum(len(names) * (last - first + 1) for names, first, last in wanted))
    for names, first, last in wanted:
        try:
            _put(folder, pieces(names, first, last), names, first, last)
        except NoDays:
            _put(folder, None, names, first, last)
    aside = folder / f"{_KNOWN}.new"
    aside.write_text(json.dumps(dict(packs)), encoding="utf-8")
    aside.replace(folder / _KNOWN)
    return pieces.notes


def copied(folder: Path, to: Path, *, without: Iterable[str] = ()) -> None:
    """What is kept, once more in another folder, to be refreshed there; of the packs ``without`` all days will be asked again. Another
    process may be refreshing ``folder``. Raises OSError."""
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = _known(folder)  # first: a pack that it names stands in every file that is copied after it
    for path in sorted(folder.glob("*.parquet")):
        try:
            shutil.copyfile(path, to / path.name)
        except FileNotFoundError:  # too old by now
            continue
    left = set(without)
    (to / _KNOWN).write_text(json.dumps({name: value for name, value in known.items() if name not in left}), encoding="utf-8")


def load(folder: Path, packs: Iterable[str], *, today: int, cells_d: int = RECENT_D) -> Kept:
    """What is kept of these packs, with the voltages of cells of the last ``cells_d`` days. TableRefused: no day of them."""
    import pyarrow as pa

    tables, cells = [], []
    wanted = pa.array(sorted(packs), pa.string())
    for path in sorted(folder.glob("*.parquet")):
        found = _read(path, wanted)
        day = day_number(path.stem)
        if found is None or not found.num_rows:
            continue
        if day > today - cells_d:
            cells.append((day, found))
        tables.append((day, found.drop_columns(["cells_v", "balanced_ah"])))
    if not tables:
        raise TableRefused("the lake holds no day with cell voltages at the end of a charge")
    whole, spread_v = _table(tables)
    recent, _ = _table(cells or tables[-1:])
    return Kept(same_cells(recent), grid_of(whole, spread_v=spread_v))


def _known(folder: Path) -> dict[str, float]:
    try:
        found = json.loads((folder / _KNOWN).read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _ours(path: Path) -> bool:
    """Whether a file that can be read is there; one that cannot is asked for again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return (pq.read_metadata(path).metadata or {}).get(_MARK) == SCHEMA.encode()
    except (OSError, pa.ArrowInvalid):
        return False


def _spans(days: list[int], step: int) -> list[tuple[int, int]]:
    """Days in a row together, at most ``step`` of them."""
    found: list[tuple[int, int]] = []
    for day in days:
        if found and day == found[-1][1] + 1 and day - found[-1][0] < step:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _file(folder: Path, day: int) -> Path:
    return folder / f"{day_text(day)}.parquet"


def _put(folder: Path, new: PackDays | None, names: Iterable[str], first: int, last: int) -> None:
    """These packs' rows of these days, in the place of what was kept of them; a day without any gets an empty file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    own = pa.array(sorted(names), pa.string())
    for day in range(first, last + 1):
        path = _file(folder, day)
        parts = [arrow_of(new.rows(new.days == day) if new is not None else None)]
        old = _read(path, None)
        if old is not None:
            parts.append(old.filter(pc.invert(pc.is_in(old.column("pack"), value_set=own))))
        _write(path, pa.concat_tables(parts))


def arrow_of(rows: PackDays | None) -> pa.Table:
    """Rows of one day as a file has them."""
    import pyarrow as pa

    count = 0 if rows is None else len(rows)
    columns: dict[str, Any] = {"pack": pa.array([] if rows is None else rows.packs.tolist(), pa.string())}
    for name in NUMBERS:
        columns[name] = pa.array(np.empty(0) if rows is None else rows.numbers[name], pa.float64())
    for name in LABELS:
        columns[name] = pa.array([] if rows is None else rows.labels[name].tolist(), pa.string())
    columns["spread_v"] = pa.array(np.empty(0) if rows is None else rows.spread_v, pa.float64())
    for name in ("cells_v", "balanced_ah"):
        columns[name] = _lists(np.empty((count, 0)) if rows is None else getattr(rows, name))
    return pa.table(columns)


def _lists(values: Floats) -> pa.Array:
    import pyarrow as pa

    there = np.isfinite(values)
    width = np.where(there, np.arange(1, values.shape[1] + 1), 0).max(axis=1, initial=0)
    inside = np.arange(values.shape[1]) < width[:, None]
    offsets = np.concatenate([[0], np.cumsum(width)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[inside].astype(np.float32)))


def _write(path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    aside = path.with_suffix(".new")
    pq.write_table(table.replace_schema_metadata({_MARK: SCHEMA}), aside, compression="zstd")
    aside.chmod(0o600)
    aside.replace(path)


def _read(path: Path, wanted: pa.Array | None) -> pa.Table | None:
    """The file's rows of these packs (None: all); None where there is no file of ours."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        found = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowInvalid):
        return None
    if (found.schema.metadata or {}).get(_MARK) != SCHEMA.encode():
        return None
    return found if wanted is None else found.filter(pc.is_in(found.column("pack"), value_set=wanted))


def _table(parts: list[tuple[int, pa.Table]]) -> tuple[PackDays, Floats]:
    """One table of many days, sorted by pack and day; and the spread of the cells of each row."""
    import pyarrow as pa

    whole = pa.concat_tables([table for _, table in parts])
    days = np.repeat([day for day, _ in parts], [table.num_rows for _, table in parts]).astype(np.int64)
    names = whole.column("pack").combine_chunks().dictionary_encode()
    words = np.array(names.dictionary.to_pylist(), dtype=np.str_)
    order = np.lexsort((days, np.argsort(np.argsort(words))[names.indices.to_numpy()]))
    packs = words[names.indices.to_numpy()][order]
    numbers = {name: whole.column(name).to_numpy()[order].astype(np.float64) for name in NUMBERS}
    labels = {name: np.array(whole.column(name).to_pylist(), dtype=np.str_)[order] for name in LABELS}
    blank = np.empty((len(days), 0))
    found = PackDays(packs, days[order], blank, blank, numbers, labels)
    if "cells_v" in whole.column_names:
        cells = _matrix(whole.column("cells_v"))
        taken = _matrix(whole.column("balanced_ah"), width=cells.shape[1])
        found = replace(found, cells_v=cells[order], balanced_ah=taken[order])
    return found, whole.column("spread_v").to_numpy()[order]


def _matrix(column: pa.ChunkedArray, *, width: int = 0) -> Floats:
    """Lists as rows, NaN behind their ends."""
    import pyarrow as pa

    rows = column.combine_chunks()
    rows = rows.chunk(0) if isinstance(rows, pa.ChunkedArray) else rows
    count = np.diff(rows.offsets.to_numpy())
    found = np.full((len(rows), max(int(count.max(initial=0)), width)), np.nan)
    found[np.arange(found.shape[1]) < count[:, None]] = rows.flatten().to_numpy(zero_copy_only=False)
    return found
