"""As little of an MQTT 3.1.1 client as a benchmark needs, so that its own part is small: connects, publishes with QoS 1.

RawMqtt.open(port, name, key) -> .publish(topic, payload)     acknowledgements are counted by who reads them
"""

from __future__ import annotations

import asyncio
from typing import Self

CONNACK = b"\x20\x02\x00\x00"
PUBACK = b"\x40\x02"
KEEPALIVE_S = 0
"""None: it speaks all the time."""


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _packet(first: int, body: bytes) -> bytes:
    out, left = bytearray((first,)), len(body)
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out) + body


class RawMqtt:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._count = 0

    @classmethod
    async def open(cls, port: int, name: str, key: str) -> Self:
        """Connected, with a clean session. Raises OSError where nobody listens or the broker does not let it in."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        hello = _field(b"MQTT") + bytes((4, 0xC2)) + KEEPALIVE_S.to_bytes(2, "big")
        writer.write(_packet(0x10, hello + _field(name.encode()) + _field(name.encode()) + _field(key.encode())))
        try:
            if await reader.readexactly(4) != CONNACK:
                raise ConnectionRefusedError(f"the broker does not let {name} in")
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer)

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand it to the socket."""
        self._count += 1
        number = (self._count % 65535 + 1).to_bytes(2, "big")
        self.writer.write(_packet(0x32, _field(topic.encode()) + number + payload))

    async def acknowledged(self) -> None:
        """Until the next acknowledgement. Raises EOFError where the broker hung up."""
        if (await self.reader.readexactly(4))[:2] != PUBACK:
            raise ConnectionError("not an acknowledgement")
