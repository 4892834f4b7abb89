"""What another way of charging would do to a pack's years: the same curve of fade, walked faster or slower.

    chemistry, °C, use, factors of the fleet --pace--> loss a year, calendar and cycles --ratio of two ways--> years gained

The pace comes from the shipped table of cell models (:mod:`optimizer.life_table`), times the factors that a fleet's own packs have shown
(:mod:`bms_bridge.life.calibration`). Remaining years are stretched by the ratio of the paces: an inference from models, nobody has
measured it
on these packs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.life_table import GENTLE_C, MODEL_OF, rates_of

HOURS_A_DAY = 24.0


@dataclass(frozen=True, slots=True)
class Use:
    """How a pack is used. ``temp_c``: of its cells, mean. ``top_soc``: state of charge when it is ready; ``depth``: what a day takes of
    it (a share of the
    capacity). ``full_hours``: how long it waits at the top each day. ``rate_c``: mean charging rate, capacities an hour.
    ``soc_offset``: by so much the measured mean state of charge lies above that of such days."""

    chemistry: str
    temp_c: float = 30.0
    cycles_per_year: float = 250.0
    top_soc: float = 1.0
    depth: float = 0.6
    full_hours: float = 8.0
    rate_c: float = 0.25
    soc_offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Policy:
    """``words``: what is done otherwise; ``stretch``: remaining years are so many times as long."""

    words: str
    stretch: float


def day_mean_soc(use: Use) -> float:
    """Mean state of charge of such a day: at the top while it waits, half of the day's depth below it else."""
    waiting = use.full_hours / HOURS_A_DAY
    return waiting * use.top_soc + (1 - waiting) * max(use.top_soc - 0.5 * use.depth, 0.0)


def pace(use: Use, factors: tuple[float, float] = (1.0, 1.0)) -> float:
    """Loss a year, a share of nominal. ``factors``: calendar and cycle ageing beside the table. KeyError: nothing is known of the
    chemistry."""
    rates = rates_of(MODEL_OF[use.chemistry.upper()], use.temp_c)
    mean_soc = min(max(day_mean_soc(use) + use.soc_offset, 0.0), 1.0)
    fast = 1 + float(rates.steep_per_c) * max(use.rate_c - GENTLE_C, 0.0)
    return factors[0] * float(rates.at_empty + rates.per_soc * mean_soc) + factors[1] * use.cycles_per_year * float(rates.cycle) * fast


def policies(use: Use, factors: tuple[float, float] = (1.0, 1.0)) -> tuple[Policy, ...]:
    """What can be done otherwise and changes something, best first. KeyError as of :func:`pace`."""
    ways: dict[str, Use] = {}
    lower = round(use.top_soc - 0.1, 3)
    if lower >= max(use.depth + 0.1, 0.5):
        ways[f"{lower:.0%} instead of {use.top_soc:.0%} when ready"] = replace(use, top_soc=lower)
    if use.full_hours > 1:
        ways[f"ready 1 h instead of {use.full_hours:g} h before it leaves"] = replace(use, full_hours=1.0)
    if use.rate_c > GENTLE_C:
        ways[f"charged at {GENTLE_C:g} C instead of {use.rate_c:g} C"] = replace(use, rate_c=GENTLE_C)
    ways[f"5 °C cooler ({use.temp_c - 5:g} °C)"] = replace(use, temp_c=use.temp_c - 5)
    now = pace(use, factors)
    return tuple(sorted((Policy(words, now / pace(way, factors)) for words, way in ways.items()), key=lambda policy: -policy.stretch))


def checked(use: Use) -> Sequence[str]:
    """What cannot be about it, one sentence each."""
    found = []
    limits: Mapping[str, tuple[float, float, float]] = {
        "--temp": (use.temp_c, -30, 70),
        "--cycles-per-year": (use.cycles_per_year, 0, 5_000),
        "--top": (use.top_soc, 0.3, 1),
        "--depth": (use.depth, 0.01, 1),
        "--full-hours": (use.full_hours, 0, HOURS_A_DAY),
        "--rate": (use.rate_c, 0, 10),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            found.append(f"{name} is {value:g}; it lies between {low:g} and {high:g}")
    if use.depth > use.top_soc:
        found.append("--depth is more than --top leaves")
    return found
