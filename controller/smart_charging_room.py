"""The room of smart charging: what stations tell of vehicles' needs and of others' limits, kept, used and shown.

    SmartChargingDesk (from ocpp_server) --> facts --> a stay where nobody announced one, a booking completed, a new plan
                                         --> the connector's level once more, with an outlook for a vehicle that plans itself
    limits of others --> facts --> the limiter's ceilings, planning, "why only 22 kW"

A vehicle's word is advice. What leaves for it is the limiter's level; what comes after it in the same profile is no more than
the default (ADR 0013). A vehicle that keeps refusing is not asked for ever: so many profiles follow a refusal, and no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from msgspec import Struct

from controller.loop import ControlLoop
from controller.room import Carrier, Viewer
from controller.smart_charging import AHEAD, completed, outlook, own_stay
from controller.smart_charging_rows import ExternalLimitRow, NeedsRow
from controller.smart_charging_view import limit_row, needs_row
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.smart_charging import ChargingNeeds, ExternalLimit, VehicleSchedule
from depot.state import OWN_STAY
from depot.values import ConnectorId, Outlook
from ocpp_server.composite import Foreign
from ocpp_server.reports import Criteria, ProfileReport

log = logging.getLogger(__name__)

RENEGOTIATIONS = 3
"""So many profiles follow refused schedules of a connector, …"""
RENEGOTIATED_IN = timedelta(minutes=10)
"""… within this time."""
ASKED_AGAIN = timedelta(minutes=10)
"""A station that only says that a limit exists is asked which one, no sooner than so long after the last time."""
EFFICIENCY = 0.9
"""Battery per grid energy of a vehicle that the registry does not know."""
PRICES_FOR = timedelta(minutes=15)


class Stations(Protocol):
    """What of the charger side is needed here."""

    async def report_profiles(self, station_id: str, criteria: Criteria, *, within_s: float = 10.0) -> ProfileReport: ...


class Prices(Protocol):
    """What of a tariff is needed here."""

    @property
    def currency(self) -> str: ...
    def steps(self, start: datetime, stop: datetime) -> Sequence[tuple[datetime, Fraction]]: ...


class NeedsView(Struct, frozen=True, kw_only=True):
    """Of every vehicle that said something and still charges."""

    at: datetime
    vehicles: list[NeedsRow]


class ExternalLimitsView(Struct, frozen=True, kw_only=True):
    """All that stations told, until they are released."""

    at: datetime
    limits: list[ExternalLimitRow]


class SmartCharging:
    """The room, and the :class:`~depot.smart_charging.SmartChargingDesk`."""

    def __init__(self, yard: Yard, loop: ControlLoop, prices: Prices, *, replan: Callable[[str], None]) -> None:
        self._yard = yard
        self._loop = loop
        self._prices = prices
        self._replan = replan
        self._priced: tuple[datetime, Sequence[tuple[datetime, Decimal]]] | None = None
        self._renegotiated: dict[ConnectorId, deque[datetime]] = {}
        self.stations: Stations | None = None
        """The charger side, once it is there."""
        self._asked: dict[tuple[str, str], datetime] = {}
        yard.outlook = self.outlook
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {NeedsView: self._needs_view, ExternalLimitsView: self._limits_view}

    async def run(self) -> None:
        """Nothing to follow up: facts and ages do it."""
        await asyncio.Event().wait()

    # -- the desk -----------------------------------------------------------------------------------------------------

    async def needs(self, connector: ConnectorId, needs: ChargingNeeds, transaction: str, *, session: bool) -> str:
        if connector not in self._yard.spec.connectors:
            return "Rejected"
        facts: list[ev.Event] = [ev.ChargingNeedsTold(connector, needs, transaction)]
        facts += self._stay(connector, needs, transaction) if session else []
        await self._append(connector, *facts)
        self._replan("a vehicle said what it needs")
        return "Accepted" if session else "Processing"

    def needs_answered(self, connector: ConnectorId) -> None:
        self._loop.say_again(connector)

    async def scheduled(self, connector: ConnectorId, schedule: VehicleSchedule, transaction: str, *, exceeds: str) -> None:
        if connector in self._yard.spec.connectors:
            if exceeds:
                log.info("the vehicle on %s means to draw more than it was allowed: %s", connector, exceeds)
            await self._append(connector, ev.VehicleScheduleTold(connector, schedule, exceeds, transaction))

    def schedule_refused(self, connector: ConnectorId) -> None:
        now = self._yard.clock.now()
        sent = self._renegotiated.setdefault(connector, deque(maxlen=RENEGOTIATIONS))
        if len(sent) == RENEGOTIATIONS and now - sent[0] < RENEGOTIATED_IN:
            return
        sent.append(now)
        self._loop.say_again(connector)

    async def limited(self, limit: ExternalLimit) -> None:
        await self._append(limit.station_id, ev.ExternalLimitTold(limit))
        self._limits_moved(f"{limit.source} limits {limit.station_id}")

    def limit_unclear(self, station_id: str, source: str) -> None:
        now, key = self._yard.clock.now(), (station_id, source)
        before = self._asked.get(key)
        if self.stations is not None and (before is None or now - before >= ASKED_AGAIN):
            self._asked[key] = now
            self._loop.follow_up(self._ask(self.stations, station_id, source), f"limit of {source} at {station_id}")

    async def _ask(self, stations: Stations, station_id: str, source: str) -> None:
        """What the station reports comes to the desk as any report does."""
        await stations.report_profiles(station_id, Criteria(purpose=Foreign.EXTERNAL.value, sources=(source,)))

    async def released(self, station_id: str, evse: int | None, source: str) -> None:
        self._asked.pop((station_id, source), None)  # the next one is another limit
        known = self._yard.state.smart_charging.limits.values()
        if any(x.station_id == station_id and x.source == source and evse in (None, x.evse) for x in known):
            await self._append(station_id, ev.ExternalLimitReleased(station_id, evse, source))
            self._limits_moved(f"{source} limits {station_id} no more")

    def _limits_moved(self, cause: str) -> None:
        self._loop.wake()
        self._replan(cause)

    def _stay(self, key: ConnectorId, needs: ChargingNeeds, transaction: str) -> list[ev.Event]:
        """What the vehicle's word does to the stays on its connector."""
        yard = self._yard
        visit, drawn_wh = yard.visit_on(key), yard.session_energy_wh(key)
        if visit is not None and not visit.visit_id.startswith(OWN_STAY):
            found = completed(visit, needs, drawn_wh=drawn_wh)
            return [] if found is None else [found]
        running = yard.state.transaction_on(key)
        known = yard.state.vehicle_by_tag(running.id_tag) if running is not None and running.id_tag else None
        stay = own_stay(
            key, needs, transaction=transaction, vehicle_id=known.vehicle_id if known is not None else f"vehicle on {yard.labels[key]}",
            efficiency=known.efficiency if known is not None else EFFICIENCY, drawn_wh=drawn_wh, spec=yard.spec.connectors[key],
            now=yard.clock.now(),
        )  # fmt: skip
        return [] if stay is None else [stay, ev.VisitArrived(stay.visit_id, key)]

    async def _append(self, who: ConnectorId | str, *facts: ev.Event) -> None:
        now = self._yard.clock.now()
        station_id = who if isinstance(who, str) else who.station_id
        await self._yard.journal.append([ev.NewEvent(fact, now, actor=f"station:{station_id}") for fact in facts])

    # -- what a vehicle is told beside its level ----------------------------------------------------------------------

    def outlook(self, key: ConnectorId, until: datetime) -> Outlook | None:
        """For a vehicle that said what it needs; None for others."""
        yard = self._yard
        needs = yard.state.smart_charging.needs(key)
        if needs is None:
            return None
        visit = yard.visit_on(key)
        return outlook(
            needs,
            until=until,
            leaves=needs.departure if visit is None else visit.announced.depart_at,
            default_w=yard.grants[key].default_w,
            visit_id=None if visit is None else visit.visit_id,
            plan=yard.plan,
            prices=self._prices_ahead(),
            currency=self._prices.currency,
        )

    def _prices_ahead(self) -> Sequence[tuple[datetime, Decimal]]:
        now = self._yard.clock.now()
        if self._priced is None or not timedelta() <= now - self._priced[0] < PRICES_FOR:
            self._priced = now, [(at, _six_places(price)) for at, price in self._prices.steps(now, now + AHEAD)]
        return self._priced[1]

    # -- views --------------------------------------------------------------------------------------------------------

    async def _needs_view(self, args: Mapping[str, str]) -> NeedsView:
        """``station_id``: only of this one."""
        words = self._yard.state.smart_charging.vehicles.items()
        rows = [needs_row(self._yard, key, word) for key, word in words if args.get("station_id", key.station_id) == key.station_id]
        return NeedsView(at=self._yard.clock.now(), vehicles=sorted(rows, key=lambda row: (row.station_id, row.connector)))

    async def _limits_view(self, args: Mapping[str, str]) -> ExternalLimitsView:
        """``station_id``: only of this one."""
        now = self._yard.clock.now()
        held = self._yard.state.smart_charging.limits.values()
        rows = [limit_row(x, now) for x in held if args.get("station_id", x.station_id) == x.station_id]
        return ExternalLimitsView(at=now, limits=sorted(rows, key=lambda row: (row.station_id, row.evse, row.source)))


def _six_places(price: Fraction) -> Decimal:
    """An exact price as vehicles are told it: decimal, to a millionth."""
    over, under = price.as_integer_ratio()
    return (Decimal(over) / under).quantize(Decimal("0.000001")).normalize()
