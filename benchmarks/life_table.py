"""Fit the table of battery ageing that the optimizer ships, from the full tables that it was condensed from.

    python benchmarks/life_table.py --data DIR [--check]

``DIR`` holds ``calendar_rates.csv`` and ``cycle_rates.csv``: cell models of NREL's BLAST-Lite 1.1.1 (BSD-3-Clause), run over a grid
of temperature, state of charge, depth and rate. Of each model and temperature the table keeps three numbers, all of them shares of
the nominal capacity: the straight line through the mean yearly calendar loss over 8 years against the state of charge (these
curves are straight or a little concave, so that a straight line is the best convex fit), and the loss of one full cycle at 60 %
depth and a third of the capacity an hour, less what time alone takes.

Models that are not physical are refused, with the reason: see :func:`refused`. ``--check`` writes nothing and exits with 1 where the
shipped table is another one.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TABLE = Path(__file__).resolve().parents[1] / "optimizer" / "life_table.csv"

HEAD = """\
# How battery cells age, per cell model and temperature; read by optimizer/life_table.py, written by benchmarks/life_table.py.
# Our own computation with the cell models of NREL's BLAST-Lite 1.1.1 (BSD-3-Clause). Shares of the nominal capacity:
# calendar loss a year = at_empty + per_soc x state of charge (mean of 8 years); cycle = loss of one full cycle, less what time takes.
"""
COLUMNS = ("model", "temp_c", "at_empty", "per_soc", "cycle")

SHIPPED = ("LFP_250Ah_prismatic", "LFP_SonyMurata3Ah", "NMC_50Ah_B1", "NMC_50Ah_B2", "NMC_75Ah_A", "NMC111_Kokam75Ah")
"""The models of traction cells, and one small LFP cell beside them."""

DEPTH, TOP, RATE = 0.6, 0.8, 0.33
LEAST_WARMTH, MOST_WARMTH = 1.5, 8.0
MOST_CYCLE = 2e-4
MOST_RATE_EFFECT = 1.5
MOST_LINE_ERROR = 0.25


@dataclass(slots=True)
class Model:
    """What the full tables say of one cell model: ``calendar`` [temperature][state of charge] a year, ``cycle`` [temperature][rate]."""

    calendar: dict[float, dict[float, float]] = field(default_factory=lambda: defaultdict(dict))
    cycle: dict[float, dict[float, float]] = field(default_factory=lambda: defaultdict(dict))

    def line(self, temp_c: float) -> tuple[float, float, float]:
        """At empty, per state of charge, and the worst error as a share of the highest value. Neither is ever negative."""
        soc, loss = (np.array(x) for x in zip(*sorted(self.calendar[temp_c].items()), strict=True))
        slope, at_empty = (float(x) for x in np.polyfit(soc, loss, 1))
        if at_empty < 0:  # the line through the origin
            slope, at_empty = float(soc @ loss / (soc @ soc)), 0.0
        return at_empty, slope, float(np.abs(at_empty + slope * soc - loss).max() / np.abs(loss).max())


def refused(model: Model) -> str | None:
    """Why a model is not physical; None: it is. A battery that time makes younger, that ages less when it is warmer or fuller, that
    hardly knows the temperature or knows it too well, that a thousand cycles write off, or that is ruined by rates of the daily mean."""
    temps = sorted(model.calendar)
    socs = sorted(model.calendar[temps[0]])
    loss = np.array([[model.calendar[t][s] for s in socs] for t in temps])
    cycle = np.array([model.cycle[t][RATE] for t in temps])
    if loss.min() < 0 or cycle.min() < 0:
        return "it gains capacity"
    if (np.diff(loss, axis=0) < 0).any():
        return "it ages less when it is warmer"
    if (np.diff(loss, axis=1) < 0).any():
        return "it ages less when it is fuller"
    warmth = model.calendar[45.0][0.5] / model.calendar[25.0][0.5]
    if not LEAST_WARMTH <= warmth <= MOST_WARMTH:
        return f"45 °C ages it {warmth:.1f} times as fast as 25 °C"
    if model.cycle[25.0][RATE] > MOST_CYCLE:
        return f"20 % are lost in {0.2 / model.cycle[25.0][RATE]:.0f} full cycles"
    rates = model.cycle[25.0]
    if rates[max(rates)] > MOST_RATE_EFFECT * rates[min(rates)]:
        return f"the day's mean rate makes it age {rates[max(rates)] / rates[min(rates)]:.1f} times as fast"
    error = max(model.line(t)[2] for t in temps)
    return f"a straight line misses its calendar loss by {error:.0%}" if error > MOST_LINE_ERROR else None


def read(data: Path) -> Mapping[str, Model]:
    """All models of the full tables."""
    models: dict[str, Model] = defaultdict(Model)
    with (data / "calendar_rates.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            models[row["model"]].calendar[float(row["T_C"])][float(row["soc"])] = float(row["cal_loss_per_yr_avg8y"])
    with (data / "cycle_rates.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (float(row["dod"]), float(row["soc_top"])) == (DEPTH, TOP):
                models[row["model"]].cycle[float(row["T_C"])][float(row["c_charge"])] = float(row["cyc_loss_per_efc"])
    return models


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--check", action="store_true", help="compare with the shipped table, write nothing")
    arguments = parser.parse_args()
    models = read(arguments.data)
    lines = [",".join(COLUMNS)]
    for name in sorted(models):
        reason = refused(models[name])
        if name not in SHIPPED:
            print(f"{name}: not shipped ({reason or 'no cell of a depot’s vehicles'})")
            continue
        if reason is not None:
            parser.error(f"{name} is to be shipped, but {reason}")
        errors = []
        for temp_c in sorted(models[name].calendar):
            at_empty, slope, error = models[name].line(temp_c)
            lines.append(f"{name},{temp_c:g},{at_empty:.4g},{slope:.4g},{models[name].cycle[temp_c][RATE]:.4g}")
            errors.append(error)
        print(f"{name}: the line misses calendar loss by at most {max(errors):.0%} of the fullest battery's")
    text = HEAD + "\n".join(lines) + "\n"
    if arguments.check:
        same = TABLE.read_text(encoding="utf-8") == text
        print("the shipped table is this one" if same else f"{TABLE.name} is another one")
        return 0 if same else 1
    TABLE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
