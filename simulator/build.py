"""What every day loader shares: the depot around the stays, its background load, its limit and its prices.

DayError
├── BadData      a file or a column is missing, or a line cannot be read; the message names file and line
└── NoSuchDay    the file has no session on that date; the message names dates that it has
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec
from depot.values import InvalidValue
from simulator.day import Day, Stay

T = TypeVar("T")

SLOT_S = 900
NIGHTS_PER_MONTH = 21
"""Working nights over which a month's demand charge is spread (reference: one night's fair share)."""

STATIONS_PER_FEEDER = 25
FEEDER_SHARE = 0.75
"""Feeders are built for three quarters of what hangs on them, as in the planning scenarios."""

BASE_SHARE = 0.02
"""Background load at its highest, as a share of the chargers' rated power (the planning scenarios' own shape)."""


class DayError(Exception):
    """Root of the loaders' errors (drawn above)."""


class BadData(DayError):
    """A file or a column is missing, or a line cannot be read."""


class NoSuchDay(DayError):
    """The file has no session on that date."""


class PriceList(Protocol):
    """What a day needs of a tariff."""

    @property
    def currency(self) -> str: ...
    @property
    def demand_charge_per_kw_month(self) -> Fraction: ...
    @property
    def demand_interval_min(self) -> int: ...
    def steps(self, start: datetime, stop: datetime) -> list[tuple[datetime, Fraction]]: ...


@dataclass(frozen=True, slots=True)
class Outlet:
    """One station with one connector, on the feeder with that number."""

    station_id: str
    feeder: int
    connector: ConnectorSpec


def feeder_count(stations: int) -> int:
    """How many feeders so many stations hang on."""
    return max(1, math.ceil(stations / STATIONS_PER_FEEDER))


def depot(
    name: str,
    outlets: Sequence[Outlet],
    *,
    feeder_ratings_w: Sequence[int],
    worst_background_w: int,
    limit_w: int | None,
    timezone: str,
    currency: str,
) -> DepotSpec:
    """The depot around these outlets. ``limit_w`` None: everything at once, so that nothing is limited."""
    contract_w = sum(o.connector.rated_w for o in outlets) + worst_background_w if limit_w is None else limit_w
    try:
        return DepotSpec(
            depot_id=name,
            name=name,
            contract_w=contract_w,
            failsafe_w=contract_w,
            worst_background_w=worst_background_w,
            feeders=tuple(FeederSpec(f"F{k}", rating) for k, rating in enumerate(feeder_ratings_w)),
            stations=tuple(StationSpec(o.station_id, f"F{o.feeder}", (o.connector,)) for o in outlets),
            timezone=timezone,
            currency=currency,
            metered=True,
        )
    except InvalidValue as error:
        raise BadData(f"{name}: {error}") from error


def base_load(peak_w: float, *, first_hour: float, slots: int) -> tuple[tuple[float, int], ...]:
    """A depot's own load, as steps of a quarter hour: 60 % of its peak at night, the peak at 14 h local time, a bell
    curve five hours wide between. ``first_hour``: the local hour at which the day starts."""
    hours = ((first_hour + k * SLOT_S / 3600) % 24 for k in range(slots))
    return compress((k * float(SLOT_S), round(peak_w * (0.6 + 0.4 * math.exp(-(((hour - 14) / 5) ** 2))))) for k, hour in enumerate(hours))


def compress(steps: Iterable[tuple[float, T]]) -> tuple[tuple[float, T], ...]:
    """The steps at which the value changes."""
    return tuple(next(group) for _, group in groupby(steps, key=itemgetter(1)))


def full_slots(arrive_s: float, depart_s: float) -> int:
    """Whole quarter hours of the day inside of a stay: what a slot-based scheduler can use of it."""
    return max(0, math.floor(depart_s / SLOT_S) - math.ceil(arrive_s / SLOT_S))


def with_limit(day: Day, limit_w: int) -> Day:
    """The same day behind a grid connection of ``limit_w``, with later changes of the limit dropped."""
    return replace(day, spec=replace_limits(day.spec, limit_w), limits=())


def replace_limits(spec: DepotSpec, limit_w: int) -> DepotSpec:
    """The same depot with another contract; what may be drawn without a controller goes with it."""
    return replace(spec, contract_w=limit_w, failsafe_w=limit_w)


def with_tariff(day: Day, tariff: PriceList, *, nights_per_month: int = NIGHTS_PER_MONTH) -> Day:
    """The same day at a tariff's prices; the month's demand charge is shared by its working nights."""
    steps = tariff.steps(day.start, day.start + timedelta(seconds=day.duration_s))
    return replace(
        day,
        price=tuple(((at - day.start).total_seconds(), float(price)) for at, price in steps),
        currency=tariff.currency,
        demand_charge_per_kw=float(tariff.demand_charge_per_kw_month / nights_per_month),
        demand_interval_min=tariff.demand_interval_min,
    )


def local_start(naive: datetime, timezone: str) -> datetime:
    """The aware moment at which the clock of ``timezone`` shows ``naive``."""
    return naive.replace(tzinfo=ZoneInfo(timezone))


def sorted_stays(stays: Iterable[Stay]) -> tuple[Stay, ...]:
    """Stays in order of arrival; the vehicle's name decides between equals."""
    return tuple(sorted(stays, key=lambda stay: (stay.arrive_s, stay.vehicle_id)))
