"""Facts of the limit book: schedules, demand-response events, overrides, and who bound from when on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.limit_book import Bound, DemandEvent, EventPhase, EventResult, LimitOverride, LimitSchedule


@dataclass(frozen=True, slots=True)
class LimitScheduleSet(Event):
    """A schedule is new, or replaces the one with its id."""

    TYPE: ClassVar[str] = "limit.schedule_set"
    schedule: LimitSchedule


@dataclass(frozen=True, slots=True)
class LimitScheduleRemoved(Event):
    TYPE: ClassVar[str] = "limit.schedule_removed"
    schedule_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DemandEventAnnounced(Event):
    """An event is new, or what is known of it has changed."""

    TYPE: ClassVar[str] = "demand_response.event_announced"
    event: DemandEvent


@dataclass(frozen=True, slots=True)
class DemandEventWithdrawn(Event):
    """It was cancelled by its programme, or the depot opted out. ``how``: one of the two."""

    TYPE: ClassVar[str] = "demand_response.event_withdrawn"
    event_id: str
    how: EventPhase
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DemandEventMeasured(Event):
    """It is over, and this is what the meter showed."""

    TYPE: ClassVar[str] = "demand_response.event_measured"
    event_id: str
    result: EventResult


@dataclass(frozen=True, slots=True)
class LimitOverrideBegun(Event):
    TYPE: ClassVar[str] = "limit.override_begun"
    override: LimitOverride


@dataclass(frozen=True, slots=True)
class LimitOverrideEnded(Event):
    """A person ended it before its time."""

    TYPE: ClassVar[str] = "limit.override_ended"
    override_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BindingLimitChanged(Event):
    """From now on another limit binds its scope, or the same with another value."""

    TYPE: ClassVar[str] = "limit.binding_changed"
    bound: Bound


@dataclass(frozen=True, slots=True)
class BindingLimitEnded(Event):
    """Nothing limits the scope any more (connectors only: the site and its feeders always have a limit)."""

    TYPE: ClassVar[str] = "limit.binding_ended"
    scope_id: str
