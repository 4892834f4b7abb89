"""/api/v1/utility: the link to the utility, and the definition of its registers for whoever writes a master."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from controller.grid_view import GridView, UtilityView, register_model
from web.api import answers, reply
from web.context import Web
from web.problems import Problem

SCHEMAS: Sequence[type] = (UtilityView,)
"""What these routes answer with, for the OpenAPI document."""

_MODEL = {"description": "A SunSpec model definition", "content": {"application/json": {"schema": {"type": "object"}}}}


def utility_api(web: Web) -> APIRouter:
    """The routes of the utility's link."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/utility", responses=answers("UtilityView", 404), response_class=Response, summary="The link to the utility")
    async def utility() -> Response:
        found = await web.link.show(GridView)
        if found is None or found.utility is None:
            raise Problem("not_found", "This depot has no link to its utility.")
        return reply(found.utility)

    @router.get(
        "/utility/model-64900",
        responses=answers("UtilityView") | {200: _MODEL},
        response_class=Response,
        summary="The limit's registers as a SunSpec model definition",
    )
    async def model() -> Response:
        answer = reply(register_model())
        answer.headers["content-disposition"] = 'attachment; filename="model_64900.json"'
        return answer

    return router
