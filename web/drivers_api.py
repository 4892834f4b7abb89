"""/api/v1/payments/drivers: who pays, masked; find by phone; what is kept of a driver; erasure. A person's alone: no machine token
carries the scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from msgspec import Struct
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from controller.drivers_view import PayingDriversView
from depot import commands as cmd
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.codes_page import places_of
from web.context import Web, caller_of
from web.drivers_page import GATEWAY_S, told
from web.problems import Problem
from web.stations_api import refuse_refused

DriverId = Annotated[str, Path(min_length=1, max_length=40, description="The driver's id")]


class PhoneBody(ReasonedBody):
    """Whose number. It is kept in no record of the search."""

    phone: str = Field(min_length=4, max_length=30)


class FoundDrivers(Struct, frozen=True):
    """Ids of drivers, the last used first."""

    driver_ids: list[str]


class PlaceCode(Struct, frozen=True):
    """Where a driver scans. ``address``: what the QR code says."""

    connector: str
    label: str
    address: str


class PlaceCodes(Struct, frozen=True):
    """One for each connector."""

    places: list[PlaceCode]


SCHEMAS: Sequence[type] = (PayingDriversView, FoundDrivers, PlaceCodes)
"""What these routes answer with, for the OpenAPI document."""

_DATA = answers("PayingDriversView", 404, 409, 413, 422)
_DATA[200] = {"description": "All of it", "content": {"application/json": {"schema": {"type": "object"}}}}


def drivers_api(web: Web) -> APIRouter:
    """Routes of drivers who pay, and of the codes that they scan."""
    router = APIRouter(prefix="/api/v1/payments", tags=["payments"])

    @router.get("/drivers", responses=answers("PayingDriversView", 404), response_class=Response, summary="Drivers who pay, masked")
    async def drivers() -> Response:
        found = await web.link.show(PayingDriversView)
        if found is None:
            raise Problem("not_found", "Nobody pays in this depot: its settings have no [payments].")
        return reply(found)

    @router.post("/drivers/find", responses=answers("FoundDrivers", 409, 422), response_class=Response, summary="Find drivers by phone")
    async def find(request: Request, body: PhoneBody, key: Key = "") -> Response:
        command = cmd.FindDriver(
            command_id=key or actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(body.reason),
            phone=body.phone,
        )
        result = await actions.send(web, command)
        refuse_refused(result)
        return reply(FoundDrivers([str(name) for name in (result.answer or {}).get("driver_ids", [])]))

    @router.post("/drivers/{driver_id}/data", responses=_DATA, response_class=Response, summary="Everything that is kept of a driver")
    async def data(request: Request, driver_id: DriverId, body: ReasonedBody, key: Key = "") -> Response:
        reason = actions.need_reason(body.reason)
        return reply(await told(web, driver_id, actor=caller_of(request).name, reason=reason, command_id=key))

    @router.post("/drivers/{driver_id}/erase", **COMMAND, summary="Erase a driver; ends the mandate first")
    async def erase(request: Request, driver_id: DriverId, body: ReasonedBody, key: Key = "") -> Response:
        command = cmd.EraseDriver(
            command_id=key or actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(body.reason),
            driver_id=driver_id,
        )
        result = await actions.send(web, command, within_s=GATEWAY_S)
        refuse_refused(result)
        return reply(result, 202 if result.status is cmd.CommandStatus.ACCEPTED else 200)

    @router.get("/codes", responses=answers("PlaceCodes", 404), response_class=Response, summary="What the QR codes at the chargers say")
    async def codes() -> Response:
        if web.settings.places is None:
            raise Problem("not_found", "This depot has no pages for drivers: its settings have no [drive].")
        return reply(PlaceCodes([PlaceCode(p.connector, p.label, p.address) for p in places_of(web)]))

    return router
