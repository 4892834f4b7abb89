"""The fail-safe state machine of the link to the utility (invariant 2): a function of (state, event, now).

                 a live heartbeat and an order given since
        INIT ──────────────────────────────────────────────▶ CONTROLLED
                                                               │      ▲
                        no heartbeat for heartbeat_timeout_s   ▼      │  a live heartbeat and an order given since
                                                              FAILSAFE
        INIT, FAILSAFE ── failsafe_min_s over, or GRACE_S of heartbeats without an order ──▶ AUTONOMOUS     by agreement only
        AUTONOMOUS ── a live heartbeat and an order given since ──▶ CONTROLLED

In CONTROLLED the order holds: by its ramp, until its validity ends, then its reversion. In INIT and FAILSAFE holds
min(fail-safe limit, what the order would allow). Neither is ever left by waiting, unless the site's agreement with its
utility says so (:attr:`FailsafePolicy.autonomous`, off by default): then the utility sets no limit any more, but for an
order that names its own end or was given since. An order counts only where its
heartbeat lived when it came or returned within one timeout after it. After a restart a link that was
controlled goes on where its last recorded heartbeat is younger than the timeout and its order has not expired meanwhile;
else it begins in INIT, one that was autonomous as well: nobody knows what the utility said meanwhile.
0 W means zero; None means that the utility sets no limit (the contract holds all the same).

States are :class:`depot.values.UtilityLink`. Inside a process their times lie on the steady axis of :class:`SteadyTime`,
so that a clock that is set while it runs neither hides a lost heartbeat nor ends a limit early; :func:`shifted`
translates them to the wall clock for the journal and for the arbiter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from depot.ports import Clock
from depot.values import Limit, LimitSource, ScopeKind, UtilityLink, UtilityMode, UtilityOrder
from grid.limit_model import AckState, Alarm, LimitOrigin, LimitState

LIMIT_ID: Final = "utility"
LOOK_AHEAD_S: Final = 200.0
"""How far ahead of a falling ramp the arbiter is told: longer than a charging profile lives (180 s)."""

RECORD_EVERY_S: Final = 15.0
"""The least time between two records of a heartbeat."""

GRACE_S: Final = 120.0
"""So long a heartbeat that is back may be without an order before an autonomous site goes its own way (EEBus LPC: 120 s)."""

SAME_TIME_S: Final = 2.0
"""Times that differ by less are one time: the wall clock is corrected all the while. More: it was set, and is recorded."""


class SteadyTime:
    """Time that starts at the wall clock's and then only runs on. Make one at the start of the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._origin = clock.now()
        self._mono_s = clock.monotonic()

    def now(self) -> datetime:
        """Now, on the steady axis."""
        return self._origin + timedelta(seconds=self._clock.monotonic() - self._mono_s)

    def ahead(self) -> timedelta:
        """How far the wall clock is ahead of the steady axis: what :func:`shifted` and :func:`limits` take."""
        return self._clock.now() - self.now()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailsafePolicy:
    """What the depot decides itself. ``contract_w`` caps the fail-safe limit; the others hold until the utility sets
    its own. Ranges: ``failsafe_min_s`` 7200 to 86400 (EEBus LPC), ``heartbeat_timeout_s`` 10 to 600. ``autonomous``: the
    agreement with the utility releases the site once the fail-safe time is over."""

    contract_w: int
    failsafe_w: int
    failsafe_min_s: int = 7_200
    heartbeat_timeout_s: int = 120
    autonomous: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat register changed; ``values`` are both registers' now (CtlHb, 715.ControllerHb)."""

    values: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ordered:
    """The utility ordered a limit; it replaces the running order at its beginning, and a waiting one at once."""

    order: UtilityOrder


@dataclass(frozen=True, slots=True)
class FailsafeChange:
    """The utility changed fail-safe values; None leaves one as it is."""

    limit_w: int | None = None
    min_s: int | None = None
    heartbeat_timeout_s: int | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went on."""


LinkEvent = Beat | Ordered | FailsafeChange | Tick


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds now because of the utility. ``limit_w`` None: it sets no limit. ``remaining_s``: validity that is left,
    None without one. ``expired``: the running order's validity is over."""

    state: LimitState
    limit_w: int | None
    origin: LimitOrigin
    alarms: Alarm
    remaining_s: int | None = None
    expired: bool = False


def begin(policy: FailsafePolicy, at: datetime) -> UtilityLink:
    """A link that has never been used."""
    return UtilityLink(at, at, min(policy.failsafe_w, policy.contract_w), policy.failsafe_min_s, policy.heartbeat_timeout_s)


def resume(recorded: UtilityLink, policy: FailsafePolicy, at: datetime) -> UtilityLink:
    """The link after a restart, from its last record. A record from the future (the clock was set back) is not believed
    to be young, and its orders begin anew. The order holds in every case, alone or below the fail-safe limit."""
    link = replace(
        recorded,
        failsafe_w=min(recorded.failsafe_w, policy.contract_w),
        order=_received_by(recorded.order, at),
        next_order=_received_by(recorded.next_order, at),
    )
    young = link.beat_at is not None and link.beat_at <= at and _alive(link, at)
    if link.mode is UtilityMode.CONTROLLED and young and not _expired(_activated(link, at), at):
        return link
    mode = UtilityMode.FAILSAFE if link.mode is UtilityMode.FAILSAFE else UtilityMode.INIT
    # a heartbeat of before the outage is no sign of life any more, and what was ordered then is not fresh
    return replace(link, mode=mode, since=min(link.since, at) if mode is link.mode else at, fresh_from=at, beat_at=None, back_at=None)


def step(link: UtilityLink, event: LinkEvent, at: datetime, policy: FailsafePolicy) -> tuple[UtilityLink, Verdict]:
    """The link after ``event`` at ``at``, and what holds then. What time did before the event is done first: a heartbeat
    that comes too late is lost before it returns."""
    link = _advanced(link, at, policy)
    match event:
        case Beat(values):
            if not _alive(link, at):
                # it returns: what was ordered before it was lost, or more than a timeout ago, is not fresh
                return_from = at - timedelta(seconds=link.heartbeat_timeout_s)
                link = replace(link, fresh_from=max(link.fresh_from, return_from, _dies_at(link) or return_from))
                link = replace(link, back_at=at)
            link = replace(link, beats=values, beat_at=at)
        case Ordered(order):
            newest = link.next_order or link.order
            # commands overlap while the journal is slow: an older one that comes later does not undo a newer one
            if newest is None or newest.received_at <= order.received_at:
                link = replace(link, next_order=order)
        case FailsafeChange(limit_w, min_s, timeout_s):
            link = replace(
                link,
                failsafe_w=link.failsafe_w if limit_w is None else min(limit_w, policy.contract_w),
                failsafe_min_s=link.failsafe_min_s if min_s is None else min_s,
                heartbeat_timeout_s=link.heartbeat_timeout_s if timeout_s is None else timeout_s,
            )
        case Tick():
            pass
    link = _advanced(link, at, policy)
    return link, verdict(link, at, policy)


def verdict(link: UtilityLink, at: datetime, policy: FailsafePolicy) -> Verdict:
    """What holds at ``at``. ``link`` must have been stepped to ``at`` or little before."""
    limit_w, origin = _allowed(link, at, policy)
    alive = _alive(link, at)
    waited = at - link.since >= timedelta(seconds=link.heartbeat_timeout_s)
    alarms = Alarm.HB_LOST if not alive and (link.mode is not UtilityMode.INIT or waited) else Alarm(0)
    match link.mode:
        case UtilityMode.INIT:
            state = LimitState.INIT
        case UtilityMode.FAILSAFE:
            state = LimitState.FAILSAFE
        case UtilityMode.CONTROLLED:
            state = LimitState.UNLIMITED_CTL if limit_w is None else LimitState.LIMITED
        case UtilityMode.AUTONOMOUS:
            state = LimitState.UNLIMITED_AUTO if limit_w is None else LimitState.LIMITED
    until = link.order.until if link.order is not None else None
    remaining_s = None if until is None else max(0, round((until - at).total_seconds()))
    return Verdict(state, limit_w, origin, alarms, remaining_s, _expired(link, at))


def limits(link: UtilityLink, at: datetime, policy: FailsafePolicy, *, ahead: timedelta = timedelta(0)) -> tuple[Limit, ...]:
    """The utility's limits for the arbiter, now and to come, in wall-clock time (``ahead``: of the wall before the steady
    axis). A falling ramp is told :data:`LOOK_AHEAD_S` early, because a profile that is sent now lives that long."""
    order, waiting = link.order, link.next_order
    moments = (order.until if order else None, waiting.starts_at if waiting else None, waiting.until if waiting else None)
    cuts = [at, *sorted({moment for moment in moments if moment is not None and moment > at})]
    out: list[Limit] = []
    before_w: int | None = None
    for number, (start, stop) in enumerate(zip(cuts, [*cuts[1:], None], strict=True)):
        link = _activated(link, start, before_w)
        value_w, origin = _allowed(link, start, policy)
        soon_w, _ = _allowed(link, start + timedelta(seconds=LOOK_AHEAD_S), policy, reverting=False)
        before_w = value_w
        if value_w is None:
            continue
        if origin is LimitOrigin.UTILITY and soon_w is not None:
            value_w = min(value_w, soon_w)
        name = LIMIT_ID if not number else f"{LIMIT_ID}:{number}"
        # what holds already began in the past: whoever asked looked at the clock a moment before us
        since = start if number else min(start, _held_since(link, origin))
        out.append(_limit(name, value_w, origin, since + ahead, None if stop is None else stop + ahead, link))
    return tuple(out)


def releases_at(link: UtilityLink, policy: FailsafePolicy) -> datetime | None:
    """When INIT or FAILSAFE ends by time alone if nothing is heard, or heartbeats go on without an order; None: never."""
    if not policy.autonomous or link.mode not in _HELD:
        return None
    at = link.since + timedelta(seconds=link.failsafe_min_s)
    if link.back_at is not None:
        grace_over = max(link.back_at, link.since) + timedelta(seconds=GRACE_S)
        if _alive(link, grace_over):
            at = min(at, grace_over)
    return at


def next_change(link: UtilityLink, at: datetime) -> datetime | None:
    """When the next step by time alone is due, on the same axis as ``at``; None: never. While a ramp runs: at once."""
    moments = []
    if link.mode is UtilityMode.CONTROLLED:
        moments.append(_dies_at(link))
    if link.next_order is not None:
        moments.append(link.next_order.starts_at)
    if link.order is not None:
        moments.append(link.order.until)
        if link.order.starts_at <= at < link.order.starts_at + timedelta(seconds=link.order.ramp_s):
            return at
    return min((moment for moment in moments if moment is not None and moment > at), default=None)


def acknowledged(
    link: UtilityLink, at: datetime, policy: FailsafePolicy, *, order: UtilityOrder | None = None, change: FailsafeChange | None = None
) -> AckState:
    """What to answer for a command once ``link``, which has taken it, is durable and the chargers obey it."""
    if change is not None and change.limit_w is not None and link.failsafe_w < change.limit_w:
        return AckState.CLAMPED
    if order is None:
        return AckState.ACCEPTED
    if link.order is not None and replace(link.order, ramp_from_w=order.ramp_from_w) == order:
        found = verdict(link, at, policy)
    elif link.next_order == order:
        found = None
    else:
        return AckState.SUPERSEDED
    asked_w = policy.contract_w if order.value_w is None else order.value_w
    lower = found is not None and found.origin is LimitOrigin.FAILSAFE and (found.limit_w or 0) < asked_w
    return AckState.CLAMPED if asked_w > policy.contract_w or lower else AckState.ACCEPTED


def worth_recording(recorded: UtilityLink | None, link: UtilityLink) -> bool:
    """Whether the journal should hear of ``link``: all changes, but of heartbeats only every now and then. Both as wall
    times, so that a clock that was set is recorded as well."""
    if recorded is None or _timeless(recorded) != _timeless(link):
        return True
    if any(abs((a - b).total_seconds()) >= SAME_TIME_S for a, b in zip(_times(recorded), _times(link), strict=True)):
        return True
    if link.beat_at is None or recorded.beat_at is None:
        return link.beat_at != recorded.beat_at
    return (link.beat_at - recorded.beat_at).total_seconds() >= max(RECORD_EVERY_S, link.heartbeat_timeout_s / 4)


def shifted(link: UtilityLink, by: timedelta) -> UtilityLink:
    """The same link on a time axis that is ``by`` ahead."""

    def moved(order: UtilityOrder | None) -> UtilityOrder | None:
        return None if order is None else replace(order, received_at=order.received_at + by)

    return replace(
        link,
        since=link.since + by,
        fresh_from=link.fresh_from + by,
        beat_at=None if link.beat_at is None else link.beat_at + by,
        back_at=None if link.back_at is None else link.back_at + by,
        order=moved(link.order),
        next_order=moved(link.next_order),
    )


_HELD: Final = (UtilityMode.INIT, UtilityMode.FAILSAFE)
"""The fail-safe limit holds."""


def _timeless(link: UtilityLink) -> UtilityLink:
    """The link without its times and heartbeats."""
    never = datetime.min.replace(tzinfo=UTC)
    order, waiting = (order and replace(order, received_at=never) for order in (link.order, link.next_order))
    return replace(link, since=never, fresh_from=never, order=order, next_order=waiting, beats=(0, 0), beat_at=None, back_at=None)


def _times(link: UtilityLink) -> list[datetime]:
    return [link.since, link.fresh_from, *(order.received_at for order in (link.order, link.next_order) if order is not None)]


def _received_by(order: UtilityOrder | None, at: datetime) -> UtilityOrder | None:
    return order if order is None or order.received_at <= at else replace(order, received_at=at)


def _dies_at(link: UtilityLink) -> datetime | None:
    return None if link.beat_at is None else link.beat_at + timedelta(seconds=link.heartbeat_timeout_s)


def _alive(link: UtilityLink, at: datetime) -> bool:
    dies_at = _dies_at(link)
    return dies_at is not None and at < dies_at


def _expired(link: UtilityLink, at: datetime) -> bool:
    return link.order is not None and link.order.until is not None and link.order.until <= at


def _activated(link: UtilityLink, at: datetime, ramp_from_w: int | None = None) -> UtilityLink:
    waiting = link.next_order
    if waiting is None or waiting.starts_at > at:
        return link
    return replace(link, order=replace(waiting, ramp_from_w=ramp_from_w), next_order=None)


def _advanced(link: UtilityLink, at: datetime, policy: FailsafePolicy) -> UtilityLink:
    dies_at = _dies_at(link)
    if link.mode is UtilityMode.CONTROLLED and not _alive(link, at):
        link = replace(link, mode=UtilityMode.FAILSAFE, since=dies_at or at, fresh_from=dies_at or at)
    if link.next_order is not None:
        # what held just before is where a ramp begins
        before = verdict(link, min(at, link.next_order.starts_at), policy).limit_w
        link = _activated(link, at, before)
    fresh = link.order is not None and link.order.received_at >= link.fresh_from
    if link.mode is not UtilityMode.CONTROLLED and fresh and _alive(link, at):
        return replace(link, mode=UtilityMode.CONTROLLED, since=at)
    released_at = releases_at(link, policy)
    if released_at is not None and released_at <= at:
        link = replace(link, mode=UtilityMode.AUTONOMOUS, since=released_at)
    return link


def _ordered(link: UtilityLink, at: datetime, policy: FailsafePolicy, *, reverting: bool = True) -> tuple[int | None, LimitOrigin]:
    """What the running order allows at ``at``, whatever the mode. ``reverting`` False: as if its validity did not end."""
    order = link.order
    if order is None:
        return None, LimitOrigin.NONE
    if reverting and _expired(link, at):
        if not order.reversion_limited:
            return None, LimitOrigin.NONE
        return (link.failsafe_w if order.reversion_w is None else order.reversion_w), LimitOrigin.REVERSION
    gone_s = (at - order.starts_at).total_seconds()
    if order.ramp_s and gone_s < order.ramp_s:
        from_w = policy.contract_w if order.ramp_from_w is None else min(order.ramp_from_w, policy.contract_w)
        to_w = policy.contract_w if order.value_w is None else min(order.value_w, policy.contract_w)
        return int(from_w + (to_w - from_w) * max(0.0, gone_s) / order.ramp_s), LimitOrigin.UTILITY
    return order.value_w, LimitOrigin.NONE if order.value_w is None else LimitOrigin.UTILITY


def _allowed(link: UtilityLink, at: datetime, policy: FailsafePolicy, *, reverting: bool = True) -> tuple[int | None, LimitOrigin]:
    """The same, and below the fail-safe limit in INIT and FAILSAFE; an autonomous site obeys what names its own end or
    was ordered since."""
    order = link.order
    old = link.mode is UtilityMode.AUTONOMOUS and order is not None and order.received_at < link.since
    if old and (order is None or order.until is None or _expired(link, at)):
        return None, LimitOrigin.NONE
    limit_w, origin = _ordered(link, at, policy, reverting=reverting)
    if link.mode in _HELD and (limit_w is None or link.failsafe_w <= limit_w):
        return link.failsafe_w, LimitOrigin.FAILSAFE
    return limit_w, origin


def _held_since(link: UtilityLink, origin: LimitOrigin) -> datetime:
    """When what holds because of ``origin`` began."""
    order = link.order
    if origin is LimitOrigin.FAILSAFE or order is None:
        return link.since
    if origin is LimitOrigin.REVERSION and order.until is not None:
        return order.until
    return order.starts_at


def _limit(limit_id: str, value_w: int, origin: LimitOrigin, from_: datetime, until: datetime | None, link: UtilityLink) -> Limit:
    source = LimitSource.FAILSAFE if origin is LimitOrigin.FAILSAFE else LimitSource.SCADA
    set_by = link.order.peer if link.order is not None and source is LimitSource.SCADA else ""
    reason = f"utility: {origin.name.lower()}, link {link.mode}"
    return Limit(limit_id, ScopeKind.SITE, value_w, source, from_, until=until, set_by=set_by or "utility link", reason=reason)
