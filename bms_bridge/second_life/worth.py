"""Residual value of a retired pack: P10, P50, P90 for each application, beside recycling; and the carbon that a second life saves.

    grade, assumptions --the twin's members under the application's duty x draws of every assumption--> Worth

Of each draw: what usable capacity earns each year until the application's years are over or health falls below the backup band,
discounted, less a share for warranty that grows with the interval; less test and repacking, plus recycling at the end. A draw that
fails the test pays for it and is recycled; nobody pays more than for a new pack of as much energy. The best of them counts, or
recycling now. Money in paise (hundredths of the currency), whole pack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.second_life.assumptions import Application, Assumptions, Number
from bms_bridge.second_life.grading import Graded, fits
from bms_bridge.second_life.retired import Retired
from bms_bridge.twin.ageing import known_chemistries
from bms_bridge.twin.duty import shipped
from bms_bridge.twin.lump import Floats
from bms_bridge.twin.members import Pack
from bms_bridge.twin.years import outlook

MEMBERS: Final = 256
QUANTILES: Final = (0.1, 0.5, 0.9)
PAST_C: Final = 28.0
"""°C, of a past that is not told."""

OTHERS: Final = "recycling_per_kwh_others"
NAMES: Final = ("p10", "p50", "p90")


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to go on. Values P10, P50, P90 in paise for the whole pack; ``years`` of use; ``carbon_kg``: CO2e saved beside recycling now
    (P10, P50, P90); ``why_not``: "": it fits."""

    name: str
    text: str
    value_paise: tuple[int, int, int]
    years: tuple[float, float, float]
    carbon_kg: tuple[float, float, float]
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Worth:
    """``best``: name of the offer with the highest P50, or recycling. ``residual_paise``: of the best. ``unknown``: why no
    application could be reckoned ("": some could)."""

    offers: tuple[Offer, ...]
    recycling_paise: tuple[int, int, int]
    best: str
    residual_paise: tuple[int, int, int]
    unknown: str = ""


def worth(pack: Retired, found: Graded, given: Assumptions, *, members: int = MEMBERS) -> Worth:
    """What the pack is worth outside of its vehicle, now."""
    draws = drawn(given, members)
    recycling = recycling_value(pack, draws, members)
    low = _paise(recycling)
    if unknown := _unknown(pack, found):
        refused = tuple(Offer(one.name, one.text, (0, 0, 0), (0, 0, 0), (0, 0, 0), unknown) for one in given.applications.values())
        return Worth(refused, low, "recycling", low, unknown)
    (found_ways,) = ways([(pack, found)], given, draws, members)
    offers = []
    for application in given.applications.values():
        way = found_ways.get(application.name)
        if way is None:
            why_not = fits(pack, found, application)
            offers.append(Offer(application.name, application.text, (0, 0, 0), (0, 0, 0), (0, 0, 0), why_not))
        else:
            offers.append(Offer(application.name, application.text, _paise(way.value), _three(way.years), _three(way.carbon_kg)))
    fitting = [offer for offer in offers if not offer.why_not]
    best = max(fitting, key=lambda offer: offer.value_paise[1], default=None)
    if best is None or best.value_paise[1] <= low[1]:
        return Worth(tuple(offers), low, "recycling", low)
    return Worth(tuple(offers), low, best.name, best.value_paise)


@dataclass(frozen=True, eq=False, slots=True)
class Way:
    """Of each draw: value (currency), years of use, kg CO2e saved beside recycling now."""

    value: Floats
    years: Floats
    carbon_kg: Floats


def ways(packs: Sequence[tuple[Retired, Graded]], given: Assumptions, draws: Mapping[str, Floats], members: int) -> list[dict[str, Way]]:
    """Of each pack the applications that fit, by name; all of them in one run of the twin."""
    asked = [(i, one) for i, (pack, found) in enumerate(packs) for one in given.applications.values() if not fits(pack, found, one)]
    out: list[dict[str, Way]] = [{} for _ in packs]
    if not asked:
        return out
    duties, most = shipped(), max(one.years for _, one in asked)
    run = outlook([twin_pack(*packs[i]) for i, _ in asked], [duties[one.duty] for _, one in asked], years=most, members=members)
    for row, (i, application) in enumerate(asked):
        health, served = run.member_health[row, : application.years + 1], 1 - float(run.unserved[row].mean())
        out[i][application.name] = _way(*packs[i], given, application, draws, health, served)
    return out


def _way(
    pack: Retired,
    found: Graded,
    given: Assumptions,
    application: Application,
    draws: Mapping[str, Floats],
    health: Floats,
    served: float,
) -> Way:
    """``health`` [year, member], ``served``: share of what is asked."""
    alive = np.cumprod(health[1:] > given.limits["backup_soh"].value, axis=0)
    usable = (health[:-1] + health[1:]) / 2 * pack.capacity_kwh * alive
    year = np.arange(application.years)[:, None]
    discount = (1 + draws["discount_a_year"]) ** -(year + 0.5)
    earned = (usable * served * draws[f"earns:{application.name}"] * discount).sum(axis=0)
    whole = found.pack
    sd = (whole.high - whole.low) / (2 * 1.645) if whole is not None else 0.0
    earned = earned * np.maximum(1 - draws["warranty_share"] - draws["warranty_per_sd"] * sd, 0.0)
    costs = pack.capacity_kwh * (draws["test_per_kwh"] + draws["repack_per_kwh"])
    years = alive.sum(axis=0).astype(np.float64)
    recycled = recycling_value(pack, draws, health.shape[1])
    late = recycled * (1 + draws["discount_a_year"]) ** -years
    most = draws["new_pack_per_kwh"] * pack.capacity_kwh * health[0]
    passes = health[0] >= application.least_soh
    value = np.where(passes, np.minimum(earned - costs + late, most), recycled - pack.capacity_kwh * draws["test_per_kwh"])
    replaced = usable.sum(axis=0) / draws["new_pack_years"]
    saved = replaced * draws["carbon_new_kg_per_kwh"] * draws["displaced_share"] - pack.capacity_kwh * draws["carbon_repack_kg_per_kwh"]
    return Way(value, np.where(passes, years, 0.0), np.where(passes, saved, 0.0))


def twin_pack(pack: Retired, found: Graded) -> Pack:
    """The pack as the twin takes it; health of what it gives, not of its cells' mean."""
    whole = found.pack
    assert whole is not None
    more = {name: value for name in ("past_soc", "past_c_rate") if (value := getattr(pack, name)) is not None}
    return Pack(
        pack.pack_id,
        pack.chemistry,
        pack.capacity_kwh,
        soh=min(whole.soh, 1.0),
        soh_sd=max((whole.high - whole.low) / (2 * 1.645), 0.005),
        age_years=pack.age_years,
        full_cycles=pack.full_cycles,
        past_c=PAST_C if pack.past_c is None else pack.past_c,
        past_told=pack.past_c is not None,
        **more,
    )


def drawn(given: Assumptions, members: int) -> dict[str, Floats]:
    """[member] of each assumption, stratified: every answer is the same again."""
    chance = np.random.default_rng(8)
    out = {}
    numbers = dict(given.numbers) | {f"earns:{one.name}": one.earns_per_kwh_year for one in given.applications.values()}
    for name, number in numbers.items():
        out[name] = _triangle(number, (chance.permutation(members) + 0.5) / members)
    return out


def recycling_value(pack: Retired, draws: Mapping[str, Floats], members: int) -> Floats:
    """Currency, of each draw, by the chemistry's own number or that of all others."""
    per_kwh = draws.get(f"recycling_per_kwh_{pack.chemistry}", draws.get(OTHERS))
    return np.zeros(members) if per_kwh is None else per_kwh * pack.capacity_kwh


def _unknown(pack: Retired, found: Graded) -> str:
    if found.ruled_out:
        return found.ruled_out[0]
    if found.pack is None:
        return "its health is not known: give cells, or soh"
    if pack.chemistry not in known_chemistries():
        return f"how {pack.chemistry} cells age over years is not known here (known: {', '.join(known_chemistries())})"
    return ""


def _triangle(number: Number, share: Floats) -> Floats:
    width = number.high - number.low
    if width == 0:
        return np.full(len(share), number.mid)
    at = (number.mid - number.low) / width
    rising = number.low + np.sqrt(share * width * (number.mid - number.low))
    falling = number.high - np.sqrt((1 - share) * width * (number.high - number.mid))
    found: Floats = np.where(share < at, rising, falling)
    return found


def _paise(values: Floats) -> tuple[int, int, int]:
    low, mid, high = (round(100 * float(value)) for value in np.quantile(values, QUANTILES))
    return low, mid, high


def _three(values: Floats) -> tuple[float, float, float]:
    low, mid, high = (round(float(value), 2) for value in np.quantile(values, QUANTILES))
    return low, mid, high
