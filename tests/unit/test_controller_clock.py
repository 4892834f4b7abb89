"""Clocks: scaled processes agree; virtual time jumps, is exact and deterministic, and refuses the real world."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from controller.app.clock_guard import watch_clock
from controller.clock import NotVirtual, ScaledClock, SteadyClock, SystemClock, VirtualClock, VirtualDeadlock, run_virtual

START = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)


def test_system_clock_is_aware_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_scaled_clocks_with_the_same_numbers_agree_and_run_faster() -> None:
    a = ScaledClock(time.time() - 10, START, 60)
    b = ScaledClock(a.epoch_wall, START, 60)
    assert abs((a.now() - b.now()).total_seconds()) < 1
    assert timedelta(seconds=600) <= a.now() - START < timedelta(seconds=660)


@pytest.mark.anyio
async def test_scaled_sleep_is_shorter_by_the_speed() -> None:
    clock = ScaledClock.starting(START, 100)
    before, real = clock.monotonic(), time.monotonic()
    await clock.sleep(5)
    assert 0.05 <= time.monotonic() - real < 1
    assert clock.monotonic() - before >= 5


class HandClock:
    """A wall and a pendulum that a test moves."""

    def __init__(self) -> None:
        self.wall, self.mono_s = START, 100.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.mono_s

    async def sleep(self, seconds: float) -> None:
        self.pass_time(seconds)
        await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.mono_s += seconds


@pytest.mark.parametrize("set_s", [-3600.0, -0.5, 0.5, 600.0, 86_400.0 * 365])
def test_a_steady_clock_is_never_set_and_catches_up_by_a_hundredth(set_s: float) -> None:
    hand = HandClock()
    clock = SteadyClock(hand)
    hand.pass_time(10)
    assert clock.now() == hand.wall
    hand.wall += timedelta(seconds=set_s)
    before = clock.now()
    assert before == hand.wall - timedelta(seconds=set_s)
    for _ in range(100):
        hand.pass_time(1.0)
        after = clock.now()
        assert 0.99 - 1e-6 <= (after - before).total_seconds() <= 1.01 + 1e-6
        before = after
    assert clock.off_s == pytest.approx(0.0 if abs(set_s) <= 1 else set_s - (1.0 if set_s > 0 else -1.0), abs=1e-3)
    assert clock.now() + timedelta(seconds=clock.off_s) == hand.wall


def test_a_steady_clock_runs_on_between_two_looks_at_the_other() -> None:
    hand = HandClock()
    clock = SteadyClock(hand)
    start = clock.now()
    for n in range(1, 2001):
        hand.pass_time(0.001)
        hand.wall += timedelta(seconds=0.001) if n == 1000 else timedelta()
        assert abs((clock.now() - start).total_seconds() - n / 1000) <= 0.0015
    assert abs(clock.off_s) < 1e-3
    assert clock.now() >= start


def test_a_steady_clock_that_follows_has_the_walls_time() -> None:
    hand = HandClock()
    clock = SteadyClock(hand)
    hand.wall += timedelta(days=400)
    assert clock.follow() == pytest.approx(400 * 86_400)
    assert clock.now() == hand.wall
    hand.pass_time(5)
    assert clock.now() == hand.wall


@pytest.mark.anyio
async def test_a_set_clock_is_told_once_and_taken_over_when_nothing_charges(caplog: pytest.LogCaptureFixture) -> None:
    hand, charging = HandClock(), True
    clock = SteadyClock(hand)
    hand.wall += timedelta(hours=1)
    watching = asyncio.create_task(watch_clock(clock, idle=lambda: not charging))
    for _ in range(20):
        await asyncio.sleep(0)
    assert caplog.text.count("was set by +3") == 1
    assert clock.off_s > 3_500
    charging = False
    for _ in range(5):
        await asyncio.sleep(0)
    assert abs(clock.off_s) < 1e-3
    assert clock.now() == hand.wall
    watching.cancel()


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_scaled_clock_refuses_a_speed_that_is_none(speed: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        ScaledClock(0, START, speed)


def test_clock_refuses_naive_time() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        ScaledClock(0, datetime(2026, 1, 1), 1)


def test_virtual_time_jumps_and_is_exact() -> None:
    async def main(clock: VirtualClock) -> tuple[datetime, float]:
        t0 = clock.monotonic()
        await clock.sleep(0.1)
        await clock.sleep(40 * 86_400)
        return clock.now(), clock.monotonic() - t0

    real = time.monotonic()
    now, spent = run_virtual(main, start=START)
    assert time.monotonic() - real < 2
    assert now == START + timedelta(days=40, seconds=0.1)
    assert spent == pytest.approx(40 * 86_400 + 0.1)


def test_virtual_sleeper_never_wakes_early() -> None:
    async def main(clock: VirtualClock) -> None:
        for k in range(1, 3000):
            due = clock.now() + timedelta(seconds=0.1 * k)
            due_monotonic = clock.monotonic() + 0.1 * k
            await clock.sleep(0.1 * k)
            assert clock.now() >= due - timedelta(microseconds=1)
            assert clock.monotonic() >= due_monotonic

    run_virtual(main, start=START)


def test_virtual_run_is_deterministic() -> None:
    async def main(clock: VirtualClock) -> list[tuple[str, float]]:
        log: list[tuple[str, float]] = []

        async def worker(name: str, period: float) -> None:
            for _ in range(50):
                await clock.sleep(period)
                log.append((name, clock.monotonic()))

        async with asyncio.TaskGroup() as group:
            for k in range(7):
                group.create_task(worker(f"w{k}", 0.3 + 0.1 * (k % 3)))
        return log

    assert run_virtual(main, start=START) == run_virtual(main, start=START)


def test_virtual_timeouts_follow_virtual_time() -> None:
    async def main(clock: VirtualClock) -> float:
        t0 = clock.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return clock.monotonic() - t0

    assert run_virtual(main, start=START) == pytest.approx(30)


def test_virtual_deadlock_is_named_instead_of_hanging() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main(_: VirtualClock) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(forever(), name="the one that waits")

    with pytest.raises(VirtualDeadlock, match="the one that waits"):
        run_virtual(main, start=START)


def test_virtual_loop_refuses_threads_and_sockets() -> None:
    async def thread(_: VirtualClock) -> None:
        await asyncio.to_thread(time.sleep, 1)

    async def server(_: VirtualClock) -> None:
        await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)

    async def connection(_: VirtualClock) -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    async def child(_: VirtualClock) -> None:
        await asyncio.create_subprocess_exec("true")

    for main, word in ((thread, "thread"), (server, "server"), (connection, "connection"), (child, "child process")):
        with pytest.raises(NotVirtual, match=word):
            run_virtual(main, start=START)


def test_virtual_errors_pass_through_and_cancel_the_rest() -> None:
    ended: list[str] = []

    async def main(clock: VirtualClock) -> None:
        async def other() -> None:
            try:
                await clock.sleep(1e9)
            finally:
                ended.append("other")

        task = asyncio.create_task(other())
        await clock.sleep(1)
        assert not task.done()
        raise LookupError("as it happened")

    with pytest.raises(LookupError, match="as it happened"):
        run_virtual(main, start=START)
    assert ended == ["other"]


def test_progress_is_told_throttled() -> None:
    seen: list[datetime] = []

    async def main(clock: VirtualClock) -> None:
        for _ in range(20_000):
            await clock.sleep(1)

    real = time.monotonic()
    run_virtual(main, start=START, progress=seen.append)
    assert 1 <= len(seen) <= (time.monotonic() - real) / 0.1 + 1
    assert seen == sorted(seen)
