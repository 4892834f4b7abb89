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
from typing import Any

import pytest

import grid.meter
from depot.ports import SiteMeter
from grid.meter import Function, MeterError, MeterSettings, ModbusSiteMeter, RegisterType, WordOrder
from simulator.meter_server import MeterServer


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


def settings(port: int, **changes: Any) -> MeterSettings:
    return MeterSettings(**{"host": "127.0.0.1", "port": port, "period_s": 0.02, "timeout_s": 0.2, **changes})


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
    monkeypatch.setattr(grid.meter, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(grid.meter, "LONGEST_PAUSE_S", 0.05)


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
    caplog.set_level(logging.INFO, logger="grid.meter")
    port = free_port()
    async with polling(ModbusSiteMeter(settings(port), clock=CountingClock(), rng=random.Random(1))) as meter:
        await until(lambda: meter.failures >= 3)
        for power in (1_000.0, 2_000.0):
            async with MeterServer(lambda power=power: power, port=port):
                await until(lambda power=power: meter.reading is not None and meter.reading.power_w == power)
            failures = meter.failures
            await until(lambda failures=failures: meter.failures >= failures + 2)
            assert not meter.connected
    told = ["answers" if record.message.endswith("answers") else "lost" for record in caplog.records if record.name == "grid.meter"]
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


@pytest.mark.parametrize(
    ("kind", "order", "registers", "scale", "power_w"),
    [
        (RegisterType.FLOAT32, WordOrder.BIG, [0x447A, 0x0000], 1.0, 1000),
        (RegisterType.FLOAT32, WordOrder.LITTLE, [0x0000, 0x447A], 1000.0, 1_000_000),
        (RegisterType.INT32, WordOrder.LITTLE, [0xFFF6, 0xFFFF], 0.1, -1),
        (RegisterType.INT32, WordOrder.BIG, [0xFFFF, 0xFFF6], -1.0, 10),
        (RegisterType.UINT32, WordOrder.BIG, [0x0001, 0x0000], 1.0, 65_536),
        (RegisterType.INT16, WordOrder.BIG, [0xFFFF], 100.0, -100),
        (RegisterType.UINT16, WordOrder.BIG, [0xFFFF], 1.0, 65_535),
    ],
)
def test_types_word_orders_and_scales(kind: RegisterType, order: WordOrder, registers: list[int], scale: float, power_w: int) -> None:
    meter = MeterSettings(host="m", type=kind, word_order=order, scale=scale, function=Function.HOLDING)
    assert meter.decode(registers) == power_w


def test_a_wrong_length_is_refused() -> None:
    with pytest.raises(MeterError, match="1 registers came, 2"):
        MeterSettings(host="m").decode([1])


@pytest.mark.parametrize("change", [{"port": 0}, {"unit_id": 256}, {"address": -1}, {"period_s": 0}, {"scale": 0}, {"scale": math.nan}])
def test_settings_that_cannot_be_right_say_what_is_allowed(change: dict[str, Any]) -> None:
    with pytest.raises(MeterError, match=r"must lie between|give the watts"):
        MeterSettings(**{"host": "m", **change})
