"""/api/v1/reservations, /local-lists, /configuration: what stations keep for the depot. Each order is answered with how far
it got and what the station said; the same checks hold as for a call by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.configuration import ConfigurationView
from controller.link import LinkProtocol
from controller.local_lists import LocalListView
from controller.reservations import ReservationRow, ReservationsView
from depot import commands as cmd
from depot.local_lists import MAX_VERSION, UpdateType
from depot.reservations import MAX_ID, ReservationState
from depot.tokens import MAX_TOKEN_LENGTH, IdToken, TokenStatus
from depot.values import InvalidValue
from web import actions
from web.api import COMMAND, Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, Reason, StationName, order

ReservationId = Annotated[int, Path(ge=0, le=MAX_ID)]
Token = Annotated[str, Field(min_length=1, max_length=MAX_TOKEN_LENGTH)]


class ReservationBody(BaseModel):
    """A reservation. ``connector`` 0: any of the station's, or with ``connector_type`` (2.x, as OCPP spells it) of that type;
    ``group``: whose parent token this is may use it, too; ``reservation_id`` null: the next free one."""

    model_config = ConfigDict(extra="forbid")
    station_id: str = Field(min_length=1, max_length=48)
    connector: int = Field(default=0, ge=0, le=99)
    id_token: Token
    expires_at: AwareDatetime
    group: str = Field(default="", max_length=MAX_TOKEN_LENGTH)
    reservation_id: int | None = Field(default=None, ge=0, le=MAX_ID)
    connector_type: str = Field(default="", max_length=20)
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class EntryBody(BaseModel):
    """One entry of a local list. ``remove``: take it out (differential only)."""

    model_config = ConfigDict(extra="forbid")
    token: Token
    status: TokenStatus = TokenStatus.ACCEPTED
    expires_at: AwareDatetime | None = None
    group: str = Field(default="", max_length=MAX_TOKEN_LENGTH)
    remove: bool = False


class LocalListBody(BaseModel):
    """A list to send. ``entries`` null: all listed id tokens, or, for a differential update, what has changed of them.
    ``version`` null: the next one."""

    model_config = ConfigDict(extra="forbid")
    update_type: UpdateType = UpdateType.FULL
    entries: list[EntryBody] | None = Field(default=None, max_length=5000)
    version: int | None = Field(default=None, ge=1, le=MAX_VERSION)
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class ConfigurationBody(BaseModel):
    """A key to change. The value is not kept by the depot where it is a secret."""

    model_config = ConfigDict(extra="forbid")
    key: str = Field(min_length=1, max_length=50)
    value: str = Field(max_length=500)
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class ReservationAnswer(Struct, frozen=True, kw_only=True):
    """How far it got. ``state``: accepted, faulted, occupied, rejected, unavailable, cancelled …; ``asked`` where the station gave
    no answer and may hold it. ``call``: how the call to it ended."""

    command_id: str
    status: str
    message: str
    audit_seq: int
    reservation_id: int | None = None
    state: str = ""
    note: str = ""
    call: dict[str, Any] | None = None


SCHEMAS: Sequence[type] = (ReservationsView, ReservationRow, ReservationAnswer, LocalListView, ConfigurationView)
"""What these routes answer with, for the OpenAPI document."""


def standing_api(web: Web) -> APIRouter:
    """Routes of reservations, local lists and configuration."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": reason}

    # -- reservations -------------------------------------------------------------------------------------------

    async def reservations(**args: str) -> list[ReservationRow]:
        found = await web.link.show(ReservationsView, **args)
        if found is None:
            raise Problem("not_found", "This core has no reservations room.")
        return found.reservations

    def answered(result: cmd.CommandResult) -> ReservationAnswer:
        said = dict(result.answer or {})
        return ReservationAnswer(
            command_id=result.command_id, status=result.status.value, message=result.message, audit_seq=result.audit_seq, **said
        )

    @router.get("/reservations", responses=answers("ReservationsView", 422), response_class=Response, summary="Reservations, newest first")
    async def listed(
        station_id: Annotated[str, Query(max_length=48)] = "", state: Annotated[ReservationState | None, Query()] = None
    ) -> Response:
        wanted = {"station_id": station_id, "state": state.value if state is not None else ""}
        rows = await reservations(**{name: value for name, value in wanted.items() if value})
        return reply(ReservationsView(at=web.view().at, reservations=rows))

    @router.post(
        "/reservations", responses=answers("ReservationAnswer", 409, 422, success=201), response_class=Response,
        summary="Reserve a connector (ReserveNow)",
    )  # fmt: skip
    async def reserve(request: Request, body: ReservationBody, key: Key = "") -> Response:
        command = cmd.ReserveConnector(
            **who(request, body.reason, key), station_id=body.station_id, connector=body.connector, id_token=body.id_token,
            expires_at=body.expires_at, group=body.group, reservation_id=body.reservation_id,
            connector_type=body.connector_type,
        )  # fmt: skip
        return reply(answered(await order(web, command)), 201)

    @router.get(
        "/reservations/{reservation_id}", responses=answers("ReservationRow", 404, 422), response_class=Response, summary="One reservation"
    )
    async def one(reservation_id: ReservationId) -> Response:
        found = next((row for row in await reservations() if row.reservation_id == reservation_id), None)
        if found is None:
            raise Problem("not_found", "There is no such reservation; those that are long over are forgotten.")
        return reply(found)

    @router.delete(
        "/reservations/{reservation_id}", responses=answers("ReservationAnswer", 404, 409, 422), response_class=Response,
        summary="Cancel a reservation (CancelReservation)",
    )  # fmt: skip
    async def cancel(request: Request, reservation_id: ReservationId, reason: Reason = BY_API, key: Key = "") -> Response:
        command = cmd.CancelReservation(**who(request, reason, key), reservation_id=reservation_id)
        return reply(answered(await order(web, command)))

    # -- local lists --------------------------------------------------------------------------------------------

    @router.get(
        "/local-lists/{station_id}", responses=answers("LocalListView", 404, 422), response_class=Response,
        summary="The version that a station says, and what it is believed to know",
    )  # fmt: skip
    async def local_list(station_id: StationName) -> Response:
        found = await web.link.show(LocalListView, station_id=station_id)
        if found is None:
            raise Problem("unknown_station", "GET /api/v1/stations lists all.")
        return reply(found)

    @router.put("/local-lists/{station_id}", **COMMAND, summary="Send a local list, in parts that the station takes")
    async def send(request: Request, station_id: StationName, body: LocalListBody, key: Key = "") -> Response:
        entries, remove = _entries(body)
        command = cmd.SendLocalList(
            **who(request, body.reason, key), station_id=station_id, update=body.update_type, entries=entries, remove=remove,
            list_version=body.version,
        )  # fmt: skip
        return reply(await order(web, command))

    @router.delete("/local-lists/{station_id}", **COMMAND, summary="Empty a station's local list")
    async def empty(request: Request, station_id: StationName, reason: Reason = BY_API, key: Key = "") -> Response:
        command = cmd.SendLocalList(**who(request, reason, key), station_id=station_id, update=UpdateType.FULL, entries=())
        return reply(await order(web, command))

    # -- configuration ------------------------------------------------------------------------------------------

    @router.get(
        "/configuration/{station_id}", responses=answers("ConfigurationView", 404, 409, 422), response_class=Response,
        summary="Configuration keys of a 1.6 station, as read last or now",
    )  # fmt: skip
    async def configuration(
        station_id: StationName,
        refresh: Annotated[bool, Query(description="Ask the station now")] = False,
        key: Annotated[list[Annotated[str, Field(max_length=50, pattern="^[^,]+$")]] | None, Query(max_length=100)] = None,
    ) -> Response:
        args = {"station_id": station_id, "key": ",".join(key or ()), "refresh": "true" if refresh else ""}
        try:
            found = await web.link.show(ConfigurationView, **{name: value for name, value in args.items() if value})
        except LinkProtocol as error:
            raise Problem("command_refused", str(error)) from None
        if found is None:
            raise Problem("unknown_station", "GET /api/v1/stations lists all.")
        return reply(found)

    @router.put("/configuration/{station_id}", **COMMAND, summary="Change a configuration key (ChangeConfiguration)")
    async def change(request: Request, station_id: StationName, body: ConfigurationBody, key: Key = "") -> Response:
        command = cmd.ChangeConfiguration(**who(request, body.reason, key), station_id=station_id, key=body.key, value=body.value)
        return reply(await order(web, command))

    return router


def _entries(body: LocalListBody) -> tuple[tuple[IdToken, ...] | None, tuple[str, ...]]:
    if body.entries is None:
        return None, ()
    try:
        listed = tuple(IdToken(e.token, e.status, e.expires_at, e.group) for e in body.entries if not e.remove)
    except InvalidValue as error:
        raise Problem("invalid_request", str(error), errors={"entries": str(error)}) from None
    return listed, tuple(e.token for e in body.entries if e.remove)
