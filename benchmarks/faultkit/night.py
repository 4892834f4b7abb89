"""A depot on the virtual clock with a nemesis: the whole controller, stations of both versions, and what breaks them.

    World (stations, packs, meter) <==OCPP frames in memory, may be lost==> Central <--> Core (journal, loop, planner)
      \\--> physical trace, StationBook                    nemesis(stage) --> all of it

Deterministic: a seed and a nemesis give the same night. What ran and what was journaled comes back for the checker.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import controller
from benchmarks.faultkit.checker import StationBook
from controller.app.announcing import announcement
from controller.clock import VirtualClock, run_virtual
from controller.core import Core, CoreParts
from controller.desk import DeskSettings
from controller.journal import SqlJournal
from controller.planner import InlinePlanner, Planner
from controller.planning_settings import PlanningSettings
from controller.traffic import LoopSettings
from depot import commands as cmd
from depot.events import Envelope
from depot.ports import Clock
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.state import DepotState
from depot.values import ConnectorId
from grid.failsafe import FailsafePolicy
from grid.tariff import Tariff
from ocpp_server import Central, OpenDoor, Version, WireClosed
from simulator.day import Day, Stay
from simulator.personas import Persona
from simulator.plant import ConnectionPointMeter
from simulator.trace import Trace
from simulator.wire import PipeEnd, pipe
from simulator.world import World
from storage import Store

START = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)
AC = ConnectorSpec(1, 22_080, 4_140, Current.AC, (1, 2, 3), pausable=True)
DC = ConnectorSpec(1, 50_000, 5_000, Current.DC, voltage_v=400, pausable=True)
BASE_W = 6_000

Lose = Callable[[str, str, list[object]], bool]
"""``lose(station_id, "up" | "down", frame)``: True where the frame never arrives."""


def small_day(*, stations: int = 6, hours: float = 2.0, limits: tuple[tuple[float, int], ...] = (), failsafe_w: int = 15_000) -> Day:
    """Half DC, half AC, behind 60 kW; every vehicle could take more all the time."""
    specs = tuple(StationSpec(f"S{i}", "F", (DC if i % 2 else AC,)) for i in range(1, stations + 1))
    stays = tuple(
        Stay(
            vehicle_id=f"V{i}",
            connector=ConnectorId(spec.station_id, 1),
            arrive_s=60.0 * i,
            depart_s=hours * 3600 - 900 + 60.0 * i,
            stated_depart_s=hours * 3600 - 900 + 60.0 * i,
            need_wh=60_000,
            requested_wh=60_000,
            max_w=spec.connectors[0].rated_w,
            min_w=spec.connectors[0].min_w,
            battery_wh=200_000,
            soc_arrival=0.2,
        )
        for i, spec in enumerate(specs, start=1)
    )
    depot = DepotSpec("small", "Small", 60_000, failsafe_w, 8_000, (FeederSpec("F", 60_000),), specs, metered=True)
    return Day("small", START, hours * 3600, depot, stays, ((0.0, BASE_W),), ((0.0, 0.3),), limits=limits)


@dataclass(slots=True)
class Stage:
    """What a nemesis may touch. ``offline``: stations that cannot connect. ``lose``: which frames are lost."""

    day: Day
    clock: Clock
    store: Store
    journal: SqlJournal
    core: Core
    world: World
    lines: list[str]
    wires: dict[str, PipeEnd] = field(default_factory=dict)
    offline: set[str] = field(default_factory=set)
    lose: Lose = lambda _station, _way, _frame: False
    levels_w: dict[str, float] = field(default_factory=dict)
    """The last live limit that each station was sent, W."""
    _commands: int = 0

    async def at(self, t: float) -> None:
        """Wait until ``t`` seconds of the day."""
        await asyncio.sleep(max(0.0, t - self.world.plant.t()))

    def cut(self, *stations: str) -> None:
        """Take stations off the network; :meth:`back` lets them in again."""
        for station_id in stations:
            self.offline.add(station_id)
            if station_id in self.wires:
                self.wires[station_id].cut()

    def back(self, *stations: str) -> None:
        self.offline.difference_update(stations)

    async def limit(self, value_w: int) -> cmd.CommandResult:
        """A person limits the site; the plant's trace says so too."""
        self._commands += 1
        self.world.plant.set_limit("site", min(value_w, self.day.spec.contract_w))
        return await self.core.command(
            cmd.SetManualLimit(command_id=f"nemesis {self._commands}", actor="nemesis", reason="test", value_w=value_w)
        )

    async def powers(self, until_s: float, every_s: float = 1.0) -> list[int]:
        """Site power once a second until ``until_s`` of the day, W."""
        found = []
        while self.world.plant.t() < until_s:
            found.append(self.world.plant.site_power_w())
            await asyncio.sleep(every_s)
        return found


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a night. ``facts``: the journal, in order. ``lines``: the physical trace."""

    lines: list[str]
    facts: list[Envelope]
    book: StationBook
    state: DepotState
    plans: int
    violations: Mapping[str, Mapping[str, int]]


Nemesis = Callable[[Stage], Awaitable[None]]


def play(
    day: Day,
    nemesis: Nemesis,
    *,
    seed: int,
    personas: Mapping[str, Persona] | None = None,
    share_201: float = 0.5,
    planner: Callable[[Clock], Planner] = InlinePlanner,
    failsafe: FailsafePolicy | None = None,
    database: Path | None = None,
    loop: LoopSettings | None = None,
    clock_of: Callable[[Clock], Clock] = lambda clock: clock,
) -> Played:
    """Play ``day`` to its end with ``nemesis`` beside it. ``clock_of``: what the controller's clock is made of the
    world's; the stations keep the true one."""

    async def main(clock: VirtualClock) -> Played:
        store = Store.open(database)
        try:
            store.migrate([controller])
            return await _play(
                clock, clock_of(clock), store, day, nemesis, seed=seed, personas=personas or {}, share_201=share_201,
                planner=planner, failsafe=failsafe, loop=loop or LoopSettings(),
            )  # fmt: skip
        finally:
            store.close()

    return run_virtual(main, start=day.start)


async def _play(
    true_clock: Clock,
    clock: Clock,
    store: Store,
    day: Day,
    nemesis: Nemesis,
    *,
    seed: int,
    personas: Mapping[str, Persona],
    share_201: float,
    planner: Callable[[Clock], Planner],
    failsafe: FailsafePolicy | None,
    loop: LoopSettings,
) -> Played:
    lines: list[str] = []
    facts: list[Envelope] = []
    book = StationBook()
    serving: set[asyncio.Task[None]] = set()
    async with SqlJournal(store, day.spec.depot_id, clock=clock, writer="inline", snapshot_every=0) as journal:

        def journaled(envelopes: Sequence[Envelope], _: DepotState) -> None:
            facts.extend(envelopes)

        journal.subscribe(journaled)

        async def connect(station_id: str) -> PipeEnd:
            if station_id in stage.offline:
                raise ConnectionRefusedError(f"{station_id} has no network")
            near, far = pipe(
                lose_up=lambda text: _lost(stage, station_id, "up", text),
                lose_down=lambda text: _lost(stage, station_id, "down", text),
                central_closed=lambda code, reason: WireClosed(f"{code} {reason}"),
            )
            stage.wires[station_id] = near
            version = Version.of_subprotocol(world.stations[station_id].voice.subprotocol)
            task = asyncio.create_task(central.attach(far, station_id, remote="memory", version=version), name=f"serve {station_id}")
            serving.add(task)
            task.add_done_callback(serving.discard)
            return near

        world = World(
            day, personas=personas, seed=seed, clock=true_clock, connect=connect, share_201=share_201, trace=Trace(lines.append),
            on_limit=lambda w: orders.put_nowait(w),
        )  # fmt: skip
        book.watch(world)
        orders: asyncio.Queue[int] = asyncio.Queue()
        planning = PlanningSettings(cadence_s=300.0, spacing_s=60.0, horizon_h=3, demand_share=0.0)
        core = Core(
            CoreParts(
                day.spec, journal, clock, planner(clock), Tariff.named("stylised-tou", timezone="Asia/Kolkata"),
                meter=ConnectionPointMeter(world.plant, clock), failsafe=failsafe, planning=planning,
                desk=DeskSettings(heartbeat_s=300), loop=loop, look_s=10.0,
            )
        )  # fmt: skip
        stage = Stage(day, clock, store, journal, core, world, lines)

        async def obey() -> None:
            while True:
                await stage.limit(await orders.get())

        async with Central(spec=day.spec, events=core.desk, clock=clock, credentials=OpenDoor()) as central:
            core.attach(central, frames=central.frames)
            work = [asyncio.create_task(core.run(), name="core"), asyncio.create_task(obey(), name="orders")]
            for stay in day.stays:
                visit = announcement(stay, day.start)
                await core.command(cmd.AnnounceVisit(command_id=f"announce {visit.visit_id}", actor="timetable", visit=visit))
            try:
                async with world:
                    playing = [asyncio.create_task(world.run(), name="world"), asyncio.create_task(_beside(nemesis, stage), name="nemesis")]
                    ending = asyncio.gather(*playing)
                    done, _ = await asyncio.wait([ending, *work], return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                    await _drained(world)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
            violations = {name: dict(central.violations(name)) for name in world.stations}
        return Played(lines, facts, book, journal.state, core.planning.made, violations)


async def _beside(nemesis: Nemesis, stage: Stage) -> None:
    await asyncio.sleep(1.0)  # the controller runs
    await nemesis(stage)


async def _drained(world: World, patience_s: float = 600.0) -> None:
    """Let every station say what it still has to say."""
    for _ in range(round(patience_s)):
        if not any(len(station.outbox) for station in world.stations.values()):
            return
        await asyncio.sleep(1.0)


def _lost(stage: Stage, station_id: str, way: str, text: str) -> bool:
    frame = json.loads(text)
    if way == "down" and frame[0] == 2 and frame[2] == "SetChargingProfile":
        level_w = live_level_w(frame[3])
        if level_w is not None:
            stage.levels_w[station_id] = level_w
    return stage.lose(station_id, way, frame)


def live_level_w(payload: Mapping[str, object]) -> float | None:
    """The limit of a live profile in a SetChargingProfile of either version, W (A: three phases of 230 V); None for a
    default."""
    profile = payload.get("csChargingProfiles") or payload.get("chargingProfile")
    assert isinstance(profile, dict)
    if profile["chargingProfilePurpose"] != "TxProfile":
        return None
    schedule = profile["chargingSchedule"]
    if isinstance(schedule, list):
        schedule = schedule[0]
    return float(schedule["chargingSchedulePeriod"][0]["limit"]) * (1.0 if schedule["chargingRateUnit"] == "W" else 690.0)
