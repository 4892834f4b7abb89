"""A depot of stations of both versions, played on the virtual clock: the whole controller against simulated stations.

The frames between them are written down as they pass, so that a test can say what was really spoken.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import controller
from controller.app.announcing import announcement
from controller.app.night import as_registered
from controller.app.trace_slots import TraceSlots, trace_to_slots
from controller.clock import VirtualClock, run_virtual
from controller.core import Core, CoreParts
from controller.desk import DeskSettings
from controller.journal import SqlJournal
from controller.planner import InlinePlanner
from controller.planning_settings import PlanningSettings
from controller.smart_charging_room import SmartCharging
from depot.commands import AnnounceVisit, SetManualLimit
from depot.events import Envelope, TransactionStarted, TransactionStopped
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.state import DepotState
from depot.values import ConnectorId
from grid.tariff import Tariff
from ocpp_server import Central, OpenDoor, Version, WireClosed
from ocpp_server.desks import Desks
from simulator.day import Day, Stay
from simulator.personas import Persona
from simulator.trace import Trace
from simulator.wire import PipeEnd, pipe
from simulator.world import World
from storage import Store

HOURS = 3.0
AC = ConnectorSpec(1, 22_080, 4_140, Current.AC, (1, 2, 3))
DC = ConnectorSpec(1, 50_000, 5_000, Current.DC, voltage_v=400)


@dataclass
class Night:
    """``spoken``: (station, action) of every call, both ways. ``violations``: what the central system counted.
    ``sessions_wh``: energy of the closed sessions of each connector, as the journal has it.
    ``interrupted``: connectors with a session when the charger side was lost."""

    slots: TraceSlots
    state: DepotState
    spoken: list[tuple[str, str]] = field(default_factory=list)
    violations: dict[str, dict[str, int]] = field(default_factory=dict)
    modern: frozenset[str] = frozenset()
    sessions_wh: dict[str, list[int]] = field(default_factory=dict)
    interrupted: list[str] = field(default_factory=list)

    def actions(self, station_id: str) -> set[str]:
        return {action for station, action in self.spoken if station == station_id}


def mixed_day(stations: int = 6) -> Day:
    """Half DC, half AC, behind 60 kW that drop to 40 kW for twenty minutes; every vehicle could take more."""
    specs = tuple(StationSpec(f"S{i}", "F", (DC if i % 2 else AC,)) for i in range(1, stations + 1))
    stays = tuple(
        Stay(
            vehicle_id=f"V{i}",
            connector=ConnectorId(spec.station_id, 1),
            arrive_s=240.0 * i,
            depart_s=(HOURS - 0.5) * 3600 + 120.0 * i,
            stated_depart_s=(HOURS - 0.5) * 3600 + 120.0 * i,
            need_wh=12_000,
            requested_wh=12_000,
            max_w=spec.connectors[0].rated_w,
            min_w=spec.connectors[0].min_w,
            battery_wh=60_000,
            soc_arrival=0.4,
        )
        for i, spec in enumerate(specs, start=1)
    )
    depot = DepotSpec("mixed", "Mixed", 60_000, 15_000, 8_000, (FeederSpec("F", 60_000),), specs, metered=True)
    return Day(
        "mixed", datetime(2026, 1, 12, 12, 0, tzinfo=UTC), HOURS * 3600, depot, stays, ((0.0, 6_000),), ((0.0, 0.3),),
        limits=((3600.0, 40_000), (4800.0, 60_000)),
    )  # fmt: skip


EMS_S, EMS_LASTS_S, EMS_W = 5400.0, 1200.0, 6_000
"""When an energy manager limits a station, how long, and how low."""


def play(
    *,
    seed: int,
    share_201: float,
    personas: Mapping[str, Persona] | None = None,
    restart_at_s: float | None = None,
    high_level: bool = False,
) -> Night:
    """Play :func:`mixed_day`; a limit of the day is given as the operator's. ``restart_at_s``: the charger side is lost
    then with all that it remembers, and another one takes its place. ``high_level``: vehicles at 2.0.1 stations speak ISO
    15118, and an energy manager limits one of these stations for a while."""
    day = mixed_day()
    day = replace(day, spec=as_registered(day, personas or {}))

    async def main(clock: VirtualClock) -> Night:
        return await _play(
            clock, day, seed=seed, share_201=share_201, personas=personas or {}, restart_at_s=restart_at_s, high_level=high_level
        )

    return run_virtual(main, start=day.start)


async def _play(
    clock: VirtualClock,
    day: Day,
    *,
    seed: int,
    share_201: float,
    personas: Mapping[str, Persona],
    restart_at_s: float | None,
    high_level: bool,
) -> Night:
    store = Store.open(None)
    store.migrate([controller])
    lines: list[str] = []
    spoken: list[tuple[str, str]] = []
    serving: set[asyncio.Task[None]] = set()
    orders: asyncio.Queue[SetManualLimit] = asyncio.Queue()
    starts_wh: dict[int, int] = {}
    sessions_wh: dict[str, list[int]] = {}
    interrupted: list[str] = []

    def journaled(envelopes: Sequence[Envelope], _: DepotState) -> None:
        for envelope in envelopes:
            if isinstance(envelope.data, TransactionStarted):
                starts_wh[envelope.data.transaction_id] = envelope.data.meter_start_wh
            elif isinstance(envelope.data, TransactionStopped):
                energy = envelope.data.meter_stop_wh - starts_wh[envelope.data.transaction_id]
                sessions_wh.setdefault(str(envelope.data.connector), []).append(energy)

    async with SqlJournal(store, day.spec.depot_id, clock=clock, writer="inline", snapshot_every=0) as journal:
        journal.subscribe(journaled)

        async def connect(station_id: str) -> PipeEnd:
            def heard(text: str) -> bool:
                message = json.loads(text)
                if message[0] == 2:
                    spoken.append((station_id, message[2]))
                return False

            near, far = pipe(lose_up=heard, lose_down=heard, central_closed=lambda code, reason: WireClosed(f"{code} {reason}"))
            version = Version.of_subprotocol(world.stations[station_id].voice.subprotocol)
            task = asyncio.create_task(centrals[-1].attach(far, station_id, remote="memory", version=version))
            serving.add(task)
            task.add_done_callback(serving.discard)
            return near

        world = World(
            day,
            personas=personas,
            seed=seed,
            clock=clock,
            connect=connect,
            share_201=share_201,
            high_level=[spec.station_id for spec in day.spec.stations] if high_level else (),
            trace=Trace(lines.append),
            on_limit=lambda w: orders.put_nowait(SetManualLimit(command_id=f"limit {w}", actor="operator", reason="test", value_w=w)),
        )
        planning = PlanningSettings(cadence_s=900.0, spacing_s=180.0, horizon_h=3, demand_share=0.0)
        tariff = Tariff.named("stylised-tou", timezone="Asia/Kolkata")
        planner = InlinePlanner(clock, charge_s=2.0)
        core = Core(
            CoreParts(
                day.spec, journal, clock, planner, tariff, meter=world.meter, planning=planning, desk=DeskSettings(heartbeat_s=900),
                look_s=10.0,
            )
        )  # fmt: skip
        centrals: list[Central] = []
        smart = SmartCharging(core.yard, core.loop, tariff, replan=core.planning.request)
        core.add(smart)

        async def manage_energy() -> None:
            station = next((s.high_level for s in world.stations.values() if s.high_level is not None), None)
            if station is not None:
                await clock.sleep(EMS_S)
                station.limit(EMS_W)
                await clock.sleep(EMS_LASTS_S)
                station.limit(None)

        async def serve(stack: AsyncExitStack) -> None:
            desks = Desks(smart_charging=smart)
            central = Central(spec=day.spec, events=core.desk, clock=clock, credentials=OpenDoor(), desks=desks)
            centrals.append(await stack.enter_async_context(central))
            core.attach(central, frames=central.frames, stations=central)

        async def restart(stack: AsyncExitStack, at_s: float) -> None:
            await clock.sleep(at_s)
            interrupted.extend(sorted(str(t.connector) for t in journal.state.transactions.values()))
            await centrals[-1].__aexit__(None, None, None)
            await serve(stack)

        async def obey() -> None:
            while True:
                await core.command(await orders.get())

        async with AsyncExitStack() as stack:
            await serve(stack)
            work = [asyncio.create_task(core.run()), asyncio.create_task(obey())]
            managing = asyncio.create_task(manage_energy())
            again = asyncio.create_task(restart(stack, restart_at_s)) if restart_at_s is not None else None
            for stay in day.stays:
                visit = announcement(stay, day.start)
                await core.command(AnnounceVisit(command_id=f"announce {visit.visit_id}", actor="timetable", visit=visit))
            try:
                async with world:
                    playing = asyncio.create_task(world.run())
                    done, _ = await asyncio.wait([playing, *work], return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                    if again is not None:
                        again.result()
            finally:
                for task in (*work, managing):
                    task.cancel()
                await asyncio.gather(*work, managing, return_exceptions=True)
            modern = frozenset(name for name, station in world.stations.items() if station.voice.subprotocol == "ocpp2.0.1")
            counted = {name: dict(centrals[-1].violations(name)) for name in world.stations}
        return Night(trace_to_slots(lines, 900), journal.state, spoken, counted, modern, sessions_wh, interrupted)
