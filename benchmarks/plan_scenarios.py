"""How good and how fast plans are: scenario files against the best known cost.

    python benchmarks/plan_scenarios.py --data DIR [--policy cheapest] [--repeat 3]

``DIR`` holds ``scenarios/*.json``. Times are medians, in seconds, start-up (imports, first model) apart;
``cpu`` is what a busy machine does not distort. Exit 1 where a
cost is more than 0.5 % above the reference, energy is unmet or a limit is violated.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from optimizer import Policy, plan
from optimizer.evaluate import evaluate
from optimizer.scenario import read

REFERENCE = {"mix-50": 1888, "mix-200": 7757, "mix-1000": 38353, "nrel-fleet1": 2195, "ebus-200": 12075}
"""Cost of the optimum, in the scenario's currency, found by independent implementations."""

TOLERANCE = 1.005
DEADLINE_S = 120.0
PHASES = ("build", "compile", "pass", "solve", "total")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--policy", type=Policy, default=Policy.CHEAPEST, choices=list(Policy))
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    files = sorted((arguments.data / "scenarios").glob("*.json"))
    if not files:
        parser.error(f"no scenario files in {arguments.data / 'scenarios'}")

    table = Table(title=f"plan, {arguments.policy}, median of {arguments.repeat}")
    for title in ("scenario", "vehicles", "cost", "reference", "ratio", "unmet %", "violation kWh", *PHASES, "cpu"):
        table.add_column(title, justify="left" if title == "scenario" else "right")
    good = True
    plan(read(files[0]), deadline_s=DEADLINE_S)  # imports and first use
    for file in files:
        problem = read(file)
        results, cpu_s = [], []
        for _ in range(arguments.repeat):
            began = time.process_time()
            results.append(plan(problem, policy=arguments.policy, deadline_s=DEADLINE_S))
            cpu_s.append(time.process_time() - began)
        verdict = evaluate(problem, results[0].power_kw)
        reference = REFERENCE.get(file.stem) if arguments.policy is Policy.CHEAPEST else None
        ratio = verdict.cost / reference if reference else 1.0
        good = good and ratio <= TOLERANCE and verdict.unmet_pct < 0.01 and verdict.keeps_limits
        phases = [statistics.median(getattr(r, f"{name}_s") for r in results) for name in PHASES]
        table.add_row(
            file.stem,
            str(len(problem.vehicles)),
            f"{verdict.cost:.1f}",
            str(reference or "–"),
            f"{ratio:.4f}" if reference else "–",
            f"{verdict.unmet_pct:.3f}",
            f"{verdict.violation_kwh:.3f}",
            *(f"{seconds:.3f}" for seconds in (*phases, statistics.median(cpu_s))),
        )
    Console(width=140).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
