"""/api/v1/departures and /api/v1/vehicles: what the pages show and take, for machines. W, Wh, UTC, shares from 0 to 1.

A departure is stated by vehicle and time; the registry fills in the rest, as for a file, and what is stated twice changes
nothing the second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.departures_import import one_departure
from controller.departures_view import DeparturesView
from controller.registry_view import VehicleRow
from controller.sheets import Complaint
from depot import commands as cmd
from depot.fleet import MAX_PRECONDITION_MIN, MAX_TAGS, Vehicle
from depot.values import ConnectorId, InvalidValue
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.registry_data import departures, fleet, timetable

VehicleName = Annotated[str, Path(min_length=1, max_length=64, description="As it is registered")]
Reason = Annotated[str, Query(min_length=1, max_length=200, description="Kept in the audit trail")]
Share = Annotated[float, Field(ge=0, le=1)]


class VehicleList(Struct, frozen=True):
    """One page of registered vehicles. ``next_cursor``: give it to get the next page; null at the end."""

    vehicles: list[VehicleRow]
    next_cursor: str | None


class DepartureBody(ReasonedBody):
    """A vehicle's departure. ``energy_wh``: what its battery must receive in the stay; or ``soc_target``, where its state of
    charge is known. ``visit_id`` null: the vehicle's stay that leaves within 3 h of this, or a new one."""

    vehicle_id: str = Field(min_length=1, max_length=64)
    depart_at: AwareDatetime
    arrive_at: AwareDatetime | None = None
    energy_wh: int | None = Field(default=None, ge=0, le=10_000_000)
    soc_target: Share | None = None
    soc_arrival: Share | None = None
    connector: str | None = Field(default=None, max_length=64)
    priority: int | None = Field(default=None, ge=-100, le=100)
    visit_id: str | None = Field(default=None, min_length=1, max_length=200)


class VehicleBody(ReasonedBody):
    """A vehicle as it is registered; replaces what was registered before. null: not known."""

    model: str = Field(default="", max_length=120)
    battery_wh: int | None = Field(default=None, ge=1, le=10_000_000)
    ac_max_w: int | None = Field(default=None, ge=0, le=10_000_000)
    dc_max_w: int | None = Field(default=None, ge=0, le=10_000_000)
    discharge_max_w: int | None = Field(default=None, ge=0, le=10_000_000)
    phases: int | None = Field(default=None, ge=1, le=3)
    precondition_w: int | None = Field(default=None, ge=0, le=100_000)
    precondition_min: int | None = Field(default=None, ge=0, le=MAX_PRECONDITION_MIN)
    efficiency: float = Field(default=0.9, ge=0.3, le=1)
    pausable: bool | None = None
    id_tags: list[Annotated[str, Field(min_length=1, max_length=36)]] = Field(default=[], max_length=MAX_TAGS)
    connector: str | None = Field(default=None, max_length=64)


def registry_api(web: Web) -> APIRouter:
    """Routes of departures and vehicles."""
    router = APIRouter(prefix="/api/v1")

    async def send(command: cmd.Command) -> Response:
        result = await actions.send(web, command)
        if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED):
            raise Problem("command_refused", result.message or "The controller gave no reason; its log says more.")
        return reply(result, 202 if result.status is cmd.CommandStatus.ACCEPTED else 200)

    @router.get(
        "/departures", responses=answers("DeparturesView", 422), response_class=Response, summary="Departures, most urgent first, with why"
    )
    async def list_departures(
        limit: Annotated[int, Query(ge=1, le=5000)] = 500,
        visit_id: Annotated[str | None, Query(max_length=200, description="Only this stay")] = None,
    ) -> Response:
        return reply(await departures(web, limit=str(limit), **({} if visit_id is None else {"visit": visit_id})))

    @router.put("/departures", **COMMAND, summary="State or change a departure of a registered vehicle")
    async def state(request: Request, body: DepartureBody, key: Key = "") -> Response:
        reason = actions.need_reason(body.reason)
        web.fresh_view()
        cells = {
            "vehicle_id": body.vehicle_id,
            "depart_at": body.depart_at.isoformat(),
            "arrive_at": body.arrive_at.isoformat() if body.arrive_at is not None else "",
            "energy_kwh": "" if body.energy_wh is None else repr(body.energy_wh / 1000),
            "soc_target": _percent(body.soc_target),
            "soc_arrival": _percent(body.soc_arrival),
            "connector": body.connector or "",
            "priority": "" if body.priority is None else str(body.priority),
        }
        found = one_departure({k: v for k, v in cells.items() if v}, await timetable(web), visit_id=body.visit_id or "")
        if found.complaints:
            raise Problem("invalid_request", "Correct what `errors` names.", errors=_errors(found.complaints))
        number = key or actions.new_id()
        if not found.visits:
            return reply(cmd.CommandResult(number, cmd.CommandStatus.DONE, "nothing was to be changed"))
        return await send(cmd.AnnounceVisit(command_id=number, actor=caller_of(request).name, reason=reason, visit=found.visits[0]))

    @router.delete("/departures", **COMMAND, summary="Cancel a departure of a vehicle that is not here")
    async def cancel(
        request: Request, visit_id: Annotated[str, Query(min_length=1, max_length=200)], reason: Reason, key: Key = ""
    ) -> Response:
        why = actions.need_reason(reason)
        return await send(cmd.CancelVisit(command_id=key or actions.new_id(), actor=caller_of(request).name, reason=why, visit_id=visit_id))

    @router.get("/vehicles", responses=answers("VehicleList", 422), response_class=Response, summary="Registered vehicles, page by page")
    async def vehicles(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str, Query(max_length=64, description="next_cursor of the page before")] = "",
    ) -> Response:
        rows = sorted((await fleet(web)).vehicles, key=lambda row: row.vehicle.vehicle_id)
        rest = [row for row in rows if row.vehicle.vehicle_id > cursor]
        return reply(VehicleList(rest[:limit], rest[limit - 1].vehicle.vehicle_id if len(rest) > limit else None))

    @router.put("/vehicles/{vehicle_id}", **COMMAND, summary="Register a vehicle, or change it")
    async def register(request: Request, vehicle_id: VehicleName, body: VehicleBody, key: Key = "") -> Response:
        reason = actions.need_reason(body.reason)
        try:
            vehicle = Vehicle(
                vehicle_id=vehicle_id,
                model=body.model,
                battery_wh=body.battery_wh,
                ac_max_w=body.ac_max_w,
                dc_max_w=body.dc_max_w,
                discharge_max_w=body.discharge_max_w,
                phases=body.phases,
                precondition_w=body.precondition_w,
                precondition_min=body.precondition_min,
                efficiency=body.efficiency,
                pausable=body.pausable,
                id_tags=tuple(body.id_tags),
                connector=None if body.connector is None else ConnectorId.parse(body.connector),
            )
        except InvalidValue as error:
            raise Problem("invalid_request", str(error)) from None
        return await send(
            cmd.ChangeRegistry(command_id=key or actions.new_id(), actor=caller_of(request).name, reason=reason, vehicles=(vehicle,))
        )

    @router.delete("/vehicles/{vehicle_id}", **COMMAND, summary="Remove a vehicle with its packs")
    async def remove(request: Request, vehicle_id: VehicleName, reason: Reason, key: Key = "") -> Response:
        why = actions.need_reason(reason)
        number = key or actions.new_id()
        return await send(cmd.ChangeRegistry(command_id=number, actor=caller_of(request).name, reason=why, remove_vehicles=(vehicle_id,)))

    return router


SCHEMAS: Sequence[type[Struct]] = (DeparturesView, VehicleList)
"""What these routes answer with, for the OpenAPI document."""


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.6f} %"


def _errors(complaints: Sequence[Complaint]) -> dict[str, str]:
    names = {"energy_kwh": "energy_wh", "bay": "connector", "": "vehicle_id"}
    errors: dict[str, str] = {}
    for complaint in complaints:
        errors.setdefault(names.get(complaint.column, complaint.column), complaint.text)
    return errors
