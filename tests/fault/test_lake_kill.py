"""The lake when its process dies: ``kill -9`` again and again while samples come; and a disk whose quota is full."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from config_kit import LAKE, write_depot
from lake_kit import GB, A, B, Bench

from bms_bridge.contract import PackSample, Source
from bms_bridge.lake import lifetime, wire
from bms_bridge.lake.asking import ask
from bms_bridge.lake.catalog import checked
from bms_bridge.lake.feed import Feed
from bms_bridge.lake.query import query
from controller.app.lake_process import opened, places_of
from controller.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(100):
        while not true():  # noqa: ASYNC110  # another process tells nobody
            await asyncio.sleep(0.02)


def start(config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "controller.app.lake_process", str(config)], cwd=ROOT)


async def test_killed_at_any_moment_nothing_acknowledged_is_lost_and_nothing_is_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bms_bridge.lake.feed.RETRY_S", 0.05)
    monkeypatch.setattr("bms_bridge.lake.feed.BATCH_S", 0.01)
    config = write_depot(tmp_path, LAKE)
    settings = Settings.load(config)
    feed = Feed(settings.lake_path, monotonic=time.monotonic)
    put = 0

    async def speak() -> None:
        nonlocal put
        at = datetime.now(UTC) - timedelta(hours=1)
        while True:
            at += timedelta(seconds=1)
            for pack in (A, B):
                temperatures = (25.0 + put % 7, 25.5, 26.0, 26.5)
                feed.sample(PackSample(pack=pack, source=Source.CAN, received_at=at, reported_at=at, temperatures_c=temperatures, soc=0.5))
                put += 1
            await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(speak())]
    process = start(config)
    try:
        for wait in (10, 1, 30):
            reached = feed.acknowledged + wait
            await until(lambda reached=reached: feed.acknowledged >= reached)  # type: ignore[misc]  # a default binds the loop's value
            if wait == 30:
                order = asyncio.create_task(ask(settings.lake_path, "compact", {}))
                await asyncio.sleep(0.01)
                order.cancel()
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process = start(config)
        tasks[1].cancel()
        now = datetime.now(UTC)  # one more: only the process that was begun last can acknowledge it
        feed.sample(PackSample(pack=A, source=Source.CAN, received_at=now, reported_at=now, temperatures_c=(25.0,), soc=0.5))
        put += 1
        await until(lambda: feed.acknowledged == put)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        process.kill()
        process.wait()
    assert feed.dropped == 0
    with opened(settings) as (lake, orders, _):
        found = query(lake.hot, places_of(settings), "SELECT count(*), count(DISTINCT row_id) FROM samples").rows
        assert found == [(put, put)]
        assert sum(life.samples for life in lake.lives.values()) == put
        assert orders.table["compact"](lake, {}, lambda *_: None)["waiting"] == 0
        assert query(lake.hot, places_of(settings), "SELECT count(*), count(DISTINCT row_id) FROM samples").rows == [(put, put)]
        assert [complaint for _, complaint in checked(lake.hot, lake.places) if complaint] == []
        for pack in (A, B):
            assert lifetime.encode(lake.recomputed(pack)) == lifetime.encode(lake.life_of(pack))  # type: ignore[arg-type]


def test_a_quota_that_is_full_stops_the_lake_and_not_its_answers(tmp_path: Path) -> None:
    """The quota is a real one: no file of the process may grow beyond a size."""
    bench = Bench(tmp_path, free=GB * 100)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with bench.lake() as lake:
        for _ in range(3):
            bench.forward(seconds=10)
            assert bench.give(lake, bench.told(A)).number == bench.number
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
            refused = None
            for _ in range(60):
                bench.forward(seconds=10)
                ack = bench.give(lake, *(bench.told(A) for _ in range(50)))
                if ack.number < bench.number:
                    refused = ack
                    break
            assert refused is not None
            assert refused.state is wire.State.FULL
            assert "cannot write" in refused.text
            assert lake.step() is False
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        bench.number -= 1
        kept = int(query(lake.hot, lake.places, "SELECT count(*) FROM samples").rows[0][0])
        assert kept == 3 + 50 * (bench.number - 3)
        assert bench.give(lake, bench.told(A)).number == bench.number
        assert lake.state is wire.State.GOOD
    with bench.lake() as lake:
        assert lake.life_of(A).samples == kept + 1  # type: ignore[union-attr]
