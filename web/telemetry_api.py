"""/api/v1/telemetry: what vehicles say of their batteries, in batches; what was refused of it, and what is wrong with the rest.

    POST /telemetry                 a JSON array, or a line of JSON each; gzip allowed -> what became of each item
    GET  /telemetry/rejections      messages that were refused and values that were left out, with the reason
    GET  /telemetry/issues          by pack: what is complained of how often, its firmware, its clock

An item is ``{"vehicle_id", "pack_id", "message"}``; the message is what the same unit would publish over MQTT (docs/telemetry.md).
A batch that is sent again changes nothing: with the same key it gets the same answer, and items that came before are known by
their content. A batch may be taken in part; its answer says so item by item.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from controller.ingest_view import BYTES_AT_ONCE, ITEMS_AT_ONCE, ItemTaken, TelemetryItem
from controller.link import LinkProtocol
from controller.rejections.views import RejectionsView, TelemetryIssuesView
from depot.ports import Clock
from web.api import Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a batch, unpacked."""
MOST_ITEMS: Final = 1000
MOST_MESSAGE: Final = 16_384
ITEMS_PER_S: Final = 500.0
BURST: Final = 4000
"""So many items a caller may send at once, and so many a second from then on."""
ANSWERS_KEPT: Final = 64
BATCHES_AT_ONCE: Final = 4
_CALLERS = 1000
_EXCERPT = 256

ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_Id = Annotated[str, msgspec.Meta(pattern=ID)]


class _Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    vehicle_id: _Id
    message: msgspec.Raw
    pack_id: _Id = "P1"


class BatchAnswer(Struct, frozen=True, kw_only=True):
    """What became of a batch: how many of each status, and each item in its order."""

    accepted: int
    late: int
    repeated: int
    refused: int
    items: list[ItemTaken]


SCHEMAS: Sequence[type] = (BatchAnswer, ItemTaken, RejectionsView, TelemetryIssuesView)
"""What these routes answer with, for the OpenAPI document."""

_envelopes = msgspec.json.Decoder(_Envelope)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["vehicle_id", "message"],
    "additionalProperties": False,
    "properties": {
        "vehicle_id": {"type": "string", "pattern": ID},
        "pack_id": {"type": "string", "pattern": ID, "default": "P1"},
        "message": {"type": "object", "description": "pack_telemetry/1 or pack_telemetry/2, as over MQTT"},
    },
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "maxItems": MOST_ITEMS, "items": _ITEM}},
            "application/x-ndjson": {"schema": {"type": "string", "description": "One such item a line"}},
        },
    }
}


@dataclass(slots=True)
class Pace:
    """How much each caller may still send: tokens that fill up again."""

    clock: Clock
    left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, name: str, items: int) -> int:
        """0: it may send so many now, and has; else so many whole seconds to wait first."""
        now_s = self.clock.monotonic()
        left, at_s = self.left.pop(name, (float(BURST), now_s))
        left = min(float(BURST), left + (now_s - at_s) * ITEMS_PER_S)
        short = items - left
        self.left[name] = (left if short > 0 else left - items, now_s)
        while len(self.left) > _CALLERS:
            self.left.popitem(last=False)
        return 0 if short <= 0 else int(short / ITEMS_PER_S) + 1


@dataclass(slots=True)
class Answered:
    """The answers of the last batches that came with a key: (caller, key) -> digest of the batch, answer."""

    kept: OrderedDict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=OrderedDict)

    def find(self, name: str, key: str, digest: bytes) -> bytes | None:
        """The answer that this batch got before. Raises :class:`~web.problems.Problem` where the key was another batch's."""
        before = self.kept.get((name, key))
        if before is None:
            return None
        if before[0] != digest:
            words = "It was used for another batch; take a new one for each."
            raise Problem("invalid_request", words, errors={"Idempotency-Key": words})
        return before[1]

    def keep(self, name: str, key: str, digest: bytes, answer: bytes) -> None:
        self.kept[(name, key)] = (digest, answer)
        while len(self.kept) > ANSWERS_KEPT:
            self.kept.popitem(last=False)


def telemetry_api(web: Web) -> APIRouter:
    """Routes of telemetry."""
    router = APIRouter(prefix="/api/v1")
    pace, answered = Pace(web.clock), Answered()
    under_way = asyncio.Semaphore(BATCHES_AT_ONCE)

    @router.post(
        "/telemetry",
        responses=answers("BatchAnswer", 413, 422, 429),
        response_class=Response,
        summary="A batch of what vehicles say of their batteries",
        openapi_extra=_BODY,
    )
    async def take(request: Request, key: Key = "") -> Response:
        caller = caller_of(request)
        if under_way.locked():
            raise Problem("too_many_samples", "Other batches are being taken; send it again.", headers={"retry-after": "1"})
        async with under_way:
            body = unpacked(request.headers.get("content-encoding", ""), await request.body())
            digest = sha256(body).digest()
            if key and (before := answered.find(caller.name, key, digest)) is not None:
                return Response(before, media_type="application/json")
            items = [_item(raw, caller.vehicles) for raw in split(body)]
            wait_s = pace.wait_s(caller.name, len(items))
            if wait_s:
                words = f"{ITEMS_PER_S:g} items a second are taken, {BURST} at once; wait {wait_s} s."
                raise Problem("too_many_samples", words, headers={"retry-after": str(wait_s)})
            answer = msgspec.json.encode(_answer(await _handed_over(web, caller.name, items)))
        if key:
            answered.keep(caller.name, key, digest, answer)
        return Response(answer, media_type="application/json")

    @router.get(
        "/telemetry/rejections",
        responses=answers("RejectionsView", 404, 422),
        response_class=Response,
        summary="Telemetry that was refused, newest first",
    )
    async def rejections(
        vehicle_id: Annotated[str, Query(max_length=64, description="Only of this vehicle")] = "",
        reason: Annotated[str, Query(max_length=32, description="Only these: unknown_pack, shape, value …")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[int, Query(ge=0, le=2**53, description="before of the page before")] = 0,
    ) -> Response:
        args = {"vehicle": vehicle_id, "reason": reason, "limit": str(limit), "before": str(cursor)}
        return reply(await _shown(web, RejectionsView, args))

    @router.get(
        "/telemetry/issues",
        responses=answers("TelemetryIssuesView", 404, 422),
        response_class=Response,
        summary="What is wrong with what packs say, by pack",
    )
    async def issues(vehicle_id: Annotated[str, Query(max_length=64, description="Only of this vehicle")] = "") -> Response:
        return reply(await _shown(web, TelemetryIssuesView, {"vehicle": vehicle_id}))

    return router


async def _shown(web: Web, kind: type[RejectionsView] | type[TelemetryIssuesView], args: dict[str, str]) -> object:
    try:
        found = await web.link.show(kind, **args)
    except LinkProtocol as error:
        raise Problem("not_found", f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    if found is None:
        raise Problem("not_found", "This depot listens to no vehicle: its settings have no [telemetry].")
    return found


def unpacked(encoding: str, body: bytes) -> bytes:
    """The batch as it was before it was packed. Raises :class:`~web.problems.Problem`; takes no more room than it may have."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Problem("bad_request", f"Content-Encoding is gzip or nothing, not {encoding[:20]!r}.")
    unzip = zlib.decompressobj(wbits=31)
    try:
        plain = unzip.decompress(body, MOST_BYTES + 1)
    except zlib.error as error:
        raise Problem("bad_request", f"The body is not gzip: {error}.") from None
    if len(plain) > MOST_BYTES:
        raise Problem("too_large", f"A batch has at most {MOST_BYTES // 1024} kB unpacked; send it in parts.")
    if not unzip.eof or unzip.unused_data:
        raise Problem("bad_request", "The body is not one whole gzip member.")
    return plain


def split(body: bytes) -> list[bytes]:
    """The items of a batch: of an array, or a line each. Raises :class:`~web.problems.Problem`."""
    text = body.strip()
    if text.startswith(b"["):
        try:
            items = [bytes(raw) for raw in _array.decode(text)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Problem("bad_request", f"The body is not a JSON array: {error}.") from None
    else:
        items = [line for line in (part.strip() for part in text.splitlines()) if line]
    if not items:
        raise Problem("invalid_request", "The batch is empty.", errors={"body": "Send a JSON array of items, or one item a line."})
    if len(items) > MOST_ITEMS:
        raise Problem("too_large", f"A batch has at most {MOST_ITEMS} items; this one has {len(items)}. Send it in parts.")
    return items


def _item(raw: bytes, vehicles: frozenset[str] | None) -> TelemetryItem:
    """An item as it is handed over; what is wrong with it is for the core to say, and to keep."""
    try:
        found = _envelopes.decode(raw)
        if len(found.message) > MOST_MESSAGE:
            return _wrong(raw, f"its message has {len(found.message)} bytes; at most {MOST_MESSAGE} are taken")
        message = msgspec.json.format(bytes(found.message), indent=-1)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return _wrong(raw, f'an item is {{"vehicle_id", "pack_id", "message"}}: {error}')
    allowed = vehicles is None or found.vehicle_id in vehicles
    return TelemetryItem(vehicle_id=found.vehicle_id, pack_id=found.pack_id, payload=msgspec.Raw(message), allowed=allowed)


def _wrong(raw: bytes, words: str) -> TelemetryItem:
    excerpt = msgspec.json.encode(raw[:_EXCERPT].decode("utf-8", "backslashreplace"))
    return TelemetryItem(vehicle_id="", pack_id="", payload=msgspec.Raw(excerpt), wrong=words[:_EXCERPT])


async def _handed_over(web: Web, name: str, items: list[TelemetryItem]) -> list[ItemTaken]:
    """What became of each. In handfuls that fit a line of the link, the last one first: that is where what is newest stands."""
    handfuls: list[list[TelemetryItem]] = [[]]
    size = 0
    for item in items:
        length = len(item.payload) + len(item.wrong)
        if handfuls[-1] and (len(handfuls[-1]) >= ITEMS_AT_ONCE or size + length > BYTES_AT_ONCE):
            handfuls.append([])
            size = 0
        handfuls[-1].append(item)
        size += length
    taken: list[ItemTaken] = []
    for handful in reversed(handfuls):
        taken[:0] = await web.link.telemetry(name, handful)
    return taken


def _answer(items: list[ItemTaken]) -> BatchAnswer:
    counts = {status: sum(item.status == status for item in items) for status in ("accepted", "late", "repeated", "refused")}
    return BatchAnswer(**counts, items=items)
