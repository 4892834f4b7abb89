"""One stream for all live pages: each tick is turned into text once, encoded once, and put into every page's queue.

A page gets a snapshot first, then only what changed. Ids are ``journal position.tick``. A page that does not keep up
is dropped and comes back by itself; one whose session has ended is told so (``event: end``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from controller.ingest_view import ItemTaken, TelemetryItem
from controller.readmodel import NowView
from depot.commands import Command, CommandResult
from web import scene as scenes
from web import text
from web.problems import Problem

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

QUEUE = 16
"""Ticks that wait for one page before it is dropped."""
HEARTBEAT_S = 10.0


class DepotLink(Protocol):
    """What the web needs of the core: :class:`controller.link.CoreLink`, or a fake in tests."""

    @property
    def view(self) -> NowView | None: ...
    @property
    def age_s(self) -> float | None: ...
    def views(self) -> AsyncIterator[NowView]: ...
    async def show(self, kind: type[T], /, **args: str) -> T | None: ...
    async def command(self, command: Command, *, within_s: float | None = None) -> CommandResult: ...
    async def telemetry(self, by: str, items: Sequence[TelemetryItem]) -> Sequence[ItemTaken]: ...


class LiveHub:
    """Fans the link's views out to pages. :meth:`run` is a task of the application's life."""

    def __init__(self, link: DepotLink, parts: Callable[[NowView], Mapping[str, str]], *, most: int) -> None:
        self._link, self._parts, self._most = link, parts, most
        self._pages: set[asyncio.Queue[bytes | None]] = set()
        self._view: NowView | None = None
        self._scene: scenes.Scene = {}
        self._shown: Mapping[str, str] = {}
        self._closed = False

    @property
    def pages(self) -> int:
        return len(self._pages)

    async def run(self) -> None:
        """Push every view for ever. A view that cannot be shown is logged and skipped: pages go stale, and say so."""
        async for view in self._link.views():
            try:
                self.push(view)
            except Exception:
                log.exception("tick %d cannot be shown", view.tick)

    def push(self, view: NowView) -> None:
        """One tick: encode what changed, once, and queue it for every page. Costs nothing while no page is open."""
        if not self._pages:
            self._view = None
            return
        new, parts = scenes.build(view), self._parts(view)
        if self._view is None:
            message = self._message(view, new, parts, full=True)
        else:
            changed = {name: html for name, html in parts.items() if self._shown.get(name) != html}
            message = self._message(view, scenes.diff(self._scene, new), changed)
        self._view, self._scene, self._shown = view, new, parts
        for queue in tuple(self._pages):
            if queue.full():
                self._drop(queue)
            else:
                queue.put_nowait(message)

    async def stream(self, alive: Callable[[], Awaitable[bool]], *, heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[bytes]:
        """The bytes for one page. ``alive``: whether its session still holds, asked at every heartbeat's time."""
        queue = self.subscribe()
        loop = asyncio.get_running_loop()
        check_at = loop.time() + heartbeat_s
        try:
            yield b"retry: 2000\n\n"
            current = self._link.view
            if current is not None:
                yield self._message(current, scenes.build(current), self._parts(current), full=True)
            while True:
                try:
                    async with asyncio.timeout_at(check_at):
                        message = await queue.get()
                except TimeoutError:
                    message = b": still here\n\n"
                if loop.time() >= check_at:
                    check_at = loop.time() + heartbeat_s
                    if not await alive():
                        yield b"event: end\ndata: session\n\n"
                        return
                if message is None:
                    return
                yield message
        finally:
            self._pages.discard(queue)

    def subscribe(self) -> asyncio.Queue[bytes | None]:
        """A page's queue; raises :class:`Problem` too_many_streams."""
        if self._closed or len(self._pages) >= self._most:
            raise Problem("too_many_streams", "Close pages that nobody looks at, or raise web.streams_most.", headers={"retry-after": "10"})
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE)
        self._pages.add(queue)
        return queue

    def close(self) -> None:
        """End all streams: the server is going down."""
        self._closed = True
        for queue in tuple(self._pages):
            self._drop(queue)

    def _drop(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._pages.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def _message(self, view: NowView, scene: scenes.Scene, parts: Mapping[str, str], *, full: bool = False) -> bytes:
        body: dict[str, Any] = {
            "tick": view.tick,
            "shape": scenes.shape(view),
            "at": text.DepotTime(view.timezone, view.at).seconds(view.at),
        }
        body |= {"full": full, "scenes": scene, "parts": parts}
        return b"id: %d.%d\ndata: %s\n\n" % (view.seq, view.tick, msgspec.json.encode(body))
