"""One contact read over Modbus TCP: the auxiliary contact of a transfer switch that says "on generator".

    switch <--FC01/02, once a second-- ModbusContact --.reading--> the Grid room

A reading that does not come is no reading: whoever needs the contact looks at its age, and takes the worst case.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from depot.ports import Clock
from grid import GridError
from grid.modbus_link import LinkError, ModbusLink, Peer, Table

__all__ = ["ContactError", "ContactReading", "ContactSettings", "ModbusContact"]

LONGEST_PAUSE_S: Final = 10.0


class ContactError(GridError):
    """A setting that cannot be right (drawn in :mod:`grid`)."""


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
        try:
            self.peer  # noqa: B018  # it checks what it is given
        except LinkError as error:
            raise ContactError(f"contact: {error}") from None
        if not 0 <= self.address <= 65_535:
            raise ContactError(f"contact {self.peer} address {self.address}: it must lie between 0 and 65535")
        if not 0.05 <= self.period_s <= 60:
            raise ContactError("contact period_s must lie between 0.05 and 60")

    @property
    def peer(self) -> Peer:
        """The device that has the contact."""
        return Peer(host=self.host, port=self.port, unit_id=self.unit_id, timeout_s=self.timeout_s)


class ModbusContact:
    """Its owner runs :meth:`run` as a task; cancelling ends it. ``failures`` counts polls and connections that failed."""

    def __init__(self, settings: ContactSettings, *, clock: Clock, rng: random.Random | None = None) -> None:
        self.settings = settings
        self.reading: ContactReading | None = None
        self._clock = clock
        self._link = ModbusLink(
            settings.peer, label=f"supply contact {settings.host}:{settings.port}", longest_pause_s=LONGEST_PAUSE_S, rng=rng
        )

    @property
    def failures(self) -> int:
        """Polls and connections that failed."""
        return self._link.failures

    async def run(self) -> None:
        """Poll until cancelled."""
        await self._link.keep(self._poll, period_s=self.settings.period_s)

    async def _poll(self) -> None:
        table = Table.COIL if self.settings.coil else Table.DISCRETE
        (closed,) = await self._link.read_bits(table, self.settings.address)
        self.reading = ContactReading(self._clock.now(), closed)
