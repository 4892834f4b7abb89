"""The WebSocket endpoint: a plain port and one with TLS, before the same table of who may come in how.

    connection --> (TLS) --> request --knock_of--> admit (ocpp_server.access) --> attach(wire, station, remote, version)

An unknown id and a wrong password get the same 401. Nothing in the handshake waits for a database. Refusals leave one
address slowly; the check comes first: a station with the right key never waits for somebody else's wrong one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import logging
import re
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from ocpp_server.access import AccessBook, Admitted, admit, knock_of
from ocpp_server.errors import PortInUse
from ocpp_server.handshakes import CountedConnection, Handshakes, Slowdown, TlsConnection, remote_of
from ocpp_server.settings import OcppSettings
from ocpp_server.tls import peer_certificate
from ocpp_server.version import Version
from ocpp_server.wire import WebSocketWire, Wire

log = logging.getLogger(__name__)

PATH = re.compile(r"/ocpp/(?P<station>[^/?#]{1,192})/?(?:\?.*)?")
STATION_ID = re.compile(r"[A-Za-z0-9*\-_=:+|@.]{1,48}")
"""OCPP 2.0.1's identifierString, which 1.6 identities keep to as well."""

_WHERE = "Connect to /ocpp/{station_id}; an id has up to 48 letters, digits or * - _ = : + | @ .\n"
_WHO = "Not let in. HTTP Basic: the user is the station id, and the password its key; or TLS with its certificate, where it has one.\n"


class Endpoint:
    """Listens, checks, and hands each opened connection to ``attach(wire, station_id, remote, version)``.

    ``refused(station_id, remote)`` hears of those that were not let in; it must not wait. ``now``: aware UTC by which
    certificates are in date; the machine's clock, as TLS itself has it.
    """

    def __init__(
        self,
        *,
        book: AccessBook,
        settings: OcppSettings,
        attach: Callable[[Wire, str, str, Version], Awaitable[None]],
        refused: Callable[[str, str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._book = book
        self._settings = settings
        self._attach = attach
        self._refused = refused
        self._now = now
        self._plain: Server | None = None
        self._secure: Server | None = None
        self.handshakes = Handshakes(settings)
        self.tls_failures: Counter[str] = Counter()
        """TLS handshakes that failed since the start, by reason."""
        self._dressing: dict[asyncio.Task[None], None] = {}
        self._slowdown = Slowdown(settings.refusals_per_s, most_s=settings.handshake_timeout_s / 2)

    @property
    def port(self) -> int:
        """Of the plain listener."""
        return _port_of(self._plain)

    @property
    def tls_port(self) -> int:
        return _port_of(self._secure)

    async def listen(self, host: str, port: int) -> None:
        """Plain. Raises :class:`PortInUse`, and ``OSError`` for an address that this machine has not."""

        class Plain(CountedConnection):
            endpoint = self

        self._plain = await self._listen(host, port, Plain)

    async def listen_tls(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """With TLS; see :func:`ocpp_server.tls.server_context`. Raises as :meth:`listen`."""
        wanted = context

        class Secure(TlsConnection):
            endpoint = self
            context = wanted
            timeout_s = self._settings.tls_handshake_timeout_s
            dressing = self._dressing

        self._secure = await self._listen(host, port, Secure)

    async def _listen(self, host: str, port: int, kind: type[CountedConnection]) -> Server:
        settings = self._settings
        try:
            server = await serve(
                self._serve,
                host,
                port,
                process_request=self._check,
                select_subprotocol=_choose_subprotocol,
                create_connection=kind,
                compression=None,
                max_size=settings.max_frame_bytes,
                open_timeout=settings.handshake_timeout_s,
                ping_interval=settings.ping_interval_s,
                ping_timeout=settings.ping_timeout_s,
                close_timeout=5,
                server_header=None,
                backlog=settings.handshakes,  # who finds no place tries again a second later, then three, then seven
                family=socket.AF_UNSPEC,
            )
        except OSError as failed:
            if failed.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(f"port {port} on {host} is in use: stop the program that listens there, or choose another OCPP port") from None
        for listening in server.sockets:  # what is accepted inherits it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
        return server

    async def close(self) -> None:
        """Stop listening; connections are told 1012, service restart."""
        servers = [server for server in (self._plain, self._secure) if server is not None]
        self._plain = self._secure = None
        for server in servers:
            server.close(close_connections=False)
        for task in tuple(self._dressing):
            task.cancel()
        connections = [connection for server in servers for connection in server.connections]
        await asyncio.gather(*(connection.close(1012, "central system restarts") for connection in connections))
        for server in servers:
            await server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, CountedConnection)
        admitted = connection.admitted
        assert admitted is not None, "checked before the upgrade"
        self._book.admitted(admitted)
        version = Version.of_subprotocol(connection.subprotocol)
        await self._attach(WebSocketWire(connection), admitted.station_id, remote_of(connection.transport), version)

    async def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, CountedConnection)
        station_id = _station_id(request.path)
        if station_id is None:
            return connection.respond(HTTPStatus.NOT_FOUND, _WHERE)
        certificate = peer_certificate(connection.transport.get_extra_info("ssl_object"))
        knock = knock_of(station_id, self._book, _basic(request), tls=connection.tls, certificate=certificate)
        found = admit(self._book.access(station_id), knock, now=self._now())
        if isinstance(found, Admitted):
            connection.admitted = found
            return None
        remote = remote_of(connection.transport)
        log.info("a connection as %s from %s was refused: %s", station_id, remote, found.reason)
        self._book.refused(found, remote)
        self._refused(station_id, remote)
        wait_s = self._slowdown.wait_s(remote, asyncio.get_running_loop().time())
        if wait_s is None:
            connection.transport.abort()  # so many wait already that this one gets no answer
        elif wait_s:
            await asyncio.sleep(wait_s)
        response = connection.respond(HTTPStatus.UNAUTHORIZED, _WHO)
        response.headers["WWW-Authenticate"] = 'Basic realm="chargers"'
        return response

    def tls_failed(self, reason: str, remote: str) -> None:
        """A TLS handshake ended without a connection."""
        self.tls_failures[reason] += 1
        log.info("a TLS handshake from %s failed: %s", remote, reason)
        self._book.tls_failed(reason, remote)


def _port_of(server: Server | None) -> int:
    assert server is not None, "not listening"
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


def _station_id(path: str) -> str | None:
    matched = PATH.fullmatch(path)
    if matched is None:
        return None
    station_id = unquote(matched["station"])
    return station_id if STATION_ID.fullmatch(station_id) else None


def _basic(request: Request) -> bytes | None:
    """``user:password`` of the Authorization header, as bytes; None without a readable one."""
    given = request.headers.get_all("Authorization")
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return pair if b":" in pair else None


def _choose_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The newest version that is offered; 1.6 is assumed where none is (reference no. 16); else refused, not misread."""
    if not offered:
        return None
    for version in Version:
        if version.subprotocol in offered:
            return Subprotocol(version.subprotocol)
    spoken = ", ".join(version.subprotocol for version in Version)
    raise NegotiationError(f"this system speaks {spoken}; offered were {', '.join(offered)}")
