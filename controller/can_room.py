"""The room of CAN buses: vehicles' own buses and charging lines, in the core, so that safety hears them while the broker is down.

    bus --CanLink, a batch of frames--> each line on it --PackSample, at most one a batch--> Safety (the guard, at once)

A batch is what came since the loop last looked: its frames are gathered first and told once, so that a flood costs a bounded share of
the loop, and an alarm that comes and goes within it is told all the same. On a charging line the pack is the one of the vehicle that is
plugged in; where nobody knows who that is, nothing is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from msgspec import Struct

from bms_bridge.can.bind import Binding
from bms_bridge.can.frame import CanFrame
from bms_bridge.can.gather import Gatherer
from bms_bridge.can.link import BusSettings, BusState, CanLink
from bms_bridge.contract import PackSample
from bms_bridge.gbt_session import GbtListener
from controller.alarms import Condition
from controller.room import Carrier, Viewer
from depot.commands import Command
from depot.ports import Clock
from depot.values import ConnectorId, PackKey

TROUBLE: Final = frozenset({BusState.LOST, BusState.OFF, BusState.PASSIVE})
"""Silence is none: a vehicle that has left, or a line between two sessions, says nothing. Who must speak is the guard's question."""

LOOK_S: Final = 1.0


OnFrames = Callable[[PackKey, Sequence[CanFrame], float, datetime], None]
"""(pack, its frames of one look, seconds of the clock that never jumps, time). As quick as a queue."""


class Line(Protocol):
    """Who makes samples of a bus's frames."""

    @property
    def wanted(self) -> tuple[tuple[int, bool], ...]:
        """Identifiers that it reads; empty: it must see all."""

    def hear(self, frame: CanFrame) -> None: ...
    def told(self, now_s: float, now: datetime) -> PackSample | None:
        """The sample that should be handed on now, if any."""

    def look(self, now_s: float) -> None: ...


@dataclass(slots=True)
class PackLine:
    """A pack on its vehicle's own bus."""

    pack: PackKey
    gatherer: Gatherer

    @classmethod
    def of(cls, pack: PackKey, binding: Binding) -> PackLine:
        return cls(pack, Gatherer(binding))

    @property
    def wanted(self) -> tuple[tuple[int, bool], ...]:
        binding = self.gatherer.binding
        return () if binding.map.j1939 else binding.frame_ids

    def hear(self, frame: CanFrame) -> None:
        self.gatherer.hear(frame, frame.at_s)

    def told(self, now_s: float, now: datetime) -> PackSample | None:
        return self.gatherer.take(self.pack, now_s, received_at=now) if self.gatherer.due(now_s) else None

    def look(self, now_s: float) -> None:
        """Nothing to do: what is not heard any more is left out of the next sample."""


@dataclass(slots=True)
class ChargingLine:
    """The line between a charger and whoever is plugged in. ``pack_of``: the pack there; None: nobody known."""

    connector: ConnectorId
    listener: GbtListener
    pack_of: Callable[[ConnectorId], PackKey | None]
    wanted: tuple[tuple[int, bool], ...] = ()

    def hear(self, frame: CanFrame) -> None:
        self.listener.hear(frame)

    def told(self, now_s: float, now: datetime) -> PackSample | None:
        if not self.listener.due(now_s):
            return None
        pack = self.pack_of(self.connector)
        return None if pack is None else self.listener.take(pack, now_s, received_at=now)

    def look(self, now_s: float) -> None:
        self.listener.look(now_s)


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus and who listens on it."""

    settings: BusSettings
    lines: tuple[Line, ...]


class CanRoom:
    """One per depot that has such buses. ``hear``: the door of safety; what follows from a sample has happened when it returns.
    ``on_frames``: who keeps what packs' own buses said, frames that their maps read."""

    kinds: frozenset[str] = frozenset({"can_bus_failed"})

    def __init__(
        self, buses: Sequence[Bus], *, clock: Clock, hear: Callable[[PackSample], object], on_frames: Sequence[OnFrames] = ()
    ) -> None:
        self.commands: Mapping[type[Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {}
        self.samples = 0
        self.links = [self._link(bus, clock) for bus in buses]
        self._buses = tuple(buses)
        self._clock = clock
        self._hear = hear
        self._on_frames = on_frames
        self._read = {
            line.pack: frozenset(line.wanted) for bus in buses for line in bus.lines if isinstance(line, PackLine) and line.wanted
        }

    async def run(self) -> None:
        """Listen to all buses, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for link in self.links:
                tasks.create_task(link.run(), name=f"CAN {link.settings}")
            while True:
                await self._clock.sleep(LOOK_S)
                for bus in self._buses:
                    for line in bus.lines:
                        line.look(self._clock.monotonic())

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """Buses that cannot be opened, or whose controller sees nothing but errors."""
        return [
            Condition("can_bus_failed", str(link.settings), f"The CAN bus {link.settings} is {link.state}: {link.reason}.")
            for link in self.links
            if link.state in TROUBLE
        ]

    def _link(self, bus: Bus, clock: Clock) -> CanLink:
        wanted: list[Any] = [] if any(not line.wanted for line in bus.lines) else [one for line in bus.lines for one in line.wanted]
        return CanLink(bus.settings, clock=clock, on_frames=lambda frames: self._came(bus, frames), on_state=_nothing, wanted=wanted)

    def _came(self, bus: Bus, frames: Sequence[CanFrame]) -> None:
        for line in bus.lines:
            for frame in frames:
                line.hear(frame)
        now_s, now = self._clock.monotonic(), self._clock.now()
        for line in bus.lines:
            sample = line.told(now_s, now)
            if sample is not None:
                self.samples += 1
                self._hear(sample)
        for line in bus.lines if self._on_frames else ():
            if isinstance(line, PackLine) and (ids := self._read.get(line.pack)):
                read = [frame for frame in frames if (frame.can_id, frame.extended) in ids]
                for keep in self._on_frames if read else ():
                    keep(line.pack, read, now_s, now)


def _nothing(state: BusState, reason: str) -> None:
    """The link keeps its state itself; conditions ask it."""
