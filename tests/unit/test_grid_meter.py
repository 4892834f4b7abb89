"""The connection-point meter over real sockets: values, impossible values, silence, return."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import grid.meter
import grid.modbus_link
from depot.ports import SiteMeter
from grid.meter import MeterSettings, ModbusSiteMeter
from grid.meter_map import MeterError, MeterMap, Quantity, RegisterType, WordOrder, plain_map
from grid.modbus_link import Framing, LinkError, Peer, Table
from simulator.meter_face import MeterFace
from simulator.meter_server import MeterFaults, MeterServer
from simulator.site_figures import SiteFigures

MAPS = Path(grid.__file__).parent / "meters"


class CountingClock:
    """Moves on by a second at each look."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def peer(port: int, **changes: Any) -> Peer:
    return Peer(**{"host": "127.0.0.1", "port": port, "timeout_s": 0.2, **changes})


def settings(port: int, *, address: int = 0x34, period_s: float = 0.02) -> MeterSettings:
    """A meter of which only the power is known."""
    map_ = plain_map(table=Table.INPUT, address=address, type_=RegisterType.FLOAT32, word_order=WordOrder.BIG, scale_w=1.0)
    return MeterSettings(peer=peer(port), map=map_, period_s=period_s)


def mapped(port: int, name: str, *, period_s: float = 0.02, framing: Framing = Framing.TCP, **built_in: Any) -> MeterSettings:
    """A meter with a whole map."""
    return MeterSettings(
        peer=peer(port, framing=framing), map=MeterMap.named(name).installed(**built_in), nominal_v=230.0, period_s=period_s
    )


def worn(name: str, power_w: Callable[[], float], **more: Any) -> MeterServer:
    """A simulated meter of that kind."""
    return MeterServer(power_w, face=MeterFace.read(MAPS / f"{name}.toml"), **more)


@asynccontextmanager
async def polling(meter: ModbusSiteMeter) -> AsyncIterator[ModbusSiteMeter]:
    task = asyncio.create_task(meter.run())
    try:
        yield meter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # a fake world has no event to wait for
            await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid.modbus_link, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(grid.modbus_link, "LONGEST_PAUSE_S", 0.05)


@pytest.mark.anyio
async def test_it_reads_what_the_plant_draws() -> None:
    power = 123_456.4
    async with MeterServer(lambda: power) as server, polling(ModbusSiteMeter(settings(server.port), clock=CountingClock())) as meter:
        port: SiteMeter = meter
        assert port.reading is None
        await until(lambda: meter.reading)
        assert meter.reading is not None
        assert meter.reading.power_w == 123_456
        assert meter.reading.at.tzinfo is UTC
        power = -20_000.0
        await until(lambda: meter.reading is not None and meter.reading.power_w == -20_000)
        assert meter.connected


@pytest.mark.anyio
@pytest.mark.parametrize("impossible", [math.nan, math.inf, 3e9])
async def test_an_impossible_value_is_counted_and_the_reading_ages(impossible: float, caplog: pytest.LogCaptureFixture) -> None:
    power = 5_000.0
    async with MeterServer(lambda: power) as server, polling(ModbusSiteMeter(settings(server.port), clock=CountingClock())) as meter:
        await until(lambda: meter.reading)
        power = impossible
        await until(lambda: meter.rejected >= 3)
        kept = meter.reading
        await until(lambda: meter.rejected >= 5)
        assert meter.reading is kept
        assert kept is not None
        assert kept.power_w == 5_000
        assert meter.connected
    assert sum("reading dropped" in record.message for record in caplog.records) == 1


@pytest.mark.anyio
async def test_a_meter_that_goes_and_comes_back_is_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="grid.modbus_link")
    port = free_port()
    async with polling(ModbusSiteMeter(settings(port), clock=CountingClock(), rng=random.Random(1))) as meter:
        await until(lambda: meter.failures >= 3)
        for power in (1_000.0, 2_000.0):
            async with MeterServer(lambda power=power: power, port=port):
                await until(lambda power=power: meter.reading is not None and meter.reading.power_w == power)
            failures = meter.failures
            await until(lambda failures=failures: meter.failures >= failures + 2)
            assert not meter.connected
    told = ["answers" if record.message.endswith("answers") else "lost" for record in caplog.records if record.name == "grid.modbus_link"]
    assert told == ["lost", "answers", "lost", "answers", "lost"]
    assert not [record for record in caplog.records if record.name.startswith("pymodbus")]


@pytest.mark.anyio
async def test_a_wrong_address_says_what_to_check(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        MeterServer(lambda: 1.0) as server,
        polling(ModbusSiteMeter(settings(server.port, address=900), clock=CountingClock())) as meter,
    ):
        await until(lambda: meter.failures >= 2)
        assert meter.reading is None
    assert [record.message for record in caplog.records if "check unit_id, function and address 900" in record.message]


@pytest.mark.anyio
async def test_a_peer_that_accepts_and_says_nothing_counts_as_silent() -> None:
    release = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, polling(ModbusSiteMeter(settings(server.sockets[0].getsockname()[1]), clock=CountingClock())) as meter:
        await until(lambda: meter.failures >= 2)
        assert meter.reading is None
        release.set()


@pytest.mark.anyio
async def test_a_peer_that_talks_nonsense_counts_as_silent() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server, polling(ModbusSiteMeter(settings(server.sockets[0].getsockname()[1]), clock=CountingClock())) as meter:
        await until(lambda: meter.failures >= 2)
        assert meter.reading is None


@pytest.mark.anyio
async def test_a_scaled_clock_polls_more_often() -> None:
    async with MeterServer(lambda: 1.0) as server:
        slow = settings(server.port, period_s=30.0)
        async with polling(ModbusSiteMeter(slow, clock=CountingClock(), speed=1000)):
            await until(lambda: server.requests >= 5)


@pytest.mark.anyio
async def test_a_port_in_use_is_an_error_that_names_it() -> None:
    async with MeterServer(lambda: 1.0) as first:
        with pytest.raises(OSError, match=f"127.0.0.1:{first.port}; is the port in use"):
            async with MeterServer(lambda: 1.0, port=first.port):
                pass


@pytest.mark.anyio
@pytest.mark.parametrize("name", MeterMap.names())
async def test_each_map_reads_all_that_its_meter_tells(name: str) -> None:
    clock = CountingClock()
    async with (
        worn(name, lambda: 87_000.0, clock=clock) as server,
        polling(ModbusSiteMeter(mapped(server.port, name), clock=clock)) as meter,
    ):
        await until(lambda: meter.samples.keys() == meter.settings.map.values.keys())
        await until(lambda: meter.reading is not None and meter.reading.voltages_v is not None)
        told, reading = server.figures(), meter.reading
        assert reading is not None
        assert reading.power_w == 87_000
        assert reading.voltages_v == pytest.approx([told[f"voltage_l{n}"] for n in (1, 2, 3)], abs=0.06)
        assert reading.currents_a == pytest.approx([told[f"current_l{n}"] for n in (1, 2, 3)], abs=0.01)
        assert reading.frequency_hz == pytest.approx(50.0)
        assert reading.import_wh is not None
        assert reading.import_wh >= 4_000_000
        assert (reading.demand_w is None) == (Quantity.DEMAND not in meter.settings.map.values), "what it does not tell stays unknown"
        assert meter.doubts == ()
        assert meter.rejected == 0


@pytest.mark.anyio
async def test_rtu_frames_over_tcp_are_read_too() -> None:
    name = "carlo-gavazzi-em24"
    async with worn(name, lambda: 9_000.0, rtu=True, unit_id=7) as server:
        way = MeterSettings(peer=peer(server.port, framing=Framing.RTU, unit_id=7), map=MeterMap.named(name), period_s=0.02)
        async with polling(ModbusSiteMeter(way, clock=CountingClock())) as meter:
            await until(lambda: meter.reading is not None and meter.reading.import_wh is not None)
            assert meter.reading is not None
            assert meter.reading.power_w == 9_000
            assert meter.failures == 0


@pytest.mark.anyio
async def test_a_map_that_is_one_off_with_other_words_is_set_right_by_settings() -> None:
    name = "schneider-pm5xxx"
    faults = MeterFaults(offset=1, swapped=True)
    async with worn(name, lambda: 55_000.0, faults=faults) as server:
        right = mapped(server.port, name, offset=1, word_order=WordOrder.LITTLE)
        async with polling(ModbusSiteMeter(right, clock=CountingClock())) as meter:
            await until(lambda: meter.reading is not None and meter.reading.frequency_hz is not None)
            assert meter.reading is not None
            assert meter.reading.power_w == 55_000


@pytest.mark.anyio
async def test_transformer_ratios_and_a_meter_built_in_the_other_way_round() -> None:
    name = "eastron-sdm630"
    figures = SiteFigures(lambda: 1_000.0)
    async with worn(name, lambda: 1_000.0, figures=figures, faults=MeterFaults(turned=True)) as server:
        way = mapped(server.port, name, ct_ratio=40.0, turned=True)
        async with polling(ModbusSiteMeter(way, clock=CountingClock())) as meter:
            await until(lambda: meter.reading is not None and meter.reading.voltages_v is not None)
            reading = meter.reading
            assert reading is not None
            assert reading.power_w == 40_000
            assert reading.currents_a == pytest.approx([40 * figures()[f"current_l{n}"] for n in (1, 2, 3)], rel=1e-4)
            assert reading.import_wh == pytest.approx(40 * 4_000_000)
            assert reading.export_wh == pytest.approx(40 * 1_000)


@pytest.mark.anyio
async def test_values_that_are_none_are_dropped_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    name = "eastron-sdm630"
    clock = CountingClock()
    async with (
        worn(name, lambda: 60_000.0) as server,
        polling(ModbusSiteMeter(mapped(server.port, name, period_s=0.1), clock=clock)) as meter,
    ):
        await until(lambda: Quantity.FREQUENCY in meter.samples)
        server.faults = MeterFaults(nan=frozenset({"frequency", "voltage_l2"}))
        await until(lambda: meter.rejected >= 4)
        await until(lambda: meter.samples[Quantity.POWER].at > meter.samples[Quantity.FREQUENCY].at)
        await until(lambda: meter.samples[Quantity.VOLTAGE_L1].at > meter.samples[Quantity.VOLTAGE_L2].at)
        clock.at += timedelta(minutes=2)  # what is not renewed is left out
        await until(lambda: meter.reading is not None and meter.reading.frequency_hz is None and meter.reading.voltages_v is None)
        await until(lambda: meter.reading is not None and meter.reading.currents_a is not None)
    assert sum("frequency is nan" in record.message for record in caplog.records) == 1


@pytest.mark.anyio
async def test_a_meter_that_refuses_a_block_keeps_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    name = "schneider-pm5xxx"
    faults = MeterFaults(refused=frozenset({"import_energy", "demand_interval"}), strict=True)
    async with (
        worn(name, lambda: 30_000.0, faults=faults) as server,
        polling(ModbusSiteMeter(mapped(server.port, name), clock=CountingClock())) as meter,
    ):
        await until(lambda: meter.refused == {Quantity.IMPORT_ENERGY, Quantity.DEMAND_INTERVAL})
        await until(lambda: len(meter.samples) == len(meter.settings.map.values) - 2)
        assert meter.reading is not None
        assert meter.reading.import_wh is None
        assert meter.failures == 0
    assert sum("does not give import_energy" in record.message for record in caplog.records) == 1


@pytest.mark.anyio
async def test_a_block_that_is_never_answered_rests_and_the_power_goes_on() -> None:
    name = "eastron-sdm630"
    faults = MeterFaults(mute=frozenset({"voltage_l1"}))
    async with (
        worn(name, lambda: 30_000.0, faults=faults) as server,
        polling(ModbusSiteMeter(mapped(server.port, name), clock=CountingClock())) as meter,
    ):
        await until(lambda: meter.failures == 1)
        seen = server.requests
        await until(lambda: server.requests > seen + 20)
        assert meter.failures == 1, "it is not asked again at once"
        assert meter.connected
        assert meter.reading is not None
        assert meter.reading.voltages_v is None
        assert meter.reading.import_wh is not None


@pytest.mark.anyio
async def test_what_does_not_fit_is_told_once_and_shown_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    name = "eastron-sdm630"
    figures = SiteFigures(lambda: 6_000.0)
    honest = figures.__call__
    turned = True

    def told() -> dict[str, float]:
        found = honest()
        return found | {"power_l2": -found["power_l2"], "power": found["power"] - 2 * found["power_l2"]} if turned else found

    async with (
        worn(name, lambda: 6_000.0, figures=told) as server,
        polling(ModbusSiteMeter(mapped(server.port, name, period_s=0.1), clock=CountingClock())) as meter,
    ):
        await until(lambda: any(words.startswith("L2 runs the other way") for words in meter.doubts))
        turned = False
        await until(lambda: not meter.doubts)
    assert sum("L2 runs the other way" in record.message for record in caplog.records) == 1


@pytest.mark.anyio
async def test_registers_of_energy_that_go_back_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    name = "carlo-gavazzi-em24"
    figures = SiteFigures(lambda: 0.0)
    async with (
        worn(name, lambda: 0.0, figures=figures) as server,
        polling(ModbusSiteMeter(mapped(server.port, name, period_s=0.1), clock=CountingClock())) as meter,
    ):
        await until(lambda: meter.reading is not None and meter.reading.import_wh is not None)
        figures.import_wh = 1_000.0
        await until(lambda: meter.reading is not None and meter.reading.import_wh == 1_000)
        await until(lambda: any("import_energy went back" in record.message for record in caplog.records))


@pytest.mark.anyio
async def test_a_meter_that_repeats_itself_is_no_fresh_reading_any_more(caplog: pytest.LogCaptureFixture) -> None:
    name = "carlo-gavazzi-em24"
    clock = CountingClock()
    figures = SiteFigures(lambda: 900_000.0, clock)
    async with (
        worn(name, lambda: 900_000.0, figures=figures) as server,
        polling(ModbusSiteMeter(mapped(server.port, name, period_s=0.1), clock=clock)) as meter,
    ):
        await until(lambda: meter.reading is not None and meter.reading.import_wh is not None)
        server.faults = MeterFaults(frozen=True)
        await until(lambda: any("nothing that it tells changes" in words for words in meter.doubts))
        old = meter.reading
        polls = server.requests
        await until(lambda: server.requests > polls + 10)
        assert meter.reading is old, "its age shows, and the worst background counts"
        server.faults = MeterFaults()
        await until(lambda: meter.reading is not old)
        await until(lambda: not any("nothing that it tells" in words for words in meter.doubts))
    told = [record.message.partition(": ")[2] for record in caplog.records if "chang" in record.message]
    assert [words.partition(" that")[0] for words in told] == ["nothing", "its values change again"]


@pytest.mark.parametrize(
    "change",
    [{"port": 0}, {"unit_id": 256}, {"timeout_s": 0}],
)
def test_a_place_that_cannot_be_says_what_is_allowed(change: dict[str, Any]) -> None:
    with pytest.raises(LinkError, match="must lie between"):
        Peer(**{"host": "m", **change})


@pytest.mark.parametrize("change", [{"period_s": 0}, {"max_w": 0}, {"nominal_v": -1}])
def test_settings_that_cannot_be_right_say_what_is_allowed(change: dict[str, Any]) -> None:
    with pytest.raises(MeterError, match="must lie between"):
        MeterSettings(peer=Peer(host="m"), map=MeterMap.named("eastron-sdm630"), **change)


@pytest.mark.parametrize("scale", [0.0, math.nan])
def test_a_scale_that_says_nothing_is_refused(scale: float) -> None:
    map_ = plain_map(table=Table.INPUT, address=0, type_=RegisterType.INT32, word_order=WordOrder.BIG, scale_w=scale)
    with pytest.raises(MeterError, match="give what one count is worth"):
        MeterSettings(peer=Peer(host="m"), map=map_)
