"""Detectors of smoke, gas, pressure and heat: GET /api/v1/detectors, and their card on the page *Safety*. They are read, nothing more."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from controller.hazard_view import DetectorRow, DetectorState, DetectorsView
from controller.link import LinkProtocol
from controller.readmodel import NowView
from web import text
from web.api import answers, reply
from web.context import Web
from web.problems import Problem

_STATES = {
    DetectorState.ALARM: ("st alarm", "trip", "alarm", "alarm"),
    DetectorState.WARNS: ("st warn", "risk", "warns", "warn"),
    DetectorState.UNWATCHED: ("st lost", "offline", "not monitored", "warn"),
    DetectorState.QUIET: ("st", "finished", "quiet", ""),
}
"""State -> class, symbol and word; class of its row."""


def detectors_api(web: Web) -> APIRouter:
    """The route for machines."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/detectors", responses=answers("DetectorsView", 404), response_class=Response, summary="Detectors, and what they see")
    async def detectors() -> Response:
        found = await detectors_shown(web)
        if found is None:
            raise Problem("not_found", "This depot has no detectors: its settings have no [[hazard]].")
        return reply(found)

    return router


async def detectors_shown(web: Web) -> DetectorsView | None:
    """The view; None for a depot without detectors."""
    try:
        return await web.link.show(DetectorsView)
    except LinkProtocol:
        return None


def detectors_context(found: DetectorsView | None, view: NowView) -> dict[str, Any]:
    """What the template needs of detectors; nothing where the depot has none."""
    clock = text.DepotTime(view.timezone, view.at)
    rows = found.detectors if found is not None else []
    return {
        "detectors": [_detector(row, clock) for row in rows],
        "detectors_watched": sum(not row.unwatched for row in rows),
    }


def _detector(row: DetectorRow, clock: text.DepotTime) -> dict[str, str]:
    st, icon, word, css = _STATES[row.state]
    words = [row.text, row.unwatched]
    if row.since is not None:
        words.append(f"since {clock.seconds(row.since)}")
    if row.tripped:
        words.append(f"tripped: {', '.join(row.tripped)}")
    return {
        "title": row.title,
        "kind": row.kind,
        "area": row.area,
        "st": st,
        "icon": icon,
        "word": word,
        "row": css,
        "says": _says(row),
        "age": "never" if row.read_age_s is None else f"{text.age(row.read_age_s)} ago",
        "acts": _acts(row),
        "words": " · ".join(part for part in words if part),
    }


def _says(row: DetectorRow) -> str:
    if row.value is None:
        return text.UNKNOWN
    if row.contact:
        return "closed" if row.value else "open"
    return f"{row.value:g} {row.unit}".rstrip()


def _acts(row: DetectorRow) -> str:
    """From where a number holds back and trips; a contact has none."""
    found = [f"{word} {value:g}" for word, value in (("warns", row.warn), ("trips", row.trip)) if value is not None]
    return " · ".join(found) if not row.contact else text.ABSENT
