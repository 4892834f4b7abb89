"""The Modbus TCP server that the utility's RTU writes its limit to (model 64900, see :mod:`grid.limit_model`).

    plain port --allow-list--+
                             +-- Gate: a place, a rate --> Frames --> LimitDesk --LimitCommand--> the core
    TLS port --certificate---+                               <-- answers

Only sockets here. An address that is not let in is cut off before it is read; a TLS handshake counts as a connection, and
has a time limit. A connection that is silent for long, or leaves a frame half sent, or does not take its answers, is closed;
bytes that are no Modbus TCP close it; everything else gets an answer. Requests of one connection are answered in order.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Final, Self

from grid.feedback import Feedback
from grid.limit_access import LimitServerError, LimitServerSettings
from grid.limit_desk import WRITES, CommandSeen, LimitCommands, LimitDesk
from grid.limit_gate import Gate, Guest
from grid.limit_session import LimitBlock, Master
from grid.limit_tls import TlsFiles, credentials, failure
from grid.modbus_frames import Frames, NotModbus

log = logging.getLogger(__name__)

FRAME_S: Final = 5.0
"""A frame that has begun must be complete, an answer taken, a TLS handshake done within this time."""

FILES_LOOK_S: Final = 30.0
"""How often it is looked whether the TLS port's files have changed."""

AT_ONCE: Final = 8
"""So many requests of one connection are answered before others of this process have a turn."""

CHUNK: Final = 2048
REFUSED_REMEMBERED: Final = 100
_TRY_AGAIN_S: Final = 0.5


class PortInUse(LimitServerError):
    """The server cannot listen where it should (drawn in :mod:`grid`)."""


class LimitServer:
    """``async with LimitServer(settings, commands=…, feedback=…, now=steady.now) as server: …``

    ``feedback`` must be cheap: it is asked up to ten times a second, and at each write. ``now``: the steady axis
    (:class:`grid.failsafe.SteadyTime`) that the core uses for the same link. ``refused`` and ``broken`` count peers that were
    not let in, and connections closed for what they sent; ``refusals`` all that was refused, by reason.
    """

    def __init__(
        self,
        settings: LimitServerSettings,
        *,
        commands: LimitCommands,
        feedback: Callable[[], Feedback],
        now: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self.refused = 0
        self.broken = 0
        self.files = TlsFiles(settings.tls) if settings.tls is not None else None
        self._tasks = asyncio.TaskGroup()
        self._desk = LimitDesk(settings, self._tasks, commands=commands, feedback=feedback, now=now)
        self._gate = Gate(most=settings.max_connections, most_per_peer=settings.max_per_peer, per_s=settings.requests_per_s)
        self._plain: list[socket.socket] = []
        self._secure: list[socket.socket] = []
        self._listening: list[asyncio.Task[None]] = []
        self._connections: dict[Guest, asyncio.Task[None]] = {}
        self._told: set[str] = set()

    @property
    def port(self) -> int:
        """The plain port that it listens on."""
        return _port(self._plain)

    @property
    def tls_port(self) -> int:
        """The TLS port that it listens on."""
        return _port(self._secure)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, as people write it."""
        kinds = ((self._plain, ""), (self._secure, " (TLS)"))
        return tuple(f"{self.settings.host}:{_port(sockets)}{kind}" for sockets, kind in kinds if sockets)

    @property
    def connections(self) -> int:
        """Masters that are connected now."""
        return len(self._connections)

    @property
    def requests(self) -> int:
        """Requests that were answered."""
        return self._desk.requests

    @property
    def delayed(self) -> int:
        """Requests that had to wait, because their peer asked too fast."""
        return self._gate.delayed

    @property
    def refusals(self) -> Counter[str]:
        """What was refused, by reason."""
        return self._desk.refusals

    @property
    def newest(self) -> CommandSeen | None:
        """The newest command."""
        return self._desk.newest

    @property
    def block(self) -> LimitBlock:
        """The registers that masters share."""
        return self._desk.block

    # -- lifetime -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        settings = self.settings
        if settings.plain:
            self._plain = await _listen(settings.host, settings.port)
        if settings.tls is not None:
            try:
                self._secure = await _listen(settings.host, settings.tls.port)
            except PortInUse:
                _close(self._plain)
                raise
        await self._tasks.__aenter__()
        for sockets, secure in ((self._plain, False), (self._secure, True)):
            for listener in sockets:
                self._listening.append(self._tasks.create_task(self._accept(listener, secure=secure), name="limit server"))
        if self.files is not None:
            self._listening.append(self._tasks.create_task(self._follow_files(self.files), name="limit server's files"))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for task in (*self._listening, *self._connections.values()):
            task.cancel()
        self._desk.close()
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            _close(self._plain)
            _close(self._secure)

    async def _follow_files(self, files: TlsFiles) -> None:
        while True:
            await asyncio.sleep(FILES_LOOK_S)
            files.refresh()

    # -- who is let in ------------------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket, *, secure: bool) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as error:  # no file left, or it went before it was taken
                log.warning("limit server: a master could not be let in: %s", error.strerror or error)
                await asyncio.sleep(_TRY_AGAIN_S)
                continue
            self._knocked(sock, str(address[0]), int(address[1]), secure=secure)

    def _knocked(self, sock: socket.socket, host: str, port: int, *, secure: bool) -> None:
        may_write = self._may_write(host, secure=secure)
        at_s = asyncio.get_running_loop().time()
        guest, gone = (None, None) if may_write is None else self._gate.place(host, writer=may_write, at_s=at_s)
        if guest is None:
            self.refused += 1
            self._tell(host, "is not on the allow-list" if may_write is None else "came when all connections were taken")
            sock.close()
            return
        if gone is not None:
            self._connections[gone].cancel()
        master = Master(f"{host}:{port}", bool(may_write))
        work = self._secured(guest, master, sock) if secure else self._served(guest, master, sock, None)
        task = self._tasks.create_task(work, name=f"limit master {master.peer}")
        self._connections[guest] = task
        task.add_done_callback(partial(self._left, guest, sock))

    def _may_write(self, host: str, *, secure: bool) -> bool | None:
        """None: not let in. Behind TLS nobody is known to command before his certificate was seen."""
        tls = self.settings.tls
        if not secure or tls is None:
            return self.settings.may_write(host)
        return False if tls.lets_in(host) else None

    def _left(self, guest: Guest, sock: socket.socket, _task: asyncio.Task[None]) -> None:
        self._gate.left(guest)
        self._connections.pop(guest, None)
        sock.close()  # where the task was cancelled before it began

    def _tell(self, host: str, what: str) -> None:
        """Count, and log once per peer and reason, for the first hundred."""
        self.refusals[f"master that {what}"] += 1
        if f"{host} {what}" not in self._told and len(self._told) < REFUSED_REMEMBERED:
            self._told.add(f"{host} {what}")
            log.warning("limit server: %s %s", host, what)

    # -- one connection -----------------------------------------------------------------------------------------

    async def _secured(self, guest: Guest, master: Master, sock: socket.socket) -> None:
        assert self.files is not None
        await self._served(guest, master, sock, self.files.context)

    async def _served(self, guest: Guest, master: Master, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=CHUNK, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=context, ssl_handshake_timeout=FRAME_S if context is not None else None
            )
        except OSError as error:  # ssl.SSLError, ConnectionError and TimeoutError are OSErrors
            self.refused += 1
            self._tell(guest.host, failure(error))
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            if context is not None:
                self._known(guest, master, writer)
            await self._talk(guest, master, reader, writer)
        except NotModbus:
            self.broken += 1
            self._tell(guest.host, "sent what is no Modbus TCP")
        except OSError:
            pass  # it went away, or fell silent; masters do
        finally:
            transport.abort()

    def _known(self, guest: Guest, master: Master, writer: asyncio.StreamWriter) -> None:
        """What the certificate makes of a master."""
        shown = credentials(writer.get_extra_info("ssl_object"))
        master.may_read = shown.role is not None
        master.may_write = guest.writer = shown.role is not None and shown.role.may_write
        master.role = f"{shown.role or 'no role'} {shown.name}".rstrip()
        if shown.role is None:
            self._tell(guest.host, "showed a certificate without a role")

    async def _talk(self, guest: Guest, master: Master, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, frames, answered = asyncio.get_running_loop(), Frames(), 0
        until_s = loop.time() + self.settings.idle_s
        while True:
            async with asyncio.timeout_at(until_s):
                data = await reader.read(CHUNK)
            if not data:
                return
            began, fresh, out = frames.begun, False, bytearray()
            frames.feed(data)
            try:
                for frame in frames.complete():
                    fresh, answered = True, answered + 1
                    guest.heard_s = loop.time()
                    wait_s = self._gate.wait_s(guest.host, write=frame.function in WRITES, at_s=guest.heard_s)
                    if wait_s > 0 or answered % AT_ONCE == 0:
                        await _sent(writer, out)
                        await asyncio.sleep(wait_s)
                    out += self._desk.answer(master, frame)
            except NotModbus:
                await _sent(writer, out)  # what came before it is answered
                raise
            await _sent(writer, out)
            if not frames.begun:
                until_s = loop.time() + self.settings.idle_s
            elif fresh or not began:  # a frame has begun; one that only goes on has no more time than it had
                until_s = loop.time() + FRAME_S


async def _sent(writer: asyncio.StreamWriter, answers: bytearray) -> None:
    """Give answers to the socket, several at once; waits while the master does not take them. Raises TimeoutError."""
    if answers:
        writer.write(bytes(answers))
        answers.clear()
        async with asyncio.timeout(FRAME_S):
            await writer.drain()


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets at every address that the host's name has. Raises :class:`PortInUse`."""
    sockets: list[socket.socket] = []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen()
            sock.setblocking(False)
    except OSError as error:
        _close(sockets)
        raise PortInUse(f"the limit server cannot listen on {host}:{port}: {error.strerror or error}") from None
    return sockets


def _port(sockets: list[socket.socket]) -> int:
    if not sockets:
        raise RuntimeError("the limit server does not listen there: use it in `async with`")
    return int(sockets[0].getsockname()[1])


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
    sockets.clear()
