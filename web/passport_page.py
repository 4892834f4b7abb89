"""The passport of a battery: its page for the depot's people, and the public one behind the QR code.

GET  /safety/packs/{vehicle}/{pack}/passport          what everybody may see, how much is known, QR code
POST /safety/packs/{vehicle}/{pack}/passport          a signed file for a tier, with a reason
POST /safety/packs/{vehicle}/{pack}/passport/import   one from elsewhere
GET  /passport/{token}, /passport/{token}/file        for everybody, where the settings say so
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from controller import passport_paper
from controller.link import LinkProtocol
from controller.passport_view import FINDINGS_KEPT, KeptPassportView, PassportView, PublicPassportView
from web import text
from web.context import Web, caller_of
from web.driver_links import qr_svg
from web.pack_page import pack_url
from web.packs_api import PackId, VehicleId
from web.passport_api import issued, keeping, saved, standing
from web.problems import Problem
from web.roles import Permission
from web.screens import carry_out

_CLOSED = "There is no passport behind this address. Passports are shown where their depot publishes them."


def passport_url(vehicle_id: str, pack_id: str) -> str:
    """The path of a battery's passport."""
    return f"{pack_url(vehicle_id, pack_id)}/passport"


def passport_screens(web: Web) -> APIRouter:
    """Routes of the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/safety/packs/{vehicle}/{pack}/passport")
    async def page(request: Request, vehicle: VehicleId, pack: PackId) -> Response:
        view = web.view()
        found = await standing(web, vehicle, pack)
        clock = text.DepotTime(view.timezone, view.at)
        return web.pages.render(
            request,
            "passport.html",
            view=view,
            screen="safety",
            **page_context(found, clock, whole=caller_of(request).may(Permission.REGISTRY)),
        )

    @router.post("/safety/packs/{vehicle}/{pack}/passport")
    async def issue(request: Request, vehicle: VehicleId, pack: PackId) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        tier, kind = form.get("tier", ""), form.get("form", "json")
        if tier not in passport_paper.TIER_WORDS or kind not in ("json", "pdf"):
            raise Problem("invalid_request", "Choose who it is for, and a kind of file.")
        document = await issued(web, vehicle, pack, tier=tier, actor=caller_of(request).name, reason=form.get("reason", ""))
        return await saved(document, kind)

    @router.post("/safety/packs/{vehicle}/{pack}/passport/import")
    async def imported(request: Request, vehicle: VehicleId, pack: PackId) -> Response:
        async with request.form() as sent:
            file, reason, told = sent.get("file"), str(sent.get("reason", "")), str(sent.get("fingerprint", ""))
            data = await file.read(passport_paper.MOST_BYTES + 1) if isinstance(file, UploadFile) else b""
        command = await keeping(web, request, vehicle, pack, data=data, reason=reason, fingerprint=told)
        return await carry_out(web, request, command, f"Keep a passport with {vehicle}", back=passport_url(vehicle, pack))

    @router.get("/passport/{token}")
    async def public(request: Request, token: str) -> Response:
        found = await published(web, token)
        return web.pages.render(request, "passport_public.html", view=None, token=token, **public_context(found))

    @router.get("/passport/{token}/file")
    async def public_file(token: str) -> Response:
        return await saved((await published(web, token)).document, "json")

    return router


async def published(web: Web, token: str) -> PublicPassportView:
    """By the word in its address; the same answer for a wrong one, and where nothing is public. Raises :class:`Problem`."""
    if not web.settings.public_passports or not token.isascii() or not token.isalnum() or len(token) > 64:
        raise Problem("not_found", _CLOSED)
    try:
        found = await web.link.show(PublicPassportView, token=token)
    except LinkProtocol:
        raise Problem("core_unreachable", "This passport cannot be shown now. Come back in some minutes.") from None
    if found is None:
        raise Problem("not_found", _CLOSED)
    return found


def page_context(found: PassportView, clock: text.DepotTime, *, whole: bool) -> dict[str, Any]:
    """Everything that the template of the depot's page needs. ``whole``: the owner's copy is shown, not what everybody may see."""
    base = passport_url(found.vehicle_id, found.pack_id)
    return {
        "name": found.vehicle_id,
        "pack": found.pack_id,
        "back": pack_url(found.vehicle_id, found.pack_id),
        "base": base,
        "number": found.document["aspects"]["GeneralProductInformation"]["batteryPassportIdentifier"],
        "filled": found.filled,
        "unknown": found.unknown,
        "required": found.filled + found.unknown,
        "sheet": found.sheet,
        "address": found.address,
        "qr": qr_svg(found.address, title=f"QR code of the passport of {found.vehicle_id}", css="qr") if found.address else "",
        "findings": found.findings,
        "tiers": [(tier, words) for tier, words in passport_paper.TIER_WORDS.items()],
        "parts": passport_paper.parts(found.owners if whole and found.owners else found.document),
        "whole": whole,
        "assessed": passport_paper.assessed(found.owners) if whole else [],
        "batch": found.batch,
        "batch_from": found.batch_from,
        "kept": [_kept(one, clock, found) for one in found.kept],
    }


def public_context(found: PublicPassportView) -> dict[str, Any]:
    """Everything that the template of the public page needs."""
    document = found.document
    general = document["aspects"]["GeneralProductInformation"]
    counted = passport_paper.filled(document)
    return {
        "number": general["batteryPassportIdentifier"],
        "issued_at": str(document["issued_at"])[:16].replace("T", " ") + " UTC",
        "issuer": document["issuer"],
        "model": document["data_model"],
        "filled": counted.filled,
        "unknown": counted.unknown,
        "withheld": counted.withheld,
        "signed_by": passport_paper.signer(document),
        "parts": [
            (heading, known, [row for row in missing if row.absent == "unknown"])
            for heading, known, missing in passport_paper.parts(document)
        ],
    }


def _kept(one: KeptPassportView, clock: text.DepotTime, found: PassportView) -> dict[str, Any]:
    return {
        "sha256": one.sha256,
        "short": one.sha256[:12],
        "number": one.number or "without a number",
        "issuer": one.issuer or "not told",
        "parts": "all six parts" if len(one.parts) == 6 else "1 part" if len(one.parts) == 1 else f"{len(one.parts)} parts",
        "batch": one.batch,
        "signed_by": one.signed_by,
        "at": f"{clock.local(one.kept_at):%-d %b %Y %H:%M}",
        "by": one.by,
        "reason": one.reason,
        "findings": one.findings,
        "count": f"{len(one.findings)} or more" if len(one.findings) >= FINDINGS_KEPT else str(len(one.findings)),
        "path": f"/api/v1/packs/{found.vehicle_id}/{found.pack_id}/passports/{one.sha256}",
    }
