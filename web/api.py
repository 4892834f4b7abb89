"""/api/v1: what the pages show, as JSON, and the same commands. snake_case; powers W, energies Wh, times UTC.

People use their session (with ``X-CSRF-Token`` on changes), machines a bearer token. Answers are the read model's
structs as they are; refusals are problem+json with a code of :data:`web.problems.CATALOGUE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, FastAPI, Header, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.readmodel import ChargerView, Health, LimitView, NowView, Tile
from controller.safety_view import SafetyView
from depot import commands as cmd
from depot.events import VisitAnnounced
from depot.values import ConnectorId, InvalidValue
from web import actions
from web.context import Web, caller_of
from web.problems import Problem
from web.roles import Permission

_JSON = "application/json"
_PROBLEM = "application/problem+json"

Station = Annotated[str, Path(min_length=1, max_length=48, description="OCPP identity of the station")]
Connector = Annotated[int, Path(ge=1, le=999, description="Connector number")]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=64,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="A repeat with the same key does nothing new",
    ),
]


class ChargerList(Struct, frozen=True):
    """One page of connectors. ``next_cursor``: give it to get the next page; null at the end."""

    chargers: list[Tile]
    next_cursor: str | None


class LimitList(Struct, frozen=True):
    """All limits in force; the lowest of a scope counts."""

    limits: list[LimitView]


class HealthAnswer(Struct, frozen=True):
    """``age_s``: since the core's last tick arrived; ``stale``: too old to act on."""

    stale: bool
    age_s: float | None
    health: Health | None


class ProblemDocument(Struct, frozen=True, kw_only=True):
    """RFC 9457. ``code`` is from a fixed catalogue; ``errors``: field -> what is wrong."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: dict[str, str] = {}


class ReasonedBody(BaseModel):
    """Base of all bodies: nothing unknown in them, and a reason."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=200, description="Kept in the audit trail")


class ReasonBody(ReasonedBody):
    """Why."""


class AvailabilityBody(ReasonedBody):
    """Out of service (false) or back (true; needs restore)."""

    operative: bool


class VisitBody(ReasonedBody):
    """A vehicle's stay. ``energy_wh``: what the battery must receive; ``connector`` null: matched when it plugs in."""

    vehicle_id: str = Field(min_length=1, max_length=64)
    connector: str | None = Field(default=None, max_length=64)
    depart_at: AwareDatetime
    energy_wh: int = Field(ge=0, le=10_000_000)
    arrive_at: AwareDatetime | None = None
    max_w: int = Field(default=1_000_000, ge=1, le=10_000_000)
    discharge_w: int = Field(default=0, ge=0, le=10_000_000, description="The most that the vehicle gives to the grid; 0: nothing")
    priority: int = Field(default=0, ge=-100, le=100)
    visit_id: str | None = Field(default=None, min_length=1, max_length=64)


def answers(ok: str, *codes: int, success: int = 200) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route: what it answers, then the problems."""
    found: dict[int | str, dict[str, Any]] = {
        success: {"description": "Done", "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{ok}"}}}},
    }
    for code in sorted({400, 401, 403, 503, *codes}):
        found[code] = {"description": "See `code`", "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}}
    return found


COMMAND: dict[str, Any] = {
    "responses": answers("CommandResult", 404, 409, 413, 422)
    | {202: answers("CommandResult")[200] | {"description": "Accepted, under way"}},
    "response_class": Response,
}


def reply(value: object, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status_code=status, media_type=_JSON)


def api(web: Web) -> APIRouter:
    """Routes of /api/v1."""
    router = APIRouter(prefix="/api/v1")

    async def send(command: cmd.Command) -> Response:
        result = await actions.send(web, command)
        if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED):
            raise Problem("command_refused", result.message or "The controller gave no reason; its log says more.")
        return reply(result, 202 if result.status is cmd.CommandStatus.ACCEPTED else 200)

    async def known(station: str, connector: int) -> ConnectorId:
        """The connector; one that was added a moment ago stands in no view yet, so the core is asked."""
        key = actions.connector_of(station, connector)
        if all(tile.connector != str(key) for tile in web.view().tiles) and await web.link.show(ChargerView, connector=str(key)) is None:
            raise Problem("unknown_charger", "GET /api/v1/chargers lists all.")
        return key

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        return reply(request.app.openapi())

    @router.get("/now", responses=answers("NowView"), response_class=Response, summary="Everything that the page Now shows")
    async def now() -> Response:
        return reply(web.view())

    @router.get("/chargers", responses=answers("ChargerList", 422), response_class=Response, summary="Connectors, page by page")
    async def chargers(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str, Query(max_length=64, description="next_cursor of the page before")] = "",
    ) -> Response:
        tiles = sorted(web.view().tiles, key=lambda tile: tile.connector)
        rest = [tile for tile in tiles if tile.connector > cursor]
        return reply(ChargerList(rest[:limit], rest[limit - 1].connector if len(rest) > limit else None))

    @router.get(
        "/chargers/{station}/{connector}",
        responses=answers("ChargerView", 404, 422),
        response_class=Response,
        summary="One connector, with its reason chain",
    )
    async def charger(station: Station, connector: Connector) -> Response:
        found = await web.link.show(ChargerView, connector=str(actions.connector_of(station, connector)))
        if found is None:
            raise Problem("unknown_charger", "GET /api/v1/chargers lists all.")
        return reply(found)

    @router.get("/limits", responses=answers("LimitList"), response_class=Response, summary="Limits in force")
    async def limits() -> Response:
        view = web.view()
        return reply(LimitList(view.limits or [view.site.limit, *(feeder.limit for feeder in view.feeders)]))

    @router.get("/safety", responses=answers("SafetyView"), response_class=Response, summary="Tripped batteries, telemetry, timeline")
    async def safety() -> Response:
        found = await web.link.show(SafetyView)
        if found is None:
            raise Problem("not_found", "This core has no safety room.")
        return reply(found)

    @router.get("/health", responses=answers("HealthAnswer"), response_class=Response, summary="Is the core alive, and its parts")
    async def health() -> Response:
        view = web.link.view
        return reply(HealthAnswer(web.pages.stale, web.link.age_s, None if view is None else view.health))

    @router.post("/chargers/{station}/{connector}/start", **COMMAND, summary="Start a session")
    async def start(request: Request, station: Station, connector: Connector, body: ReasonBody, key: Key = "") -> Response:
        target = await known(station, connector)
        return await send(
            cmd.StartCharging(command_id=key or actions.new_id(), actor=caller_of(request).name, reason=_why(body), connector=target)
        )

    @router.post("/chargers/{station}/{connector}/stop", **COMMAND, summary="Stop the session")
    async def stop(request: Request, station: Station, connector: Connector, body: ReasonBody, key: Key = "") -> Response:
        target = await known(station, connector)
        return await send(
            cmd.StopCharging(command_id=key or actions.new_id(), actor=caller_of(request).name, reason=_why(body), connector=target)
        )

    @router.post("/chargers/{station}/{connector}/availability", **COMMAND, summary="Out of service, or back")
    async def availability(request: Request, station: Station, connector: Connector, body: AvailabilityBody, key: Key = "") -> Response:
        caller = caller_of(request)
        if body.operative and not caller.may(Permission.RESTORE):
            raise Problem("forbidden", "Putting a connector back in service needs the permission restore.")
        target = await known(station, connector)
        return await send(
            cmd.SetAvailability(
                command_id=key or actions.new_id(), actor=caller.name, reason=_why(body), connector=target, operative=body.operative
            )
        )

    @router.post("/visits", **COMMAND, summary="State or change a vehicle's stay")
    async def announce(request: Request, body: VisitBody, key: Key = "") -> Response:
        view = web.fresh_view()
        arrive_at = body.arrive_at or view.at
        if body.depart_at <= arrive_at:
            raise Problem("invalid_request", "The vehicle would leave before it comes.", errors={"depart_at": "Must be after arrive_at"})
        connector = None
        if body.connector is not None:
            station, _, number = body.connector.rpartition("/")
            connector = await known(station, int(number) if number.isdecimal() and number.isascii() else 0)
        try:
            visit = VisitAnnounced(
                visit_id=body.visit_id or f"{body.vehicle_id}-{actions.new_id()}",
                vehicle_id=body.vehicle_id,
                arrive_at=_at(arrive_at, view.at),
                depart_at=_at(body.depart_at, view.at),
                battery_energy_wh=body.energy_wh,
                max_w=body.max_w,
                discharge_w=body.discharge_w,
                connector=connector,
                priority=body.priority,
            )
        except InvalidValue as error:
            raise Problem("invalid_request", str(error)) from None
        return await send(
            cmd.AnnounceVisit(command_id=key or actions.new_id(), actor=caller_of(request).name, reason=_why(body), visit=visit)
        )

    return router


def _why(body: ReasonedBody) -> str:
    return actions.need_reason(body.reason)


def _at(at: datetime, like: datetime) -> datetime:
    try:
        return at.astimezone(like.tzinfo)
    except OverflowError:
        raise Problem("invalid_request", "A time is out of range.") from None


def finish_openapi(app: FastAPI, more: Sequence[type] = ()) -> None:
    """Give the OpenAPI document the read model's schemas (``more``: those of other rooms) and the two ways to show who asks."""
    build = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = build()
            types = [NowView, ChargerView, ChargerList, LimitList, HealthAnswer, SafetyView, ProblemDocument, cmd.CommandResult, *more]
            _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
            components = document.setdefault("components", {})
            kept = {k: v for k, v in components.get("schemas", {}).items() if k not in ("HTTPValidationError", "ValidationError")}
            components["schemas"] = kept | schemas
            components["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "chargeyard"},
            }
            document["security"] = [{"token": []}, {"session": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
