"""/api/v1/evacuation, /incidents, /drills: roll-call, incident files, drills.

An evacuation begins and people check in whatever is known of the depot at the moment; ending one, closing a file and a drill are a
person's. Files hold names: they are for those who may see the audit trail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.drill_view import DrillsView
from controller.evacuation_view import EvacuationView
from controller.files.tickets import file_headers
from controller.incident_export import document
from controller.incident_files import IncidentFileError
from controller.incident_view import IncidentsView
from depot import commands as cmd
from depot.commands.emergency import MOST_ID, MOST_PEOPLE
from depot.emergency import Presence
from depot.outputs import Level
from depot.values import InvalidValue, Role
from web import actions
from web.api import COMMAND, Key, ReasonBody, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.outputs_page import area_of
from web.problems import Problem
from web.stations_api import refuse_refused

SCHEMAS: Sequence[type] = (EvacuationView, IncidentsView, DrillsView)
"""What these routes answer with, for the OpenAPI document."""

IncidentId = Annotated[str, Path(pattern=r"^\d{4}-\d{2}-\d{2}-\d{1,4}$", description="Of GET /incidents")]
STOP_S = 20.0
T = TypeVar("T")


class AreaBody(ReasonedBody):
    """Which area people leave. ``area_id``: the bay's or the feeder's name; empty for the site."""

    level: Level = Level.SITE
    area_id: str = Field(default="", max_length=64)


class CheckInBody(BaseModel):
    """Where a person is. ``point``: the assembly point."""

    model_config = ConfigDict(extra="forbid")
    person_id: str = Field(min_length=1, max_length=MOST_ID)
    presence: Presence = Presence.SAFE
    point: str = Field(default="", max_length=60)
    reason: str = Field(default="roll-call", min_length=1, max_length=200, description="Kept in the audit trail")


class EndBody(ReasonedBody):
    """``despite_missing``: end it although somebody was not seen."""

    despite_missing: bool = False


class PersonBody(BaseModel):
    """``person_id``: a staff number or the like, never a name: it stands in the journal for ever. ``name``: for the screens, deletable."""

    model_config = ConfigDict(extra="forbid")
    person_id: str = Field(min_length=1, max_length=MOST_ID)
    name: str = Field(default="", max_length=80)
    post: str = Field(default="", max_length=60)


class ShiftBody(ReasonedBody):
    """Everybody who is on the site."""

    people: list[PersonBody] = Field(max_length=MOST_PEOPLE)


class DrillBody(ReasonedBody):
    """``contactors``: test them, too, where no session runs behind them."""

    contactors: bool = False


_FILE = answers("IncidentsView", 404, 422) | {
    200: {
        "description": "The incident's file",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def emergency_api(web: Web) -> APIRouter:
    """Routes of evacuation, incidents and drills."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": actions.need_reason(reason)}

    async def done(command: cmd.Command, *, within_s: float | None = None, urgent: bool = False) -> Response:
        result = await actions.send(web, command, within_s=within_s, urgent=urgent)
        refuse_refused(result)
        return reply(result, 202 if result.status is cmd.CommandStatus.ACCEPTED else 200)

    @router.get(
        "/evacuation", responses=answers("EvacuationView", 404), response_class=Response, summary="Evacuation, roll-call, who is on shift"
    )
    async def evacuation() -> Response:
        return reply(await evacuation_shown(web))

    @router.post("/evacuation", **COMMAND, summary="Begin an evacuation, or add an area to it")
    async def begin(request: Request, body: AreaBody, key: Key = "") -> Response:
        area = area_of(body.level, body.area_id)
        return await done(cmd.BeginEvacuation(**who(request, body.reason, key), area=area), urgent=True)

    @router.post("/evacuation/check-in", **COMMAND, summary="Say in the roll-call where a person is")
    async def check_in(request: Request, body: CheckInBody, key: Key = "") -> Response:
        return await done(check_in_of(who(request, body.reason, key), body.person_id, body.presence, body.point), urgent=True)

    @router.post("/evacuation/end", **COMMAND, summary="End the evacuation; by a person who may reset")
    async def end(request: Request, body: EndBody, key: Key = "") -> Response:
        role = person_of(request, "An evacuation is ended")
        return await done(cmd.EndEvacuation(**who(request, body.reason, key), role=role, despite_missing=body.despite_missing))

    @router.put("/evacuation/shift", **COMMAND, summary="Say who is on the site from now on")
    async def shift(request: Request, body: ShiftBody, key: Key = "") -> Response:
        rows = [(person.person_id, person.name, person.post) for person in body.people]
        return await done(shift_of(who(request, body.reason, key), rows))

    @router.get(
        "/incidents", responses=answers("IncidentsView", 404), response_class=Response, summary="Incidents with their steps, newest first"
    )
    async def incidents() -> Response:
        return reply(await incidents_shown(web))

    @router.get("/incidents/{incident}/file", responses=_FILE, response_class=Response, summary="The incident's file, as JSON or PDF")
    async def file(incident: IncidentId, kind: Annotated[Literal["json", "pdf"], Query(alias="format")] = "json") -> Response:
        return await incident_file(web, incident, kind)

    @router.post("/incidents/{incident}/notes", **COMMAND, summary="Write a note into the file of an open incident; its reason is the note")
    async def note(request: Request, incident: IncidentId, body: ReasonBody, key: Key = "") -> Response:
        return await done(cmd.NoteIncident(**who(request, body.reason, key), incident_id=incident))

    @router.post("/incidents/{incident}/close", **COMMAND, summary="Close an incident's file; by a person who may reset")
    async def close(request: Request, incident: IncidentId, body: ReasonBody, key: Key = "") -> Response:
        role = person_of(request, "An incident's file is closed")
        return await done(cmd.CloseIncident(**who(request, body.reason, key), incident_id=incident, role=role))

    @router.get(
        "/drills", responses=answers("DrillsView", 404), response_class=Response, summary="Drills with each link of the chain, newest first"
    )
    async def drills() -> Response:
        return reply(await drills_shown(web))

    @router.post("/drills", **COMMAND, summary="Begin a drill: the chain with a synthetic pack")
    async def start(request: Request, body: DrillBody, key: Key = "") -> Response:
        person_of(request, "A drill is begun")
        return await done(cmd.StartDrill(**who(request, body.reason, key), contactors=body.contactors))

    @router.post("/drills/stop", **COMMAND, summary="Stop the drill that is under way")
    async def stop(request: Request, body: ReasonBody, key: Key = "") -> Response:
        person_of(request, "A drill is stopped")
        return await done(cmd.StopDrill(**who(request, body.reason, key)), within_s=STOP_S)

    return router


async def evacuation_shown(web: Web) -> EvacuationView:
    """The view. Raises :class:`~web.problems.Problem`."""
    return _there(await web.link.show(EvacuationView))


async def incidents_shown(web: Web) -> IncidentsView:
    return _there(await web.link.show(IncidentsView))


async def drills_shown(web: Web) -> DrillsView:
    return _there(await web.link.show(DrillsView))


def shift_of(base: dict[str, Any], rows: Sequence[tuple[str, str, str]]) -> cmd.SetShift:
    """The command of a form or body: (person_id, name, post). Raises :class:`~web.problems.Problem`."""
    try:
        return cmd.SetShift(**base, people=tuple(cmd.ShiftEntry(*(" ".join(value.split()) for value in row)) for row in rows))
    except InvalidValue as error:
        raise Problem("invalid_request", str(error), errors={"people": str(error)}) from None


def check_in_of(base: dict[str, Any], person_id: str, presence: Presence, point: str) -> cmd.CheckIn:
    """The command of a form or body. Raises :class:`~web.problems.Problem`."""
    try:
        return cmd.CheckIn(**base, person_id=" ".join(person_id.split()), presence=presence, point=" ".join(point.split()))
    except InvalidValue as error:
        raise Problem("invalid_request", str(error), errors={"person_id": str(error)}) from None


async def incident_file(web: Web, incident: str, kind: str) -> Response:
    """A download. The PDF is made in a thread: its library takes its time."""
    if web.settings.incidents is None:
        raise Problem("not_found", "This web serves no incident files.")
    folder = web.settings.incidents

    def made() -> tuple[bytes, str]:
        found = document(folder, incident)
        if kind == "json":
            return msgspec.json.format(msgspec.json.encode(found), indent=1), "application/json"
        from controller.incident_pdf import pdf

        return pdf(found), "application/pdf"

    try:
        body, media = await asyncio.to_thread(made)
    except IncidentFileError as error:
        raise Problem("not_found", f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    return Response(body, media_type=media, headers=file_headers(f"incident-{incident}.{kind}"))


def person_of(request: Request, what: str) -> Role:
    """The role of who asks; raises :class:`~web.problems.Problem` for a machine."""
    role = caller_of(request).role
    if role is None:
        raise Problem("forbidden", f"{what} by a person, not by a machine.")
    return role


def _there(found: T | None) -> T:
    if found is None:
        raise Problem("not_found", "This core has no emergency room.")
    return found
