"""Health of packs over their cycles, from files that may be anything, as arrays of equal length for all packs at once.

    file --read_histories--> one Track per pack (rows sorted) --as_rows--> Rows: [pack, row], thinned, NaN where there is no more

A file has one row per estimate or measurement: ``pack`` (or ``cell``), ``cycle`` (full cycles since new; an equivalent count will do), and
``soh`` (a share) or ``capacity`` with ``q_nom_Ah`` (Ah). Where told: ``soh_low`` and ``soh_high`` (a 90 % interval), ``years`` (since it
went
into service), ``group`` (batch, or cells of one kind under one use).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import DataRefused
from bms_bridge.health.charge_table import TONGJI_AH
from bms_bridge.health.files import Floats, Words, column_names, data_files, left_out, read_columns

LEAST_SOH, MOST_SOH = 0.2, 1.3
MOST_CYCLE = 1e5
PLAIN_DEVIATION = 0.003
"""Of a measured capacity, and of the curve from what is measured: a share of nominal."""
NINETY = 1.645
SMOOTH_FROM, SMOOTH_OVER = 20, 5
ROWS = 16
TONGJI_RATES = {"025": 0.25, "05": 0.5, "1": 1.0}
"""What the Tongji University cells' codes say, capacities an hour."""


@dataclass(frozen=True, slots=True)
class Word:
    """What something else than its history says of a pack: ``soh`` (share of nominal) is reached after ``cycles`` full cycles since new,
    give or take ``deviation`` of ln(cycles)."""

    soh: float
    cycles: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Track:
    """One pack. ``cycles`` rising, ``soh`` and its standard ``deviation`` (shares of nominal), ``years`` since it went into service
    (NaN: not told),
    ``group``: "" where not told. ``temp_c``, ``rate_c`` (capacities an hour): of its use, NaN where not told; ``make``: of cell, its
    chemistry where told; ``word``: what its first curves say of its life, None: nothing."""

    pack: str
    kind: str
    group: str
    cycles: Floats
    soh: Floats
    deviation: Floats
    years: Floats
    temp_c: float = float("nan")
    rate_c: float = float("nan")
    make: str = ""
    word: Word | None = None

    def until(self, row: int) -> Track:
        """The same as it stood after the row with this number."""
        cut = slice(0, row + 1)
        return replace(self, cycles=self.cycles[cut], soh=self.soh[cut], deviation=self.deviation[cut], years=self.years[cut])


@dataclass(frozen=True, slots=True)
class Rows:
    """[pack, row]; rows that a pack does not have are NaN, at the end."""

    cycles: Floats
    soh: Floats
    deviation: Floats


def read_histories(path: Path, *, nominal_ah: float | None = None) -> tuple[list[Track], tuple[str, ...]]:
    """All packs of a file, or of the files of a folder, and what was left out. Raises DataRefused.

    A file names its kind by its column ``kind``, else by its own name.
    """
    tracks: list[Track] = []
    notes: list[str] = []
    for file in data_files(path):
        names = set(column_names(file))
        if path.is_dir() and not ({"pack", "cell"} & names and "cycle" in names and {"soh", "capacity", "capacity_Ah"} & names):
            notes.append(f"{file.name}: no history of health; left out")
            continue
        try:
            found, told = _read(file, names, nominal_ah)
        except DataRefused as error:
            if path.is_file():
                raise
            notes.append(f"{error}; left out")
            continue
        tracks += found
        notes += [f"{file.name}: {note}" for note in told]
    if not tracks:
        raise DataRefused(f"{path}: no file has the columns pack, cycle and soh (or capacity and q_nom_Ah)")
    return tracks, tuple(notes)


def _read(file: Path, names: set[str], nominal_ah: float | None) -> tuple[list[Track], tuple[str, ...]]:
    who = "pack" if "pack" in names else "cell"
    if not {who, "cycle"} <= names:
        raise DataRefused(
            f"{file}: misses the column{'' if who in names else 's pack and'} cycle" if who in names else f"{file}: misses pack"
        )
    what = next((name for name in ("soh", "capacity", "capacity_Ah") if name in names), None)
    if what is None:
        raise DataRefused(f"{file}: misses the column soh (a share of nominal), or capacity with q_nom_Ah (Ah)")
    extra = [name for name in ("q_nom_Ah", "soh_low", "soh_high", "years", "T_C", "rate_c") if name in names]
    words = [name for name in ("kind", "group", "batch", "chem", "rate_code") if name in names]
    read = read_columns(file, ("cycle", what, *extra), (who, *words))
    count = len(read["cycle"])
    soh: Floats = read[what]
    if what != "soh":
        soh = soh / (_nominal(file, read) if nominal_ah is None else nominal_ah)
    deviation = np.full(count, PLAIN_DEVIATION)
    if {"soh_low", "soh_high"} <= names:
        told = (read["soh_high"] - read["soh_low"]) / (2 * NINETY)
        with np.errstate(invalid="ignore"):
            deviation = np.where(told > 0, np.hypot(told, PLAIN_DEVIATION), deviation)
    with np.errstate(invalid="ignore"):
        keep, notes = left_out(
            {
                "without a pack's name": np.asarray(read[who] == ""),
                "cycle is no number, or not within 0 and 100,000": ~((read["cycle"] >= 0) & (read["cycle"] <= MOST_CYCLE)),
                f"health is not within {LEAST_SOH:.0%} and {MOST_SOH:.0%} (a share: 0.93, not 93)": ~(
                    (soh >= LEAST_SOH) & (soh <= MOST_SOH)
                ),
            }
        )
    if not keep.any():
        raise DataRefused(f"{file}: no row can be used ({'; '.join(notes)})")
    names_of: Words = read[who][keep]
    kinds: Words = read.get("kind", np.full(count, file.stem))[keep]
    groups = _groups(read, count)[keep]
    cycles, soh, deviation = read["cycle"][keep], soh[keep], deviation[keep]
    years = read.get("years", np.full(count, np.nan))[keep]
    warm, rates = (column[keep] for column in _use(read, count))
    makes: Words = read["chem"][keep] if "chem" in read else kinds
    order = np.lexsort((cycles, names_of, kinds))
    key = np.char.add(np.char.add(kinds, "\0"), names_of)[order]
    begins = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    tracks = []
    for own in np.split(order, begins[1:]):
        single = own[np.r_[True, np.diff(cycles[own]) > 0]]
        first = single[0]
        health = soh[single]
        if len(single) >= SMOOTH_FROM and not {"soh_low", "soh_high"} <= names:
            health = smoothed(health)
        tracks.append(
            Track(
                str(names_of[first]),
                str(kinds[first]),
                str(groups[first]),
                cycles[single],
                health,
                deviation[single],
                years[single],
                float(warm[first]),
                float(rates[first]),
                str(makes[first]),
            )
        )
    return tracks, notes


def _nominal(file: Path, read: dict[str, NDArray[np.generic]]) -> Floats:
    if "q_nom_Ah" in read:
        return np.asarray(read["q_nom_Ah"], dtype=np.float64)
    if "chem" in read and all(str(word) in TONGJI_AH for word in set(read["chem"].tolist())):
        return np.array([TONGJI_AH[str(word)] for word in read["chem"]])
    raise DataRefused(f"{file}: misses the column q_nom_Ah (nominal capacity, Ah)")


def _groups(read: dict[str, NDArray[np.generic]], count: int) -> Words:
    """A group where one is named; else chemistry, temperature and rate of the test."""
    for name in ("group", "batch"):
        if name in read:
            return np.asarray(read[name], dtype=np.str_)
    parts = [read[name] for name in ("chem", "T_C", "rate_code") if name in read]
    if not parts:
        return np.full(count, "", dtype=np.str_)
    return np.array([" ".join(str(value) for value in row) for row in zip(*parts, strict=True)], dtype=np.str_)


def _use(read: dict[str, NDArray[np.generic]], count: int) -> tuple[Floats, Floats]:
    """Temperature, °C, and charging rate, capacities an hour."""
    unknown = np.full(count, np.nan)
    warm = np.asarray(read.get("T_C", unknown), dtype=np.float64)
    if "rate_c" in read:
        return warm, np.asarray(read["rate_c"], dtype=np.float64)
    if "rate_code" in read:
        return warm, np.array([TONGJI_RATES.get(str(word), np.nan) for word in read["rate_code"]])
    return warm, unknown


def smoothed(soh: Floats) -> Floats:
    """Running median of the last five rows: nothing of it was measured later."""
    padded = np.pad(soh, (SMOOTH_OVER - 1, 0), mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, SMOOTH_OVER), axis=1), dtype=np.float64)


def as_rows(tracks: Sequence[Track], most: int = ROWS) -> Rows:
    """At most ``most`` rows of each pack, spread evenly over its history; the first and the last are among them."""
    shape = (len(tracks), most)
    made = Rows(np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan))
    for place, track in enumerate(tracks):
        chosen = np.unique(np.linspace(0, len(track.cycles) - 1, most).astype(np.intp)) if len(track.cycles) else np.empty(0, dtype=np.intp)
        cut = slice(0, len(chosen))
        made.cycles[place, cut] = track.cycles[chosen]
        made.soh[place, cut] = track.soh[chosen]
        made.deviation[place, cut] = track.deviation[chosen]
    return made
