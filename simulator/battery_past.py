"""What years have done to a battery, and what its unit told of the last months: charges at night, each between two rests.

    Day (vehicles, chargers), Wear (how old, how much is left) --nights()--> Told ...     night by night, in the order of time

The same batteries, cells and units as :mod:`simulator.telematics` lets speak tonight, drawn by the same seed: the months before and
tonight are of one piece. Between two nights the vehicles are on the road, and nobody hears of them. All of it is invented.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from depot.values import PackKey
from simulator.cells import Make
from simulator.day import Day, Stay
from simulator.pack import Pack
from simulator.personas import rng_for
from simulator.telematics import Unit, age, said, said_2, unit_of, version_of
from simulator.wear import Wear

STEP_S: Final = 115.0
"""Between two samples of a charge."""

REST_S: Final = 2100.0
"""Before a charge."""

STAYS_S: Final = 3 * 3600.0
"""After it, at rest: a vehicle waits for its morning."""

CLOSE_S: Final = 5.0
"""A sample so long before and after the current begins and ends: what a step of it does to the voltage is seen."""

EVERY_DAYS: Final = 5
_MOST_CHARGE_S: Final = 11 * 3600.0
_SLOWEST, _FASTEST = 0.2, 0.3
"""Rates of charge, shares of the battery an hour."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a unit said at a moment: ``said`` is its message (docs/telemetry.md) but for its time."""

    pack: PackKey
    at: datetime
    said: dict[str, object]


def nights(day: Day, wears: Mapping[str, Wear], makes: Mapping[str, Make], *, days: int, seed: int) -> Iterator[tuple[int, list[Told]]]:
    """(days before ``day``, what was told) for each of the ``days`` nights before it, the oldest first. A vehicle charges here every
    fifth night; one whose cell leaks every night of its last weeks."""
    units: dict[str, Unit] = {}
    for stay in day.stays:
        vehicle = stay.vehicle_id
        unit = units[vehicle] = unit_of(day.spec.depot_id, vehicle, stay.battery_wh, make=makes[vehicle], seed=seed)
        unit.version = version_of(vehicle, seed)
        age(unit, wears[vehicle], seed, days_ago=days)
    for ago in range(days, 0, -1):
        found: list[Told] = []
        for place, stay in enumerate(day.stays):
            wear = wears[stay.vehicle_id]
            if (ago + place) % EVERY_DAYS and not (wear.leak_per_day and ago <= wear.leaks_days + EVERY_DAYS):
                continue
            found += _night(stay, units[stay.vehicle_id], wear, day.start - timedelta(days=ago), ago, seed)
        yield ago, sorted(found, key=lambda one: one.at)


def _night(stay: Stay, unit: Unit, wear: Wear, start: datetime, ago: int, seed: int) -> list[Told]:
    """One charge of one vehicle: it rests, is charged at one rate, rests until the morning."""
    rng = rng_for(seed, f"{stay.vehicle_id} {ago} nights ago")
    unit.cells.bad.short_of = wear.short_before(ago)
    capacity_wh = stay.battery_wh * wear.left_before(ago)
    soc, full = rng.uniform(0.05, 0.35), rng.uniform(0.96, 1.0)
    warm_c = rng.uniform(24.0, 33.0)
    pack = Pack(capacity_wh, soc, (full - soc) * capacity_wh, stay.efficiency, warm_c, warm_c)
    level_w = min(float(stay.max_w), rng.uniform(_SLOWEST, _FASTEST) * stay.battery_wh / stay.efficiency)
    night = _Night(unit, pack, start + timedelta(seconds=rng.uniform(0.0, 3600.0)))
    night.rest(REST_S)
    while not pack.satisfied and night.at - start < timedelta(seconds=_MOST_CHARGE_S):
        night.go(min(level_w, pack.acceptance_w()), STEP_S)
    night.rest(STAYS_S)
    return night.told


@dataclass(slots=True)
class _Night:
    """What is told of a charge, as it goes on."""

    unit: Unit
    pack: Pack
    at: datetime
    power_w: float = 0.0
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unit.plugged_s = 0.0
        self.tell()

    def rest(self, seconds: float) -> None:
        """No current for so long."""
        for _ in range(round(seconds / STEP_S)):
            self.go(0.0, STEP_S)

    def go(self, power_w: float, seconds: float) -> None:
        """So much power (grid side) flows for so long; told at its end, and where it has stepped soon after it began."""
        if (power_w > 0) is not (self.power_w > 0):
            self.power_w = power_w
            self.advance(CLOSE_S)
            self.tell()
            seconds -= CLOSE_S
        self.power_w = power_w
        self.advance(seconds)
        self.tell()

    def advance(self, seconds: float) -> None:
        self.pack.advance(self.power_w, seconds)
        self.unit.plugged_s += seconds
        self.at += timedelta(seconds=seconds)

    def tell(self) -> None:
        look = self.unit.cells.look(self.pack, power_w=self.power_w, on_charger_s=self.unit.plugged_s)
        message = said(look, "") if self.unit.version == 1 else said_2(look, "")
        self.told.append(Told(self.unit.pack, self.at, message))
