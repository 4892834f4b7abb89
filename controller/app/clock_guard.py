"""Whether the machine's clock can be believed, and what happens when somebody sets it. For the core alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from controller.clock import SteadyClock, SystemClock
from controller.clock_doubt import ClockReading
from controller.clock_watch import ClockWatch
from controller.core import Core
from controller.timesync import synchronised
from ocpp_server import Central

log = logging.getLogger(__name__)

CLOCK_LOOK_S = 10.0
CLOCK_SET_S = 30.0
"""A machine's clock that differs by more was set; less is left to catching up."""


def add_clock_watch(core: Core, clock: SteadyClock, *, stations: Central, newest_record: datetime | None, must_sync: bool) -> ClockWatch:
    """Who asks whether the machine's clock can be believed."""
    wall = SystemClock()

    def read() -> ClockReading:
        return ClockReading(
            wall=wall.now(),
            depot=clock.now(),
            synchronised=synchronised(),
            newest_record=newest_record,
            stations_s=[skew.total_seconds() for skew in stations.skews()],
        )

    watch = ClockWatch(core.yard, core.loop, read, must_sync=must_sync)
    if core.utility is not None:
        core.utility.clock_suspect = lambda: watch.verdict.suspect
    return watch


async def watch_clock(clock: SteadyClock, *, idle: Callable[[], bool]) -> None:
    """Say it when the machine's clock was set; take its time over once nothing charges that lives by the old one."""
    told = False
    while True:
        await clock.sleep(CLOCK_LOOK_S)
        clock.now()
        if abs(clock.off_s) < CLOCK_SET_S:
            told = False
        elif idle():
            log.warning("the machine's clock was set by %+.0f s; depot time follows now, as nothing charges", clock.follow())
        elif not told:
            told = True
            log.error("the machine's clock was set by %+.0f s; depot time runs on and follows slowly while vehicles charge", clock.off_s)
