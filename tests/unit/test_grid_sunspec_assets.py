"""Solar plants and batteries over real sockets, against the simulator's SunSpec devices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sunspec2.modbus import client as alliance

from controller.clock import SystemClock
from depot.assets import AssetState, PvSpec, StorageSpec
from depot.values import Outcome
from grid.modbus_link import Peer
from grid.sunspec_assets import BatteryUnit, PvInverter
from simulator import battery_unit
from simulator.sunspec_units import BatteryFace, SolarFace, SunSpecServer

pytestmark = pytest.mark.anyio

SPEC = StorageSpec(asset_id="b1", capacity_wh=200_000, charge_w=100_000, discharge_w=100_000, controlled=True)


class Hand:
    """A clock in seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def running(unit: BatteryUnit | PvInverter) -> AsyncIterator[None]:
    task = asyncio.create_task(unit.run())
    try:
        yield
    finally:
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), repr(ended)


async def until(true: Callable[[], bool], *, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # a device is watched, nobody here tells
            await asyncio.sleep(0.01)


def battery_client(server: SunSpecServer, spec: StorageSpec = SPEC) -> BatteryUnit:
    return BatteryUnit(spec, Peer(host="127.0.0.1", port=server.port), clock=SystemClock(), period_s=0.05)


async def test_a_battery_is_found_read_and_told() -> None:
    hand = Hand()
    store = battery_unit.BatteryUnit(hand)
    face = BatteryFace(store)
    async with SunSpecServer(face) as server:
        unit = battery_client(server)
        async with running(unit):
            await until(lambda: unit.reading is not None)
            assert unit.reading is not None
            assert unit.reading.soc == pytest.approx(0.5)
            assert (unit.reading.charge_w, unit.reading.discharge_w, unit.reading.state) == (100_000, 100_000, AssetState.RUNNING)
            assert (unit.reading.soh, unit.reading.temp_c) == (pytest.approx(0.87), pytest.approx(31.5))
            assert unit.trouble == ""
            assert await unit.order(-40_000, reversion_s=60) is Outcome.ACCEPTED  # it gives 40 kW
            assert (store.wanted_w, store.reverts_after_s, store.reverts_to_w, store.stays_enabled) == (40_000, 60, 0, True)
            hand.now += 2
            await until(lambda: unit.reading is not None and unit.reading.power_w == -40_000)
            assert unit.reading.setpoint_w == -40_000
            assert unit.reading.reverts_s == 58
            assert await unit.order(25_000, reversion_s=60) is Outcome.ACCEPTED
            hand.now += 2
            await until(lambda: unit.reading is not None and unit.reading.power_w == 25_000)
            await until(lambda: len(face.heartbeats) > 2)
            assert face.heartbeats == sorted(set(face.heartbeats))
        written = [offset for model_id, offset, _ in server.writes if model_id == 704]
        assert written[:3] == [30, 23, 22], "how it reverts, then the value, then that it is enabled"


async def test_a_lost_link_ends_the_order_by_itself() -> None:
    hand = Hand()
    store = battery_unit.BatteryUnit(hand)
    async with SunSpecServer(BatteryFace(store)) as server:
        unit = battery_client(server)
        async with running(unit):
            await until(lambda: unit.reading is not None)
            assert await unit.order(-40_000, reversion_s=60) is Outcome.ACCEPTED
            await server.gone()
            await until(lambda: not unit.link.connected)
            assert await unit.order(0, reversion_s=60) is Outcome.OFFLINE
            hand.now += 59
            assert store.step() == pytest.approx(40_000)
            hand.now += 2
            store.step()
            hand.now += 2
            assert (store.step(), store.reversions) == (0, 1)
            await server.back()
            last = unit.reading
            await until(lambda: unit.reading is not last)
            assert unit.reading is not None
            assert unit.reading.setpoint_w == 0


async def test_what_is_refused_or_unanswered_is_not_known_to_hold() -> None:
    async with SunSpecServer(BatteryFace(battery_unit.BatteryUnit(time.monotonic))) as server:
        unit = battery_client(server)
        async with running(unit):
            await until(lambda: unit.reading is not None)
            server.refuses = True
            assert await unit.order(10_000, reversion_s=60) in (Outcome.UNKNOWN, Outcome.OFFLINE, Outcome.ERROR)


@pytest.mark.parametrize(("local", "timer", "why"), [(True, True, "local control"), (False, False, "no reversion timer")])
async def test_who_takes_no_orders_is_only_looked_at(local: bool, timer: bool, why: str) -> None:
    face = BatteryFace(battery_unit.BatteryUnit(time.monotonic), timer=timer)
    face.local = local
    async with SunSpecServer(face) as server:
        unit = battery_client(server)
        async with running(unit):
            await until(lambda: unit.reading is not None)
            assert why in unit.trouble
            assert await unit.order(10_000, reversion_s=60) is Outcome.UNSUPPORTED
        assert server.writes == []


async def test_a_fault_and_a_soc_that_cannot_be_are_told() -> None:
    store = battery_unit.BatteryUnit(time.monotonic, fault=True, says_soc=1.9)
    async with SunSpecServer(BatteryFace(store)) as server:
        unit = battery_client(server)
        async with running(unit):
            await until(lambda: unit.reading is not None)
            assert unit.reading is not None
            assert (unit.reading.state, unit.reading.soc) == (AssetState.FAULT, None)
            assert unit.reading.alarms == ("over temperature",)


async def test_a_power_beyond_the_rating_is_no_reading() -> None:
    store = battery_unit.BatteryUnit(time.monotonic, enabled=True, wanted_w=90_000, power_w=90_000)
    async with SunSpecServer(BatteryFace(store)) as server:
        unit = battery_client(server, StorageSpec(asset_id="b1", capacity_wh=1000, charge_w=1000, discharge_w=1000))
        async with running(unit):
            await until(lambda: unit.link.failures > 0)
            assert unit.reading is None


async def test_the_sun_is_read_and_curtailed_until_that_reverts() -> None:
    hand = Hand()
    face = SolarFace(lambda: 80_000.0, rated_w=100_000, now_s=hand)
    async with SunSpecServer(face) as server:
        plant = PvInverter(
            PvSpec("pv", 100_000, curtails=True), Peer(host="127.0.0.1", port=server.port), clock=SystemClock(), period_s=0.05
        )
        async with running(plant):
            await until(lambda: plant.reading is not None)
            assert plant.reading is not None
            assert (plant.reading.gives_w, plant.reading.state, plant.reading.strings_w) == (80_000, AssetState.RUNNING, (40_000, 40_000))
            assert plant.reading.energy_wh == 1_234_000
            assert await plant.limit(0.3, reverts_to=0.1, reversion_s=60) is Outcome.ACCEPTED
            await until(lambda: plant.reading is not None and plant.reading.gives_w == 30_000)
            assert plant.reading.limit_share == pytest.approx(0.3)
            hand.now += 61
            await until(lambda: plant.reading is not None and plant.reading.gives_w == 10_000)


async def test_a_device_that_is_no_sunspec_is_said_so(caplog: pytest.LogCaptureFixture) -> None:
    class Nothing:
        def models(self) -> list[list[int]]:
            return []

        def written(self, model_id: int, offset: int, values: list[int]) -> None: ...

    async with SunSpecServer(Nothing()) as server:
        unit = battery_client(server)
        async with running(unit):
            await until(lambda: unit.link.failures > 0)
    assert "no model with a power" in caplog.text


async def test_the_alliances_own_client_reads_the_simulated_battery_as_we_do() -> None:
    """Three that share no code: the simulator's registers, the depot's client, pysunspec2."""
    store = battery_unit.BatteryUnit(time.monotonic, soc=0.37)

    def look(port: int) -> tuple[float, float, list[int]]:
        device = alliance.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port)
        device.scan()
        device.DERCtlAC[0].read()
        found = device.DERStorageCapacity[0].SoC.cvalue, device.DERMeasureAC[0].W.cvalue
        ids = [n for n in device.models if isinstance(n, int)]
        device.close()
        return (*found, ids)

    async with SunSpecServer(BatteryFace(store)) as server:
        soc, power, ids = await asyncio.to_thread(look, server.port)
    assert (soc, power) == (37.0, 0)
    assert ids == [1, 701, 704, 713, 715, 802, 803]
