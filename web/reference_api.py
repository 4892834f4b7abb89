"""/api/v1/packs/{vehicle}/{pack}/reference-test: the newest reference test of a pack's vehicle, ordering one, calling it off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from msgspec import Struct
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from controller.health_view import PackHealthView
from controller.link import LinkProtocol
from controller.reference_view import ReferenceTestView
from depot import commands as cmd
from web import actions
from web.api import COMMAND, Key, ReasonBody, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.health_api import UNHEARD
from web.packs_api import PackId, VehicleId
from web.problems import Problem
from web.stations_api import order

SCHEMAS: Sequence[type[Struct]] = (ReferenceTestView,)
"""What these routes answer with, for the OpenAPI document."""

WAIT_MOST_H = 744


class ReferenceTestBody(ReasonedBody):
    """Order one. ``wait_h``: so long it may wait for a stay in which it can begin; 0: now, or it is refused. ``most_soc``: it begins at
    this state of charge (a share) or less."""

    wait_h: Annotated[float, Field(ge=0, le=WAIT_MOST_H, allow_inf_nan=False)] = 0
    most_soc: Annotated[float, Field(ge=0.05, le=0.9, allow_inf_nan=False)] = 0.5
    pulses: Annotated[int, Field(ge=3, le=10)] = 3


def reference_api(web: Web) -> APIRouter:
    """Routes of reference tests."""
    router = APIRouter(prefix="/api/v1/packs/{vehicle}/{pack}/reference-test")
    shown: dict[str, Any] = {"responses": answers("ReferenceTestView", 404, 422), "response_class": Response}

    @router.get("", **shown, summary="The newest reference test of a pack's vehicle: how far it is, how it ended")
    async def show(vehicle: VehicleId, pack: PackId) -> Response:
        await _heard_of(web, vehicle, pack)
        found = await reference_test(web, vehicle)
        if found is None:
            raise Problem("not_found", "This core runs no reference tests.")
        return reply(found)

    @router.post("", **COMMAND, summary="Order a reference test: rest, pulses, one charge to full, rest")
    async def begin(request: Request, vehicle: VehicleId, pack: PackId, body: ReferenceTestBody, key: Key = "") -> Response:
        await _heard_of(web, vehicle, pack)
        command = cmd.OrderReferenceTest(
            command_id=key or actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(body.reason),
            vehicle_id=vehicle,
            until=until_of(web.view().at, body.wait_h),
            most_soc=body.most_soc,
            pulses=body.pulses,
        )
        return reply(await order(web, command))

    @router.post("/call-off", **COMMAND, summary="Call it off: the vehicle charges as planned again")
    async def end(request: Request, vehicle: VehicleId, pack: PackId, body: ReasonBody, key: Key = "") -> Response:
        command = cmd.CallOffReferenceTest(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(body.reason), vehicle_id=vehicle
        )
        return reply(await order(web, command))

    return router


async def _heard_of(web: Web, vehicle: str, pack: str) -> None:
    """Raises :class:`Problem` for a pack of which nothing was heard; a depot that estimates no health says so by itself."""
    try:
        found = await web.link.show(PackHealthView, vehicle_id=vehicle, pack_id=pack)
    except LinkProtocol:
        return
    if found is None:
        raise Problem("not_found", UNHEARD)


async def reference_test(web: Web, vehicle: str) -> ReferenceTestView | None:
    """The newest test of a vehicle; None: this core runs none."""
    try:
        return await web.link.show(ReferenceTestView, vehicle_id=vehicle)
    except LinkProtocol:
        return None


def until_of(now: datetime, wait_h: float) -> datetime | None:
    """Until when a test may wait; None: it begins now or is refused."""
    return now + timedelta(hours=wait_h) if wait_h else None
