"""Rooms go on: one whose task falls is told of and begun again, while the loop and the chargers' side go on undisturbed.

    room.run() falls --> log with its traceback, alarm ``part_failed`` --> a growing wait --> room.run() again

A fact that one room can't digest would otherwise end the core at every start, and with it the limiter and every charger's connection.
Only what stands beside the loop is kept so; an error in the loop itself, in orders or in the utility's link ends the core, and the
supervisor starts it anew.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, ParamSpec

from controller.alarms import Condition
from depot.ports import Clock

log = logging.getLogger(__name__)

P = ParamSpec("P")

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
SOUND_AFTER: Final = timedelta(minutes=10)
"""A part that has gone on so long after it fell counts as sound again: its next wait is short, its alarm ends."""


@dataclass(slots=True)
class Fall:
    """The last time that a part fell. ``count``: how often since it was last sound; ``what``: the error's kind."""

    at: datetime
    what: str
    count: int = 1

    @property
    def wait_s(self) -> float:
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (self.count - 1))


@dataclass(slots=True)
class RoomKeeper:
    """See the module. A source of conditions for the alarm desk."""

    clock: Clock
    falls: dict[str, Fall] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset({"part_failed"})

    async def keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run it until cancelled, or until it ends by itself; again whenever it falls."""
        while True:
            try:
                await run()
            except Exception as error:
                fall = self._fell(name, error)
                log.exception("%s failed (%d times lately); begun again in %.0f s", name, fall.count, fall.wait_s)
                await self.clock.sleep(fall.wait_s)
            else:
                return

    def tell(self, name: str, told: Iterable[Callable[P, None]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Tell everybody, also when one of them falls: for whoever must not fall with those that follow what it does."""
        for one in told:
            try:
                one(*args, **kwargs)
            except Exception as error:
                fall = self._fell(name, error)
                if fall.count == 1:
                    log.exception("%s failed; what it follows goes on", name)

    def _fell(self, name: str, error: Exception) -> Fall:
        now, last = self.clock.now(), self.falls.get(name)
        again = last is not None and now - last.at < SOUND_AFTER
        self.falls[name] = Fall(now, type(error).__name__, last.count + 1 if last is not None and again else 1)
        return self.falls[name]

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """Parts that fell and have not been sound for long since."""
        return [
            Condition("part_failed", name, f"The part {name} of the controller failed {_times(fall.count)} ({fall.what}).")
            for name, fall in self.falls.items()
            if now - fall.at < SOUND_AFTER
        ]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
