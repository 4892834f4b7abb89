"""How cells age, by model and temperature, in shares of their nominal capacity: the table that the project ships.

    life_table.csv (benchmarks/life_table.py, from NREL's BLAST-Lite 1.1.1) --> rates_of(model, °C) --> optimizer.life, in money

Three numbers for each model and temperature: the calendar loss a year is a straight line over the state of charge, and a full cycle
takes its share whatever the rate. What fast charging takes beside that is not in these cell models (they know the day's mean rate
only): it comes from measured cells, see :data:`STEEP_PER_C`.
Between the temperatures of the table (0 to 50 °C) numbers are interpolated, outside of them the last one holds.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MODEL_OF: Final[Mapping[str, str]] = {"LFP": "LFP_250Ah_prismatic", "NMC": "NMC_50Ah_B1"}
"""The model that stands for a chemistry. Of the NMC cells it is the one in the middle, by rent and by wear at 35 °C. The cell models
of other chemistries are not physical over these temperatures (LTO would gain capacity), or of no traction cell: nothing is known."""

GENTLE_C: Final = 0.25
"""Capacities an hour up to which a kWh wears the same, however fast it comes."""

STEEP_PER_C: Final[Mapping[str, float]] = {"NMC": 3.0, "LFP": 0.6}
"""By how much more a kWh wears for each capacity an hour above :data:`GENTLE_C`, at 25 °C, as a share of its wear. Energy cells: NCA
18650 cells of Tongji University at 25 °C lose 5.4, 9.2 and 18.2 % in 100 cycles at 0.25, 0.5 and 1 C, so 3 per C. LFP: nobody
measured it at a depot's rates; a fifth, because LFP power cells live hundreds of cycles at 4 to 6 C."""

NOT_STEEP_FROM_C: Final = 45.0
"""From here up there is no such effect: at 0.5 C and 45 °C the same NCA cells lose less (7.4 %) than at 25 °C (9.2 %), so plating no
longer shows. In between, and on below 25 °C where nothing was measured, the effect follows a straight line."""

_STEEP_AT_C: Final = 25.0


@dataclass(frozen=True, eq=False, slots=True)
class Rates:
    """Shares of the nominal capacity, one number per temperature asked for: calendar loss a year of an empty battery, and how much more
    of a full one; loss of a full cycle; ``steep_per_c``: how much more of that for each capacity an hour above :data:`GENTLE_C`."""

    at_empty: FloatArray
    per_soc: FloatArray
    cycle: FloatArray
    steep_per_c: FloatArray


def models() -> tuple[str, ...]:
    """Names of the cell models in the table."""
    return tuple(_table())


def rates_of(model: str, temp_c: FloatArray | float) -> Rates:
    """How cells of ``model`` age at these temperatures (°C); raises :class:`KeyError` for one that the table does not have."""
    temps, at_empty, per_soc, cycle = _table()[model]
    at = np.asarray(temp_c, dtype=np.float64)
    family = model.partition("_")[0]
    slope = STEEP_PER_C["LFP" if family == "LFP" else "NMC"]
    return Rates(
        at_empty=np.interp(at, temps, at_empty),
        per_soc=np.interp(at, temps, per_soc),
        cycle=np.interp(at, temps, cycle),
        steep_per_c=slope * np.clip((NOT_STEEP_FROM_C - np.maximum(at, temps[0])) / (NOT_STEEP_FROM_C - _STEEP_AT_C), 0.0, None),
    )


@cache
def _table() -> Mapping[str, tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
    lines = (Path(__file__).parent / "life_table.csv").read_text(encoding="utf-8").splitlines()
    rows: dict[str, list[tuple[float, ...]]] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        rows.setdefault(row["model"], []).append(tuple(float(row[key]) for key in ("temp_c", "at_empty", "per_soc", "cycle")))
    return {model: tuple(np.array(column) for column in zip(*of, strict=True)) for model, of in rows.items()}  # type: ignore[misc]
