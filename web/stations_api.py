"""/api/v1/stations and what belongs to them: stations that are added and admitted while the depot runs, any OCPP call, the
message log. Powers W; OCPP payloads verbatim, as the protocol spells them.

    POST /stations/{station_id}/calls/{Action}   body: the payload of the call, as the station's OCPP version has it
    -> {"message_id", "outcome": "result" | "error" | "timeout" | "offline", "payload" | "error"}
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Path, Query
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from controller.stations_view import MessagesView, StationDetail, StationsView
from depot import commands as cmd
from depot.events import Registration
from depot.registry import ConnectorSpec, Current, StationSpec
from depot.values import InvalidValue
from web import actions
from web.api import Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem

CALL_S = 75.0
"""A call may wait for its turn and for a slow station; the link to the core waits longer than both."""
AC_W, AC_LEAST_A, DC_LEAST_W = 22_000, 6, 3_000
BY_API = "by the API"

StationName = Annotated[str, Path(min_length=1, max_length=48, description="OCPP identity of the station")]
Action = Annotated[str, Path(min_length=1, max_length=50, pattern=r"^[A-Za-z0-9]+$", description="As OCPP spells it, for example Reset")]
Reason = Annotated[str, Query(min_length=1, max_length=200, description="Kept in the audit trail")]
Items = Annotated[int | None, Field(ge=1, le=10_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class ItemLimits(BaseModel):
    """How many items the station takes in one message, where a person knows it better than the station says."""

    model_config = ConfigDict(extra="forbid")
    get_configuration: Items = None
    local_list: Items = None
    get_variables: Items = None
    set_variables: Items = None

    def known(self) -> dict[str, int]:
        return {name: value for name, value in self.model_dump().items() if value is not None}


class ConnectorBody(BaseModel):
    """One connector. ``rated_w``: the most that it can draw from the grid, by its name plate; ``min_w`` null: 6 A on each phase
    for AC, 3 kW for DC. ``pausable`` null: not known, so taken as no. ``discharge_w``: the most that it can give, 0: it only charges."""

    model_config = ConfigDict(extra="forbid")
    connector_id: int = Field(ge=1, le=99)
    rated_w: int = Field(default=AC_W, ge=1, le=10_000_000)
    min_w: int | None = Field(default=None, ge=0, le=10_000_000)
    current: Current = Current.AC
    phases: list[Annotated[int, Field(ge=1, le=3)]] = Field(default=[], max_length=3)
    voltage_v: int = Field(default=230, ge=90, le=1000)
    pausable: bool | None = None
    settle_s: float = Field(default=3.0, ge=0, le=120)
    discharge_w: int = Field(default=0, ge=0, le=10_000_000)

    def to_spec(self) -> ConnectorSpec:
        least_w = self.min_w
        if least_w is None:
            least_w = DC_LEAST_W if self.current is Current.DC else AC_LEAST_A * self.voltage_v * (len(self.phases) or 3)
        return ConnectorSpec(
            self.connector_id, self.rated_w, min(least_w, self.rated_w), self.current, tuple(self.phases), self.voltage_v,
            self.pausable, self.settle_s, self.discharge_w,
        )  # fmt: skip


class StationBody(_Body):
    """A station as it shall be. ``feeder_id`` null: the depot's only feeder. ``connectors``: a list, or how many of 22 kW AC it
    has. ``password`` null: a new station gets one made up, and the answer tells it once."""

    feeder_id: str | None = Field(default=None, max_length=64)
    bay_id: str = Field(default="", max_length=64)
    connectors: Annotated[int, Field(ge=1, le=99)] | list[ConnectorBody] = 1
    password: str | None = Field(default=None, min_length=8, max_length=40)
    security_profile: int | None = Field(default=None, ge=0, le=3, description="OCPP security profile; null: as the settings say")
    registration: Registration = Registration.ACCEPTED
    item_limits: ItemLimits = ItemLimits()


class NewStationBody(StationBody):
    """A new station."""

    station_id: str = Field(min_length=1, max_length=48, pattern=r"^[A-Za-z0-9*\-_=:+|@.]+$")


class StationChangeBody(_Body):
    """What of a station changes; null: stays."""

    registration: Registration | None = None
    item_limits: ItemLimits | None = None


class StationAnswer(Struct, frozen=True, kw_only=True):
    """What became of an order on a station. ``password``: shown this once. ``cautions``: what a person should make sure of."""

    station_id: str
    command_id: str
    status: str
    message: str
    audit_seq: int
    password: str | None = None
    cautions: list[str] = []


class CallAnswer(Struct, frozen=True, omit_defaults=True):
    """How a call ended. ``payload``: the answer as the station wrote it, with outcome ``result``; else ``error``."""

    message_id: str
    outcome: str
    payload: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


SCHEMAS: Sequence[type] = (StationsView, StationDetail, StationAnswer, CallAnswer, MessagesView)
"""What these routes answer with, for the OpenAPI document."""
LINES = answers("MessagesView", 422) | {
    200: {"description": "One message a line", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
}


def stations_api(web: Web) -> APIRouter:
    """Routes of stations, calls and messages."""
    router = APIRouter(prefix="/api/v1")

    async def carry_out(command: cmd.StationCommand, *, cautions: Sequence[str] = ()) -> StationAnswer:
        result = await order(web, command)
        password = (result.answer or {}).get("password")
        return StationAnswer(
            station_id=command.station_id, command_id=result.command_id, status=result.status.value, message=result.message,
            audit_seq=result.audit_seq, password=password, cautions=list(cautions),
        )  # fmt: skip

    async def one(station_id: str) -> StationDetail:
        found = (await _shown(web, station_id=station_id)).stations
        if not found:
            raise Problem("unknown_station", "GET /api/v1/stations lists all.")
        return found[0]

    async def put(request: Request, station_id: str, body: StationBody, key: str) -> Response:
        cautions: list[str] = []
        if isinstance(body.connectors, int) or any("rated_w" not in c.model_fields_set for c in body.connectors):
            cautions.append(f"a connector whose rated_w is not stated is taken to draw {AC_W // 1000} kW: compare with its plate")
        bodies = (
            body.connectors if isinstance(body.connectors, list) else [ConnectorBody(connector_id=n + 1) for n in range(body.connectors)]
        )
        if not bodies or len({c.connector_id for c in bodies}) != len(bodies):
            raise Problem(
                "invalid_request", "A station has connectors, each with its own number.", errors={"connectors": "Each number once"}
            )
        try:
            connectors = tuple(c.to_spec() for c in sorted(bodies, key=lambda c: c.connector_id))
        except InvalidValue as error:
            raise Problem("invalid_request", str(error), errors={"connectors": str(error)}) from None
        station = StationSpec(station_id, body.feeder_id or _only_feeder(web), connectors, body.bay_id)
        command = cmd.AddStation(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=body.reason, station_id=station_id, station=station,
            password=body.password or "", registration=body.registration, security_profile=body.security_profile,
            item_limits=body.item_limits.known(),
        )  # fmt: skip
        return reply(await carry_out(command, cautions=cautions), 201)

    @router.get(
        "/stations", responses=answers("StationsView", 422), response_class=Response, summary="Stations, and who waits in quarantine"
    )
    async def stations(registration: Annotated[Registration | None, Query()] = None) -> Response:
        view = await _shown(web)
        kept = [s for s in view.stations if registration in (None, s.registration)]
        return reply(msgspec.structs.replace(view, stations=kept))

    @router.post(
        "/stations", responses=answers("StationAnswer", 409, 422, success=201), response_class=Response, summary="Add a station, at once"
    )
    async def add(request: Request, body: NewStationBody, key: Key = "") -> Response:
        return await put(request, body.station_id, body, key)

    @router.get("/stations/{station_id}", responses=answers("StationDetail", 404, 422), response_class=Response, summary="One station")
    async def station(station_id: StationName) -> Response:
        return reply(await one(station_id))

    @router.put(
        "/stations/{station_id}", responses=answers("StationAnswer", 409, 422, success=201), response_class=Response,
        summary="Add a station, or add connectors to it",
    )  # fmt: skip
    async def replace(request: Request, station_id: StationName, body: StationBody, key: Key = "") -> Response:
        return await put(request, station_id, body, key)

    @router.patch(
        "/stations/{station_id}", responses=answers("StationAnswer", 404, 409, 422), response_class=Response,
        summary="Accept, hold or reject a station; set its item limits",
    )  # fmt: skip
    async def change(request: Request, station_id: StationName, body: StationChangeBody, key: Key = "") -> Response:
        await one(station_id)
        who = {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": body.reason, "station_id": station_id}
        answer: StationAnswer | None = None
        if body.item_limits is not None:
            answer = await carry_out(cmd.SetItemLimits(**{**who, "command_id": actions.new_id()}, limits=body.item_limits.known()))
        if body.registration is not None:
            answer = await carry_out(cmd.AdmitStation(**who, registration=body.registration))
        if answer is None:
            raise Problem("invalid_request", "Say what changes: registration or item_limits.")
        return reply(answer)

    @router.delete(
        "/stations/{station_id}", responses=answers("StationAnswer", 404, 409, 422), response_class=Response,
        summary="Reject a station at once, and count it no more from the next start on",
    )  # fmt: skip
    async def remove(request: Request, station_id: StationName, reason: Reason = BY_API, key: Key = "") -> Response:
        await one(station_id)
        command = cmd.RetireStation(command_id=key or actions.new_id(), actor=caller_of(request).name, reason=reason, station_id=station_id)
        return reply(await carry_out(command))

    @router.post(
        "/stations/{station_id}/calls/{action}", responses=answers("CallAnswer", 404, 409, 413, 422), response_class=Response,
        summary="Send the station any call of its OCPP version",
    )  # fmt: skip
    async def call(
        request: Request, station_id: StationName, action: Action, payload: Annotated[dict[str, Any], Body()], reason: Reason = BY_API,
        key: Key = "",
    ) -> Response:  # fmt: skip
        await one(station_id)
        command = cmd.CallStation(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=reason, station_id=station_id, action=action,
            payload=payload,
        )  # fmt: skip
        result = await actions.send(web, command, within_s=CALL_S)
        if result.status is cmd.CommandStatus.REFUSED and result.answer:
            raise Problem("invalid_request", result.message, errors={"payload": result.message})
        refuse_refused(result)
        return reply(result.answer)

    @router.get("/messages", responses=answers("MessagesView", 422), response_class=Response, summary="The message log, newest first")
    async def messages(
        station_id: Annotated[str | None, Query(max_length=48)] = None,
        action: Annotated[str | None, Query(max_length=50)] = None,
        direction: Annotated[str | None, Query(pattern="^(in|out)$", description="in: from the station; out: to it")] = None,
        text: Annotated[str | None, Query(max_length=100, description="Anywhere in a message")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        wanted = {"station_id": station_id, "action": action, "direction": direction, "text": text, "limit": str(limit)}
        return reply(await _messages(web, wanted))

    @router.get(
        "/messages/export",
        responses=LINES,
        response_class=Response,
        summary="The message log as lines of JSON, newest first",
    )
    async def export(
        station_id: Annotated[str | None, Query(max_length=48)] = None, text: Annotated[str | None, Query(max_length=100)] = None
    ) -> Response:
        found = await _messages(web, {"station_id": station_id, "text": text, "limit": "1000"})

        async def lines() -> AsyncIterator[bytes]:
            for message in found.messages:
                yield msgspec.json.encode(message) + b"\n"

        headers = {"content-disposition": 'attachment; filename="messages.ndjson"'}
        return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)

    return router


async def order(web: Web, command: cmd.Command) -> cmd.CommandResult:
    """Send a command that a station may take long to answer; raises :class:`Problem` where the core refuses it. One that
    failed at the station is an answer."""
    result = await actions.send(web, command, within_s=CALL_S)
    refuse_refused(result)
    return result


def refuse_refused(result: cmd.CommandResult) -> None:
    """Raises :class:`Problem` for a command that the core refused."""
    if result.status is cmd.CommandStatus.REFUSED:
        raise Problem("command_refused", result.message or "The controller gave no reason; its log says more.")


async def _shown(web: Web, **args: str) -> StationsView:
    found = await web.link.show(StationsView, **args)
    if found is None:
        raise Problem("not_found", "This core has no stations room.")
    return found


async def _messages(web: Web, wanted: Mapping[str, str | None]) -> MessagesView:
    found = await web.link.show(MessagesView, **{name: value for name, value in wanted.items() if value})
    if found is None:
        raise Problem("not_found", "This core has no stations room.")
    return found


def _only_feeder(web: Web) -> str:
    feeders = [feeder.feeder_id for feeder in web.view().feeders]
    if len(feeders) != 1:
        raise Problem(
            "invalid_request", "Say on which feeder the station hangs.", errors={"feeder_id": f"One of {', '.join(sorted(feeders))}"}
        )
    return feeders[0]
