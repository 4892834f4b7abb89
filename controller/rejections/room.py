"""The room of refused telemetry: takes what the guard refuses, has it written beside the loop, and shows it.

    RejectionLog.keep --> put(): a bounded queue, returns at once --> run(): a thread writes --> views

Nothing waits for it. Where the queue is full or the disk fails, rejections are lost, counted and told once in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from bms_bridge.contract import Rejection, Source
from bms_bridge.guard import Guard
from bms_bridge.validation import Memory
from controller.rejections.store import RejectionStore
from controller.rejections.views import IssueView, PackIssues, RejectionsView, RejectionView, SpeakerView, TelemetryIssuesView
from controller.room import Carrier, Viewer
from depot import commands as cmd
from depot.ports import Clock
from depot.values import InvalidValue, PackKey
from storage import StorageError

log = logging.getLogger(__name__)

QUEUE: Final = 2000
BATCH: Final = 500
PAGE: Final = 100
PAGE_MOST: Final = 500


class Rejections:
    """The room. ``lost``: could not be kept since the start."""

    def __init__(self, guard: Guard, store: RejectionStore, *, clock: Clock) -> None:
        self.lost = 0
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {RejectionsView: self._page, TelemetryIssuesView: self._issues}
        self._guard = guard
        self._store = store
        self._clock = clock
        self._queue: deque[Rejection] = deque()
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._failing = False
        guard.rejections.keep = self.put

    def put(self, rejection: Rejection) -> None:
        """Keep it soon."""
        if len(self._queue) >= QUEUE:
            self.lost += 1
            return
        self._queue.append(rejection)
        self._idle.clear()
        self._some.set()

    async def settled(self) -> None:
        """Returns once all that was put is kept or lost (while :meth:`run` runs)."""
        await self._idle.wait()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._some.wait()
                self._some.clear()
                await self._written()
        finally:
            self._store.close()

    async def _written(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            try:
                await asyncio.to_thread(self._store.put, batch)
            except StorageError as error:
                self.lost += len(batch)
                if not self._failing:
                    log.error("refused telemetry cannot be kept: %s", error)
                self._failing = True
            else:
                if self._failing:
                    log.info("refused telemetry is kept again")
                self._failing = False
        self._idle.set()

    # -- views --------------------------------------------------------------------------------------------------

    async def _page(self, args: Mapping[str, str]) -> RejectionsView:
        try:
            before, most = int(args.get("before") or 0), int(args.get("limit") or PAGE)
        except ValueError:
            raise InvalidValue("before and limit are whole numbers") from None
        wanted: Callable[[], tuple[list[dict[str, Any]], dict[str, int]]] = partial(
            self._store.page,
            vehicle_id=args.get("vehicle", ""),
            reason=args.get("reason", ""),
            before=max(0, before),
            most=max(1, min(most, PAGE_MOST)),
        )
        try:
            rows, kept = await asyncio.to_thread(wanted)
        except StorageError as error:
            raise InvalidValue(f"refused telemetry cannot be read now: {error}") from None
        found = [msgspec.convert({k: v for k, v in row.items() if k != "depot_id"}, RejectionView) for row in rows]
        return RejectionsView(
            at=self._clock.now(),
            rejections=found,
            before=found[-1].number if len(found) == max(1, min(most, PAGE_MOST)) else None,
            counts={reason.value: count for reason, count in self._guard.rejections.counts.items()},
            kept=kept,
            lost=self.lost,
        )

    async def _issues(self, args: Mapping[str, str]) -> TelemetryIssuesView:
        guard, vehicle = self._guard, args.get("vehicle", "")
        now = self._clock.now()
        speakers: dict[PackKey, list[SpeakerView]] = {pack: [] for pack in guard.issues.packs}
        for (pack, source), memory in guard.memories.items():
            speakers.setdefault(pack, []).append(_speaker(source, memory, now))
        return TelemetryIssuesView(
            at=now,
            counts={kind.value: count for kind, count in guard.issues.counts.items()},
            packs=[
                PackIssues(
                    vehicle_id=pack.vehicle_id,
                    pack_id=pack.pack_id,
                    issues=[
                        IssueView(kind=kind.value, count=told.count, first_at=told.first_at, last_at=told.last_at, text=told.text)
                        for kind, told in guard.issues.of(pack).items()
                    ],
                    speakers=speakers[pack],
                )
                for pack in sorted(speakers)
                if not vehicle or pack.vehicle_id == vehicle
            ],
        )


def _speaker(source: Source, memory: Memory, now: datetime) -> SpeakerView:
    clock = memory.clock.other_age or memory.clock
    return SpeakerView(
        source=source.value,
        firmware=memory.firmware or "",
        profile=memory.profile,
        clock_offset_s=clock.offset_s,
        clock_drift_ppm=clock.drift * 1e6,
        clock_stands=clock.stands(now.timestamp(), memory.pace),
        sensors=len(memory.sensors.sensors),
        cells=memory.cells.number,
    )
