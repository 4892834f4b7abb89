"""Which clock a depot's processes go by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from controller.clock import ScaledClock, SteadyClock, SystemClock
from controller.settings import Settings
from depot.ports import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock_of(settings: Settings) -> Clock:
    """The world's clock, or the demo's."""
    clock = settings.clock
    if not clock.scaled:
        return SystemClock()
    epoch = clock.epoch or datetime.now(UTC)
    if clock.epoch_wall is None:
        return ScaledClock.starting(epoch, clock.speed)
    return ScaledClock(clock.epoch_wall, epoch, clock.speed)


def steady_clock_of(settings: Settings) -> Clock:
    """The same for what grants power: nobody sets it while grants run."""
    clock = clock_of(settings)
    return SteadyClock(clock) if isinstance(clock, SystemClock) else clock


def now_us_of(settings: Settings) -> Callable[[], int]:
    """The same clock as microseconds since 1970, UTC: the lake and what reads it go by the times at which samples came."""
    clock, one = clock_of(settings), timedelta(microseconds=1)
    return lambda: (clock.now() - _EPOCH) // one
