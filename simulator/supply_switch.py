"""The transfer switch of a site with a standby generator: a contact over Modbus TCP, and what the plant feels of it.

    async with SupplySwitch(world, rating_w=120_000, port=1503) as switch:
        switch.to_generator()      the contact closes, and from now on the plant is judged by the generator's rating
        switch.to_grid()           the contact opens, and the day's own limit holds again
        switch.broken = True       the contact no longer answers

Discrete input 0 is the contact, as transfer switches wire their auxiliary contact to a small I/O module.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Protocol, Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

_ANY_UNIT = 0


class Limited(Protocol):
    """What has a site limit: the plant."""

    limits_w: dict[str, int]

    def set_limit(self, scope: str, w: int) -> None: ...


class SupplySwitch:
    """``plant`` None: only the contact. ``port`` 0: a free one, found in :attr:`port` once it listens."""

    def __init__(self, plant: Limited | None, *, rating_w: int, host: str = "127.0.0.1", port: int = 0) -> None:
        self.on_generator = False
        self.broken = False
        self._plant = plant
        self._rating_w = rating_w
        self._host, self._asked_port = host, port
        self._grid_w: int | None = None
        self._server: ModbusTcpServer | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None or self._server.transport is None:
            raise RuntimeError("the switch does not listen: use it in `async with`")
        return int(cast(asyncio.Server, self._server.transport).sockets[0].getsockname()[1])

    def to_generator(self) -> None:
        """The grid is gone, the generator carries the site."""
        self.on_generator = True
        if self._plant is not None and self._grid_w is None:
            self._grid_w = self._plant.limits_w.get("site", self._rating_w)
            self._plant.set_limit("site", min(self._grid_w, self._rating_w))

    def to_grid(self) -> None:
        """The grid is back."""
        self.on_generator = False
        if self._plant is not None and self._grid_w is not None:
            self._plant.set_limit("site", self._grid_w)
            self._grid_w = None

    async def __aenter__(self) -> Self:
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        bits = [SimData(0, values=[False] * 8, datatype=DataType.BITS)]
        words = [SimData(0, values=[0], datatype=DataType.REGISTERS)]
        server = ModbusTcpServer(
            SimDevice(_ANY_UNIT, simdata=(bits, bits, words, words), action=self._refresh), address=(self._host, self._asked_port)
        )
        try:
            await server.serve_forever(background=True)
        except RuntimeError:
            raise OSError(f"the transfer switch cannot listen on {self._host}:{self._asked_port}; is the port in use?") from None
        self._server = server
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves this one bare
            self._server = None

    async def _refresh(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        """Called by pymodbus before it answers: the contact of this moment."""
        if self.broken:
            return ExcCodes.DEVICE_FAILURE
        registers[0] = int(self.on_generator)
        return None
