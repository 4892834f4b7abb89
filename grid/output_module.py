"""One I/O module over Modbus TCP: coils or registers that are written, inputs that are read back, a watchdog that is kept alive.

    every period:  read-backs --> .sights --> on_read()       first, so that whoever decides has seen what stands
                   orders ------> coils, each time anew       a module that was restarted gets them again
                   watchdog register, counted up              only while alive() says that the safety path lives
    poke(): orders that changed go out now, not at the next period

While ``alive()`` says no, nothing at all is sent: a module that drops its coils when nobody speaks to it does so as well. An
output that refuses its request is told of by itself; the others go on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from grid import GridError
from grid.modbus_link import LinkError, ModbusLink, Peer, Refused, Table

__all__ = ["Input", "OutputModule", "OutputModuleError", "Point", "Sight", "Watchdog"]

LONGEST_PAUSE_S: Final = 1.0
"""Between two attempts to reach a module: it may be the one that must open a contactor."""

_BITS = (Table.COIL, Table.DISCRETE)


class OutputModuleError(GridError):
    """Settings that cannot be right (drawn in :mod:`grid`)."""


@dataclass(frozen=True, slots=True)
class Input:
    """Where a read-back is. ``on_is_emergency``: what a closed contact, or a register that is not 0, says."""

    table: Table
    address: int
    on_is_emergency: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One output of the module. ``coil``: a coil (function 05), else a holding register (function 16) that takes ``on_value`` or
    ``off_value``. ``on_is_emergency``: what its coil being on means; the dropped-out coil means the other."""

    output_id: str
    address: int
    coil: bool = True
    on_value: int = 1
    off_value: int = 0
    on_is_emergency: bool = False
    read_back: Input | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.address <= 65_535 or (self.read_back is not None and not 0 <= self.read_back.address <= 65_535):
            raise OutputModuleError(f"output {self.output_id}: an address lies between 0 and 65535")
        if not (0 <= self.on_value <= 65_535 and 0 <= self.off_value <= 65_535) or self.on_value == self.off_value:
            raise OutputModuleError(f"output {self.output_id}: on and off are two different values from 0 to 65535")


@dataclass(frozen=True, slots=True)
class Watchdog:
    """A holding register that must be written every so often, else the module drops all its coils out. It is counted up."""

    address: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of an output, in seconds of the clock that the module was given. ``reads``: its read-back says the emergency
    state; None: never read. ``refused``: what the module has against its requests."""

    reads: bool | None = None
    read_s: float = -math.inf
    written_s: float = -math.inf
    refused: str = ""


class OutputModule:
    """Its owner runs :meth:`run` as a task; cancelling ends it, and nothing is written then: the module keeps its coils, or drops
    them by its watchdog. ``order(output_id)``: whether it shall be in its emergency state; None: leave it as it is.
    ``now``: monotonic seconds. Raises :class:`OutputModuleError` for points that share a coil."""

    def __init__(
        self,
        peer: Peer,
        points: Sequence[Point],
        *,
        order: Callable[[str], bool | None],
        now: Callable[[], float],
        watchdog: Watchdog | None = None,
        alive: Callable[[], bool] = lambda: True,
        on_read: Callable[[], None] = lambda: None,
        period_s: float = 0.5,
    ) -> None:
        taken = [(point.coil, point.address) for point in points] + ([(False, watchdog.address)] if watchdog is not None else [])
        if len(set(taken)) != len(taken):
            raise OutputModuleError(f"{peer}: two outputs are written to the same place")
        self.sights = {point.output_id: Sight() for point in points}
        self.kicks = 0
        self.link = ModbusLink(peer, label=f"outputs at {peer}", longest_pause_s=LONGEST_PAUSE_S)
        self._points = tuple(points)
        self._order, self._now, self._watchdog, self._alive, self._on_read = order, now, watchdog, alive, on_read
        self._period_s = period_s
        self._sent: dict[str, bool] = {}
        self._poked = asyncio.Event()
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.keep(self._poll, period_s=self._period_s, opened=self._opened), name="outputs polled")
            tasks.create_task(self._at_once(), name="outputs poked")

    def poke(self) -> None:
        """An order may have changed."""
        self._poked.set()

    async def _opened(self) -> None:
        self._sent.clear()

    async def _poll(self) -> None:
        if not self._alive():
            return
        async with self._turn:
            for point in self._points:
                await self._read(point)
            self._on_read()
            for point in self._points:
                await self._write(point)
            if self._watchdog is not None:
                self.kicks = self.kicks % 32_767 + 1
                await self.link.write(self._watchdog.address, [self.kicks])

    async def _at_once(self) -> None:
        while True:
            await self._poked.wait()
            self._poked.clear()
            if not self.link.connected or not self._alive():
                continue  # the next connection writes everything
            try:
                async with self._turn:
                    for point in self._points:
                        if self._order(point.output_id) is not self._sent.get(point.output_id):
                            await self._write(point)
            except LinkError:
                continue  # the poll meets the same, and tells of it

    async def _read(self, point: Point) -> None:
        known = replace(self.sights[point.output_id], refused="")
        where, began_s = point.read_back, self._now()
        if where is not None:
            try:
                if where.table in _BITS:
                    value = int((await self.link.read_bits(where.table, where.address))[0])
                else:
                    value = (await self.link.read(where.table, where.address, 1))[0]
                known = replace(known, reads=bool(value) is where.on_is_emergency, read_s=began_s)
            except Refused as refused:
                known = replace(known, refused=f"its read-back: {refused}")
        self.sights[point.output_id] = known

    async def _write(self, point: Point) -> None:
        order = self._order(point.output_id)
        if order is None:
            return
        on = order is point.on_is_emergency
        try:
            if point.coil:
                await self.link.write_coil(point.address, on=on)
            else:
                await self.link.write(point.address, [point.on_value if on else point.off_value])
        except Refused as refused:
            self.sights[point.output_id] = replace(self.sights[point.output_id], refused=str(refused))
            return
        self._sent[point.output_id] = order
        self.sights[point.output_id] = replace(self.sights[point.output_id], written_s=self._now())
