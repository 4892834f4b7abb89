"""A pack under a duty of one's own, by the twin: the page and the route for machines.

GET /batteries/{vehicle}/{pack}/twin          the form, and what came of it where numbers were given
GET /api/v1/packs/{vehicle}/{pack}/twin       the same for machines; numbers that are left out are today's
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from controller.health_twin import TwinDesk, asked_of, start_of
from controller.health_view import FleetHealthView, PackHealthView, PackTwinAsked, PackTwinRun
from depot.values import InvalidValue
from web import text
from web.api import answers, reply
from web.context import Web
from web.health_api import OFF, health_shown, pack_health
from web.packs_api import PackId, VehicleId
from web.problems import Problem

SCHEMAS: Sequence[type[Struct]] = (PackTwinRun,)
"""What these routes answer with, for the OpenAPI document."""

SHARES = ("depth", "top_soc", "until")
LATER = (1, 2, 3, 5, 7, 10, 15, 20)
USUAL = PackTwinAsked(30.0, 0.6, 0.3, 300.0)
"""What the form holds where the pack's present duty is not known."""

Number = Annotated[float | None, Query(allow_inf_nan=False)]


def twin_api(web: Web, desk: TwinDesk) -> APIRouter:
    """The route for machines."""
    router = APIRouter(prefix="/api/v1/packs")

    @router.get(
        "/{vehicle}/{pack}/twin", responses=answers("PackTwinRun", 404, 422), response_class=Response, summary="A pack's years under a duty"
    )
    async def run(
        vehicle: VehicleId,
        pack: PackId,
        *,
        ambient_c: Number = None,
        depth: Number = None,
        c_rate: Number = None,
        cycles_a_year: Number = None,
        top_soc: Number = None,
        until: Number = None,
    ) -> Response:
        given = {
            "ambient_c": ambient_c,
            "depth": depth,
            "c_rate": c_rate,
            "cycles_a_year": cycles_a_year,
            "top_soc": top_soc,
            "until": until,
        }
        found = await _pack(web, vehicle, pack)
        return reply(await _run(desk, found, {name: repr(value) for name, value in given.items() if value is not None}))

    return router


def twin_screens(web: Web, desk: TwinDesk) -> APIRouter:
    """The page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/batteries/{vehicle}/{pack}/twin")
    async def page(request: Request, vehicle: VehicleId, pack: PackId) -> Response:
        found = await _pack(web, vehicle, pack)
        words = {name: value.strip() for name, value in request.query_params.items() if name in FIELDS}
        run, wrong = None, ""
        try:
            run = await _run(desk, found, _args(words)) if words else None
        except Problem as problem:
            wrong = problem.detail
        context = twin_context(found, run, words, wrong)
        return web.pages.render(request, "battery_twin.html", view=web.view(), screen="batteries", **context)

    return router


async def _pack(web: Web, vehicle: str, pack: str) -> PackHealthView:
    if await health_shown(web, FleetHealthView) is None:
        raise Problem("not_found", OFF)
    return await pack_health(web, vehicle, pack)


async def _run(desk: TwinDesk, found: PackHealthView, args: dict[str, str]) -> PackTwinRun:
    start = start_of(found)
    if isinstance(start, str):
        return PackTwinRun(USUAL, 0, start)
    try:
        return await desk.run(start, asked_of(args, start.today))
    except InvalidValue as error:
        raise Problem("invalid_request", f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def _args(words: dict[str, str]) -> dict[str, str]:
    """People say per cent, the depot shares."""
    out = {}
    for name, word in words.items():
        if not word:
            continue
        value = _read(word)
        if value is None:
            raise Problem("invalid_request", f"{FIELDS[name][0]} must be a number, not {word[:40]!r}.")
        out[name] = repr(value / 100 if name in SHARES else value)
    return out


def _read(word: str) -> float | None:
    try:
        value = float(word.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


FIELDS: dict[str, tuple[str, str, str]] = {
    "ambient_c": ("Around it", "°C", "Mean of the year where it stands. What the duty warms it by is added."),
    "cycles_a_year": ("Full cycles a year", "", "Energy charged in a year by its nominal energy."),
    "depth": ("Depth of a round", "%", "Of the nominal energy, from one charge to the next."),
    "c_rate": ("Charging rate", "C", "Capacities an hour: 0.5 C fills it in two hours."),
    "top_soc": ("Charged up to", "%", "State of charge at which a charge ends."),
    "until": ("Until a health of", "%", "Of the nominal capacity."),
}


def twin_context(found: PackHealthView, run: PackTwinRun | None, words: dict[str, str], wrong: str) -> dict[str, Any]:
    """Everything that the page needs."""
    prospect = found.prospect
    start = prospect.twin if prospect is not None else None
    none = start_of(found) if start is None else ""
    today = start.today if start is not None else None
    usual = today or USUAL
    fields = []
    for name, (what, unit, hint) in FIELDS.items():
        value = getattr(usual, name) * (100 if name in SHARES else 1)
        word = words.get(name, "")
        shown = word if _read(word) is not None else f"{value:g}"
        fields.append({"name": name, "what": what, "unit": unit, "hint": hint, "value": shown})
    why = f"{none[:1].upper()}{none[1:]}." if isinstance(none, str) and none else ""
    why = why or wrong or (f"{run.why_not[:1].upper()}{run.why_not[1:]}." if run is not None and run.why_not else "")
    row = found.row
    return {
        "name": row.vehicle_id,
        "pack": row.pack_id,
        "base": f"/batteries/{quote(row.vehicle_id, safe='')}/{quote(row.pack_id, safe='')}",
        "fields": fields,
        "known": start is not None,
        "today": today is not None,
        "why": why,
        "result": _result(run) if run is not None and not run.why_not else None,
    }


def _result(run: PackTwinRun) -> dict[str, Any]:
    assert run.end is not None
    low, high = (f"{100 * value:.0f}" for value in run.unserved)
    return {
        "until": f"{run.asked.until:.0%}",
        "years": _three(run.end.years, run.years, 1),
        "cycles": _three(run.end.full_cycles, None, 0),
        "reached": run.end.years[1] == 0,
        "facts": [
            ("Full cycles in the first year", text.number(run.full_cycles_a_year), ""),
            ("Warmest that it gets", text.number(run.hottest_c), " °C"),
            ("Asked and not served, now and at the end", f"{low} and {high}", " %"),
        ],
        "health": [
            {"year": year, "low": _share(run.health[year][0]), "mid": _share(run.health[year][1]), "high": _share(run.health[year][2])}
            for year in (0, *LATER)
            if year < len(run.health)
        ],
        "warnings": [f"{words[:1].upper()}{words[1:]}." for words in run.warnings],
        "run_years": run.years,
    }


def _three(values: tuple[float | None, float | None, float | None], most: int | None, digits: int) -> str:
    beyond = f">{most}" if most is not None else "beyond"
    return " · ".join(beyond if value is None else text.number(value, digits) for value in values)


def _share(value: float) -> str:
    return text.number(100 * value)
