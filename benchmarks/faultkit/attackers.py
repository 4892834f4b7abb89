"""Who attacks the charger side over its sockets: half-open handshakes, stations that never read, malformed frames.

Stations in here are declared in the depot's settings and have their key: what is attacked is the code behind the door,
too. What must be answered is judged by the standard library's JSON parser, not by the server's.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

STAMP = "2026-03-01T12:00:00Z"
TCP_ESTABLISHED = 1


# -- half-open ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class HalfOpen:
    """Connections that begin a handshake and never end it."""

    readers: list[asyncio.StreamReader] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self, port: int, count: int) -> None:
        for n in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if n % 3:  # one in three says nothing at all
                writer.write(b"GET /ocpp/CP-001 HTTP/1.1\r\nHost: depot\r\n")
            self.readers.append(reader)
            self.writers.append(writer)

    async def drip(self) -> None:
        """A byte of a header now and then, as slow-loris does; until cancelled."""
        while True:
            for writer in self.writers:
                if not writer.is_closing():
                    writer.write(b"X")
            await asyncio.sleep(1.0)

    async def all_closed(self, patience_s: float) -> float:
        """Seconds until the server has closed every one."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(patience_s):
            for reader in self.readers:
                with contextlib.suppress(ConnectionError):
                    while await reader.read(1024):
                        pass
        return loop.time() - began

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


# -- never reading ------------------------------------------------------------------------------------------------------


class Deaf:
    """A station that opens its connection in order, then sends calls and reads nothing, ever. A raw socket, so that no
    library reads for it; with a receive buffer as small as the kernel allows."""

    def __init__(self, station_id: str, key: str) -> None:
        self.station_id = station_id
        self._key = key
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._sock.setblocking(False)
        self.sent = 0

    async def open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._sock, ("127.0.0.1", port))
        token = base64.b64encode(f"{self.station_id}:{self._key}".encode()).decode()
        nonce = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET /ocpp/{self.station_id} HTTP/1.1\r\nHost: depot\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
            f"Authorization: Basic {token}\r\n\r\n"
        )
        await loop.sock_sendall(self._sock, request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += await loop.sock_recv(self._sock, 1)
        assert b" 101 " in answer.splitlines()[0], answer

    async def talk(self) -> None:
        """Send calls, twice as fast as a station may; until the connection is over."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while self.open_still:
                self.sent += 1
                # an unknown action of some length: its refusal repeats it, so that answers are not short
                text = json.dumps([2, f"{self.sent:0200d}", "Invented" * 6, {}]).encode()
                await loop.sock_sendall(self._sock, _masked(text))
                await asyncio.sleep(0.01)

    @property
    def open_still(self) -> bool:
        """Whether the server keeps the connection; asked of the kernel, for nothing is read here."""
        state: int = struct.unpack("B", self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))[0]
        return state == TCP_ESTABLISHED

    def close(self) -> None:
        self._sock.close()


def _masked(text: bytes) -> bytes:
    """A client's text frame (RFC 6455 §5.2); the mask is zero, which is a mask."""
    head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else bytes([0x81, 0x80 | 126]) + struct.pack(">H", len(text))
    return head + b"\0\0\0\0" + text


# -- malformed frames ---------------------------------------------------------------------------------------------------

JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1.5,
    1e308,
    "",
    "x" * 600,
    [],
    {},
    [[]],
    {"a": {}},
    "NaN",
    "\u0000",
    float("nan"),
    float("inf"),
)
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
    ("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": STAMP, "sampledValue": [{"value": "1"}]}]}),
    ("StopTransaction", {"transactionId": 1, "meterStop": 5, "timestamp": STAMP}),
    ("StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": STAMP}),
    ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}),
    ("DataTransfer", {"vendorId": "V"}),
    ("Heartbeat", {}),
)
CLOSING = ("ten megabytes", "invalid UTF-8")
"""Kinds of frames that end their connection, as the WebSocket norm has it (1009, 1007)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """``must``: message id of a CALL that has to be answered; None: none has."""

    kind: str
    data: str | bytes
    must: str | None = None


def malformed(rng: random.Random, count: int, *, name: str) -> list[Frame]:
    """Mutated calls, typed junk, depth, NaN, truncation, wrong types; a few that end the connection."""
    found = []
    for n in range(count):
        action, payload = rng.choice(CALLS)
        message_id = f"{name}-{n}"
        message: list[Any] = [2, message_id, action, json.loads(json.dumps(payload))]
        kind = rng.choices(
            ["junk value", "junk part", "wrong shape", "bytes changed", "deep", "binary", *CLOSING], [30, 15, 15, 25, 8, 6, 0.4, 0.6]
        )[0]
        match kind:
            case "ten megabytes":
                found.append(Frame(kind, json.dumps([2, message_id, "DataTransfer", {"vendorId": "x" * 10_000_000}])))
                continue
            case "invalid UTF-8":
                found.append(Frame(kind, b'[2,"\xff\xfe","Heartbeat",{}]'))
                continue
            case "binary":
                found.append(Frame(kind, os.urandom(rng.randrange(200))))
                continue
            case "deep":
                opener = rng.choice("[{")
                body = "[" * 2000 if opener == "[" else '{"a":' * 2000
                found.append(Frame(kind, f'[2,"{message_id}","{action}",{body}', must=message_id))
                continue
            case "junk value":
                if message[3]:
                    message[3][rng.choice(list(message[3]))] = rng.choice(JUNK)
            case "junk part":
                message[rng.choice((0, 2, 3))] = rng.choice(JUNK)
            case "wrong shape":
                message = message[: rng.randint(1, 4)] + [rng.choice(JUNK)] * rng.randint(0, 2)
        text = json.dumps(message)
        if kind == "bytes changed":
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(("", "[", "}", '"', "\\", "\u20ac")) + text[at + rng.randint(0, 2) :]
        found.append(Frame(kind, text, must=answerable(text)))
    return found


def answerable(text: str) -> str | None:
    """The message id of a call that must be answered, judged by another parser; None: none, or not this parser's to say."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, list) or len(message) < 2 or type(message[0]) is not int or message[0] != 2:
        return None
    return message[1] if isinstance(message[1], str) and 0 < len(message[1]) <= 255 else None


@dataclass(slots=True)
class Answered:
    """What came of a stream of malformed frames."""

    sent: int = 0
    must: int = 0
    unanswered: list[str] = field(default_factory=list)
    closed: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)


async def attack(port: int, station_id: str, key: str, frames: Sequence[Frame], *, per_connection: int = 150) -> Answered:
    """Send ``frames`` as one station, and hear what is answered; connects anew after each frame that ends the connection
    and after so many that the server would slow it down."""
    result = Answered()
    waiting = list(frames)
    while waiting:
        part: list[Frame] = []
        while waiting and len(part) < per_connection and not (part and part[-1].kind in CLOSING):
            part.append(waiting.pop(0))
        await _stream(port, station_id, key, part, result)
    return result


async def _stream(port: int, station_id: str, key: str, part: Sequence[Frame], result: Answered) -> None:
    with contextlib.suppress(AttributeError):  # websockets 16 may abort a transport that asyncio has let go of already
        await _stream_on(await dial(port, station_id, key), station_id, part, result)


async def _stream_on(connection: ClientConnection, station_id: str, part: Sequence[Frame], result: Answered) -> None:
    heard: Counter[str] = Counter()
    closes = part[-1].kind in CLOSING
    wanted = {frame.must for frame in part if frame.must is not None}
    async with connection:

        async def listen() -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    message = json.loads(await connection.recv())
                    if message[0] in (3, 4):
                        heard[str(message[1])] += 1

        async def all_answered() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60):
                    while connection.close_code is None and not wanted <= set(heard):  # noqa: ASYNC110  # the reader has no event for it
                        await asyncio.sleep(0.02)

        listening = asyncio.create_task(listen())
        result.must += len(wanted)
        with contextlib.suppress(ConnectionClosed):
            for frame in part:
                if frame.kind in CLOSING:
                    await all_answered()
                await connection.send(frame.data, text=True if frame.kind == "invalid UTF-8" else None)
        result.sent += len(part)
        if closes:
            await asyncio.wait_for(connection.wait_closed(), 60)
        else:
            await all_answered()
        if connection.close_code is not None:
            result.closed[connection.close_code] += 1
            if not closes:
                result.unexpected.append(f"{station_id}: {connection.close_code} {connection.close_reason}")
        result.unanswered += sorted(wanted - set(heard))
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def dial(port: int, station_id: str, key: str) -> connect:
    """A station's connection with its key."""
    token = base64.b64encode(f"{station_id}:{key}".encode()).decode()
    return connect(
        f"ws://127.0.0.1:{port}/ocpp/{station_id}", additional_headers={"Authorization": f"Basic {token}"},
        subprotocols=[Subprotocol("ocpp1.6")], proxy=None, compression=None, close_timeout=2, open_timeout=60, max_size=None,
    )  # fmt: skip


async def latency_s(connection: ClientConnection, count: int, *, every_s: float = 0.05) -> list[float]:
    """How long a Heartbeat takes to be answered, ``count`` times."""
    loop = asyncio.get_running_loop()
    found = []
    for n in range(count):
        began = loop.time()
        await connection.send(json.dumps([2, f"beat-{n}-{began}", "Heartbeat", {}]))
        while json.loads(await connection.recv())[0] != 3:  # calls of the controller are left waiting
            pass
        found.append(loop.time() - began)
        await asyncio.sleep(every_s)
    return found
