"""The connection-point meter of the virtual depot: a Modbus server that wears the face of any meter map, with its faults.

    async with MeterServer(plant.site_power_w, face=MeterFace.read(path), clock=clock, port=1502) as meter:
        meter.faults = MeterFaults(offset=1)      a manual that counts from 1

Without a face it looks like an Eastron SDM630 that tells power, volts and hertz. A register that holds nothing reads 0, or
is refused where ``strict``. For one well-behaved client: pymodbus answers only the first of several pipelined requests.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from depot.ports import Clock
from simulator.meter_face import SDM630, MeterFace
from simulator.site_figures import SiteFigures

_ANY_UNIT = 0
_MARGIN = 4
"""Registers before and behind the face, for who reads next to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterFaults:
    """What can be wrong with a meter or with its map. ``offset``: every value lies so many registers further.
    ``swapped``: words in the other order. ``nan``: these have no number. ``frozen``: nothing changes any more. ``refused``:
    requests that touch these are answered with an exception, ``mute``: with nothing. ``strict``: so are those that touch a
    register without a value. ``turned``: import counts as export."""

    offset: int = 0
    swapped: bool = False
    nan: frozenset[str] = frozenset()
    frozen: bool = False
    refused: frozenset[str] = frozenset()
    mute: frozenset[str] = frozenset()
    strict: bool = False
    turned: bool = False


class MeterServer:
    """``power_w`` is asked at each request; what it returns (also NaN) is served as it is. ``figures``: what else it
    measures; made from ``power_w`` and ``clock`` where it is not given. ``unit_id`` 0: it answers to any. ``rtu``: RTU frames
    over TCP. ``port`` 0: a free one, found in :attr:`port` once it listens."""

    def __init__(
        self,
        power_w: Callable[[], float],
        *,
        face: MeterFace = SDM630,
        figures: Callable[[], dict[str, float]] | None = None,
        clock: Clock | None = None,
        faults: MeterFaults | None = None,
        unit_id: int = _ANY_UNIT,
        rtu: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.face = face
        self.faults = faults or MeterFaults()
        self.figures = figures or SiteFigures(power_w, clock)
        self.requests = 0
        self._unit_id = unit_id
        self._rtu = rtu
        self._host = host
        self._asked_port = port
        self._server: ModbusTcpServer | None = None
        self._frozen: dict[str, float] | None = None
        self._closing = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None or self._server.transport is None:
            raise RuntimeError("the meter server does not listen: use it in `async with`")
        listening = cast(asyncio.Server, self._server.transport)
        return int(listening.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        # pymodbus dumps its traffic when a client leaves in the middle of an answer; that is no error of the meter's
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        first, end = self.face.span
        first = max(0, first - _MARGIN)
        registers = SimData(first, values=[0] * (end + _MARGIN - first), datatype=DataType.REGISTERS, readonly=True)
        device = SimDevice(self._unit_id, simdata=[registers], action=self._refresh)
        framer = FramerType.RTU if self._rtu else FramerType.SOCKET
        server = ModbusTcpServer(device, framer=framer, address=(self._host, self._asked_port))
        try:
            await server.serve_forever(background=True)
        except RuntimeError:
            raise OSError(f"the meter cannot listen on {self._host}:{self._asked_port}; is the port in use?") from None
        self._server = server
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.set()
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves this one bare
            self._server = None

    async def _refresh(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        """Called by pymodbus before it answers: put this moment's values into the block that starts at ``start``."""
        self.requests += 1
        faults, slots = self.faults, self.face.slots
        asked = range(address, address + count)
        touched: set[str] = set()
        known: set[int] = set()
        for name, slot in slots.items():
            own = range(slot.address + faults.offset, slot.address + faults.offset + slot.registers)
            if slot.function == function and own.start < asked.stop and asked.start < own.stop:
                touched.add(name)
                known.update(own)
        if function not in {slot.function for slot in slots.values()}:
            return ExcCodes.ILLEGAL_FUNCTION
        if touched & faults.mute:
            await self._closing.wait()
        if touched & faults.refused or (faults.strict and not known.issuperset(asked)):
            return ExcCodes.ILLEGAL_ADDRESS
        figures = self._told()
        for name in touched:
            slot = slots[name]
            words = slot.encoded(figures.get(name, 0.0))
            begin = slot.address + faults.offset - start
            registers[begin : begin + len(words)] = words[::-1] if faults.swapped else words
        return None

    def _told(self) -> dict[str, float]:
        """The figures as the meter tells them, faults included."""
        faults, figures = self.faults, self.figures()
        if faults.frozen:
            self._frozen = figures = self._frozen or figures
        else:
            self._frozen = None
        if faults.turned:
            flipped = {name: -value for name, value in figures.items() if name.startswith("power") and name != "power_factor"}
            swapped = {"import_energy": figures["export_energy"], "export_energy": figures["import_energy"]}
            figures = figures | flipped | swapped
        return figures | dict.fromkeys(faults.nan, math.nan)
