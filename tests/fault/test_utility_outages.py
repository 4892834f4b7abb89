"""The core is killed while the utility's limit holds, and comes back sooner or later than the heartbeat time-out; and the depot
that reads an RTU which cannot write. Real processes and sockets; a few stations that charge. benchmarks/heartbeat_lost.py
measures the same on 24 chargers, with the planner hung as well.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.faultkit.nemesis import until
from benchmarks.limit_drop import BASE_W, full_depot
from benchmarks.real_depot import UTILITY_PORT, RealDepot, open_depot
from controller.grid_view import GridView
from simulator.demo_day import demo_spec
from simulator.passive_rtu import PassiveRtu
from simulator.rtu import IN_FAILSAFE, INIT, LIMITED, LimitOrder, Rtu

pytestmark = [pytest.mark.serial, pytest.mark.anyio, pytest.mark.timeout(240)]

STATIONS = 6
FAILSAFE_W = BASE_W + 60_000
ORDERED_W = BASE_W + 85_000
TIMEOUT_S, SHORT_TIMEOUT_S = 60, 10
METER_W = 500
SETTINGS = """
[limiter]
max_writes_per_hour = 3600
min_change_s = 1
comeback_max_s = 0
comeback_ramp_s = 0
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def charging_depot(extra: str) -> AsyncIterator[RealDepot]:
    spec = replace(demo_spec(), stations=demo_spec().stations[:STATIONS], failsafe_w=FAILSAFE_W)
    day = full_depot(spec, start=datetime.now(UTC) + timedelta(seconds=4), duration_s=3600)
    async with open_depot(day, speed=1, seed=7, personas={}, extra=SETTINGS + extra) as depot:
        playing = asyncio.create_task(depot.world.run())
        try:
            yield depot
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


async def worst_w(depot: RealDepot, seconds: float) -> int:
    """The most that flows within the next seconds."""
    found, ends_s = 0, time.monotonic() + seconds
    while time.monotonic() < ends_s:
        found = max(found, depot.world.plant.site_power_w())
        await asyncio.sleep(0.05)
    return found


def says(rtu: Rtu, *states: int) -> bool:
    return rtu.report is not None and rtu.report.state in states


async def test_a_core_that_is_killed_resumes_soon_and_starts_safe_later() -> None:
    utility = f"[utility]\nport = {UTILITY_PORT}\nheartbeat_timeout_s = {TIMEOUT_S}\n"
    async with charging_depot(utility) as depot:
        server = depot.settings.to_limit_server()
        assert server is not None
        async with Rtu(port=server.port, clock=depot.clock) as rtu:
            rtu.insists = False
            await rtu.order(LimitOrder(ORDERED_W))
            await until(lambda: depot.world.plant.site_power_w() > FAILSAFE_W + 10_000, 90, "they charge as much as they may")

            # an acknowledgement is true: at its moment no more flows than was ordered
            report = await rtu.order(LimitOrder(FAILSAFE_W), patience_s=60)
            assert (report.state, report.limit_w) == (LIMITED, FAILSAFE_W)
            assert depot.world.plant.site_power_w() <= FAILSAFE_W + METER_W
            await rtu.order(LimitOrder(ORDERED_W))
            await until(lambda: depot.world.plant.site_power_w() > FAILSAFE_W + 10_000, 60, "they charge more again")

            # sooner than the time-out: what was ordered goes on, with nobody saying anything new
            watching = asyncio.create_task(worst_w(depot, 6.0))
            rtu.report = None
            await depot.kill_core()
            await until(lambda: rtu.report is not None, TIMEOUT_S - 5, "the core is back")
            assert says(rtu, LIMITED), rtu.report
            assert rtu.report is not None
            assert rtu.report.limit_w == ORDERED_W
            assert await watching <= ORDERED_W + METER_W

            # later: the fail-safe limit, until a heartbeat and a fresh order
            await rtu.set_failsafe(timeout_s=SHORT_TIMEOUT_S)
            core = depot.core_pid
            assert core is not None
            os.kill(depot.supervisor.pid, signal.SIGSTOP)
            try:
                os.kill(core, signal.SIGKILL)
                rtu.report = None
                await asyncio.sleep(SHORT_TIMEOUT_S + 1)
            finally:
                os.kill(depot.supervisor.pid, signal.SIGCONT)
            await until(lambda: rtu.report is not None, 60, "the core is back")
            beats = rtu.beats
            assert says(rtu, INIT, IN_FAILSAFE), rtu.report
            await until(lambda: depot.world.plant.site_power_w() <= FAILSAFE_W + METER_W, 30, "the site is below the fail-safe limit")
            assert await worst_w(depot, 3.0) <= FAILSAFE_W + METER_W
            assert rtu.beats > beats
            assert says(rtu, INIT, IN_FAILSAFE), "heartbeats alone release nothing"
            await rtu.order(LimitOrder(ORDERED_W))
            await until(lambda: says(rtu, LIMITED), 10, "a fresh order does")


async def test_a_core_reads_an_rtu_that_cannot_write_and_falls_back_when_it_is_gone() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    class Clock:
        def now(self) -> datetime:
            return datetime.now(UTC)

        def monotonic(self) -> float:
            return time.monotonic()

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    utility = (
        f'[utility]\nmode = "client"\nheartbeat_timeout_s = {SHORT_TIMEOUT_S}\n'
        f'[utility.rtu]\nhost = "127.0.0.1"\nport = {port}\npoll_s = 0.2\nwrite_feedback = true\n'
    )
    async with charging_depot(utility) as depot:

        async def link() -> tuple[str, int | None]:
            view = await depot.link.show(GridView)
            assert view is not None
            assert view.utility is not None
            return view.utility.state, view.utility.limit_w

        async def becomes(wanted: tuple[str, int | None], patience_s: float) -> None:
            async with asyncio.timeout(patience_s):
                while await link() != wanted:  # noqa: ASYNC110  # a view is asked for
                    await asyncio.sleep(0.05)

        assert await link() == ("init", FAILSAFE_W)
        async with PassiveRtu(clock=Clock(), port=port) as rtu:
            rtu.order(LimitOrder(ORDERED_W, event_id=5))
            await becomes(("limited", ORDERED_W), 40)
            rtu.order(LimitOrder(0))
            await becomes(("limited", 0), 15)
            await until(lambda: depot.world.plant.site_power_w() <= BASE_W + METER_W, 30, "the chargers draw nothing")
            wanted = rtu.order(LimitOrder(ORDERED_W))
            await becomes(("limited", ORDERED_W), 15)
            await until(lambda: rtu.ack_seq == wanted, 30, "the RTU is told what became of its wish")
        gone_s = time.monotonic()
        await becomes(("failsafe", FAILSAFE_W), SHORT_TIMEOUT_S + 20)
        assert time.monotonic() - gone_s >= SHORT_TIMEOUT_S - 1.5
