"""A planning scenario (``depot-scenario/1``) as a day that can be played: one station per vehicle.

The scenario's prices, limits, background and feeders are taken as they stand; a vehicle that may discharge (``v2g``) stands at a
station that speaks OCPP 2.1. Arrival and departure minutes are rounded in the file, its slots are not: where they disagree by a
moment, the slot decides.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from depot.registry import ConnectorSpec, Current
from depot.values import ConnectorId
from simulator.build import BadData, Outlet, compress, depot, local_start, sorted_stays
from simulator.day import Day, Stay

SCHEMA = "depot-scenario/1"
ALTERNATING = frozenset({"car", "van"})
"""Vehicle types that charge with alternating current; the heavy ones take direct current."""


def load(path: str | Path, *, limit_w: int | None = None, timezone: str = "UTC", pausable: bool | None = True) -> Day:
    """The scenario in ``path``. ``limit_w`` replaces its site limit; ``timezone``: the zone of its clock; ``pausable``:
    what the operator declares of the chargers. Raises :class:`~simulator.build.BadData`."""
    try:
        scenario = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadData(f"{path} is not JSON: {error}") from None
    if not isinstance(scenario, dict) or scenario.get("schema") != SCHEMA:
        raise BadData(f"{path}: not a {SCHEMA!r}")
    try:
        return _day(scenario, limit_w=limit_w, timezone=timezone, pausable=pausable)
    except KeyError as error:
        raise BadData(f"{path}: {error} is missing") from None
    except (TypeError, ValueError, IndexError) as error:
        raise BadData(f"{path}: {error}") from error


def _day(scenario: Mapping[str, Any], *, limit_w: int | None, timezone: str, pausable: bool | None) -> Day:
    site, tariff, vehicles = scenario["site"], scenario["tariff"], scenario["vehicles"]
    slots, slot_s = int(scenario["n_slots"]), int(scenario["slot_minutes"]) * 60
    if not vehicles:
        raise ValueError("no vehicles")
    base_kw = _per_slot(site["base_load_kw"], slots, "base_load_kw")
    pv_kw = _per_slot(site.get("pv_kw", 0.0), slots, "pv_kw")
    base_w = _steps([b - p for b, p in zip(base_kw, pv_kw, strict=True)], slot_s)
    limits = _steps(_per_slot(site["limit_kw"], slots, "limit_kw"), slot_s) if limit_w is None else ((0.0, limit_w),)
    feeders = site.get("feeders") or [{"id": "F0", "limit_kw": sum(v["p_max_kw"] for v in vehicles)}]
    width = len(str(len(vehicles)))
    outlets = [Outlet(f"CP{k:0{width}d}", int(v.get("feeder", 0)), _connector(v, pausable)) for k, v in enumerate(vehicles, 1)]
    notes = [str(scenario.get("source", ""))]
    return Day(
        name=scenario["id"],
        start=local_start(datetime.fromisoformat(scenario["t0"]), timezone).astimezone(UTC),
        duration_s=slots * slot_s,
        spec=depot(
            scenario["id"],
            outlets,
            feeder_ratings_w=[round(f["limit_kw"] * 1000) for f in feeders],
            worst_background_w=max(0, math.ceil(max(base_kw) * 1000)),
            limit_w=limits[0][1],
            timezone=timezone,
            currency=tariff["currency"],
        ),
        stays=sorted_stays(_stay(v, outlet, slot_s) for v, outlet in zip(vehicles, outlets, strict=True)),
        base_w=base_w,
        price=compress((k * float(slot_s), float(p)) for k, p in enumerate(_per_slot(tariff["energy_per_kwh"], slots, "energy_per_kwh"))),
        currency=tariff["currency"],
        demand_charge_per_kw=float(tariff.get("demand_charge_per_kw_horizon", 0.0)),
        demand_interval_min=int(tariff.get("demand_interval_min", 15)),
        mtd_peak_w=round(site.get("mtd_peak_kw", 0.0) * 1000),
        limits=limits[1:],
        notes=tuple(filter(None, notes)),
    )


def _per_slot(value: float | Sequence[float], slots: int, name: str) -> list[float]:
    row = [float(v) for v in value] if isinstance(value, Sequence) else [float(value)] * slots
    if len(row) != slots or not all(map(math.isfinite, row)):
        raise ValueError(f"{name} needs {slots} finite numbers")
    return row


def _steps(row_kw: Sequence[float], slot_s: int) -> tuple[tuple[float, int], ...]:
    return compress((k * float(slot_s), round(kw * 1000)) for k, kw in enumerate(row_kw))


def _connector(vehicle: Mapping[str, Any], pausable: bool | None) -> ConnectorSpec:
    alternating = vehicle["type"] in ALTERNATING
    return ConnectorSpec(
        1,
        rated_w=round(vehicle["p_max_kw"] * 1000),
        min_w=round(vehicle.get("p_min_kw", 0.0) * 1000),
        current=Current.AC if alternating else Current.DC,
        phases=(1, 2, 3) if vehicle.get("phases", 3) == 3 else (1,),
        voltage_v=230 if alternating else 800,
        pausable=pausable,
        discharge_w=_discharge_w(vehicle),
    )


def _discharge_w(vehicle: Mapping[str, Any]) -> int:
    return round(vehicle.get("v2g_kw", 0.0) * 1000) if vehicle.get("v2g") is True else 0


def _stay(vehicle: Mapping[str, Any], outlet: Outlet, slot_s: int) -> Stay:
    arrive_s = max(vehicle["arrival_min"] * 60.0, (vehicle["arrival_slot"] - 1) * slot_s + 1.0)
    depart_s = min(vehicle["departure_min"] * 60.0, (vehicle["departure_slot"] + 1) * slot_s - 1.0)
    if depart_s <= arrive_s:
        raise ValueError(f"vehicle {vehicle['id']} leaves before it arrives")
    need_wh, battery_wh = round(vehicle["energy_kwh"] * 1000), round(vehicle["battery_kwh"] * 1000)
    return Stay(
        vehicle_id=vehicle["id"],
        connector=ConnectorId(outlet.station_id, 1),
        arrive_s=arrive_s,
        depart_s=depart_s,
        stated_depart_s=depart_s,
        need_wh=need_wh,
        requested_wh=need_wh,
        max_w=outlet.connector.rated_w,
        min_w=outlet.connector.min_w,
        battery_wh=battery_wh,
        soc_arrival=min(vehicle["soc_arrival"], 1 - need_wh / battery_wh),  # rounded in the file; the need must fit
        efficiency=vehicle["eff"],
        phases=vehicle.get("phases", 3),
        priority=vehicle.get("priority", 0),
        pack_temp_c=vehicle.get("pack_temp_c", 25.0),
        discharge_w=outlet.connector.discharge_w,
    )
