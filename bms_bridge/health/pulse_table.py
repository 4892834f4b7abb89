"""Pulses on retired cells as arrays: twenty-one voltages of one pulse, and the capacity that was measured afterwards, if it was.

    file --read_pulses--> PulseTable, one row per pulse + what was left out

A pulse of this kind (PulseBat, Tsinghua Berkeley Shenzhen Institute and Xiamen Lijing: retired cells, 5 s wide, then a rest) charges and
discharges a rested cell five times, with 0.5, −0.5, 1, −1 and 1.5 times the nominal capacity's current. U1 is the voltage at rest; of each
of the five, U2 to U21 tell the voltage at once, at its end, at once after it, and after its rest (V; read from the curves' shape).
The state of charge was set by counting from empty, so that it is a share of a capacity that the depot would have to know: use it only
where charge was counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import DataRefused
from bms_bridge.health.files import Floats, Words, column_names, data_files, left_out, read_columns

VOLTAGES = tuple(f"U{number}" for number in range(1, 22))
LEAST_V, MOST_V = 1.0, 5.0
LEAST_SOH, MOST_SOH = 0.1, 1.3


@dataclass(frozen=True, slots=True)
class PulseTable:
    """n pulses. ``kinds``: chemistry and nominal capacity ("NMC 2.1 Ah"); ``voltages_v`` [n, 21]; ``soc``: share, NaN where not told;
    ``soh``: share, NaN where nobody measured it; ``notes``: what was left out, for people."""

    cells: Words
    kinds: Words
    voltages_v: Floats
    soc: Floats
    soh: Floats
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cells)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> PulseTable:
        """The chosen rows, in their order."""
        return replace(
            self,
            cells=self.cells[chosen],
            kinds=self.kinds[chosen],
            voltages_v=self.voltages_v[chosen],
            soc=self.soc[chosen],
            soh=self.soh[chosen],
        )


def read_pulses(path: Path) -> PulseTable:
    """The pulses of a file, or of the first file of a folder that holds pulses. DataRefused: there are none, or they cannot be used."""
    files = [file for file in data_files(path) if path.is_file() or {"U1", "U21"} <= set(column_names(file))]
    if not files:
        raise DataRefused(f"{path}: none of its files has the voltages of pulses ({VOLTAGES[0]} to {VOLTAGES[-1]})")
    if len(files) > 1:
        raise DataRefused(f"{path}: {len(files)} files hold pulses; name one of them")
    return _read(files[0])


def _read(path: Path) -> PulseTable:
    there = set(column_names(path))
    optional = [name for name in ("SOC", "SOH") if name in there]
    read = read_columns(path, (*VOLTAGES, "Qn", *optional), ("cell", "Mat"))
    unknown = np.full(len(read["cell"]), np.nan)
    kinds = np.array([f"{mat.upper()} {amp_hours:g} Ah" for mat, amp_hours in zip(read["Mat"], read["Qn"], strict=True)], dtype=np.str_)
    voltages_v = np.column_stack([read[name] for name in VOLTAGES])
    soc, soh = read["SOC"] / 100 if "SOC" in there else unknown, read.get("SOH", unknown)
    shares = _are_shares(soc)
    if shares:
        soc = unknown
    unnamed = np.asarray((read["cell"] == "") | (read["Mat"] == "") | ~(read["Qn"] > 0))
    with np.errstate(invalid="ignore"):
        keep, notes = left_out(
            {
                "without a cell's name, a chemistry or a nominal capacity": unnamed,
                "a voltage is missing or no number": np.asarray(~np.isfinite(voltages_v).all(axis=1)),
                f"a voltage is not within {LEAST_V:g} and {MOST_V:g} V": np.asarray(
                    ((voltages_v < LEAST_V) | (voltages_v > MOST_V)).any(axis=1)
                ),
                "the state of charge is not within 0 and 100 %": (soc < 0) | (soc > 1),
                f"the measured health is not within {LEAST_SOH:.0%} and {MOST_SOH:.0%}": (soh < LEAST_SOH) | (soh > MOST_SOH),
            }
        )
    if not keep.any():
        raise DataRefused(f"{path}: no row can be used" + (f" ({'; '.join(notes)})" if notes else ""))
    if shares:
        notes = (
            "SOC is between 0 and 1 in every row, as a share would be: write % (35, not 0.35); graded as if nobody had counted",
            *notes,
        )
    return PulseTable(read["cell"], kinds, voltages_v, soc, soh, notes).rows(keep)


def _are_shares(soc: Floats) -> bool:
    """Whether a column of % (here shares of it) holds shares: nothing above 1 %, and something above nothing."""
    told = soc[np.isfinite(soc)]
    return bool(len(told) and told.max() <= 0.01 and told.max() > 0)
