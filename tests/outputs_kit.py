"""A small yard with outputs on a simulated I/O module, over a real socket. Contactors of feeder A, of CP-1's bay, of the site."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "unit"))

from small_yard import SmallYard

from controller.desk import Desk, DeskSettings
from controller.output_latches import IsolationFile
from controller.output_rules import Proof
from controller.outputs import OutputParts, Outputs
from depot import commands as cmd
from depot.outputs import Area, OutputKind, OutputSpec
from depot.values import Role
from grid.modbus_link import Peer, Table
from grid.output_module import Input, OutputModule, Point, Watchdog
from simulator.io_module import WATCHDOG, IoModule

BAY, FEEDER, SITE = Area.of("bay", "CP-1"), Area.of("feeder", "A"), Area.of("site", "")
KC = OutputKind.CONTACTOR


def contactor(output_id: str, area: Area, **more: Any) -> OutputSpec:
    """Quick: it settles within 0.3 s and waits for the current at most 0.3 s."""
    return OutputSpec(output_id=output_id, kind=KC, area=area, **({"settle_s": 0.3, "opens_after_s": 0.3, "watched": True} | more))


BUILT = (
    contactor("K-bay", BAY),
    contactor("K-feeder", FEEDER),
    contactor("K-site", SITE),
    OutputSpec(output_id="siren", kind=OutputKind.SIREN, area=SITE, falls_safe=False, proven=False, settle_s=0.3),
    OutputSpec(output_id="fan", kind=OutputKind.VENTILATION, area=FEEDER, falls_safe=True, settle_s=0.3),
)
"""On relays 0 to 4, in this order."""


def points(outputs: Sequence[OutputSpec] = BUILT) -> list[Point]:
    """Contactors and the fan are held by their coils; the siren sounds while its coil is on."""
    return [
        Point(
            spec.output_id,
            number,
            on_is_emergency=not spec.falls_safe,
            read_back=Input(Table.DISCRETE, number, not spec.falls_safe) if spec.proven else None,
        )
        for number, spec in enumerate(outputs)
    ]


class OutputDepot(SmallYard):
    """``room`` and ``driver`` of this moment; :meth:`begin` is a start of the process on the same files."""

    def __init__(self, folder: Path, outputs: Sequence[OutputSpec] = BUILT) -> None:
        super().__init__()
        self.folder, self.outputs = folder, outputs
        self.desk = Desk(self.yard, self.loop, DeskSettings(), replan=self.replans.append)
        self.room = self.begin()

    def begin(self) -> Outputs:
        self.yard.cut.clear()
        self.loop.on_ready.clear()
        parts = OutputParts(
            self.outputs, IsolationFile.open(self.folder / "isolations"), self.desk.restore_default, self.replans.append, look_s=0.05
        )
        self.room = Outputs(self.yard, self.loop, parts)
        self.orders.carriers.update(self.room.commands)
        self.orders.urgent.update(self.room.urgent)
        return self.room

    @asynccontextmanager
    async def running(self, module: IoModule | None, *, alive: Callable[[], bool] = lambda: True) -> AsyncIterator[None]:
        """The room runs, with its driver."""
        tasks = [asyncio.create_task(self.loop.run())]
        await asyncio.sleep(0)  # the loop takes work from now on
        tasks.append(asyncio.create_task(self.room.run()))
        if module is not None:
            driver = OutputModule(
                Peer(host="127.0.0.1", port=module.port, timeout_s=0.3),
                points(self.outputs),
                order=self.room.order,
                now=self.room.parts.steady,
                watchdog=Watchdog(WATCHDOG),
                alive=lambda: self.room.alive() and alive(),
                on_read=self.room.look,
                period_s=0.1,
            )
            self.room.attach({spec.output_id: driver for spec in self.outputs})
            tasks.append(asyncio.create_task(driver.run()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.room.parts.latches.close()

    async def isolate(self, area: Area) -> cmd.CommandResult:
        number = f"i{len(self.journal.facts)}-{area}"
        return await self.orders.execute(cmd.IsolateArea(command_id=number, actor="ola", reason="smoke", area=area))

    async def reset(self, area: Area, role: Role = Role.SAFETY_OFFICER) -> cmd.CommandResult:
        number = f"r{len(self.journal.facts)}-{role}"
        return await self.orders.execute(cmd.ResetArea(command_id=number, actor="sam", reason="all clear", area=area, role=role))

    async def test(self, output_id: str) -> cmd.CommandResult:
        number = f"t{len(self.journal.facts)}"
        return await self.orders.execute(cmd.TestOutput(command_id=number, actor="sam", reason="monthly", output_id=output_id))

    def proven(self, *output_ids: str) -> bool:
        """Whether all these are confirmed to do what they are told."""
        tracks = self.room.tracks
        return all(name in tracks and tracks[name].proof in (Proof.CONFIRMED, Proof.WRITTEN) for name in output_ids)

    def named(self, kind: type) -> list[Any]:
        return [fact.data for fact in self.journal.facts if isinstance(fact.data, kind)]

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for the look after which it is so."""
        while not done():
            await self.room._stepped.wait()
