"""Make the tables of the digital twin: how cells age over years, and how far cells of a chemistry differ.

    python -m benchmarks.twin_table --data DIR [--check]

``DIR`` holds ``degradation/`` (grids of NREL's BLAST-Lite 1.1.1, BSD-3-Clause) and ``battery/`` (measured cells). Two files of
``bms_bridge/twin`` are written:

- ``ageing.csv``, per chemistry and temperature: the planner's calendar line (mean yearly loss of 8 years) with its exponent, and what
  the first 1,000 full cycles take at five depths, with the exponent that the same grid shows between one year and eight.
- ``spread.csv``, per chemistry: how far measured cells and other cell models differ from that (benchmarks/twin_spread.py; whether it is
  far enough: benchmarks/twin_coverage.py); where and how sharply measured cells bend; and the growth of resistance per lost capacity of
  cells stored for years at 24 to 60 °C (Lam et al., Joule, 2024).

``--check`` writes nothing and exits with 1 where the shipped tables are others.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np

from benchmarks.twin_spread import DRIFT, evidence, learned
from bms_bridge.twin.members import Spread
from optimizer.life_table import MODEL_OF, rates_of

ROOM = Path(__file__).resolve().parents[1] / "bms_bridge" / "twin"
DEPTHS = (0.2, 0.4, 0.6, 0.8, 0.9)
HEAD_AGEING = """\
# How cells age over years, per chemistry and temperature; written by benchmarks/twin_table.py, read by bms_bridge/twin/ageing.py.
# Our own computation with the cell models of NREL's BLAST-Lite 1.1.1 (BSD-3-Clause). Shares of the nominal capacity:
# time takes 8 (at_empty + per_soc x state of charge) (years / 8)^time_exponent; charged energy takes k (full cycles / 1000)^cycle_exponent
# with k by the depth of the day's cycle (20 to 90 %), and steep_per_c more for each capacity an hour above 0.25 (TJU's NCA cells).
"""
HEAD_SPREAD = """\
# How far cells of a chemistry differ from the table; written by benchmarks/twin_table.py, read by bms_bridge/twin/members.py.
# time_shift, time_sigma: middle and deviation of the logarithm of a next make's loss by time to the table's (8 years); exponent_shift,
# exponent_sd: of time's exponent, less the table's; cycle_shift, cycle_sigma: of its loss by cycles where it reaches 8 %;
# cycle_exponent, cycle_exponent_sigma: middle and deviation of the logarithm of cycles' exponent; time_drift, time_drift_sigma,
# cycle_drift, cycle_drift_per_c (of charging), cycle_drift_sigma: of the logarithm of how fast a pack goes on to what its past says;
# knee_share: of measured cells that bend downwards before 78 %; knee_soh, knee_soh_sd: where; knee_ratio, knee_ratio_sigma: slope
# after to slope before; resistance_per_fade: share gained per share lost.
"""


def ageing_rows(data: Path) -> list[list[str]]:
    with (data / "cycle_rates.csv").open(encoding="utf-8", newline="") as file:
        cycles = [
            {key: value if key in ("model", "chemistry") else float(value) for key, value in row.items()} for row in csv.DictReader(file)
        ]
    with (data / "calendar_rates.csv").open(encoding="utf-8", newline="") as file:
        exponents = [(row["model"], float(row["exponent"])) for row in csv.DictReader(file)]
    out = []
    for chemistry, model in MODEL_OF.items():
        time_exponent = float(np.mean([value for name, value in exponents if name == model]))
        at = {(row["T_C"], row["dod"]): row for row in cycles if (row["model"], row["c_charge"]) == (model, 0.33)
              and row["soc_top"] == (0.8 if float(row["dod"]) < 0.7 else 0.95)}  # fmt: skip
        one = at[25.0, 0.6]
        eight, first = one["loss_8y"] - one["cal8"], one["loss_1y"] - one["cal8"] * (1 / 8) ** time_exponent
        cycle_exponent = float(np.log(eight / first) / np.log(one["efc_8y"] / one["efc_1y"]))
        for temp_c in sorted({key[0] for key in at}):
            rates = rates_of(model, temp_c)
            losses = [
                at[temp_c, dod]["cyc_loss_per_efc"] * at[temp_c, dod]["efc_8y"] * (1000 / at[temp_c, dod]["efc_8y"]) ** cycle_exponent
                for dod in DEPTHS
            ]
            figures = [
                temp_c,
                float(rates.at_empty),
                float(rates.per_soc),
                *np.maximum.accumulate(losses),
                float(rates.steep_per_c),
                time_exponent,
                cycle_exponent,
            ]
            out.append([chemistry, *(f"{value:.4g}" for value in figures)])
    return out


def spread_rows(data: Path) -> list[list[str]]:
    known = learned(evidence(data), drift=DRIFT)
    return [[name, *(f"{value:.3g}" for value in astuple(spread))] for name, spread in known.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--check", action="store_true", help="compare with the shipped tables, write nothing")
    arguments = parser.parse_args()
    columns = [
        "chemistry",
        "temp_c",
        "at_empty",
        "per_soc",
        *(f"depth_{100 * d:.0f}" for d in DEPTHS),
        "steep_per_c",
        "time_exponent",
        "cycle_exponent",
    ]
    made = {
        "ageing.csv": HEAD_AGEING + _text(columns, ageing_rows(arguments.data / "degradation")),
        "spread.csv": HEAD_SPREAD + _text(["chemistry", *(one.name for one in fields(Spread))], spread_rows(arguments.data)),
    }
    code = 0
    for name, text in made.items():
        if not arguments.check:
            (ROOM / name).write_text(text, encoding="utf-8")
        elif (ROOM / name).read_text(encoding="utf-8") != text:
            print(f"{name} is another one")
            code = 1
    return code


def _text(columns: list[str], rows: list[list[str]]) -> str:
    return "\n".join(",".join(row) for row in [columns, *rows]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
