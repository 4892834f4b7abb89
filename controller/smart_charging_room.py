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
from typing import Protocol

from msgspec import Struct

from controller.loop import ControlLoop
from controller.room import Carrier, Viewer
from controller.smart_charging import AHEAD, completed, differs, outlook, own_stay
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.smart_charging import ChargingNeeds, ExternalLimit, VehicleSchedule, VehicleWord
from depot.state import OWN_STAY
from depot.values import ConnectorId, Outlook

log = logging.getLogger(__name__)

RENEGOTIATIONS = 3
"""So many profiles follow refused schedules of a connector, …"""
RENEGOTIATED_IN = timedelta(minutes=10)
"""… within this time."""
EFFICIENCY = 0.9
"""Battery per grid energy of a vehicle that the registry does not know."""
PRICES_FOR = timedelta(minutes=15)


class Prices(Protocol):
    """What of a tariff is needed here."""

    @property
    def currency(self) -> str: ...
    def steps(self, start: datetime, stop: datetime) -> Sequence[tuple[datetime, Decimal]]: ...


class StepRow(Struct, frozen=True, kw_only=True):
    """From ``at`` on at most ``level_w``; null: no limit."""

    at: datetime
    level_w: int | None


class NeedsRow(Struct, frozen=True, kw_only=True):
    """What the vehicle on a connector says of itself, and its own schedule; null: it did not say. SoC as fractions, energies at
    the connector. ``differs``: how it goes beyond what is booked for it, which counts; ``own_stay``: nobody announced it, so its
    own word counts. ``exceeds``: how its schedule goes beyond what it was allowed; ``schedule_ok`` null: it told none."""

    station_id: str
    connector: int
    told_at: datetime | None
    mode: str
    departure: datetime | None
    energy_wh: int | None
    min_energy_wh: int | None
    max_energy_wh: int | None
    min_w: int | None
    max_w: int | None
    discharge_max_w: int | None
    capacity_wh: int | None
    soc: float | None
    target_soc: float | None
    control: str
    offers: list[str]
    differs: str
    own_stay: bool
    schedule: list[StepRow]
    schedule_at: datetime | None
    schedule_ok: bool | None
    exceeds: str


class NeedsView(Struct, frozen=True, kw_only=True):
    """Of every vehicle that said something and still charges."""

    at: datetime
    vehicles: list[NeedsRow]


class ExternalLimitRow(Struct, frozen=True, kw_only=True):
    """A limit that somebody else has set at a station. ``evse`` 0: on all of it. ``level_w`` null: it names no number for this
    moment. ``counts``: the depot counts with it; ``note``: why not."""

    station_id: str
    evse: int
    source: str
    level_w: int | None
    told_at: datetime
    until: datetime | None
    critical: bool
    counts: bool
    note: str
    steps: list[StepRow]


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

    async def released(self, station_id: str, evse: int | None, source: str) -> None:
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
            self._priced = now, self._prices.steps(now, now + AHEAD)
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


def needs_row(yard: Yard, key: ConnectorId, word: VehicleWord) -> NeedsRow:
    """One vehicle's word for people."""
    needs = word.needs or ChargingNeeds("")
    visit = yard.visit_on(key)
    own = visit is not None and visit.visit_id.startswith(OWN_STAY)
    beyond = differs(visit, needs, remaining_wh=yard.remaining_wh(visit)) if visit is not None and not own else ""
    told = word.schedule
    return NeedsRow(
        station_id=key.station_id, connector=key.connector, told_at=word.told_at, mode=needs.mode, departure=needs.departure,
        energy_wh=needs.wanted_wh, min_energy_wh=needs.min_energy_wh, max_energy_wh=needs.max_energy_wh, min_w=needs.min_w,
        max_w=needs.max_w, discharge_max_w=needs.discharge_max_w, capacity_wh=needs.capacity_wh, soc=needs.soc,
        target_soc=needs.target_soc, control=needs.control, offers=list(needs.offers), differs=beyond, own_stay=own,
        schedule=[] if told is None else [StepRow(at=step.at, level_w=step.level_w) for step in told.steps],
        schedule_at=word.schedule_at, schedule_ok=None if told is None else not word.exceeds, exceeds=word.exceeds,
    )  # fmt: skip


def limit_row(limit: ExternalLimit, now: datetime) -> ExternalLimitRow:
    """One limit for people."""
    if limit.stale:
        note = "the station has booted since, and did not say it again"
    elif limit.generation:
        note = "power generated there; it limits nothing"
    elif not limit.holds(now):
        note = "it is over" if limit.until is not None else "it was not repeated for a day"
    else:
        note = "" if limit.level_at(now) is not None else "it names no level for this moment"
    return ExternalLimitRow(
        station_id=limit.station_id, evse=limit.evse, source=limit.source, level_w=limit.level_at(now), told_at=limit.told_at,
        until=limit.until, critical=limit.critical, counts=not note, note=note,
        steps=[StepRow(at=step.at, level_w=step.level_w) for step in limit.steps],
    )  # fmt: skip
