"""A part that falls goes on again, is told of, and does not take the others along."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from controller.clock import VirtualClock, run_virtual
from controller.room_keeper import LONGEST_WAIT_S, SOUND_AFTER, RoomKeeper

START = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)


class Part:
    """Falls so many times, after so long each, and goes on then."""

    def __init__(self, clock: VirtualClock, falls: int, after_s: float = 0.0) -> None:
        self.clock, self.falls, self.after_s = clock, falls, after_s
        self.begun: list[datetime] = []

    async def run(self) -> None:
        self.begun.append(self.clock.now())
        await self.clock.sleep(self.after_s)
        if len(self.begun) <= self.falls:
            raise ValueError("poison")
        await self.clock.sleep(1e6)


def watched(falls: int, for_s: float, after_s: float = 0.0) -> tuple[Part, RoomKeeper, datetime]:
    """A part that was kept for so long; when that ended."""

    async def main(clock: VirtualClock) -> tuple[Part, RoomKeeper, datetime]:
        part, keeper = Part(clock, falls, after_s), RoomKeeper(clock)
        async with asyncio.TaskGroup() as tasks:
            kept = tasks.create_task(keeper.keep("Part", part.run))
            await clock.sleep(for_s)
            kept.cancel()
        return part, keeper, clock.now()

    return run_virtual(main, start=START)


@pytest.mark.parts_fail
def test_a_part_that_falls_is_begun_again_after_longer_and_longer_waits() -> None:
    part, keeper, now = watched(falls=9, for_s=290)
    waits = [(b - a).total_seconds() for a, b in zip(part.begun, part.begun[1:], strict=False)]
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    (condition,) = keeper.conditions(now)
    assert (condition.kind, condition.subject) == ("part_failed", "Part")
    assert condition.title == "The part Part of the controller failed 9 times (ValueError)."
    assert not keeper.conditions(now + SOUND_AFTER)


@pytest.mark.parts_fail
def test_a_part_that_was_sound_for_long_is_begun_again_at_once() -> None:
    part, keeper, _ = watched(falls=2, after_s=SOUND_AFTER.total_seconds(), for_s=3 * SOUND_AFTER.total_seconds())
    assert part.begun[2] - part.begun[1] == SOUND_AFTER + timedelta(seconds=1)
    assert keeper.falls["Part"].count == 1


def test_a_part_that_ends_by_itself_has_ended() -> None:
    async def main(clock: VirtualClock) -> RoomKeeper:
        keeper = RoomKeeper(clock)
        await keeper.keep("Part", _done)
        return keeper

    keeper = run_virtual(main, start=START)
    assert not keeper.falls
    assert not keeper.conditions(START)


async def _done() -> None:
    """A part without anything to do."""
