"""A small yard with its safety, outputs on a simulated I/O module, and the whole response: what a real core has, without its database."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "unit"))

from outputs_kit import BUILT, points
from small_yard import SmallYard

from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source
from bms_bridge.latches import LatchFile
from controller import drill as drill_rules
from controller.desk import Desk, DeskSettings
from controller.drill_room import DrillParts, DrillRoom
from controller.emergency_desk import EmergencyDesk
from controller.evacuation_room import EvacuationRoom
from controller.incident_room import IncidentRoom
from controller.incident_signals import Signals
from controller.names import NameBook
from controller.output_latches import IsolationFile
from controller.outputs import OutputParts, Outputs
from controller.packs import DeclaredPack, KnownPacks
from controller.reached import Reached
from controller.response_room import ResponseRoom
from controller.response_sight import OutputsOf
from controller.safety import Safety, SafetyParts
from depot import commands as cmd
from depot.events import Envelope, NewEvent
from depot.outputs import OutputSpec
from depot.values import PackKey, Role
from grid.modbus_link import Peer
from grid.output_module import OutputModule, Watchdog
from simulator.io_module import WATCHDOG, IoModule

BUS = PackKey("BUS1", "P1")
COOL, HOT = (30.0, 30.2, 30.4, 29.8), (62.0, 61.2, 60.8, 61.0)


async def inline(work: Callable[[], None]) -> None:
    work()


class EmergencyDepot(SmallYard):
    """:meth:`begin` is a start of the process on the same files and facts. ``open``: cleared, the journal takes nothing."""

    def __init__(self, folder: Path, outputs: Sequence[OutputSpec] = BUILT, *, schedule: drill_rules.Schedule | None = None) -> None:
        super().__init__()
        self.folder, self.built, self.schedule = folder, outputs, schedule
        self.open = asyncio.Event()
        self.open.set()
        self.landed: list[Callable[..., None]] = []
        append = self.journal.append

        async def patient(events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]:
            if wait:
                await self.open.wait()
            facts = await append(events, wait=wait)
            for told in self.landed:
                told([fact for fact in facts if not fact.duplicate], self.journal.state)
            return facts

        self.journal.append = patient  # type: ignore[method-assign]  # in front of the real one
        self.desk_room = Desk(self.yard, self.loop, DeskSettings(), replan=self.replans.append)
        self.begin()

    def begin(self) -> None:
        self.yard.isolated.clear()
        self.yard.cut.clear()
        self.yard.pack_share.clear()
        self.loop.on_ready.clear()
        self.loop.on_reading.clear()
        self.landed.clear()
        packs = KnownPacks([DeclaredPack(BUS, Chemistry.LFP)], otherwise=None, yard=self.yard)
        latches = LatchFile.open(self.folder / "latches")
        parts = SafetyParts(latches, packs, self.desk_room.restore_default, self.replans.append, None, inline, look_s=0.05)
        self.safety = Safety(self.yard, self.loop, parts)
        self.outputs = Outputs(
            self.yard,
            self.loop,
            OutputParts(
                self.built, IsolationFile.open(self.folder / "isolations"), self.desk_room.restore_default, self.replans.append,
                look_s=0.05, response=self.safety.response_of, cut=self.safety.cut,
            ),
        )  # fmt: skip
        self.safety.isolation.on_change.append(self.outputs.look)
        self.desk = EmergencyDesk(self.yard)
        self.names = NameBook(self.folder, "small", who="person")
        signals = Signals()
        self.safety.on_sample.append(signals.heard)
        self.incidents = IncidentRoom(self.desk, self.folder / "incidents", signals, self.names, tripped=lambda: self.safety.guard.tripped)
        self.landed.append(self.incidents.landed)
        self.reached = Reached(None, "small")
        self.evacuations = EvacuationRoom(
            self.desk,
            self.names,
            clear=lambda: self.responses.clear(),
            open_incident=lambda area, text: self.incidents.open(cause="evacuation", text=text, area=area),
        )
        self.safety.against.append(self.evacuations.against_reset)
        self.outputs.alarmed = self.evacuations.areas
        self.evacuations.on_begin.append(self.outputs.look)
        self.responses = ResponseRoom(
            self.desk, self.safety, self.evacuations, open_incident=self.incidents.open, reached=self.reached,
            outputs=OutputsOf(self.outputs) if self.built else None, cut_off=self.outputs.cut_off,
        )  # fmt: skip
        self.drills = DrillRoom(
            self.desk, self.loop, self.evacuations, self.incidents,
            DrillParts(
                latches=self.folder / "drill.latches", outputs=lambda: self.built, test=self._test, telemetry=lambda: None,
                tripped=lambda: self.safety.guard.tripped, reached=self.reached, schedule=self.schedule, poll_s=0.02,
            ),
        )  # fmt: skip
        self.safety.on_trip.append(self.drills.tripped)
        self.rooms = (self.safety, self.outputs, self.responses, self.evacuations, self.incidents, self.drills)
        for room in self.rooms:
            self.orders.carriers.update(room.commands)
        self.orders.urgent.update(self.outputs.urgent)
        self.orders.urgent.update(self.evacuations.urgent)

    async def _test(self, output_id: str) -> cmd.CommandResult:
        return await self.orders.execute(
            cmd.TestOutput(command_id=f"t {output_id} {len(self.journal.facts)}", actor="drill", output_id=output_id)
        )

    @asynccontextmanager
    async def running(self, module: IoModule | None = None) -> AsyncIterator[None]:
        """Everything runs; leaving it is a kill: nothing is ended in order."""
        tasks = [asyncio.create_task(self.loop.run())]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(room.run()) for room in self.rooms]
        async with AsyncExitStack() as stack:
            if module is not None:
                driver = OutputModule(
                    Peer(host="127.0.0.1", port=module.port, timeout_s=0.3), points(self.built), order=self.outputs.order,
                    now=self.outputs.parts.steady, watchdog=Watchdog(WATCHDOG), alive=self.outputs.alive, on_read=self.outputs.look,
                    period_s=0.1,
                )  # fmt: skip
                self.outputs.attach({spec.output_id: driver for spec in self.built})
                tasks.append(asyncio.create_task(driver.run()))
            stack.callback(self.outputs.parts.latches.close)
            stack.callback(self.safety.parts.latches.close)
            await asyncio.sleep(0.01)
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def charging(self) -> None:
        from small_yard import ONE

        self.arrive(ONE, "BUS1")
        self.session(ONE, power_w=40_000)

    def stopped(self) -> None:
        """The charger obeyed: its session is over."""
        from small_yard import ONE

        from depot import events as ev

        transaction = self.yard.state.transaction_on(ONE)
        if transaction is not None:
            self.put(ev.TransactionStopped(transaction.transaction_id, ONE, 5_000, "Remote"))
        grant = self.yard.grants[ONE]
        grant.in_session, grant.measured_w = False, 0

    def says(self, *temperatures: float, **more: Any) -> None:
        now = self.clock.now()
        told: dict[str, Any] = {"source": Source.HTTP, "received_at": now, "reported_at": now, **more}
        self.safety.hear(PackSample(pack=BUS, temperatures_c=temperatures, **told))

    def cools(self) -> None:
        """It is cool for more than a minute."""
        for _ in range(8):
            self.clock.at += timedelta(seconds=10)
            self.says(*COOL)

    async def order(self, kind: type[cmd.Command], **more: Any) -> cmd.CommandResult:
        number = f"{kind.__name__} {len(self.journal.facts)} {len(self.orders.recent)}"
        return await self.orders.execute(kind(command_id=number, actor="sam", **({"reason": "as it is"} | more)))

    async def shift(self, *people: str) -> None:
        entries = tuple(cmd.ShiftEntry(person, name.title(), "driver") for person, name in ((p, f"name {p}") for p in people))
        result = await self.order(cmd.SetShift, people=entries)
        assert result.status is cmd.CommandStatus.DONE, result.message

    async def reset(self) -> cmd.CommandResult:
        return await self.order(cmd.ResetPack, pack=BUS, role=Role.SAFETY_OFFICER)

    def named(self, kind: type) -> list[Any]:
        return [fact.data for fact in self.journal.facts if isinstance(fact.data, kind)]


async def until(holds: Callable[[], bool], within_s: float = 8.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
