"""Telemetry over HTTP: items that the web hands over, through the same door as everything that vehicles say.

    web --link--> Ingest.take(by, items) --message_of--> newest of each pack first --> Safety.hear() --> what became of each

All items came in the same moment. The newest one of a pack is news; the others say how things were: they may trip, and neither
refresh nor clear anything. Between two handfuls the loop does other work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bms_bridge.contract import Message, PackSample, Rejection, RejectReason, Source, message_of
from bms_bridge.guard import Guard
from bms_bridge.validation import Checked
from controller.ingest_view import ItemTaken, TelemetryItem
from depot.ports import Clock
from depot.values import PackKey

HANDFUL: Final = 8
MOST_ISSUES: Final = 8
_EXCERPT = 256


@dataclass(slots=True)
class _Item:
    """An item on its way: the samples in it, and what became of it."""

    samples: tuple[PackSample, ...] = ()
    taken: ItemTaken | None = None


class Ingest:
    """Takes items. ``hear``: the safety's door."""

    def __init__(self, guard: Guard, hear: Callable[[PackSample], Checked | Rejection], *, clock: Clock) -> None:
        self.items = 0
        self._guard = guard
        self._hear = hear
        self._clock = clock

    async def take(self, by: str, items: Sequence[TelemetryItem]) -> list[ItemTaken]:
        """What became of each, in their order. ``by``: who sent them."""
        self.items += len(items)
        read = [self._read(by, item) for item in items]
        newest: dict[PackKey, PackSample] = {}
        for item in read:
            for sample in item.samples:
                if not sample.retained and (sample.pack not in newest or _time(sample) >= _time(newest[sample.pack])):
                    newest[sample.pack] = sample
        news = {id(sample) for sample in newest.values()}
        order = sorted(range(len(read)), key=lambda k: not any(id(sample) in news for sample in read[k].samples))
        for count, k in enumerate(order):
            if read[k].taken is None:
                read[k].taken = self._take(read[k].samples, news)
            if count % HANDFUL == HANDFUL - 1:
                await asyncio.sleep(0)  # others' work between
        return [item.taken for item in read if item.taken is not None]

    def _read(self, by: str, item: TelemetryItem) -> _Item:
        pack, payload = PackKey(item.vehicle_id, item.pack_id), bytes(item.payload)
        if item.wrong:
            return self._refused(by, pack, RejectReason.SHAPE, item.wrong, payload)
        if not item.allowed:
            return self._refused(by, pack, RejectReason.NOT_ALLOWED, f"this token may not speak of {pack.vehicle_id}", payload)
        if not self._guard.known(pack):
            return self._refused(by, pack, RejectReason.UNKNOWN_PACK, f"{pack} is not in the registry", payload)
        found = message_of(pack, payload, source=Source.HTTP, received_at=self._clock.now())
        if isinstance(found, Message):
            return _Item(found.samples)
        return self._refused(by, pack, *found, payload)

    def _refused(self, by: str, pack: PackKey, reason: RejectReason, text: str, payload: bytes) -> _Item:
        excerpt = payload[:_EXCERPT].decode("utf-8", "backslashreplace")
        kept = self._guard.reject(Rejection(reason, text, f"http {by}", excerpt, self._clock.now(), pack, Source.HTTP))
        return _Item(taken=ItemTaken(status="refused", reason=reason.value, text=kept.text))

    def _take(self, samples: tuple[PackSample, ...], news: set[int]) -> ItemTaken:
        """Hear an item's samples, its last one first; what became of the item is what became of that."""
        told: ItemTaken | None = None
        for sample in reversed(samples):
            taken = _told(self._hear(sample if id(sample) in news or sample.retained else replace(sample, retained=True)))
            told = told or taken
        assert told is not None
        return told


def _told(found: Checked | Rejection) -> ItemTaken:
    if isinstance(found, Rejection):
        late = found.reason is RejectReason.TOO_OLD
        return ItemTaken(status="late" if late else "refused", reason=found.reason.value, text=found.text)
    issues = [issue.text for issue in found.issues[:MOST_ISSUES]]
    status = "repeated" if found.repeated else "late" if found.late else "accepted"
    return ItemTaken(status=status, issues=issues)


def _time(sample: PackSample) -> float:
    return sample.reported_at.timestamp() if sample.reported_at is not None else 0.0
