"""*Assumptions*: what grades and residual values rest on beside measurements, changed and set back by a manager; and the API.

GET  /batteries/assumptions                    the page
POST /batteries/assumptions/{name}             reckon with other numbers, or with the settings' again
GET  /api/v1/value-assumptions                 what counts now
POST /api/v1/value-assumptions/{name}          the same; ``number`` null: set back
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathPart
from msgspec import Struct
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from controller.assumptions_view import AssumptionRow, AssumptionsView
from controller.link import LinkProtocol
from depot import commands as cmd
from depot.value_assumptions import AssumedNumber
from depot.values import InvalidValue
from web import actions, text
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.health_api import OFF
from web.problems import Problem
from web.screens import carry_out
from web.stations_api import order

SCHEMAS: Sequence[type[Struct]] = (AssumptionsView,)
"""What these routes answer with, for the OpenAPI document."""

PATH = "/batteries/assumptions"
AssumptionName = Annotated[str, PathPart(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
GROUPS = (
    ("numbers", "Money, time and carbon", "least, most likely and most; each draw of a value takes one between"),
    ("applications", "What uses earn", "a year for each kWh that is usable; least, most likely, most"),
    ("limits", "Edges of grades", "one number each; grades change with them at once"),
)
_ORIGINS = {"person": ("st", "check", "changed here"), "file": ("st", "info", "your file")}


class NumberBody(BaseModel):
    """Least, most likely, most; a cut-off has all three the same. ``source``: where it is from."""

    model_config = ConfigDict(extra="forbid")
    low: float
    mid: float
    high: float
    source: str


class AssumptionBody(ReasonedBody):
    """``number`` null: as in the settings again."""

    number: NumberBody | None


def assumptions_screens(web: Web) -> APIRouter:
    """Routes of page and API."""
    router = APIRouter()

    @router.get(
        "/api/v1/value-assumptions", responses=answers("AssumptionsView", 404), response_class=Response, summary="What values rest on"
    )
    async def show() -> Response:
        return reply(await _shown(web))

    @router.post("/api/v1/value-assumptions/{name}", **COMMAND, summary="Change an assumption of residual values, or set it back")
    async def change(request: Request, name: AssumptionName, body: AssumptionBody, key: Key = "") -> Response:
        number = body.number
        made = None if number is None else _number(number.low, number.mid, number.high, number.source)
        return reply(await order(web, _command(request, name, made, body.reason, key)))

    @router.get(PATH, include_in_schema=False)
    async def page(request: Request) -> Response:
        view = web.view()
        clock = text.DepotTime(view.timezone, view.at)
        return web.pages.render(request, "assumptions.html", view=view, screen="batteries", **page_context(await _shown(web), clock))

    @router.post(PATH + "/{name}", include_in_schema=False)
    async def pressed(request: Request, name: AssumptionName) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        back = form.get("act") == "back"
        number = None if back else _of_form(form)
        command = _command(request, name, number, form.get("reason", ""))
        said = next((row.words for row in (await _shown(web)).rows if row.name == name), name)
        title = f"Set {said} back to the settings" if number is None else f"Reckon with {number.words} for {said}"
        return await carry_out(web, request, command, title, back=PATH)

    return router


async def _shown(web: Web) -> AssumptionsView:
    try:
        found = await web.link.show(AssumptionsView)
    except LinkProtocol:
        found = None
    if found is None:
        raise Problem("not_found", OFF)
    return found


def _command(request: Request, name: str, number: AssumedNumber | None, reason: str, key: str = "") -> cmd.ChangeValueAssumption:
    return cmd.ChangeValueAssumption(
        command_id=key or actions.new_id(),
        actor=caller_of(request).name,
        reason=actions.need_reason(reason),
        name=name,
        number=number,
    )


def _of_form(form: Mapping[str, str]) -> AssumedNumber:
    """A cut-off's form has one number, ``mid``."""
    mid = _float(form.get("mid", ""))
    return _number(
        _float(form.get("low") or form.get("mid", "")), mid, _float(form.get("high") or form.get("mid", "")), form.get("source", "")
    )


def _float(words: str) -> float:
    try:
        return float(words.strip().replace(",", ""))
    except ValueError:
        raise Problem("invalid_request", f"{words[:40]!r} is no number; write one such as 1200 or 0.07.") from None


def _number(low: float, mid: float, high: float, source: str) -> AssumedNumber:
    try:
        return AssumedNumber(low, mid, high, source.strip())
    except InvalidValue as error:
        raise Problem("invalid_request", f"This cannot be: {error}.") from None


def page_context(found: AssumptionsView, clock: text.DepotTime) -> dict[str, Any]:
    """Everything that the template needs."""
    changed = sum(row.origin == "person" for row in found.rows)
    groups = []
    for name, title, words in GROUPS:
        rows = [_row(row, clock) for row in found.rows if row.name.startswith(f"{name}.")]
        groups.append({"name": name, "title": title, "words": words, "rows": rows})
    return {"groups": groups, "summary": f"{len(found.rows)} numbers that nobody measured · {changed} changed here"}


def _row(row: AssumptionRow, clock: text.DepotTime) -> dict[str, Any]:
    note = ""
    if row.changed_at is not None:
        note = f"{row.changed_by}, {clock.local(row.changed_at):%-d %b %Y}: {row.reason}"
    return {
        "name": row.name,
        "id": row.name.replace(".", "-"),
        "words": f"{row.words[:1].upper()}{row.words[1:]}",
        "figures": _figures((row.low, row.mid, row.high)),
        "low": f"{row.low:g}",
        "mid": f"{row.mid:g}",
        "high": f"{row.high:g}",
        "unit": row.unit,
        "source": row.source,
        "limit": row.limit,
        "st": _ORIGINS.get(row.origin),
        "note": note,
        "before": "" if row.before is None else _figures(row.before),
        "least": f"{row.least:g}",
        "most": f"{row.most:,.0f}" if row.most >= 1e6 else f"{row.most:g}",
    }


def _figures(values: tuple[float, float, float]) -> str:
    said = [f"{value:,.10g}".replace("-", text.MINUS) for value in values]
    return said[0] if len(set(said)) == 1 else " · ".join(said)
