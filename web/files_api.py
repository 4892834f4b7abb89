"""/api/v1/firmware and /api/v1/logs: images for stations, updates with their progress, logs that stations send.

    POST /firmware              the image as body (or a form) -> listed
    POST /firmware/{id}/updates {"station_ids", …} -> one transfer a station
    POST /logs                  {"station_id", "kind", …} -> one transfer; its file comes later, GET /logs/{id}/file

An image goes to the shelf as it comes, never whole through memory, and never through the core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response

from controller.files import FilesError
from controller.files.images import FIELDS, image_of
from controller.files.intake import Intake
from controller.files.shelf import Shelf, TooLarge
from controller.files.tickets import file_headers
from controller.files.views import FirmwareView, ImageView, LogsView, TransferView
from depot import commands as cmd
from depot.files import TransferKind
from depot.values import InvalidValue
from web import actions
from web.api import Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, StationName, order

ImageId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="Of GET /firmware")]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Of GET /logs")]
StationQuery = Annotated[str | None, Query(max_length=48)]
Reason = Annotated[str, Query(min_length=1, max_length=200, description="Kept in the audit trail")]
Text = Annotated[str, Query(max_length=200)]


class _Again(BaseModel):
    """``retries``, ``retry_interval_s`` null: as the station likes."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    retries: int | None = Field(default=None, ge=0, le=100)
    retry_interval_s: int | None = Field(default=None, ge=0, le=86_400)
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class PublicationBody(_Again):
    """``station_id``: a local controller (OCPP 2.x)."""

    station_id: str = Field(min_length=1, max_length=48)


class UpdateBody(_Again):
    """``retrieve_at``, ``install_at`` null: now."""

    station_ids: list[Annotated[str, Field(min_length=1, max_length=48)]] = Field(min_length=1, max_length=500)
    retrieve_at: AwareDatetime | None = None
    install_at: AwareDatetime | None = None


class LogBody(_Again):
    """``from``, ``until`` null: as much as the station has."""

    station_id: str = Field(min_length=1, max_length=48)
    kind: TransferKind = TransferKind.DIAGNOSTICS
    since: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = None


class TransferAnswer(Struct, frozen=True, kw_only=True):
    """What one station said to its order. ``id``: under which its transfer is listed."""

    id: int
    station_id: str
    state: str
    standing: str
    detail: str


class TransfersAnswer(Struct, frozen=True, kw_only=True):
    """What became of an order to stations. ``said``: to UnpublishFirmware (Unpublished, NoFirmware, DownloadOngoing)."""

    command_id: str
    message: str
    audit_seq: int
    transfers: list[TransferAnswer]
    said: str = ""


class UpdateList(Struct, frozen=True):
    """Updates, newest first."""

    at: datetime
    updates: list[TransferView]


class PublicationList(Struct, frozen=True):
    """Publications, newest first."""

    at: datetime
    publications: list[TransferView]


SCHEMAS: Sequence[type] = (FirmwareView, UpdateList, PublicationList, ImageView, LogsView, TransferView, TransfersAnswer)
"""What these routes answer with, for the OpenAPI document."""
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        **{name: {"type": "string"} for name in (*FIELDS, "reason")},
                    },
                }
            },
        },
    }
}
_FILE = answers("LogsView", 404, 422) | {
    200: {"description": "The file", "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


def files_api(web: Web) -> APIRouter:
    """Routes of firmware and logs."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/firmware", responses=answers("FirmwareView", 404), response_class=Response, summary="Firmware images and updates")
    async def firmware() -> Response:
        return reply(await shown_firmware(web))

    @router.post(
        "/firmware", responses=answers("ImageView", 404, 409, 413, 422, success=201), response_class=Response, openapi_extra=_BODY,
        summary="Add a firmware image: raw, or as a form that also carries signature (Base64) and certificate (PEM)",
    )  # fmt: skip
    async def add(
        request: Request, name: Text = "", version: Text = "", vendor: Text = "", model: Text = "", reason: Reason = BY_API, key: Key = ""
    ) -> Response:
        said = {"name": name, "version": version, "vendor": vendor, "model": model}
        shelf = shelf_of(web)
        with await asyncio.to_thread(shelf.writing, web.settings.image_bytes) as writing:
            try:
                intake = Intake(writing, request.headers.get("content-type", ""))
                await intake.take(request.stream())
                said = {k: v for k, v in said.items() if v} | {k: v for k, v in intake.fields.items() if k in FIELDS and v}
                if not writing.size_bytes:
                    raise InvalidValue("send the image as the body, or as the file of a form")
                image = image_of(said, file_name=intake.name, sha256=writing.sha256, size_bytes=writing.size_bytes)
                await asyncio.to_thread(shelf.keep_image, writing)
            except TooLarge as error:
                raise Problem("too_large", f"{error} (setting files.max_image_mb).") from None
            except (FilesError, InvalidValue, TimeoutError, ClientDisconnect) as error:
                raise Problem("invalid_request", str(error) or "The image did not come whole; send it again.") from None
        who = {"command_id": key or actions.new_id(), "actor": caller_of(request).name}
        await order(web, cmd.AddFirmware(**who, reason=intake.fields.get("reason", "")[:200] or reason, image=image))
        found = await shown_firmware(web)
        return reply(next((i for i in found.images if i.image_id == image.image_id), {"image_id": image.image_id}), 201)

    @router.get("/firmware/updates", responses=answers("UpdateList", 404, 422), response_class=Response, summary="Updates, newest first")
    async def updates(station_id: StationQuery = None) -> Response:
        found = await shown_firmware(web, station_id)
        return reply(UpdateList(found.at, found.updates))

    @router.get(
        "/firmware/publications", responses=answers("PublicationList", 404, 422), response_class=Response,
        summary="Images that local controllers keep for the stations behind them, newest first",
    )  # fmt: skip
    async def publications(station_id: StationQuery = None) -> Response:
        found = await shown_firmware(web, station_id)
        return reply(PublicationList(found.at, found.publications))

    @router.get("/firmware/{image_id}", responses=answers("ImageView", 404, 422), response_class=Response, summary="One image")
    async def image(image_id: ImageId) -> Response:
        return reply(await _one(image_id))

    @router.delete(
        "/firmware/{image_id}", responses=answers("CommandResult", 404, 409, 422), response_class=Response,
        summary="Remove an image that no station is about to fetch",
    )  # fmt: skip
    async def remove(request: Request, image_id: ImageId, reason: Reason = BY_API, key: Key = "") -> Response:
        await _one(image_id)
        who = {"command_id": key or actions.new_id(), "actor": caller_of(request).name}
        return reply(await order(web, cmd.RemoveFirmware(**who, reason=reason, image_id=image_id)))

    @router.post(
        "/firmware/{image_id}/updates", responses=answers("TransfersAnswer", 404, 409, 422), response_class=Response,
        summary="Have stations fetch and install an image",
    )  # fmt: skip
    async def update(request: Request, image_id: ImageId, body: UpdateBody, key: Key = "") -> Response:
        await _one(image_id)
        command = cmd.UpdateFirmware(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=body.reason, image_id=image_id,
            station_ids=tuple(dict.fromkeys(body.station_ids)), retrieve_at=body.retrieve_at, retries=body.retries,
            retry_interval_s=body.retry_interval_s, install_at=body.install_at,
        )  # fmt: skip
        return reply(_told(await order(web, command)))

    @router.post(
        "/firmware/{image_id}/publications", responses=answers("TransfersAnswer", 404, 409, 422), response_class=Response,
        summary="Have a local controller keep an image (PublishFirmware)",
    )  # fmt: skip
    async def publish(request: Request, image_id: ImageId, body: PublicationBody, key: Key = "") -> Response:
        await _one(image_id)
        command = cmd.PublishFirmware(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=body.reason, image_id=image_id,
            station_id=body.station_id, retries=body.retries, retry_interval_s=body.retry_interval_s,
        )  # fmt: skip
        return reply(_told(await order(web, command)))

    @router.delete(
        "/firmware/{image_id}/publications/{station_id}", responses=answers("TransfersAnswer", 404, 409, 422), response_class=Response,
        summary="Have it keep the image no more (UnpublishFirmware)",
    )  # fmt: skip
    async def unpublish(request: Request, image_id: ImageId, station_id: StationName, reason: Reason = BY_API, key: Key = "") -> Response:
        who = {"command_id": key or actions.new_id(), "actor": caller_of(request).name}
        return reply(_told(await order(web, cmd.UnpublishFirmware(**who, reason=reason, image_id=image_id, station_id=station_id))))

    @router.get("/logs", responses=answers("LogsView", 404, 422), response_class=Response, summary="Logs asked for, newest first")
    async def logs(station_id: StationQuery = None) -> Response:
        return reply(await shown_logs(web, station_id))

    @router.post("/logs", responses=answers("TransfersAnswer", 409, 422), response_class=Response, summary="Have a station send a log")
    async def fetch(request: Request, body: LogBody, key: Key = "") -> Response:
        if not body.kind.is_log:
            raise Problem("invalid_request", "A log is diagnostics or security.", errors={"kind": "diagnostics or security"})
        command = cmd.FetchLog(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=body.reason, station_id=body.station_id,
            kind=body.kind, since=body.since, until=body.until, retries=body.retries, retry_interval_s=body.retry_interval_s,
        )  # fmt: skip
        return reply(_told(await order(web, command)))

    @router.get("/logs/{number}", responses=answers("TransferView", 404, 422), response_class=Response, summary="One log")
    async def log(number: Number) -> Response:
        return reply(await _log(number))

    @router.get("/logs/{number}/file", responses=_FILE, response_class=Response, summary="The file that the station sent")
    async def file(number: Number, file: Annotated[int | None, Query(ge=1, le=99, description="Null: the newest")] = None) -> Response:
        return await log_file(web, await _log(number), file)

    async def _one(image_id: str) -> ImageView:
        found = next((i for i in (await shown_firmware(web)).images if i.image_id == image_id), None)
        if found is None:
            raise Problem("not_found", "There is no such image: GET /api/v1/firmware lists all.")
        return found

    async def _log(number: int) -> TransferView:
        found = next((t for t in (await shown_logs(web)).logs if t.id == number), None)
        if found is None:
            raise Problem("not_found", "Nobody asked for this log: GET /api/v1/logs lists all.")
        return found

    return router


async def log_file(web: Web, transfer: TransferView, file: int | None) -> Response:
    """A received file, as a download under our own name."""
    wanted = [f for f in transfer.files if file in (None, f.file)]
    if not wanted:
        raise Problem("not_found", "The station has not sent it yet.")
    chosen = wanted[-1]
    path = await asyncio.to_thread(shelf_of(web).received_file, transfer.id, chosen.file)
    if path is None:
        raise Problem("not_found", "This file was dropped since, by its age or for room (settings files.kept_days, files.kept_mb).")
    end = chosen.name.rpartition(".")[2] if "." in chosen.name else "bin"
    name = f"{transfer.station_id}-{transfer.kind}-{transfer.id}-{chosen.file}.{end[:8]}"
    headers = {**file_headers(name), "content-encoding": "identity"}  # it may be large and is packed already as a rule
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


async def shown_firmware(web: Web, station_id: str | None = None) -> FirmwareView:
    found = await web.link.show(FirmwareView, **({"station_id": station_id} if station_id else {}))
    if found is None:
        raise Problem("not_found", "This core serves no files.")
    return found


async def shown_logs(web: Web, station_id: str | None = None) -> LogsView:
    found = await web.link.show(LogsView, **({"station_id": station_id} if station_id else {}))
    if found is None:
        raise Problem("not_found", "This core serves no files.")
    return found


def shelf_of(web: Web) -> Shelf:
    """The shelf that web and file service share."""
    if web.settings.files is None:
        raise Problem("not_found", "This depot serves no files (setting files.serve).")
    return Shelf(web.settings.files)


def _told(result: cmd.CommandResult) -> TransfersAnswer:
    rows = (result.answer or {}).get("transfers", [])
    return TransfersAnswer(
        command_id=result.command_id, message=result.message, audit_seq=result.audit_seq,
        transfers=msgspec.convert(rows, list[TransferAnswer]), said=str((result.answer or {}).get("said", "")),
    )  # fmt: skip
