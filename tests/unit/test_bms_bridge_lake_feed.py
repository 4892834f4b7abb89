"""From the core to the lake over a real socket: nothing waits, nothing is doubled, what does not fit is counted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from lake_kit import A, B, Bench

from bms_bridge.contract import Source
from bms_bridge.lake import LakeError, wire
from bms_bridge.lake.asking import ask
from bms_bridge.lake.catalog import catalog
from bms_bridge.lake.engine import Lake
from bms_bridge.lake.feed import Feed
from bms_bridge.lake.orders import Orders
from bms_bridge.lake.query import query
from bms_bridge.lake.server import Server
from bms_bridge.mqtt import Kept

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lake.sock"


@contextlib.asynccontextmanager
async def serving(bench: Bench, path: Path) -> AsyncIterator[Lake]:
    orders = Orders(
        key=bench.parts()["key"],
        decoders=lambda _: bench.decoders,
        key_file=bench.folder / "lake.pem",
        capacity_of=lambda _: 200_000,
        told_of=lambda _: {},
    )
    with bench.lake() as lake:
        server = Server(lake, orders.table)
        async with server.serving(path):
            yield lake


@contextlib.asynccontextmanager
async def running(feed: Feed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # it watches another thread
            await asyncio.sleep(0.02)


def rows(lake: Lake) -> int:
    return int(query(lake.hot, lake.places, "SELECT count(*) FROM samples").rows[0][0])


async def test_what_is_put_arrives_once_also_when_the_lake_goes_and_comes(bench: Bench, path: Path) -> None:
    feed = Feed(path, monotonic=time.monotonic)
    async with running(feed):
        feed.sample(bench.sample(A))
        message = bench.message(B)
        feed.message(Kept(message.topic, message.payload, message.received_at, False, (), (0,)))
        async with serving(bench, path) as lake:
            await until(lambda: feed.acknowledged == 2)
            assert rows(lake) == 2
        for _ in range(10):
            bench.forward(seconds=10)
            feed.sample(bench.sample(A))
        async with serving(bench, path) as lake:
            await until(lambda: feed.acknowledged == 12)
            assert rows(lake) == 12
            assert lake.figures.dropped == 0
            assert lake.life_of(A).samples == 11  # type: ignore[union-attr]
    assert not feed.lost_within(60)


async def test_a_sample_that_came_over_mqtt_is_kept_by_its_message(bench: Bench, path: Path) -> None:
    feed = Feed(path, monotonic=time.monotonic)
    feed.sample(bench.sample(A).__class__(pack=A, source=Source.MQTT, received_at=bench.at, reported_at=None))
    assert feed.waiting == 0


async def test_a_lake_that_is_away_costs_samples_thinly_and_counts_them(bench: Bench, path: Path) -> None:
    now_s = 0.0
    feed = Feed(path, monotonic=lambda: now_s, most=100)
    for _ in range(40):
        feed.sample(bench.sample(A))
        feed.sample(bench.sample(B))
        now_s += 1.0
    assert (feed.waiting, feed.dropped) == (54, 26)  # half full after 25 s, then each pack once in ten seconds
    for _ in range(10_000):
        feed.sample(bench.sample(A))
        now_s += 10.0
    assert feed.waiting == 100
    assert feed.lost_within(60)
    async with serving(bench, path) as lake, running(feed):
        await until(lambda: feed.acknowledged == 100)
        assert lake.figures.dropped == feed.dropped == 26 + 10_000 - 46


async def test_a_lake_that_ends_while_somebody_is_connected_says_nothing(
    bench: Bench, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(bench, path) as lake:
        reader, writer = await asyncio.open_unix_connection(path)
        batch, body = bench.batch(bench.told())
        writer.write(wire.frame_of(batch))
        assert wire.decode(await wire.read_body(reader) or b"") == wire.Ack(batch.boot, batch.number)
        assert (lake.figures.rows, bool(body)) == (1, True)
    assert await reader.read() == b""
    writer.close()
    await asyncio.sleep(0)
    assert not caplog.records


async def test_a_batch_that_was_not_kept_comes_again(bench: Bench, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bms_bridge.lake.feed.RETRY_S", 0.05)
    feed = Feed(path, monotonic=time.monotonic)
    bench.free = 0
    async with serving(bench, path) as lake, running(feed):
        feed.sample(bench.sample(A))
        await until(lambda: feed.state is wire.State.FULL)
        assert "disk is full" in feed.trouble
        assert (feed.acknowledged, lake.figures.rows) == (0, 0)
        bench.free = 10**12
        await until(lambda: feed.acknowledged == 1)
        assert rows(lake) == 1


@pytest.mark.parametrize("hostile", [b"\xff\xff\xff\xff", b"\0\0\0\x03abc", b"\0\0\0\x01\xc0", b"GET / HTTP/1.1\r\n\r\n" * 100])
async def test_whoever_says_nonsense_is_cut_off_and_nobody_else_notices(bench: Bench, path: Path, hostile: bytes) -> None:
    async with serving(bench, path) as lake:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(hostile)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        feed = Feed(path, monotonic=time.monotonic)
        async with running(feed):
            feed.sample(bench.sample(A))
            await until(lambda: feed.acknowledged == 1)
        assert rows(lake) == 1


async def test_orders_of_people_answer_with_data_or_a_sentence(bench: Bench, path: Path) -> None:
    async with serving(bench, path) as lake:
        bench.drive(lake, 10, packs=(A,))
        bench.give(lake, bench.message(B))
        told: list[wire.Progress] = []
        found = await ask(path, "catalog", {})
        assert found.data["packs"] == 2 == catalog(lake.hot).packs
        life = await ask(path, "life", {"vehicle_id": "E-101", "pack_id": "P1"})
        assert (life.data["record"]["samples"]["all"], life.data["record"]["capacity_wh"]) == (60, 200_000)
        assert (await ask(path, "life", {"vehicle_id": "nobody", "pack_id": "P1"})).data == {}
        compacted = await ask(path, "compact", {}, on_progress=told.append)
        assert compacted.data == {"sealed": 2, "waiting": 0}
        assert told
        checked = await ask(path, "check", {"lives": True})
        assert checked.data == {"files": 2, "lives": 2, "wrong": []}
        replayed = await ask(path, "replay", {"hours": 72, "by": "a test"})
        assert (replayed.data["rows"], replayed.data["changed"]) == (61, 0)
        made = await ask(path, "export", {"vehicle_id": "E-101", "pack_id": "P1"})
        assert (lake.places.exports / made.data["name"]).is_file()
        wrong = await ask(path, "import", {"vehicle_id": "X", "pack_id": "P1", "source": made.data["path"], "fingerprint": "00"})
        assert (wrong.kind, "is signed by the key" in wrong.error) == ("ArchiveRefused", True)
        assert "knows no order" in (await ask(path, "drop", {})).error
        assert "up to 720 h" in (await ask(path, "replay", {"hours": -1})).error


async def test_a_lake_that_ends_within_an_order_says_so(path: Path) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(hang_up, path)
    try:
        with pytest.raises(LakeError, match="ended before"):
            await ask(path, "catalog", {})
    finally:
        server.close()
        await server.wait_closed()
