"""Modbus TCP frames out of a stream of bytes. No I/O.

    | transaction, 2 | protocol 0, 2 | length, 2 | unit, 1 | function and data, length - 1 |

The protocol's own library answers only the first of several pipelined requests and waits for ever after a foreign protocol id;
so framing is done here. What is no Modbus TCP ends the stream: after a wrong length nothing tells where the next frame begins.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from grid import GridError

HEADER: Final = struct.Struct(">HHHB")
LONGEST_ADU: Final = 254
"""Greatest length: unit id and a PDU of 253 bytes."""


class NotModbus(GridError):
    """The bytes are no Modbus TCP (drawn in :mod:`grid`)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One request. ``pdu``: at least the function code."""

    transaction: int
    unit: int
    pdu: bytes

    @property
    def function(self) -> int:
        """The function code."""
        return self.pdu[0]

    def answered(self, pdu: bytes) -> bytes:
        """The bytes of an answer to it."""
        return HEADER.pack(self.transaction, 0, len(pdu) + 1, self.unit) + pdu


class Frames:
    """A stream of one connection: ``feed()`` what came, then iterate over :meth:`complete`."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def begun(self) -> bool:
        """Whether a part of a frame is there."""
        return bool(self._bytes)

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._bytes += data

    def complete(self) -> Iterator[Frame]:
        """The frames that are there as a whole, in their order. Raises :class:`NotModbus` at the first that is none."""
        while len(self._bytes) >= HEADER.size:
            transaction, protocol, length, unit = HEADER.unpack_from(self._bytes)
            if protocol != 0 or not 2 <= length <= LONGEST_ADU:
                raise NotModbus(f"protocol {protocol}, length {length}")
            end = HEADER.size - 1 + length
            if len(self._bytes) < end:
                return
            pdu = bytes(self._bytes[HEADER.size : end])
            del self._bytes[:end]
            yield Frame(transaction, unit, pdu)
