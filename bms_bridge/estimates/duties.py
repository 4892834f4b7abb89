"""What a pack does today, out of the record of its life, so that the twin can go on with it. Pure.

record of its life, nominal Ah --habit()--> Habit: full cycles a year, mean temperature        Habit --present()--> Duty

The record counts what the depot's samples show. Its temperature is that of the hottest sensor: taken as what is around the pack it holds
the pack's own heat twice, so the twin ages it a little too fast rather than too slowly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bms_bridge.lake.lifetime import TEMPERATURES_C, Life
from bms_bridge.twin.day import DAYS_PER_YEAR
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
COLDEST_C, WARMEST_C = -20.0, 55.0


@dataclass(frozen=True, slots=True)
class Habit:
    """``cycles_a_year``: full cycles; ``mean_c``: °C, over the time that was seen; ``seen``: share of the time; ``days``: of the record.
    ``why_not``: why there is none, the numbers mean nothing then."""

    cycles_a_year: float = 0.0
    mean_c: float = 0.0
    seen: float = 0.0
    days: float = 0.0
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
    return Habit(cycles, mean_c, seen, days)


def mean_temperature_c(life: Life) -> tuple[float, float]:
    """Mean over the hours that were told, by the middles of the record's bins (the outer ones by their edges), and those hours."""
    middles = [TEMPERATURES_C[0], *((low + high) / 2 for low, high in pairwise(TEMPERATURES_C)), TEMPERATURES_C[-1]]
    seconds = sum(life.temperature_s)
    if seconds <= 0:
        return math.nan, 0.0
    return sum(s * c for s, c in zip(life.temperature_s, middles, strict=True)) / seconds, seconds / 3600


def present(found: Habit, *, times: float = 1.0) -> Duty | None:
    """Its days as a duty: charged and driven as often as its full cycles need; None where it does more than that can play. ``times``:
    energy asked beside what as many full cycles hold at the nominal voltage (a pack that is used near full has a higher one)."""
    daily = times * found.cycles_a_year / DAYS_PER_YEAR
    rounds = max(1, math.ceil(daily / ROUND))
    if rounds > MOST_ROUNDS:
        return None
    part = (
        (CHARGE_H / rounds, daily / CHARGE_H),
        (PAUSE_H / rounds, 0.0),
        (DRIVE_H / rounds, -daily / DRIVE_H),
        (REST_H / rounds, 0.0),
    )
    return Duty(
        PRESENT,
        part * rounds,
        (min(max(found.mean_c, COLDEST_C), WARMEST_C),),
        f"as today: {found.cycles_a_year:.0f} full cycles a year at {found.mean_c:.0f} °C",
    )
