"""A site on its generator: which limit follows, how a person and the transfer switch's contact say so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from small_yard import NOW, SmallYard, run

from controller import limits
from controller.grid_room import GridRoom
from controller.supply import CONTACT, HAND, GeneratorSettings, contact_says, limit_of, supply_of
from depot import events as ev
from depot.commands import CommandStatus, SetSupply
from depot.state import SupplyFact
from depot.values import LimitSource, Supply
from grid.signal import ContactReading

GENERATOR = GeneratorSettings(70_000, return_delay_s=300.0)
ON, OFF = Supply.GENERATOR, Supply.GRID


def later(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


def fact(supply: Supply, at_s: float, *, began_s: float | None = None) -> SupplyFact:
    return SupplyFact(supply, later(at_s), "test", "mani", None if began_s is None else later(began_s))


def test_on_a_generator_its_rating_is_the_limit_and_stays_for_a_while_after_the_return() -> None:
    assert limit_of({}, GENERATOR, NOW) is None
    running = {HAND: fact(ON, 0, began_s=0)}
    limit = limit_of(running, GENERATOR, later(3600))
    assert limit is not None
    assert (limit.value, limit.source, limit.from_, limit.until) == (70_000, LimitSource.GENERATOR, NOW, None)
    returned = {HAND: fact(OFF, 600, began_s=0)}
    limit = limit_of(returned, GENERATOR, later(601))
    assert limit is not None
    assert (limit.value, limit.from_, limit.until) == (70_000, NOW, later(900))
    assert limit_of(returned, GENERATOR, later(900)) is None


def test_one_source_is_enough_and_the_last_to_return_counts() -> None:
    both = {HAND: fact(OFF, 100, began_s=0), CONTACT: fact(ON, 50, began_s=50)}
    assert supply_of(both) is ON
    back = both | {CONTACT: fact(OFF, 400, began_s=50)}
    assert supply_of(back) is OFF
    limit = limit_of(back, GENERATOR, later(500))
    assert limit is not None
    assert limit.until == later(700)


def test_who_never_ran_on_the_generator_is_not_limited_by_it() -> None:
    assert limit_of({CONTACT: fact(OFF, 0)}, GENERATOR, later(1)) is None


@pytest.mark.parametrize(
    ("read_s", "closed", "closed_means", "now_s", "says"),
    [
        (0, True, ON, 1, ON),
        (0, False, ON, 1, OFF),
        (0, True, OFF, 1, OFF),
        (0, False, OFF, 1, ON),
        (0, False, ON, 31, None),  # silent since it was read: the worst case comes when that is 30 s
        (None, False, ON, 10, None),
        (None, False, ON, 31, ON),
    ],
)
def test_a_silent_contact_is_the_worst_case(read_s: float | None, closed: bool, closed_means: Supply, now_s: float, says: Any) -> None:
    found = contact_says(None if read_s is None else later(read_s), closed, closed_means=closed_means, started=NOW, now=later(now_s))
    expected = ON if now_s > 30 else says
    assert found is expected


class Depot:
    """A small yard with a generator and a contact that a test sets."""

    def __init__(self, *, contact: bool = False) -> None:
        self.world = SmallYard()
        self.tasks: list[asyncio.Task[None]] = []
        self.world.loop.follow_up = lambda work, name: self.tasks.append(asyncio.ensure_future(work))  # type: ignore[method-assign]  # the loop's tasks don't run here
        self.reading: ContactReading | None = None
        self.room = GridRoom(
            self.world.yard, self.world.loop, self.world.history, None, generator=GENERATOR,
            contact=(lambda: self.reading) if contact else None, replan=self.world.replans.append,
        )  # fmt: skip
        self.world.orders.carriers.update(self.room.commands)

    @property
    def site_w(self) -> int:
        binds = limits.binding(self.world.loop.limits_in_force(), "", self.world.clock.now())
        assert binds is not None
        return binds.value

    async def say(self, supply: Supply, number: int) -> tuple[CommandStatus, str]:
        result = await self.world.orders.execute(SetSupply(command_id=f"c{number}", actor="mani", reason="grid failed", supply=supply))
        return result.status, result.message

    async def follow(self, *, closed: bool) -> None:
        self.reading = ContactReading(self.world.clock.now(), closed)
        await self.room.follow_contact()
        await asyncio.gather(*self.tasks)


def test_a_person_says_generator_and_later_grid() -> None:
    depot = Depot()

    async def play() -> None:
        assert await depot.say(ON, 1) == (CommandStatus.DONE, "the site is limited to the generator's 70 kW")
        assert depot.site_w == 70_000
        supply = depot.room.view().supply
        assert supply is not None
        assert (supply.now, supply.by, supply.reason, supply.contact) == ("generator", "mani", "grid failed", "")
        depot.world.clock.at += timedelta(seconds=1000)
        status, message = await depot.say(OFF, 2)
        assert (status, "another 300 s" in message) == (CommandStatus.DONE, True)
        assert depot.site_w == 70_000
        supply = depot.room.view().supply
        assert supply is not None
        assert supply.limit_until == later(1300)
        depot.world.clock.at += timedelta(seconds=301)
        assert depot.site_w == 200_000

    run(play())
    assert [e.data.supply for e in depot.world.journal.facts if isinstance(e.data, ev.SupplyChanged)] == [ON, OFF]
    assert depot.world.replans


def test_without_a_generator_the_order_is_refused() -> None:
    depot = Depot()
    depot.room._generator = None

    async def play() -> None:
        status, message = await depot.say(ON, 1)
        assert status is CommandStatus.REFUSED
        assert "[generator]" in message

    run(play())


def test_the_transfer_switch_is_followed_and_a_person_cannot_talk_it_away() -> None:
    depot = Depot(contact=True)

    async def play() -> None:
        await depot.follow(closed=False)
        assert depot.site_w == 200_000
        assert not [e for e in depot.world.journal.facts if isinstance(e.data, ev.SupplyChanged)]
        await depot.follow(closed=True)
        await depot.follow(closed=True)
        assert depot.site_w == 70_000
        status, message = await depot.say(OFF, 1)
        assert (status, "still says generator" in message) == (CommandStatus.REFUSED, True)
        assert depot.site_w == 70_000
        await depot.follow(closed=False)
        depot.world.clock.at += timedelta(seconds=299)
        assert depot.site_w == 70_000
        depot.world.clock.at += timedelta(seconds=2)
        await depot.follow(closed=False)
        assert depot.site_w == 200_000

    run(play())


def test_a_contact_that_falls_silent_limits_the_site() -> None:
    depot = Depot(contact=True)

    async def play() -> None:
        await depot.follow(closed=False)
        depot.world.clock.at += timedelta(seconds=31)
        await depot.room.follow_contact()
        await asyncio.gather(*depot.tasks)
        assert depot.site_w == 70_000
        supply = depot.room.view().supply
        assert supply is not None
        assert (supply.contact, supply.by) == ("silent", "transfer switch")

    run(play())


def test_the_generator_holds_before_the_journal_has_it() -> None:
    depot = Depot()
    opened = asyncio.Event()
    append = depot.world.journal.append

    async def slow(events: Any, *, wait: bool = True) -> Any:
        if wait:
            await opened.wait()
        return await append(events, wait=wait)

    depot.world.journal.append = slow  # type: ignore[method-assign]

    async def play() -> None:
        told = asyncio.create_task(depot.say(ON, 1))
        await asyncio.sleep(0.05)
        assert depot.site_w == 70_000
        assert not depot.world.yard.state.supply
        opened.set()
        await told
        assert depot.world.yard.state.supply[HAND].supply is ON

    run(play())


def test_what_a_source_repeats_does_not_begin_anew() -> None:
    depot = Depot()

    async def play() -> None:
        await depot.say(ON, 1)
        depot.world.clock.at += timedelta(seconds=50)
        await depot.say(ON, 2)

    run(play())
    known = depot.world.yard.state.supply[HAND]
    assert (known.since, known.began) == (NOW, NOW)
    assert replace(known, by="") == SupplyFact(ON, NOW, "grid failed", "", NOW)
