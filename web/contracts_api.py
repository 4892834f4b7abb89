"""/api/v1/trusted-roots: authorities whose contracts (ISO 15118 Plug & Charge) the depot honours. Times UTC; hashes in hex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from controller.contracts.room import PEM_MOST, TrustedRootsView
from depot import commands as cmd
from depot.contracts import RootUse
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, Reason, order

Fingerprint = Annotated[str, Path(min_length=64, max_length=64, pattern="^[0-9A-Fa-f]+$", description="SHA-256, as the list has it")]

SCHEMAS: Sequence[type] = (TrustedRootsView,)
"""What these routes answer with, for the OpenAPI document."""


class RootBody(ReasonedBody):
    """An authority to trust. ``use``: ``mo``, a mobility operator's; ``v2g``: of all Plug & Charge."""

    use: RootUse = RootUse.MO
    certificate: str = Field(min_length=1, max_length=PEM_MOST, description="PEM; a root, or an authority under one")
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


def contracts_api(web: Web) -> APIRouter:
    """Routes of trusted authorities."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, str]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": reason}

    @router.get(
        "/trusted-roots", responses=answers("TrustedRootsView", 404), response_class=Response, summary="Whose contracts are honoured"
    )
    async def roots() -> Response:
        found = await web.link.show(TrustedRootsView)
        if found is None:
            raise Problem("not_found", "This core has no contracts room.")
        return reply(found)

    @router.post("/trusted-roots", **COMMAND, summary="Honour an authority's contracts")
    async def trust(request: Request, body: RootBody, key: Key = "") -> Response:
        command = cmd.TrustContractRoot(**who(request, body.reason, key), use=body.use, certificate=body.certificate)
        return reply(await order(web, command))

    @router.delete("/trusted-roots/{fingerprint}", **COMMAND, summary="Honour its contracts no more")
    async def distrust(request: Request, fingerprint: Fingerprint, reason: Reason = BY_API, key: Key = "") -> Response:
        return reply(await order(web, cmd.DistrustContractRoot(**who(request, reason, key), fingerprint=fingerprint.lower())))

    return router
