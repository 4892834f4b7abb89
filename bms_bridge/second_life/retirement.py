"""When a pack leaves its vehicle: when that is worth most, and when its range ends. Not a fixed 80 %.

    years in the vehicle x what is left then, of each year --> the year with the highest total; the year in which the range ends

Of each year that could be the one: what the vehicle earns until then (while the range that it needs is there), and the residual value
of the health that it has then, both as of today. The range ends where usable energy falls below what the vehicle must have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bms_bridge.second_life.assumptions import Assumptions
from bms_bridge.second_life.grading import TEST_REQUIRED, Graded
from bms_bridge.second_life.retired import Retired
from bms_bridge.second_life.worth import Way, drawn, recycling_value, twin_pack, ways
from bms_bridge.twin.ageing import known_chemistries
from bms_bridge.twin.duty import shipped
from bms_bridge.twin.years import outlook

MOST_YEARS: Final = 10
MEMBERS: Final = 128
LEAST_SERVED: Final = 0.9
"""Nobody is advised to keep a pack whose range is gone in more than one case of ten."""

VEHICLE_DUTY: Final = "depot-bus"


@dataclass(frozen=True, slots=True)
class Choice:
    """Leaving after ``year``: health then (P50), value in the vehicle until then and outside after, paise as of today (P50), and the best
    use outside. ``served``: share of members whose range still holds;
    ``carbon_kg``: CO2e that both uses save beside recycling now (P50)."""

    year: int
    soh: float
    in_vehicle_paise: int
    outside_paise: int
    outside: str
    served: float
    carbon_kg: int

    @property
    def total_paise(self) -> int:
        """Both together."""
        return self.in_vehicle_paise + self.outside_paise


@dataclass(frozen=True, slots=True)
class Advice:
    """``best``: None: nothing can be advised, ``text`` says why. ``range_ends``: years from now, P10, P50, P90 of when usable energy falls
    below the need; inf: not within :data:`MOST_YEARS`; None: no need is known."""

    text: str
    best: Choice | None = None
    choices: tuple[Choice, ...] = ()
    range_ends: tuple[float, float, float] | None = None


def advice(pack: Retired, found: Graded, given: Assumptions) -> Advice:
    """When to retire the pack."""
    if found.ruled_out:
        return Advice(f"Now, to recycling: {found.ruled_out[0]}.")
    if found.inspect:
        return Advice(f"Before anything else: {found.inspect[0]}.")
    if found.pack is None or pack.chemistry not in known_chemistries():
        return Advice("Nothing can be advised: its health, or how its chemistry ages, is not known.")
    run = outlook([twin_pack(pack, found)], [shipped()[VEHICLE_DUTY]], years=MOST_YEARS, members=MEMBERS)
    health, draws = run.member_health[0], drawn(given, MEMBERS)
    needed = (pack.needed_kwh or 0.0) / pack.capacity_kwh
    there = np.cumprod(health > needed, axis=0)
    discount = (1 + draws["discount_a_year"]) ** -(np.arange(MOST_YEARS)[:, None] + 0.5)
    yearly = (health[:-1] + health[1:]) / 2 * pack.capacity_kwh * there[1:] * draws["vehicle_per_kwh_year"] * discount
    years = range(MOST_YEARS + 1)
    soh = [float(np.median(health[year])) for year in years]
    then = [(_older(pack, year, float(run.full_cycles_a_year[0]) * year), _later(found, soh[year])) for year in years]
    outside = ways(then, given, draws, MEMBERS)
    recycled = Way(recycling_value(pack, draws, MEMBERS), np.zeros(MEMBERS), np.zeros(MEMBERS))
    choices = []
    for year in years:
        name, way = max([("recycling", recycled), *outside[year].items()], key=lambda pair: float(np.median(pair[1].value)))
        used_years = there[1 : year + 1].sum(axis=0)
        carbon = pack.capacity_kwh * draws["carbon_new_kg_per_kwh"] * used_years / draws["new_pack_years"] + way.carbon_kg
        late = way.value * (1 + draws["discount_a_year"]) ** -float(year)
        inside = round(100 * float(np.median(yearly[:year].sum(axis=0))))
        served = float(there[year].mean())
        choices.append(Choice(year, soh[year], inside, round(100 * float(np.median(late))), name, served, round(float(np.median(carbon)))))
    can = [choice for choice in choices if choice.served >= LEAST_SERVED] or choices[:1]
    best = max(can, key=lambda choice: (choice.total_paise, -choice.year))
    ends = None
    if pack.needed_kwh:
        first = np.where(there.all(axis=0), np.inf, there.argmin(axis=0).astype(np.float64))
        ordered = np.sort(first)
        ends = (float(ordered[round(0.1 * (MEMBERS - 1))]), float(ordered[MEMBERS // 2]), float(ordered[round(0.9 * (MEMBERS - 1))]))
    return Advice(_sentence(best, ends, found, known=bool(pack.needed_kwh)), best, tuple(choices), ends)


def _later(found: Graded, soh: float) -> Graded:
    whole = found.pack
    assert whole is not None
    down = whole.soh - soh
    return replace(found, pack=replace(whole, soh=soh, low=max(whole.low - down, 0.0), high=max(whole.high - down, 0.0)))


def _older(pack: Retired, years: float, cycles: float) -> Retired:
    return replace(
        pack,
        age_years=None if pack.age_years is None else pack.age_years + years,
        full_cycles=None if pack.full_cycles is None else pack.full_cycles + cycles,
    )


def _sentence(best: Choice, ends: tuple[float, float, float] | None, found: Graded, *, known: bool) -> str:
    if best.year < MOST_YEARS:
        when = "now" if best.year == 0 else f"in {best.year} year{'' if best.year == 1 else 's'}"
        told = f"It is worth most to retire it {when} (about {best.soh:.0%} health), then to {best.outside.replace('-', ' ')}."
    else:
        told = f"It is worth most to keep it for {MOST_YEARS} years or more (about {best.soh:.0%} health then)."
    if ends is not None:
        words = [f"{end:.0f} years" if np.isfinite(end) else f"more than {MOST_YEARS} years" for end in ends]
        told += f" Its range ends in {words[1]}, in one case of ten in {words[0]}."
    if not known:
        told += " What its vehicle needs is not known (needed_kwh): its range may end sooner."
    return told + (" Have it tested first: the grade is not sure." if found.grade == TEST_REQUIRED else "")
