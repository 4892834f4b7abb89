"""Make the tables of the digital twin: how cells age over years, and how far cells of a chemistry differ.

    python -m benchmarks.twin_table --data DIR [--check]

``DIR`` holds ``degradation/`` (grids of NREL's BLAST-Lite 1.1.1, BSD-3-Clause) and ``battery/`` (measured cells). Two files of
``bms_bridge/twin`` are written:

- ``ageing.csv``, per chemistry and temperature: the planner's calendar line (mean yearly loss of 8 years) with its exponent, and what
  the first 1,000 full cycles take at five depths, with the exponent that the same grid shows between one year and eight.
- ``spread.csv``, per chemistry: deviation of the logarithm of both between the cell models of the chemistry (35 °C, half full, 60 %
  depth); where and how sharply measured cells bend (two joined straight lines; HUST for LFP, TJU's NCM and
  XJTU for NMC); and the growth of resistance per lost capacity of cells stored for years at 24 to 60 °C (Lam et al., Joule, 2024).

``--check`` writes nothing and exits with 1 where the shipped tables are others.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.life_table import read
from optimizer.life_table import MODEL_OF, rates_of

ROOM = Path(__file__).resolve().parents[1] / "bms_bridge" / "twin"
DEPTHS = (0.2, 0.4, 0.6, 0.8, 0.9)
FAMILY = {"LFP": ("LFP_250Ah_prismatic", "LFP_SonyMurata3Ah"), "NMC": ("NMC_50Ah_B1", "NMC_50Ah_B2", "NMC_75Ah_A", "NMC111_Kokam75Ah")}
KNEES = {"LFP": (("hust", ""),), "NMC": (("tju", "NCM"), ("xjtu", ""))}
STORED = {"LFP": "LFP", "NMC": "NMC"}
HEAD_AGEING = """\
# How cells age over years, per chemistry and temperature; written by benchmarks/twin_table.py, read by bms_bridge/twin/ageing.py.
# Our own computation with the cell models of NREL's BLAST-Lite 1.1.1 (BSD-3-Clause). Shares of the nominal capacity:
# time takes 8 (at_empty + per_soc x state of charge) (years / 8)^time_exponent; charged energy takes k (full cycles / 1000)^cycle_exponent
# with k by the depth of the day's cycle (20 to 90 %), and steep_per_c more for each capacity an hour above 0.25 (TJU's NCA cells).
"""
HEAD_SPREAD = """\
# How far cells of a chemistry differ; written by benchmarks/twin_table.py, read by bms_bridge/twin/members.py.
# time_sigma, cycle_sigma: deviation of the logarithm between cell models; exponent_sd: of time's exponent, between all of them.
# knee_share: of measured cells that bend downwards before 78 %; knee_soh, knee_soh_sd: where;
# knee_ratio, knee_ratio_sigma: slope after to slope before. resistance_per_fade: share gained per share lost.
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
    models, out = read(data / "degradation"), []
    with (data / "degradation" / "calendar_rates.csv").open(encoding="utf-8", newline="") as file:
        exponents = [(row["model"], float(row["exponent"])) for row in csv.DictReader(file)]
    exponent_sd = np.std([np.mean([e for model, e in exponents if model == name]) for names in FAMILY.values() for name in names], ddof=1)
    for chemistry, names in FAMILY.items():
        time = [np.log(models[name].calendar[35.0][0.5]) for name in names]
        cycle = [np.log(models[name].cycle[35.0][0.33]) for name in names]
        bends = np.array([bend for folder, kind in KNEES[chemistry] for bend in knees(data / "battery" / folder, kind)])
        bent = bends[bends[:, 1] > 1.2]
        print(f"{chemistry}: {len(bends)} measured cells below 82 %, {len(bent)} of them bend downwards")
        figures = [
            np.std(time, ddof=1),
            np.std(cycle, ddof=1),
            exponent_sd,
            len(bent) / len(bends),
            np.median(bent[:, 0]),
            np.std(bent[:, 0], ddof=1),
            np.median(bent[:, 1]),
            np.std(np.log(bent[:, 1]), ddof=1),
            growth(data / "battery" / "joule_calendar", STORED[chemistry]),
        ]
        out.append([chemistry, *(f"{value:.3g}" for value in figures)])
    return out


def knees(folder: Path, kind: str) -> list[tuple[float, float]]:
    """Health at the bend and slope after it to slope before, of each cell that fell below 82 %: two joined lines, best of 33 places."""
    from pyarrow import parquet

    table = parquet.read_table(folder / f"{folder.name}.parquet")
    cells, cycle, capacity = (table.column(name).to_numpy(zero_copy_only=False) for name in ("cell", "cycle", "capacity"))
    kinds = table.column("chem").to_numpy(zero_copy_only=False) if "chem" in table.column_names else np.full(len(cells), "")
    found = []
    for cell in np.unique(cells[kinds == kind]):
        own = np.flatnonzero((cells == cell) & (kinds == kind))
        own = own[np.argsort(cycle[own], kind="stable")]
        x, y = cycle[own].astype(float), np.convolve(np.pad(capacity[own], 4, mode="edge"), np.ones(9) / 9, "valid")
        y = y / y[:9].mean()
        if y.min() > 0.82:
            continue
        end = int(np.argmax(y <= 0.78)) if (y <= 0.78).any() else len(y) - 1
        x, y = x[: end + 1], y[: end + 1]
        if len(x) >= 30:
            found.append(_bend(x, y))
    return [bend for bend in found if np.isfinite(bend).all()]


def _bend(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    best, bend = np.inf, (np.nan, np.nan)
    for share in np.linspace(0.1, 0.9, 33):
        at = x[0] + share * (x[-1] - x[0])
        matrix = np.c_[np.ones_like(x), x, np.maximum(x - at, 0)]
        line = np.linalg.lstsq(matrix, y, rcond=None)[0]
        error = float(((matrix @ line - y) ** 2).sum())
        if error < best and line[1] < 0:
            best, bend = error, (float(line[0] + line[1] * at), float((line[1] + line[2]) / line[1]))
    return bend


def growth(folder: Path, chemistry: str) -> float:
    """Median over kinds of stored cells and temperatures up to 60 °C: share of resistance gained per share of capacity lost, 5 years."""
    losses = {}
    for name in ("cap", "res"):
        with (folder / f"{name}_powerlaw_fits.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["Chemistry"] == chemistry and float(row["Temperature"]) <= 60:
                    key = (row["Cell_type"], row["Temperature"], row["filename"])
                    losses.setdefault(key, {})[name] = float(row["a"]) * 260 ** float(row["b"])
    groups: dict[tuple[str, str], list[float]] = {}
    for (cell, temp_c, _), both in losses.items():
        if len(both) == 2 and both["cap"] > 0:
            groups.setdefault((cell, temp_c), []).append(both["res"] / both["cap"])
    return float(np.median([np.median(values) for values in groups.values()]))


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
    spread = [
        "chemistry",
        "time_sigma",
        "cycle_sigma",
        "exponent_sd",
        "knee_share",
        "knee_soh",
        "knee_soh_sd",
        "knee_ratio",
        "knee_ratio_sigma",
        "resistance_per_fade",
    ]
    made = {
        "ageing.csv": HEAD_AGEING + _text(columns, ageing_rows(arguments.data / "degradation")),
        "spread.csv": HEAD_SPREAD + _text(spread, spread_rows(arguments.data)),
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
