"""/api/v1/packs/{vehicle}/{pack}/passport: a battery's passport by tier, and passports from elsewhere that are kept beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from controller import passport_paper
from controller.link import LinkProtocol
from controller.passport_view import KeptDocumentView, PassportView
from depot import commands as cmd
from web import actions
from web.api import COMMAND, Key, answers, reply
from web.context import Web, caller_of
from web.packs_api import PackId, VehicleId
from web.problems import Problem
from web.roles import Permission, least_roles
from web.stations_api import refuse_refused

SCHEMAS: Sequence[type] = (PassportView, KeptDocumentView)
"""What these routes answer with, for the OpenAPI document."""

Tier = Annotated[
    Literal["public", "legitimate_interest", "authority", "repurposer", "owner"],
    Query(description="Who it is for; all but public need the permission registry, and a reason"),
]
Form = Annotated[Literal["json", "pdf", "standing"], Query(description="json: the signed file; pdf: on paper; standing: how it stands")]
Reason = Annotated[str, Query(max_length=200, description="Why; kept in the audit trail")]
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file")]

_FILE = answers("PassportView", 404, 409, 422)
_FILE[200] = {
    "description": "The passport",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "application/pdf": {"schema": {"type": "string", "format": "binary"}},
    },
}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
_NONE = "The depot has registered no such battery: GET /api/v1/vehicles lists what it has."


def passport_api(web: Web) -> APIRouter:
    """Routes of passports."""
    router = APIRouter(prefix="/api/v1/packs/{vehicle}/{pack}")

    @router.get("/passport", responses=_FILE, response_class=Response, summary="A battery's passport, signed, as a tier may see it")
    async def passport(
        request: Request, vehicle: VehicleId, pack: PackId, tier: Tier = "public", form: Form = "json", reason: Reason = ""
    ) -> Response:
        if form == "standing":
            found = await standing(web, vehicle, pack)
            return reply(found if caller_of(request).may(Permission.REGISTRY) else msgspec.structs.replace(found, owners={}))
        if tier != passport_paper.PUBLIC and not caller_of(request).may(Permission.REGISTRY):
            raise Problem("forbidden", f"A passport for others than the public needs {least_roles(Permission.REGISTRY)}.")
        if tier == passport_paper.PUBLIC:
            return await saved((await standing(web, vehicle, pack)).document, form)
        document = await issued(web, vehicle, pack, tier=tier, actor=caller_of(request).name, reason=reason)
        return await saved(document, form)

    @router.post("/passports", **COMMAND, openapi_extra=_BODY, summary="Keep a passport from elsewhere beside the battery's own")
    async def keep(
        request: Request,
        vehicle: VehicleId,
        pack: PackId,
        reason: Reason,
        fingerprint: Annotated[str, Query(max_length=100, description="Of the key that must have signed it")] = "",
        key: Key = "",
    ) -> Response:
        command = await keeping(
            web, request, vehicle, pack, data=await request.body(), reason=reason, fingerprint=fingerprint, command_id=key
        )
        result = await actions.send(web, command)
        refuse_refused(result)
        return reply(result, 202 if result.status is cmd.CommandStatus.ACCEPTED else 200)

    @router.get(
        "/passports/{sha256}",
        responses=answers("KeptDocumentView", 404, 422),
        response_class=Response,
        summary="One, as it came",
    )
    async def kept(vehicle: VehicleId, pack: PackId, sha256: Digest) -> Response:
        found = await web.link.show(KeptDocumentView, vehicle_id=vehicle, pack_id=pack, sha256=sha256)
        if found is None:
            raise Problem("not_found", "No such passport is kept with this battery: form=standing lists those that are.")
        return reply(found)

    return router


async def standing(web: Web, vehicle: str, pack: str) -> PassportView:
    """How a battery's passport stands; raises :class:`Problem`."""
    try:
        found = await web.link.show(PassportView, vehicle_id=vehicle, pack_id=pack)
    except LinkProtocol as error:
        raise Problem("command_refused", f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    if found is None:
        raise Problem("not_found", _NONE)
    return found


async def issued(web: Web, vehicle: str, pack: str, *, tier: str, actor: str, reason: str) -> Mapping[str, Any]:
    """The signed document; raises :class:`Problem`."""
    command = cmd.IssuePassport(
        command_id=actions.new_id(), actor=actor, reason=actions.need_reason(reason), vehicle_id=vehicle, pack_id=pack, tier=tier
    )
    result = await actions.send(web, command)
    refuse_refused(result)
    document = (result.answer or {}).get("passport")
    if not isinstance(document, Mapping):
        raise Problem("command_refused", "The core answered without a passport: ask again.")
    return document


async def saved(document: Mapping[str, Any], form: str) -> Response:
    """A document as a file."""
    name = passport_paper.file_name(document, form)
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    headers["x-key-fingerprint"] = passport_paper.signer(document)
    if form == "pdf":
        return Response(await asyncio.to_thread(passport_paper.pdf, document), media_type="application/pdf", headers=headers)
    return Response(passport_paper.json_text(document), media_type="application/json", headers=headers)


async def keeping(
    web: Web, request: Request, vehicle: str, pack: str, *, data: bytes, reason: str, fingerprint: str, command_id: str = ""
) -> cmd.KeepPassport:
    """Lay the file aside for the core, and the command that says so; raises :class:`Problem`."""
    reason = actions.need_reason(reason)
    folder = web.settings.passports
    if not data or len(data) > passport_paper.MOST_BYTES:
        words = f"Send a passport (JSON) of at most {passport_paper.MOST_BYTES // 1024} kB."
        raise Problem("invalid_request", words, errors={"file": words})
    web.fresh_view()
    if folder is None:
        raise Problem("not_found", "This web server takes no passports: it was not told where they go.")
    digest = await asyncio.to_thread(passport_paper.put_aside, folder, data)
    return cmd.KeepPassport(
        command_id=command_id or actions.new_id(),
        actor=caller_of(request).name,
        reason=reason,
        vehicle_id=vehicle,
        pack_id=pack,
        sha256=digest,
        fingerprint=fingerprint[:100],
    )
