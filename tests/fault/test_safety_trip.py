"""A trip against real processes, sockets and deaths: it acts, and nothing but a person's reset ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from benchmarks.limit_drop import full_depot
from benchmarks.real_depot import RealDepot, child_named, open_depot, tell
from bms_bridge.contract import topic_of
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Cause, Trip
from controller.app.telemetry import vehicle_account
from controller.settings import Settings
from depot import commands as cmd
from depot.values import ConnectorId, PackKey, Role
from simulator.day import Stay
from simulator.demo_day import demo_spec

pytestmark = [pytest.mark.serial, pytest.mark.anyio, pytest.mark.timeout(240)]

SPEED = 4
"""Depot seconds in a second: a pack must be cool for 60 of them before its trip may be reset."""

TELEMETRY = '\n[telemetry]\nbroker = "embedded"\n[[telemetry.pack]]\nvehicle = "D00"\nchemistry = "LFP"\n'
VEHICLE = "D00"
PACK = PackKey(VEHICLE, "P1")


@dataclass
class Frames:
    """What went over the stations' sockets, newest last: (station, action, payload)."""

    got: list[tuple[str, str, Any]] = field(default_factory=list)

    def seen(self, station_id: str, way: str, frame: list[Any]) -> None:
        if way == "in" and frame[0] == 2:
            self.got.append((station_id, frame[2], frame[3]))

    def shut(self, key: ConnectorId) -> bool:
        """Whether the station was told Inoperative and a default of 0 since the last :meth:`forget`."""
        mine = [(action, data) for station, action, data in self.got if station == key.station_id]
        inoperative = any(action == "ChangeAvailability" and data["type"] == "Inoperative" for action, data in mine)
        profiles = [data["csChargingProfiles"] for action, data in mine if action == "SetChargingProfile"]
        levels = [
            p["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
            for p in profiles
            if p["chargingProfilePurpose"] == "TxDefaultProfile"
        ]
        return inoperative and bool(levels) and levels[-1] == 0

    def asked(self, key: ConnectorId, action: str) -> bool:
        return any(station == key.station_id and what == action for station, what, _ in self.got)

    def forget(self) -> None:
        self.got.clear()


@dataclass
class Unit:
    """The telematics unit of the one vehicle that is watched: says ``temperature_c`` twice a second until it is silent."""

    depot: RealDepot
    key: str
    temperature_c: float = 25.0

    async def run(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    "127.0.0.1", self.depot.settings.mqtt_port, username=VEHICLE, password=self.key, identifier="unit", timeout=5
                ) as client:
                    while True:
                        await client.publish(topic_of("demo", PACK), self._message(), qos=1)
                        await asyncio.sleep(0.5)
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # what the client said while it was closed has hidden the cancellation
                raise asyncio.CancelledError
            await asyncio.sleep(0.5)

    def _message(self) -> bytes:
        spread = [self.temperature_c + k * 0.3 for k in range(4)]
        return json.dumps(
            {"schema": "pack_telemetry/1", "reported_at": self.depot.clock.now().isoformat(), "temperatures_c": spread}
        ).encode()


@dataclass
class Scene:
    depot: RealDepot
    frames: Frames
    unit: Unit
    stay: Stay

    @property
    def at(self) -> ConnectorId:
        return self.stay.connector

    @property
    def power_w(self) -> float:
        return self.depot.world.plant.power_w(self.at)

    @property
    def tripped(self) -> list[str]:
        view = self.depot.link.view
        return [trip.vehicle_id for trip in view.trips] if view is not None else []

    async def start(self) -> cmd.CommandResult:
        command = cmd.StartCharging(command_id=f"start {datetime.now(UTC)}", actor="test", reason="test", connector=self.at)
        return await tell(self.depot.link, command)

    async def reset(self, role: Role) -> cmd.CommandResult:
        command = cmd.ResetPack(command_id=f"reset {datetime.now(UTC)}", actor="Asha", reason="cell replaced", pack=PACK, role=role)
        return await tell(self.depot.link, command)

    async def reset_when_cool(self) -> str:
        """Ask for the reset until it is granted: what the last refusal said. The minute counts from the first cool
        sample that arrived, which this side cannot know."""
        refusal = ""
        async with asyncio.timeout(60):
            while (result := await self.reset(Role.SAFETY_OFFICER)).status is not cmd.CommandStatus.DONE:
                refusal = result.message
                await asyncio.sleep(0.5)
        return refusal


@contextlib.asynccontextmanager
async def hot_depot(folder: Path) -> AsyncIterator[Scene]:
    """Three stations charge; the vehicle on the first one sends telemetry."""
    spec = demo_spec()
    day = full_depot(spec, start=datetime.now(UTC) + timedelta(seconds=4 * SPEED), duration_s=1800 * SPEED)
    day = type(day)(day.name, day.start, day.duration_s, day.spec, day.stays[:3], base_w=day.base_w, price=day.price, currency=day.currency)
    keys: list[str] = []

    def prepare(settings: Settings) -> None:
        keys.append(vehicle_account(settings, VEHICLE))

    frames = Frames()
    async with open_depot(
        day, speed=SPEED, seed=1, personas={}, seen=frames.seen, extra=TELEMETRY, folder=folder, also=("broker",), prepare=prepare
    ) as depot:
        scene = Scene(depot, frames, Unit(depot, keys[0]), day.stays[0])
        tasks = [asyncio.create_task(depot.world.run()), asyncio.create_task(scene.unit.run())]
        try:
            yield scene
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(what: Callable[[], bool], patience_s: float = 60.0) -> None:
    async with asyncio.timeout(patience_s):
        while not what():  # noqa: ASYNC110  # other processes tell nobody
            await asyncio.sleep(0.05)


async def test_a_trip_outlives_the_core_the_station_and_its_own_file_and_ends_by_a_person_alone(tmp_path: Path) -> None:
    async with hot_depot(tmp_path) as scene:
        depot, frames, key = scene.depot, scene.frames, scene.at
        await until(lambda: scene.power_w > 5_000)
        others = [stay.connector for stay in depot.day.stays[1:]]

        scene.unit.temperature_c = 62.0
        await until(lambda: scene.power_w == 0 and frames.shut(key))
        await until(lambda: scene.tripped == [VEHICLE])
        assert frames.asked(key, "RemoteStopTransaction")
        assert all(depot.world.plant.power_w(other) > 0 for other in others), "the others go on"

        depot.settings.latches.unlink()  # the journal alone knows now
        frames.forget()
        await depot.kill_core()
        await until(lambda: scene.tripped == [VEHICLE] and frames.shut(key))
        assert depot.settings.latches.read_text().count('"trip"') == 1, "written down again"
        assert (await scene.start()).status is cmd.CommandStatus.REFUSED

        frames.forget()
        depot.world.stations[key.station_id].answers.reset(hard=True)
        await until(lambda: frames.shut(key))
        assert (await scene.start()).status is cmd.CommandStatus.REFUSED
        assert not frames.asked(key, "RemoteStartTransaction")
        assert scene.power_w == 0

        assert "must be at" in (await scene.reset(Role.SAFETY_OFFICER)).message
        scene.unit.temperature_c = 30.0
        assert (await scene.reset(Role.MANAGER)).status is cmd.CommandStatus.REFUSED
        assert "wait another" in await scene.reset_when_cool()
        await until(lambda: not scene.tripped and scene.power_w > 1_000, 90)


async def test_a_latch_file_without_a_journal_is_believed(tmp_path: Path) -> None:
    with LatchFile.open(tmp_path / "demo.latches") as latches:
        latches.trip(Trip(PACK, Cause.OVER_TEMPERATURE, {"hottest_c": "61", "sensor": "2", "limit_c": "60"}), datetime.now(UTC))
    async with hot_depot(tmp_path) as scene:
        await until(lambda: scene.tripped == [VEHICLE])
        await until(lambda: scene.frames.shut(scene.at))
        await until(lambda: all(scene.depot.world.plant.power_w(stay.connector) > 0 for stay in scene.depot.day.stays[1:]))
        assert scene.power_w == 0
        assert not scene.frames.asked(scene.at, "RemoteStartTransaction")


async def test_a_dead_broker_slows_charging_down_and_latches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # chargers that tell no temperature: else they would speak for the vehicle, and nothing need be held back
    monkeypatch.setattr("simulator.configuration._SAMPLED", ("Power.Active.Import", "Energy.Active.Import.Register"))
    async with hot_depot(tmp_path) as scene:
        depot = scene.depot
        await until(lambda: scene.power_w > 10_000)
        await asyncio.sleep(1.0)
        broker = child_named(depot.supervisor.pid, "controller.app.broker_process")
        assert broker is not None
        before_w = scene.power_w
        os.kill(broker, signal.SIGSTOP)  # there, but silent: its supervisor does not start another one
        try:
            await until(
                lambda: any(n.title == "Telemetry of all vehicles lost" for n in depot.link.view.notices) if depot.link.view else False
            )
            await until(lambda: scene.power_w <= before_w * 0.6)
            assert scene.power_w > 0
            assert scene.tripped == []
        finally:
            os.kill(broker, signal.SIGCONT)
        await until(lambda: scene.power_w > before_w * 0.8, 90)
        assert depot.settings.latches.read_bytes() == b""
