"""*What if*: a change to the plan's world, planned beside the present plan; nothing of it is done.

GET  /plan/what-if    the form, what was asked lately, and ?question= side by side with the plan
POST /plan/what-if    ask
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.link import LinkProtocol
from controller.plan_answers_view import WhatIfsView
from web import text
from web.context import Web
from web.plan_ask import SORTS, change_from, side_by_side, vehicle_lines, what_if_row
from web.problems import Problem

FIELDS = ("kind", "amount", "target", "from", "until")


def plan_ask_screens(web: Web) -> APIRouter:
    """Routes of the page and its form."""
    router = APIRouter(include_in_schema=False)

    @router.get("/plan/what-if")
    async def page(request: Request, question: str = "") -> Response:
        given = {name: request.query_params[name][:80] for name in FIELDS if name in request.query_params}
        return await _page(web, request, question=question, given=given)

    @router.post("/plan/what-if")
    async def ask(request: Request) -> Response:
        sent = {name: str(value)[:80] for name, value in (await request.form()).items()}
        view = await what_ifs(web)
        change, errors = change_from(sent, view)
        if change is None:
            return await _page(web, request, given=sent, errors=errors, status=422)
        try:
            found = await what_ifs(web, changes=msgspec.json.encode([change]).decode())
        except Problem as problem:
            return await _page(web, request, given=sent, errors={"target": problem.detail}, status=422)
        return RedirectResponse(f"/plan/what-if?question={found.rows[0].question_id}", status_code=303)

    return router


async def what_ifs(web: Web, **args: str) -> WhatIfsView:
    """The core's answers; raises :class:`Problem` where it refuses."""
    try:
        found = await web.link.show(WhatIfsView, **args)
    except LinkProtocol as error:
        raise Problem("invalid_request", str(error)) from None
    if found is None:
        raise Problem("not_found", "This question was forgotten: the newest dozen are kept. Ask again.")
    return found


async def _page(
    web: Web, request: Request, *, given: dict[str, str], question: str = "", errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    view = await what_ifs(web)
    clock = text.DepotTime(view.timezone, view.at)
    chosen = next((row for row in view.rows if row.question_id == question), None) if question else (view.rows[0] if view.rows else None)
    rows = [what_if_row(row, view, clock) for row in view.rows]
    context: dict[str, Any] = {
        "able": view.able,
        "sorts": SORTS,
        "form": {name: given.get(name, "") for name in FIELDS} | {"kind": given.get("kind", "limit")},
        "errors": dict.fromkeys(FIELDS, "") | (errors or {}),
        "targets": [*view.feeders, *view.vehicles[:500]],
        "rows": [row | {"here": chosen is not None and row["id"] == chosen.question_id} for row in rows],
        "chosen": None if chosen is None else what_if_row(chosen, view, clock),
        "lines": [] if chosen is None else side_by_side(chosen, view),
        "vehicles": [] if chosen is None else vehicle_lines(chosen),
        "more": 0 if chosen is None else max(0, chosen.differs - len(chosen.vehicles)),
        "forgotten": bool(question) and chosen is None,
        "span": "" if view.start is None or view.stop is None else f"{clock.clock(view.start)} to {clock.clock(view.stop)}",
        "tabs": plan_tabs("what-if"),
    }
    return web.pages.render(request, "plan_what_if.html", view=web.view(), status=status, screen="plan", **context)


def plan_tabs(current: str) -> list[tuple[str, str, bool]]:
    """The pages around the plan: (address, words, whether it is this one)."""
    tabs = (("plan", "/plan", "Plan"), ("what-if", "/plan/what-if", "What if"), ("policy", "/plan/policy", "Policy"))
    return [(href, words, key == current) for key, href, words in tabs]
