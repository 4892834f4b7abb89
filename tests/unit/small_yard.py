"""A yard of three chargers on two feeders at 22:00 of a night, for tests of what is shown and ordered. No mocks: a
journal in memory, chargers that answer as told, the real loop, views and orders; the clock stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from controller.allocation import Allocation, Row
from controller.background import Background
from controller.clock import VirtualClock
from controller.history import History
from controller.loop import ControlLoop
from controller.orders import Orders
from controller.planner import InlinePlanner, PlannerState
from controller.planning import Planning
from controller.planning_settings import PlanningSettings
from controller.traffic import LoopSettings
from controller.views import Views
from controller.yard import LastAllocation, Yard
from depot import events as ev
from depot.events import Envelope, NewEvent
from depot.fold import fold
from depot.ports import JournalFrozen
from depot.readings import LinkReading, MeterReading, SiteReading
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.state import DepotState
from depot.values import Because, ConnectorId, Outcome, Plan, SafeSetpoints, Setpoint

NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)  # 22:00 in Pune
ONE, TWO, THREE = (ConnectorId(f"CP-{k}", 1) for k in (1, 2, 3))
SPEC = DepotSpec(
    depot_id="small",
    name="Small depot",
    contract_w=200_000,
    failsafe_w=60_000,
    worst_background_w=20_000,
    feeders=(FeederSpec("A", 150_000, "Feeder A"), FeederSpec("B", 80_000, "Feeder B")),
    stations=tuple(
        StationSpec(key.station_id, "A" if key != THREE else "B", (ConnectorSpec(1, 60_000, 6_000, Current.DC, pausable=True),))
        for key in (ONE, TWO, THREE)
    ),
    metered=True,
)


class StillClock:
    """``depot.ports.Clock`` that moves only when it is told."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOW).total_seconds()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class MemoryJournal:
    """``depot.ports.Journal`` with its folded state. ``facts``: everything appended, in order."""

    def __init__(self, clock: StillClock) -> None:
        self.clock = clock
        self.state = DepotState()
        self.frozen = False
        self.facts: list[Envelope] = []

    async def append(self, events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]:
        if self.frozen and not wait:
            raise JournalFrozen("the disk is full")
        return [self.put(new) for new in events]

    def put(self, new: NewEvent) -> Envelope:
        known = next((e for e in self.facts if new.key is not None and e.key == new.key), None)
        if known is not None:
            fields = {name: getattr(known, name) for name in known.__slots__}
            return Envelope(**(fields | {"duplicate": True}))
        seq = len(self.facts) + 1
        envelope = Envelope(
            f"e{seq}", "small", seq, new.data.TYPE, new.data.VERSION, new.occurred_at, new.reported_at,
            new.received_at or self.clock.now(), new.actor, new.cause_id, new.key, new.data,
        )  # fmt: skip
        self.state = fold(self.state, [envelope])
        self.facts.append(envelope)
        return envelope


@dataclass(slots=True)
class FakeChargers:
    """``depot.ports.Chargers`` that answer ``outcome`` and keep what they were asked."""

    outcome: Outcome = Outcome.ACCEPTED
    offline: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def connected(self, station_id: str) -> bool:
        return station_id not in self.offline

    async def apply(self, setpoints: SafeSetpoints) -> Sequence[Outcome]:
        return [self.outcome for _ in setpoints]

    async def start(self, setpoint: Setpoint, id_tag: str, kind: str = "Central") -> Outcome:
        self.asked.append(f"start {setpoint.connector}")
        return self.outcome

    async def stop(self, connector: ConnectorId, transaction_id: int) -> Outcome:
        self.asked.append(f"stop {connector} {transaction_id}")
        return self.outcome

    async def install_default(self, connector: ConnectorId, level_w: int) -> Outcome:
        return self.outcome

    async def set_operative(self, connector: ConnectorId, operative: bool) -> Outcome:
        self.asked.append(f"{'operative' if operative else 'inoperative'} {connector}")
        return self.outcome

    async def request_reading(self, connector: ConnectorId) -> Outcome:
        return self.outcome


class FlatTariff:
    """Six rupees at night, nine by day."""

    currency = "INR"
    demand_charge_per_kw_month = 300.0
    demand_interval_min = 30

    def vector(self, start: datetime, slots: int, slot_s: int) -> list[float]:
        return [self.price(start + timedelta(seconds=k * slot_s)) for k in range(slots)]

    def price(self, at: datetime) -> float:
        return 6.0 if at.astimezone(ZoneInfo(SPEC.timezone)).hour in (22, 23, 0, 1, 2, 3, 4, 5) else 9.0

    def steps(self, start: datetime, stop: datetime) -> Sequence[tuple[datetime, object]]:
        return [(start, self.price(start))]


@dataclass(slots=True)
class Meter:
    reading: SiteReading | None = None


class SmallYard:
    """Everything wired. Stations are connected and available until a test says else."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.journal = MemoryJournal(self.clock)
        self.meter = Meter(SiteReading(NOW, 50_000))
        self.yard = Yard(SPEC, self.journal, self.clock, self.meter)
        self.chargers = FakeChargers()
        self.replans: list[str] = []
        self.planner_state = PlannerState.RUNNING
        for key in (ONE, TWO, THREE):
            self.yard.links[key.station_id] = LinkReading(key.station_id, True, NOW, NOW)
            self.status(key, ev.ConnectorStatus.AVAILABLE)
        self.yard.restore(life_s=180.0)
        self.loop = ControlLoop(self.yard, LoopSettings(), chargers=self.chargers)
        tariff = FlatTariff()
        self.history = History(ZoneInfo(SPEC.timezone), 30, tariff.price)
        self.orders = Orders(self.yard, self.loop, replan=self.replans.append)
        self.planning = Planning(
            self.yard, InlinePlanner(cast("VirtualClock", self.clock)), tariff, PlanningSettings(),
            limits_in_force=self.loop.limits_in_force, peak_w=lambda: 0, on_plan=lambda: None,
        )  # fmt: skip
        self.views = Views(
            self.yard, self.loop, self.planning, self.history, self.orders, tariff, lambda _station: (), 1.0, lambda: self.planner_state
        )

    def put(self, *events: ev.Event) -> None:
        for event in events:
            self.journal.put(NewEvent(event, self.clock.now()))

    def status(self, key: ConnectorId, status: ev.ConnectorStatus, error: str = "NoError") -> None:
        self.put(ev.ConnectorStatusChanged(key, status, error))

    def arrive(self, key: ConnectorId, vehicle: str, *, kwh: float = 60, hours: float = 8, max_w: int = 60_000) -> None:
        """A vehicle that needs ``kwh`` of battery energy plugs in and leaves after ``hours``."""
        stay = ev.VisitAnnounced(
            f"visit {vehicle}", vehicle, self.clock.now(), self.clock.now() + timedelta(hours=hours), round(kwh * 1000), max_w,
            connector=key, efficiency=1.0, battery_wh=100_000, soc_arrival=0.2,
        )  # fmt: skip
        self.put(stay, ev.VisitArrived(stay.visit_id, key))
        self.status(key, ev.ConnectorStatus.PREPARING)

    def session(self, key: ConnectorId, *, power_w: int, delivered_wh: int = 0, number: int = 7) -> None:
        """A running session that is told, confirmed and measured ``power_w``."""
        visit = self.yard.visit_on(key)
        started = ev.TransactionStarted(number, f"session {number}", key, "TAG-1234", 1_000, visit.visit_id if visit else None)
        self.put(started)
        self.status(key, ev.ConnectorStatus.CHARGING)
        now = self.clock.now()
        grant = self.yard.grants[key]
        grant.in_session, grant.default_w = True, 6_000
        grant.told_w = grant.confirmed_w = grant.measured_w = power_w
        grant.confirmed_until_s = now.timestamp() + 120
        self.yard.readings[key] = MeterReading(key, now, power_w=power_w, energy_wh=1_000 + delivered_wh, transaction_id=number)

    def plan(self, rows: dict[str, tuple[int, ...]], **more: Any) -> None:
        """A plan from now on, in quarters."""
        slots = max(len(row) for row in rows.values())
        made = {f"visit {vehicle}": row for vehicle, row in rows.items()}
        at = self.clock.now()
        self.yard.plan = Plan("p", at, at, 900, made, (50_000,) * slots, at + timedelta(minutes=30), **more)

    def decided(self, because: dict[ConnectorId, Because], targets: dict[ConnectorId, int]) -> None:
        """The limiter's last decision."""
        keys = list(because)
        rows = [Row(key, 0, 60_000, 6_000) for key in keys]
        allocation = Allocation([targets.get(k, 0) for k in keys], [because[k] for k in keys], [], 0, 0, [0, 0], waiting=False)
        index = {key: i for i, key in enumerate(keys)}
        self.yard.last = LastAllocation(self.clock.now(), rows, allocation, Background(10_000), 200_000, index, [150_000, 80_000])


def run(main: Coroutine[Any, Any, Any]) -> None:
    """Run a test's coroutine, at most 5 s."""

    async def bounded() -> None:
        async with asyncio.timeout(5):
            await main

    asyncio.run(bounded())
