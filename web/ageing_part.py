"""How fast the fleet ages beside the table: the part of the page *Batteries*, its form, and the API.

GET  /api/v1/ageing               what was found, what plans count with
POST /api/v1/ageing/{chemistry}   follow it, or set it back
POST /batteries/ageing/{chemistry}
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathPart
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from controller.ageing_view import AgeingRow, AgeingView
from controller.link import LinkProtocol
from depot import commands as cmd
from web import actions, text
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.screens import carry_out
from web.stations_api import order

SCHEMAS: Sequence[type[Struct]] = (AgeingView,)
"""What these routes answer with, for the OpenAPI document."""

ChemistryId = Annotated[str, PathPart(pattern=r"^[A-Za-z0-9_-]{1,20}$")]
_SOURCES = {
    "fleet": ("st", "check", "the fleet's own"),
    "file": ("st", "info", "a file of the settings"),
    "table": ("st", "info", "the table"),
}


class FollowBody(ReasonedBody):
    """Whether plans count with the fleet's own factors (``follows``) or with the table."""

    follows: bool


def ageing_screens(web: Web) -> APIRouter:
    """Routes of pages and API."""
    router = APIRouter()

    @router.get("/api/v1/ageing", responses=answers("AgeingView", 404), response_class=Response, summary="How fast the fleet ages")
    async def show() -> Response:
        found = await ageing_shown(web)
        if found is None:
            raise Problem("not_found", "This core looks at no fleet's ageing.")
        return reply(found)

    @router.post("/api/v1/ageing/{chemistry}", **COMMAND, summary="Follow the fleet's own ageing in plans, or set it back to the table")
    async def follow(request: Request, chemistry: ChemistryId, body: FollowBody, key: Key = "") -> Response:
        return reply(await order(web, _command(request, chemistry, follows=body.follows, reason=body.reason, key=key)))

    @router.post("/batteries/ageing/{chemistry}", include_in_schema=False)
    async def pressed(request: Request, chemistry: ChemistryId) -> Response:
        form = await request.form()
        follows = str(form.get("follows", "")) == "yes"
        command = _command(request, chemistry, follows=follows, reason=str(form.get("reason", "")))
        words = f"Plan {chemistry} packs by {'their own ageing' if follows else 'the table'}"
        return await carry_out(web, request, command, words, back="/batteries")

    return router


def _command(request: Request, chemistry: str, *, follows: bool, reason: str, key: str = "") -> cmd.FollowAgeing:
    return cmd.FollowAgeing(
        command_id=key or actions.new_id(),
        actor=caller_of(request).name,
        reason=actions.need_reason(reason),
        chemistry=chemistry,
        follows=follows,
    )


async def ageing_shown(web: Web) -> AgeingView | None:
    """None: this core has no such room."""
    try:
        return await web.link.show(AgeingView)
    except LinkProtocol:
        return None


def ageing_part(found: AgeingView | None, clock: text.DepotTime) -> dict[str, Any] | None:
    """What the part shows; None where there is nothing to show."""
    if found is None or not (found.kept or found.rows):
        return None
    return {"rows": [_row(row, clock) for row in found.rows], "priced": found.priced}


def _row(row: AgeingRow, clock: text.DepotTime) -> dict[str, Any]:
    told = row.calendar is not None
    notes = []
    if row.source == "table" and not row.follows:
        notes.append(f"Set back by {row.decided_by} on {_day(row.decided_at, clock)}: {row.reason}.")
    if row.bounded:
        notes.append("A factor was held at its bound: look at temperatures, capacities and cells of these packs.")
    if row.why_none:
        notes.append(f"{'The last look told nothing new' if told else 'None yet'}: {row.why_none}.")
    return {
        "chemistry": row.chemistry,
        "st": _SOURCES[row.source],
        "calendar": _factor(row.calendar),
        "calendar_band": _band(row.calendar_interval),
        "cycle": _factor(row.cycle),
        "cycle_band": _band(row.cycle_interval),
        "packs": row.packs if told else text.ABSENT,
        "estimates": row.estimates,
        "found": _day(row.found_at, clock),
        "counts": f"{text.number(row.calendar_counts, 2)} in time, {text.number(row.cycle_counts, 2)} by cycles",
        "note": " ".join(notes),
        "able": told and row.source != "file",
        "follows": row.follows,
    }


def _factor(value: float | None) -> str:
    return text.ABSENT if value is None else text.number(value, 2)


def _band(found: tuple[float, float] | None) -> str:
    return "" if found is None else f"{text.number(found[0], 2)} to {text.number(found[1], 2)}"


def _day(at: datetime | None, clock: text.DepotTime) -> str:
    return text.ABSENT if at is None else f"{clock.local(at):%-d %b %Y}"
