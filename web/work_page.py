"""*Work orders* on packs: what is open, what was found, and how often alerts were right.

GET  /work-orders                     open orders by the day on which they are due, ended ones, findings; ?pack=VEHICLE/PACK in the form
POST /work-orders                     one of an alert that holds now
POST /work-orders/by-hand             one that no alert asked for
POST /work-orders/{number}/end        with what was found
POST /work-orders/{number}/reopen     its end was a mistake
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from controller.anomalies_view import PackAlert, PackAlertsView, WorkFinding, WorkOrderRow, WorkOrdersView
from controller.health_view import FleetHealthView
from depot import commands as cmd
from web import actions, text
from web.context import Web, caller_of
from web.health_api import health_shown
from web.problems import Problem
from web.screens import carry_out

PAGE = "/work-orders"
RESULTS = (
    ("fixed", "It was as the alert said"),
    ("nothing_found", "Nothing: a false alarm"),
    ("something_else", "Something else"),
    ("dropped", "Nobody looked"),
)
HAND_RESULTS = (
    ("fixed", "It was done"),
    ("nothing_found", "Nothing was to be done"),
    ("something_else", "Something else"),
    ("dropped", "Not done"),
)
"""What can be found, and its words."""

_STATES = {
    "open": ("st warn", "clock", "open"),
    "fixed": ("st done", "check", "fixed"),
    "nothing_found": ("st", "info", "nothing found"),
    "something_else": ("st done", "check", "something else"),
    "dropped": ("st", "close", "dropped"),
}
DUE_D = 14
_ENDED_SHOWN = 100
Number = Annotated[int, Path(ge=1, le=2**53)]


def work_screens(web: Web) -> APIRouter:
    """Routes of the page and its forms."""
    router = APIRouter(include_in_schema=False)

    @router.get(PAGE)
    async def page(request: Request, pack: Annotated[str, Query(max_length=130)] = "") -> Response:
        view = web.view()
        found = await health_shown(web, WorkOrdersView)
        if found is None:
            raise Problem("not_found", "This core keeps no work orders.")
        alerts, fleet = await health_shown(web, PackAlertsView), await health_shown(web, FleetHealthView)
        clock = text.DepotTime(view.timezone, view.at)
        packs = sorted({f"{row.vehicle_id}/{row.pack_id}" for row in fleet.packs} if fleet is not None else ())
        due = clock.local(view.at).date() + timedelta(days=DUE_D)
        context = work_context(found, alerts, clock) | {"packs": packs, "chosen": pack, "due": due.isoformat()}
        return web.pages.render(request, "work_orders.html", view=view, screen="batteries", **context)

    @router.post(PAGE)
    async def of_alert(request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        alert = form.get("alert", "")[:200]
        command = cmd.OpenWorkOrder(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(form.get("reason", "")), alert=alert
        )
        return await carry_out(web, request, command, f"Work order for {alert}", back=PAGE)

    @router.post(f"{PAGE}/by-hand")
    async def by_hand(request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        pack = form.get("pack", "").strip()[:130]
        command = cmd.OpenWorkByHand(
            command_id=actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(form.get("reason", "")),
            pack=pack,
            what=form.get("what", "")[:1000],
            due=form.get("due", "")[:40],
        )
        return await carry_out(web, request, command, f"Work order for {pack}", back=PAGE)

    @router.post(PAGE + "/{number}/end")
    async def end(request: Request, number: Number) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        result = form.get("result", "")
        if result not in dict(RESULTS):
            words = "Say what was found."
            raise Problem("invalid_request", words, errors={"result": words})
        command = cmd.EndWorkOrder(
            command_id=actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(form.get("reason", "")),
            number=number,
            result=result,
        )
        return await carry_out(web, request, command, f"End work order {number}", back=PAGE)

    @router.post(PAGE + "/{number}/reopen")
    async def reopen(request: Request, number: Number) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.ReopenWorkOrder(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, number=number)
        return await carry_out(web, request, command, f"Open work order {number} again", back=PAGE)

    return router


def work_context(found: WorkOrdersView, alerts: PackAlertsView | None, clock: text.DepotTime) -> dict[str, Any]:
    """What the page needs of orders and alerts."""
    opened = sorted((one for one in found.orders if one.state == "open"), key=lambda one: (one.due, one.number))
    ended = [one for one in found.orders if one.state != "open"][:_ENDED_SHOWN]
    taken = {one.key for one in opened}
    waiting = [one for one in (alerts.alerts if alerts is not None else ()) if one.holds_now and one.key not in taken]
    today = clock.local(clock.now).date().isoformat()
    return {
        "intact": found.intact,
        "opened": [_order(one, clock, late=one.due < today) for one in opened],
        "ended": [_order(one, clock, late=False) for one in ended],
        "waiting": [_alert(one) for one in waiting],
        "findings": _findings(found.findings),
    }


def _order(one: WorkOrderRow, clock: text.DepotTime, *, late: bool) -> dict[str, Any]:
    last = one.steps[-1] if one.steps else None
    by_hand = one.kind == "by_hand"
    return {
        "number": one.number,
        "st": ("st alarm", "clock", "late") if late else _STATES.get(one.state, ("st", "info", one.state.replace("_", " "))),
        "pack": one.pack,
        "href": _href(one.pack),
        "what": one.cause,
        "advice": one.advice,
        "kind": "by hand" if by_hand else one.kind.replace("_", " "),
        "due": one.due,
        "last": f"{last.what.replace('_', ' ')} by {last.actor}: {last.reason}" if last is not None else "",
        "when": last.at[:10] if last is not None else "",
        "results": HAND_RESULTS if by_hand else RESULTS,
    }


def _alert(one: PackAlert) -> dict[str, Any]:
    cell = f", cell {one.cell}" if one.cell is not None else ""
    return {
        "key": one.key,
        "pack": one.pack,
        "href": _href(one.pack),
        "what": one.kind.replace("_", " ") + cell,
        "why": one.why,
        "advice": one.advice,
        "st": ("st alarm", "risk", "work on it now") if one.act_now else ("st", "clock", "at its next service"),
    }


def _href(pack: str) -> str:
    vehicle, _, name = pack.partition("/")
    return f"/batteries/{quote(vehicle, safe='')}/{quote(name, safe='')}"


def _findings(found: Sequence[WorkFinding]) -> list[dict[str, Any]]:
    """By kind and, of several, over all: how often alerts were right, where somebody looked."""
    rows = list(found)
    if len(rows) > 1:
        rows.append(WorkFinding("all", sum(r.right for r in rows), sum(r.false for r in rows), sum(r.else_found for r in rows)))
    shown = []
    for row in rows:
        looked = row.right + row.false + row.else_found
        shown.append(
            {
                "kind": row.kind.replace("_", " "),
                "right": row.right,
                "false": row.false,
                "else_found": row.else_found,
                "taken": text.ABSENT if row.taken is None else f"{text.percent(row.taken)} %",
                "share": f"{row.false} of {looked} ({text.percent(row.false / looked)} %)" if looked else text.ABSENT,
            }
        )
    return shown
