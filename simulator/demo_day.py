"""A made-up night of a mixed depot for the demo: buses, vans and three-wheelers, evening to morning.

Invented numbers of ordinary size, drawn by a seed: nothing is measured on this day, it only has to look like a depot.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime

from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.values import ConnectorId
from simulator.day import Day, Stay

NIGHT_H = 13.0
_BUS = ConnectorSpec(1, 120_000, 10_000, Current.DC, voltage_v=700, settle_s=3.0, pausable=True)
_BOTH_WAYS = replace(_BUS, discharge_w=60_000)
_VAN = ConnectorSpec(1, 60_000, 5_000, Current.DC, voltage_v=400, settle_s=3.0, pausable=True)
_AC22 = ConnectorSpec(1, 22_080, 4_140, Current.AC, (1, 2, 3), pausable=True)
_AC3 = ConnectorSpec(1, 3_680, 1_380, Current.AC, (1,), pausable=True)


BOTH_WAYS = 2
"""Buses of the demo's night that give power back."""

WARM, WARM_C = 5, 53.0
"""The bus that comes back with its battery so hot, after a long day: it charges with less until it has cooled."""


def demo_spec(*, both_ways: int = 0) -> DepotSpec:
    """24 stations behind two feeders: 10 for buses (the first ``both_ways`` of them give power back) and 2 for vans on A; 4 for
    vans, 4 × 22 kW, 4 × 3.7 kW on B."""
    kinds = [_BOTH_WAYS] * both_ways + [_BUS] * (10 - both_ways) + [_VAN] * 2 + [_VAN] * 4 + [_AC22] * 4 + [_AC3] * 4
    stations = tuple(StationSpec(f"CP-{i:03d}", "A" if i <= 12 else "B", (kind,), bay_id=f"{i}") for i, kind in enumerate(kinds, start=1))
    return DepotSpec(
        depot_id="demo",
        name="Demo depot",
        contract_w=420_000,
        failsafe_w=150_000,
        worst_background_w=70_000,
        feeders=(FeederSpec("A", 400_000, "Feeder A"), FeederSpec("B", 200_000, "Feeder B")),
        stations=stations,
        metered=True,
        background_profile_w=tuple(_base(hour) for hour in range(24)),
    )


def _base(hour: int) -> int:
    """Workshop and offices until the evening, lights and washing at night, W."""
    return 55_000 if 7 <= hour < 19 else 38_000 if hour >= 19 or hour == 6 else 26_000


def demo_day(*, start: datetime, seed: int) -> Day:
    """The night from ``start`` (18:00 local is meant), 13 hours."""
    rng = random.Random(seed)  # noqa: S311  # a made-up night, no secret
    spec = demo_spec(both_ways=BOTH_WAYS)
    stays = []
    for i, station in enumerate(spec.stations, start=1):
        if i in (10, 20):
            continue  # two bays stay free tonight
        stays.append(_stay(rng, i, station))
    hours = [(h * 3600.0, round(_base((18 + h) % 24) * rng.uniform(0.85, 1.0))) for h in range(int(NIGHT_H) + 1)]
    return Day(
        name="demo night",
        start=start,
        duration_s=NIGHT_H * 3600,
        spec=spec,
        stays=tuple(sorted(stays, key=lambda s: s.arrive_s)),
        base_w=tuple(hours),
        price=((0.0, 0.0),),
        currency="INR",
        notes=("invented night, drawn by a seed",),
    )


def _stay(rng: random.Random, i: int, station: StationSpec) -> Stay:
    connector = station.connectors[0]
    key = ConnectorId(station.station_id, 1)
    arrive = rng.uniform(0.05, 3.5) * 3600
    depart = rng.uniform(10.0, 12.6) * 3600
    if connector.rated_w == _BUS.rated_w:
        vehicle, battery, soc, target, eff, phases = f"E-{100 + i}", 320_000, rng.uniform(0.25, 0.5), 0.95, 0.94, 3
        if connector.discharge_w:
            soc += 0.3  # short lines: there is something left to lend over the evening
    elif connector.rated_w == _VAN.rated_w:
        vehicle, battery, soc, target, eff, phases = f"V-{i:02d}", 77_000, rng.uniform(0.2, 0.6), 0.95, 0.93, 3
    elif connector.rated_w == _AC22.rated_w:
        vehicle, battery, soc, target, eff, phases = f"C-{i:02d}", 45_000, rng.uniform(0.3, 0.7), 1.0, 0.9, 1 if i % 2 else 3
    else:
        vehicle, battery, soc, target, eff, phases = f"R-{i:02d}", 7_500, rng.uniform(0.1, 0.5), 1.0, 0.88, 1
    need = round((target - soc) * battery)
    max_w = min(connector.rated_w, 7_360) if phases == 1 else connector.rated_w
    if connector.current is Current.DC:
        max_w = round(connector.rated_w * rng.uniform(0.8, 1.0))
    min_w = connector.min_w * phases // 3 if len(connector.phases) == 3 else connector.min_w  # 6 A on the phases that it uses
    stay = Stay(vehicle, key, arrive, depart, depart, need, need, max_w, min_w, battery, soc, eff, phases)
    cool_c = rng.uniform(24.0, 34.0)
    return replace(stay, pack_temp_c=WARM_C if i == WARM else cool_c, priority=1 if i == 3 else 0, discharge_w=connector.discharge_w)


def evening(day: datetime) -> datetime:
    """18:00 Indian time of the day that ``day`` falls on (12:30 UTC)."""
    return day.replace(hour=12, minute=30, second=0, microsecond=0)
