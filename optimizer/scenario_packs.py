"""What a scenario file says of a vehicle's pack in its own words (state of charge, temperature, price) becomes the model's numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optimizer.errors import InvalidScenario
from optimizer.scenario_values import number

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


def battery(vehicle: Mapping[str, Any], who: str) -> dict[str, Any]:
    """What a vehicle that may give says of its battery; nothing where it may not, or does not tell enough."""
    if vehicle.get("v2g") is not True or any(vehicle.get(key) is None for key in ("v2g_kw", "battery_kwh", "soc_arrival")):
        return {}
    capacity, soc = (number(vehicle[key], f"{who}: {key}") for key in ("battery_kwh", "soc_arrival"))
    reserve = number(vehicle.get("soc_reserve", RESERVE_SOC), f"{who}: soc_reserve")
    if not (0 <= soc <= 1 and 0 <= reserve <= 1):
        raise InvalidScenario(f"{who}: soc_arrival and soc_reserve are fractions of 1")
    found = {
        "discharge_kw": number(vehicle["v2g_kw"], f"{who}: v2g_kw"),
        "stored_kwh": soc * capacity,
        "capacity_kwh": capacity,
        "reserve_kwh": reserve * capacity,
    }
    if "pack_cost_per_kwh" in vehicle:
        found["wear_per_kwh"] = number(vehicle["pack_cost_per_kwh"], f"{who}: pack_cost_per_kwh") * CYCLE_FADE / WRITE_OFF_FADE
    return found


def holding(vehicle: Mapping[str, Any], who: str) -> dict[str, float]:
    """Calendar ageing per kWh that is held an hour longer: 2 % a year at 50 % SoC and 25 °C, times e^{2(SoC − 0.5)}
    (its chord from arrival to target) and an Arrhenius factor of 50 kJ/mol; 20 % lost is the price of the pack.
    A proxy, no validated cell model. Nothing where the file does not tell enough."""
    keys = ("pack_cost_per_kwh", "pack_temp_c", "soc_arrival", "soc_target")
    if any(key not in vehicle for key in keys):
        return {}
    cost, temp_c, low, high = (number(vehicle[key], f"{who}: {key}") for key in keys)
    if not (0 <= low <= 1 and 0 <= high <= 1 and -60 <= temp_c <= 120):
        raise InvalidScenario(f"{who}: soc_arrival and soc_target are fractions of 1, pack_temp_c is in °C from −60 to 120")
    high = max(high, low + 0.01)
    chord = (math.exp(2 * (high - 0.5)) - math.exp(2 * (low - 0.5))) / (high - low)
    warmth = math.exp(ARRHENIUS_J_PER_MOL / _GAS_J_PER_MOL_K * (1 / _REFERENCE_K - 1 / (273.15 + temp_c)))
    return {"holding_per_kwh_h": cost * CALENDAR_FADE_PER_YEAR / WRITE_OFF_FADE * chord * warmth / _HOURS_PER_YEAR}
