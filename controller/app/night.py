"""One day of a depot on the virtual clock: the whole controller against the whole simulated depot, in one process.

    Day --> World (stations, packs, meter) <==OCPP frames in memory==> Central <--> Core (journal, loop, planner)
                     \\--> physical trace

Nothing in here decides anything: it only puts the parts together. Time jumps whenever everybody waits, the solver is
charged a fixed time, so that the same seed gives the same night.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import controller
from controller.app.announcing import announcement
from controller.clock import VirtualClock, run_virtual
from controller.core import Core, CoreParts
from controller.desk import DeskSettings
from controller.journal import SqlJournal
from controller.planner import InlinePlanner
from controller.planning_settings import PlanningSettings
from controller.traffic import LoopSettings
from controller.views import TariffSteps
from depot import commands as cmd
from depot.registry import DepotSpec
from depot.state import DepotState
from ocpp_server import OpenDoor
from ocpp_server.central import Central
from ocpp_server.errors import WireClosed
from ocpp_server.settings import OcppSettings
from ocpp_server.version import Version
from simulator.day import Day, Stay
from simulator.personas import Persona
from simulator.plant import Outcome
from simulator.trace import Trace
from simulator.wire import PipeEnd, pipe
from simulator.world import World
from storage import Store

SOLVER_CHARGE_S = 2.0


@dataclass(frozen=True, slots=True)
class NightSettings:
    """``timetable``: every stay is announced from the start (a depot); else at plug-in (a public car park). ``share_201``:
    part of the stations that speaks OCPP 2.0.1; the others speak 1.6. ``orders``: what people order, each so many seconds after the
    day's start."""

    timetable: bool = True
    share_201: float = 0.0
    planning: PlanningSettings = field(default_factory=lambda: PlanningSettings(cadence_s=900.0, spacing_s=180.0))
    loop: LoopSettings = field(default_factory=LoopSettings)
    orders: tuple[tuple[float, cmd.Command], ...] = ()


@dataclass(frozen=True, slots=True)
class NightResult:
    """What happened: how every stay ended, the facts at the end, how many facts there are."""

    outcomes: list[Outcome]
    state: DepotState
    facts: int
    plans: int


def as_registered(day: Day, personas: Mapping[str, Persona]) -> DepotSpec:
    """The registry as an operator keeps it: models that end a session at 0 W are known as not pausable, a typical
    background per hour is written down, and a dead controller leaves nothing charging (defaults of 0 W, which leave the
    whole limit to the living one)."""
    spec = day.spec
    stations = tuple(
        replace(
            station,
            connectors=tuple(
                replace(c, pausable=personas.get(station.station_id, Persona.POLITE) is not Persona.ENDS_AT_ZERO)
                for c in station.connectors
            ),
        )
        for station in spec.stations
    )
    hours = [0] * 24
    zone = ZoneInfo(spec.timezone)
    steps = [*day.base_w, (day.duration_s, 0)]
    for (begin, watts), (end, _) in pairwise(steps):
        at = begin
        while at < end:
            hour = (day.start + timedelta(seconds=at)).astimezone(zone).hour
            hours[hour] = max(hours[hour], watts)
            at += 900.0
    return replace(spec, stations=stations, failsafe_w=min(spec.contract_w, spec.worst_background_w), background_profile_w=tuple(hours))


def play(
    day: Day,
    *,
    tariff: TariffSteps,
    personas: Mapping[str, Persona],
    seed: int,
    settings: NightSettings,
    trace: Trace | None = None,
    progress: Callable[[datetime], None] | None = None,
) -> NightResult:
    """Play ``day`` from beginning to end on a virtual clock."""
    day = replace(day, spec=as_registered(day, personas))

    async def main(clock: VirtualClock) -> NightResult:
        return await _play(clock, day, tariff=tariff, personas=personas, seed=seed, settings=settings, trace=trace)

    return run_virtual(main, start=day.start, progress=progress)


async def _play(
    clock: VirtualClock,
    day: Day,
    *,
    tariff: TariffSteps,
    personas: Mapping[str, Persona],
    seed: int,
    settings: NightSettings,
    trace: Trace | None,
) -> NightResult:
    store = Store.open(None)
    store.migrate([controller])
    async with SqlJournal(store, day.spec.depot_id, clock=clock, writer="inline", snapshot_every=0) as journal:
        centrals: list[Central] = []
        serving: set[asyncio.Task[None]] = set()

        async def connect(station_id: str) -> PipeEnd:
            station_end, central_end = pipe(central_closed=lambda code, reason: WireClosed(f"{code} {reason}"))
            version = Version.of_subprotocol(world.stations[station_id].voice.subprotocol)
            serve = centrals[0].attach(central_end, station_id, remote="memory", version=version)
            task = asyncio.create_task(serve, name=f"serve {station_id}")
            serving.add(task)
            task.add_done_callback(serving.discard)
            return station_end

        orders: list[cmd.Command] = []
        told = asyncio.Event()

        def tell(command: cmd.Command) -> None:
            orders.append(command)
            told.set()

        def arrived(stay: Stay) -> None:
            if not settings.timetable:
                visit = announcement(stay, day.start)
                tell(cmd.AnnounceVisit(command_id=f"announce {visit.visit_id}", actor="driver", reason="plugged in", visit=visit))

        world = World(
            day,
            personas=personas,
            seed=seed,
            clock=clock,
            connect=connect,
            trace=trace,
            share_201=settings.share_201,
            on_arrival=arrived,
            on_limit=lambda watts: tell(
                cmd.SetManualLimit(command_id=f"limit {clock.now().isoformat()}", actor="operator", reason="the day's limit", value_w=watts)
            ),
        )
        planner = InlinePlanner(clock, charge_s=SOLVER_CHARGE_S)
        core = Core(
            CoreParts(
                day.spec,
                journal,
                clock,
                planner,
                tariff,
                meter=world.meter,
                loop=settings.loop,
                planning=settings.planning,
                desk=DeskSettings(heartbeat_s=900),
                look_s=10.0,
            )
        )
        central = Central(spec=day.spec, events=core.desk, clock=clock, credentials=OpenDoor(), settings=OcppSettings())
        centrals.append(central)
        core.attach(central, frames=central.frames, stations=central)

        async def obey() -> None:
            while True:
                await told.wait()
                told.clear()
                while orders:
                    await core.command(orders.pop(0))

        async def order() -> None:
            for after_s, command in sorted(settings.orders, key=lambda one: one[0]):
                await clock.sleep(max(0.0, after_s - (clock.now() - day.start).total_seconds()))
                tell(command)

        async with central:
            ordering = asyncio.create_task(order(), name="people's orders")
            work = [asyncio.create_task(core.run(), name="core"), asyncio.create_task(obey(), name="orders")]
            if settings.timetable:
                for stay in day.stays:
                    visit = announcement(stay, day.start)
                    await core.command(
                        cmd.AnnounceVisit(command_id=f"announce {visit.visit_id}", actor="timetable", reason="tonight", visit=visit)
                    )
            try:
                async with world:
                    playing = asyncio.create_task(world.run(), name="world")
                    done, _ = await asyncio.wait([playing, *work], return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                    outcomes = await playing
            finally:
                for task in (*work, ordering):
                    task.cancel()
                await asyncio.gather(*work, ordering, return_exceptions=True)
        return NightResult(outcomes, journal.state, journal.state.seq, core.planning.made)
