"""How fast and how exact plans are, beside a raw HiGHS build of the same model (benchmarks/raw_plan.py) in the same run.

    ./chargeyard bench optimizer [--data DIR] [--json FILE] [--quick]          (or: python -m benchmarks.plan_speed)

cold     one plan from nothing: from a problem that nothing is known of yet to its powers, costs and peak
tick     the same depot a quarter of an hour later each time, begun at the last plan's end; vehicles come and go, needs and prices
         move. Both sides keep their own last basis
memory   the most that a process of its own has held after a plan of 1,000 vehicles and some ticks
all      the same with everything that a plan can know switched on
random   small random depots: objective against the raw model, and the first hour's minimum powers against a mixed-integer model
lag      how late the controller's loop is while it has 1,000 vehicles planned (benchmarks/plan_lag.py)
data     the scenario files in DIR/scenarios, where they are given

Times are seconds of the clock, ours and raw by turns, so that what else the machine does meets both; ``cpu``: the processor's
seconds of ours, which a busy machine distorts less. Exit 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from benchmarks import raw_plan
from benchmarks.make_scenarios import everything
from benchmarks.plan_depots import Night, Scenario, mixed, random_depot
from optimizer import Policy, Replanner, arrays, plan
from optimizer.cell_bounds import SHORT_KWH
from optimizer.planning import costs_of
from optimizer.scenario import read

DEADLINE_S = 120.0
SIZES = (50, 200, 1000)
LARGE = 5000
SEED = 1
TICKS = 80
EXACT = 1e-3
"""Of the objective: how far a plan may be from the raw model's."""

SAME = 1e-6
"""The same where both solve the same relaxed model."""

WHOLE_S = 2.0
"""What a mixed-integer model gets to close."""


@dataclass(slots=True)
class Goal:
    """A number of this run and what it may be at most."""

    name: str
    value: float
    most: float

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.value <= self.most


@dataclass(slots=True)
class Pair:
    """Seconds of the same work, ours and raw by turns, and how far the objectives are apart."""

    name: str
    ours: list[float]
    raw: list[float]
    apart: float = 0.0
    cpu: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.ours) / statistics.median(self.raw)

    def said(self) -> dict[str, object]:
        """For people and for JSON."""
        numbers = {
            f"{side}_{name}": f(getattr(self, side))
            for side in ("ours", "raw")
            for name, f in (("median", statistics.median), ("max", max))
        }
        return {
            "name": self.name,
            "cpu_median": round(statistics.median(self.cpu), 4),
            **{k: round(v, 4) for k, v in numbers.items()},
            "ratio": round(self.ratio, 3),
            "apart": self.apart,
        }


def timed(work: Callable[[], Any], pair: Pair | None = None) -> tuple[float, Any]:
    """Seconds, and what came of it; ``pair``: whose own work it is."""
    began, cpu = perf_counter(), process_time()
    found = work()
    took, cpu = perf_counter() - began, process_time() - cpu
    if pair is not None:
        pair.ours.append(took)
        pair.cpu.append(cpu)
    return took, found


def apart(mine: float, theirs: float) -> float:
    """How much dearer, as a share."""
    return (mine - theirs) / max(abs(theirs), 1e-9)


def cold(scenario: Scenario, repeats: int) -> Pair:
    """Plans from nothing. Reading the file is nobody's time; what the problem finds out about itself is ours."""
    problem, depot = read(scenario), raw_plan.Depot.read(scenario)
    pair = Pair(f"cold {len(problem.vehicles)}", [], [])
    for _ in range(repeats):
        fresh = replace(problem)
        _, found = timed(partial(plan, fresh, deadline_s=DEADLINE_S), pair)
        seconds, solved = timed(partial(raw_plan.solve, depot))
        pair.raw.append(seconds)
        pair.apart = max(pair.apart, abs(apart(raw_plan.objective_of(depot, found.power_kw), solved.objective)))
    return pair


def ticks(scenario: Scenario, count: int) -> tuple[Pair, Pair]:
    """A night, tick by tick: both from their last basis; and ours from nothing at every tick, for comparison."""
    night, replanner = Night(scenario, seed=SEED), Replanner()
    vehicles = len(scenario["vehicles"])
    ticker = raw_plan.Ticker(vehicles, scenario["n_slots"] * 2, len(scenario["site"]["feeders"]))
    warm, again = Pair(f"tick {vehicles}", [], []), Pair(f"tick {vehicles}, from nothing", [], [])
    for tick in range(min(count, scenario["n_slots"] - 4)):
        asked = night.asked()
        problem, depot = read(asked), raw_plan.Depot.read(asked)
        _, found = timed(partial(replanner.plan, problem, deadline_s=DEADLINE_S), warm if tick else None)
        solved = ticker.solve(depot, tick)
        if tick:
            warm.raw.append(solved.seconds)
            warm.apart = max(warm.apart, abs(apart(raw_plan.objective_of(depot, found.power_kw), solved.objective)))
        if tick % 8 == 1:
            timed(partial(plan, replace(problem), deadline_s=DEADLINE_S), again)
            again.raw.append(raw_plan.solve(depot).seconds)
        night.charge(asked, found.power_kw)
    return warm, again


def all_on(count: int, repeats: int) -> tuple[Pair, Pair]:
    """The depot with everything switched on (benchmarks/make_scenarios.py), as a depot asks: first hour rounded. Raw is HiGHS from
    nothing with the finished arrays of the whole model, every vehicle that may give in it; writing them is not counted. A tick here
    is three minutes of the first slot. How far objectives are apart is not said: ours asks only those to give for whom it pays."""
    problem = everything(count, seed=SEED)
    cold_pair, warm = Pair(f"all {count}", [], []), Pair(f"all {count}, tick", [], [])
    replanner = Replanner()
    for tick in range(repeats):
        asked = replace(
            problem,
            first_slot_fraction=1.0 - 0.2 * (tick % 5),
            vehicles=tuple(replace(v, energy_kwh=v.energy_kwh * (1 - 0.004 * tick)) for v in problem.vehicles),
        )
        compiled = arrays.build(asked, costs_of(asked, Policy.CHEAPEST))
        seconds = timed(lambda compiled=compiled: raw_plan.model_of(compiled).run())[0]
        for pair in (warm,) if tick else (cold_pair,):
            timed(partial(replanner.plan, replace(asked), deadline_s=DEADLINE_S, round_minimum=True), pair)
            pair.raw.append(seconds)
    return cold_pair, warm


def memory_mb(whose: str) -> float:
    """The most that a process held which has planned 1,000 vehicles and six ticks."""
    command = [sys.executable, "-m", "benchmarks.plan_speed", "--memory", whose]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parents[1])
    return float(done.stdout)


def use_memory(whose: str) -> float:
    """What :func:`memory_mb` starts."""
    scenario = mixed(1000, seed=SEED)
    night, replanner, ticker = Night(scenario, seed=SEED), Replanner(), raw_plan.Ticker(1000, 2 * scenario["n_slots"], 40)
    for tick in range(6):
        asked = night.asked()
        if whose == "ours":
            power = replanner.plan(read(asked), deadline_s=DEADLINE_S).power_kw
        else:
            power = ticker.solve(raw_plan.Depot.read(asked), tick).power
        night.charge(asked, power)
    status = Path("/proc/self/status").read_text(encoding="ascii")  # ru_maxrss would be that of the process which started this one, too
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]  # Linux always tells it


@dataclass(slots=True)
class Exactness:
    """Random depots: the worst distance to the raw model; of minimum powers, to the mixed-integer model where that closed, and
    how many are further away than 0.1 %. Nobody goes short for a minimum in either; where that cannot be, no model closes."""

    depots: int
    worst: float
    whole_closed: int
    whole_clean: int
    whole_worst: float
    whole_beyond: int


def exactness(count: int) -> Exactness:
    """``count`` random depots."""
    found = Exactness(count, 0.0, 0, 0, 0.0, 0)
    for seed in range(count):
        scenario = random_depot(seed)
        problem, depot = read(scenario), raw_plan.Depot.read(scenario)
        best, relaxed = raw_plan.solve(depot).objective, plan(problem, deadline_s=DEADLINE_S)
        found.worst = max(found.worst, apart(raw_plan.objective_of(depot, relaxed.power_kw), best))
        whole = raw_plan.solve_whole(depot, seconds=WHOLE_S, most_missing=relaxed.unmet_kwh + SHORT_KWH)
        if whole is None:
            continue
        found.whole_closed += 1
        power = plan(problem, deadline_s=DEADLINE_S, round_minimum=True).power_kw
        soon = problem.starts_h < 1 - 1e-9
        if not ((power > 1e-6) & (power < depot.least[:, None] - 1e-6) & soon).any():
            found.whole_clean += 1
            dearer = apart(raw_plan.objective_of(depot, power), whole.objective)
            found.whole_worst = max(found.whole_worst, dearer)
            found.whole_beyond += dearer > EXACT
    return found


def lag_ms(vehicles: int) -> dict[str, float]:
    """Of the controller's loop, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.plan_lag", "--vehicles", str(vehicles), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parents[1])
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said


def goals_of(pairs: dict[str, Pair], memory: dict[str, float], exact: Exactness, lag: dict[str, float]) -> list[Goal]:
    """What the run shall show (issue 8)."""
    big, tick = pairs["cold 1000"], pairs["tick 1000"]
    worst = max(pair.apart for pair in pairs.values())
    found = [
        Goal("cold 1000: median s", statistics.median(big.ours), 0.8),
        Goal("cold 1000: × raw", big.ratio, 2.5),
        Goal("tick 1000: median s", statistics.median(tick.ours), 0.12),
        Goal("tick 1000: max s", max(tick.ours), 0.3),
        Goal("tick 1000: × raw's tick", tick.ratio, 1.5),
        Goal("all 1000: median s", statistics.median(pairs["all 1000"].ours), 6.0),
        Goal("all 1000: × raw", pairs["all 1000"].ratio, 2.0),
        Goal("all 1000, tick: median s", statistics.median(pairs["all 1000, tick"].ours), 1.5),
        Goal("memory 1000: MB", memory["ours"], 400.0),
        Goal("objective beside raw, big depots", worst, SAME),
        Goal("objective beside raw, random depots", exact.worst, EXACT),
        Goal("minimum powers beside mixed-integer", exact.whole_worst, EXACT),
        Goal("loop lag p99, ms", lag["p99_ms"], 50.0),
    ]
    if f"cold {LARGE}" in pairs:
        found.append(Goal(f"cold {LARGE}: max s", max(pairs[f"cold {LARGE}"].ours), 6.0))
    return found


def show(pairs: list[Pair], goals: list[Goal], console: Console) -> None:
    """Both tables."""
    table = Table(title=f"plans beside raw HiGHS (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    for title in ("", "ours s", "max", "cpu", "raw s", "max", "ratio", "objective apart"):
        table.add_column(title, justify="right" if title else "left")
    for pair in pairs:
        ours, raw = statistics.median(pair.ours), statistics.median(pair.raw)
        numbers = (f"{s:.3f}" for s in (ours, max(pair.ours), statistics.median(pair.cpu), raw, max(pair.raw)))
        table.add_row(pair.name, *numbers, f"{pair.ratio:.2f}", f"{pair.apart:.1e}")
    console.print(table)
    table = Table(title="goals")
    for title in ("", "here", "at most", ""):
        table.add_column(title, justify="right" if title else "left")
    for goal in goals:
        table.add_row(goal.name, f"{goal.value:.3g}", f"{goal.most:g}", "met" if goal.met else "[red]missed[/]")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with scenarios/*.json")
    parser.add_argument("--json", type=Path, help="write everything to this file, too")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, no 5,000 vehicles")
    parser.add_argument("--memory", choices=("ours", "raw"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(use_memory(arguments.memory))
        return 0
    console = Console(width=120)
    plan(read(mixed(10, seed=SEED)))  # first use
    pairs: list[Pair] = []
    for count in SIZES:
        scenario = mixed(count, seed=SEED)
        pairs.append(cold(scenario, 3 if arguments.quick else 7))
        pairs += ticks(scenario, 12 if arguments.quick else TICKS)
    pairs += all_on(1000, 3 if arguments.quick else 6)
    if not arguments.quick:
        pairs.append(cold(mixed(LARGE, seed=SEED), 2))
    by_name = {pair.name: pair for pair in pairs}
    memory = {whose: memory_mb(whose) for whose in ("ours", "raw")}
    exact = exactness(40 if arguments.quick else 200)
    lag = lag_ms(1000)
    for file in sorted((arguments.data / "scenarios").glob("*.json")) if arguments.data else ():
        pair = cold(json.loads(file.read_text(encoding="utf-8")), 3)
        pair.name = f"cold {file.stem}"
        pairs.append(pair)
    goals = goals_of(by_name, memory, exact, lag)
    show(pairs, goals, console)
    console.print(f"memory: ours {memory['ours']:.0f} MB, raw {memory['raw']:.0f} MB. Random depots: {exact}. Loop: {lag}")
    if arguments.json:
        said = {"pairs": [p.said() for p in pairs], "goals": [asdict(g) | {"met": g.met} for g in goals]}
        said |= {"memory_mb": memory, "random": asdict(exact), "lag": lag}
        arguments.json.write_text(json.dumps(said, indent=1), encoding="utf-8")
    return 0 if all(goal.met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
