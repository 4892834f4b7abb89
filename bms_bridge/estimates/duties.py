"""What a pack does today, out of the record of its life, so that the twin can go on with it. Pure.

record of its life, nominal Ah --habit()--> Habit: full cycles a year, temperature, rate, charge        Habit --present()--> Duty

The record counts what the depot's samples show. Its temperature is the mean of all sensors where those were counted for as long as it
takes, else that of the hottest one. Either is the pack's, not its surroundings': :func:`fitted` takes off what the twin's own run says
that the duty warms it by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from bms_bridge.lake.lifetime import C_RATES, SOCS, TEMPERATURES_C, Life
from bms_bridge.twin.day import DAYS_PER_YEAR, Lanes, run_day
from bms_bridge.twin.duty import Duty

LEAST_DAYS: Final = 30.0
LEAST_WARM_H: Final = 100.0
LEAST_SEEN: Final = 0.5
"""Share of its time that was seen, from which a record's temperature is that of its past."""

PRESENT: Final = "present"
ROUND: Final = 0.75
"""Share of its capacity that one charge brings at most; a pack that does more in a day is charged more often."""

MOST_ROUNDS: Final = 6
CHARGE_H, PAUSE_H, DRIVE_H, REST_H = 5.0, 1.0, 16.0, 2.0
SHORTEST_H, LONGEST_H = 0.25, 16.0
COLDEST_C, WARMEST_C = -20.0, 55.0
LEAST_CHARGE_S = 3600.0
"""As much charge as one capacity, from which on the rate of charging is known."""

HIGHEST, LEAST_TOP = 0.98, 0.5


@dataclass(frozen=True, slots=True)
class Habit:
    """``cycles_a_year``: full cycles; ``mean_c``: °C of the pack, over the time that was seen (``hottest``: of its hottest sensor);
    ``seen``: share of the time; ``days``: of the record; ``c_rate``: of charging, each Ah counting alike; ``top_soc``: below it is all but
    a fiftieth of its time; None: not known. ``why_not``: why there is none, the numbers mean nothing then."""

    cycles_a_year: float = 0.0
    mean_c: float = 0.0
    seen: float = 0.0
    days: float = 0.0
    hottest: bool = True
    c_rate: float | None = None
    top_soc: float | None = None
    why_not: str = ""


def habit(life: Life | None, nominal_ah: float | None) -> Habit:
    """Of a pack whose record is ``life``."""
    if life is None or not life.first_us:
        return Habit(why_not="the lake has no record of its life yet")
    if nominal_ah is None:
        return Habit(why_not="its capacity when new is not known")
    days = (life.last_us - life.first_us) / 1e6 / 86_400
    if days < LEAST_DAYS:
        return Habit(why_not=f"it was heard of for {days:.0f} days; {LEAST_DAYS:.0f} are needed to know what it does")
    mean_c, hours = mean_temperature_c(life)
    if hours < LEAST_WARM_H:
        return Habit(why_not=f"its temperature was told for {hours:.0f} h; {LEAST_WARM_H:.0f} are needed")
    cycles = life.charge_in_ah / nominal_ah / days * DAYS_PER_YEAR
    if cycles < 1:
        return Habit(why_not="it was charged less than one full cycle a year")
    seen = life.seen_s / max(life.seen_s + life.unseen_s, 1.0)
    hottest = life.mean_temperature_s < LEAST_WARM_H * 3600
    return Habit(cycles, mean_c, seen, days, hottest, mean_c_rate(life), highest_soc(life))


def mean_temperature_c(life: Life) -> tuple[float, float]:
    """Mean over the hours that were told, and those hours: of all sensors where they were counted for long enough, else of the hottest
    one, by the middles of the record's bins (the outer ones by their edges)."""
    if life.mean_temperature_s >= LEAST_WARM_H * 3600:
        return life.mean_temperature_cs / life.mean_temperature_s, life.mean_temperature_s / 3600
    middles = [TEMPERATURES_C[0], *((low + high) / 2 for low, high in pairwise(TEMPERATURES_C)), TEMPERATURES_C[-1]]
    seconds = sum(life.temperature_s)
    if seconds <= 0:
        return math.nan, 0.0
    return sum(s * c for s, c in zip(life.temperature_s, middles, strict=True)) / seconds, seconds / 3600


def mean_c_rate(life: Life) -> float | None:
    """Capacities an hour at which its charge came in, each Ah counting alike; what is slower than the first bin is rest. None: not told."""
    middles = [*((low + high) / 2 for low, high in pairwise(C_RATES)), C_RATES[-1]]
    hours = life.charge_rate_s[1:]
    charge = sum(s * c for s, c in zip(hours, middles, strict=True))
    return sum(s * c * c for s, c in zip(hours, middles, strict=True)) / charge if charge >= LEAST_CHARGE_S else None


def mean_soc(life: Life) -> float | None:
    """Mean state of charge over the time that was seen; None: not told."""
    edges, seconds = (0.0, *SOCS, 1.0), sum(life.soc_s)
    if seconds < LEAST_WARM_H * 3600:
        return None
    return sum(s * (low + high) / 2 for s, (low, high) in zip(life.soc_s, pairwise(edges), strict=True)) / seconds


def highest_soc(life: Life) -> float | None:
    """The state of charge below which it is for 49 of 50 hours, evenly within a bin; None: not told, or too low to be one."""
    edges, seconds = (0.0, *SOCS, 1.0), sum(life.soc_s)
    if seconds < LEAST_WARM_H * 3600:
        return None
    left = (1 - HIGHEST) * seconds
    for s, (low, high) in reversed(list(zip(life.soc_s, pairwise(edges), strict=True))):
        if s >= left:
            found = high - (high - low) * left / s
            return found if found >= LEAST_TOP else None
        left -= s
    return None


def present(found: Habit, *, times: float = 1.0, warmer_k: float = 0.0) -> Duty | None:
    """Its days as a duty: charged and driven as often as its full cycles need; None where it does more than that can play. ``times``:
    energy asked beside what as many full cycles hold at the nominal voltage (a pack that is used near full has a higher one).
    ``warmer_k``: by so much the duty warms the pack above its surroundings."""
    daily = times * found.cycles_a_year / DAYS_PER_YEAR
    rounds = max(1, math.ceil(daily / ROUND))
    if rounds > MOST_ROUNDS:
        return None
    charge_h = CHARGE_H if found.c_rate is None else min(max(daily / found.c_rate, SHORTEST_H * rounds), LONGEST_H)
    part = (
        (charge_h / rounds, daily / charge_h),
        (PAUSE_H / rounds, 0.0),
        ((DRIVE_H + CHARGE_H - charge_h) / rounds, -daily / (DRIVE_H + CHARGE_H - charge_h)),
        (REST_H / rounds, 0.0),
    )
    around_c = found.mean_c - warmer_k
    return Duty(
        PRESENT,
        part * rounds,
        (min(max(around_c, COLDEST_C), WARMEST_C),),
        f"as today: {found.cycles_a_year:.0f} full cycles a year, the pack at {found.mean_c:.0f} °C in the mean"
        + (" (its hottest sensor)" if found.hottest else ""),
        **({} if found.top_soc is None else {"top_soc": found.top_soc}),
    )


def fitted(found: Habit, chemistry: str, *, most_times: float) -> Duty | None:
    """:func:`present` as the twin's own day says: with as much energy as brings the full cycles of the record, and around it what leaves
    the record's temperature. ``chemistry``: one that the twin knows. None: it does more than can be played."""
    duty = present(found)
    if duty is None:
        return None
    day = run_day(Lanes([chemistry], [duty], np.zeros(1, dtype=np.intp), np.ones(1), np.ones(1)))
    got = float(day.full_cycles[0]) * DAYS_PER_YEAR
    times = min(max(found.cycles_a_year / max(got, 1e-9), 1.0), most_times)
    return present(found, times=times, warmer_k=max(float(day.mean_c[0]) - duty.ambient_c[0], 0.0))
