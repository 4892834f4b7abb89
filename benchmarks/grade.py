"""How often is the grade of a retired cell from one pulse right? Cells kept apart, each in one fold of five, three times.

    ./chargeyard bench grade --data DIR [--json FILE] [--quick | --rounds N]

DIR holds pulses of retired cells (``pulsebat``; see docs/battery-health.md). Nested: kernel, spread and how sure a grade must be are
chosen inside of the cells that were not kept apart. Exit code 1: the goal is missed (93 % right in the mean over the kinds of cells,
at most 10 % sent to a test).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sklearn.model_selection import GroupKFold

from bms_bridge.health import HealthError
from bms_bridge.health.conformal import grouped_share
from bms_bridge.health.grade_training import EFFORT, train_grades
from bms_bridge.health.grading import Grades, band_of, grade
from bms_bridge.health.pulse_table import PulseTable, read_pulses

GOAL, MOST_ABSTAINED = 0.93, 0.10
FOLDS = 5
console = Console(width=None if sys.stdout.isatty() else 170)


@dataclass(frozen=True, slots=True)
class Row:
    """Shares of pulses; ``cells_right``: of cells, by the band that most of their grades name; ``mae``: %-points of health."""

    kind: str
    soc: str
    cells: int
    pulses: int
    right: float
    abstained: float
    right_without_abstaining: float
    commonest_band: float
    cells_right: float
    mae: float
    coverage: float
    worst_cell: float


def judged(kind: str, soc: str, table: PulseTable, said: Grades) -> Row:
    """What the grades of one kind of cell are worth."""
    true = band_of(table.soh)
    told = said.band >= 0
    off = 100 * np.abs(said.soh - table.soh)
    cells = np.unique(table.cells)
    votes = []
    for cell in cells:
        own = said.band[(table.cells == cell) & told]
        if len(own):
            votes.append(np.bincount(own).argmax() == true[table.cells == cell][0])
    return Row(
        kind=kind,
        soc=soc,
        cells=len(cells),
        pulses=len(table),
        right=float((said.band == true)[told].mean()),
        abstained=float(1 - told.mean()),
        right_without_abstaining=float((said.likeliest == true).mean()),
        commonest_band=float(np.bincount(true).max() / len(true)),
        cells_right=float(np.mean(votes)),
        mae=float(off.mean()),
        coverage=grouped_share((said.low <= table.soh) & (table.soh <= said.high), table.cells),
        worst_cell=float(max(off[table.cells == cell].mean() for cell in cells)),
    )


def kept_apart(table: PulseTable, seed: int) -> Grades:
    """Every pulse graded by models that were taught without its cell."""
    count = len(table)
    parts = [np.full(count, -1), np.zeros(count), *(np.full(count, np.nan) for _ in range(3)), np.full(count, -1)]
    for taught, kept in GroupKFold(FOLDS, shuffle=True, random_state=seed).split(table.soh, groups=table.cells):
        said = grade(train_grades(table.rows(taught), seed=seed, effort=EFFORT), table.rows(kept))
        for part, name in zip(parts, ("band", "probability", "soh", "low", "high", "likeliest"), strict=True):
            part[kept] = getattr(said, name)
    return Grades(*parts)


def without_soc(table: PulseTable) -> PulseTable:
    """The same pulses, whose state of charge nobody counted."""
    blind: NDArray[np.float64] = np.full(len(table), np.nan)
    return PulseTable(table.cells, table.kinds, table.voltages_v, blind, table.soh)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a file of pulses, or a folder that holds one")
    parser.add_argument("--json", type=Path, help="write all numbers to this file, too")
    parser.add_argument("--quick", action="store_true", help="one round of folds instead of three")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of folds, each with a seed of its own from 0 on")
    arguments = parser.parse_args()
    place = next(
        (folder for folder in (arguments.data / "battery" / "pulsebat", arguments.data / "pulsebat") if folder.is_dir()), arguments.data
    )
    try:
        table = read_pulses(place)
    except HealthError as error:
        console.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        return 2
    table = table.rows(np.isfinite(table.soh))
    began = time.process_time()
    rounds: dict[tuple[str, str], list[Row]] = {}
    for seed in range(1 if arguments.quick else max(1, arguments.rounds)):
        for soc, pulses in (("counted", table), ("unknown", without_soc(table))):
            said = kept_apart(pulses, seed)
            for kind in sorted(set(map(str, table.kinds))):
                own = np.flatnonzero(table.kinds == kind)
                grades = Grades(*(getattr(said, name)[own] for name in ("band", "probability", "soh", "low", "high", "likeliest")))
                rounds.setdefault((soc, kind), []).append(judged(kind, soc, pulses.rows(own), grades))
    numbers = [name for name in Row.__slots__ if name not in ("kind", "soc")]
    rows = [
        Row(kind, soc, **{name: type(getattr(found[0], name))(np.mean([getattr(row, name) for row in found])) for name in numbers})
        for (soc, kind), found in rounds.items()
    ]
    show(rows)
    by_round = spread(rounds)
    console.print(f"{time.process_time() - began:.0f} s of processor time", highlight=False)
    if arguments.json:
        content = [{name: getattr(row, name) for name in Row.__slots__} for row in rows]
        arguments.json.write_text(json.dumps({"rows": content, "rounds": by_round}, indent=1, ensure_ascii=False), encoding="utf-8")
    right, abstained = (float(np.mean([getattr(row, name) for row in rows if row.soc == "counted"])) for name in ("right", "abstained"))
    return 0 if right >= GOAL and abstained <= MOST_ABSTAINED else 1


def spread(rounds: dict[tuple[str, str], list[Row]]) -> dict[str, list[dict[str, float]]]:
    """The means over the kinds, round by round; says the worst and the best of them."""
    found: dict[str, list[dict[str, float]]] = {}
    for soc in ("counted", "unknown"):
        own = [rows for (by, _), rows in rounds.items() if by == soc]
        found[soc] = [
            {name: float(np.mean([getattr(rows[seed], name) for rows in own])) for name in ("right", "abstained")}
            for seed in range(len(own[0]))
        ]
        told = "; ".join(f"{one['right']:.3f} ({one['abstained']:.3f})" for one in found[soc])
        right = [one["right"] for one in found[soc]]
        console.print(
            f"charge {soc}, right (sent to a test) by seed of the folds: {told}; worst {min(right):.3f}, best {max(right):.3f}",
            highlight=False,
            soft_wrap=True,
        )
    return found


def show(rows: list[Row]) -> None:
    table = Table(title="grade of a retired cell from one pulse, cells kept apart", title_justify="left")
    for name in ("cells of", "charge"):
        table.add_column(name)
    for name in ("cells", "right", "to a test", "all told", "commonest", "by cell", "miss", "worst", "90 % covers"):
        table.add_column(name, justify="right")
    for soc in ("counted", "unknown"):
        own = [row for row in rows if row.soc == soc]
        for row in own:
            table.add_row(row.kind, soc, f"{row.cells}", *_figures(row))
        means = [f"{np.mean([getattr(row, name) for row in own]):.3f}" for name in ("right", "abstained", "right_without_abstaining")]
        table.add_row(
            "mean", soc, "", *means, *(f"{np.mean([getattr(row, name) for row in own]):.3f}" for name in ("commonest_band", "cells_right"))
        )
    console.print(table)


def _figures(row: Row) -> list[str]:
    shares = (row.right, row.abstained, row.right_without_abstaining, row.commonest_band, row.cells_right)
    return [*(f"{share:.3f}" for share in shares), f"{row.mae:.2f}", f"{row.worst_cell:.1f}", f"{row.coverage:.2f}"]


if __name__ == "__main__":
    sys.exit(main())
