"""What the connection-point meter tells, as a piece of the Grid page: phases in a table, the rest as facts with their ages."""

from __future__ import annotations

from typing import Any

from controller.grid_view import MeterView
from controller.meter_view import MeterValueView
from web import text

_FACTS = (
    ("power", "Active power"), ("apparent", "Apparent power"), ("reactive", "Reactive power"), ("power_factor", "Power factor"),
    ("frequency", "Frequency"), ("import_energy", "Import register"), ("export_energy", "Export register"),
    ("apparent_energy", "Apparent energy"), ("demand", "Demand by the meter"), ("apparent_demand", "Apparent demand"),
    ("peak_demand", "Peak demand"), ("peak_apparent_demand", "Peak apparent demand"), ("demand_interval", "Demand interval"),
)  # fmt: skip
_COLUMNS = (("voltage", "V", 1), ("current", "A", 1), ("power", "kW", 1))
_EXTRA = ("apparent_energy", "apparent_demand", "peak_demand", "peak_apparent_demand", "demand_interval")
"""Only few meters tell these: where one does not, nothing is said."""

OLD_S = 15.0


def meter_part(meter: MeterView | None) -> dict[str, Any] | None:
    """For ``part_meter.html``; None where there is no meter on a wire."""
    told = meter.told if meter is not None else None
    if told is None:
        return None
    values = {value.quantity: value for value in told.values}
    phases = []
    for number in (1, 2, 3):
        found = [values.get(f"{kind}_l{number}") for kind, _, _ in _COLUMNS]
        cells = [_phase(value, unit, digits) for value, (_, unit, digits) in zip(found, _COLUMNS, strict=True)]
        phases.append({"name": f"L{number}", "cells": cells, "age": _age([value for value in found if value is not None])})
    facts = [{"name": name, **_fact(values[key])} for key, name in _FACTS if key in values]
    return {
        "title": told.title,
        "address": told.address,
        "phases": phases if any(f"{kind}_l1" in values for kind, _, _ in _COLUMNS) else [],
        "facts": facts,
        "not_given": ", ".join(_missing(told.not_given)),
        "waiting": told.map and not values,
        "doubts": told.doubts,
        "counted": f"Impossible values dropped since the start: {text.number(told.rejected)}; failed polls: {text.number(told.failures)}",
        "st": ("st done", "check", "answers") if told.connected else ("st warn", "faulted", "does not answer"),
    }


def _phase(value: MeterValueView | None, unit: str, digits: int) -> str:
    if value is None:
        return text.ABSENT
    return text.number(value.value / (1000 if unit == "kW" else 1), digits)


def _fact(value: MeterValueView) -> dict[str, str]:
    match value.unit:
        case "W" | "VA" | "var" | "Wh" | "VAh":
            told, unit = text.number(value.value / 1000, 1), f"k{value.unit}"
        case "1":
            told, unit = text.number(value.value, 3), ""
        case "min":
            told, unit = text.number(value.value), "min"
        case _:
            told, unit = text.number(value.value, 2), value.unit
    return {"value": told, "unit": unit, "age": _age([value])}


def _age(values: list[MeterValueView]) -> str:
    """How old, where that is worth saying."""
    oldest = max((value.age_s for value in values), default=0.0)
    return f"{text.age(oldest)} ago" if oldest > OLD_S else ""


def _missing(quantities: list[str]) -> list[str]:
    """What a meter usually tells and this one does not, as people say it: phases once, not three times."""
    names = dict(_FACTS) | {"voltage_l1": "voltages", "current_l1": "currents", "power_l1": "power of each phase"}
    return [names[key].lower() for key in quantities if key in names and key not in _EXTRA]
