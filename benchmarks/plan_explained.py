"""What explanations cost beside the plans that they explain, and how many shortages get a proved remedy.

    python -m benchmarks.plan_explained [--repeat 3]

Invented nights that are a tenth too tight. ``duals``: processor time of an explanation from duals alone, which solves the same model, as a
multiple of the plan's, in the same run; ``JSON``: its size. ``short``: vehicles that are short; ``helped``: how many of the worst three got
a remedy, each proved by planning the changed night, and what that took in plans' times.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.invented_depots import night
from optimizer import plan
from optimizer.explain import QUICK, Depth, explain

SIZES = (50, 200, 1000)
MOST_REMEDIES = 200
"""Vehicles up to which remedies are looked for: beyond, a benchmark would take minutes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    table = Table("vehicles", "plan CPU s", "duals ×", "JSON kB", "short", "helped", "in plans")
    for size in SIZES:
        problem = night(1, vehicles=size, tightness=0.9)
        explain(problem)
        planned = _cpu(lambda: plan(problem, deadline_s=120), arguments.repeat)  # noqa: B023  # called at once
        explained = _cpu(lambda: explain(problem, depth=QUICK, deadline_s=120), arguments.repeat)  # noqa: B023
        found = explain(problem, depth=QUICK, deadline_s=120)
        size_kb = len(msgspec.json.encode(found, enc_hook=np.ndarray.tolist)) / 1000
        helped, took = "", ""
        if size <= MOST_REMEDIES:
            deep = Depth(remedies=3, departures=0, next_kw=False)
            started = time.process_time()
            reasons = explain(problem, depth=deep, deadline_s=600).shortfalls[:3]
            took = f"{(time.process_time() - started) / planned:.0f}"
            helped = f"{sum(1 for reason in reasons if reason.remedies)} of {len(reasons)}"
        table.add_row(str(size), f"{planned:.3f}", f"{explained / planned:.2f}", f"{size_kb:.0f}", str(len(found.shortfalls)), helped, took)
    Console().print(table)
    return 0


def _cpu(work: Callable[[], Any], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
