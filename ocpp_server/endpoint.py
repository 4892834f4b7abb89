"""The WebSocket endpoint: who may open a connection, with which sub-protocol, at what cost.

A charger's key is machine-made and long, so a keyed HMAC-SHA-256 serves: it costs microseconds when a whole depot
reconnects at once, where a password hash for people would cost seconds each. An unknown id and a wrong password get
the same 401. Nothing in the handshake waits for a database.

Against whoever wastes connections: a handshake has a time-out, all of them and those of one address a cap, and refusals
leave one address slowly (the check comes first: a station with the right key never waits for somebody else's wrong one).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import hashlib
import hmac
import logging
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from ocpp_server.errors import PortInUse
from ocpp_server.settings import OcppSettings
from ocpp_server.version import Version
from ocpp_server.wire import WebSocketWire, Wire

log = logging.getLogger(__name__)

PATH = re.compile(r"/ocpp/(?P<station>[^/?#]{1,192})/?(?:\?.*)?")
STATION_ID = re.compile(r"[A-Za-z0-9*\-_=:+|@.]{1,48}")
"""OCPP 2.0.1's identifierString, which 1.6 identities keep to as well."""

_WHERE = "Connect to /ocpp/{station_id}; an id has up to 48 letters, digits or * - _ = : + | @ .\n"
_WHO = "HTTP Basic is needed: the user is the station id, and the password its key.\n"


class Credentials(Protocol):
    """Who may connect. ``password`` None: none was given."""

    def check(self, station_id: str, password: str | None) -> bool: ...


class KeyedCredentials:
    """Station id -> HMAC-SHA-256 hex digest (:func:`keyed_digest`) of its password under ``key``.

    ``open_stations`` come in with any password or none; only for stations on loopback or behind a lock.
    """

    def __init__(self, *, key: bytes, digests: Mapping[str, str], open_stations: frozenset[str] = frozenset()) -> None:
        self._key = key
        self._open = open_stations
        self._digests = dict(digests)
        self._nobody = keyed_digest(key, "", "")

    def check(self, station_id: str, password: str | None) -> bool:
        wanted = self._digests.get(station_id)
        given = keyed_digest(self._key, station_id, password or "")
        same = hmac.compare_digest(given, wanted or self._nobody)  # the same work for an id that does not exist
        return (same and wanted is not None and password is not None) or station_id in self._open


class OpenDoor:
    """Anybody may connect, with any password or none: for a demo on loopback, chosen by name."""

    def check(self, station_id: str, password: str | None) -> bool:
        return True


def keyed_digest(key: bytes, station_id: str, password: str) -> str:
    """The digest that :class:`KeyedCredentials` compares; bound to the station, so that it fits no other."""
    return hmac.new(key, f"{station_id}\0{password}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


class Endpoint:
    """Listens, checks, and hands each opened connection to ``attach(wire, station_id, remote, version)``.

    ``refused(station_id, remote)`` hears of those that were not let in; it must not wait.
    """

    def __init__(
        self,
        *,
        credentials: Credentials,
        settings: OcppSettings,
        attach: Callable[[Wire, str, str, Version], Awaitable[None]],
        refused: Callable[[str, str], None],
    ) -> None:
        self._credentials = credentials
        self._settings = settings
        self._attach = attach
        self._refused = refused
        self._server: Server | None = None
        self._handshakes: Counter[str] = Counter()
        self._slowdown = Slowdown(settings.refusals_per_s, most_s=settings.handshake_timeout_s / 2)

    @property
    def port(self) -> int:
        assert self._server is not None, "not listening"
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def listen(self, host: str, port: int) -> None:
        """Raises :class:`PortInUse`, and ``OSError`` for an address that this machine has not."""
        settings = self._settings

        class Counted(_CountedConnection):
            endpoint = self

        try:
            self._server = await serve(
                self._serve,
                host,
                port,
                process_request=self._check,
                select_subprotocol=_choose_subprotocol,
                create_connection=Counted,
                compression=None,
                max_size=settings.max_frame_bytes,
                open_timeout=settings.handshake_timeout_s,
                ping_interval=settings.ping_interval_s,
                ping_timeout=settings.ping_timeout_s,
                close_timeout=5,
                server_header=None,
                family=socket.AF_UNSPEC,
            )
            for listening in self._server.sockets:  # what is accepted inherits it
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
        except OSError as failed:
            if failed.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(f"port {port} on {host} is in use: stop the program that listens there, or choose another OCPP port") from None

    async def close(self) -> None:
        """Stop listening; connections are told 1012, service restart."""
        if self._server is not None:
            self._server.close(close_connections=False)
            await asyncio.gather(*(connection.close(1012, "central system restarts") for connection in self._server.connections))
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        station_id = _station_id(connection.request.path)
        assert station_id is not None, "checked before the upgrade"
        version = Version.of_subprotocol(connection.subprotocol)
        await self._attach(WebSocketWire(connection), station_id, _remote(connection), version)

    async def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        station_id = _station_id(request.path)
        if station_id is None:
            return connection.respond(HTTPStatus.NOT_FOUND, _WHERE)
        user, password = _basic_auth(request)
        if (user is not None and user != station_id) or not self._credentials.check(station_id, password):
            self._refused(station_id, _remote(connection))
            wait_s = self._slowdown.wait_s(_remote(connection), asyncio.get_running_loop().time())
            if wait_s is None:
                connection.transport.abort()  # so many wait already that this one gets no answer
            elif wait_s:
                await asyncio.sleep(wait_s)
            response = connection.respond(HTTPStatus.UNAUTHORIZED, _WHO)
            response.headers["WWW-Authenticate"] = 'Basic realm="chargers"'
            return response
        return None

    def handshake_begins(self, address: str) -> bool:
        """Whether one more half-open connection of this address is affordable."""
        self._handshakes[address] += 1
        settings = self._settings
        return self._handshakes.total() <= settings.handshakes and self._handshakes[address] <= settings.handshakes_per_address

    def handshake_ends(self, address: str) -> None:
        self._handshakes[address] -= 1
        if not self._handshakes[address]:
            del self._handshakes[address]


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


class _CountedConnection(ServerConnection):
    """A connection that counts while its handshake is under way."""

    endpoint: ClassVar[Endpoint]

    async def handshake(self, *args: Any, **options: Any) -> None:
        address = _remote(self)
        try:
            if not self.endpoint.handshake_begins(address):
                log.warning("too many handshakes at once: one from %s was cut", address)
                self.transport.abort()
            await super().handshake(*args, **options)
        finally:
            self.endpoint.handshake_ends(address)


def _remote(connection: ServerConnection) -> str:
    address = connection.remote_address
    return str(address[0]) if address else ""


def _station_id(path: str) -> str | None:
    matched = PATH.fullmatch(path)
    if matched is None:
        return None
    station_id = unquote(matched["station"])
    return station_id if STATION_ID.fullmatch(station_id) else None


def _basic_auth(request: Request) -> tuple[str | None, str | None]:
    """User and password of the Authorization header; (None, None) without a readable one."""
    given = request.headers.get_all("Authorization")
    if len(given) != 1:
        return None, None
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        user, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None, None
    return (user, password) if colon else (None, None)


def _choose_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The best version that is offered; 1.6 is assumed where none is (reference no. 16); else refused, not misread."""
    if not offered:
        return None
    for version in Version:
        if version.subprotocol in offered:
            return Subprotocol(version.subprotocol)
    spoken = " and ".join(version.subprotocol for version in Version)
    raise NegotiationError(f"this system speaks {spoken}; offered were {', '.join(offered)}")
