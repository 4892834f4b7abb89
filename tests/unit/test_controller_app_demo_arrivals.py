"""While the demo's lake is only just being made, what the core hands over is kept and given to it later: nothing waits, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from lake_kit import START, Bench

from bms_bridge.lake import LakeError, wire
from bms_bridge.lake.asking import ask
from bms_bridge.lake.feed import Feed
from bms_bridge.lake.server import Server
from controller.app.demo_arrivals import BUSY, HEAD, Arrivals
from controller.lake_room import LakeRoom

pytestmark = pytest.mark.anyio
PATIENCE_S = 120.0


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_comes_meanwhile_is_acknowledged_and_in_the_lake_once(tmp_path: Path) -> None:
    bench, path, steady = Bench(tmp_path), tmp_path / "lake.sock", [0.0]
    feed = Feed(path, monotonic=lambda: steady[0])
    room = LakeRoom(feed, path)
    task = asyncio.create_task(feed.run())
    try:
        with Arrivals(path, tmp_path / "arrived") as arrivals:
            feed.sample(bench.sample())
            await until(lambda: feed.acknowledged == 1)
            steady[0] += 3600.0  # an hour of a slow machine
            assert (feed.up, feed.waiting, room.conditions(START)) == (True, 0, [])
            assert (await ask(path, "catalog", {})).error == BUSY
            bench.forward(seconds=10)
            feed.sample(bench.sample())
            await until(lambda: feed.acknowledged == 2)
            with bench.lake() as lake:
                assert arrivals.give(lake) == 2
                assert arrivals.give(lake) == 0
                bench.forward(seconds=10)
                feed.sample(bench.sample())
                await until(lambda: feed.acknowledged == 3)
                arrivals.close()
                assert arrivals.give(lake) == 1
                assert lake.figures.rows == 3
        with bench.lake() as lake, Arrivals(path, tmp_path / "arrived") as arrivals:
            assert arrivals.give(lake) == 3  # a process that was ended before it forgot them: the lake knows them
            assert lake.figures.rows == 0
            arrivals.forget()
            assert not (tmp_path / "arrived").exists()
        with bench.lake() as lake:
            bench.forward(seconds=10)
            feed.sample(bench.sample())
            async with Server(lake, {}).serving(path):
                await until(lambda: feed.acknowledged == 4)
            assert lake.figures.rows == 1
    finally:
        task.cancel()
    assert feed.dropped == 0


async def test_half_a_batch_at_the_end_is_cut_off_and_a_full_lake_keeps_the_file(tmp_path: Path) -> None:
    bench, file = Bench(tmp_path), tmp_path / "arrived"
    _, body = bench.batch(wire.Told(bench.sample()))
    file.write_bytes(wire.framed(body) + wire.framed(body)[: HEAD + 3])
    with Arrivals(tmp_path / "lake.sock", file) as arrivals:
        assert file.read_bytes() == wire.framed(body)
        bench.free = 0
        with bench.lake() as lake, pytest.raises(LakeError, match="disk is full"):
            arrivals.give(lake)
        bench.free = 10**12
        with bench.lake() as lake:
            assert arrivals.give(lake) == 1
