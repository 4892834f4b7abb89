"""An RTU that cannot write: a Modbus server that holds the utility's wish, and waits to be asked.

    async with PassiveRtu(clock=clock) as rtu:
        rtu.order(LimitOrder(200_000, validity_s=900))     lies in its registers under a new CmdSeq
        rtu.silence(); rtu.speak()                         its heartbeat stands still, and goes on
        rtu.garble(40_190, [0xFFFF, 0x0000])               what a broken device shows
        rtu.feedback                                       what the depot wrote into its feedback points

Knows the register map by its manual, not by the depot's code. The heartbeat counts seconds of ``clock``.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Final, Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from depot.ports import Clock
from simulator.rtu import CMD_SEQ, COMMAND, CTL_HB, FAILSAFE, FEEDBACK, LimitOrder

FIRST: Final = 40_177
"""Model 715; 64900 follows at 40186."""

END: Final = 40_252
_ALL_ONES: Final = 0xFFFF_FFFF
_WRITES: Final = (6, 16, 23)


class PassiveRtu:
    """``takes_feedback``: its feedback points may be written, nothing else. ``port`` 0: a free one. ``polls``: requests."""

    def __init__(self, *, clock: Clock, takes_feedback: bool = True, host: str = "127.0.0.1", port: int = 0) -> None:
        self.polls = 0
        self.writes = 0
        self._clock = clock
        self._takes_feedback = takes_feedback
        self._host = host
        self._asked_port = port
        self._server: ModbusTcpServer | None = None
        self._registers = [0] * (END - FIRST)
        self._began_s = clock.monotonic()
        self._stands_at: int | None = None
        self._seq = 0
        self._set(FIRST, [715, 7])
        self._set(40_186, [64_900, 64])
        self._set(FAILSAFE, [0xFFFF] * 5)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None or self._server.transport is None:
            raise RuntimeError("the RTU does not listen: use it in `async with`")
        return int(cast(asyncio.Server, self._server.transport).sockets[0].getsockname()[1])

    @property
    def registers(self) -> list[int]:
        """All that it holds, from :data:`FIRST` on."""
        return list(self._registers)

    @property
    def feedback(self) -> list[int]:
        """Its registers from AckSeq on."""
        return self._registers[FEEDBACK - FIRST :]

    @property
    def ack_seq(self) -> int:
        """AckSeq, as the depot wrote it."""
        return self._registers[FEEDBACK - FIRST]

    async def __aenter__(self) -> Self:
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        block = SimData(FIRST, values=list(self._registers), datatype=DataType.REGISTERS)
        self._server = ModbusTcpServer(SimDevice(0, simdata=[block], action=self._asked), address=(self._host, self._asked_port))
        try:
            await self._server.serve_forever(background=True)
        except RuntimeError:
            raise OSError(f"the RTU cannot listen on {self._host}:{self._asked_port}; is the port in use?") from None
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves this one bare
            self._server = None

    # -- what the control room does ------------------------------------------------------------------------------------

    def order(self, order: LimitOrder) -> int:
        """Its wish from now on; the CmdSeq."""
        self._seq = self._seq % 0xFFFE + 1
        reversion_w = _ALL_ONES if order.reversion_w is None else order.reversion_w
        words = [int(order.limit_w is not None), 1, *_u32(order.limit_w or 0), *_u32(reversion_w), *_u32(order.validity_s)]
        self._set(COMMAND, [*words, *_u32(order.delay_s), order.ramp_s, order.reason])
        self._set(CTL_HB + 2, _u32(order.event_id))
        self._set(CMD_SEQ, [self._seq])
        return self._seq

    def silence(self) -> None:
        """Its heartbeat stands still; it answers all the same."""
        self._stands_at = self._beat()

    def speak(self) -> None:
        """Its heartbeat goes on."""
        self._stands_at = None

    def garble(self, address: int, words: list[int]) -> None:
        """Something else lies in its registers."""
        self._set(address, words)

    # -- the wire ------------------------------------------------------------------------------------------------------

    async def _asked(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        """Called by pymodbus before it answers."""
        if function in _WRITES:
            if not self._takes_feedback or address < FEEDBACK:
                return ExcCodes.ILLEGAL_ADDRESS
            self.writes += 1
            self._set(address, [int(word) for word in values or []])
            return None
        self.polls += 1
        self._set(CTL_HB, _u32(self._beat()))
        registers[FIRST - start : END - start] = self._registers
        return None

    def _beat(self) -> int:
        if self._stands_at is not None:
            return self._stands_at
        return int((self._clock.monotonic() - self._began_s) * 10) & 0x7FFF_FFFF

    def _set(self, address: int, words: list[int]) -> None:
        self._registers[address - FIRST : address - FIRST + len(words)] = words


def _u32(value: int) -> list[int]:
    return [value >> 16 & 0xFFFF, value & 0xFFFF]
