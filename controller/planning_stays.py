"""What stays ask for beside energy at their departure, from what the depot knows: a minimum for who is nearly empty, and how a
shortage is shared. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.yard import Yard
from depot.state import Visit
from optimizer import Problem
from optimizer.needs import minimum_now


@dataclass(frozen=True, slots=True)
class StaySettings:
    """``minimum_soc``: a vehicle that is plugged in with less is brought there before anything else; 0: none is.
    ``share_shortage``: where not everything fits, vehicles of one priority go short in like parts of their needs."""

    minimum_soc: float = 0.0
    share_shortage: bool = False


def lacking_kwh(yard: Yard, visit: Visit, settings: StaySettings, *, fresh_s: float) -> float:
    """What the battery of a vehicle that is plugged in lacks of the minimum, as far as its visit may bring it; 0 where its state of
    charge is not known, or older than ``fresh_s``."""
    if not settings.minimum_soc or not visit.present or visit.connector is None:
        return 0.0
    soc = yard.least_soc(visit.connector, visit, fresh_s=fresh_s)
    if soc is None:
        return 0.0
    may_wh = yard.remaining_wh(visit) * visit.announced.efficiency
    return max(0.0, min((settings.minimum_soc - soc) * yard.battery_wh(visit), may_wh)) / 1000.0


def with_needs(problem: Problem, lacking: Sequence[float], settings: StaySettings) -> Problem:
    """``problem`` with what is asked for beside: ``lacking`` [vehicle] kWh to the minimum. As it was where nothing is."""
    if settings.share_shortage:
        problem = replace(problem, share_shortage=True)
    if not any(lacking):
        return problem
    return replace(problem, vehicles=tuple(minimum_now(problem, place, kwh) for place, kwh in enumerate(lacking)))
