"""One contact read over Modbus TCP: the auxiliary contact of a transfer switch that says "on generator".

    switch <--FC01/02, once a second-- ModbusContact --.reading--> the Grid room

A reading that does not come is no reading: whoever needs the contact looks at its age, and takes the worst case.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from depot.ports import Clock
from grid import GridError

__all__ = ["ContactError", "ContactReading", "ContactSettings", "ModbusContact"]

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0


class ContactError(GridError):
    """A setting that cannot be right, or an answer that is none (drawn in :mod:`grid`)."""


@dataclass(frozen=True, slots=True)
class ContactReading:
    """Whether the contact was closed, and when that was read."""

    at: datetime
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSettings:
    """Where the contact is. ``address`` counts from 0. ``coil``: it is a coil (FC01), else a discrete input (FC02)."""

    host: str
    port: int = 502
    unit_id: int = 1
    address: int = 0
    coil: bool = False
    period_s: float = 1.0
    timeout_s: float = 1.0

    def __post_init__(self) -> None:
        if not (1 <= self.port <= 65_535 and 0 <= self.unit_id <= 255 and 0 <= self.address <= 65_535):
            raise ContactError(f"contact {self.host}:{self.port} unit {self.unit_id} address {self.address}: out of range")
        if not (0.05 <= self.period_s <= 60 and 0 < self.timeout_s <= 60):
            raise ContactError("contact period_s must lie between 0.05 and 60, timeout_s between 0 and 60")


class ModbusContact:
    """Its owner runs :meth:`run` as a task; cancelling ends it. ``failures`` counts polls and connections that failed."""

    def __init__(self, settings: ContactSettings, *, clock: Clock, rng: random.Random | None = None) -> None:
        self.settings = settings
        self.failures = 0
        self.reading: ContactReading | None = None
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  # jitter, not a secret
        self._answers: bool | None = None

    async def run(self) -> None:
        """Poll until cancelled."""
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # each loss and return is told here, once
        attempt = 0
        while True:
            where = self.settings
            client = AsyncModbusTcpClient(where.host, port=where.port, timeout=where.timeout_s, retries=0, reconnect_delay=0)
            try:
                if not await client.connect():
                    raise ContactError("no connection")
                while True:
                    began = asyncio.get_running_loop().time()
                    await self._poll(client)
                    attempt = 0
                    await asyncio.sleep(max(0.0, began + where.period_s - asyncio.get_running_loop().time()))
            except (ContactError, ModbusException, OSError, TimeoutError) as error:
                self.failures += 1
                self._tell(answers=False, why=str(error))
            finally:
                client.close()
            attempt += 1
            await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempt, 6)) * self._rng.uniform(0.5, 1.0))

    async def _poll(self, client: AsyncModbusTcpClient) -> None:
        read = client.read_coils if self.settings.coil else client.read_discrete_inputs
        answer = await read(self.settings.address, count=1, device_id=self.settings.unit_id)
        if answer.isError() or not answer.bits:
            raise ContactError(f"{answer}: check unit and address {self.settings.address}")
        self.reading = ContactReading(self._clock.now(), bool(answer.bits[0]))
        self._tell(answers=True)

    def _tell(self, *, answers: bool, why: str = "") -> None:
        if answers is self._answers:
            return
        self._answers = answers
        name = f"{self.settings.host}:{self.settings.port}"
        if answers:
            log.info("supply contact %s: answers", name)
        else:
            log.warning("supply contact %s: no answer (%s); trying again", name, why)
