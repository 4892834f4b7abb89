"""Scenario files, ``depot-scenario/1``: one planning horizon of one depot as JSON; and plans, ``plan/1``.

Keys that nobody knows are ignored (files carry notes), but not those that look like a known one misspelt. A vehicle with
``v2g`` may give up to ``v2g_kw``, where its battery is told (``battery_kwh``, ``soc_arrival``), down to ``soc_reserve``.
A ``t0`` without an offset is taken as it stands: slots and demand blocks follow its clock.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.errors import InvalidProblem, InvalidScenario
from optimizer.feeders import Feeder
from optimizer.problem import PlanResult, Problem, Vehicle

SCHEMA = "depot-scenario/1"
PLAN_SCHEMA = "plan/1"

_REQUIRED = {
    "scenario": ("id", "t0", "n_slots", "slot_minutes", "tariff", "site", "vehicles"),
    "tariff": ("energy_per_kwh",),
    "site": ("limit_kw", "base_load_kw", "pv_kw"),
    "feeder": ("id", "limit_kw"),
    "vehicle": ("id", "arrival_slot", "departure_slot", "energy_kwh", "p_max_kw", "eff"),
}
_OPTIONAL = {
    "scenario": ("schema", "seed", "source", "t0_hour", "note", "derived"),
    "tariff": (
        *("currency", "demand_charge_per_kw_month", "demand_charge_per_kw_horizon", "demand_interval_min"),
        "export_per_kwh",
    ),
    "site": ("mtd_peak_kw", "feeders", "export_limit_kw"),
    "feeder": (),
    "vehicle": (
        *("type", "arrival_min", "departure_min", "p_min_kw", "battery_kwh", "soc_arrival", "soc_target", "soh", "pack_temp_c"),
        *("pack_cost_per_kwh", "priority", "phases", "v2g", "v2g_kw", "soc_reserve", "feeder", "requested_kwh", "session_id"),
    ),
}
_LIKE = 0.8

WRITE_OFF_FADE = 0.2
CALENDAR_FADE_PER_YEAR = 0.02
CYCLE_FADE = 0.00004
"""Of the capacity, a full cycle (a proxy, no validated cell model)."""
RESERVE_SOC = 0.2
"""Below this a battery gives nothing, where a file names no ``soc_reserve``."""
ARRHENIUS_J_PER_MOL = 50_000.0
_GAS_J_PER_MOL_K = 8.314
_REFERENCE_K = 298.15
_HOURS_PER_YEAR = 8760


def read(source: Path | str | Mapping[str, Any]) -> Problem:
    """A problem from a file (or its parsed content); :class:`InvalidScenario` says what is wrong where."""
    if isinstance(source, Mapping):
        return _checked(source, "")
    path = Path(source)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidScenario(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidScenario(f"{path} is not text; a scenario is a JSON file") from None
    except json.JSONDecodeError as error:
        raise InvalidScenario(f"{path}, line {error.lineno}: this is not JSON ({error.msg})") from None
    except RecursionError:
        raise InvalidScenario(f"{path} is nested too deeply to be a scenario") from None
    return _checked(content, f"{path}: ")


def write_plan(problem: Problem, result: PlanResult) -> dict[str, Any]:
    """The plan as JSON content: grid-side kW per vehicle and slot, and what it costs."""
    unmet = {v.id: round(float(missing), 3) for v, missing in zip(problem.vehicles, result.unmet_kwh, strict=True) if missing > 0}
    return {
        "schema": PLAN_SCHEMA,
        "scenario": problem.id,
        "policy": str(result.policy),
        "t0": problem.t0.isoformat(),
        "slot_minutes": problem.slot_minutes,
        "currency": problem.currency,
        "energy_cost": round(result.energy_cost, 4),
        "demand_cost": round(result.demand_cost, 4),
        "total_cost": round(result.cost, 4),
        "peak_kw": round(result.peak_kw, 3),
        "unmet_kwh": unmet,
        "site_kw": [round(float(kw), 6) for kw in result.site_kw],
        "power_kw": {v.id: [round(float(kw), 6) for kw in row] for v, row in zip(problem.vehicles, result.power_kw, strict=True)},
    }


def _checked(content: object, where: str) -> Problem:
    try:
        return _problem(content)
    except InvalidProblem as error:
        raise InvalidScenario(f"{where}{error}") from None


def _problem(content: object) -> Problem:
    scenario = _object(content, "the scenario", "scenario")
    if (schema := scenario.get("schema", SCHEMA)) != SCHEMA:
        raise InvalidScenario(f"schema {schema!r}: only {SCHEMA!r} is known")
    tariff = _object(scenario["tariff"], "tariff", "tariff")
    site = _object(scenario["site"], "site", "site")
    n_slots = _whole(scenario["n_slots"], "n_slots")
    slot_minutes = _number(scenario["slot_minutes"], "slot_minutes")
    if not 1 <= n_slots <= 100_000 or not 0 < slot_minutes <= 24 * 60:
        raise InvalidScenario(f"{n_slots} slots of {slot_minutes} min: at least one slot is needed, each at most a day long")
    t0 = _time(scenario["t0"], "t0")
    interval, offset = _demand_blocks(tariff, t0=t0, slot_minutes=slot_minutes)
    base = _numbers(site["base_load_kw"], "site.base_load_kw", n_slots)
    pv = _numbers(site["pv_kw"], "site.pv_kw", n_slots)
    feeders = []
    for n, entry in enumerate(_list(site.get("feeders", []), "site.feeders")):
        feeder = _object(entry, f"site.feeders[{n}]", "feeder")
        feeders.append(
            Feeder(_text(feeder["id"], f"site.feeders[{n}].id"), _level(feeder["limit_kw"], f"feeder {feeder['id']}: limit_kw", n_slots))
        )
    return Problem(
        id=_text(scenario["id"], "id"),
        t0=t0,
        n_slots=n_slots,
        slot_minutes=slot_minutes,
        price_per_kwh=np.array(_numbers(tariff["energy_per_kwh"], "tariff.energy_per_kwh", n_slots)),
        site_limit_kw=_level(site["limit_kw"], "site.limit_kw", n_slots),
        background_kw=np.array(base) - np.array(pv),
        feeders=tuple(feeders),
        vehicles=tuple(_vehicle(entry, n, len(feeders)) for n, entry in enumerate(_list(scenario["vehicles"], "vehicles"))),
        demand_charge_per_kw=_number(tariff.get("demand_charge_per_kw_horizon", 0.0), "tariff.demand_charge_per_kw_horizon"),
        mtd_peak_kw=_number(site.get("mtd_peak_kw", 0.0), "site.mtd_peak_kw"),
        demand_interval_slots=interval,
        demand_offset_slots=offset,
        export_limit_kw=_level(site.get("export_limit_kw", 0.0), "site.export_limit_kw", n_slots),
        export_price_per_kwh=_level(tariff.get("export_per_kwh", 0.0), "tariff.export_per_kwh", n_slots),
        currency=_text(tariff.get("currency", "USD"), "tariff.currency"),
    )


def _vehicle(content: object, n: int, feeders: int) -> Vehicle:
    named = content.get("id") if isinstance(content, Mapping) else None
    who = f"vehicle {named}" if isinstance(named, str) and named else f"vehicles[{n}]"
    vehicle = _object(content, who, "vehicle")

    def number(key: str, default: float | None = None) -> float:
        return _number(vehicle[key] if default is None else vehicle.get(key, default), f"{who}: {key}")

    feeder = vehicle.get("feeder")
    if feeders and feeder is None:
        raise InvalidScenario(f"{who}: the site has {feeders} feeders; say which by 'feeder' (counted from 0)")
    if not feeders:
        feeder = None
    arrival, departure = (_whole(vehicle[key], f"{who}: {key}") for key in ("arrival_slot", "departure_slot"))
    if departure < arrival:
        raise InvalidScenario(f"{who}: departure_slot {departure} is before arrival_slot {arrival}")
    return Vehicle(
        id=_text(vehicle["id"], f"{who}: id"),
        arrival_slot=arrival,
        departure_slot=departure,
        energy_kwh=number("energy_kwh"),
        p_max_kw=number("p_max_kw"),
        p_min_kw=number("p_min_kw", 0.0),
        eff=number("eff"),
        feeder=None if feeder is None else _whole(feeder, f"{who}: feeder"),
        priority=_whole(vehicle.get("priority", 0), f"{who}: priority"),
        holding_per_kwh_h=_holding(vehicle, who),
        **_battery(vehicle, who),
    )


def _battery(vehicle: Mapping[str, Any], who: str) -> dict[str, Any]:
    """What a vehicle that may give says of its battery; nothing where it may not, or does not tell enough."""
    if vehicle.get("v2g") is not True or any(vehicle.get(key) is None for key in ("v2g_kw", "battery_kwh", "soc_arrival")):
        return {}
    capacity, soc = (_number(vehicle[key], f"{who}: {key}") for key in ("battery_kwh", "soc_arrival"))
    reserve = _number(vehicle.get("soc_reserve", RESERVE_SOC), f"{who}: soc_reserve")
    if not (0 <= soc <= 1 and 0 <= reserve <= 1):
        raise InvalidScenario(f"{who}: soc_arrival and soc_reserve are fractions of 1")
    found = {
        "discharge_kw": _number(vehicle["v2g_kw"], f"{who}: v2g_kw"),
        "stored_kwh": soc * capacity,
        "capacity_kwh": capacity,
        "reserve_kwh": reserve * capacity,
    }
    if "pack_cost_per_kwh" in vehicle:
        found["wear_per_kwh"] = _number(vehicle["pack_cost_per_kwh"], f"{who}: pack_cost_per_kwh") * CYCLE_FADE / WRITE_OFF_FADE
    return found


def _holding(vehicle: Mapping[str, Any], who: str) -> float | None:
    """Calendar ageing per kWh that is held an hour longer: 2 % a year at 50 % SoC and 25 °C, times e^{2(SoC − 0.5)}
    (its chord from arrival to target) and an Arrhenius factor of 50 kJ/mol; 20 % lost is the price of the pack.
    A proxy, no validated cell model. None where the file does not tell enough."""
    keys = ("pack_cost_per_kwh", "pack_temp_c", "soc_arrival", "soc_target")
    if any(key not in vehicle for key in keys):
        return None
    cost, temp_c, low, high = (_number(vehicle[key], f"{who}: {key}") for key in keys)
    if not (0 <= low <= 1 and 0 <= high <= 1 and -60 <= temp_c <= 120):
        raise InvalidScenario(f"{who}: soc_arrival and soc_target are fractions of 1, pack_temp_c is in °C from −60 to 120")
    high = max(high, low + 0.01)
    chord = (math.exp(2 * (high - 0.5)) - math.exp(2 * (low - 0.5))) / (high - low)
    warmth = math.exp(ARRHENIUS_J_PER_MOL / _GAS_J_PER_MOL_K * (1 / _REFERENCE_K - 1 / (273.15 + temp_c)))
    return cost * CALENDAR_FADE_PER_YEAR / WRITE_OFF_FADE * chord * warmth / _HOURS_PER_YEAR


def _demand_blocks(tariff: Mapping[str, Any], *, t0: datetime, slot_minutes: float) -> tuple[int, int]:
    """Slots per demand block, and how many of the first block lie before ``t0``. Blocks follow the clock of ``t0``."""
    minutes = _number(tariff.get("demand_interval_min", slot_minutes), "tariff.demand_interval_min")
    if minutes <= slot_minutes:
        return 1, 0
    slots = minutes / slot_minutes
    if slots != int(slots):
        raise InvalidScenario(f"tariff.demand_interval_min {minutes:g} is no multiple of slot_minutes {slot_minutes:g}")
    return int(slots), int((t0.hour * 60 + t0.minute) // slot_minutes % int(slots))


def _object(value: object, where: str, kind: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidScenario(f"{where}: a JSON object is expected, this is {_shown(value)}")
    known = (*_REQUIRED[kind], *_OPTIONAL[kind])
    strangers = [str(key) for key in value if key not in known]
    for key in strangers:
        near = [name for name in difflib.get_close_matches(key, known, n=1, cutoff=_LIKE) if name not in value]
        if near:
            raise InvalidScenario(f"{where}: the key {key!r} is not known; {near[0]!r} is probably meant")
    for key in _REQUIRED[kind]:
        if key not in value:
            others = f" (it has {', '.join(strangers[:5])})" if strangers else ""
            raise InvalidScenario(f"{where}: the key {key!r} is missing{others}")
    return value


def _list(value: object, where: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidScenario(f"{where}: a list is expected, this is {_shown(value)}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidScenario(f"{where}: a text is expected, this is {_shown(value)}")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidScenario(f"{where}: a finite number is expected, this is {_shown(value)}")
    return float(value)


def _whole(value: object, where: str) -> int:
    number = _number(value, where)
    if number != int(number):
        raise InvalidScenario(f"{where}: a whole number is expected, this is {_shown(value)}")
    return int(number)


def _numbers(value: object, where: str, n_slots: int) -> list[float]:
    entries = _list(value, where)
    if len(entries) != n_slots:
        raise InvalidScenario(f"{where}: {len(entries)} numbers, expected one for each of the {n_slots} slots")
    return [_number(entry, f"{where}[{k}]") for k, entry in enumerate(entries)]


def _level(value: object, where: str, n_slots: int) -> Any:
    """One number for all slots, or one per slot."""
    return _numbers(value, where, n_slots) if isinstance(value, list | tuple) else _number(value, where)


def _time(value: object, where: str) -> datetime:
    try:
        at = datetime.fromisoformat(_text(value, where))
    except ValueError:
        raise InvalidScenario(f"{where}: {value!r} is no time; write 2026-01-12T12:00:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
