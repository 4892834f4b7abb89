"""The utility's link inside of the core: tight at once, loose when durable, acknowledged only when it is true."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from small_yard import NOW, SmallYard, run

from controller import limits
from controller.allocation import Allocation
from controller.background import Background
from controller.utility import Utility
from controller.yard import LastAllocation
from depot import events as ev
from depot.events import Envelope, NewEvent
from depot.ports import JournalFrozen
from depot.values import LimitSource, UtilityMode, UtilityOrder
from grid.failsafe import FailsafeChange, FailsafePolicy
from grid.limit_desk import Answered
from grid.limit_model import AckState, LimitOrigin
from grid.limit_session import LimitCommand

POLICY = FailsafePolicy(contract_w=200_000, failsafe_w=60_000)


def decided(world: SmallYard, *, short_w: int = 0) -> None:
    allocation = Allocation([], [], [], 0, short_w, [0, 0], waiting=False)
    world.yard.last = LastAllocation(world.clock.at, [], allocation, Background(0), 200_000, {}, [])


def utility_of(world: SmallYard) -> Utility:
    world.loop.note = lambda event: world.put(event)  # type: ignore[method-assign]  # the loop's tasks don't run here
    return Utility(world.yard, world.loop, POLICY, replan=lambda _cause: None)


def order(seq: int, value_w: int | None) -> LimitCommand:
    return LimitCommand(seq, "10.0.0.9:1", NOW, UtilityOrder(seq, NOW, value_w, peer="10.0.0.9:1"))


def site_w(world: SmallYard) -> int:
    binds = limits.binding(world.loop.limits_in_force(), "", world.clock.now())
    assert binds is not None
    return binds.value


def test_a_link_that_was_never_used_starts_safe() -> None:
    world = SmallYard()
    utility_of(world)
    assert site_w(world) == 60_000


def test_a_heartbeat_and_an_order_release_the_depot_and_a_lost_heartbeat_takes_it_back() -> None:
    world = SmallYard()
    utility = utility_of(world)
    decided(world)

    async def play() -> None:
        utility.heartbeat((1, 0))
        assert (await utility.commit(order(1, 150_000))).state is AckState.ACCEPTED

    run(play())
    assert utility.link.mode is UtilityMode.CONTROLLED
    assert site_w(world) == 150_000
    world.clock.at += timedelta(seconds=121)
    utility.look()
    assert site_w(world) == 60_000


def test_a_limit_holds_for_whoever_looked_at_the_clock_just_before_it_was_asked_for() -> None:
    """On a real clock the loop's decision is a little older than the limits that it asks for."""
    world = SmallYard()
    utility = utility_of(world)
    decided(world)
    looked_at = world.clock.now()
    world.clock.at += timedelta(milliseconds=3)
    binds = limits.binding(world.loop.limits_in_force(), "", looked_at)
    assert binds is not None
    assert (binds.value, binds.source) == (60_000, LimitSource.FAILSAFE)
    decided(world)

    async def play() -> None:
        utility.heartbeat((1, 0))
        await utility.commit(order(1, 50_000))

    run(play())
    looked_at = world.clock.now()
    world.clock.at += timedelta(milliseconds=3)
    assert limits.budget(world.loop.limits_in_force(), "", now=looked_at, life=timedelta(seconds=190)).now_w == 50_000


class Door:
    """Before the journal: what is appended waits until it is open."""

    def __init__(self, world: SmallYard) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self._append = world.journal.append
        world.journal.append = self.append  # type: ignore[method-assign]

    async def append(self, events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]:
        await self.open.wait()
        return await self._append(events, wait=wait)


def test_a_lower_limit_holds_while_the_journal_cannot_write_and_a_higher_one_does_not() -> None:
    world = SmallYard()
    utility = utility_of(world)
    decided(world)

    async def play() -> None:
        door = Door(world)
        utility.heartbeat((1, 0))
        await utility.commit(order(1, 150_000))
        door.open.clear()
        lower = asyncio.create_task(utility.commit(order(2, 40_000)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert site_w(world) == 40_000
        assert not lower.done()
        door.open.set()
        assert (await lower).state is AckState.ACCEPTED
        door.open.clear()
        higher = asyncio.create_task(utility.commit(order(3, 120_000)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert site_w(world) == 40_000
        door.open.set()
        await higher
        assert site_w(world) == 120_000

    run(play())


def test_it_is_not_acknowledged_while_the_chargers_are_above_it() -> None:
    world = SmallYard()
    utility = utility_of(world)

    async def play() -> None:
        utility.heartbeat((1, 0))
        decided(world, short_w=5_000)
        told = asyncio.create_task(utility.commit(order(1, 50_000)))
        await asyncio.sleep(0.25)
        assert not told.done()
        decided(world)
        assert (await told).state is AckState.ACCEPTED

    run(play())


def test_an_order_that_nobody_can_hold_is_acknowledged_once_no_more_can_be_done() -> None:
    """The rest of the site alone may be above it: the master must not wait for ever; compliance tells it."""
    world = SmallYard()
    utility = utility_of(world)

    async def play() -> None:
        utility.heartbeat((1, 0))
        committed = asyncio.create_task(utility.commit(order(1, 10_000)))
        for wait_s, short_w in ((1, 60_000), (5, 30_000), (4, 30_000)):
            decided(world, short_w=short_w)
            await asyncio.sleep(0.25)
            assert not committed.done()
            world.clock.at += timedelta(seconds=wait_s)
        world.clock.at += timedelta(seconds=1)
        decided(world, short_w=30_000)
        assert (await committed).state is AckState.ACCEPTED

    run(play())


def test_a_lower_failsafe_limit_is_acknowledged_once_the_defaults_fit_under_it() -> None:
    world = SmallYard()
    utility = utility_of(world)
    decided(world)
    for grant in world.yard.grants.values():
        grant.commissioned, grant.default_w = True, 6_000

    async def play() -> None:
        change = LimitCommand(1, "10.0.0.9:1", NOW, None, FailsafeChange(limit_w=20_000))
        told = asyncio.create_task(utility.commit(change))
        await asyncio.sleep(0.25)
        assert not told.done()
        for grant in world.yard.grants.values():
            grant.default_w = 0
        assert (await told).state is AckState.ACCEPTED

    world.loop.install_defaults = lambda levels_w: None  # type: ignore[method-assign]  # the loop does not run here
    run(play())
    assert utility.defaults_spec().failsafe_w == 20_000


def test_what_was_ordered_survives_a_restart_and_holds_below_the_failsafe_limit() -> None:
    world = SmallYard()
    utility = utility_of(world)
    decided(world)

    async def play() -> None:
        utility.heartbeat((1, 0))
        await utility.commit(order(1, 30_000))

    run(play())
    world.clock.at += timedelta(seconds=600)
    again = utility_of(world)
    assert again.link.mode is UtilityMode.INIT
    assert site_w(world) == 30_000


@pytest.mark.parametrize(("manual_w", "origin"), [(None, LimitOrigin.UTILITY), (10_000, LimitOrigin.LOCAL)])
def test_feedback_says_what_binds_the_site(manual_w: int | None, origin: LimitOrigin) -> None:
    world = SmallYard()
    utility = utility_of(world)
    decided(world)

    async def play() -> None:
        utility.heartbeat((1, 0))
        await utility.commit(order(1, 50_000))

    run(play())
    if manual_w is not None:
        found = limits.binding(world.loop.limits_in_force(), "", NOW)
        assert found is not None
        world.loop.urgent_limits["manual:"] = replace(found, limit_id="manual:", value=manual_w, source=LimitSource.MANUAL)
    told = utility.feedback()
    assert (told.origin, told.effective_w) == (origin, manual_w or 50_000)


def test_what_became_of_a_command_is_a_fact_also_after_the_journal_was_frozen() -> None:
    world = SmallYard()
    utility = utility_of(world)

    async def play() -> None:
        work: list[asyncio.Task[None]] = []
        world.loop.follow_up = lambda coroutine, _name: work.append(asyncio.ensure_future(coroutine))  # type: ignore[method-assign]
        append, frozen = world.journal.append, [True]

        async def freezing(events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]:
            if frozen and frozen.pop():
                raise JournalFrozen("no room")
            return await append(events, wait=wait)

        world.journal.append = freezing  # type: ignore[method-assign]
        utility.answered(Answered(peer="10.0.0.9:1", role="ReadOnlySunSpec hmi", code=1, message="may only read"))
        async with asyncio.timeout(10):
            await asyncio.gather(*work)

    run(play())
    (fact,) = [envelope for envelope in world.journal.facts if isinstance(envelope.data, ev.UtilityCommandAnswered)]
    assert fact.actor == "modbus:10.0.0.9:1"
    assert fact.data == ev.UtilityCommandAnswered(None, "exception 01", "may only read", "ReadOnlySunSpec hmi")
    assert [word[1] for word in utility.trail.newest] == [fact.data]
