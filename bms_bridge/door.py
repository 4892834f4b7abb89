"""The door of the embedded broker: what a connection must be, and each of its packets, before amqtt sees it.

    socket ──CONNECT──▶ Door.admit ──rewritten CONNECT──▶ amqtt
           ──packets──▶ Visitor.read (whole, well-formed, within bounds, at a bearable pace) ──▶ amqtt

amqtt takes packets of any size, acknowledges faster than it passes on and forgets the rest when the client leaves, ends the
session of whoever has the same client id before it asks for the password, sends retained messages to everybody, and never ends
a silent connection (0.12.1). So here:

* nobody reaches amqtt without an account, and a client id counts within its account only;
* a packet is read whole and must be exactly what MQTT 3.1.1 says (clauses in brackets below); QoS 2 is not offered;
* nothing is retained for topics: the flag is taken off; a vehicle has no session that outlives its connection;
* who sends faster than is passed on waits, and so does who does not read; what was confirmed is passed on before a client's end
  is told; who is silent for 1.5 × its keep-alive is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amqtt.adapters import ReaderAdapter

from bms_bridge.accounts import Kind
from bms_bridge.gate import AccountBook

log = logging.getLogger(__name__)

MOST_PACKET: Final = 32_768
"""Bytes of a packet, twice what a sample may have."""

MOST_AHEAD: Final = 16
"""Messages of one connection that were read and not passed on yet."""

MOST_WAITING: Final = 256
"""Messages of all connections that were read and not passed on yet: more would only grow old here. Their units keep them."""

MOST_PER_ACCOUNT: Final = 4
"""Connections; one more pushes out the oldest, which is mostly one that the network has forgotten."""

MOST_STRANGERS: Final = 200
"""Connections that have not said who they are; one more pushes out the oldest."""

LONGEST_SILENCE_S: Final = 600.0
PACKET_S: Final = 20.0
"""A packet that has begun must be there within this time."""

UNREAD_BYTES: Final = 65_536
UNREAD_S: Final = 20.0
_OTHERS_A_SECOND, _OTHERS_BURST = 20.0, 100.0
_LONGEST_ID = 128
_TOLD_EVERY_S = 10.0
_LOOK_S = 0.005

_CONNECT, _PUBLISH, _SUBSCRIBE, _UNSUBSCRIBE, _DISCONNECT = 1, 3, 8, 10, 14
_FLAGS: Final = {4: 0, 5: 0, 6: 2, 7: 0, 8: 2, 10: 2, 12: 0, 14: 0}
"""The flags that a client's packets must have [2.2.2]; other kinds come from a server, or are PUBLISH."""

_LENGTHS: Final = {4: 2, 5: 2, 6: 2, 7: 2, 12: 0, 14: 0}
ACCEPTED, BAD_VERSION, BAD_ID, NOT_AUTHORIZED = 0, 1, 2, 5


class Unwelcome(Exception):
    """The connection is to be closed. ``code``: what CONNACK says before, if anything [3.2.2.3]."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Hello:
    """A CONNECT packet [3.1]."""

    client_id: str
    clean: bool
    keep_alive_s: int
    username: str
    password: bytes
    will: tuple[str, bytes, int] | None = None

    def packet(self) -> bytes:
        """It again, for amqtt: without a keep-alive, which is kept here, and without the will's retain flag."""
        flags = 0xC0 | self.clean << 1
        body = _text(self.client_id)
        if self.will is not None:
            topic, message, qos = self.will
            flags |= 0x04 | qos << 3
            body += _text(topic) + len(message).to_bytes(2, "big") + message
        body += _text(self.username) + len(self.password).to_bytes(2, "big") + self.password
        body = _text("MQTT") + bytes((4, flags, 0, 0)) + body
        return bytes((_CONNECT << 4,)) + _length(len(body)) + body


def hello_of(body: bytes) -> Hello:
    """The CONNECT with this variable header and payload. Raises :class:`Unwelcome`."""
    fields = _Fields(body)
    if fields.text() != "MQTT" or fields.number(1) != 4:
        raise Unwelcome("not MQTT 3.1.1", BAD_VERSION)
    flags = fields.number(1)
    keep_alive_s = fields.number(2)
    if flags & 1:
        raise Unwelcome("CONNECT: the reserved flag is set [3.1.2-3]")
    client_id = fields.text()
    will = None
    if flags & 0x04:
        qos = flags >> 3 & 3
        will = (fields.text(), fields.data(), qos)
        if qos > 1:
            raise Unwelcome("a last will of QoS 2; QoS 0 and 1 are offered")
    elif flags & 0x38:
        raise Unwelcome("CONNECT: flags of a will without one [3.1.2-11]")
    if not flags & 0x80 or not flags & 0x40:
        raise Unwelcome("neither user name nor password", NOT_AUTHORIZED)
    username, password = fields.text(), fields.data()
    fields.end()
    if len(client_id) > _LONGEST_ID or (not client_id and not flags & 2):
        raise Unwelcome("a client id that is too long, or none for a session that shall stay [3.1.3-8]", BAD_ID)
    return Hello(client_id, bool(flags & 2), keep_alive_s, username, password, will)


def checked(kind: int, flags: int, body: bytes) -> None:
    """Whether a client may send this packet; raises :class:`Unwelcome` for one that is not exactly as it must be."""
    if kind == _PUBLISH:
        fields = _Fields(body)
        topic = fields.text()
        if not topic or topic[0] == "$" or "+" in topic or "#" in topic:
            raise Unwelcome("PUBLISH to a topic that cannot be [3.3.2-2, 4.7.2-1]")
        qos = flags >> 1 & 3
        if qos > 1:
            raise Unwelcome("PUBLISH of QoS 2; QoS 0 and 1 are offered")
        if qos and not fields.number(2):
            raise Unwelcome("PUBLISH with packet id 0 [2.3.1-1]")
        if not qos and flags & 8:
            raise Unwelcome("PUBLISH of QoS 0 that says it is sent again [3.3.1-2]")
        return
    if _FLAGS.get(kind) != flags or len(body) != _LENGTHS.get(kind, len(body)):
        raise Unwelcome(f"a packet of kind {kind} that no client may send [2.2.2-2]")
    if kind in (_SUBSCRIBE, _UNSUBSCRIBE):
        fields = _Fields(body)
        if not fields.number(2) or not fields.left:
            raise Unwelcome("a subscription to nothing [3.8.3-3]")
        while fields.left:
            if not fields.text() or (kind == _SUBSCRIBE and fields.number(1) > 2):
                raise Unwelcome("a subscription that cannot be [3.8.3-4]")


class Door:
    """Of one broker. ``waiting``: how many messages amqtt has in its queues."""

    def __init__(self, book: AccountBook, *, waiting: Callable[[], int], handshake_s: float) -> None:
        self.refused = 0
        self._book = book
        self._waiting = waiting
        self._ahead = 0
        self._turns: deque[asyncio.Future[None]] = deque()
        self._usher: asyncio.Task[None] | None = None
        self._handshake_s = handshake_s
        self._strangers: dict[asyncio.StreamWriter, None] = {}
        self._inside: dict[str, dict[str, Visitor]] = {}
        self._told_s = -_TOLD_EVERY_S

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Visitor | None:
        """Who comes in; None: nobody, and the socket has been told why."""
        self._strangers[writer] = None
        if len(self._strangers) > MOST_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.transport.abort()
        try:
            async with asyncio.timeout(self._handshake_s):
                first, body = await _packet(reader)
                if first != _CONNECT << 4:
                    raise Unwelcome("the first packet is no CONNECT [3.1.0-1]")
                return await self._known(hello_of(body), reader, writer)
        except Unwelcome as refused:
            self._refuse(str(refused))
            if refused.code is not None:
                writer.write(bytes((0x20, 2, 0, refused.code)))
        except (TimeoutError, OSError, EOFError) as error:
            log.debug("a connection said nothing of use: %s", error)
        finally:
            self._strangers.pop(writer, None)
        return None

    async def _known(self, hello: Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Visitor:
        accounts = self._book.now(fresh=True)
        name = hello.username
        if not accounts.admits(name, hello.password.decode("utf-8", "replace")):
            raise Unwelcome("unknown account or wrong key", NOT_AUTHORIZED)
        if hello.will is not None and not accounts.may_publish(name, hello.will[0]):
            raise Unwelcome(f"{name}: its last will goes to a topic that it may not publish to", NOT_AUTHORIZED)
        vehicle = accounts.accounts[name].kind is Kind.VEHICLE
        inner = Hello(
            f"{name}/{hello.client_id or secrets.token_hex(8)}",
            hello.clean or vehicle,
            hello.keep_alive_s,
            name,
            hello.password,
            hello.will,
        )
        before = self._inside.get(name, {}).get(inner.client_id)
        if before is not None:  # amqtt will end it, a take-over [3.1.4-2], with all that it has not passed on
            before.feed_eof()
            await before.all_passed_on()
        visitor = Visitor(self, inner, reader, writer, limited=vehicle)
        mine = self._inside.setdefault(name, {})
        mine.pop(inner.client_id, None)
        while len(mine) >= MOST_PER_ACCOUNT:
            oldest = mine.pop(next(iter(mine)))
            oldest.end()
        mine[inner.client_id] = visitor
        return visitor

    def left(self, visitor: Visitor) -> None:
        """The connection has ended."""
        visitor.feed_eof()
        self._ahead -= visitor.ahead
        visitor.ahead = 0
        mine = self._inside.get(visitor.hello.username, {})
        if mine.get(visitor.hello.client_id) is visitor:
            del mine[visitor.hello.client_id]
            if not mine:
                del self._inside[visitor.hello.username]

    def passed_on(self, username: str, client_id: str) -> None:
        """amqtt has taken a message of this client out of its queue."""
        visitor = self._inside.get(username, {}).get(client_id)
        if visitor is not None and visitor.ahead:
            self._ahead -= 1
            visitor.ahead -= 1
            visitor.moved.set()

    def let_in(self, visitor: Visitor) -> None:
        """A message of it goes to amqtt."""
        self._ahead += 1
        visitor.ahead += 1

    async def room(self) -> None:
        """Returns once amqtt can take another message; who came first is let in first.

        Its queues tell nobody that they have become shorter, so one task looks, and wakes as many as there is room for: if all who
        wait looked, a full broker would do nothing else.
        """
        if not self._turns and self._free() > 0:
            return
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        if self._usher is None or self._usher.done():
            self._usher = asyncio.create_task(self._call_in())
        await turn

    def _free(self) -> int:
        return MOST_WAITING - self._ahead - self._waiting()

    async def _call_in(self) -> None:
        while self._turns:
            free = self._free()
            while free > 0 and self._turns:
                turn = self._turns.popleft()
                if not turn.done():  # who has gone meanwhile takes no room
                    turn.set_result(None)
                    free -= 1
            await asyncio.sleep(_LOOK_S)

    def _refuse(self, text: str) -> None:
        """Told now and then: who is refused may come often."""
        self.refused += 1
        now_s = time.monotonic()
        if now_s - self._told_s >= _TOLD_EVERY_S:
            self._told_s = now_s
            log.warning("connection refused: %s (%d so far)", text, self.refused)


class Visitor(ReaderAdapter):  # type: ignore[misc]  # amqtt has no types
    """One connection, as amqtt reads it. ``limited``: at a vehicle's pace. ``ahead``: messages that amqtt has not passed on."""

    def __init__(self, door: Door, hello: Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, limited: bool) -> None:
        self.hello = hello
        self.ahead = 0
        self.moved = asyncio.Event()
        self._door = door
        self._reader = reader
        self._writer = writer
        self._limited = limited
        self._silence_s = min(LONGEST_SILENCE_S, hello.keep_alive_s * 1.5 or LONGEST_SILENCE_S)
        self._buffer = hello.packet()
        self._at = 0
        self._ended = False
        self._others, self._others_s = _OTHERS_BURST, time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._until_s = math.inf
        self._watch: asyncio.TimerHandle | None = None
        self._look()

    async def read(self, n: int = -1) -> bytes:
        """``n`` bytes of the packet that is being read, or of the next; nothing at the end, or where amqtt would read beyond it."""
        if self._at == len(self._buffer) and not self._ended:
            await self._next()
        start, end = self._at, self._at + n
        if n < 0 or end > len(self._buffer) or self._ended:
            self.feed_eof()
            return b""
        self._at = end
        return self._buffer[start:end]

    def feed_eof(self) -> None:
        """Nothing more is read."""
        self._ended = True
        if self._watch is not None:
            self._watch.cancel()

    def end(self) -> None:
        """Cut the connection."""
        self.feed_eof()
        self._writer.transport.abort()

    async def _next(self) -> None:
        try:
            self._wait(self._silence_s)
            first = await self._reader.readexactly(1)
            self._wait(PACKET_S)
            body = await _body(self._reader)
            self._wait(math.inf)  # from here on it is not the client that is waited for
            kind, flags = first[0] >> 4, first[0] & 0x0F
            checked(kind, flags, body)
            if kind == _PUBLISH:
                flags &= ~1  # nothing is retained
                if self._limited:
                    await self._room()
                self._door.let_in(self)
            elif kind == _DISCONNECT:
                await self.all_passed_on()
            elif self._limited:
                await self._pace()
            self._buffer = bytes((kind << 4 | flags,)) + _length(len(body)) + body
            self._at = 0
        except Unwelcome as error:
            log.warning("%s is cut off: %s", self.hello.username, error)
            self.feed_eof()
        except (TimeoutError, OSError, EOFError) as error:
            log.debug("%s has gone: %r", self.hello.username, error)
            self.feed_eof()
        if self._ended:
            await self.all_passed_on()

    async def all_passed_on(self) -> None:
        """What amqtt has confirmed and not passed on would be lost with the connection [3.3.4, 4.3.2]."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PACKET_S):
                while self.ahead:
                    self.moved.clear()
                    await self.moved.wait()

    def _wait(self, seconds: float) -> None:
        """The client must say something within so many seconds. A timer looks now and then: one for each packet costs more."""
        self._until_s = self._loop.time() + seconds

    def _look(self) -> None:
        if self._loop.time() > self._until_s:
            log.info("%s is cut off: it is silent", self.hello.username)
            self.end()
            return
        self._watch = self._loop.call_later(min(self._silence_s, PACKET_S) / 4, self._look)

    async def _room(self) -> None:
        """Waits until amqtt has passed on what it was given, and the client has read what it was told."""
        while self.ahead >= MOST_AHEAD:
            self.moved.clear()
            await self.moved.wait()
        await self._door.room()
        if self._writer.transport.get_write_buffer_size() > UNREAD_BYTES:
            async with asyncio.timeout(UNREAD_S):
                await self._writer.drain()

    async def _pace(self) -> None:
        """A vehicle subscribes to nothing and pings now and then."""
        now_s = time.monotonic()
        self._others = min(_OTHERS_BURST, self._others + (now_s - self._others_s) * _OTHERS_A_SECOND) - 1.0
        self._others_s = now_s
        if self._others < 0:
            await asyncio.sleep(-self._others / _OTHERS_A_SECOND)


class _Fields:
    """Reads what others wrote; everything that is not there or not as it must be is :class:`Unwelcome`."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def data(self) -> bytes:
        return self._take(self.number(2))

    def text(self) -> str:
        try:
            found = self.data().decode("utf-8")
        except UnicodeDecodeError:
            raise Unwelcome("a text that is no UTF-8 [1.5.3-1]") from None
        if "\0" in found:
            raise Unwelcome("a text with U+0000 [1.5.3-2]")
        return found

    def end(self) -> None:
        if self.left:
            raise Unwelcome("bytes after the end of a packet's fields")

    def _take(self, size: int) -> bytes:
        if size > self.left:
            raise Unwelcome("a packet that ends in the middle of a field")
        self._at += size
        return self._body[self._at - size : self._at]


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first = await reader.readexactly(1)
    return first[0], await _body(reader)


async def _body(reader: asyncio.StreamReader) -> bytes:
    """Variable header and payload [2.2.3]."""
    length = 0
    for shift in (0, 7, 14, 21):
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    else:
        raise Unwelcome("a length of more than four bytes [2.2.3]")
    if length > MOST_PACKET:
        raise Unwelcome(f"a packet of {length} bytes; at most {MOST_PACKET}")
    return await reader.readexactly(length)


def _length(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(text: str) -> bytes:
    raw = text.encode("utf-8")
    return len(raw).to_bytes(2, "big") + raw
