"""/api/v1/packs and /api/v1/trips: all that is known of the vehicles' batteries, and of those that are tripped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from starlette.responses import Response

from controller.pack_view import PackDetail, PacksView, TripsView
from controller.safety_view import PackRow
from web.api import answers, reply
from web.context import Web
from web.problems import Problem

VehicleId = Annotated[str, Path(min_length=1, max_length=64, description="Id of the vehicle")]
PackId = Annotated[str, Path(min_length=1, max_length=64, description="Id of the battery in it, mostly P1")]


class PackList(Struct, frozen=True):
    """One page of batteries, by vehicle and pack. ``next_cursor``: give it to get the next page; null at the end."""

    packs: list[PackRow]
    next_cursor: str | None


SCHEMAS: Sequence[type[Struct]] = (PackList, PackDetail, TripsView)
"""What these routes answer with, for the OpenAPI document."""


def packs_api(web: Web) -> APIRouter:
    """Routes of batteries and trips."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/packs", responses=answers("PackList", 404, 422), response_class=Response, summary="Batteries, page by page")
    async def packs(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str, Query(max_length=130, description="next_cursor of the page before")] = "",
    ) -> Response:
        found = await web.link.show(PacksView)
        if found is None:
            raise Problem("not_found", "This core has no safety room.")
        rows = sorted(found.packs, key=_name)
        rest = [row for row in rows if _name(row) > cursor]
        return reply(PackList(rest[:limit], _name(rest[limit - 1]) if len(rest) > limit else None))

    @router.get(
        "/packs/{vehicle}/{pack}", responses=answers("PackDetail", 404, 422), response_class=Response, summary="All that is known of one"
    )
    async def pack(vehicle: VehicleId, pack: PackId) -> Response:
        return reply(await pack_shown(web, vehicle, pack))

    @router.get("/trips", responses=answers("TripsView", 404), response_class=Response, summary="Tripped batteries, and why")
    async def trips() -> Response:
        found = await web.link.show(TripsView)
        if found is None:
            raise Problem("not_found", "This core has no safety room.")
        return reply(found)

    return router


async def pack_shown(web: Web, vehicle: str, pack: str) -> PackDetail:
    """One battery; raises :class:`Problem` for one that the depot does not know."""
    found = await web.link.show(PackDetail, vehicle=vehicle, pack=pack)
    if found is None:
        raise Problem("not_found", "The depot knows no such battery: GET /api/v1/packs lists all that something is known of.")
    return found


def _name(row: PackRow) -> str:
    return f"{row.vehicle_id}/{row.pack_id}"
