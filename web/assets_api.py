"""/api/v1/assets: solar plants and stationary batteries, and a battery's mode by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from controller.assets_view import AssetsView
from depot import commands as cmd
from depot.assets import AssetMode
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import order

AssetName = Annotated[str, Path(min_length=1, max_length=63, description="Id of the battery, as the settings have it")]

SCHEMAS: Sequence[type] = (AssetsView,)
"""What these routes answer with, for the OpenAPI document."""


class ModeBody(ReasonedBody):
    """``standby``: it is kept at 0 W. ``auto``: the depot decides."""

    mode: AssetMode


def assets_api(web: Web) -> APIRouter:
    """Routes of assets."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/assets", responses=answers("AssetsView", 404), response_class=Response, summary="Solar plants and stationary batteries")
    async def assets() -> Response:
        found = await web.link.show(AssetsView)
        if found is None:
            raise Problem("not_found", "This core has no assets.")
        return reply(found)

    @router.put("/assets/{asset}/mode", **COMMAND, summary="Keep a battery at 0 W, or let the depot decide again")
    async def mode(request: Request, asset: AssetName, body: ModeBody, key: Key = "") -> Response:
        command = cmd.SetAssetMode(
            command_id=key or actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(body.reason),
            asset_id=asset,
            mode=body.mode,
        )
        return reply(await order(web, command))

    return router
