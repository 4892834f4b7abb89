"""/api/v1/lake: the catalogue of battery samples, the record of a pack's life, and its whole history as a signed archive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path
from msgspec import Struct
from starlette.responses import FileResponse, Response

from controller.lake_view import LakeCatalogView, PackHistoryView, PackLifeView
from controller.link import LinkProtocol
from web.api import answers, reply
from web.context import Web
from web.problems import Problem

T = TypeVar("T", bound=Struct)
VehicleId = Annotated[str, Path(min_length=1, max_length=64, description="Vehicle id")]
PackId = Annotated[str, Path(min_length=1, max_length=64, description="Pack id")]

SCHEMAS: Sequence[type] = (LakeCatalogView, PackLifeView)
"""What these routes answer with, for the OpenAPI document."""

_ARCHIVE = {
    **answers("LakeCatalogView", 404, 422),
    200: {"description": "The archive", "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
}


def lake_api(web: Web) -> APIRouter:
    """Routes of the lake."""
    router = APIRouter(prefix="/api/v1/lake")

    @router.get(
        "/catalog", responses=answers("LakeCatalogView", 404), response_class=Response, summary="What is kept of batteries' samples"
    )
    async def catalog() -> Response:
        return reply(await _shown(web, LakeCatalogView))

    @router.get(
        "/packs/{vehicle_id}/{pack_id}/life", responses=answers("PackLifeView", 404, 422), response_class=Response, summary="A pack's life"
    )
    async def life(vehicle_id: VehicleId, pack_id: PackId) -> Response:
        return reply(await _shown(web, PackLifeView, vehicle_id=vehicle_id, pack_id=pack_id))

    @router.get(
        "/packs/{vehicle_id}/{pack_id}/history", responses=_ARCHIVE, response_class=Response, summary="A pack's whole history, signed"
    )
    async def history(vehicle_id: VehicleId, pack_id: PackId) -> Response:
        found = await _shown(web, PackHistoryView, vehicle_id=vehicle_id, pack_id=pack_id)
        folder = web.settings.exports
        path = None if folder is None else folder / PurePath(found.name).name
        if path is None or not await asyncio.to_thread(path.is_file):
            raise Problem("not_found", "The archive was made and is not there any more: ask again.")
        headers = {"cache-control": "no-store", "x-key-fingerprint": found.fingerprint}
        return FileResponse(path, media_type="application/zip", filename=found.name, headers=headers)

    return router


async def _shown(web: Web, kind: type[T], **args: str) -> T:
    """A view of the lake's room; raises :class:`Problem` where there is none."""
    try:
        found = await web.link.show(kind, **args)
    except LinkProtocol as error:
        raise Problem("not_found", f"{error}") from None
    if found is None:
        raise Problem("not_found", "The lake has never heard of this pack.")
    return found
