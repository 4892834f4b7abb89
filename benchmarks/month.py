"""A month of nights and its bill: what a peak target chosen from the month before is worth.

    python -m benchmarks.month [--seed 1] [--months 5] [--nights 21] [--tightness 1.5]

Invented nights of 38 to 60 vehicles behind one connection of 1.5 times the least peak of the hungriest night; 18 a kW for the month's
highest quarter of an hour. Each month is billed as a whole; the target knows the nights of the month before and nothing else.
The bound knows the month. One line a way, means over the months, each beside its own bound.
Exit 1 where the target's bill is more than 2 % above the bound in one month.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.invented_depots import RATE_PER_KW_MONTH, night
from optimizer import Problem, min_peak_kw, plan
from optimizer.baselines import equal_share, least_laxity_first, uncontrolled
from optimizer.evaluate import evaluate
from optimizer.month import end_to_end, peak_target, with_target

FEWEST, MOST = 38, 60
MOST_ABOVE_BOUND_PCT = 2.0

Way = Callable[[Problem, float, int], np.ndarray]
"""(a night whose demand charge is the month's, peak of the month so far in kW, nights that are left) to powers."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--months", type=int, default=5)
    parser.add_argument("--nights", type=int, default=21)
    parser.add_argument("--tightness", type=float, default=1.5)
    arguments = parser.parse_args()
    bills: dict[str, list[tuple[float, float, float, float]]] = {}
    targets: list[tuple[float, float]] = []
    chosen_s = 0.0
    for n in range(arguments.months):
        seed = arguments.seed + n
        limit_kw = _limit_kw(seed, arguments)
        before, these = (month(seed, part, arguments.nights, limit_kw) for part in ("before", "this"))
        began = time.perf_counter()
        target = peak_target(before, nights_ahead=arguments.nights)
        chosen_s = max(chosen_s, time.perf_counter() - began)
        whole = end_to_end(these)
        bound = plan(whole, direct=True, deadline_s=120)
        targets.append((target.peak_kw, bound.peak_kw))
        for name, way in ways(target.peak_kw, before, arguments.nights).items():
            bills.setdefault(name, []).append(billed(these, way, bound.cost))
        bills.setdefault("perfect foresight", []).append((bound.energy_cost, bound.demand_cost, bound.peak_kw, 0.0))
        print(
            f"month {seed}: limit {limit_kw:.0f} kW, target {target.peak_kw:.0f} kW, right would be {bound.peak_kw:.0f} kW", file=sys.stderr
        )
    table = Table(title=f"{arguments.months} months of {arguments.nights} nights, limit {arguments.tightness} x", title_justify="left")
    for title in ("way", "energy", "demand", "bill", "peak kW", "above the bound %", "worst"):
        table.add_column(title, justify="left" if title == "way" else "right")
    for name, rows in bills.items():
        energy, demand, peak, above = np.array(rows).mean(axis=0)
        worst = max(row[3] for row in rows)
        table.add_row(name, f"{energy:,.0f}", f"{demand:,.0f}", f"{energy + demand:,.0f}", f"{peak:.0f}", f"{above:.2f}", f"{worst:.2f}")
    Console(width=110).print(table)
    print(f"a target is chosen in {chosen_s:.1f} s at most; target / right peak: {', '.join(f'{a / b:.3f}' for a, b in targets)}")
    return 0 if max(row[3] for row in bills["month's target"]) <= MOST_ABOVE_BOUND_PCT else 1


def month(seed: int, part: str, nights: int, limit_kw: float) -> list[Problem]:
    """Its nights: another fleet each, weekly rhythm, the month's demand charge on each."""
    rng = np.random.default_rng([seed, 0 if part == "before" else 1])
    base = 10_000 * seed + (0 if part == "before" else 500)
    found = []
    for n in range(nights):
        vehicles = int(rng.integers(FEWEST, MOST + 1))
        found.append(replace(night(base + n, vehicles=vehicles, limit_kw=limit_kw), demand_charge_per_kw=RATE_PER_KW_MONTH))
    return [_alike(problem) for problem in found]


def _alike(problem: Problem) -> Problem:
    """Nights of one depot have the same feeders, however many vehicles came."""
    vehicles = tuple(replace(v, feeder=0) for v in problem.vehicles)
    feeder = replace(problem.feeders[0], id="F0", limit_kw=np.full(problem.n_slots, 1e5))
    return replace(problem, vehicles=vehicles, feeders=(feeder,))


def _limit_kw(seed: int, arguments: argparse.Namespace) -> float:
    """``tightness`` times the least peak of the hungriest night of the month before."""
    return float(np.ceil(arguments.tightness * max(min_peak_kw(n) for n in month(seed, "before", arguments.nights, 1e6))))


def ways(target_kw: float, before: list[Problem], nights: int) -> dict[str, Way]:
    """By their names in the table."""
    share = 1 / nights

    def priced(problem: Problem, rate: float, free_kw: float) -> np.ndarray:
        priced = replace(problem, demand_charge_per_kw=rate * problem.demand_charge_per_kw)
        return plan(with_target(priced, free_kw), direct=True).power_kw

    def anew(problem: Problem, so_far_kw: float, left: int) -> np.ndarray:
        free = [replace(night, mtd_peak_kw=so_far_kw) for night in before]
        chosen = peak_target(free, nights_ahead=left, most_nights=6)
        return priced(problem, 1.0, max(chosen.peak_kw, so_far_kw))

    return {
        "uncontrolled (breaks the limit)": lambda p, _so_far, _left: uncontrolled(p),
        "equal share": lambda p, _so_far, _left: equal_share(p),
        "least laxity first": lambda p, _so_far, _left: least_laxity_first(p),
        "plan, whole rate, no memory": lambda p, _so_far, _left: priced(p, 1.0, 0.0),
        "plan, whole rate, peak so far": lambda p, so_far, _left: priced(p, 1.0, so_far),
        "plan, a night's share, no memory": lambda p, _so_far, _left: priced(p, share, 0.0),
        "plan, a night's share, peak so far": lambda p, so_far, _left: priced(p, share, so_far),
        "plan, no demand charge": lambda p, _so_far, _left: priced(p, 0.0, 0.0),
        "month's target": lambda p, so_far, _left: priced(p, 1.0, max(target_kw, so_far)),
        "month's target, a night's share above": lambda p, so_far, _left: priced(p, share, max(target_kw, so_far)),
        "month's target, 10 % lower": lambda p, so_far, _left: priced(p, 1.0, max(0.9 * target_kw, so_far)),
        "month's target, 10 % higher": lambda p, so_far, _left: priced(p, 1.0, max(1.1 * target_kw, so_far)),
        "month's target, chosen anew each night": anew,
    }


def billed(nights: list[Problem], way: Way, bound: float) -> tuple[float, float, float, float]:
    """Energy, demand, peak kW, and how much the bill is above ``bound``, in %."""
    energy = peak_kw = 0.0
    background_kw = 0.0
    for n, problem in enumerate(nights):
        power = way(problem, peak_kw, len(nights) - n)
        verdict = evaluate(problem, power)
        energy += verdict.energy_cost
        peak_kw = max(peak_kw, verdict.peak_kw)
        background_kw = max(background_kw, float(problem.background_kw.max()))
    demand = RATE_PER_KW_MONTH * max(0.0, peak_kw - background_kw)
    return energy, demand, peak_kw, 100 * ((energy + demand) / bound - 1)


if __name__ == "__main__":
    sys.exit(main())
