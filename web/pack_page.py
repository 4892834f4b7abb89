"""One battery: sensors, cells, what its management allows, what was not believed, why it is held back or tripped.

GET /safety/packs/{vehicle}/{pack}
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.pack_view import PackDanger, PackDetail, Told
from controller.safety_view import PackState
from web import text
from web.context import Web
from web.packs_api import PackId, VehicleId, pack_shown
from web.temperature_plot import temperature_plot

STATES = {
    PackState.TRIPPED: ("st alarm", "trip", "tripped"),
    PackState.DERATED: ("st warn", "hot", "held back"),
    PackState.SILENT: ("st lost", "offline", "not heard"),
    PackState.ORDER: ("st", "check", "in order"),
}
"""(class, symbol, word)."""

SOURCES = {
    "mqtt": "its telematics",
    "ocpp": "the charger",
    "can": "its CAN bus",
    "http": "a gateway",
    "gbt": "the charging line (GB/T)",
    "drill": "a drill",
}
COLUMNS = 12
_CELL_W = 100.0


def pack_url(vehicle_id: str, pack_id: str) -> str:
    """The path of a battery's page."""
    return f"/safety/packs/{quote(vehicle_id, safe='')}/{quote(pack_id, safe='')}"


def pack_screens(web: Web) -> APIRouter:
    """The route of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/safety/packs/{vehicle}/{pack}")
    async def one(request: Request, vehicle: VehicleId, pack: PackId) -> Response:
        view = web.view()
        found = await pack_shown(web, vehicle, pack)
        clock = text.DepotTime(view.timezone, view.at)
        return web.pages.render(request, "pack.html", view=view, screen="safety", **pack_context(found, clock))

    return router


def pack_context(found: PackDetail, clock: text.DepotTime) -> dict[str, Any]:
    """Everything that the template needs."""
    row, limits = found.row, found.limits
    st, icon, word = STATES[row.state]
    best = next((told for told in found.told if told.temperatures_c), found.told[0] if found.told else None)
    cells = next((told for told in found.told if told.cells_v), None)
    return {
        "name": row.vehicle_id,
        "pack": row.pack_id,
        "passport": f"{pack_url(row.vehicle_id, row.pack_id)}/passport",
        "st": st,
        "icon": icon,
        "word": word,
        "words": row.text,
        "chemistry": "unknown, the most delicate one is assumed" if row.chemistry == "unknown" else row.chemistry,
        "size": " · ".join(
            part
            for part in (
                f"{text.kwh(found.capacity_wh)} kWh" if found.capacity_wh is not None else "",
                f"{found.cells} cells in series" if found.cells is not None else "",
            )
            if part
        ),
        "connector": row.connector,
        "share": text.percent(row.share),
        "soc": text.percent(row.soc),
        "expected": found.expected,
        "told": [_told(told) for told in found.told],
        "facts": _facts(best) if best is not None else [],
        "sensors": _sensors(best, found) if best is not None and best.temperatures_c else None,
        "cells": _cells(cells) if cells is not None else None,
        "extremes": _extremes(best) if best is not None and cells is None else "",
        "issues": found.issues,
        "limit": "" if found.limit_w is None else f"{text.kw(found.limit_w)} kW",
        "rules": [
            {
                "name": rule.name.replace("_", " "),
                "layer": rule.layer,
                "threshold": rule.threshold.replace("`", ""),
                "within": f"{rule.within_s:g}",
                "why_not": rule.why_not,
            }
            for rule in found.rules
        ],
        "unwatched": sum(bool(rule.why_not) for rule in found.rules),
        "limits": [
            ("No charging at or below", f"{limits.cold_stop_c:g}"),
            ("Full level from", f"{limits.cold_full_c:g}"),
            ("Full level up to", f"{limits.derate_from_c:g}"),
            ("Least share from", f"{limits.derate_full_c:g}"),
            ("Trip at", f"{limits.trip_c:g}"),
            ("Reset at or below", f"{limits.reset_below_c:g}"),
        ],
        "plot": temperature_plot(
            found.curve, trip_c=limits.trip_c, since=found.trip.since if found.trip is not None else None, now=found.at, clock=clock
        ),
        "tripped": found.trip is not None,
        "danger": _danger(found.danger) if found.danger is not None else None,
    }


STAGES = ("no stage of a runaway", "stage 1: it begins to warm itself", "stage 2: separators melt, gas comes", "stage 3: runaway")
ADVICE = {
    "evacuate": "lost within 90 s: evacuate at once, contain",
    "clear": "leaves its module: clear the bays",
    "maintenance": "stays in its module",
}


def _danger(found: PackDanger) -> dict[str, str]:
    low_s, high_s = found.runaway_low_s, found.runaway_high_s
    span = (
        "not foreseen" if low_s is None else f"{_minutes(low_s)} or more" if high_s is None else f"{_minutes(low_s)} to {_minutes(high_s)}"
    )
    second = "" if found.second_module_low_s is None else f"; the second module after {_minutes(found.second_module_low_s)} at the earliest"
    return {
        "css": "st alarm" if found.stage else "st",
        "stage": STAGES[found.stage],
        "score": text.number(found.state_of_safety, 2),
        "node": text.number(found.node_c, 0),
        "span": span,
        "seen": "no sensor is there yet" if found.seen is None else ADVICE[found.seen],
        "foreseen": ADVICE[found.foreseen] + second,
    }


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} h"


def _told(told: Told) -> dict[str, str]:
    return {
        "by": SOURCES.get(told.source, told.source),
        "age": f"{text.age(told.age_s)} ago",
        "firmware": told.firmware or text.ABSENT,
        "what": ", ".join(
            part
            for part in (
                _temperatures(told),
                f"{len(told.cells_v)} cells" if told.cells_v else "",
                f"alarms {', '.join(told.alarms)}" if told.alarms else "",
            )
            if part
        )
        or "charge only",
    }


def _temperatures(told: Told) -> str:
    count = sum(c is not None for c in told.temperatures_c)
    return "" if not told.temperatures_c else "1 temperature" if count == 1 else f"{count} temperatures"


def _facts(told: Told) -> list[tuple[str, str, str]]:
    """(what, value, unit) of the newest sample that has temperatures."""

    def value(number: float | None, digits: int = 0) -> str:
        return text.UNKNOWN if number is None else text.number(number, digits)

    insulation = None if told.insulation_ohm is None else told.insulation_ohm / 1000
    rows = [
        ("Pack voltage", value(told.voltage_v, 1), " V"),
        ("Current, charging positive", value(told.current_a, 1), " A"),
        ("Insulation", value(insulation), " kΩ"),
        ("Its management allows", value(told.limit_a, 1), " A"),
        ("up to", value(told.limit_v, 1), " V"),
        ("Health by its own word", text.percent(told.soh), " %"),
    ]
    if told.stop:
        rows.append(("Its management demands", "stop of charging", ""))
    return rows


def _sensors(told: Told, found: PackDetail) -> dict[str, Any]:
    """The temperature map: one field a sensor, twelve in a row."""
    limits, values = found.limits, [c for c in told.temperatures_c if c is not None]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    columns = min(COLUMNS, len(told.temperatures_c))
    width = _CELL_W / columns
    fields = []
    for number, value in enumerate(told.temperatures_c):
        tone = 0.12 + 0.4 * ((value - low) / (high - low) if value is not None and high > low else 0.0)
        css, ink = "f-t2", ""
        if value is None:
            css, ink, tone = "f-lost", "", 0.35
        elif value >= limits.trip_c:
            css, ink, tone = "f-alarm", "f-s1", 0.95
        elif value > limits.derate_from_c:
            css, ink, tone = "f-warn", "f-s1", 0.95
        x = number % columns * width
        fields.append(
            {
                "css": css,
                "ink": ink,
                "tone": f"{tone:.2f}",
                "x": f"{x:.3f}",
                "mid": f"{x + width / 2 - 0.2:.3f}",
                "y": number // columns * 32,
                "text": text.ABSENT if value is None else f"{value:.0f}" if columns > 6 else f"{value:.1f}",
            }
        )
    rows = math.ceil(len(fields) / columns)
    return {
        "fields": fields,
        "width": f"{width - 0.4:.3f}",
        "height": rows * 32 - 2,
        "words": f"{len(values)} of {len(fields)} sensors have a value, {low:.1f} to {high:.1f} °C" if values else "no sensor has a value",
        "low": f"{low:.1f}",
        "high": f"{high:.1f}",
        "spread": f"{high - low:.1f}",
        "known": bool(values),
    }


def _cells(told: Told) -> dict[str, Any]:
    """One bar a cell, from the lowest to the highest voltage."""
    values = [v for v in told.cells_v if v is not None]
    if not values:
        return {"bars": [], "words": f"{len(told.cells_v)} cells, none has a value", "count": len(told.cells_v)}
    low, high = min(values), max(values)
    span = max(high - low, 0.02)
    return {
        "count": len(told.cells_v),
        "bars": _bars(told.cells_v, low, span),
        "low": f"{low:.3f}",
        "high": f"{high:.3f}",
        "spread": f"{(high - low) * 1000:.0f}",
        "low_at": told.cells_v.index(low) + 1,
        "high_at": told.cells_v.index(high) + 1,
        "words": f"{len(values)} cells between {low:.3f} and {high:.3f} V",
    }


def _bars(cells: Sequence[float | None], low: float, span: float) -> list[dict[str, str]]:
    width = 1000.0 / len(cells)
    found = []
    for number, value in enumerate(cells):
        if value is None:
            continue
        height = 8.0 + 52.0 * (value - low) / span
        found.append({"x": f"{number * width:.1f}", "w": f"{max(width * 0.8, 0.8):.1f}", "y": f"{60 - height:.1f}", "h": f"{height:.1f}"})
    return found


def _extremes(told: Told) -> str:
    if told.cell_min_v is None or told.cell_max_v is None:
        return ""
    return f"Lowest {told.cell_min_v:.3f} V, highest {told.cell_max_v:.3f} V, {(told.cell_max_v - told.cell_min_v) * 1000:.0f} mV apart."
