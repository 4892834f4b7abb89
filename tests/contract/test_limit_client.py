"""An RTU that cannot write, over real sockets: what lies in its registers is obeyed by the rules of the limit server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from little_core import LittleCore

from depot.values import UtilityMode
from grid.failsafe import verdict
from grid.limit_client import LimitClient, LimitClientSettings
from grid.limit_model import AckState, LimitState
from grid.modbus_link import Peer
from simulator.passive_rtu import FIRST, PassiveRtu
from simulator.rtu import CMD_SEQ, COMMAND, FAILSAFE, LimitOrder

pytestmark = pytest.mark.anyio

POLL_S = 0.03


class HandClock:
    """The RTU's clock: its heartbeat moves with every look."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        self.looks += 1
        return float(self.looks)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # a socket's other side has no event to wait for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def polling(core: LittleCore, rtu: PassiveRtu, *, write_feedback: bool = False) -> AsyncIterator[LimitClient]:
    settings = LimitClientSettings(peer=Peer(host="127.0.0.1", port=rtu.port), period_s=POLL_S, write_feedback=write_feedback)
    async with LimitClient(settings, commands=core, feedback=core.feedback, now=core.now) as client:
        yield client


def state(core: LittleCore) -> tuple[LimitState, int | None]:
    found = verdict(core.link, core.at, core.policy)
    return found.state, found.limit_w


async def polls(client: LimitClient, count: int) -> None:
    seen = client.requests
    await until(lambda: client.requests >= seen + count)


async def test_what_lies_in_its_registers_is_obeyed_once_and_a_new_number_is_a_new_command() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu, polling(core, rtu) as client:
        await polls(client, 3)
        assert state(core) == (LimitState.INIT, 200_000)  # a heartbeat alone releases nothing
        assert core.commands == []
        rtu.order(LimitOrder(400_000, event_id=7))
        await until(lambda: state(core) == (LimitState.LIMITED, 400_000))
        await polls(client, 5)
        assert len(core.commands) == 1
        rtu.order(LimitOrder(0))
        await until(lambda: state(core) == (LimitState.LIMITED, 0))
        assert client.newest is not None
        assert (client.newest.seq, client.newest.state, client.connections) == (2, AckState.ACCEPTED, 1)
        assert [(word.role, word.seq) for word in core.words] == [("passive RTU", 1), ("passive RTU", 2)]
        assert core.commands[0].order is not None
        assert core.commands[0].order.event_id == 7


async def test_other_points_alone_are_staged_and_not_commanded() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu, polling(core, rtu) as client:
        rtu.order(LimitOrder(400_000))
        await until(lambda: core.commands)
        rtu.garble(COMMAND + 2, [0, 50_000])
        await polls(client, 5)
        assert len(core.commands) == 1
        rtu.garble(CMD_SEQ, [2])
        await until(lambda: state(core) == (LimitState.LIMITED, 50_000))


async def test_a_heartbeat_that_stands_still_is_silence_and_what_holds_is_said_again_when_it_is_back() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu, polling(core, rtu) as client:
        rtu.order(LimitOrder(400_000))
        await until(lambda: core.link.mode is UtilityMode.CONTROLLED)
        rtu.silence()
        await polls(client, 3)
        core.pass_time(121)
        assert state(core) == (LimitState.FAILSAFE, 200_000)
        await polls(client, 3)
        assert state(core) == (LimitState.FAILSAFE, 200_000)
        assert len(core.commands) == 1
        rtu.speak()
        await until(lambda: state(core) == (LimitState.LIMITED, 400_000))
        await polls(client, 5)
        assert len(core.commands) == 2


async def test_an_order_that_has_run_out_is_not_said_again() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu, polling(core, rtu) as client:
        rtu.order(LimitOrder(400_000, validity_s=60))
        await until(lambda: core.link.mode is UtilityMode.CONTROLLED)
        rtu.silence()
        await polls(client, 3)
        core.pass_time(130)
        rtu.speak()
        await polls(client, 5)
        assert len(core.commands) == 1
        assert core.link.mode is UtilityMode.FAILSAFE


async def test_a_connection_that_is_lost_is_silence() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu, polling(core, rtu) as client:
        rtu.order(LimitOrder(400_000))
        await until(lambda: core.link.mode is UtilityMode.CONTROLLED)
        await rtu.__aexit__(None, None, None)
        await until(lambda: client.connections == 0)
        core.pass_time(121)
        assert state(core) == (LimitState.FAILSAFE, 200_000)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (COMMAND + 2, [0x1E84, 0x8000]),  # 512 MW: a wrong scale
        (COMMAND + 2, [0xC350, 0x0000]),  # swapped words
        (COMMAND, [7]),
        (FAILSAFE + 4, [9]),  # a heartbeat timeout of 9 s
    ],
)
async def test_what_cannot_be_is_refused_told_once_and_taken_when_it_is_right(address: int, words: list[int]) -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu, polling(core, rtu) as client:
        rtu.order(LimitOrder(300_000))
        good = rtu.registers
        rtu.garble(CMD_SEQ, [0])
        rtu.garble(address, words)
        rtu.garble(CMD_SEQ, [1])
        await until(lambda: core.words)
        await polls(client, 5)
        assert state(core) == (LimitState.INIT, 200_000)
        assert core.commands == []
        assert len(core.words) == 1
        assert sum(client.refusals.values()) == 1
        rtu.garble(FIRST, good)
        await until(lambda: state(core) == (LimitState.LIMITED, 300_000))


async def test_a_device_without_the_model_is_no_rtu() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu:
        rtu.garble(40_186, [802])
        async with polling(core, rtu) as client:
            await until(lambda: client.link.failures)
            assert (client.connections, core.link.beat_at) == (0, None)


async def test_it_is_told_what_became_of_its_wish_where_that_is_wanted() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu, polling(core, rtu, write_feedback=True) as client:
        await polls(client, 3)
        rtu.order(LimitOrder(400_000, event_id=9))
        await until(lambda: rtu.ack_seq == 1)
        ack, status, event_high, event_low, limit_state = rtu.feedback[:5]
        assert (ack, status, event_high << 16 | event_low, limit_state) == (1, AckState.ACCEPTED, 9, LimitState.LIMITED)
        assert rtu.feedback[6] << 16 | rtu.feedback[7] == 400_000
    async with PassiveRtu(clock=HandClock(), takes_feedback=False) as rtu, polling(core, rtu, write_feedback=True) as client:
        await polls(client, 3)  # it refuses, and is read on
        assert rtu.writes == 0


async def test_nothing_is_written_where_nothing_is_wanted() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu, polling(core, rtu) as client:
        await polls(client, 3)
        assert rtu.writes == 0


async def test_a_restart_obeys_what_stands_and_a_counter_that_stands_is_no_heartbeat() -> None:
    core = LittleCore()
    async with PassiveRtu(clock=HandClock()) as rtu:
        rtu.order(LimitOrder(150_000))
        rtu.silence()
        async with polling(core, rtu) as client:
            await polls(client, 4)
            assert core.link.beat_at is None
            assert state(core) == (LimitState.INIT, 150_000)  # tighter at once, looser never
            rtu.speak()
            await until(lambda: core.link.mode is UtilityMode.CONTROLLED)
