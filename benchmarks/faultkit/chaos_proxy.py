"""A TCP proxy that breaks what passes: late, slow, stalled, cut in the middle of a frame.

stations --> ChaosProxy(port of the core) --> core

async with ChaosProxy(9000) as proxy:     listens on proxy.port
    proxy.weather = Weather(delay_s=0.2)  every connection, old and new, from now on
    proxy.stall(); proxy.resume()         a partition: connections stay, nothing passes
    proxy.cut(after_bytes=40)             every connection is reset once 40 more bytes have come from its client
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from simulator.listening import Listener

_CHUNK = 16 * 1024


@dataclass(frozen=True, slots=True)
class Weather:
    """What the road is like. ``bytes_per_s``: each connection and direction; 0: as fast as it goes. ``chunk``: most bytes
    that travel together, so that a frame arrives in pieces."""

    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    chunk: int = _CHUNK


@dataclass(slots=True, eq=False)
class _Road:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    left: int | None = None
    """Bytes that still pass from the client before it is cut."""

    def cut(self) -> None:
        for end in (self.client, self.server):
            sock = end.get_extra_info("socket")
            if sock is not None:  # a reset, not a farewell: nobody hears why
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()


class ChaosProxy:
    """Forwards 127.0.0.1:``port`` (of this proxy) to 127.0.0.1:``target``."""

    def __init__(self, target: int) -> None:
        self.weather = Weather()
        self.accepted = 0
        self._target = target
        self._roads: set[_Road] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._listener = Listener(self._serve)
        self._port = 0

    @property
    def port(self) -> int:
        assert self._port, "not listening"
        return self._port

    @property
    def connections(self) -> int:
        return len(self._roads)

    async def __aenter__(self) -> Self:
        self._port = await self._listener.open("127.0.0.1", backlog=4096)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()
        await self._listener.close()

    def stall(self) -> None:
        """A partition: nothing passes, and nobody is told."""
        self._open.clear()

    def resume(self) -> None:
        """The partition is over; what waited goes on."""
        self._open.set()

    def cut(self, *, after_bytes: int | None = None) -> None:
        """Reset every connection: now, or as soon as so many more bytes have come from its client."""
        for road in tuple(self._roads):
            if after_bytes is None:
                road.cut()
            else:
                road.left = after_bytes

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        road = _Road(writer, far_writer)
        self._roads.add(road)
        pumps = [asyncio.create_task(self._pump(reader, far_writer, road)), asyncio.create_task(self._pump(far_reader, writer, None))]
        try:
            await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            self._roads.discard(road)
            far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, road: _Road | None) -> None:
        """One direction. ``road``: only from the client, whose bytes are counted for a cut."""
        with contextlib.suppress(OSError):
            while data := await reader.read(self.weather.chunk):
                weather = self.weather
                if weather.delay_s:
                    await asyncio.sleep(weather.delay_s)
                if weather.bytes_per_s:
                    await asyncio.sleep(len(data) / weather.bytes_per_s)
                await self._open.wait()
                if road is not None and road.left is not None:
                    writer.write(data[: road.left])
                    road.left -= len(data)
                    if road.left <= 0:
                        await writer.drain()
                        road.cut()
                        return
                else:
                    writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
