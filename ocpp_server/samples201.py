"""MeterValues of OCPP 2.0.1 in the shape that :mod:`ocpp_server.meter_values` reads (1.6 §7.33). Pure.

The value is a number with a unit and a power of ten beside it; there is no ``format``, and signed data stand apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LARGEST_POWER = 12
_UNREADABLE = "?"
"""A unit that no measurand has: the value is rejected, and counted, where units are checked."""


def as_16(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One MeterValue; what it does not have stays out, and defaults are the same in both versions."""
    return {"timestamp": entry["timestamp"], "sampledValue": [_value(value) for value in entry["sampledValue"]]}


def _value(value: Mapping[str, Any]) -> dict[str, Any]:
    said = value.get("unitOfMeasure", {})
    power, unit = said.get("multiplier", 0), said.get("unit", "")
    number = value["value"]
    if abs(power) > _LARGEST_POWER:
        unit = _UNREADABLE
    elif power:
        number = number * 10.0**power if abs(number) < 1e15 else number
    kept = {key: value[key] for key in ("context", "measurand", "phase", "location") if key in value}
    return {**kept, "value": str(number), "unit": unit}
