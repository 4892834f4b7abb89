"""The limit book: limits that are arranged beforehand, what lifts some of them for a while, and who bound last. Pure.

    schedule (weekly, or once)      set --> replaced --> removed
    demand-response event           announced --> active --> ended (measured)      at any time before its end: cancelled, opted out
    override                        begun --> over by itself, or ended by a person

A schedule is kept in local wall-clock times; what becomes of it on a day is `controller.arrangements`' to say. Powers are
integer watts at the grid side, times aware UTC. :class:`~depot.values.InvalidValue` for what cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from depot.values import InvalidValue, LimitSource

KEPT = 200
"""Events and overrides that are over and still remembered, the newest of each."""

DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Weekly:
    """On these ``days`` (0 Monday to 6 Sunday), from ``starts_min`` to ``ends_min`` minutes after local midnight, half-open. An
    end at or before the beginning lies on the next day. ``first_day``, ``last_day``: local dates on which it may begin, inclusive."""

    days: tuple[int, ...]
    starts_min: int
    ends_min: int
    first_day: date | None = None
    last_day: date | None = None

    def __post_init__(self) -> None:
        if not self.days or any(not 0 <= day <= 6 for day in self.days) or len(set(self.days)) != len(self.days):
            raise InvalidValue("a weekly limit names its days once each, from 0 (Monday) to 6 (Sunday)")
        if not 0 <= self.starts_min < DAY_MIN or not 0 <= self.ends_min <= DAY_MIN:
            raise InvalidValue("a weekly limit begins and ends between 00:00 and 24:00")
        if self.first_day is not None and self.last_day is not None and self.last_day < self.first_day:
            raise InvalidValue(f"a weekly limit's last day ({self.last_day}) lies before its first ({self.first_day})")


@dataclass(frozen=True, slots=True)
class Period:
    """Once, half-open."""

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if self.starts_at.tzinfo is None or self.ends_at.tzinfo is None:
            raise InvalidValue("a period's times need a time zone")
        if self.ends_at <= self.starts_at:
            raise InvalidValue(f"a period ends ({self.ends_at}) after it begins ({self.starts_at})")


@dataclass(frozen=True, slots=True)
class LimitSchedule:
    """A limit that comes by itself: ``weekly`` or ``once``, not both. ``scope_id``: "" the site, a feeder, or a connector as text."""

    schedule_id: str
    scope_id: str
    value_w: int
    reason: str
    set_by: str
    set_at: datetime
    weekly: Weekly | None = None
    once: Period | None = None

    def __post_init__(self) -> None:
        if (self.weekly is None) == (self.once is None):
            raise InvalidValue(f"schedule {self.schedule_id}: it holds weekly or once, one of the two")
        if self.value_w < 0:
            raise InvalidValue(f"schedule {self.schedule_id}: {self.value_w} W is negative; 0 is the least")


class EventChannel(StrEnum):
    """How an event reached the depot."""

    PHONE = "phone"
    MAIL = "mail"
    PORTAL = "portal"
    OPENADR = "openadr"


class EventPhase(StrEnum):
    """Where a demand-response event stands."""

    ANNOUNCED = "announced"
    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True, slots=True)
class EventResult:
    """What the connection-point meter showed during an event. ``covered``: share of its minutes that were measured; of the rest
    nothing is claimed. ``over_min``: measured minutes whose mean lay above the limit. ``complied`` None: too little was measured."""

    energy_wh: int
    peak_w: int
    covered: float
    over_min: int
    complied: bool | None


@dataclass(frozen=True, slots=True)
class DemandEvent:
    """A demand-response event. It allows ``limit_w``, or ``reduction_w`` less than ``baseline_w``. ``issued_at``: when the programme
    gave it out; ``announced_at``: when this depot was told its newest form. ``withdrawn``: cancelled or opted out, with by whom, when
    and why. ``result``: once it is over and measured."""

    event_id: str
    programme: str
    issued_at: datetime
    starts_at: datetime
    ends_at: datetime
    channel: EventChannel
    announced_by: str
    announced_at: datetime
    reason: str = ""
    limit_w: int | None = None
    reduction_w: int | None = None
    baseline_w: int | None = None
    withdrawn: EventPhase | None = None
    withdrawn_by: str = ""
    withdrawn_at: datetime | None = None
    withdrawn_reason: str = ""
    result: EventResult | None = None

    def __post_init__(self) -> None:
        if self.ends_at <= self.starts_at:
            raise InvalidValue(f"event {self.event_id}: it ends ({self.ends_at}) after it begins ({self.starts_at})")
        if (self.limit_w is None) == (self.reduction_w is None):
            raise InvalidValue(f"event {self.event_id}: it names a limit or a reduction, one of the two")
        if self.reduction_w is not None and self.baseline_w is None:
            raise InvalidValue(f"event {self.event_id}: a reduction needs the baseline that it is less than")
        if min(self.limit_w or 0, self.reduction_w or 0, self.baseline_w or 0) < 0:
            raise InvalidValue(f"event {self.event_id}: limit, reduction and baseline are 0 W or more")

    @property
    def allowed_w(self) -> int:
        """What the site may draw while it is active."""
        return self.limit_w if self.limit_w is not None else max(0, (self.baseline_w or 0) - (self.reduction_w or 0))

    @property
    def stopped_at(self) -> datetime:
        """When it stops to limit: at its end, or when it was withdrawn before that."""
        return self.ends_at if self.withdrawn_at is None else min(self.ends_at, self.withdrawn_at)

    def phase(self, now: datetime) -> EventPhase:
        if self.withdrawn is not None:
            return self.withdrawn
        if now < self.starts_at:
            return EventPhase.ANNOUNCED
        return EventPhase.ACTIVE if now < self.ends_at else EventPhase.ENDED


@dataclass(frozen=True, slots=True)
class LimitOverride:
    """A person lets the load rise to ``value_w`` where limits of ``sources`` in ``scope_id`` would hold it lower. All other limits
    hold as ever. ``ended_at``: a person ended it before ``until``."""

    override_id: str
    scope_id: str
    value_w: int
    sources: tuple[LimitSource, ...]
    starts_at: datetime
    until: datetime
    by: str
    reason: str
    ended_at: datetime | None = None
    ended_by: str = ""

    def __post_init__(self) -> None:
        if self.until <= self.starts_at:
            raise InvalidValue(f"override {self.override_id}: it ends ({self.until}) after it begins ({self.starts_at})")
        if self.value_w < 0 or not self.sources:
            raise InvalidValue(f"override {self.override_id}: it lifts at least one source's limits, to 0 W or more")

    @property
    def over_at(self) -> datetime:
        """First moment at which it lifts nothing any more."""
        return self.until if self.ended_at is None else min(self.until, self.ended_at)

    def holds(self, now: datetime) -> bool:
        return self.starts_at <= now < self.over_at


@dataclass(frozen=True, slots=True)
class Bound:
    """Who bound a scope from ``since`` on, as it was recorded."""

    scope_id: str
    limit_id: str
    value_w: int
    source: LimitSource
    since: datetime
    until: datetime | None = None
    set_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LimitBook:
    """All of it. ``schedules``, ``events``: by their ids; ``overrides``: oldest first, at most the last holds; ``bound``: by scope."""

    schedules: Mapping[str, LimitSchedule] = field(default_factory=dict)
    events: Mapping[str, DemandEvent] = field(default_factory=dict)
    overrides: tuple[LimitOverride, ...] = ()
    bound: Mapping[str, Bound] = field(default_factory=dict)

    def override(self, now: datetime) -> LimitOverride | None:
        """The one that holds."""
        return next((found for found in reversed(self.overrides) if found.holds(now)), None)

    def with_schedule(self, new: LimitSchedule, now: datetime) -> LimitBook:
        """Those that are over for good are forgotten on the way."""
        left = {k: s for k, s in self.schedules.items() if s.once is None or now < s.once.ends_at}
        return replace(self, schedules={**left, new.schedule_id: new})

    def without_schedule(self, schedule_id: str) -> LimitBook:
        return replace(self, schedules={k: s for k, s in self.schedules.items() if k != schedule_id})

    def with_event(self, new: DemandEvent, now: datetime) -> LimitBook:
        """One that is announced again is replaced; those that are long over are forgotten."""
        others = {k: e for k, e in self.events.items() if k != new.event_id}
        over = [k for k, e in others.items() if e.phase(now) not in (EventPhase.ANNOUNCED, EventPhase.ACTIVE)]
        gone = set(over[:-KEPT])
        return replace(self, events={k: e for k, e in others.items() if k not in gone} | {new.event_id: new})

    def withdrawn(self, event_id: str, how: EventPhase, *, by: str, at: datetime, reason: str) -> LimitBook:
        known = self.events.get(event_id)
        if known is None or known.withdrawn is not None or at >= known.ends_at:
            return self
        changed = replace(known, withdrawn=how, withdrawn_by=by, withdrawn_at=at, withdrawn_reason=reason)
        return replace(self, events={**self.events, event_id: changed})

    def measured(self, event_id: str, result: EventResult) -> LimitBook:
        known = self.events.get(event_id)
        return self if known is None else replace(self, events={**self.events, event_id: replace(known, result=result)})

    def with_override(self, new: LimitOverride) -> LimitBook:
        return replace(self, overrides=(*self.overrides, new)[-KEPT:])

    def override_ended(self, override_id: str, *, by: str, at: datetime) -> LimitBook:
        ended = tuple(replace(o, ended_at=at, ended_by=by) if o.override_id == override_id else o for o in self.overrides)
        return replace(self, overrides=ended)

    def with_bound(self, new: Bound) -> LimitBook:
        return replace(self, bound={**self.bound, new.scope_id: new})

    def unbound(self, scope_id: str) -> LimitBook:
        return replace(self, bound={k: b for k, b in self.bound.items() if k != scope_id})
