"""The utility's RTU: a Modbus master that keeps a heartbeat, orders limits, and fails as RTUs do.

    async with Rtu(port=5020, clock=clock) as rtu:
        ack = await rtu.order(LimitOrder(limit_w=200_000, validity_s=900))     until the depot says what became of it
        await rtu.follow([(14_400.0, LimitOrder(180_000)), …])                 a timetable: evening curtailment
        rtu.silence(); rtu.speak()                                             no heartbeat, no word, and back again
        await rtu.restart()                                                    forgets its CmdSeq: counts from 1 again

Knows the register map of the depot's block 64900 by its manual, not by the depot's code. An order is the RTU's standing
wish: a depot that lost it, or is in INIT or FAILSAFE while the RTU speaks, is told it again under a new number. Beats and timetable
run on the injected clock; waiting for an answer is real time, as a socket's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from depot.ports import Clock

COMMAND: Final = 40_188
"""First register of the command block: WLimEna … EvtId, then CmdSeq at :data:`CMD_SEQ`."""

CTL_HB: Final = 40_200
CMD_SEQ: Final = 40_204
FAILSAFE: Final = 40_206
FEEDBACK: Final = 40_212
FEEDBACK_COUNT: Final = 38

ACCEPTED, CLAMPED = 1, 2
INIT, UNLIMITED, LIMITED, IN_FAILSAFE = 0, 1, 2, 3

_NOT_GIVEN: Final = 0xFFFF_FFFF
_ANSWER_S: Final = 3.0
_RETRY_S: Final = 0.5
_CARRIED_OUT_S: Final = 20.0
"""An order that was written is given again when the depot shows nothing of it for so long."""

_LAST_SEQ: Final = 0xFFFE


class RtuFailed(Exception):
    """The depot refused a request, or did not say in time what became of an order."""


@dataclass(frozen=True, slots=True)
class LimitOrder:
    """What the control room wants. ``limit_w`` None: no limit but the contract. ``validity_s`` 0: until replaced;
    ``reversion_w`` None: the fail-safe limit holds after it."""

    limit_w: int | None
    validity_s: int = 0
    reversion_w: int | None = None
    delay_s: int = 0
    ramp_s: int = 0
    reason: int = 1
    event_id: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What the depot says; None: not known to it."""

    ack_seq: int
    ack_state: int
    ack_event: int
    state: int
    source: int
    limit_w: int
    import_w: int | None
    charging_w: int | None
    demand_w: int | None
    predicted_va: int | None
    demand_left_s: int | None
    compliance: int


class Rtu:
    """``beat_s``: seconds of ``clock`` between heartbeats. ``commands``, ``beats``, ``failures``: what it did and met;
    ``last_beat_s``: when its newest heartbeat was answered, on the event loop's time. ``insists`` False: it beats, and gives
    its standing order to nobody who has lost it."""

    def __init__(self, *, port: int, clock: Clock, host: str = "127.0.0.1", unit: int = 1, beat_s: float = 1.0) -> None:
        self.beats = 0
        self.commands = 0
        self.failures = 0
        self.last_beat_s = -math.inf
        self.insists = True
        self.report: Report | None = None
        self._host, self._port, self._unit = host, port, unit
        self._clock = clock
        self._beat_s = beat_s
        self._client: AsyncModbusTcpClient | None = None
        self._talking = asyncio.Lock()
        self._wanted: LimitOrder | None = None
        self._seq = 0
        self._beat = 0
        self._told_at = -math.inf
        self._speaks = True
        self._task: asyncio.Task[None] | None = None
        # pymodbus tells of every connection that ends; here they end on purpose
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beating(), name="rtu")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._hang_up()

    @property
    def seq(self) -> int:
        """CmdSeq of its newest order; 0 before the first."""
        return self._seq

    # -- what the control room does --------------------------------------------------------------------------------

    async def order(self, order: LimitOrder, *, patience_s: float = 30.0, at_once: bool = True) -> Report:
        """Order a limit; returns the depot's word on it. ``at_once``: the whole block in one write; else its points are
        staged first, and CmdSeq follows by itself. Raises :class:`RtuFailed`."""
        self._wanted = order
        seq = await self.write(order, at_once=at_once)
        return await self.acknowledged(seq, patience_s=patience_s)

    async def write(self, order: LimitOrder, *, at_once: bool = True) -> int:
        """Only write it; its CmdSeq. Raises :class:`RtuFailed` where the depot refuses or is not there."""
        self._seq = self._seq % _LAST_SEQ + 1
        self._beat += 1
        self._told_at = math.inf  # it is being told
        self.commands += 1
        reversion_w = _NOT_GIVEN if order.reversion_w is None else order.reversion_w
        words = [
            int(order.limit_w is not None), 1, *_u32(order.limit_w or 0), *_u32(reversion_w), *_u32(order.validity_s),
            *_u32(order.delay_s), order.ramp_s, order.reason, *_u32(self._beat), *_u32(order.event_id),
        ]  # fmt: skip
        try:
            if at_once:
                await self._put(COMMAND, [*words, self._seq])
            else:
                await self._put(COMMAND, words)
                await self._put(CMD_SEQ, [self._seq])
        except (OSError, ModbusException, TimeoutError) as error:
            self._told_at = -math.inf
            raise RtuFailed(f"the depot can't be told of order {self._seq}: {error}") from error
        except RtuFailed:
            self._told_at = asyncio.get_running_loop().time()
            raise
        self._told_at = asyncio.get_running_loop().time()
        return self._seq

    async def acknowledged(self, seq: int, *, patience_s: float = 30.0, every_s: float = 0.05) -> Report:
        """Wait until AckSeq shows ``seq``; what the depot reports in that very answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while True:
                    with contextlib.suppress(OSError, ModbusException):
                        report = await self.read()
                        if report.ack_seq == seq:
                            return report
                    await asyncio.sleep(every_s)
        raise RtuFailed(f"order {seq} was not acknowledged within {patience_s:g} s")

    async def set_failsafe(self, *, limit_w: int | None = None, min_s: int | None = None, timeout_s: int | None = None) -> Report:
        """Set fail-safe values, of which None stays as it is; as an order of its own."""
        self._seq = self._seq % _LAST_SEQ + 1
        words = [*_u32(limit_w), *_u32(min_s), 0xFFFF if timeout_s is None else timeout_s]
        try:
            await self._put(FAILSAFE, words)
            await self._put(CMD_SEQ, [self._seq])
        except (OSError, ModbusException, TimeoutError) as error:
            raise RtuFailed(f"the depot can't be told of fail-safe values: {error}") from error
        return await self.acknowledged(self._seq)

    async def follow(self, timetable: Sequence[tuple[float, LimitOrder]]) -> None:
        """Give orders at their times (seconds of the clock from now); returns after the last. An order that the depot
        does not take is given again with the next heartbeat."""
        began = self._clock.monotonic()
        for at_s, order in sorted(timetable, key=lambda row: row[0]):
            await self._clock.sleep(max(0.0, began + at_s - self._clock.monotonic()))
            self._wanted = order
            if self._speaks:
                with contextlib.suppress(RtuFailed):
                    await self.order(order)

    def silence(self) -> None:
        """From now on it says nothing: no heartbeat, no order; its connection hangs as it is."""
        self._speaks = False

    def speak(self) -> None:
        """It is back, with the next heartbeat."""
        self._speaks = True

    async def restart(self) -> None:
        """Lose the connection, the heartbeat's count and CmdSeq: it begins with 1 again, as a device after a reset. The
        standing order is given again."""
        async with self._talking:
            self._hang_up()
            self._told_at = math.inf if self._wanted is not None else -math.inf
            self._seq = 0
            self._beat = 0
        self._speaks = True
        if self._wanted is not None:
            with contextlib.suppress(RtuFailed):
                await self.write(self._wanted)

    async def read(self) -> Report:
        """The depot's feedback. Raises OSError, TimeoutError or ModbusException."""
        words = await self._get(FEEDBACK, FEEDBACK_COUNT)

        def u32(offset: int) -> int | None:
            value = words[offset - 26] << 16 | words[offset - 25]
            return None if value == _NOT_GIVEN else value

        signed = struct.unpack(">i", struct.pack(">HH", words[10], words[11]))[0]
        left_s = words[24]
        self.report = Report(
            ack_seq=words[0],
            ack_state=words[1],
            ack_event=u32(28) or 0,
            state=words[4],
            source=words[5],
            limit_w=u32(32) or 0,
            import_w=None if signed == -(2**31) else signed,
            charging_w=u32(42),
            demand_w=u32(46),
            predicted_va=u32(48),
            demand_left_s=None if left_s == 0xFFFF else left_s,
            compliance=words[25],
        )
        return self.report

    # -- its own life ----------------------------------------------------------------------------------------------

    async def _beating(self) -> None:
        while True:
            if self._speaks:
                try:
                    await self._one_beat()
                except (OSError, ModbusException, TimeoutError, RtuFailed):
                    self.failures += 1
                    await asyncio.sleep(_RETRY_S)
            await self._clock.sleep(self._beat_s)

    async def _one_beat(self) -> None:
        self._beat = self._beat % _NOT_GIVEN + 1
        await self._put(CTL_HB, _u32(self._beat))
        self.beats += 1
        self.last_beat_s = asyncio.get_running_loop().time()
        report = await self.read()
        unknown = report.ack_seq != self._seq
        waits = unknown and asyncio.get_running_loop().time() < self._told_at + _CARRIED_OUT_S
        if self.insists and self._wanted is not None and not waits and (unknown or report.state in (INIT, IN_FAILSAFE)):
            await self.write(self._wanted)

    # -- the wire --------------------------------------------------------------------------------------------------

    async def _put(self, address: int, words: list[int]) -> None:
        async with self._talking, self._connected() as client:
            answer = await client.write_registers(address, words, device_id=self._unit)
            if answer.isError():
                raise RtuFailed(f"the depot refused a write to {address}: {answer}")

    async def _get(self, address: int, count: int) -> list[int]:
        async with self._talking, self._connected() as client:
            answer = await client.read_holding_registers(address, count=count, device_id=self._unit)
            if answer.isError():
                raise RtuFailed(f"the depot refused to show {address}: {answer}")
            return list(answer.registers)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncModbusTcpClient]:
        client = self._client
        if client is None or not client.connected:
            self._hang_up()
            client = AsyncModbusTcpClient(self._host, port=self._port, timeout=_ANSWER_S, retries=0, reconnect_delay=0)
            if not await client.connect():
                client.close()
                raise ConnectionRefusedError(f"nobody listens on {self._host}:{self._port}")
            self._client = client
        try:
            yield client
        except (OSError, ModbusException, TimeoutError):
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _u32(value: int | None) -> list[int]:
    number = _NOT_GIVEN if value is None else value
    return [number >> 16 & 0xFFFF, number & 0xFFFF]
