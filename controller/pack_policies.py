"""What other ways of charging would change for one pack of the depot: its own habit, its own years, the fleet's own pace. Pure.

remaining life with P10 to P90 and habit (:func:`bms_bridge.estimates.use.daily_habit`), factors in force --otherwise()--> PackPolicy ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bms_bridge.estimates.view import HealthEstimate, PackPolicy
from controller.life_policy import Use, day_mean_soc, policies

LEAST_STRETCH = 1.005
"""Less than half a per cent more life is not worth a line."""


def otherwise(life: HealthEstimate | None, chemistry: str, factors: Mapping[str, tuple[float, float]]) -> tuple[list[PackPolicy], str]:
    """Policies, the best first, and on what they rest; or none, and why."""
    if life is None or life.value is None or life.low is None or life.high is None:
        return [], "it takes its remaining life"
    a_year, habit = life.detail.get("cycles_a_year"), life.detail.get("habit")
    if not a_year:
        return [], "it was heard of for less than a month: its cycles a year are not known"
    if not habit:
        return [], "its unit does not tell temperature and state of charge"
    use = Use(
        chemistry,
        temp_c=habit["temp_c"],
        cycles_per_year=a_year,
        top_soc=habit["top_soc"],
        depth=habit["depth"],
        full_hours=habit["full_hours"],
        rate_c=habit["rate_c"],
    )
    use = replace(use, soc_offset=habit["mean_soc"] - day_mean_soc(use))
    try:
        ways = policies(use, factors.get(chemistry, (1.0, 1.0)))
    except KeyError:
        return [], f"how {chemistry} cells age is not in the table that plans count with"
    years = [cycles / a_year for cycles in (life.low, life.value, life.high)]
    found = []
    for way in ways:
        if way.stretch >= LEAST_STRETCH:
            low, mid, high = (round(one * (way.stretch - 1), 2) for one in years)
            found.append(PackPolicy(way.words, round(way.stretch, 3), (low, mid, high)))
    pace = "as its fleet ages" if chemistry in factors else "as the shipped cell models age"
    return (
        found,
        f"Beside its days so far ({habit['mean_soc']:.0%} full on average, {habit['temp_c']:.0f} °C), {pace}. Nobody has measured it.",
    )
