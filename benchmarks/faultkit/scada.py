"""The utility's side of the limit server, with pymodbus: a master that beats, orders limits, and can fall silent.

async with Scada(port) as scada:
    await scada.order(400_000)            limit the site; returns once the depot has acknowledged
    await scada.timeout(10)               without a heartbeat for so long the fail-safe limit holds
    at = scada.silence()                  no more heartbeats; when the last one was (loop time)
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from grid.limit_model import BLOCK, AckState, LimitState
from grid.registers import decode

BEAT_S = 1.0
PATIENCE_S = 60.0


class Scada:
    """One master on one connection, which it makes anew when it breaks."""

    def __init__(self, port: int) -> None:
        self._client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=3, retries=0)
        self._lock = asyncio.Lock()
        self._beating = asyncio.Event()
        self._beats = 0
        self._seq = 0
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self.last_beat_s = 0.0

    async def __aenter__(self) -> Self:
        self._beating.set()
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over = True  # pymodbus takes a cancellation for a failed connection
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._client.close()

    def silence(self) -> float:
        """Stop beating; loop time of the last heartbeat."""
        self._beating.clear()
        return self.last_beat_s

    def speak(self) -> None:
        self._beating.set()

    async def order(self, limit_w: int) -> AckState:
        """Limit the site until the next order."""
        block = [1, 1, *_u32(limit_w), *_u32(limit_w), *_u32(0), *_u32(0), 0, 1]
        return await self._command("WLimEna", block)

    async def timeout(self, seconds: int) -> AckState:
        """Set the heartbeat time-out."""
        return await self._command("HbTms", [seconds])

    async def state(self) -> LimitState:
        return LimitState(await self._read("LimSt"))

    async def in_force_w(self) -> int:
        return await self._read("WLimEff")

    async def _command(self, first: str, registers: list[int]) -> AckState:
        self._seq = self._seq % 65_535 + 1
        await self._write(first, registers)
        await self._write("CmdSeq", [self._seq])
        async with asyncio.timeout(PATIENCE_S):
            while await self._read("AckSeq") != self._seq:  # noqa: ASYNC110  # a register tells nobody
                await asyncio.sleep(0.1)
        return AckState(await self._read("AckSt"))

    async def _beat(self) -> None:
        while not self._over:
            await self._beating.wait()
            self._beats += 1
            with contextlib.suppress(ModbusException, OSError, TimeoutError):
                await self._write("CtlHb", _u32(self._beats))
                self.last_beat_s = asyncio.get_running_loop().time()
            await asyncio.sleep(BEAT_S)

    async def _write(self, name: str, registers: list[int]) -> None:
        async with self._lock:
            await self._connected()
            answer = await self._client.write_registers(BLOCK.address_of(name), registers, device_id=1)
            if answer.isError():
                raise ModbusException(f"{name}: {answer}")

    async def _read(self, name: str) -> int:
        point = BLOCK.point(name)
        async with self._lock:
            await self._connected()
            answer = await self._client.read_holding_registers(BLOCK.address_of(name), count=point.size, device_id=1)
        if answer.isError():
            raise ModbusException(f"{name}: {answer}")
        value = decode(point, list(answer.registers))
        assert value is not None, f"{name} is not implemented"
        return value

    async def _connected(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not self._over and not self._client.connected and not await self._client.connect():  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.2)


def _u32(value: int) -> list[int]:
    return [value >> 16, value & 0xFFFF]
