"""/api/v1/fleet-costs: what charging the own fleet cost, by vehicle and cost centre. A statement, never an invoice."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from controller.files.tickets import file_headers
from controller.fleet_costs_view import FleetCostsView
from controller.link import LinkProtocol
from controller.sheets import safe_row
from depot.money_text import plain_decimal
from web.api import answers, reply
from web.context import Web
from web.problems import Problem

SCHEMAS: Sequence[type] = (FleetCostsView,)
"""What this route answers with, for the OpenAPI document."""

Month = Annotated[str, Query(pattern=r"^(20[0-9]{2}-(0[1-9]|1[0-2]))?$", description="Like 2026-11; empty: the month that runs")]
Form = Annotated[Literal["json", "csv"], Query(description="csv: for a spreadsheet, in rupees and kWh")]


def fleet_costs_api(web: Web) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/api/v1", tags=["payments"])

    @router.get(
        "/fleet-costs", responses=answers("FleetCostsView", 404, 422), response_class=Response,
        summary="The own fleet's charging of a month by vehicle and cost centre: cost allocation, no supply",
    )  # fmt: skip
    async def fleet_costs(month: Month = "", format: Form = "json") -> Response:  # noqa: A002  # its name on the wire
        found = await fleet_costs_shown(web, month)
        if format == "json":
            return reply(found)
        return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=file_headers(f"fleet-costs-{found.month}.csv"))

    return router


async def fleet_costs_shown(web: Web, month: str) -> FleetCostsView:
    """The view. Raises :class:`~web.problems.Problem`."""
    try:
        found = await web.link.show(FleetCostsView, month=month)
    except LinkProtocol as error:
        raise Problem("invalid_request", str(error)) from None
    if found is None:
        raise Problem("not_found", "This core keeps no account of the fleet's charging.")
    return found


def as_csv(found: FleetCostsView) -> str:
    """A row for each vehicle, then the total; a cell that a spreadsheet would take for a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["month", "cost centre", "vehicle", "sessions", "kWh", f"cost {found.currency}"])
    for share in found.vehicles:
        cells = [found.month, share.cost_centre or "(none)", share.name or "(not known)", str(share.sessions)]
        writer.writerow([*safe_row(cells), _kwh(share.energy_wh), plain_decimal(share.amount_paise)])
    writer.writerow([found.month, "total", "", found.sessions, _kwh(found.energy_wh), plain_decimal(found.amount_paise)])
    return out.getvalue()


def _kwh(wh: int) -> str:
    return f"{wh // 1000}.{wh % 1000:03d}"
