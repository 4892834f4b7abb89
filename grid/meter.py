"""The meter at the connection point, polled over Modbus TCP.

Reads one register value, the total active power, about once a second. A value that cannot be (not a number, beyond
``max_w``, a wrong length) is counted and dropped: the reading before it stays, and its age shows. When the meter does
not answer, the link is closed and tried again with growing, jittered pauses; each loss and each return is logged once.

The defaults fit an Eastron SDM630 (float32, input register 0x34, W); for others give address, type, word order, scale.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from depot.ports import Clock
from depot.readings import SiteReading
from grid import GridError

__all__ = ["Function", "MeterError", "MeterSettings", "ModbusSiteMeter", "RegisterType", "WordOrder"]

log = logging.getLogger(__name__)

SHORTEST_PERIOD_S = 0.02
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0


class MeterError(GridError):
    """A setting or a reading that cannot be used (drawn in :mod:`grid`)."""


class Function(StrEnum):
    """Which of the meter's tables: ``input`` (function code 04) or ``holding`` (03)."""

    INPUT = "input"
    HOLDING = "holding"


class RegisterType(StrEnum):
    """How the value lies in its one or two registers."""

    FLOAT32 = "float32"
    INT32 = "int32"
    UINT32 = "uint32"
    INT16 = "int16"
    UINT16 = "uint16"


class WordOrder(StrEnum):
    """Which of two registers is the high one: the first (``big``) or the second (``little``)."""

    BIG = "big"
    LITTLE = "little"


_DATATYPE: Final = {
    RegisterType.FLOAT32: AsyncModbusTcpClient.DATATYPE.FLOAT32,
    RegisterType.INT32: AsyncModbusTcpClient.DATATYPE.INT32,
    RegisterType.UINT32: AsyncModbusTcpClient.DATATYPE.UINT32,
    RegisterType.INT16: AsyncModbusTcpClient.DATATYPE.INT16,
    RegisterType.UINT16: AsyncModbusTcpClient.DATATYPE.UINT16,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSettings:
    """Where the total active power is. ``address`` counts from 0 (as on the wire; manuals often count from 1 or 30001).
    ``scale``: W per unit of the register (1000 for kW; negative where the meter counts import as negative). ``max_w``:
    beyond it, either way, a reading is impossible. Times are seconds."""

    host: str
    port: int = 502
    unit_id: int = 1
    function: Function = Function.INPUT
    address: int = 0x34
    type: RegisterType = RegisterType.FLOAT32
    word_order: WordOrder = WordOrder.BIG
    scale: float = 1.0
    max_w: int = 50_000_000
    period_s: float = 1.0
    timeout_s: float = 1.0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("port", self.port, 1, 65_535),
            ("unit_id", self.unit_id, 0, 255),
            ("address", self.address, 0, 65_534),
            ("period_s", self.period_s, SHORTEST_PERIOD_S, 60),
            ("timeout_s", self.timeout_s, 0.01, 60),
            ("max_w", self.max_w, 1, 10**10),
        ):
            if not least <= value <= most:
                raise MeterError(f"meter {name} is {value}; it must lie between {least} and {most}")
        if not math.isfinite(self.scale) or self.scale == 0:
            raise MeterError(f"meter scale is {self.scale}; give the watts per unit of the register, for example 1000 for kW")

    @property
    def registers(self) -> int:
        """How many registers the value takes."""
        return 1 if self.type in (RegisterType.INT16, RegisterType.UINT16) else 2

    def decode(self, registers: Sequence[int]) -> int:
        """Watts from the registers as read; raises :class:`MeterError` for what cannot be."""
        if len(registers) != self.registers:
            raise MeterError(f"{len(registers)} registers came, {self.registers} were asked for")
        raw = AsyncModbusTcpClient.convert_from_registers(list(registers), _DATATYPE[self.type], word_order=self.word_order.value)
        if not isinstance(raw, int | float) or not math.isfinite(raw):
            raise MeterError(f"{raw} is not a power")
        power_w = raw * self.scale
        if abs(power_w) > self.max_w:
            raise MeterError(f"{power_w:.0f} W is beyond ±{self.max_w} W")
        return round(power_w)


class ModbusSiteMeter:
    """A :class:`depot.ports.SiteMeter`. Its owner runs :meth:`run` as a task; cancelling ends it and closes the link.

    ``speed``: of a scaled clock: polls come ``speed`` times as often, so that their age in depot time stays the same
    (but at most 50 a second). ``rejected`` counts impossible values, ``failures`` polls or connections that failed.
    """

    def __init__(self, settings: MeterSettings, *, clock: Clock, speed: float = 1.0, rng: random.Random | None = None) -> None:
        self.settings = settings
        self.rejected = 0
        self.failures = 0
        self.connected = False
        self._clock = clock
        self._period_s = max(SHORTEST_PERIOD_S, settings.period_s / speed)
        self._rng = rng or random.Random()  # noqa: S311  # jitter, not a secret
        self._reading: SiteReading | None = None
        self._announced: bool | None = None
        self._rejecting = False

    @property
    def reading(self) -> SiteReading | None:
        """The newest good reading, or None before the first. Its age says whether it is stale."""
        return self._reading

    @property
    def name(self) -> str:
        """The meter as people find it in the log."""
        return f"{self.settings.host}:{self.settings.port} unit {self.settings.unit_id}"

    async def run(self) -> None:
        """Poll until cancelled."""
        # pymodbus reports every failed attempt; this module reports each loss and each return, once
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        attempt = 0
        while True:
            client = AsyncModbusTcpClient(
                self.settings.host, port=self.settings.port, timeout=self.settings.timeout_s, retries=0, reconnect_delay=0
            )
            polls = 0
            try:
                if not await client.connect():
                    raise MeterError("no connection")
                while True:
                    began = asyncio.get_running_loop().time()
                    await self._poll(client)
                    polls += 1
                    self._tell(connected=True)
                    await asyncio.sleep(max(0.0, began + self._period_s - asyncio.get_running_loop().time()))
            except (MeterError, ModbusException, OSError, TimeoutError) as error:
                self.failures += 1
                self._tell(connected=False, reason=str(error))
            finally:
                self.connected = False
                client.close()
            attempt = 1 if polls else attempt + 1
            longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempt, 10))
            await asyncio.sleep(longest * self._rng.uniform(0.5, 1.0))

    async def _poll(self, client: AsyncModbusTcpClient) -> None:
        settings = self.settings
        read = client.read_input_registers if settings.function is Function.INPUT else client.read_holding_registers
        answer: ModbusPDU = await read(settings.address, count=settings.registers, device_id=settings.unit_id)
        if answer.isError():
            raise MeterError(f"{answer}: check unit_id, function and address {settings.address}")
        try:
            power_w = settings.decode(answer.registers)
        except MeterError as error:
            self.rejected += 1
            if not self._rejecting:
                log.warning("meter %s: reading dropped: %s", self.name, error)
            self._rejecting = True
            return
        self._rejecting = False
        self._reading = SiteReading(self._clock.now(), power_w)

    def _tell(self, *, connected: bool, reason: str = "") -> None:
        self.connected = connected
        if connected == self._announced:
            return
        self._announced = connected
        if connected:
            log.info("meter %s: answers", self.name)
        else:
            log.warning("meter %s: no answer (%s); trying again", self.name, reason)
