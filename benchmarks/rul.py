"""How well do the first hundred cycles tell the life of a fast-charged LFP cell? The published split: taught on train, judged on test1.

    ./chargeyard bench rul --data DIR [--json FILE] [--quick]

DIR holds ``severson_dq`` (features.csv, dq_curve.parquet; see docs/battery-health.md). Nothing is chosen by the judged cells. Exit code 1:
the goal is missed (mean miss of test1 below 13 % of life; the published variance model: 14.7 %).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import KFold

from bms_bridge.health import HealthError
from bms_bridge.health.early_life import EarlyLifeModel, EarlyLives, read_early_lives

GOAL = 0.13
console = Console(width=None if sys.stdout.isatty() else 170)
Floats = NDArray[np.float64]


def figures(said: Floats, life: Floats) -> dict[str, float]:
    """Mean miss as a share of life, without the shortest life, in cycles (root of the mean square), and how often within 1 % of life."""
    share = np.abs(said - life) / life
    return {
        "miss": float(share.mean()),
        "miss_without_shortest": float(share[life > life.min()].mean()),
        "worst": float(share.max()),
        "rmse_cycles": float(np.sqrt(np.mean((said - life) ** 2))),
        "within_1_pct": float(np.mean(share <= 0.01)),
    }


def inside_train(train: EarlyLives) -> Floats:
    """What the committee says of each taught cell when it was not among the taught, five folds."""
    said = np.empty(len(train.cells))
    for taught, kept in KFold(5, shuffle=True, random_state=3).split(said):
        said[kept] = EarlyLifeModel(train.rows(taught)).predict(train.rows(kept))[0]
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with both tables, or one above it")
    parser.add_argument("--json", type=Path, help="write all numbers to this file, too")
    parser.add_argument("--quick", action="store_true", help="without the folds inside of train")
    arguments = parser.parse_args()
    places = (arguments.data / "battery" / "severson_dq", arguments.data / "severson_dq")
    try:
        lives = read_early_lives(next((folder for folder in places if folder.is_dir()), arguments.data))
        train = lives.rows(lives.splits == "train")
        model = EarlyLifeModel(train)
    except HealthError as error:
        console.print(f"[red]{error}[/]", highlight=False, soft_wrap=True)
        return 2
    found: dict[str, dict[str, float]] = {}
    if not arguments.quick:
        found["train, folds of five"] = figures(inside_train(train), train.life_cycles)
    for split in sorted(set(map(str, lives.splits)) - {"train"}):
        judged = lives.rows(lives.splits == split)
        said, low, high = model.predict(judged)
        inside = float(np.mean((low <= judged.life_cycles) & (judged.life_cycles <= high)))
        found[split] = figures(said, judged.life_cycles) | {"coverage": inside}
        for name, alone in model.members(judged).items():
            found[f"{split}: {name} alone"] = figures(alone, judged.life_cycles)
    table = Table(title="life of fast-charged LFP cells from their first hundred cycles", title_justify="left")
    table.add_column("judged on")
    for name in ("mean miss", "without the shortest", "worst", "RMSE cycles", "within 1 %", "90 % covers"):
        table.add_column(name, justify="right")
    for name, row in found.items():
        shares = [f"{row[key]:.1%}" for key in ("miss", "miss_without_shortest", "worst")]
        table.add_row(
            name, *shares, f"{row['rmse_cycles']:.0f}", f"{row['within_1_pct']:.0%}", f"{row['coverage']:.2f}" if "coverage" in row else ""
        )
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0 if found.get("test1", {"miss": 1.0})["miss"] < GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
