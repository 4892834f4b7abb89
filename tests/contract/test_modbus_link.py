"""The way to a Modbus device over real sockets: refusals, loss in the middle, discovery after each connection, writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

import grid.modbus_link
from grid.modbus_link import LinkError, ModbusLink, NoAnswer, Peer, Refused, Table

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid.modbus_link, "FIRST_PAUSE_S", 0.02)


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # a socket's other side has no event to wait for
            await asyncio.sleep(0.01)


async def device(port: int = 0) -> tuple[Any, int]:
    """A device with ten holding registers from 100 on, which can be written."""
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
    server = ModbusTcpServer(
        SimDevice(1, simdata=[SimData(100, values=list(range(10)), datatype=DataType.REGISTERS)]), address=("127.0.0.1", port)
    )
    await server.serve_forever(background=True)
    return server, server.transport.sockets[0].getsockname()[1]


async def test_reads_writes_and_refusals_without_keeping() -> None:
    server, port = await device()
    link = ModbusLink(Peer(host="127.0.0.1", port=port), label="thing")
    try:
        with pytest.raises(NoAnswer, match="no connection"):
            await link.read(Table.HOLDING, 100, 2)
        await link.open()
        assert await link.read(Table.HOLDING, 100, 3) == [0, 1, 2]
        await link.write(101, [700, 800])
        assert await link.read(Table.HOLDING, 100, 4) == [0, 700, 800, 3]
        with pytest.raises(Refused, match=r"holding 500 to 501: refused, illegal address \(2\)") as caught:
            await link.read(Table.HOLDING, 500, 2)
        assert caught.value.code == 2
        assert isinstance(caught.value, LinkError)
        assert await link.read(Table.HOLDING, 109, 1) == [9], "a refusal is an answer: the connection lives"
    finally:
        link.close()
        await server.shutdown()


async def test_each_connection_begins_with_what_opened_does_and_each_loss_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="grid.modbus_link")
    server, port = await device()
    seen: list[str] = []
    link = ModbusLink(Peer(host="127.0.0.1", port=port, timeout_s=0.3), label="thing", longest_pause_s=0.05)

    async def opened() -> None:
        seen.append("opened")

    async def poll() -> None:
        await link.read(Table.HOLDING, 100, 1)
        seen.append("poll")

    task = asyncio.create_task(link.keep(poll, period_s=0.01, opened=opened))
    try:
        await until(lambda: seen.count("poll") >= 3)
        assert link.connected
        await server.shutdown()
        await until(lambda: link.failures >= 2)
        assert not link.connected
        server, _ = await device(port)
        await until(lambda: seen.count("opened") == 2)
        await until(lambda: link.connected)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.shutdown()
    assert seen[0] == "opened"
    told = [record.levelname for record in caplog.records if record.name == "grid.modbus_link"]
    assert told == ["INFO", "WARNING", "INFO"]
    assert not link.connected
    with pytest.raises(NoAnswer):
        await link.read(Table.HOLDING, 100, 1)


async def test_a_poll_may_refuse_an_answer_and_the_connection_is_made_anew() -> None:
    server, port = await device()
    link = ModbusLink(Peer(host="127.0.0.1", port=port), label="thing", longest_pause_s=0.05)
    connections = 0

    async def opened() -> None:
        nonlocal connections
        connections += 1

    async def poll() -> None:
        raise LinkError("that is not what I asked for")

    task = asyncio.create_task(link.keep(poll, period_s=0.01, opened=opened))
    try:
        await until(lambda: connections >= 3)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.shutdown()
    assert link.answered == 0


async def test_an_end_that_meets_an_answer_is_an_end() -> None:
    server, port = await device()
    try:
        for wait_s in (0.0, 0.001, 0.002, 0.003, 0.005):
            link = ModbusLink(Peer(host="127.0.0.1", port=port), label="thing")

            async def poll(link: ModbusLink = link) -> None:
                await link.read(Table.HOLDING, 100, 1)

            task = asyncio.create_task(link.keep(poll, period_s=0.0))
            await until(lambda link=link: link.answered > 3)
            await asyncio.sleep(wait_s)
            task.cancel()
            async with asyncio.timeout(5):
                await asyncio.wait([task])
            assert task.cancelled()
    finally:
        await server.shutdown()
