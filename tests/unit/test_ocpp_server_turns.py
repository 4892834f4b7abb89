"""Who is made ready now, and who waits (reference no. 3)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from controller.clock import VirtualClock, run_virtual
from ocpp_server.commission import Turns


def test_problem_03_so_many_at_a_time_and_a_slow_one_makes_room() -> None:
    async def main(clock: VirtualClock) -> None:
        turns = Turns(2, each_s=3.0)
        begun: dict[int, float] = {}

        async def ready(n: int, takes_s: float) -> None:
            async with turns.one():
                begun[n] = clock.monotonic()
                await clock.sleep(takes_s)

        started = clock.monotonic()
        async with asyncio.TaskGroup() as group:
            for n, takes_s in enumerate((1.0, 100.0, 1.0, 1.0, 1.0)):
                group.create_task(ready(n, takes_s))
        assert [round(at - started) for at in begun.values()] == [0, 0, 1, 2, 3]
        async with turns.one(), asyncio.timeout(1), turns.one():
            waiting = asyncio.create_task(ready(9, 0.0))
            await clock.sleep(0.5)
            assert 9 not in begun, "the places are as many as ever"
            waiting.cancel()

    run_virtual(main, start=datetime(2026, 3, 1, tzinfo=UTC))


def test_no_3_while_a_whole_depot_boots_nobody_is_asked_anything() -> None:
    async def main(clock: VirtualClock) -> None:
        turns = Turns(2, each_s=3.0)
        turns.booted()
        began = clock.monotonic()
        await turns.after_the_rush()
        assert clock.monotonic() == began, "one boot is no rush"
        for _ in range(Turns.RUSH):
            turns.booted()
            await clock.sleep(0.001)
        await turns.after_the_rush()
        assert 0.9 <= clock.monotonic() - began <= 1.2

    run_virtual(main, start=datetime(2026, 3, 1, tzinfo=UTC))
