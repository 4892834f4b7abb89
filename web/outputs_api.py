"""/api/v1/outputs: contactors, ventilation, siren, beacon; what is isolated; isolate, reset and test.

Isolating is taken whatever is known of the depot at the moment; a reset and a test are a person's.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from depot import commands as cmd
from depot.outputs import Level
from depot.values import Role
from web import actions
from web.api import COMMAND, Key, ReasonBody, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.outputs_page import TEST_S, area_of, outputs_shown
from web.problems import Problem
from web.stations_api import refuse_refused

OutputId = Annotated[str, Path(min_length=1, max_length=48, description="Id of the output, as the settings have it")]


class AreaBody(ReasonedBody):
    """Which area. ``area_id``: the bay's or the feeder's name; empty for the site."""

    level: Level
    area_id: str = Field(default="", max_length=64)


def outputs_api(web: Web) -> APIRouter:
    """Routes of outputs."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": actions.need_reason(reason)}

    async def done(command: cmd.Command, *, within_s: float | None = None, urgent: bool = False) -> Response:
        result = await actions.send(web, command, within_s=within_s, urgent=urgent)
        refuse_refused(result)
        return reply(result, 202 if result.status is cmd.CommandStatus.ACCEPTED else 200)

    @router.get("/outputs", responses=answers("OutputsView", 404), response_class=Response, summary="Outputs, and what is isolated")
    async def outputs() -> Response:
        found = await outputs_shown(web)
        if found is None:
            raise Problem("not_found", "This depot has no outputs: its settings have no [[output]].")
        return reply(found)

    @router.post("/outputs/isolate", **COMMAND, summary="Emergency isolation of a bay, a feeder or the site")
    async def isolate(request: Request, body: AreaBody, key: Key = "") -> Response:
        area = area_of(body.level, body.area_id)
        return await done(cmd.IsolateArea(**who(request, body.reason, key), area=area), urgent=True)

    @router.post("/outputs/reset", **COMMAND, summary="End an isolation; by a person who may reset")
    async def reset(request: Request, body: AreaBody, key: Key = "") -> Response:
        role = _person(request, "An isolation is reset")
        area = area_of(body.level, body.area_id)
        return await done(cmd.ResetArea(**who(request, body.reason, key), area=area, role=role))

    @router.post("/outputs/{output}/test", **COMMAND, summary="Switch an output to its emergency state and back")
    async def test(request: Request, output: OutputId, body: ReasonBody, key: Key = "") -> Response:
        _person(request, "An output is tested")
        return await done(cmd.TestOutput(**who(request, body.reason, key), output_id=output), within_s=TEST_S)

    return router


def _person(request: Request, what: str) -> Role:
    """The role of who asks; raises :class:`~web.problems.Problem` for a machine."""
    role = caller_of(request).role
    if role is None:
        raise Problem("forbidden", f"{what} by a person, not by a machine.")
    return role
