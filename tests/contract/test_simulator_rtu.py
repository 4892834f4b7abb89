"""The simulated RTU against the real limit server: beats, orders, a timetable, silence, a restart that counts from 1."""

from __future__ import annotations

import asyncio

import pytest
from little_core import LittleCore, serving

from controller.clock import SystemClock
from depot.values import UtilityMode
from simulator import rtu
from simulator.rtu import LimitOrder, Rtu, RtuFailed

pytestmark = pytest.mark.anyio


async def until(condition: object, *, within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110  # a socket's other side has no event to wait for
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_order_arrives_as_it_was_meant_and_is_acknowledged(*, at_once: bool) -> None:
    core = LittleCore()
    async with serving(core) as server, Rtu(port=server.port, clock=SystemClock(), beat_s=0.1) as master:
        found = await master.order(LimitOrder(400_000, validity_s=900, reversion_w=100_000, ramp_s=0, event_id=42), at_once=at_once)
        assert (found.ack_seq, found.ack_state, found.ack_event) == (1, rtu.ACCEPTED, 42)
        assert (found.state, found.limit_w, found.import_w, found.demand_left_s) == (rtu.LIMITED, 400_000, 345_678, 77)
        (command,) = core.commands
        assert command.order is not None
        assert (command.order.value_w, command.order.validity_s, command.order.reversion_w) == (400_000, 900, 100_000)
        await until(lambda: master.beats >= 3)
        no_limit = await master.order(LimitOrder(None))
        assert (no_limit.ack_seq, no_limit.state) == (2, rtu.UNLIMITED)


async def test_it_waits_for_the_truth_and_gives_up_in_the_end() -> None:
    core = LittleCore()
    core.obeyed.clear()
    async with serving(core) as server, Rtu(port=server.port, clock=SystemClock(), beat_s=0.1) as master:
        with pytest.raises(RtuFailed, match="order 1 was not acknowledged"):
            await master.order(LimitOrder(50_000), patience_s=0.5)
        core.obeyed.set()
        assert (await master.acknowledged(1)).ack_state == rtu.ACCEPTED


async def test_after_a_silence_that_was_too_long_its_standing_order_is_given_again() -> None:
    core = LittleCore()
    async with serving(core) as server, Rtu(port=server.port, clock=SystemClock(), beat_s=0.1) as master:
        await master.order(LimitOrder(400_000))
        master.silence()
        await asyncio.sleep(0.3)
        core.pass_time(130)
        assert core.link.mode is UtilityMode.FAILSAFE
        heard = master.beats
        await asyncio.sleep(0.3)
        assert master.beats == heard
        master.speak()
        await until(lambda: core.link.mode is UtilityMode.CONTROLLED)
        assert master.seq == 2
        assert core.link.order is not None
        assert core.link.order.value_w == 400_000


async def test_a_restarted_rtu_counts_from_one_and_is_understood() -> None:
    core = LittleCore()
    async with serving(core) as server, Rtu(port=server.port, clock=SystemClock(), beat_s=0.1) as master:
        await master.order(LimitOrder(400_000))
        await master.order(LimitOrder(300_000))
        await master.restart()
        assert master.seq == 1
        assert (await master.acknowledged(1)).limit_w == 300_000
        assert [command.seq for command in core.commands] == [1, 2, 1]


async def test_it_follows_its_timetable_and_survives_a_server_that_goes_away() -> None:
    core = LittleCore()
    async with serving(core) as server, Rtu(port=server.port, clock=SystemClock(), beat_s=0.1) as master:
        await master.follow([(0.2, LimitOrder(300_000)), (0.0, LimitOrder(500_000))])
        assert [c.order.value_w for c in core.commands if c.order is not None] == [500_000, 300_000]
        found = await master.set_failsafe(limit_w=150_000, timeout_s=10)
        assert (found.ack_seq, core.link.failsafe_w, core.link.heartbeat_timeout_s) == (3, 150_000, 10)
        port = server.port
    again = LittleCore()
    async with Rtu(port=port, clock=SystemClock(), beat_s=0.1) as master:
        with pytest.raises(RtuFailed, match="can't be told"):
            await master.order(LimitOrder(1_000))
        async with serving(again, port=port):
            await until(lambda: again.link.mode is UtilityMode.CONTROLLED)
            assert again.commands[-1].order is not None
