"""What the Grid page and the API show of fail-safe: every cause for which it holds, how each ends, and the slow return after it.

Shapes, and pure pieces that fill them. Powers W, times aware UTC wall time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from controller.clock_doubt import Verdict as ClockVerdict
from controller.comeback import Rise
from depot.values import UtilityLink, UtilityMode
from grid.failsafe import FailsafePolicy, releases_at


class FailsafeView(Struct, frozen=True, kw_only=True):
    """One thing for which the fail-safe limit holds. ``cause``: utility, meter or clock; ``reason`` and ``ends``: words for
    people. ``until``: when time alone ends it at the latest; None: only what ``ends`` says ends it."""

    cause: str
    since: datetime
    limit_w: int
    reason: str
    ends: str
    until: datetime | None = None


class ComebackView(Struct, frozen=True, kw_only=True):
    """The site's limit was lower, and rises again slowly: from ``from_w`` (``now_w`` now) to ``target_w`` at ``until``.
    ``after``: the source of what held before. Until ``starts_at`` nothing rises."""

    since: datetime
    starts_at: datetime
    until: datetime
    from_w: int
    now_w: int
    target_w: int
    after: str


def of_utility(link: UtilityLink, policy: FailsafePolicy, *, ahead: timedelta) -> FailsafeView | None:
    """Because of the utility's link; ``ahead``: of the wall clock before the link's steady axis."""
    if link.mode not in (UtilityMode.INIT, UtilityMode.FAILSAFE):
        return None
    reason = "the heartbeat of the utility was lost" if link.mode is UtilityMode.FAILSAFE else "the utility was not heard since the start"
    ends = "a heartbeat and a fresh order are there"
    released_at = releases_at(link, policy)
    if released_at is not None:
        released_at += ahead
        ends += ", or by the agreement with the utility when the fail-safe time is over"
    return FailsafeView(cause="utility", since=link.since + ahead, limit_w=link.failsafe_w, reason=reason, ends=ends, until=released_at)


def of_meter(blind_since: datetime | None, failsafe_w: int) -> FailsafeView | None:
    """Because of a silent meter."""
    if blind_since is None:
        return None
    reason, ends = "the connection-point meter is silent for more than 30 s", "the meter is read again"
    return FailsafeView(cause="meter", since=blind_since, limit_w=failsafe_w, reason=reason, ends=ends)


def of_clock(verdict: ClockVerdict | None, failsafe_w: int) -> FailsafeView | None:
    """Because of a suspect clock."""
    if verdict is None or verdict.since is None:
        return None
    reason = f"the controller's clock is suspect: {verdict.reason}"
    return FailsafeView(
        cause="clock", since=verdict.since, limit_w=failsafe_w, reason=reason, ends=f"{verdict.ends}, and a minute has passed"
    )


def of_rise(rise: Rise | None) -> ComebackView | None:
    """What comes back."""
    if rise is None:
        return None
    return ComebackView(
        since=rise.since,
        starts_at=rise.starts_at,
        until=rise.ends_at,
        from_w=rise.from_w,
        now_w=rise.now_w,
        target_w=rise.target_w,
        after=rise.after.value,
    )
