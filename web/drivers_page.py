"""*Payments: drivers*: who pays, with contact data masked; find by phone, tell a driver's data, erase.

    GET  /payments/drivers                      the list (?found=ID,…: those that a search found)
    POST /payments/drivers/find                 by phone number; the number is kept nowhere
    POST /payments/drivers/{driver_id}/data     everything that is kept of one driver, as a file
    POST /payments/drivers/{driver_id}/erase    erase one

Plain contact data leave in the file alone, and the audit trail says who took it and why.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.drivers_view import DriverRow, PayingDriversView
from depot import commands as cmd
from web import actions, text
from web.context import Web, caller_of
from web.payments_tabs import payments_tabs
from web.problems import Problem
from web.screens import carry_out

GATEWAY_S = 25.0
"""How long ending a mandate may take at the gateway."""


def drivers_screens(web: Web) -> APIRouter:
    """Routes of the page and its forms."""
    router = APIRouter(include_in_schema=False)

    async def page(request: Request, *, found: list[str] | None = None, phone: str = "", error: str = "", status: int = 200) -> Response:
        view = web.view()
        shown = await web.link.show(PayingDriversView)
        clock = text.DepotTime(view.timezone, view.at)
        rows = [] if shown is None else [r for r in shown.drivers if found is None or r.driver_id in found]
        return web.pages.render(
            request,
            "drivers.html",
            view=view,
            status=status,
            screen="payments",
            tabs=payments_tabs(request, "drivers"),
            known=shown is not None,
            drivers=[_row(r, clock) for r in rows],
            found=found,
            error=error,
            days=shown.contact_days if shown is not None else 0,
            messages=shown.message_days if shown is not None else 0,
        )

    @router.get("/payments/drivers")
    async def drivers(request: Request, found: str = "") -> Response:
        return await page(request, found=None if not found else [] if found == "-" else found[:400].split(","))

    @router.post("/payments/drivers/find")
    async def find(request: Request) -> Response:
        form = await request.form()
        reason = actions.need_reason(str(form.get("reason", "")))
        command = cmd.FindDriver(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, phone=str(form.get("phone", ""))[:30]
        )
        result = await actions.send(web, command)
        if result.status is not cmd.CommandStatus.DONE:
            return await page(request, error=result.message, status=422)
        ids = [str(name) for name in (result.answer or {}).get("driver_ids", [])]
        return RedirectResponse(f"/payments/drivers?found={quote(','.join(ids) or '-', safe=',-')}", 303)

    @router.post("/payments/drivers/{driver_id}/data")
    async def data(request: Request, driver_id: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        body = await told(web, driver_id, actor=caller_of(request).name, reason=reason)
        name = "".join(c for c in driver_id if c.isalnum() or c in "-_")[:40]
        headers = {"content-disposition": f'attachment; filename="driver-{name}.json"'}
        return Response(json.dumps(body, ensure_ascii=False, indent=1), media_type="application/json", headers=headers)

    @router.post("/payments/drivers/{driver_id}/erase")
    async def erase(request: Request, driver_id: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.EraseDriver(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, driver_id=driver_id[:40])
        return await carry_out(web, request, command, f"Erase driver {driver_id[:40]}", back="/payments/drivers", within_s=GATEWAY_S)

    return router


async def told(web: Web, driver_id: str, *, actor: str, reason: str, command_id: str = "") -> dict[str, Any]:
    """Everything that is kept of a driver; raises :class:`Problem`."""
    command = cmd.TellDriverData(command_id=command_id or actions.new_id(), actor=actor, reason=reason, driver_id=driver_id[:40])
    result = await actions.send(web, command)
    if result.status is not cmd.CommandStatus.DONE:
        raise Problem("command_refused", result.message or "The controller gave no reason; its log says more.")
    return dict(result.answer or {})


def _row(row: DriverRow, clock: text.DepotTime) -> dict[str, Any]:
    if row.erased_at is not None:
        state = ("st", "close", f"erased {clock.clock(row.erased_at)}")
    elif not row.readable:
        state = ("st alarm", "faulted", "the key is missing: see docs/privacy.md")
    else:
        state = ("st", "user", "gave it on the phone page" if row.source == "page" else "entered by a manager")
    return {
        "id": row.driver_id,
        "st": state[0],
        "symbol": state[1],
        "words": state[2],
        "phone": row.phone or text.ABSENT,
        "email": row.email or text.ABSENT,
        "name": row.name or text.ABSENT,
        "vpa": row.vpa or text.ABSENT,
        "used": clock.clock(row.used_at),
        "keeps": row.keeps,
        "can": row.erased_at is None,
        "path": f"/payments/drivers/{quote(row.driver_id, safe='')}",
    }
