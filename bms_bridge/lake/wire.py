"""What the core hands to the lake, and what it hears back. No Arrow here: the core imports this.

    core --Batch{boot, number, items}--> lake        at most a few under way; sent again until acknowledged
         <--Ack{boot, number, state}----             everything up to ``number`` is on the disk

A frame is four bytes of length and MessagePack. ``boot`` names a run of the core, ``number`` counts its batches: the same batch
twice is stored once. An item is a message as it came (then the lake decodes it, now and in a replay), or a sample of a source
that has no message of its own.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from bms_bridge.can.frame import CanFrame
from bms_bridge.contract import PackSample
from bms_bridge.lake import LakeError

MOST_ITEMS: Final = 2_000
"""Of one batch; the number of an item is part of its rows' ids."""

MOST_BYTES: Final = 32 * 1024 * 1024


class State(StrEnum):
    """How the lake stands, as its acknowledgements say. ``THIN``: the disk is short, only some samples are kept; ``FULL``: none."""

    GOOD = "good"
    THIN = "thin"
    FULL = "full"


class Message(msgspec.Struct, frozen=True, tag="message"):
    """A message as it came over ``source`` (``mqtt``): its topic and payload. ``places``: which of its samples were new."""

    source: str
    topic: str
    payload: bytes
    received_at: datetime
    retained: bool = False
    places: tuple[int, ...] = (0,)


class Told(msgspec.Struct, frozen=True, tag="sample"):
    """A sample that was decoded on the way. ``origin``: by what (map and DBC with their hashes), "": its source has no map."""

    sample: PackSample
    origin: str = ""


class Frames(msgspec.Struct, frozen=True, tag="frames"):
    """What a pack's own CAN bus said in one look: the frames that its map reads. ``now_s``: of the look, by the clock of the frames."""

    vehicle_id: str
    pack_id: str
    now_s: float
    received_at: datetime
    frames: list[CanFrame]


Item = Message | Told | Frames


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """``dropped``: samples that the core could not hand over since the batch before."""

    boot: str
    number: int
    items: list[Item]
    dropped: int = 0


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """Everything of ``boot`` up to ``number`` is on the disk, or was left out by the rule of ``state``."""

    boot: str
    number: int
    state: State = State.GOOD
    text: str = ""


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A question or an order of a person: see :mod:`bms_bridge.lake.server`."""

    what: str
    args: dict[str, Any] = {}


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far an order got, for people."""

    text: str
    done: int = 0
    of: int = 0


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The end of an order. ``error`` "": it was carried out."""

    data: dict[str, Any] = {}
    error: str = ""
    kind: str = ""


Frame = Batch | Ack | Ask | Progress | Answer

encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Frame)
_batch = msgspec.msgpack.Decoder(Batch)


def decode_batch(data: bytes) -> Batch:
    """The batch in ``data``; raises :class:`~bms_bridge.lake.LakeError`."""
    try:
        return _batch.decode(data)
    except msgspec.MsgspecError as error:
        raise LakeError(f"not a batch: {error}") from None


def frame_of(message: Frame) -> bytes:
    """The bytes on the wire."""
    return framed(encode(message))


def framed(body: bytes) -> bytes:
    """Raises :class:`~bms_bridge.lake.LakeError` for more than a frame can hold."""
    if len(body) > MOST_BYTES:
        raise LakeError(f"{len(body)} bytes; a frame has at most {MOST_BYTES}")
    return len(body).to_bytes(4, "big") + body


async def read_body(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame's bytes; None at the end. Raises :class:`~bms_bridge.lake.LakeError` for a length that cannot be."""
    try:
        head = await reader.readexactly(4)
        size = int.from_bytes(head, "big")
        if size > MOST_BYTES:
            raise LakeError(f"a frame of {size} bytes; at most {MOST_BYTES}")
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def decode(body: bytes) -> Frame:
    """Raises :class:`~bms_bridge.lake.LakeError` for what is no frame."""
    try:
        frame: Frame = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise LakeError(f"not a frame: {error}") from None
    return frame
