"""The core: one depot's journal, desk, loop, planning cadence and views put together, independent of any transport.

    async with Core(parts) as core:        journal is open, state restored, nothing runs yet
        core.attach(central)               the charger side, built around core.desk
        core.add(room)                     telemetry, billing, alarms …: see controller.room
        await core.run()                   until cancelled; an exception in here is a broken promise

The same class runs a real depot, the demo and a simulated night; only clock, transports and planner differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from controller import limits
from controller.desk import Desk, DeskSettings
from controller.full_charges import FullChargesRoom
from controller.history import History
from controller.ingest_view import ItemTaken, TelemetryItem
from controller.loop import ControlLoop
from controller.orders import Orders
from controller.plan_twin import PlanTwin
from controller.planner import Planner
from controller.planning import Planning
from controller.planning_settings import PlanningSettings
from controller.readmodel import ChargerView, NowView, ProcessView
from controller.reference_room import ReferenceTests
from controller.room import Room, Viewer
from controller.room_keeper import RoomKeeper
from controller.traffic import LoopSettings
from controller.utility import Utility
from controller.views import TariffSteps, Views
from controller.views_charger import Frame
from controller.yard import FoldingJournal, Yard
from depot import commands as cmd
from depot import events as ev
from depot.ports import Chargers, Clock, SiteMeter
from depot.registry import DepotSpec
from depot.values import ConnectorId, UnknownThing
from grid.failsafe import FailsafePolicy
from grid.limit_model import Alarm


@dataclass(frozen=True, slots=True)
class CoreParts:
    """What a core is made of. ``look_s``: how often history is fed and ``publish`` is called, depot seconds."""

    spec: DepotSpec
    journal: FoldingJournal
    clock: Clock
    planner: Planner
    tariff: TariffSteps
    meter: SiteMeter | None = None
    failsafe: FailsafePolicy | None = None
    loop: LoopSettings = field(default_factory=LoopSettings)
    planning: PlanningSettings = field(default_factory=PlanningSettings)
    desk: DeskSettings = field(default_factory=DeskSettings)
    clock_speed: float = 1.0
    look_s: float = 1.0
    software: str = "chargeyard"
    process: Callable[[], ProcessView | None] = lambda: None


class StationsWatched(Protocol):
    """The charger side, as far as it looks after its stations' profiles."""

    def surprised(self, connector: ConnectorId) -> None: ...
    async def fell_back(self, connector: ConnectorId, *, falls_back: bool) -> None: ...


class Core:
    """See the module. ``publish``: called with every fresh view, once a look, when set."""

    def __init__(self, parts: CoreParts) -> None:
        self.parts = parts
        self.yard = Yard(parts.spec, parts.journal, parts.clock, parts.meter)
        self.yard.wishes = parts.planning.stays.wishes
        self.yard.restore(life_s=parts.loop.life_s)
        self.loop = ControlLoop(self.yard, parts.loop)
        self.history = History(
            ZoneInfo(parts.spec.timezone),
            parts.tariff.demand_interval_min,
            lambda at: parts.tariff.vector(at, 1, 60)[0],
        )
        self.planning = Planning(
            self.yard,
            parts.planner,
            parts.tariff,
            parts.planning,
            limits_in_force=self.loop.limits_in_force,
            peak_w=lambda: self.history.peak_w,
            on_plan=self.loop.wake,
        )
        self.twin = PlanTwin(self.yard)
        self.planning.twin = self.twin
        self.orders = Orders(self.yard, self.loop, replan=self.planning.request)
        self.utility = Utility(self.yard, self.loop, parts.failsafe, replan=self.planning.request) if parts.failsafe is not None else None
        self.loop.on_session = self._session_changed
        self.desk = Desk(self.yard, self.loop, parts.desk, replan=self.planning.request)
        if self.utility is not None:
            self.desk.defaults_spec = self.utility.defaults_spec
            self.utility.alarms.append(self._without_plan)
        self.frames: Callable[[str], Sequence[Frame]] = lambda _station_id: ()
        self.views = Views(
            self.yard,
            self.loop,
            self.planning,
            self.history,
            self.orders,
            parts.tariff,
            lambda station_id: self.frames(station_id),
            parts.clock_speed,
            lambda: parts.planner.state,
            parts.process,
        )
        self.publish: Callable[[NowView], None] | None = None
        self.take_telemetry: Callable[[str, Sequence[TelemetryItem]], Awaitable[Sequence[ItemTaken]]] | None = None
        self._rooms: list[Room] = [FullChargesRoom(self.yard)]
        self.keeper = RoomKeeper(self.yard.clock)
        self._viewers: dict[str, Viewer] = {ChargerView.__name__: self._charger}
        self.reference_tests = ReferenceTests(self.yard, self.loop, replan=self.planning.request)
        self.add(self.reference_tests)

    def add(self, room: Room) -> None:
        """Let a room take part: its commands, its views, and, from :meth:`run` on, its tasks."""
        self._rooms.append(room)
        self.orders.carriers.update(room.commands)
        views = {kind.__name__: viewer for kind, viewer in room.views.items()}
        twice = sorted(self._viewers.keys() & views.keys())
        if twice:
            raise ValueError(f"{type(room).__name__}: another room has views of these names already: {', '.join(twice)}")
        self._viewers |= views

    def attach(
        self, chargers: Chargers, *, frames: Callable[[str], Sequence[Frame]] | None = None, stations: StationsWatched | None = None
    ) -> None:
        """The charger side is there: from now on the loop talks to it. ``stations``: what wants to hear of the meter's
        surprises."""
        self.loop.chargers = chargers
        if stations is not None:
            self.loop.on_distrust = [stations.surprised]
            self.loop.on_expiry = lambda key, falls_back: self.loop.follow_up(
                stations.fell_back(key, falls_back=falls_back), f"expiry {key}"
            )
        if frames is not None:
            self.frames = frames
        self.loop.wake()

    async def run(self) -> None:
        """Run loop, planning and follow-ups until cancelled."""
        started = ev.NewEvent(ev.ControllerStarted(self.parts.software), self.yard.clock.now())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run(), name="limiter")
            tasks.create_task(self.planning.run(), name="planning")
            tasks.create_task(self.orders.run(), name="orders")
            tasks.create_task(self._looks(), name="looks")
            if self.utility is not None:
                tasks.create_task(self.utility.run(), name="utility")
            for room in self._rooms:
                name = type(room).__name__
                tasks.create_task(self.keeper.keep(name, room.run), name=name)
            self.planning.request("start")
            await self.yard.journal.append([started])

    def _session_changed(self, key: ConnectorId, started: bool) -> None:
        if started:
            self.history.session_reset(key)
        else:
            self.history.session_end(key, self.yard.clock.now())
        self.orders.session_changed(key, started=started)

    async def _looks(self) -> None:
        while True:
            await self.yard.clock.sleep(self.parts.look_s)
            self._look()
            if self.publish is not None:
                self.publish(await self.views.now_by_turns())

    def _look(self) -> None:
        yard, now = self.yard, self.yard.clock.now()
        charging = 0
        for key, grant in yard.grants.items():
            if grant.in_session:
                charging += grant.measured_w or 0
                reading = yard.readings.get(key)
                if self.publish is not None and reading is not None and grant.measured_w is not None:
                    self.history.session_point(key, reading.received_at, grant.measured_w, reading.soc)
        site = yard.site_reading
        binds = limits.binding(self.loop.limits_in_force(), "", now)
        plan = yard.plan
        slot = plan.slot_at(now) if plan is not None else None
        self.history.second(
            now,
            site_w=site.power_w if site is not None else None,
            charging_w=charging,
            background_w=yard.last.background.now_w if yard.last is not None else yard.spec.worst_background_w,
            limit_w=binds.value if binds is not None else 0,
            plan_w=plan.site_w[slot] if plan is not None and slot is not None else None,
        )

    def _without_plan(self) -> Alarm:
        """OPT_FALLBACK: planning fails, and the last plan is over; the limiter goes on with earliest departure first."""
        plan = self.yard.plan
        over = plan is None or self.yard.clock.now() >= plan.expires_at
        return Alarm.OPT_FALLBACK if self.planning.failed_since is not None and over else Alarm(0)

    # -- LinkHandler --------------------------------------------------------------------------------------------

    def now(self) -> NowView:
        """The whole *Now* view, fresh."""
        return self.views.now()

    async def show(self, name: str, args: Mapping[str, str]) -> Struct | None:
        """A view by the name of its struct; None for a thing that does not exist."""
        viewer = self._viewers.get(name)
        if viewer is None:
            raise UnknownThing(f"this core has no view {name!r}; it has {', '.join(sorted(self._viewers))}")
        return await viewer(args)

    async def _charger(self, args: Mapping[str, str]) -> ChargerView | None:
        return self.views.charger(args.get("connector", ""))

    async def command(self, command: cmd.Command) -> cmd.CommandResult:
        """Carry out a command of a person or machine."""
        return await self.orders.execute(command)

    async def telemetry(self, by: str, items: Sequence[TelemetryItem]) -> Sequence[ItemTaken]:
        """What vehicles say, over HTTP; refused where nobody listens to vehicles."""
        if self.take_telemetry is None:
            text = "this depot listens to no vehicle: its settings have no [telemetry]"
            return [ItemTaken(status="refused", reason="not_configured", text=text) for _ in items]
        return await self.take_telemetry(by, items)
