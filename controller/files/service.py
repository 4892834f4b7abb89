"""What stations see: an HTTP service that hands out images and takes logs, by sealed addresses only.

    GET, HEAD /firmware/{station}/{number}/{sha256}/{seal}/{name}     200, 206 with a Range, 304, 416
    PUT, POST /logs/{station}/{number}/{seal}[/name]                  201; raw, or a form with a file

    403 not an address of ours   410 expired   404 no such image   411/413 too large   507 no room

Ranges: RFC 9110 §14 (one range; several are answered whole, as it allows). Nothing that a station says becomes a path.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from controller.files import FilesError
from controller.files.intake import Intake, Unreadable
from controller.files.shelf import Progress, Received, Shelf, ShelfFull, TooLarge
from controller.files.tickets import BadTicket, check, file_headers
from depot.ports import Clock

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
NOTE_EVERY_S = 1.0
MOST_UPLOADS = 16
"""At once, of all stations; more wait their turn with 503."""
_DRAIN_BYTES = 4 * 1024 * 1024
_DRAIN_S = 2.0


@dataclass(slots=True)
class Service:
    """``most_bytes``: of one file that a station sends; ``kept_for``, ``most_kept_bytes``: see :meth:`Shelf.prune`."""

    shelf: Shelf
    key: bytes
    clock: Clock
    most_bytes: int
    kept_for: timedelta
    most_kept_bytes: int
    _uploads: int = 0
    _keeping: asyncio.Lock = field(default_factory=asyncio.Lock)

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/firmware/{station}/{number:int}/{sha256}/{seal}/{name}", self._answering(self.firmware), methods=["GET", "HEAD"]),
                Route("/logs/{station}/{number:int}/{seal}", self._answering(self.logs), methods=["PUT", "POST"]),
                Route("/logs/{station}/{number:int}/{seal}/{name:path}", self._answering(self.logs), methods=["PUT", "POST"]),
            ]
        )

    def _answering(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Errors as short plain words, which end up in a station's own log."""

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except ClientDisconnect:
                return Response(status_code=400)
            except FilesError as error:
                status = _status(error)
                log.info("%s of %r: %d, %s", request.method, request.path_params.get("station", "")[:48], status, error)
                if request.method in ("PUT", "POST"):
                    await _drain(request)
                return PlainTextResponse(f"{error}\n", status, {"connection": "close"})

        return answer

    # -- firmware -----------------------------------------------------------------------------------------------

    async def firmware(self, request: Request) -> Response:
        at = request.path_params
        number, sha256 = int(at["number"]), str(at["sha256"])
        check(self.key, ("firmware", at["station"], str(number), sha256), at["seal"], self.clock.now())
        path = await asyncio.to_thread(self.shelf.image, sha256)
        if path is None:
            return PlainTextResponse("this image is not here any more\n", 404)
        size = path.stat().st_size
        tag = f'"{sha256}"'
        headers = {"etag": tag, "accept-ranges": "bytes", "cache-control": "private, no-transform", **file_headers(at["name"])}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        wanted = request.headers.get("range") if request.headers.get("if-range", tag) == tag else None
        first, last, status = 0, size - 1, 200
        if wanted is not None:
            span = byte_range(wanted, size)
            if span is None:
                return PlainTextResponse("that part is not in the file\n", 416, {**headers, "content-range": f"bytes */{size}"})
            first, last, part = span
            status = 206 if part else 200
        if status == 206:
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        headers["content-length"] = str(last - first + 1)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type="application/octet-stream")
        body = self._sending(path, number, first, last, size)
        return StreamingResponse(body, status, headers, media_type="application/octet-stream")

    async def _sending(self, path: Path, number: int, first: int, last: int, size: int) -> AsyncIterator[bytes]:
        sent, noted_s = first, asyncio.get_running_loop().time()
        with await asyncio.to_thread(path.open, "rb") as file:
            await asyncio.to_thread(file.seek, first)
            while sent <= last:
                chunk = await asyncio.to_thread(file.read, min(CHUNK, last - sent + 1))
                if not chunk:
                    return  # cut meanwhile: the length says so
                yield chunk
                sent += len(chunk)
                now_s = asyncio.get_running_loop().time()
                if now_s - noted_s >= NOTE_EVERY_S or sent > last:
                    noted_s = now_s
                    await self._note(number, sent, size)

    async def _note(self, number: int, sent: int, size: int) -> None:
        try:
            await asyncio.to_thread(self.shelf.note_progress, number, Progress(sent_bytes=sent, size_bytes=size, at=self.clock.now()))
        except FilesError as error:
            log.warning("how far a download got was not noted: %s", error)  # the download matters more

    # -- logs ---------------------------------------------------------------------------------------------------

    async def logs(self, request: Request) -> Response:
        at = request.path_params
        station, number = str(at["station"]), int(at["number"])
        check(self.key, ("logs", station, str(number)), at["seal"], self.clock.now())
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.most_bytes + 64 * 1024:  # a form is a little longer than its file
            raise TooLarge(f"a log has at most {self.most_bytes} bytes (setting files.max_upload_mb)")
        with self._seat():
            found = await self._take(request, station, number, str(at.get("name", "")))
        log.info("station %s sent %d bytes for order %d", station, found.size_bytes, number)
        return PlainTextResponse(f"{found.sha256}\n", 201)

    async def _take(self, request: Request, station: str, number: int, name: str) -> Received:
        with await asyncio.to_thread(self.shelf.writing, self.most_bytes) as writing:
            intake = Intake(writing, request.headers.get("content-type", ""))
            try:
                await intake.take(request.stream())
            except TimeoutError:
                raise FilesError("nothing came for a minute") from None
            if not writing.size_bytes:
                raise Unreadable("the file is empty")
            remote = request.client.host if request.client is not None else ""
            async with self._keeping:
                now = self.clock.now()
                await asyncio.to_thread(
                    self.shelf.prune, now, kept_for=self.kept_for, most_bytes=max(0, self.most_kept_bytes - writing.size_bytes)
                )
                return await asyncio.to_thread(
                    self.shelf.keep_received, writing, number=number, station_id=station, name=intake.name or name, at=now, remote=remote
                )

    async def prune_forever(self, every_s: float) -> None:
        """Keep the shelf within its bounds also where nobody sends."""
        while True:
            gone = await asyncio.to_thread(self.shelf.prune, self.clock.now(), kept_for=self.kept_for, most_bytes=self.most_kept_bytes)
            if gone:
                log.info("%d received files were old enough to go", gone)
            await asyncio.sleep(every_s)

    @contextmanager
    def _seat(self) -> Iterator[None]:
        if self._uploads >= MOST_UPLOADS:
            raise Busy("too many stations send at once; try again")
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1


class Busy(FilesError):
    """Not now."""


def _status(error: FilesError) -> int:
    match error:
        case BadTicket(expired=True):
            return 410
        case BadTicket():
            return 403
        case TooLarge():
            return 413
        case Unreadable():
            return 400
        case ShelfFull():
            return 507
        case Busy():
            return 503
    return 500


def byte_range(text: str, size: int) -> tuple[int, int, bool] | None:
    """(first, last, whether it is a part) of a Range header; None: it asks for what is not there. A header that asks for
    several parts, or that cannot be read, asks for the whole."""
    unit, _, spec = text.partition("=")
    begin, dash, end = (part.strip() for part in spec.partition("-"))
    whole = (0, size - 1, False)
    if unit.strip().lower() != "bytes" or not dash or "," in spec or not _digits(begin) or not _digits(end):
        return whole
    if not begin:
        if not end:
            return whole
        return (max(0, size - int(end)), size - 1, True) if int(end) and size else None
    first = int(begin)
    last = min(int(end), size - 1) if end else size - 1
    if end and int(end) < first:
        return whole
    return (first, last, True) if first < size else None


def _digits(text: str) -> bool:
    return not text or (text.isascii() and text.isdecimal() and len(text) <= 18)


async def _drain(request: Request) -> None:
    """Read on for a moment: who still sends would not hear the answer otherwise."""
    if "expect" in request.headers:
        return
    seen = 0
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in request.stream():
                seen += len(chunk)
                if seen > _DRAIN_BYTES:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):
        return
