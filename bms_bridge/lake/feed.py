"""The core's side of the lake: samples go in without ever waiting, batches go out, and are sent again until acknowledged.

    MQTT link, Safety --put()--> waiting (bounded) --run()--> Batch --> lake --> Ack

``put`` appends to a list and returns: it encodes nothing, raises nothing and knows no disk. When more waits than may, the newest is
left out and counted; above half of it a pack's sample is taken once in ten seconds, so that what fits is spread over a long outage.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from bms_bridge.can.frame import CanFrame
from bms_bridge.contract import PackSample, Source
from bms_bridge.lake import LakeError, wire
from bms_bridge.mqtt import Kept
from depot.values import PackKey

log = logging.getLogger(__name__)

MOST_WAITING: Final = 20_000
MOST_WAITING_BYTES: Final = 32 * 1024 * 1024
SPARSE_S: Final = 10.0
BATCH_S: Final = 0.5
BATCH_BYTES: Final = 4 * 1024 * 1024
RETRY_S: Final = 2.0
ACK_S: Final = 30.0
_SAMPLE_BYTES = 400
_FRAME_BYTES = 40


class Feed:
    """See the module. ``monotonic``: real seconds, whatever the depot's clock does."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float], most: int = MOST_WAITING) -> None:
        self.boot = secrets.token_hex(8)
        self.dropped = 0
        self.acknowledged = 0
        self.state = wire.State.GOOD
        self.trouble = ""
        self.up = False
        self._down_since_s = monotonic()
        self._dropped_at_s: float | None = None
        self._path = path
        self._monotonic = monotonic
        self._most = most
        self._waiting: deque[wire.Item] = deque()
        self._bytes = 0
        self._by_frames: set[PackKey] = set()
        self._taken_s: dict[PackKey | str, float] = {}
        self._number = 0
        self._told = 0
        self._some = asyncio.Event()

    # -- what comes in: called within the safety path --------------------------------------------------------------------

    def message(self, kept: Kept) -> None:
        """A message that the MQTT link took."""
        size = len(kept.payload)
        if self._room(kept.topic, size):
            self._put(wire.Message(str(Source.MQTT), kept.topic, kept.payload, kept.received_at, kept.retained, kept.places), size)

    def frames(self, pack: PackKey, frames: Sequence[CanFrame], now_s: float, now: datetime) -> None:
        """What a pack's own bus said: from now on its samples are made of that."""
        self._by_frames.add(pack)
        size = len(frames) * _FRAME_BYTES
        if self._room(pack, size):
            self._put(wire.Frames(pack.vehicle_id, pack.pack_id, now_s, now, list(frames)), size)

    def sample(self, sample: PackSample) -> None:
        """A sample of a source whose messages do not come here by themselves. A drill's pack has no life."""
        if sample.source in (Source.MQTT, Source.DRILL) or (sample.source is Source.CAN and sample.pack in self._by_frames):
            return
        if self._room(sample.pack, _SAMPLE_BYTES):
            self._put(wire.Told(sample), _SAMPLE_BYTES)

    def _room(self, key: PackKey | str, size: int) -> bool:
        count = len(self._waiting)
        if count >= self._most or self._bytes + size > MOST_WAITING_BYTES:
            self._drop()
            return False
        if count < self._most // 2:
            return True
        now_s = self._monotonic()
        if now_s - self._taken_s.get(key, -SPARSE_S) < SPARSE_S:
            self._drop()
            return False
        if len(self._taken_s) > self._most:
            self._taken_s.clear()
        self._taken_s[key] = now_s
        return True

    def _put(self, item: wire.Item, size: int) -> None:
        self._waiting.append(item)
        self._bytes += size
        self._some.set()

    def _drop(self) -> None:
        self.dropped += 1
        self._dropped_at_s = self._monotonic()

    def lost_within(self, seconds: float) -> bool:
        """Whether a sample was left out in the last ``seconds``."""
        return self._dropped_at_s is not None and self._monotonic() - self._dropped_at_s < seconds

    @property
    def down_for_s(self) -> float:
        """How long the lake has not answered; 0: it does."""
        return 0.0 if self.up else self._monotonic() - self._down_since_s

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    # -- what goes out ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Hand over until cancelled; a lake that is away is waited for."""
        batch: wire.Batch | None = None
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path, limit=wire.MOST_BYTES)
            except OSError as error:
                self._lost(error.strerror or str(error))
                await asyncio.sleep(RETRY_S)
                continue
            try:
                self.up = True
                while True:
                    batch = batch or await self._next()
                    writer.write(wire.frame_of(batch))
                    await writer.drain()
                    async with asyncio.timeout(ACK_S):
                        ack = await _ack(reader)
                    self.state, self.trouble = ack.state, ack.text
                    if ack.boot == batch.boot and ack.number >= batch.number:
                        self.acknowledged += len(batch.items)
                        self._told += batch.dropped
                        batch = None
                    else:
                        await asyncio.sleep(RETRY_S)  # it could not keep it: the same batch again
            except (LakeError, OSError, TimeoutError) as error:
                self._lost(str(error) or "no answer")
                await asyncio.sleep(RETRY_S)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _next(self) -> wire.Batch:
        """What waits now, after a moment in which more may come."""
        await self._some.wait()
        await asyncio.sleep(BATCH_S)
        items: list[wire.Item] = []
        size = 0
        while self._waiting and len(items) < wire.MOST_ITEMS and size < BATCH_BYTES:
            item = self._waiting.popleft()
            taken = _size(item)
            size += taken
            self._bytes -= taken
            items.append(item)
        if not self._waiting:
            self._some.clear()
        self._number += 1
        return wire.Batch(self.boot, self._number, items, self.dropped - self._told)

    def _lost(self, reason: str) -> None:
        if self.up:
            log.warning("the lake does not answer (%s); samples wait, the newest are left out when there are too many", reason)
            self._down_since_s = self._monotonic()
        self.up = False


def _size(item: wire.Item) -> int:
    """Bytes that it counts for while it waits."""
    if isinstance(item, wire.Message):
        return len(item.payload)
    return len(item.frames) * _FRAME_BYTES if isinstance(item, wire.Frames) else _SAMPLE_BYTES


async def _ack(reader: asyncio.StreamReader) -> wire.Ack:
    body = await wire.read_body(reader)
    frame = None if body is None else wire.decode(body)
    if not isinstance(frame, wire.Ack):
        raise LakeError("the connection ended")
    return frame
