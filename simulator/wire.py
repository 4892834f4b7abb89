"""The wire between a charging station and its central system: in memory, or a WebSocket. Text frames, both ways.

WireClosed(ConnectionError)     the connection is over; ``code`` and ``reason`` as in RFC 6455
WireRefused(ConnectionError)    the central system did not take the connection; ``status`` is HTTP's
"""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import Callable
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

ABNORMAL = 1006
"""RFC 6455 §7.4.1: the connection ended without a close frame."""


class WireClosed(ConnectionError):
    """The connection is over. Nothing more comes, nothing can be sent."""

    def __init__(self, code: int = ABNORMAL, reason: str = "") -> None:
        super().__init__(f"connection closed ({code}) {reason}".rstrip())
        self.code = code
        self.reason = reason


class WireRefused(ConnectionError):
    """The central system answered the handshake with ``status`` (401: wrong key, 404: unknown station; 0: nothing sensible)."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(f"connection refused ({status}) {reason}".rstrip())
        self.status = status


class Wire(Protocol):
    """One end. ``recv`` has one caller at a time; both raise :class:`WireClosed` once the connection is over."""

    async def recv(self) -> str: ...
    async def send(self, text: str) -> None: ...
    async def close(self, code: int = 1000, reason: str = "") -> None: ...


class _Lane:
    """One direction: a bounded queue of frames, each with the loop time at which it arrives."""

    def __init__(self, delay: Callable[[], float], lose: Callable[[str], bool] | None, capacity: int) -> None:
        self.delay = delay
        self.lose = lose
        self.capacity = capacity
        self.frames: deque[tuple[float, str]] = deque()
        self.arrived = asyncio.Event()
        self.room = asyncio.Event()
        self.over: WireClosed | None = None

    async def put(self, text: str) -> None:
        while self.over is None and len(self.frames) >= self.capacity:
            self.room.clear()
            await self.room.wait()
        if self.over is not None:
            raise self.over
        if self.lose is not None and self.lose(text):
            return
        due = asyncio.get_running_loop().time() + self.delay()
        if self.frames:
            due = max(due, self.frames[-1][0])  # a stream never reorders
        self.frames.append((due, text))
        self.arrived.set()

    async def get(self) -> str:
        while not self.frames:
            if self.over is not None:
                raise self.over
            self.arrived.clear()
            await self.arrived.wait()
        wait = self.frames[0][0] - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
            if not self.frames:  # cut meanwhile
                return await self.get()
        self.room.set()
        return self.frames.popleft()[1]

    def end(self, why: WireClosed, *, drop: bool) -> None:
        if self.over is None:
            self.over = why
        if drop:
            self.frames.clear()
        self.arrived.set()
        self.room.set()


class PipeEnd:
    """One end of an in-memory connection; a :class:`Wire` that raises ``closed(code, reason)`` once it is over."""

    def __init__(self, inbound: _Lane, outbound: _Lane, closed: Callable[[int, str], Exception]) -> None:
        self._inbound = inbound
        self._outbound = outbound
        self._closed = closed

    @property
    def closed(self) -> bool:
        return self._outbound.over is not None

    async def recv(self) -> str:
        try:
            return await self._inbound.get()
        except WireClosed as over:
            raise self._closed(over.code, over.reason) from None

    async def send(self, text: str) -> None:
        try:
            await self._outbound.put(text)
        except WireClosed as over:
            raise self._closed(over.code, over.reason) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order: the other end still reads what was sent before."""
        self._outbound.end(WireClosed(code, reason), drop=False)
        self._inbound.end(WireClosed(code, reason), drop=True)

    def abort(self) -> None:
        """End the connection without a word."""
        self.cut()

    def cut(self) -> None:
        """Lose the connection: both ends see it at once, and frames under way are gone."""
        self._outbound.end(WireClosed(), drop=True)
        self._inbound.end(WireClosed(), drop=True)


def pipe(
    *,
    up_s: float | Callable[[], float] = 0.0,
    down_s: float | Callable[[], float] = 0.0,
    lose_up: Callable[[str], bool] | None = None,
    lose_down: Callable[[str], bool] | None = None,
    capacity: int = 256,
    central_closed: Callable[[int, str], Exception] = WireClosed,
) -> tuple[PipeEnd, PipeEnd]:
    """An in-memory connection as (station's end, central system's end).

    ``up_s``, ``down_s``: delay of a frame from and to the station in loop seconds, a number or drawn for each frame.
    ``lose_up``, ``lose_down``: asked for each frame whether it vanishes (a half-open connection). A sender waits
    while ``capacity`` frames of its direction have not been read. ``central_closed``: makes the exception that the
    central system's end raises, for one that has its own word for a closed connection.
    """
    up = _Lane(_delay(up_s), lose_up, capacity)
    down = _Lane(_delay(down_s), lose_down, capacity)
    return PipeEnd(down, up, WireClosed), PipeEnd(up, down, central_closed)


def _delay(value: float | Callable[[], float]) -> Callable[[], float]:
    return value if callable(value) else lambda: value


class SocketWire:
    """A station's WebSocket as a :class:`Wire`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def recv(self) -> str:
        try:
            frame = await self._connection.recv()
        except ConnectionClosed as closed:
            raise _over(closed) from None
        return frame if isinstance(frame, str) else frame.decode("utf-8", "replace")

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise _over(closed) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._connection.close(code, reason)


def _over(closed: ConnectionClosed) -> WireClosed:
    return WireClosed(closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else WireClosed()


async def dial(url: str, *, station_id: str, key: str | None = None, subprotocol: str = "ocpp1.6") -> SocketWire:
    """Connect ``station_id`` to ``url``/``station_id`` as OCPP-J asks: by its sub-protocol, HTTP Basic with ``key``.

    Raises :class:`WireRefused` when the central system says no, OSError or TimeoutError when nobody answers.
    """
    headers = {}
    if key is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{station_id}:{key}".encode()).decode()
    try:
        connection = await connect(
            f"{url.rstrip('/')}/{station_id}",
            subprotocols=[Subprotocol(subprotocol)],
            additional_headers=headers,
            compression=None,
            ping_interval=None,  # the central system pings; a station's sign of life is its heartbeat
            close_timeout=2,
            max_size=256 * 1024,
            proxy=None,
        )
    except InvalidStatus as refused:
        raise WireRefused(refused.response.status_code, refused.response.reason_phrase) from None
    except InvalidHandshake as refused:
        raise WireRefused(0, str(refused)) from None
    return SocketWire(connection)
