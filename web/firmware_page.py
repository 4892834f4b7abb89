"""Firmware and logs on the screen: images, updates with their progress, logs that stations sent.

FirmwareView, LogsView -> words          forms -> shelf + AddFirmware, RemoveFirmware, UpdateFirmware, FetchLog
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.files import FilesError
from controller.files.images import FIELDS, image_of
from controller.files.views import ImageView, TransferView
from depot import commands as cmd
from depot.files import TransferKind
from depot.values import InvalidValue
from web import actions, text
from web.context import Web, caller_of, machine_tabs
from web.files_api import log_file, shelf_of, shown_firmware, shown_logs
from web.pages import Flash
from web.problems import Problem
from web.stations_api import order
from web.stations_page import shown_stations

ROWS = 100
STANDINGS = {
    "under_way": ("st live", "clock"),
    "done": ("st done", "check"),
    "failed": ("st alarm", "faulted"),
    "superseded": ("st", "close"),
}
_WORDS = {"NotSent": "not sent", "Unanswered": "no answer", "Ordered": "ordered", "Accepted": "accepted", "Refused": "refused"}
_CHUNK = 1024 * 1024


def firmware_screens(web: Web) -> APIRouter:
    """Routes of firmware and logs."""
    router = APIRouter(include_in_schema=False)

    @router.get("/firmware")
    async def firmware(request: Request, station_id: str = "") -> Response:
        return await _page(web, request, station_id[:48])

    @router.post("/firmware")
    async def add(request: Request) -> Response:
        async with request.form(max_files=1, max_fields=20) as sent:
            said = {name: str(sent.get(name, "")) for name in FIELDS}
            reason = actions.need_reason(str(sent.get("reason", "")))
            file = sent.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                return await _page(web, request, "", error="Choose the image's file.", status=422)
            shelf = shelf_of(web)
            with await asyncio.to_thread(shelf.writing, web.settings.image_bytes) as writing:
                try:
                    while chunk := await file.read(_CHUNK):
                        await asyncio.to_thread(writing.write, chunk)
                    if not writing.size_bytes:
                        raise InvalidValue("the file is empty")
                    image = image_of(said, file_name=file.filename, sha256=writing.sha256, size_bytes=writing.size_bytes)
                    await asyncio.to_thread(shelf.keep_image, writing)
                except (FilesError, InvalidValue) as error:
                    return await _page(web, request, "", error=f"{str(error)[:1].upper()}{str(error)[1:]}.", status=422)
        command = cmd.AddFirmware(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, image=image)
        return await _done(web, request, command, f"Firmware {image.version}")

    @router.post("/firmware/{image_id}/remove")
    async def remove(request: Request, image_id: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.RemoveFirmware(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, image_id=image_id[:32])
        return await _done(web, request, command, "Remove firmware")

    @router.post("/firmware/updates")
    async def update(request: Request) -> Response:
        sent = await request.form(max_fields=600)
        reason = actions.need_reason(str(sent.get("reason", "")))
        chosen = tuple(dict.fromkeys(str(value)[:48] for value in sent.getlist("station")))
        if not chosen:
            raise Problem("invalid_request", "Choose the stations that shall take it.", errors={"station": "Choose at least one station."})
        at = _at(web, str(sent.get("at", "")))
        command = cmd.UpdateFirmware(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, image_id=str(sent.get("image_id", ""))[:32],
            station_ids=chosen,
            retrieve_at=at,
        )  # fmt: skip
        return await _done(web, request, command, "Update firmware")

    @router.post("/firmware/publications")
    async def publish(request: Request) -> Response:
        sent = await request.form()
        command = cmd.PublishFirmware(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(str(sent.get("reason", ""))),
            image_id=str(sent.get("image_id", ""))[:32], station_id=str(sent.get("station_id", ""))[:48],
        )  # fmt: skip
        return await _done(web, request, command, "Publish firmware")

    @router.post("/logs")
    async def fetch(request: Request) -> Response:
        sent = await request.form()
        reason = actions.need_reason(str(sent.get("reason", "")))
        kind = TransferKind.SECURITY if sent.get("kind") == "security" else TransferKind.DIAGNOSTICS
        command = cmd.FetchLog(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, station_id=str(sent.get("station_id", ""))[:48],
            kind=kind,
        )  # fmt: skip
        return await _done(web, request, command, f"Log of {command.station_id}")

    @router.get("/logs/{number}/file")
    async def file(number: int, file: int | None = None) -> Response:
        found = next((t for t in (await shown_logs(web)).logs if t.id == number), None)
        if found is None:
            raise Problem("not_found", "Nobody asked for this log.")
        return await log_file(web, found, file)

    return router


async def _done(web: Web, request: Request, command: cmd.Command, title: str) -> Response:
    try:
        result = await order(web, command)
    except Problem as problem:
        if problem.code != "command_refused":
            raise
        return await _page(web, request, "", error=problem.detail, status=problem.status)
    response = RedirectResponse("/firmware", status_code=303)
    web.pages.set_flash(response, Flash(title, result.status.value, result.message[:300], result.audit_seq, caller_of(request).name))
    return response


def _at(web: Web, said: str) -> datetime | None:
    try:
        return actions.next_time(web.view(), said)
    except ValueError:
        raise Problem("invalid_request", "Write a time such as 02:00.", errors={"at": "A time such as 02:00."}) from None


async def _page(web: Web, request: Request, station_id: str, *, error: str = "", status: int = 200) -> Response:
    view = web.view()
    clock = text.DepotTime(view.timezone, view.at)
    found, logs = await shown_firmware(web, station_id or None), await shown_logs(web, station_id or None)
    stations = sorted((await shown_stations(web)).stations, key=lambda s: s.station_id)
    return web.pages.render(
        request,
        "firmware.html",
        view=view,
        status=status,
        screen="chargers",
        tabs=machine_tabs(request, "firmware"),
        serving=found.serving,
        address=found.address,
        only=station_id,
        images=[_image(i) for i in found.images],
        stations=[
            {"id": s.station_id, "words": " · ".join(p for p in (s.vendor, s.model, s.firmware) if p), "connected": s.connected}
            for s in stations
        ],
        updates=[_transfer(t, clock) for t in found.updates[:ROWS]],
        publications=[_transfer(t, clock) for t in found.publications[:ROWS]],
        logs=[_transfer(t, clock) for t in logs.logs[:ROWS]],
        error=error,
        most=f"{web.settings.image_bytes // 1024**2} MB",
    )


def _image(i: ImageView) -> dict[str, Any]:
    return {
        "id": i.image_id,
        "name": i.name,
        "version": i.version,
        "machine": " ".join(part for part in (i.vendor, i.model) if part) or "any",
        "size": size_words(i.size_bytes),
        "sha": i.sha256[:16],
        "signed": i.signed,
        "here": i.here,
    }


def _transfer(t: TransferView, clock: text.DepotTime) -> dict[str, Any]:
    share = t.sent_bytes / t.size_bytes if t.sent_bytes is not None and t.size_bytes else None
    word = _WORDS.get(t.state, t.state)
    css, symbol = STANDINGS.get(t.standing, ("st", "info"))
    if t.overdue:
        css, symbol, word = "st warn", "late", f"{word}, then silence"
    return {
        "id": t.id,
        "station_id": t.station_id,
        "css": css,
        "symbol": symbol,
        "word": word,
        "row": "alarm" if t.standing == "failed" else ("warn" if t.overdue else ""),
        "detail": t.detail,
        "since": clock.seconds(t.state_since),
        "asked": f"{t.asked_by}, {clock.clock(t.asked_at)}",
        "kind": "security log" if t.kind == "security" else t.kind,
        "version": t.version,
        "runs": t.runs or text.ABSENT,
        "width": "0%" if share is None else f"{min(1.0, share) * 100:.1f}%",
        "sent": "" if t.sent_bytes is None or t.size_bytes is None else f"{size_words(t.sent_bytes)} of {size_words(t.size_bytes)}",
        "bar": "f-live" if t.standing == "under_way" else "f-idle",
        "locations": t.locations,
        "at": "" if t.retrieve_at is None else clock.clock(t.retrieve_at),
        "files": [
            {"file": f.file, "name": f.name or f"file {f.file}", "size": size_words(f.size_bytes), "here": f.here, "sha": f.sha256[:16]}
            for f in t.files
        ],
    }


def size_words(size_bytes: int) -> str:
    """``14.3 MB``."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} B"
