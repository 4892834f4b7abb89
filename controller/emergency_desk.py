"""The book of emergencies as it stands now: what is put into it acts at once, and is in the journal as soon as that can write.

    room --put(facts)--> book (this moment) --run()--> journal          a kill between the two: the latches bring it back

Shared by the rooms of response, evacuation, incidents and drills; nobody else writes these facts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from controller.yard import Yard
from depot import emergency_facts
from depot import events as ev


@dataclass(slots=True)
class _Waiting:
    facts: list[ev.NewEvent]
    done: asyncio.Future[None] | None = None


class EmergencyDesk:
    """See the module. ``on_put``: who hears of facts the moment they are put."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.book = yard.state.emergency
        self.on_put: list[Callable[[ev.NewEvent], None]] = []
        self._waiting: deque[_Waiting] = deque()
        self._put = asyncio.Event()

    @property
    def recorded(self) -> bool:
        """Whether the journal has everything."""
        return not self._waiting

    def put(self, *facts: ev.Event, actor: str = "controller", cause_id: str | None = None) -> None:
        """They hold from now on."""
        self._take(facts, actor, cause_id, None)

    async def put_durably(self, *facts: ev.Event, actor: str, cause_id: str | None = None) -> None:
        """The same; returns once the journal has them. What waits before them is written first."""
        done = asyncio.get_running_loop().create_future()
        self._take(facts, actor, cause_id, done)
        await done

    def _take(self, facts: tuple[ev.Event, ...], actor: str, cause_id: str | None, done: asyncio.Future[None] | None) -> None:
        now = self.yard.clock.now()
        new = [ev.NewEvent(fact, now, actor=actor, cause_id=cause_id) for fact in facts]
        self._waiting.append(_Waiting(new, done))
        self._put.set()
        for fact in new:
            self.book = emergency_facts.after(self.book, fact.data, fact.occurred_at, fact.actor)
        for fact in new:
            for told in self.on_put:
                told(fact)

    async def run(self) -> None:
        """Record in their order, what waits together at once, for as long as the journal takes; until cancelled."""
        while True:
            await self._put.wait()
            self._put.clear()
            waiting = list(self._waiting)
            await self.yard.journal.append([fact for one in waiting for fact in one.facts])
            for one in waiting:
                self._waiting.popleft()
                if one.done is not None and not one.done.done():
                    one.done.set_result(None)
