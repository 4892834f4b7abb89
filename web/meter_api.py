"""/api/v1/meter: the meter at the grid connection, each value with its age."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from controller.grid_view import GridView, MeterView
from web.api import answers, reply
from web.context import Web
from web.problems import Problem

SCHEMAS: Sequence[type] = (MeterView,)
"""What this route answers with, for the OpenAPI document."""


def meter_api(web: Web) -> APIRouter:
    """The route of the meter."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/meter", responses=answers("MeterView", 404), response_class=Response, summary="What the meter at the grid tells")
    async def meter() -> Response:
        found = await web.link.show(GridView)
        if found is None or found.meter is None:
            raise Problem("not_found", "This depot has no meter at its grid connection.")
        return reply(found.meter)

    return router
