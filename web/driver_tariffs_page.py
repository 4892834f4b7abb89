"""*Payments: tariffs*: what drivers pay now and over the next day, every version, a file taken in, an end.

GET  /payments/tariffs                  the page (?driver= &station=: the price for whom and where)
POST /payments/tariffs/import           a file: driver-tariff/1 or OCPI's Tariff object
POST /payments/tariffs/{tariff}/end     no session starts under it any more
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from controller.driver_tariffs_view import DriverPriceView, DriverTariffsView, TariffVersionView
from controller.link import LinkProtocol
from depot import commands as cmd
from depot.money_text import rupees
from web import actions, text
from web.context import Web, caller_of
from web.driver_tariffs_api import put_command
from web.payments_tabs import payments_tabs
from web.problems import Problem
from web.screens import carry_out

FILE_BYTES = 64 * 1024


def driver_tariffs_screens(web: Web) -> APIRouter:
    """Routes of the page and of its forms."""
    router = APIRouter(include_in_schema=False)

    @router.get("/payments/tariffs")
    async def tariffs(request: Request, driver: str = "", station: str = "") -> Response:
        view = web.view()
        clock = text.DepotTime(view.timezone, view.at)
        found = await web.link.show(DriverTariffsView)
        price, error = None, ""
        try:
            price = await web.link.show(DriverPriceView, driver_id=driver[:80], station_id=station[:48]) if found is not None else None
        except LinkProtocol as problem:
            error = str(problem)
        return web.pages.render(
            request,
            "driver_tariffs.html",
            view=view,
            status=422 if error else 200,
            screen="payments",
            tabs=payments_tabs(request, "tariffs"),
            known=found is not None,
            error=error,
            driver=driver[:80],
            station=station[:48],
            price=_price(price, clock) if price is not None else None,
            one_price=found.one_price if found is not None else [],
            tax=f"{found.tax_percent:g} %" if found is not None else "",
            versions=[_version(row, clock) for row in found.versions] if found is not None else [],
        )

    @router.post("/payments/tariffs/import")
    async def imported(request: Request) -> Response:
        async with request.form() as sent:
            file, why = sent.get("file"), str(sent.get("reason", ""))
            data = await file.read(FILE_BYTES + 1) if isinstance(file, UploadFile) else b""
        reason = actions.need_reason(why)
        tariff_id, words = _file(data)
        told: dict[str, Any] = {"command_id": actions.new_id(), "actor": caller_of(request).name, "reason": reason}
        return await carry_out(web, request, put_command(told, tariff_id, words), f"Tariff {tariff_id}", back="/payments/tariffs")

    @router.post("/payments/tariffs/{tariff}/end")
    async def end(request: Request, tariff: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.EndDriverTariff(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, tariff_id=tariff[:36])
        return await carry_out(web, request, command, f"End tariff {tariff[:36]}", back="/payments/tariffs")

    return router


def _file(data: bytes) -> tuple[str, str]:
    """(id, text) of an uploaded tariff; what it says is the core's to check. Raises :class:`Problem`."""
    words = f"The file has at most {FILE_BYTES // 1024} kB." if len(data) > FILE_BYTES else ""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        words, body = words or "The file is no JSON: it holds one tariff, ours (driver-tariff/1) or OCPI's Tariff object.", None
    tariff_id = str(body.get("id", "")) if isinstance(body, dict) else ""
    if not words and not tariff_id:
        words = "The tariff has no id; one file holds one tariff."
    if words:
        raise Problem("invalid_request", words, errors={"file": words})
    return tariff_id[:36], data.decode("utf-8-sig", "replace")


def _price(price: DriverPriceView, clock: text.DepotTime) -> dict[str, Any]:
    return {
        "name": f"{price.tariff_id}, version {price.number}" if price.number else "the one price of the settings",
        "says": price.says,
        "steps": [
            {
                "span": f"{clock.clock(step.since)} to {clock.clock(step.until)}",
                "energy": rupees(step.paise_per_kwh_with_tax),
                "time": rupees(step.time_paise_with_tax),
                "idle": rupees(step.idle_paise_with_tax),
                "flat": rupees(step.flat_paise_with_tax),
            }
            for step in price.steps
        ],
        "free": price.idle_free_min,
    }


def _version(row: TariffVersionView, clock: text.DepotTime) -> dict[str, Any]:
    if row.ended_at is not None and row.ended_at <= clock.now:
        state = ("st", "close", f"ended {clock.clock(row.ended_at)}")
    elif row.in_force:
        state = ("st done", "check", "in force")
    else:
        state = ("st", "clock", "not in force")
    whom = [*(f"driver {d}" for d in row.drivers), *(f"group {g}" for g in row.groups), *(f"at {s}" for s in row.stations)]
    valid = " to ".join(clock.local(at).strftime("%-d %b %Y %H:%M") if at is not None else "…" for at in (row.valid_from, row.valid_until))
    path = f"/api/v1/payments/driver-tariffs/{quote(row.tariff_id, safe='')}?version={row.number}"
    return {
        "id": row.tariff_id,
        "number": row.number,
        "name": row.name,
        "st": state[0],
        "symbol": state[1],
        "words": state[2],
        "says": row.says,
        "whom": ", ".join(whom) or "everybody",
        "valid": "always" if row.valid_from is None and row.valid_until is None else valid,
        "by": f"{row.by}, {clock.clock(row.put_at)}",
        "json": path,
        "ocpi": f"{path}&format=ocpi-2.2.1",
        "end": row.in_force,
        "path": f"/payments/tariffs/{quote(row.tariff_id, safe='')}/end",
    }
