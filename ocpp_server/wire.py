"""Wires: what carries text frames. A WebSocket connection, or a pipe in memory (tests, the virtual clock)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from ocpp_server.errors import WireClosed

PIPE_FRAMES = 64
"""Frames that a pipe holds per direction before ``send`` waits, like a socket's buffers."""


class Wire(Protocol):
    """One open connection. ``recv`` and ``send`` raise :class:`WireClosed` once it has ended. ``abort`` ends it without a
    word, for who would not read it."""

    async def recv(self) -> str | bytes: ...
    async def send(self, text: str) -> None: ...
    async def close(self, code: int = 1000, reason: str = "") -> None: ...
    def abort(self) -> None: ...


class WebSocketWire:
    """A connection of the ``websockets`` server as a :class:`Wire`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def recv(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as gone:
            raise WireClosed(str(gone)) from gone

    async def send(self, text: str) -> None:
        connection = self._connection
        try:
            if connection.protocol.state is not State.OPEN or connection.paused or connection.transport.is_closing():
                await connection.send(text)
                return
            # nothing to wait for: what send() does then, without its locks and context managers, half the cost of an answer
            connection.protocol.send_text(text.encode())
            connection.send_data()
            if connection.paused:
                await connection.drain()
        except ConnectionClosed as gone:
            raise WireClosed(str(gone)) from gone
        except OSError as gone:
            raise WireClosed(f"the connection broke: {gone}") from gone

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self._connection.protocol.state is State.CLOSED:
            return  # the other side has gone: when a whole depot does, each farewell that nobody hears costs the others time
        with contextlib.suppress(AttributeError):  # websockets 16 aborts a transport that asyncio has let go of already
            await self._connection.close(code, reason)

    def abort(self) -> None:
        with contextlib.suppress(AttributeError):  # as above
            self._connection.transport.abort()  # closing would wait until the other side has read what was sent


class MemoryWire:
    """One end of :func:`memory_pipe`. Frames arrive in order; what was sent before a close is still received."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[str | bytes | None] = asyncio.Queue(PIPE_FRAMES + 1)
        self._room = asyncio.Semaphore(PIPE_FRAMES)
        self._ended = asyncio.Event()
        self.peer: MemoryWire = self
        self.close_code: int | None = None
        self.close_reason = ""

    async def recv(self) -> str | bytes:
        if self._ended.is_set() and self._frames.empty():
            raise WireClosed(f"closed ({self.close_code} {self.close_reason})")
        frame = await self._frames.get()
        if frame is None:
            raise WireClosed(f"closed ({self.close_code} {self.close_reason})")
        self._room.release()
        return frame

    async def send(self, text: str | bytes) -> None:
        await self.peer._room.acquire()
        if self._ended.is_set():
            self.peer._room.release()  # wake the next sender that waits on a dead pipe
            raise WireClosed(f"closed ({self.close_code} {self.close_reason})")
        self.peer._frames.put_nowait(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._over(code, reason)

    def _over(self, code: int, reason: str) -> None:
        for end in (self, self.peer):
            if not end._ended.is_set():
                end._ended.set()
                end.close_code, end.close_reason = code, reason
                end._frames.put_nowait(None)
                end._room.release()

    def abort(self) -> None:
        self._over(1006, "")


def memory_pipe() -> tuple[MemoryWire, MemoryWire]:
    """Two connected ends: one for :meth:`Central.attach`, one for the station."""
    near, far = MemoryWire(), MemoryWire()
    near.peer, far.peer = far, near
    return near, far
