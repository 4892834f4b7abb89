"""Looks at the machine's clock every few seconds, and holds the site at its fail-safe limit while it is suspect.

wall, depot time, kernel, stations --clock_doubt.judged()--> Verdict --> limit of the site, alarm clock_suspect, views
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from controller.alarms import Condition
from controller.clock_doubt import SET_S, ClockReading, Verdict, judged
from controller.limits import failsafe
from controller.loop import ControlLoop
from controller.yard import Yard
from depot.values import Limit

log = logging.getLogger(__name__)

LOOK_S = 5.0


class ClockWatch:
    """One per depot that lives by the world's time. ``read``: the clock as it is now."""

    kinds: frozenset[str] = frozenset({"clock_suspect"})

    def __init__(self, yard: Yard, loop: ControlLoop, read: Callable[[], ClockReading], *, must_sync: bool = False) -> None:
        self.verdict = Verdict()
        self._yard = yard
        self._loop = loop
        self._read = read
        self._must_sync = must_sync
        loop.limit_sources["clock"] = self.limits
        self.look()

    def limits(self, now: datetime) -> Sequence[Limit]:
        """The fail-safe limit while the clock is suspect."""
        since = self.verdict.since
        if since is None:
            return ()
        since = min(since, now - timedelta(seconds=LOOK_S))  # depot time may have followed the clock back since then
        return (failsafe(self._yard.spec, since, cause="clock", reason=f"the clock is suspect: {self.verdict.reason}"),)

    def conditions(self, _now: datetime) -> Sequence[Condition]:
        """For the alarm desk."""
        if not self.verdict.suspect:
            return ()
        return (
            Condition("clock_suspect", title=f"The clock is suspect: {self.verdict.reason}.", action=f"It ends when {self.verdict.ends}."),
        )

    def look(self) -> None:
        """Read the clock once."""
        before, self.verdict = self.verdict, judged(self.verdict, self._read(), must_sync=self._must_sync)
        off_s = self.verdict.off_s
        self._loop.clock_off_s = off_s if abs(off_s) >= SET_S else 0.0
        if before.suspect is not self.verdict.suspect:
            self._loop.wake()
            if self.verdict.suspect:
                log.error("the clock is suspect, the fail-safe limit holds: %s", self.verdict.reason)
            else:
                log.warning("the clock is believed again")

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._yard.clock.sleep(LOOK_S)
            self.look()
