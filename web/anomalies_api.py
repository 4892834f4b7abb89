"""/api/v1/pack-alerts and /api/v1/work-orders: what is unusual in packs, the work orders made of it or by hand, and what was found."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from controller.anomalies_view import PackAlertsView, WorkOrdersView
from controller.sheets import safe_row
from depot import commands as cmd
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import order

SCHEMAS: Sequence[type] = (PackAlertsView, WorkOrdersView)
"""What these routes answer with, for the OpenAPI document."""

Number = Annotated[int, Path(ge=1, le=2**53, description="The order's number")]
Form = Annotated[Literal["json", "csv"], Query(description="csv: for a spreadsheet")]


class OpenBody(ReasonedBody):
    """``alert``: its key, as the list of alerts has it."""

    alert: str = Field(min_length=1, max_length=200)


class EndBody(ReasonedBody):
    """What came of it."""

    result: Literal["fixed", "nothing_found", "something_else", "dropped"]


class HandBody(ReasonedBody):
    """``pack``: VEHICLE/PACK; ``what``: is to be done; ``due``: a date, as 2026-11-30."""

    pack: str = Field(min_length=3, max_length=130)
    what: str = Field(min_length=1, max_length=300)
    due: date


def anomalies_api(web: Web) -> APIRouter:
    """Routes of alerts and work orders."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/pack-alerts", responses=_sheet("PackAlertsView"), response_class=Response, summary="What is unusual in packs")
    async def alerts(format: Form = "json") -> Response:  # noqa: A002  # the parameter's public name
        found = await web.link.show(PackAlertsView)
        if found is None:
            raise Problem("not_found", "This core looks at no packs.")
        return reply(found) if format == "json" else _csv("pack-alerts.csv", [msgspec.to_builtins(alert) for alert in found.alerts])

    @router.get("/work-orders", responses=_sheet("WorkOrdersView"), response_class=Response, summary="Work orders on packs")
    async def orders(format: Form = "json") -> Response:  # noqa: A002
        found = await web.link.show(WorkOrdersView)
        if found is None:
            raise Problem("not_found", "This core keeps no work orders.")
        if format == "json":
            return reply(found)
        rows = []
        for one in found.orders:
            row = {name: value for name, value in msgspec.to_builtins(one).items() if name != "steps"}
            rows += [row | msgspec.to_builtins(step) for step in one.steps]
        return _csv("work-orders.csv", rows)

    @router.post("/work-orders", **COMMAND, summary="Make a work order of an alert")
    async def open_order(request: Request, body: OpenBody, key: Key = "") -> Response:
        command = cmd.OpenWorkOrder(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(body.reason), alert=body.alert
        )
        return reply(await order(web, command))

    @router.post("/work-orders/by-hand", **COMMAND, summary="Make a work order that no alert asked for")
    async def open_by_hand(request: Request, body: HandBody, key: Key = "") -> Response:
        command = cmd.OpenWorkByHand(
            command_id=key or actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(body.reason),
            pack=body.pack,
            what=body.what,
            due=body.due.isoformat(),
        )
        return reply(await order(web, command))

    @router.post("/work-orders/{number}/reopen", **COMMAND, summary="Open a work order again whose end was a mistake")
    async def reopen_order(request: Request, number: Number, body: ReasonedBody, key: Key = "") -> Response:
        command = cmd.ReopenWorkOrder(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(body.reason), number=number
        )
        return reply(await order(web, command))

    @router.post("/work-orders/{number}/end", **COMMAND, summary="End a work order")
    async def end_order(request: Request, number: Number, body: EndBody, key: Key = "") -> Response:
        command = cmd.EndWorkOrder(
            command_id=key or actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(body.reason),
            number=number,
            result=body.result,
        )
        return reply(await order(web, command))

    return router


def _sheet(ok: str) -> dict[int | str, dict[str, object]]:
    found = answers(ok, 404, 422)
    found[200]["content"]["text/csv"] = {"schema": {"type": "string"}}
    return found


def _csv(name: str, rows: Sequence[dict[str, object]]) -> Response:
    """Cells that a spreadsheet would take for a formula get an apostrophe."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(list(rows[0]) if rows else ["nothing"])
    for row in rows:
        writer.writerow(safe_row(row.values()))
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(stream.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
