"""What happens to the demo's depot during its night, beside vehicles that come and go: a programme of acts.

    programme  --print-->  the terminal, at the start: when to look, and at what
    play_acts  --at its time-->  one line on the terminal, then the act

An act that fails is told and left; the night goes on without it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from depot.ports import Clock

log = logging.getLogger(__name__)

Play = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Act:
    """At ``at_h`` hours of the night ``what`` happens; ``look``: path of the page that shows it, and what to see there."""

    at_h: float
    what: str
    page: str
    look: str
    play: Play


def programme(acts: Sequence[Act], *, start: datetime, now: datetime, zone: ZoneInfo, speed: float) -> list[str]:
    """One line an act: in how many real minutes from ``now``, at which hour of the depot, what, and where to look."""
    lines = []
    for act in sorted(acts, key=lambda a: a.at_h):
        at = start + timedelta(hours=act.at_h)
        real_s = max(0.0, (at - now).total_seconds() / speed)
        hour = at.astimezone(zone)
        lines.append(f"{int(real_s // 60):>3}:{int(real_s % 60):02d}  {hour:%H:%M}  {act.what}. {act.page}: {act.look}")
    return lines


async def play_acts(acts: Sequence[Act], *, start: datetime, zone: ZoneInfo, clock: Clock, tell: Callable[[str], None]) -> None:
    """Play each act at its time, one after the other."""
    for act in sorted(acts, key=lambda a: a.at_h):
        at = start + timedelta(hours=act.at_h)
        wait_s = (at - clock.now()).total_seconds()
        if wait_s > 0:
            await clock.sleep(wait_s)
        tell(f"{at.astimezone(zone):%H:%M}  {act.what}. Look at {act.page}: {act.look}.")
        try:
            await act.play()
        except Exception as error:
            log.debug("an act failed", exc_info=True)
            tell(f"{at.astimezone(zone):%H:%M}  That failed: {str(error) or type(error).__name__}")
