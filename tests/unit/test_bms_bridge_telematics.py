"""The simulated vehicles' telematics, read by the real contract, and a hot pack through the real broker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from simulator_central import START, small_day, stay

from bms_bridge.accounts import Accounts, Kind, new_account
from bms_bridge.broker import serving
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, parse
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.mqtt import MqttSettings, TelemetryLink
from bms_bridge.verdicts import Cause, Derate, Trip, Verdict
from controller.clock import ScaledClock
from depot.registry import Current
from depot.values import ConnectorId, PackKey
from simulator.agenda import Agenda
from simulator.battery_faults import HotPack, Silence, WrongClock
from simulator.cells import LFP
from simulator.pack import Pack
from simulator.plant import Plant
from simulator.telematics import BrokerAddress, Telematics, Unit, unit_of

CP1 = ConnectorId("CP1", 1)
PACK = PackKey("BUS7", "P1")


class StillClock:
    """Time that stands."""

    def now(self) -> datetime:
        return START.astimezone(UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def battery(temp_c: float = 30.0) -> Pack:
    return Pack(320_000, 0.5, need_wh=100_000, temp_c=temp_c, ambient_c=temp_c)


def unit(**changes: float) -> Unit:
    found = unit_of("pune-1", PACK.vehicle_id, 320_000, make=LFP, seed=1)
    found.clock_off_s = changes.get("clock_off_s", 0.0)
    return found


def said(unit: Unit, *, pack_c: float = 30.0, power_w: float = 0.0) -> PackSample:
    clock = StillClock()
    found = parse("pune-1", unit.topic, unit.message(clock, battery(pack_c), power_w=power_w), received_at=clock.now())
    assert isinstance(found, PackSample), found
    return found


def test_a_unit_speaks_the_contract() -> None:
    found = said(unit(clock_off_s=40.0), power_w=120_000)
    assert found.pack == PACK
    assert found.soc == 0.5
    assert len(found.temperatures_c) == 4
    assert all(c is not None and abs(c - 30) < 2 for c in found.temperatures_c)
    assert found.reported_at is not None
    assert (found.reported_at - START).total_seconds() == 40
    assert found.voltage_v is not None
    assert found.current_a is not None
    assert found.current_a * found.voltage_v == pytest.approx(120_000 * 0.9, rel=0.01)
    assert found.cell_min_v is not None
    assert found.cell_max_v is not None
    assert found.cell_min_v < found.voltage_v / 192 < found.cell_max_v


def test_an_old_unit_speaks_the_first_version_and_a_new_one_tells_each_cell() -> None:
    new, old = unit(), unit()
    old.version = 1
    told, less = said(new, power_w=50_000), said(old, power_w=50_000)
    assert len(told.cells_v) == 192
    assert told.insulation_ohm is not None
    assert told.limit_a is not None
    assert (told.stop, told.firmware, less.cells_v, less.limit_a) == (False, "sim 2.0", (), None)


def test_a_hot_pack_warms_while_it_charges_and_cools_when_it_is_stopped() -> None:
    told = unit()
    told.cells.faults.append(HotPack(after_s=60, rise_k_per_min=4, alarm_c=58))
    pack = battery()
    told.advance(50, pack, power_w=10_000)
    assert told.cells.excess_k == 0
    for _ in range(90):
        told.advance(5, pack, power_w=10_000)
    assert told.cells.excess_k == pytest.approx(30, abs=1)
    hot = said(told)
    assert hot.temperatures_c[0] is not None
    assert hot.temperatures_c[0] > 58
    assert hot.alarms == ("over_temperature",)
    told.advance(3600, pack, power_w=0)
    assert told.cells.excess_k < 1
    assert said(told).alarms == ()


def test_a_unit_falls_silent_and_its_clock_is_set() -> None:
    told, pack = unit(), battery()
    told.cells.faults += [Silence(after_s=30), WrongClock(after_s=10, by_s=-3600)]
    assert (told.speaks, told.clock_error_s) == (True, 0)
    told.advance(20, pack, power_w=0)
    assert (told.speaks, told.clock_error_s) == (True, -3600)
    told.advance(20, pack, power_w=0)
    assert not told.speaks


def test_what_goes_wrong_reaches_a_unit_that_is_there_and_one_that_comes() -> None:
    clock = StillClock()
    plant = Plant(small_day(current=Current.DC), clock=clock, agenda=Agenda(clock))
    plant.plug(stay())
    vehicle = plant.vehicle(CP1)
    assert vehicle is not None
    name = vehicle.stay.vehicle_id
    telematics = Telematics(plant, [CP1], depot_id="d", broker=BrokerAddress(), clock=clock, seed=1)
    telematics.heat(name)
    there = telematics._unit(vehicle)
    assert there.cells.faults == [HotPack(after_s=0.0)]
    telematics.mend(name)
    assert there.cells.faults == []
    there.plugged_s = 500.0
    telematics.heat(name, HotPack(after_s=20, rise_k_per_min=9))
    assert there.cells.faults == [HotPack(after_s=520, rise_k_per_min=9)]


@pytest.mark.anyio
async def test_a_hot_pack_at_a_charger_is_derated_and_then_tripped(tmp_path: Path) -> None:
    clock = ScaledClock.starting(START, 60)
    vehicle = stay()
    pack = PackKey(vehicle.vehicle_id, "P1")
    core_key, core = new_account("core", Kind.CORE)
    key, account = new_account(pack.vehicle_id, Kind.VEHICLE, [pack.pack_id])
    Accounts("pune-1", [core, account]).save(tmp_path / "accounts")
    verdicts: list[Verdict] = []
    tripped = asyncio.Event()

    def act(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if isinstance(verdict, Trip):
            tripped.set()

    agenda = Agenda(clock)
    plant = Plant(small_day(current=Current.DC), clock=clock, agenda=agenda)
    plant.plug(vehicle)
    plant.order(CP1, obeyed_w=20_000, granted_w=20_000)
    plant.energise(CP1, True)
    with LatchFile.open(tmp_path / "latches") as latches:
        guard = Guard(latches, clock=clock, chemistry_of=lambda _: Chemistry.LFP, on_verdict=act)
        async with serving(tmp_path / "accounts") as port:
            link = TelemetryLink(
                MqttSettings(port=port, username="core", password=core_key),
                depot_id="pune-1",
                clock=clock,
                known=guard.known,
                on_sample=guard.heard,
                on_rejected=guard.reject,
                on_link=lambda up, reason: guard.link(up=up, reason=reason),
            )
            telematics = Telematics(
                plant,
                [CP1],
                depot_id="pune-1",
                broker=BrokerAddress(port=port, keys={pack.vehicle_id: key}),
                clock=clock,
                seed=1,
            )
            telematics.heat(pack.vehicle_id, HotPack(after_s=10, rise_k_per_min=5))
            tasks = [asyncio.create_task(work) for work in (agenda.run(), link.run(), telematics.run(), guard.run())]
            try:
                async with asyncio.timeout(60):
                    await tripped.wait()
                    await guard.written()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        assert set(latches.latched) == {pack}
    assert not guard.rejections.counts
    trip = verdicts[-1]
    assert isinstance(trip, Trip)
    assert trip.cause is Cause.OVER_TEMPERATURE
    assert any(isinstance(verdict, Derate) for verdict in verdicts[:-1])
