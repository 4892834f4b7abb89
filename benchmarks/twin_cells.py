"""Measured cells beside the twin: who they are, how they were treated, how they faded.

    data folder --stored(), cycled()--> cells, each of a make (left out as a whole: maker or laboratory), a kind, a family (its table)

Sources: Lam et al. (Joule, 2024): cells stored up to 13 years, as fitted power laws. HUST, MATR (LFP), TJU (NCA, NCM), XJTU, TBSI (NMC):
cells cycled in chambers, capacity by cycle, as Wang et al. (Nature Communications, 2024) and Tao et al. published them. Rates of charging
and temperatures are those of their descriptions; where those name several, the mean (TBSI: nine steps, 2 C; XJTU: 25 °C, 2 C but for the
batch of 3 C; MATR: 4.5 C) counts, which is a doubt of its own. NCA cells stand beside NMC ones: both are layered nickel oxides.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WEEKS_A_YEAR = 52.18
HOTTEST_C = 45.0
"""Hotter stores are not a depot's, nor the table's."""

SMOOTH = 9
_FAMILY = {"LFP": "LFP", "NMC": "NMC", "NCA": "NMC"}
_MAKERS = {
    "K2 Energy LFP18650E": "K2",
    "K2 Energy LFP18650P": "K2",
    "Panasonic NCR18650B": "Panasonic",
    "Panasonic NCR18650GA": "Panasonic",
    "Sony-Murata US18650VTC6": "Murata",
}


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """A cell that was stored. Loss after ``years``: ``scale`` (weeks)^``power``, a share."""

    make: str
    kind: str
    family: str
    temp_c: float
    soc: float
    scale: float
    power: float

    @property
    def treated(self) -> tuple[str, float, float]:
        """Cells of one kind that were treated alike."""
        return self.kind, self.temp_c, self.soc

    def lost(self, years: float) -> float:
        return self.scale * float(WEEKS_A_YEAR * years) ** self.power


@dataclass(frozen=True, eq=False, slots=True)
class Cycled:
    """A cell that was cycled from full to empty. ``health``: share of its own first capacity, smoothed over nine cycles."""

    make: str
    kind: str
    family: str
    cell: str
    temp_c: float
    c_rate: float
    cycles: Floats
    health: Floats

    @property
    def treated(self) -> tuple[str, float, float]:
        """Cells of one kind that were treated alike."""
        return self.kind, self.temp_c, self.c_rate

    def until(self, health: float) -> float:
        """Full cycles until ``health``; inf: it did not get there."""
        below = self.health <= health
        return float(self.cycles[int(np.argmax(below))]) if below.any() else np.inf


def stored(data: Path) -> list[Stored]:
    """Cells of the three chemistries, up to :data:`HOTTEST_C`."""
    out = []
    with (data / "battery" / "joule_calendar" / "cap_powerlaw_fits.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            family, temp_c = _FAMILY.get(row["Chemistry"]), float(row["Temperature"])
            if family is not None and temp_c <= HOTTEST_C:
                make = _MAKERS.get(row["Cell_type"], row["Cell_type"])
                out.append(Stored(make, row["Cell_type"], family, temp_c, float(row["SOC"]) / 100, float(row["a"]) / 100, float(row["b"])))
    return out


def cycled(data: Path) -> list[Cycled]:
    """Every cell whose fade can be read."""
    battery, out = data / "battery", []
    for folder in ("hust", "mit_matr", "tju", "xjtu"):
        for cell, rows, first in _cells(battery / folder / f"{folder}.parquet"):
            out.append(_lived(folder, cell, *rows, first))
    rows_of: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with (battery / "tbsi_sunwoda" / "capacity.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows_of.setdefault((row["cell"], row["T_C"]), []).append((float(row["cycle"]), float(row["capacity_Ah"])))
    for (cell, temp_c), values in rows_of.items():
        cycle, capacity = np.array(sorted(values)).T
        if float(temp_c) <= HOTTEST_C:
            out.append(_lived("tbsi", cell, cycle, capacity, {"T_C": temp_c}))
    return [one for one in out if len(one.cycles) >= 3 * SMOOTH]


def _lived(folder: str, cell: str, cycle: Floats, capacity: Floats, first: dict[str, str]) -> Cycled:
    whole = np.isfinite(capacity) & (capacity > 0)
    cycle, capacity = cycle[whole], capacity[whole]
    new = float(np.median(capacity[:SMOOTH])) if len(capacity) else 1.0
    smooth = np.convolve(np.pad(capacity / new, SMOOTH // 2, mode="edge"), np.ones(SMOOTH) / SMOOTH, "valid") if len(capacity) else capacity
    chemistry = first.get("chem", "")
    make, kind, family, temp_c, c_rate = {
        "hust": ("A123", "HUST LFP", "LFP", 30.0, 5.0),
        "mit_matr": ("A123", "MATR LFP", "LFP", 30.0, 4.5),
        "tju": ("TJU", f"TJU {chemistry}", "NMC", 25.0, 0.5),
        "xjtu": ("XJTU", "XJTU NMC", "NMC", 25.0, 3.0 if first.get("batch", "").startswith("3C") else 2.0),
        "tbsi": ("TBSI", "TBSI NMC811", "NMC", 25.0, 2.0),
    }[folder]
    if folder == "tju":
        c_rate = {"025": 0.25, "05": 0.5, "1": 1.0}.get(first.get("rate_code", ""), 0.5)
    if "T_C" in first:
        temp_c = float(first["T_C"])
    return Cycled(make, kind, family, cell, temp_c, c_rate, cycle.astype(np.float64), smooth)


def _cells(path: Path) -> Iterator[tuple[str, tuple[Floats, Floats], dict[str, str]]]:
    from pyarrow import parquet

    table = parquet.read_table(path)
    column = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names if name in _READ}
    for cell in np.unique(column["cell"]):
        own = np.flatnonzero(column["cell"] == cell)
        own = own[np.argsort(column["cycle"][own], kind="stable")]
        first = {name: str(column[name][own[0]]) for name in ("batch", "chem", "T_C", "rate_code") if name in column}
        yield str(cell), (column["cycle"][own].astype(np.float64), column["capacity"][own].astype(np.float64)), first


_READ = {"cell", "cycle", "capacity", "batch", "chem", "T_C", "rate_code"}
