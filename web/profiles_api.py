"""/api/v1/charging-profiles: which profiles stations are believed to hold, what they add up to by our calculation and by the
station's, what a station itself reports, and profiles by hand; /charging-needs and /external-limits: what stations tell of
vehicles and of others. OCPP payloads verbatim, as the station's version spells them.

A profile by hand is a call to the station like any other (:mod:`web.stations_api`): it leaves only where there is room for
all that it could let flow, and is told as it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.profiles_room import MOST_S, CompositeView, ProfileReportView, ProfilesView, RunningView
from controller.smart_charging_room import ExternalLimitsView, NeedsView
from controller.stations_view import StationsView
from depot import commands as cmd
from web import actions
from web.api import Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, Reason, order

SCHEMAS: Sequence[type] = (ProfilesView, CompositeView, ProfileReportView, NeedsView, ExternalLimitsView)
"""What these routes answer with, for the OpenAPI document."""
Station = Annotated[str, Query(min_length=1, max_length=48, description="OCPP identity of the station")]
Place = Annotated[int, Query(ge=0, le=99, description="Connector, or EVSE; 0: the whole station")]
Ids = Annotated[list[int] | None, Query(max_length=50)]
Sources = Annotated[list[str] | None, Query(max_length=4, description="Who set it: CSO (this depot), EMS, SO, Other")]
Purpose = Annotated[str | None, Query(max_length=50, pattern="^[A-Za-z]+$", description="As the station's version spells it")]


class ProfileBody(BaseModel):
    """``profile``: ``csChargingProfiles`` of OCPP 1.6, or ``chargingProfile`` of 2.0.1. ``connector`` 0: the whole station."""

    model_config = ConfigDict(extra="forbid")
    station_id: str = Field(min_length=1, max_length=48)
    connector: int = Field(ge=0, le=99)
    profile: dict[str, Any]
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


def profiles_api(web: Web) -> APIRouter:
    """Routes of charging profiles."""
    router = APIRouter(prefix="/api/v1")

    async def call(request: Request, station_id: str, action: str, payload: dict[str, Any], *, reason: str, key: str) -> Response:
        command = cmd.CallStation(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=reason, station_id=station_id, action=action,
            payload=payload,
        )  # fmt: skip
        result = await order(web, command)
        return reply(dict(result.answer or {}) or {"message_id": "", "outcome": "error", "error": {"description": result.message}})

    @router.get(
        "/charging-profiles", responses=answers("ProfilesView", 404, 422), response_class=Response,
        summary="Profiles that stations are believed to hold",
    )  # fmt: skip
    async def profiles(station_id: Annotated[str | None, Query(min_length=1, max_length=48)] = None) -> Response:
        found = await web.link.show(ProfilesView, **({} if station_id is None else {"station_id": station_id}))
        if found is None:
            raise Problem("unknown_station", "GET /api/v1/stations lists all.")
        return reply(found)

    @router.get(
        "/charging-profiles/composite", responses=answers("CompositeView", 404, 422), response_class=Response,
        summary="What a connector may draw: by our calculation, and by the station's (it is asked)",
    )  # fmt: skip
    async def composite(station_id: Station, connector: Place = 1, duration_s: Annotated[int, Query(ge=1, le=MOST_S)] = 600) -> Response:
        found = await web.link.show(CompositeView, station_id=station_id, connector=str(connector), duration_s=str(duration_s))
        if found is None:
            raise Problem("unknown_charger", "GET /api/v1/stations lists stations and their connectors.")
        return reply(found)

    @router.get(
        "/charging-profiles/report", responses=answers("ProfileReportView", 404, 422), response_class=Response,
        summary="Profiles as the station itself reports them (OCPP 2.x; it is asked)",
    )  # fmt: skip
    async def report(
        station_id: Station,
        evse: Annotated[int | None, Query(ge=0, le=99)] = None,
        profile_id: Ids = None,
        purpose: Purpose = None,
        stack_level: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
        limit_source: Sources = None,
    ) -> Response:
        if any(not source.isalnum() or len(source) > 20 for source in limit_source or ()):
            raise Problem("invalid_request", "A source is up to 20 letters and digits: CSO, EMS, SO, Other.")
        given = {
            "evse": evse, "profile_ids": ",".join(str(n) for n in profile_id or ()), "purpose": purpose, "stack_level": stack_level,
            "sources": ",".join(limit_source or ()),
        }  # fmt: skip
        found = await web.link.show(
            ProfileReportView, station_id=station_id, **{name: str(v) for name, v in given.items() if v is not None and v != ""}
        )
        if found is None:
            raise Problem("unknown_station", "GET /api/v1/stations lists all.")
        return reply(found)

    @router.get(
        "/charging-needs", responses=answers("NeedsView", 422), response_class=Response,
        summary="What vehicles say that they need, and what they mean to draw",
    )  # fmt: skip
    async def needs(station_id: Annotated[str | None, Query(min_length=1, max_length=48)] = None) -> Response:
        return reply(await web.link.show(NeedsView, **({} if station_id is None else {"station_id": station_id})))

    @router.get(
        "/external-limits", responses=answers("ExternalLimitsView", 422), response_class=Response,
        summary="Limits that others have set at stations",
    )  # fmt: skip
    async def external(station_id: Annotated[str | None, Query(min_length=1, max_length=48)] = None) -> Response:
        return reply(await web.link.show(ExternalLimitsView, **({} if station_id is None else {"station_id": station_id})))

    @router.post(
        "/charging-profiles", responses=answers("CallAnswer", 404, 409, 413, 422), response_class=Response,
        summary="Install a profile by hand",
    )  # fmt: skip
    async def install(request: Request, body: ProfileBody, key: Key = "") -> Response:
        if await _is_16(web, body.station_id):
            payload: dict[str, Any] = {"connectorId": body.connector, "csChargingProfiles": body.profile}
        else:
            payload = {"evseId": body.connector, "chargingProfile": await _named(web, body)}
        return await call(request, body.station_id, "SetChargingProfile", payload, reason=body.reason, key=key)

    @router.delete(
        "/charging-profiles", responses=answers("CallAnswer", 404, 409, 422), response_class=Response,
        summary="Clear one profile by its id, or all that match; the depot's own are installed again",
    )  # fmt: skip
    async def clear(
        request: Request,
        station_id: Station,
        profile_id: Annotated[int | None, Query(ge=-(2**31), lt=2**31)] = None,
        connector: Annotated[int | None, Query(ge=0, le=99)] = None,
        purpose: Purpose = None,
        stack_level: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
        reason: Reason = BY_API,
        key: Key = "",
    ) -> Response:
        old = await _is_16(web, station_id)
        criteria = {"connectorId" if old else "evseId": connector, "chargingProfilePurpose": purpose, "stackLevel": stack_level}
        given: dict[str, Any] = {name: value for name, value in criteria.items() if value is not None}
        if old:
            payload = given if profile_id is None else {"id": profile_id, **given}
        else:
            payload = {"chargingProfileCriteria": given} if given or profile_id is None else {}
            payload |= {} if profile_id is None else {"chargingProfileId": profile_id}
        return await call(request, station_id, "ClearChargingProfile", payload, reason=reason, key=key)

    return router


async def _named(web: Web, body: ProfileBody) -> dict[str, Any]:
    """A TxProfile that names no transaction is for the one that runs there (2.x: K01.FR.03), if one does."""
    if body.profile.get("chargingProfilePurpose") != "TxProfile" or "transactionId" in body.profile:
        return body.profile
    running = await web.link.show(RunningView, station_id=body.station_id, connector=str(body.connector))
    if running is None or running.transaction_id is None:
        return body.profile
    return {**body.profile, "transactionId": running.transaction_id}


async def _is_16(web: Web, station_id: str) -> bool:
    """Whether the station spoke OCPP 1.6 last; one that never spoke is taken for it."""
    found = await web.link.show(StationsView, station_id=station_id)
    if found is None or not found.stations:
        raise Problem("unknown_station", "GET /api/v1/stations lists all.")
    return found.stations[0].version in ("", "1.6")
