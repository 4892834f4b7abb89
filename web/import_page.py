"""Imports on the screen: choose a file, see what it would change, then apply it with a reason. Nothing is kept between the
steps but what the page itself carries, and the file is read anew when it is applied."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.departures_import import DeparturesPreview
from controller.import_reader import Change, Preview
from depot import commands as cmd
from web import actions
from web.context import Web, caller_of
from web.pages import Flash
from web.problems import Problem
from web.registry_data import send_all

FILE_BYTES = 512 * 1024
"""What the page takes; larger files go through ``./chargeyard import``."""

LINES_SHOWN = 200
_ORDER = {Change.REMOVED: 0, Change.CHANGED: 1, Change.ADDED: 2, Change.UNCHANGED: 3}
_LOOKS = {
    Change.ADDED: ("st live", "available"),
    Change.CHANGED: ("st live", "info"),
    Change.UNCHANGED: ("st", "check"),
    Change.REMOVED: ("st warn", "close"),
}

AnyPreview = Preview | DeparturesPreview
Read = Callable[[bytes, bool], Awaitable[AnyPreview]]
Make = Callable[[Any, str, str], Sequence[cmd.Command]]


@dataclass(frozen=True, slots=True)
class ImportDesk:
    """One kind of file. ``base``: the list's address; ``read``: (bytes, remove what is missing) → preview; ``make``:
    (preview, actor, reason) → commands; ``together``: the commands do not depend on each other."""

    kind: str
    title: str
    base: str
    screen: str
    columns: Sequence[str]
    needed: Sequence[str]
    remove_words: str
    read: Read
    make: Make
    together: bool = False


def import_routes(router: APIRouter, web: Web, desk: ImportDesk) -> None:
    """``base``/import: the form, its preview, and applying it."""

    @router.get(f"{desk.base}/import")
    async def form(request: Request) -> Response:
        return _page(web, request, desk)

    @router.post(f"{desk.base}/import")
    async def look(request: Request) -> Response:
        async with request.form() as sent:
            file = sent.get("file")
            name, data = (file.filename or "", await file.read()) if isinstance(file, UploadFile) else ("", b"")
            remove = sent.get("remove") == "yes"
        if not data:
            return _page(web, request, desk, error="Choose a file that is not empty.", status=422)
        if len(data) > FILE_BYTES:
            words = f"The page takes {FILE_BYTES // 1024} kB; import larger files with ./chargeyard import."
            return _page(web, request, desk, error=words, status=422)
        return _page(web, request, desk, found=await desk.read(data, remove), data=data, name=name, remove=remove)

    @router.post(f"{desk.base}/import/apply")
    async def apply(request: Request) -> Response:
        sent = await request.form()
        reason = actions.need_reason(str(sent.get("reason", "")))
        try:
            data = base64.b64decode(str(sent.get("data", "")), validate=True)
        except (binascii.Error, ValueError):
            raise Problem("invalid_request", "The file did not arrive whole; choose it again.") from None
        web.fresh_view()
        remove = sent.get("remove") == "yes"
        found = await desk.read(data, remove)
        if not found.applicable:  # the registry has moved since the preview
            return _page(web, request, desk, found=found, data=data, name=str(sent.get("name", "")), remove=remove)
        caller = caller_of(request)
        went = await send_all(web, desk.make(found, caller.name, reason), together=desk.together)
        message = f"Applied: {found.summary()}." if not went.refused else f"{went.done} of {went.total} applied. {went.refused[0]}"
        response = RedirectResponse(desk.base, status_code=303)
        seq = went.last.audit_seq if went.last is not None else 0
        web.pages.set_flash(response, Flash(f"Import {desk.kind}", went.status, message[:300], seq, caller.name))
        return response


def _page(
    web: Web,
    request: Request,
    desk: ImportDesk,
    *,
    found: AnyPreview | None = None,
    data: bytes = b"",
    name: str = "",
    remove: bool = False,
    error: str = "",
    status: int = 200,
) -> Response:
    lines = sorted(found.lines, key=lambda line: (_ORDER[line.change], line.row)) if found is not None else []
    context: dict[str, Any] = {
        "desk": desk,
        "found": found,
        "name": name[:80] or "the file",
        "data": base64.b64encode(data).decode() if found is not None and found.applicable else "",
        "remove": remove,
        "error": error,
        "lines": [(line, *_LOOKS[line.change]) for line in lines[:LINES_SHOWN]],
        "hidden": max(0, len(lines) - LINES_SHOWN),
        "complaints": [str(c)[:1].upper() + str(c)[1:] for c in found.complaints[:LINES_SHOWN]] if found is not None else [],
        "removed": found.count(Change.REMOVED) if found is not None else 0,
    }
    if found is not None and found.complaints:
        status = 422
    return web.pages.render(request, "import.html", view=web.view(), status=status, screen=desk.screen, **context)
