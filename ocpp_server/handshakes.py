"""Against whoever wastes connections: handshakes have a time-out, all of them and those of one address a cap, and refusals
leave one address slowly.

A TLS handshake is part of the same count: the connection is taken plain, counted, and only then dressed in TLS, so that
somebody who opens connections and says nothing is treated alike on both ports, and a failure is told with its reason. They
cost milliseconds each and take turns, a few at a time: a thousand stations that come at once leave the loop to the limiter.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from asyncio.sslproto import SSLProtocol
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Protocol

from websockets.exceptions import InvalidMessage

from ocpp_server.access import Admitted
from ocpp_server.keepalive import LivelyConnection
from ocpp_server.settings import OcppSettings
from ocpp_server.tls import failure

log = logging.getLogger(__name__)

SSLProtocol.max_size = 16 * 1024
"""What asyncio keeps for each TLS connection to read into: a record has no more. With its 256 KiB a thousand stations would
hold 250 MB that nothing ever fills."""


class Doorkeeper(Protocol):
    """Who counts handshakes; an :class:`~ocpp_server.endpoint.Endpoint`."""

    @property
    def handshakes(self) -> Handshakes: ...
    def tls_failed(self, reason: str, remote: str) -> None: ...


class Handshakes:
    """How many are under way, and from where."""

    def __init__(self, settings: OcppSettings) -> None:
        self._settings = settings
        self._open: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(settings.tls_at_once)

    def begin(self, address: str) -> bool:
        """Whether one more half-open connection of this address is affordable. Each ``begin`` has its :meth:`end`."""
        self._open[address] += 1
        return self._open.total() <= self._settings.handshakes and self._open[address] <= self._settings.handshakes_per_address

    def end(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to compute a TLS handshake. Whoever is slow to answer loses its turn and goes on beside the others."""
        await self._turns.acquire()
        kept = True

        def leave() -> None:
            nonlocal kept
            if kept:
                kept = False
                self._turns.release()

        timer = asyncio.get_running_loop().call_later(self._settings.tls_turn_s, leave)
        try:
            yield
        finally:
            timer.cancel()
            leave()


class Slowdown:
    """When refusals may leave: ``per_s`` to each address, the next one after the last. A bounded memory."""

    REMEMBERED = 4096

    def __init__(self, per_s: float, *, most_s: float) -> None:
        self._every_s = 1.0 / per_s
        self._most_s = most_s
        self._next_s: dict[str, float] = {}

    def wait_s(self, address: str, now_s: float) -> float | None:
        """How long this refusal waits for its turn; None: longer than anybody should wait for it."""
        turn_s = max(now_s, self._next_s.get(address, now_s))
        if turn_s - now_s > self._most_s:
            return None
        if len(self._next_s) >= self.REMEMBERED:
            self._next_s = {known: at_s for known, at_s in self._next_s.items() if at_s > now_s}
        if len(self._next_s) >= self.REMEMBERED and address not in self._next_s:
            return None  # thousands of addresses guess at once
        self._next_s[address] = turn_s + self._every_s
        return turn_s - now_s


class CountedConnection(LivelyConnection):
    """A connection that counts while its handshake is under way. ``admitted``: how it came in, once it did."""

    endpoint: ClassVar[Doorkeeper]
    tls = False
    admitted: Admitted | None = None

    async def handshake(self, *args: Any, **options: Any) -> None:
        address = remote_of(self.transport)
        try:
            if not self.endpoint.handshakes.begin(address):
                log.warning("too many handshakes at once: one from %s was cut", address)
                self.transport.abort()
            await super().handshake(*args, **options)
        except InvalidMessage as error:
            if not isinstance(error.__cause__, EOFError):
                raise
            self.transport.abort()
            log.debug("a connection from %s ended before it asked for anything", address)
        finally:
            self.endpoint.handshakes.end(address)


class TlsConnection(CountedConnection):
    """The same over TLS."""

    context: ClassVar[ssl.SSLContext]
    timeout_s: ClassVar[float]
    dressing: ClassVar[dict[asyncio.Task[None], None]]
    tls = True
    _dressed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of the plain transport; the WebSocket's connection is made when TLS stands."""
        assert isinstance(transport, asyncio.Transport)
        loop = asyncio.get_running_loop()
        # what comes now is TLS's, which is not there yet; asked for later, because Python 3.11.2 begins to read only after this
        # method, even where reading was paused in it
        loop.call_soon(transport.pause_reading)
        task = loop.create_task(self._dress(transport))
        self.dressing[task] = None
        task.add_done_callback(lambda done: self.dressing.pop(done, None))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dressed:
            super().connection_lost(exc)

    async def _dress(self, plain: asyncio.Transport) -> None:
        address = remote_of(plain)
        reason: str | None = None
        try:
            if self.endpoint.handshakes.begin(address):
                reason = await self._handshake(plain)
            else:
                log.warning("too many handshakes at once: one from %s was cut", address)
                plain.abort()
        finally:
            self.endpoint.handshakes.end(address)
        if reason is not None:
            self.endpoint.tls_failed(reason, address)

    async def _handshake(self, plain: asyncio.Transport) -> str | None:
        """Put TLS on, and let the WebSocket begin on it. Returns why that failed."""
        early = _Early()
        try:
            async with asyncio.timeout(self.timeout_s):
                await _has_spoken(plain)
            async with self.endpoint.handshakes.turn():
                dressed = await asyncio.get_running_loop().start_tls(
                    plain, early, self.context, server_side=True, ssl_handshake_timeout=self.timeout_s, ssl_shutdown_timeout=5.0
                )
        except OSError as error:  # ssl.SSLError, TimeoutError and ConnectionError are such
            plain.abort()
            return failure(error)
        if dressed is None or early.over:
            plain.abort()
            return "broken_off"
        dressed.set_protocol(self)
        self._dressed = True
        super().connection_made(dressed)
        if early.data:
            self.data_received(bytes(early.data))
        return None


async def _has_spoken(transport: asyncio.Transport) -> None:
    """Wait until the other side has sent something, without reading it: who says nothing takes nobody's turn. On a descriptor
    of its own, for the transport's belongs to the transport."""
    loop, spoken = asyncio.get_running_loop(), asyncio.Event()
    number = os.dup(transport.get_extra_info("socket").fileno())
    try:
        loop.add_reader(number, spoken.set)
        await spoken.wait()
    finally:
        loop.remove_reader(number)
        os.close(number)


class _Early(asyncio.Protocol):
    """Keeps what comes between the end of the TLS handshake and the moment in which the WebSocket takes over."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.over = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.over = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True


def remote_of(transport: asyncio.BaseTransport) -> str:
    """The peer's address; "" once it is gone."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if name else ""
