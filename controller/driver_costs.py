"""What drivers see of what they pay (OCPP 2.x block I): the running cost on stations that show it, and the final one.

    every so often, for each paid session --> CostUpdated          TransactionEvent Ended --> its answer carries the total

The price is that of the session's own terms, journaled with its start; rounding and taxes are the bill's. The running cost goes
only to stations whose TariffCostCtrlr says that they show it, and not again to one that cannot take it, until it boots.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot.commands import Command
from depot.costs import Cost, CostAt
from depot.device_model import Variable
from depot.events import StationBooted
from depot.state import PaidSession
from depot.values import Outcome
from ocpp_server.reply import Reply
from ocpp_server.version import Version

if TYPE_CHECKING:
    from controller.till import Till

log = logging.getLogger(__name__)

AVAILABLE: Final = Variable("TariffCostCtrlr", "Available", "Cost")
ENABLED: Final = Variable("TariffCostCtrlr", "Enabled", "Cost")
AT_ONCE: Final = 20
"""Stations that are told at the same time."""


class Stations(Protocol):
    """What of the charger side is needed here; the central system."""

    def version(self, station_id: str) -> Version | None: ...
    def connected(self, station_id: str) -> bool: ...
    def transaction_name(self, station_id: str, number: int) -> str | None: ...
    async def get_variables(self, station_id: str, *wanted: Variable) -> Mapping[Variable, str]: ...
    async def call(self, station_id: str, action: str, payload: dict[str, object]) -> Reply: ...


class DriverCosts:
    """The room, and a :class:`~depot.costs.CostDesk`. ``till``: None where nobody pays; ``every_s``: between two words to one
    station, 0: none. ``stations`` is set once they are there."""

    def __init__(self, yard: Yard, till: Callable[[], Till | None], *, every_s: float) -> None:
        self._yard = yard
        self._till = till
        self._every_s = every_s
        self.stations: Stations | None = None
        self._told_paise: dict[str, int] = {}
        self._shows: dict[str, tuple[StationBooted | None, bool]] = {}
        """Whether a station shows the cost, as found out since it booted so."""
        self.commands: Mapping[type[Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {}

    def costs_of(self, number: int) -> CostAt | None:
        """See :class:`depot.costs.CostDesk`."""
        till, running = self._till(), self._yard.state.transactions.get(number)
        paid = None if running is None else self._yard.state.paid.get(running.session_id)
        if till is None or running is None or paid is None:
            return None
        terms, begin_wh = paid.terms, running.meter_start_wh
        return lambda register_wh: till.cost(terms, max(0, register_wh - begin_wh))

    async def run(self) -> None:
        """Tell the running costs."""
        if not self._every_s:
            await asyncio.Event().wait()
        while True:
            await self._yard.clock.sleep(self._every_s)
            await self.tell()

    async def tell(self) -> None:
        """One round: every paid session that runs, where the station shows it and it is news."""
        running = {session_id: paid for session_id, paid in self._yard.state.paid.items() if paid.energy_wh is None}
        self._told_paise = {session_id: paise for session_id, paise in self._told_paise.items() if session_id in running}
        seats = asyncio.Semaphore(AT_ONCE)

        async def one(session_id: str, paid: PaidSession) -> None:
            async with seats:
                await self._tell(session_id, paid)

        async with asyncio.TaskGroup() as group:
            for session_id, paid in running.items():
                group.create_task(one(session_id, paid))

    async def _tell(self, session_id: str, paid: PaidSession) -> None:
        station_id, stations = paid.connector.station_id, self.stations
        cost = self._now(paid)
        if stations is None or cost is None or self._told_paise.get(session_id) == cost.total_paise or not stations.connected(station_id):
            return
        name = stations.transaction_name(station_id, paid.transaction_id)
        if name is None or not await self._shows_cost(stations, station_id):
            return
        reply = await stations.call(station_id, "CostUpdated", {"totalCost": cost.on_wire, "transactionId": name})
        if reply.outcome is Outcome.ACCEPTED:
            self._told_paise[session_id] = cost.total_paise
        elif reply.outcome is Outcome.UNSUPPORTED:
            log.info("station %s says that it shows costs, and does not take them", station_id)
            self._shows[station_id] = (self._boot(station_id), False)

    def _now(self, paid: PaidSession) -> Cost | None:
        """By the newest reading of this session; None before the first."""
        costs = self.costs_of(paid.transaction_id)
        reading = self._yard.readings.get(paid.connector)
        if costs is None or reading is None or reading.energy_wh is None or reading.transaction_id not in (None, paid.transaction_id):
            return None
        return costs(reading.energy_wh)

    async def _shows_cost(self, stations: Stations, station_id: str) -> bool:
        boot = self._boot(station_id)
        known = self._shows.get(station_id)
        if known is None or known[0] is not boot:
            if stations.version(station_id) in (None, Version.V16):
                return False
            said = await stations.get_variables(station_id, AVAILABLE, ENABLED)
            shows = said.get(AVAILABLE, "").lower() == "true" and said.get(ENABLED, "true").lower() == "true"
            known = self._shows[station_id] = (boot, shows)
        return known[1]

    def _boot(self, station_id: str) -> StationBooted | None:
        facts = self._yard.state.stations.get(station_id)
        return None if facts is None else facts.boot
