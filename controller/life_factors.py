"""The fleet's own factors of ageing: how they are found from its packs' histories, and the file that plans take them from.

    rows: pack, years, cycle, health, °C, state of charge --expected--> what the table says was lost --fit_factors--> Factors --> JSON file

Expected loss adds up from row to row: each row's temperature, state of charge and charging rate are the means since the row before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bms_bridge import in_one_step
from bms_bridge.chemistry_names import usual
from bms_bridge.health import DataRefused
from bms_bridge.health.files import Floats, Words, column_names, left_out, read_columns
from bms_bridge.life.calibration import Factors, fit_factors
from depot.ageing import LEAST, MOST
from optimizer.life_table import GENTLE_C, MODEL_OF, rates_of

SCHEMA = "life_factors/1"
MOST_BYTES = 100_000
PLAIN_DEVIATION = 0.01
NINETY = 1.645
DEFAULTS = {"temp_c": (-30.0, 70.0), "soc": (0.0, 1.0), "rate_c": (0.0, 10.0)}


class FactorsRefused(ValueError):
    """A file of factors that cannot be used; the message says what to do."""


def factors_of_fleet(file: Path, *, given: Mapping[str, float], chemistry: str | None) -> tuple[dict[str, Factors], tuple[str, ...]]:
    """Factors by chemistry, and notes. The file's columns: ``pack``, ``years``, ``cycle``, ``soh``; ``chemistry``, ``temp_c``, ``soc``,
    ``rate_c`` where it has
    them, else ``chemistry`` and ``given``; ``soh_low`` and ``soh_high`` where told. DataRefused: it cannot be used."""
    names = set(column_names(file))
    per_row = [name for name in DEFAULTS if name in names]
    missing = [name for name in DEFAULTS if name not in names and name not in given]
    if missing:
        raise DataRefused(f"{file}: misses {', '.join(missing)}; add the column, or say one number for all: --temp, --soc, --rate")
    if "chemistry" not in names and chemistry is None:
        raise DataRefused(f"{file}: misses the column chemistry (LFP, NMC); or say it with --chemistry")
    interval = ["soh_low", "soh_high"] if {"soh_low", "soh_high"} <= names else []
    read = read_columns(file, ("years", "cycle", "soh", *per_row, *interval), ("pack", *(["chemistry"] if "chemistry" in names else [])))
    count = len(read["soh"])
    columns: dict[str, Floats] = {name: read.get(name, np.full(count, given.get(name, np.nan))) for name in DEFAULTS}
    named: Words = read.get("chemistry", np.full(count, chemistry or "")).astype(np.str_)
    words = {str(word): usual(str(word)) for word in np.unique(named)}
    kinds: Words = np.array([words[str(word)] for word in named], dtype=np.str_)
    deviation = np.full(count, PLAIN_DEVIATION)
    if interval:
        told = (read["soh_high"] - read["soh_low"]) / (2 * NINETY)
        with np.errstate(invalid="ignore"):
            deviation = np.where(told > 0, told, deviation)
    with np.errstate(invalid="ignore"):
        keep, notes = left_out(
            {
                "without a pack's name": np.asarray(read["pack"] == ""),
                "of a chemistry of which nothing is known (LFP and NMC are)": ~np.isin(kinds, list(MODEL_OF)),
                "years or cycle is no number of at least 0": ~((read["years"] >= 0) & (read["cycle"] >= 0)),
                "health is not within 20 % and 130 % (a share: 0.93, not 93)": ~((read["soh"] >= 0.2) & (read["soh"] <= 1.3)),
            }
            | {
                f"{name} is not within {low:g} and {high:g}": ~((columns[name] >= low) & (columns[name] <= high))
                for name, (low, high) in DEFAULTS.items()
            }
        )
    found = {}
    for kind in sorted(set(kinds[keep].tolist())):
        own = np.flatnonzero(keep & (kinds == kind))
        own = own[np.lexsort((read["years"][own], read["pack"][own]))]
        calendar, cycle = expected(
            kind,
            read["pack"][own],
            read["years"][own],
            read["cycle"][own],
            temp_c=columns["temp_c"][own],
            soc=columns["soc"][own],
            rate_c=columns["rate_c"][own],
        )
        found[kind] = fit_factors(read["pack"][own], calendar, cycle, read["soh"][own], deviation[own])
    if not found:
        raise DataRefused(f"{file}: no row can be used ({'; '.join(notes)})")
    return found, notes


def expected(
    chemistry: str, packs: NDArray[np.str_], years: Floats, cycles: Floats, *, temp_c: Floats, soc: Floats, rate_c: Floats
) -> tuple[Floats, Floats]:
    """What the table says each pack has lost since its first row: in time, and by cycles (shares of nominal). Rows sorted by pack and
    time."""
    rates = rates_of(MODEL_OF[chemistry], temp_c)
    same = np.r_[False, packs[1:] == packs[:-1]] if len(packs) else np.zeros(0, dtype=np.bool_)
    time = np.where(same, np.diff(years, prepend=0.0), 0.0) * (rates.at_empty + rates.per_soc * soc)
    turns = np.where(same, np.maximum(np.diff(cycles, prepend=0.0), 0.0), 0.0)
    wear = turns * rates.cycle * (1 + rates.steep_per_c * np.maximum(rate_c - GENTLE_C, 0.0))
    return _sums(time, same), _sums(wear, same)


def _sums(values: Floats, same: NDArray[np.bool_]) -> Floats:
    """Running sums that begin anew with each pack."""
    total = np.cumsum(values)
    starts = np.flatnonzero(~same)
    return np.asarray(total - np.repeat(total[starts], np.diff(np.r_[starts, len(values)])), dtype=np.float64)


def write_factors(path: Path, found: Mapping[str, Factors]) -> None:
    """In one step; FactorsRefused: it cannot be written."""
    text = json.dumps({"schema": SCHEMA, "chemistries": {kind: asdict(one) for kind, one in sorted(found.items())}}, indent=1)
    try:
        in_one_step.write(path, (text + "\n").encode())
    except OSError as error:
        raise FactorsRefused(f"cannot write {path}: {in_one_step.why(error)}") from error


def read_factors(path: Path) -> dict[str, tuple[float, float]]:
    """Calendar and cycle factor by chemistry. FactorsRefused: not there, no such file, or a number beyond its bounds."""
    again = "make one with ./chargeyard battery calibrate"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise FactorsRefused(f"{path} is too large for a file of factors; {again}")
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise FactorsRefused(f"{path} is written as {content['schema']!s:.40}; this version reads {SCHEMA}: {again}")
        found = {str(kind): (float(one["calendar"]), float(one["cycle"])) for kind, one in content["chemistries"].items()}
    except FactorsRefused:
        raise
    except OSError as error:
        raise FactorsRefused(f"cannot read {path} ({error.strerror or error}); {again}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FactorsRefused(f"{path} is no file of ageing factors, or it is damaged; {again}") from error
    for kind, pair in found.items():
        if kind not in MODEL_OF or not all(LEAST <= factor <= MOST for factor in pair):
            raise FactorsRefused(
                f"{path}: {kind!s:.20} has factors that cannot be ({pair[0]:g}, {pair[1]:g}); they lie between {LEAST:g} and {MOST:g}"
            )
    return found
