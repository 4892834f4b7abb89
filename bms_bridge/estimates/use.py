"""How a pack was used until an estimate was made, as sums that can be subtracted: between two estimates their difference tells. Pure.

    record of life --use_so_far()--> sums, kept with the estimate        sums, sums before --between()--> means of the time between

Sums are of what was heard. The time in which nobody heard of a pack is taken to be like the time in which somebody did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bms_bridge.lake.lifetime import C_RATES, SOCS, TEMPERATURES_C, Life

NAMES = ("cycles", "warm_h", "warm_c_h", "soc_h", "soc_sum_h", "rate_c_h", "rate_c2_h")
OFTEN = 0.05
DAYS_A_YEAR = 365.25
LEAST_H = 24.0
"""Shorter than this between two estimates, what was heard since the beginning tells more."""


@dataclass(frozen=True, slots=True)
class Use:
    """``cycles``: full cycles that the depot saw until now. Means: °C of the hottest sensor, state of charge (0 to 1), charging rate
    weighed by charge (capacities an hour); NaN: its unit does not tell."""

    cycles: float
    temp_c: float
    soc: float
    rate_c: float


def use_so_far(life: Life, nominal_ah: float) -> dict[str, float]:
    """See :data:`NAMES`: hours that were told and sums over them. ``nominal_ah``: more than 0."""
    warm, soc = _middles(TEMPERATURES_C, TEMPERATURES_C[0], TEMPERATURES_C[-1]), _middles(SOCS, SOCS[0] / 2, (1 + SOCS[-1]) / 2)
    rates = _middles(C_RATES, 0.0, C_RATES[-1])
    sums = (
        life.charge_in_ah / nominal_ah,
        sum(life.temperature_s) / 3600,
        _sum(life.temperature_s, warm) / 3600,
        sum(life.soc_s) / 3600,
        _sum(life.soc_s, soc) / 3600,
        _sum(life.charge_rate_s, rates) / 3600,
        _sum(life.charge_rate_s, [rate * rate for rate in rates]) / 3600,
    )
    return {name: round(value, 4) for name, value in zip(NAMES, sums, strict=True)}


def between(sums: Mapping[str, float], before: Mapping[str, float] | None) -> Use:
    """The means of the time since ``before`` (None, or too little heard since: since the beginning)."""
    since = {name: sums[name] - (0.0 if before is None else before[name]) for name in NAMES}
    long = before is None or since["warm_h"] >= LEAST_H
    part = since if long else sums
    return Use(
        sums["cycles"],
        _mean(part["warm_c_h"], part["warm_h"]),
        _mean(part["soc_sum_h"], part["soc_h"]),
        _mean(part["rate_c2_h"], part["rate_c_h"]),
    )


def daily_habit(life: Life, nominal_ah: float, cycles_a_year: float) -> dict[str, float] | None:
    """What a day of the pack looks like, out of the record of its life: ``temp_c``, ``mean_soc``, ``rate_c``; ``top_soc``: the upper edge
    of the fullest tenth in which it spends :data:`OFTEN` of the time, ``full_hours``: a day in it; ``depth``: what a day takes of the
    capacity. None: its unit tells no temperature or no state of charge."""
    use = between(use_so_far(life, nominal_ah), None)
    told = sum(life.soc_s)
    if not (math.isfinite(use.temp_c) and math.isfinite(use.soc)):
        return None
    fullest = max(place for place, seconds in enumerate(life.soc_s) if seconds >= OFTEN * told)
    top = [*SOCS, 1.0][fullest]
    return {
        "temp_c": round(use.temp_c, 1),
        "mean_soc": round(use.soc, 3),
        "rate_c": round(use.rate_c, 3) if math.isfinite(use.rate_c) else 0.0,
        "top_soc": top,
        "full_hours": round(24 * life.soc_s[fullest] / told, 1),
        "depth": round(min(max(cycles_a_year / DAYS_A_YEAR, 0.05), top), 3),
    }


def _middles(edges: Sequence[float], first: float, last: float) -> list[float]:
    return [first, *((low + high) / 2 for low, high in pairwise(edges)), last]


def _sum(seconds: Sequence[float], values: Sequence[float]) -> float:
    return sum(s * value for s, value in zip(seconds, values, strict=True))


def _mean(total: float, hours: float) -> float:
    return total / hours if hours > 0 else math.nan
