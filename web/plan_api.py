"""/api/v1/plan: the plan in force against what was measured, a row for every vehicle with its powers.

Reading needs ``read``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from controller.plan_view import PlanView
from web.api import answers, reply
from web.context import Web
from web.plan_page import plan_of

SCHEMAS: Sequence[type] = (PlanView,)
"""What these routes answer with, for the OpenAPI document."""


def plan_api(web: Web) -> APIRouter:
    """Routes of the plan."""
    router = APIRouter(prefix="/api/v1")

    @router.get(
        "/plan", responses=answers("PlanView", 404, 422), response_class=Response, summary="The plan in force against what was measured"
    )
    async def plan(
        by: Annotated[Literal["vehicle", "feeder"], Query(description="What the layers are")] = "vehicle",
        layers: Annotated[int, Query(ge=1, le=40, description="So many layers, then the rest")] = 8,
        back_h: Annotated[int, Query(ge=1, le=24, description="Hours before now")] = 12,
        rows: Annotated[int, Query(ge=0, le=5000, description="Vehicles at most")] = 1000,
    ) -> Response:
        return reply(await plan_of(web, by=by, layers=str(layers), back_h=str(back_h), rows=str(rows), powers="yes"))

    return router
