"""Real nights through the whole controller, every persona on: what `docs/simulate.md` shows.

    python benchmarks/nights.py --data DIR [--only NAME ...] [--seed 1] [--personas all]

``DIR`` holds ``fleets/nrel``, ``sessions/acn`` and ``scenarios``. Seconds are processor seconds of the night itself, which
a busy machine hardly distorts. ``judge`` is the verdict of ``judge_trace.py`` (``DIR/../tools``) where it is there, else
of our own trace reader. Exit 1 where a limit was violated or less than 99.5 % of what is feasible was delivered to
vehicles whose departures are known.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from controller.app.report import CHARGEYARD
from controller.app.simulate import Departures, Wish, simulate

FEASIBLE_SHARE = 0.995


def nights(data: Path, *, personas: str, seed: int) -> dict[str, Wish]:
    """Name → what is simulated, in the order of the table."""
    caltech = data / "sessions/acn/caltech_2019-09-01_2019-12-31.csv.gz"
    jpl = data / "sessions/acn/jpl_2019-05-01_2019-08-31.csv.gz"
    found: dict[str, Wish] = {}
    for i, folder in enumerate(("fleet1-beverage-delivery", "fleet2-warehouse-delivery", "fleet3-food-delivery"), start=1):
        found[f"nrel{i}"] = Wish(fleet=data / "fleets/nrel" / folder, personas=personas, seed=seed)
    departures: tuple[Departures, ...] = ("known", "stated")
    for name, file, day in (("caltech", caltech, date(2019, 10, 16)), ("jpl", jpl, date(2019, 5, 7))):
        for told in departures:
            found[f"{name}-{told}"] = Wish(sessions=file, day=day, departures=told, personas=personas, seed=seed)
    for name in ("van-50", "ebus-50", "mix-50"):
        found[name] = Wish(scenario=data / f"scenarios/{name}.json", personas=personas, seed=seed)
    return found


def judged(trace: Path, tool: Path, own: int) -> str:
    """Whether the independent tool finds a violation in the trace."""
    if not tool.is_file():
        return f"own reader: {own}"
    done = subprocess.run([sys.executable, str(tool), str(trace)], capture_output=True, check=False)
    return {0: "0", 1: "violated"}.get(done.returncode, "malformed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some of the nights, by name")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--personas", default="all")
    arguments = parser.parse_args()
    wishes = nights(arguments.data, personas=arguments.personas, seed=arguments.seed)
    unknown = sorted(set(arguments.only or ()) - set(wishes))
    if unknown:
        parser.error(f"no night called {', '.join(unknown)}; there are {', '.join(wishes)}")

    table = Table(title=f"nights, personas {arguments.personas}, seed {arguments.seed}")
    for title in ("night", "vehicles", "cost", "least laxity", "uncontrolled", "unmet %", "feasible %", "late", "judge", "plans", "s"):
        table.add_column(title, justify="left" if title == "night" else "right")
    good = True
    with tempfile.TemporaryDirectory(prefix="chargeyard-nights-") as folder:
        for name in arguments.only or wishes:
            wish, trace = wishes[name], Path(folder) / f"{name}.jsonl"
            began = time.process_time()
            spent: list[float] = []

            def watch(done: float, _: str, began: float = began, spent: list[float] = spent) -> None:
                if done >= 1.0:
                    spent.append(time.process_time() - began)

            report, night, _ = simulate(wish, trace=trace, progress=watch)
            need_kwh = sum(visit.need_wh for visit in report.visits) / 1000
            ours = report.policies[CHARGEYARD]
            feasible = (need_kwh - ours.unmet_kwh) / report.feasible_kwh
            verdict = judged(trace, arguments.data.parent / "tools/judge_trace.py", ours.limit_violations)
            good = good and not ours.limit_violations and (feasible >= FEASIBLE_SHARE or wish.departures == "stated")
            table.add_row(
                name,
                str(len(report.visits)),
                *(f"{report.policies[policy].cost:.2f}" for policy in (CHARGEYARD, "least_laxity_first", "uncontrolled")),
                f"{100 * ours.unmet_kwh / need_kwh:.2f}",
                f"{100 * feasible:.2f}",
                str(ours.vehicles_late),
                verdict,
                str(night.plans),
                f"{spent[0]:.0f}",
            )
    Console(width=140).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
