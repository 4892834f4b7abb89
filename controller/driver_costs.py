"""What drivers see at the station of what they pay: the price, the running cost, the final one, and what is said to them.

                     OCPP 2.x (block I)                                OCPP 1.6 with a display (:mod:`ocpp_server.costs16`)
    price            personalMessage of the token's answer             SetUserPrice once the session runs
    running cost     CostUpdated                                       RunningCost
    words            SetDisplayMessage (controller.paid_sessions)      SetUserPrice
    final cost       the answer to the last TransactionEvent           FinalCost, once it is billed

The price is that of the session's own terms, journaled with its start; rounding and taxes are the bill's. Costs go only to
stations that say that they show them (TariffCostCtrlr, CustomDisplayCostAndPrice), and not again to one that cannot take them,
until it boots.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot.commands import Command
from depot.costs import Cost, CostAt
from depot.device_model import Variable
from depot.events import Envelope, SessionAdmitted, SessionBilled, SessionStopAsked, SessionWarned, StationBooted
from depot.state import DepotState, PaidPhase, PaidSession
from depot.values import Outcome
from ocpp_server import costs16
from ocpp_server.dialect import Call
from ocpp_server.reply import Reply
from ocpp_server.version import Version

if TYPE_CHECKING:
    from controller.till import Till

log = logging.getLogger(__name__)

AVAILABLE: Final = Variable("TariffCostCtrlr", "Available", "Cost")
ENABLED: Final = Variable("TariffCostCtrlr", "Enabled", "Cost")
AT_ONCE: Final = 20
"""Stations that are told at the same time."""
NEWS_MOST: Final = 1000
"""What waits to be told; more than that is not told."""

_News = tuple[PaidSession, str, SessionAdmitted | SessionWarned | SessionStopAsked | SessionBilled]
"""A session as it was at that moment, its card, and what happened."""


class Stations(Protocol):
    """What of the charger side is needed here; the central system."""

    def version(self, station_id: str) -> Version | None: ...
    def connected(self, station_id: str) -> bool: ...
    def transaction_name(self, station_id: str, number: int) -> str | None: ...
    async def get_variables(self, station_id: str, *wanted: Variable) -> Mapping[Variable, str]: ...
    async def get_configuration(self, station_id: str, *keys: str) -> Reply: ...
    async def call(self, station_id: str, action: str, payload: dict[str, object]) -> Reply: ...


class DriverCosts:
    """The room, and a :class:`~depot.costs.CostDesk`. ``till``: None where nobody pays; ``every_s``: between two words to one
    station, 0: none. ``stations`` is set once they are there; :meth:`landed` subscribes to the journal."""

    def __init__(self, yard: Yard, till: Callable[[], Till | None], *, every_s: float) -> None:
        self._yard = yard
        self._till = till
        self._every_s = every_s
        self.stations: Stations | None = None
        self._told_paise: dict[str, int] = {}
        self._shows: dict[str, tuple[StationBooted | None, bool]] = {}
        """Whether a station shows the cost, as found out since it booted so."""
        self._known: dict[str, tuple[PaidSession, str]] = {}
        """Sessions that are not billed yet, with their cards: at the bill the state has forgotten them."""
        self._news: asyncio.Queue[_News] = asyncio.Queue(NEWS_MOST)
        self.commands: Mapping[type[Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {}

    def costs_of(self, number: int) -> CostAt | None:
        """See :class:`depot.costs.CostDesk`. A session that the depot has ended says why with its cost."""
        till, running = self._till(), self._yard.state.transactions.get(number)
        paid = None if running is None else self._yard.state.paid.get(running.session_id)
        if till is None or running is None or paid is None:
            return None
        terms, begin_wh, why = paid.terms, running.meter_start_wh, _why(paid)
        return lambda register_wh: _saying(why, till.cost(terms, max(0, register_wh - begin_wh)))

    def landed(self, envelopes: Sequence[Envelope], state: DepotState) -> None:
        """Durable facts, as the journal tells its subscribers."""
        for envelope in envelopes:
            fact = envelope.data
            if not isinstance(fact, SessionAdmitted | SessionWarned | SessionStopAsked | SessionBilled):
                continue
            self._remember(fact.session_id, state)
            if fact.session_id in self._known and not self._news.full():
                self._news.put_nowait((*self._known[fact.session_id], fact))
            if isinstance(fact, SessionBilled):
                self._known.pop(fact.session_id, None)

    def _remember(self, session_id: str, state: DepotState) -> None:
        paid = state.paid.get(session_id)
        if paid is not None:
            running = state.transactions.get(paid.transaction_id)
            before = self._known.get(session_id)
            self._known[session_id] = paid, running.id_tag if running is not None else before[1] if before is not None else ""

    async def run(self) -> None:
        """Tell the running costs, and what happens to sessions as it happens."""
        for session_id in self._yard.state.paid:
            self._remember(session_id, self._yard.state)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every())
            seats = asyncio.Semaphore(AT_ONCE)
            while True:
                news = await self._news.get()
                await seats.acquire()
                group.create_task(self.say(*news)).add_done_callback(lambda _: seats.release())

    async def _every(self) -> None:
        while self._every_s:
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
        cost, stations = self._now(paid), self.stations
        if stations is None or cost is None or self._told_paise.get(session_id) == cost.total_paise:
            return
        call = self._running(stations, paid, cost)
        if call is not None and await self._told(paid.connector.station_id, call):
            self._told_paise[session_id] = cost.total_paise

    def _running(self, stations: Stations, paid: PaidSession, cost: Cost) -> Call | None:
        till = self._till()
        if till is not None and stations.version(paid.connector.station_id) is Version.V16:
            reading = self._yard.readings[paid.connector]
            return costs16.running_cost(
                paid.transaction_id,
                cost,
                register_wh=reading.energy_wh or 0,
                at=reading.received_at,
                idle=paid.phase is PaidPhase.FULL,
                paise_per_kwh=till.steady_price(paid.terms),
            )
        name = stations.transaction_name(paid.connector.station_id, paid.transaction_id)
        return None if name is None else Call("CostUpdated", {"totalCost": cost.on_wire, "transactionId": name})

    async def say(self, paid: PaidSession, id_tag: str, fact: SessionAdmitted | SessionWarned | SessionStopAsked | SessionBilled) -> None:
        """To a station of 1.6 what has happened to a session there; one of 2.x hears it in its own messages."""
        till, station_id = self._till(), paid.connector.station_id
        if till is None or self.stations is None or self.stations.version(station_id) is not Version.V16:
            return
        if isinstance(fact, SessionAdmitted):
            price = till.offer_in_words(fact.most_wh, driver_id=fact.driver_id, station_id=station_id)
            await self._told(station_id, costs16.user_price(id_tag, price))
        elif isinstance(fact, SessionBilled):
            cost = Cost(fact.total_paise, fact.energy_wh, till.cost_in_words(fact.energy_wh, fact.total_paise))
            await self._told(station_id, costs16.final_cost(paid.transaction_id, _saying(_why(paid), cost)))
        else:
            await self._told(station_id, costs16.user_price(id_tag, fact.message))

    async def _told(self, station_id: str, call: Call) -> bool:
        """Whether the station took it. One that cannot is not asked again until it boots."""
        stations = self.stations
        if stations is None or not stations.connected(station_id) or not await self._shows_cost(stations, station_id):
            return False
        assert isinstance(call.payload, dict)
        reply = await stations.call(station_id, call.action, call.payload)
        if costs16.takes_none(reply):
            log.info("station %s says that it shows costs, and does not take them", station_id)
            self._shows[station_id] = (self._boot(station_id), False)
        return reply.outcome is Outcome.ACCEPTED

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
            version = stations.version(station_id)
            if version is None:
                return False
            if version is Version.V16:
                shows = costs16.shows_costs(await stations.get_configuration(station_id, costs16.DISPLAYS))
            else:
                said = await stations.get_variables(station_id, AVAILABLE, ENABLED)
                shows = said.get(AVAILABLE, "").lower() == "true" and said.get(ENABLED, "true").lower() == "true"
            known = self._shows[station_id] = (boot, shows)
        return known[1]

    def _boot(self, station_id: str) -> StationBooted | None:
        facts = self._yard.state.stations.get(station_id)
        return None if facts is None else facts.boot


def _why(paid: PaidSession) -> str:
    """Why the depot has ended it; "": it has not."""
    return "" if paid.stopping is None else paid.stopping.message


def _saying(why: str, cost: Cost) -> Cost:
    return replace(cost, message=f"{why} {cost.message}") if why else cost
