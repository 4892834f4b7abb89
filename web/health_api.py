"""/api/v1/packs/health and /api/v1/packs/{vehicle}/{pack}/health: what was estimated of the packs' health, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fastapi import APIRouter
from msgspec import Struct
from starlette.responses import Response

from controller.health_view import FleetHealthView, PackHealthView
from controller.link import LinkProtocol
from web.api import answers, reply
from web.context import Web
from web.packs_api import PackId, VehicleId
from web.problems import Problem

T = TypeVar("T", bound=Struct)
SCHEMAS: Sequence[type[Struct]] = (FleetHealthView, PackHealthView)
"""What these routes answer with, for the OpenAPI document."""

UNHEARD = "Nothing was heard of this pack yet: GET /api/v1/packs/health lists those of which something was."
OFF = "This depot estimates no health: add a section [health] to its settings, and a [lake] for it to read (docs/battery-health.md)."
OFF_IN_DEMO = (
    "This demo estimates no health: its batteries' history needs Arrow and DuckDB, which are not installed. "
    "End it, and with a network type ./chargeyard demo again, which installs them."
)


def off(clock_speed: float) -> str:
    """Why there is no health here, and what to do: a demo's settings are nobody's to change."""
    return OFF if clock_speed == 1 else OFF_IN_DEMO


def health_api(web: Web) -> APIRouter:
    """Routes of packs' health; they must come before those of single packs."""
    router = APIRouter(prefix="/api/v1/packs")

    @router.get("/health", responses=answers("FleetHealthView", 404), response_class=Response, summary="Health of all packs")
    async def fleet() -> Response:
        found = await health_shown(web, FleetHealthView)
        if found is None:
            raise Problem("not_found", OFF)
        return reply(found)

    @router.get(
        "/{vehicle}/{pack}/health", responses=answers("PackHealthView", 404, 422), response_class=Response, summary="A pack's health"
    )
    async def one(vehicle: VehicleId, pack: PackId) -> Response:
        if await health_shown(web, FleetHealthView) is None:
            raise Problem("not_found", OFF)
        return reply(await pack_health(web, vehicle, pack))

    return router


async def health_shown(web: Web, kind: type[T], **args: str) -> T | None:
    """A view of the health room; None where this depot has none."""
    try:
        return await web.link.show(kind, **args)
    except LinkProtocol:
        return None


async def pack_health(web: Web, vehicle: str, pack: str) -> PackHealthView:
    """Raises :class:`Problem` for a pack that nothing was heard of."""
    found = await health_shown(web, PackHealthView, vehicle_id=vehicle, pack_id=pack)
    if found is None:
        raise Problem("not_found", UNHEARD)
    return found
