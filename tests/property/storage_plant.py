"""The depot of :mod:`limiter_plant` with a stationary battery and the sun: the real loop, the real room of assets, the simulator's
battery. Judged by what flows at the connection, as the other is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

from limiter_plant import COMPLY_S, START, STEP_S, Happening, Plant, Scenario, Verdicts

from controller.assets_room import AssetsRoom
from controller.clock import VirtualClock, run_virtual
from depot.assets import AssetMode, AssetState, PvReading, PvSpec, StorageReading, StorageSpec
from depot.events import AssetModeSet, NewEvent
from depot.values import Outcome, Plan
from simulator.battery_unit import BatteryUnit


@dataclass(slots=True)
class Rim:
    """A battery in memory: it answers within moments, or is away, or refuses. Its order reverts by its own clock."""

    spec: StorageSpec
    unit: BatteryUnit
    away: bool = False
    refuses: bool = False
    reading: StorageReading | None = None
    trouble: str = ""
    orders: list[int] = field(default_factory=list)

    async def order(self, power_w: int, *, reversion_s: int) -> Outcome:
        await asyncio.sleep(0.1)
        if self.away:
            return Outcome.UNKNOWN
        if self.refuses:
            return Outcome.ERROR
        self.unit.step()
        self.orders.append(power_w)
        self.unit.reverts_after_s, self.unit.wanted_w, self.unit.reverts_to_w, self.unit.stays_enabled = reversion_s, -power_w, 0.0, True
        self.unit.enable(True)
        await asyncio.sleep(0.05)
        return Outcome.ACCEPTED


@dataclass(slots=True)
class SunRim:
    """A solar plant in memory that nobody curtails."""

    spec: PvSpec
    gives_w: float = 0.0
    reading: PvReading | None = None
    trouble: str = ""

    async def limit(self, share: float, *, reverts_to: float, reversion_s: int) -> Outcome:
        return Outcome.UNSUPPORTED


class StoragePlant(Plant):
    """``base_w`` is what flows beside the chargers: base load, battery, sun."""

    def __init__(self, scenario: Scenario, clock: VirtualClock, *, spec: StorageSpec, soc: float, sun_w: float = 0.0) -> None:
        self._base_w = 0.0
        self.unit: BatteryUnit | None = None
        self.sun: SunRim | None = None
        super().__init__(scenario, clock)
        self.unit = BatteryUnit(
            self.t, capacity_wh=spec.capacity_wh, charge_w=spec.charge_w, discharge_w=spec.discharge_w, loss=1 - spec.efficiency, soc=soc
        )
        self.rim = Rim(spec, self.unit)
        self.sun = SunRim(PvSpec("sun", max(1, round(sun_w))), sun_w)
        self.replans: list[str] = []
        self.room = AssetsRoom(self.yard, self.loop, batteries=[self.rim], plants=[self.sun], replan=self.replans.append)
        self.peaks: list[float] = []
        self.given_wh_by_battery = 0.0
        self._before_w = 0.0

    @property
    def base_w(self) -> float:
        stored = -self.unit.step() if self.unit is not None else 0.0
        return self._base_w + stored - (self.sun.gives_w if self.sun is not None else 0.0)

    @base_w.setter
    def base_w(self, watts: float) -> None:
        self._base_w = watts

    async def _play(self) -> None:
        self.spawn(self.room.run(), "assets")
        self.spawn(self.tell(), "readings")
        self.spawn(self.watch(), "watch")
        await super()._play()

    async def tell(self) -> None:
        """What the devices say once a second, a little after the meter."""
        await asyncio.sleep(0.3)
        while True:
            now = self.clock.now()
            assert self.unit is not None
            assert self.sun is not None
            if not self.rim.away:
                soc = self.unit.soc if self.unit.says_soc is None else self.unit.says_soc
                state = AssetState.FAULT if self.unit.fault else AssetState.RUNNING
                self.rim.reading = StorageReading(now, -round(self.unit.step()), soc=soc, state=state)
            self.sun.reading = PvReading(now, round(self.sun.gives_w), AssetState.RUNNING)
            await asyncio.sleep(1.0)

    async def watch(self) -> None:
        """What a battery stops to give by itself is background that jumps: the limiter gets its time, as for a cloud."""
        while True:
            await asyncio.sleep(STEP_S)
            assert self.unit is not None
            power_w = self.unit.step()
            alone = self.unit.fault or self.unit.reversions or self.unit.soc <= 0.001
            if alone and power_w < self._before_w - 100:
                self.grace[""] = max(self.grace[""], self.t() + COMPLY_S)
            self._before_w = power_w
            self.given_wh_by_battery += max(0.0, power_w) * STEP_S / 3600
            self.peaks.append(self.base_w + sum(outlet.power_w for outlet in self.outlets.values()))

    async def happen(self, h: Happening) -> None:
        assert self.unit is not None
        assert self.sun is not None
        self.note(f"{h.what} {h.value:.0f} for {h.lasts:.0f}")
        if h.what == "sun":
            if h.value < self.sun.gives_w:
                self.grace[""] = max(self.grace[""], self.t() + COMPLY_S)
            self.sun.gives_w = h.value
        elif h.what == "battery away":
            self.rim.away = True
            await asyncio.sleep(h.lasts)
            self.rim.away = False
        elif h.what == "battery refuses":
            self.rim.refuses = True
            await asyncio.sleep(h.lasts)
            self.rim.refuses = False
        elif h.what == "battery fault":
            self.unit.fault = True
            await asyncio.sleep(h.lasts)
            self.unit.fault = False
        elif h.what in ("standby", "auto"):
            fact = AssetModeSet(self.rim.spec.asset_id, AssetMode(h.what), "test")
            await self.journal.append([NewEvent(fact, self.clock.now())])
        elif h.what == "battery lies":
            self.unit.says_soc = h.value / 100
        elif h.what == "battery plan":
            now = self.clock.now()
            before = self.yard.plan
            rows = {} if before is None else before.power_w
            self.yard.plan = Plan(
                "p", now, now, 300, rows, (0,) * 12, now + timedelta(seconds=3600), storage_w={self.rim.spec.asset_id: (int(h.value),) * 12}
            )
            self.loop.wake()
        else:
            await super().happen(h)


def play(scenario: Scenario, *, spec: StorageSpec, soc: float = 0.5, sun_w: float = 0.0) -> tuple[Verdicts, StoragePlant]:
    """Run one scenario to its end in virtual time."""
    kept: list[StoragePlant] = []

    async def main(clock: VirtualClock) -> Verdicts:
        kept.append(StoragePlant(replace(scenario), clock, spec=spec, soc=soc, sun_w=sun_w))
        return await kept[0].run()

    return run_virtual(main, start=START), kept[0]
