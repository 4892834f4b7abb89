"""Charges of cells as arrays: sixteen features of a charge's end, and the capacity that was measured after it, should it be known.

    file --read_charges--> ChargeTable (rows sorted by cell and cycle) + what was left out

The features are those of Wang et al., "Physics-informed neural network for lithium-ion battery degradation stable modeling and
prognosis", Nature Communications 2024: of the last stretch of the constant-current phase before the cut-off voltage (voltages in V,
charge in Ah, time in s, slope in V/s), and of the constant-voltage phase that follows (currents in A). A file has one kind of charge:
its window and current are the same in all rows, so that a model is taught per kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import DataRefused
from bms_bridge.health.files import Floats, Words, column_names, data_files, left_out, read_columns

FEATURES = (
    "voltage_mean", "voltage_std", "voltage_kurtosis", "voltage_skewness", "CC_Q", "CC_charge_time", "voltage_slope", "voltage_entropy",
    "current_mean", "current_std", "current_kurtosis", "current_skewness", "CV_Q", "CV_charge_time", "current_slope", "current_entropy",
)  # fmt: skip

TONGJI_AH = {"NCA": 3.5, "NCM": 3.5, "NCM_NCA": 2.5}
"""Nominal capacities of the Tongji University cells, whose file names the chemistry only (Zhu et al., Nature Communications 2022)."""

LEAST_SOH, MOST_SOH = 0.2, 1.3
"""Measured capacities outside of these shares of the nominal one are taken for mistakes."""


@dataclass(frozen=True, slots=True)
class ChargeTable:
    """One kind of charge; all arrays have n rows. ``features`` [n, 16] as in :data:`FEATURES`; ``capacity_ah``: NaN where nobody measured
    it; ``batches``: "" where not told; ``temperatures_c``: NaN where not told; ``notes``: what was left out, for people. DataRefused: the
    arrays do not fit together."""

    kind: str
    cells: Words
    cycles: Floats
    batches: Words
    chemistries: Words
    temperatures_c: Floats
    features: Floats
    capacity_ah: Floats
    nominal_ah: Floats
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.cells)
        columns = (self.cycles, self.batches, self.chemistries, self.temperatures_c, self.capacity_ah, self.nominal_ah)
        if self.features.shape != (count, len(FEATURES)) or any(column.shape != (count,) for column in columns):
            raise DataRefused(
                f"charges of {count} rows need {len(FEATURES)} features each, not {self.features.shape}, and one value of each column a row"
            )

    @property
    def soh(self) -> Floats:
        """Measured capacity as a share of the nominal one; NaN where it was not measured."""
        return self.capacity_ah / self.nominal_ah

    def __len__(self) -> int:
        return len(self.cells)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> ChargeTable:
        """The chosen rows, in their order."""
        return replace(
            self,
            cells=self.cells[chosen],
            cycles=self.cycles[chosen],
            batches=self.batches[chosen],
            chemistries=self.chemistries[chosen],
            temperatures_c=self.temperatures_c[chosen],
            features=self.features[chosen],
            capacity_ah=self.capacity_ah[chosen],
            nominal_ah=self.nominal_ah[chosen],
        )


def read_folder(path: Path, kinds: Iterable[str] = ()) -> list[ChargeTable]:
    """All tables of charges in a file, a folder or the folders below it; files of other things are passed over.

    ``kinds``: names that are looked for in the names of files and folders (``xjtu`` in ``other-cells/xjtu_3.parquet``); a table where
    none is found has its file's name as its kind. Tables of the same kind are joined. DataRefused: there is none, or one cannot be used.
    """
    known = tuple(kinds)
    found: dict[str, list[ChargeTable]] = {}
    passed: list[Path] = []
    for file in data_files(path):
        if not set(FEATURES[:8]) & set(column_names(file)) and not path.is_file():
            passed.append(file)
            continue
        kind = kind_of(file, known)
        found.setdefault(kind, []).append(read_charges(file, kind))
    if not found:
        raise DataRefused(f"{path}: none of its {len(passed)} files has the features of charges ({FEATURES[0]}, {FEATURES[4]} …)")
    return [_joined(tables) for _, tables in sorted(found.items())]


def kind_of(file: Path, known: Iterable[str]) -> str:
    """The longest of the ``known`` names in the file's name, else in its folder's; else the file's own name."""
    names = sorted(known, key=len, reverse=True)
    for text in (file.stem.lower(), file.parent.name.lower()):
        for name in names:
            if name.lower() in text:
                return name
    return file.stem


def read_charges(path: Path, kind: str) -> ChargeTable:
    """One file of charges. Rows that cannot be are left out and told in ``notes``. DataRefused: no table of charges, or nothing is left."""
    there = set(column_names(path))
    optional = [name for name in ("q_nom_Ah", "T_C", "capacity") if name in there]
    words = [name for name in ("batch", "chem", "rate_code") if name in there]
    read = read_columns(path, (*FEATURES, "cycle", *optional), ("cell", *words))
    count = len(read["cell"])
    unknown, nowhere = np.full(count, np.nan), np.full(count, "", dtype=np.str_)
    chemistries: Words = read.get("chem", nowhere)
    temperatures_c: Floats = read.get("T_C", unknown)
    nominal_ah = read["q_nom_Ah"] if "q_nom_Ah" in there else np.array([TONGJI_AH.get(str(word), np.nan) for word in chemistries])
    if count and not np.isfinite(nominal_ah).any():
        raise DataRefused(f"{path}: misses the column q_nom_Ah (the cells' nominal capacity, Ah)")
    batches = read["batch"] if "batch" in there else _conditions(chemistries, temperatures_c, read.get("rate_code", nowhere))
    features = np.column_stack([read[name] for name in FEATURES])
    capacity_ah: Floats = read.get("capacity", unknown)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = capacity_ah / nominal_ah
        keep, notes = left_out(
            {
                "without a cell's name or a cycle": (read["cell"] == "") | ~np.isfinite(read["cycle"]),
                "a feature is missing or no number": ~np.isfinite(features).all(axis=1),
                "a feature is absurdly large": (np.abs(features) > 1e9).any(axis=1),
                "nominal capacity is missing or not positive": ~(np.isfinite(nominal_ah) & (nominal_ah > 0)),
                f"measured capacity is not within {LEAST_SOH:.0%} and {MOST_SOH:.0%} of the nominal one": (share < LEAST_SOH)
                | (share > MOST_SOH)
                | np.isinf(share),
            }
        )
    if not keep.any():
        raise DataRefused(f"{path}: no row can be used" + (f" ({'; '.join(notes)})" if notes else ""))
    table = ChargeTable(
        kind, read["cell"], read["cycle"], batches, chemistries, temperatures_c, features, capacity_ah, nominal_ah, notes
    ).rows(keep)
    return _in_order(table)


def _conditions(chemistries: Words, temperatures_c: Floats, rates: Words) -> Words:
    """What stands for a batch where none is named: chemistry, temperature and rate of the test."""
    return np.array(
        [
            " ".join(part for part in (str(chem), f"{warm:g} °C" if np.isfinite(warm) else "", str(rate)) if part)
            for chem, warm, rate in zip(chemistries, temperatures_c, rates, strict=True)
        ],
        dtype=np.str_,
    )


def _in_order(table: ChargeTable) -> ChargeTable:
    """Sorted by cell and cycle; a cycle that is told twice is told once (the first one)."""
    table = table.rows(np.lexsort((table.cycles, table.cells)))
    twice = np.zeros(len(table), dtype=np.bool_)
    twice[1:] = (table.cells[1:] == table.cells[:-1]) & (table.cycles[1:] == table.cycles[:-1])
    if not twice.any():
        return table
    return replace(table.rows(~twice), notes=(*table.notes, f"{int(twice.sum())} rows left out: the same cycle of a cell told twice"))


def _joined(tables: list[ChargeTable]) -> ChargeTable:
    if len(tables) == 1:
        return tables[0]
    parts = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name in ("cells", "cycles", "batches", "chemistries", "temperatures_c", "features", "capacity_ah", "nominal_ah")
    }
    whole = ChargeTable(tables[0].kind, **parts, notes=tuple(note for table in tables for note in table.notes))
    return _in_order(whole)
