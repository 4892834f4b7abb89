"""What years have done to batteries: how much they still hold, how stiff they are, a cell that leaks. Drawn by a seed; invented.

wear_of(vehicle) --> Wear --worn_day()--> tonight's stays with what is left of their batteries
                          --Cells.aged()--> what their units tell (simulator.telematics, simulator.battery_past)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator.day import Day, Stay
from simulator.personas import rng_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """``years`` in service tonight; ``left``: share of its capacity that it still has, of which it lost ``fades`` a year; ``stiffer``:
    its resistance beside a new one's; ``leak_per_day``: share of the charge that one cell loses by itself, since ``leaks_days``."""

    years: float
    left: float
    fades: float
    stiffer: float
    leak_per_day: float = 0.0
    leaks_days: float = 0.0

    def left_before(self, days: float) -> float:
        """Share of the capacity so many days ago."""
        return min(1.0, self.left + self.fades * days / 365.25)

    def short_before(self, days: float) -> float:
        """Share of the charge that the leaking cell lacked so many days ago."""
        return self.leak_per_day * max(0.0, self.leaks_days - days)


def wear_of(vehicle_id: str, seed: int) -> Wear:
    """Drawn of ordinary size: up to six years, two to four percent a year."""
    rng = rng_for(seed, f"{vehicle_id} wear")
    years, fades = rng.uniform(0.5, 6.0), rng.uniform(0.02, 0.04)
    left = 1.0 - fades * years
    return Wear(years=years, left=left, fades=fades, stiffer=1.0 + 1.8 * (1.0 - left))


def leaking(wear: Wear, *, per_day: float, days: float) -> Wear:
    """The same with a cell that has lost ``per_day`` of its charge by itself for so many days."""
    return replace(wear, leak_per_day=per_day, leaks_days=days)


def worn_day(day: Day, wears: Mapping[str, Wear]) -> Day:
    """The same night with what is left of the batteries: from the same state of charge to the same one, so with so much less energy."""
    return replace(day, stays=tuple(_worn(stay, wears.get(stay.vehicle_id)) for stay in day.stays))


def _worn(stay: Stay, wear: Wear | None) -> Stay:
    if wear is None:
        return stay
    battery, need, requested = (round(wh * wear.left) for wh in (stay.battery_wh, stay.need_wh, stay.requested_wh))
    return replace(stay, battery_wh=battery, need_wh=need, requested_wh=requested)
