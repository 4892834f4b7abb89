"""Who waits at the door of the broker comes in by turn, and waking is not the work of those who wait."""

from __future__ import annotations

import asyncio
from typing import Any

from bms_bridge.door import MOST_WAITING, Door


class Queues:
    """What amqtt holds. ``looks``: how often it was asked."""

    def __init__(self, held: int) -> None:
        self.held, self.looks = held, 0

    def __call__(self) -> int:
        self.looks += 1
        return self.held


def door(queues: Queues) -> Door:
    book: Any = None  # nobody signs in here
    return Door(book, waiting=queues, handshake_s=1.0)


def test_a_full_broker_lets_in_as_many_as_it_has_room_for_and_who_came_first_is_first() -> None:
    async def main() -> None:
        queues = Queues(MOST_WAITING)
        its = door(queues)
        came: list[int] = []

        async def one(number: int) -> None:
            await its.room()
            came.append(number)
            queues.held += 1

        waiting = [asyncio.create_task(one(number)) for number in range(500)]
        await asyncio.sleep(0.05)
        assert came == []
        assert queues.looks < 500 + 50  # one of them looks on, not all
        waiting[1].cancel()
        queues.held -= 3
        await asyncio.wait(waiting[:4], timeout=2)
        await asyncio.sleep(0.03)
        assert came == [0, 2, 3]  # who has gone takes nobody's room
        queues.held = -1_000
        async with asyncio.timeout(2):
            await asyncio.gather(*waiting, return_exceptions=True)
        assert came == [0, *range(2, 500)]

    asyncio.run(main())


def test_with_room_nobody_waits() -> None:
    async def main() -> None:
        its = door(Queues(MOST_WAITING - 1))
        await asyncio.wait_for(its.room(), 0.001)

    asyncio.run(main())
