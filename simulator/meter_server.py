"""The connection-point meter of the virtual depot: a Modbus TCP server that looks like an Eastron SDM630.

Serves the plant's site power as float32 in input register 0x34, and volts and hertz beside it as a probe would look
for them. For loopback and one well-behaved client: pymodbus answers only the first of several pipelined requests.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

POWER_REGISTER = 0x34
_SIZE = 0x58
_VOLTS = {0x00: 230.0, 0x02: 230.0, 0x04: 230.0}
_HERTZ = {0x46: 50.0}
_ANY_UNIT = 0


class MeterServer:
    """``async with MeterServer(plant.site_power, port=1502) as server: …``. ``power_w`` is asked at each request; what
    it returns (also NaN) is served as it is. ``port`` 0: a free one, found in :attr:`port` once it listens."""

    def __init__(self, power_w: Callable[[], float], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._power_w = power_w
        self._host = host
        self._asked_port = port
        self._server: ModbusTcpServer | None = None
        self.requests = 0

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
        registers = [0] * _SIZE
        for address, value in {**_VOLTS, **_HERTZ}.items():
            registers[address : address + 2] = _float32(value)
        device = SimDevice(
            _ANY_UNIT, simdata=[SimData(0, values=registers, datatype=DataType.REGISTERS, readonly=True)], action=self._refresh
        )
        server = ModbusTcpServer(device, address=(self._host, self._asked_port))
        try:
            await server.serve_forever(background=True)
        except RuntimeError:
            raise OSError(f"the meter cannot listen on {self._host}:{self._asked_port}; is the port in use?") from None
        self._server = server
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves this one bare
            self._server = None

    async def _refresh(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        """Called by pymodbus before it answers: put the power of this moment into the block that starts at ``start``."""
        self.requests += 1
        offset = POWER_REGISTER - start
        registers[offset : offset + 2] = _float32(self._power_w())
        return None


def _float32(value: float) -> list[int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return [high, low]
