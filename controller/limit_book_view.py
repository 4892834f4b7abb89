"""What the Grid page and the API show of arranged limits: shapes, and the pure pieces that fill them.

Powers W, ages seconds, times aware UTC; clock times of a weekly schedule are the depot's own. ``scope_id`` "" is the site, else a
feeder's id or a connector such as CP1/1 (CP1/0: the whole station).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from controller import limits
from controller.arrangements import scheduled
from controller.limit_records import Recorded, scope_of
from depot import events as ev
from depot.limit_book import Bound, DemandEvent, LimitOverride, LimitSchedule
from depot.values import Limit, LimitSource


class ManualLimitRow(Struct, frozen=True, kw_only=True):
    """A limit that a person or machine has set. ``name``: beside others of its scope; "" the first one. ``forgotten``: it holds until
    it is lifted, and for so long that somebody should look."""

    limit_id: str
    scope_id: str
    name: str
    value_w: int
    set_by: str
    reason: str
    since: datetime
    age_s: float
    until: datetime | None
    forgotten: bool


class ScheduleRow(Struct, frozen=True, kw_only=True):
    """A schedule. Weekly: ``days`` (0 Monday), ``starts``, ``ends`` (HH:MM), ``first_day``, ``last_day``; once: ``starts_at``,
    ``ends_at``. ``next_at``, ``next_until``: its running or next time within two days, None: there is none."""

    schedule_id: str
    scope_id: str
    value_w: int
    set_by: str
    set_at: datetime
    reason: str
    days: list[int]
    starts: str
    ends: str
    first_day: date | None
    last_day: date | None
    starts_at: datetime | None
    ends_at: datetime | None
    next_at: datetime | None
    next_until: datetime | None


class EventResultRow(Struct, frozen=True, kw_only=True):
    """What the meter showed; see :class:`depot.limit_book.EventResult`."""

    energy_wh: int
    peak_w: int
    covered: float
    over_min: int
    complied: bool | None


class DemandEventRow(Struct, frozen=True, kw_only=True):
    """A demand-response event. ``phase``: announced, active, ended, cancelled, opted_out. ``allowed_w``: what the site may draw."""

    event_id: str
    programme: str
    phase: str
    issued_at: datetime
    starts_at: datetime
    ends_at: datetime
    channel: str
    announced_by: str
    reason: str
    allowed_w: int
    limit_w: int | None
    reduction_w: int | None
    baseline_w: int | None
    withdrawn_by: str
    withdrawn_at: datetime | None
    withdrawn_reason: str
    result: EventResultRow | None


class OverrideRow(Struct, frozen=True, kw_only=True):
    """An override. ``lifts``: ids of the limits that it lifts now."""

    override_id: str
    scope_id: str
    value_w: int
    sources: list[str]
    starts_at: datetime
    until: datetime
    by: str
    reason: str
    ended_at: datetime | None
    ended_by: str
    lifts: list[str]


class OverrideRulesRow(Struct, frozen=True, kw_only=True):
    """What the settings allow. ``most_w`` None: as far as all other limits go."""

    allowed: bool
    sources: list[str]
    most_w: int | None
    longest_min: int
    second_person: bool


class LimitStep(Struct, frozen=True, kw_only=True):
    """From ``at`` on this limit binds its scope, until the next step."""

    scope_id: str
    at: datetime
    value_w: int
    source: str
    limit_id: str
    set_by: str
    reason: str


class LimitBookView(Struct, frozen=True, kw_only=True):
    """Everything that is arranged. ``override`` None: none holds. ``ahead``: who binds over the next 48 h. ``connectors``: limits of
    single connectors and stations, those that stations told among them."""

    at: datetime
    manual: list[ManualLimitRow]
    schedules: list[ScheduleRow]
    events: list[DemandEventRow]
    override: OverrideRow | None
    overrides: list[OverrideRow]
    rules: OverrideRulesRow
    ahead: list[LimitStep]
    connectors: list[LimitStep]


class LimitHistoryRow(Struct, frozen=True, kw_only=True):
    """One fact. ``what``: bound, unbound, set, lifted, schedule_set, schedule_removed, event_announced, event_cancelled,
    event_opted_out, event_measured, override_begun, override_ended. ``id``: of the limit, schedule, event or override."""

    seq: int
    at: datetime
    what: str
    by: str
    scope_id: str | None
    id: str
    value_w: int | None = None
    source: str = ""
    until: datetime | None = None
    reason: str = ""


class LimitHistoryView(Struct, frozen=True, kw_only=True):
    """Newest first. ``before``: give it as ``cursor`` to get the next page; None at the end."""

    at: datetime
    entries: list[LimitHistoryRow]
    before: int | None


def manual_row(limit: Limit, now: datetime, remind: timedelta) -> ManualLimitRow:
    """``remind`` zero: never."""
    return ManualLimitRow(
        limit_id=limit.limit_id,
        scope_id=limit.scope_id,
        name=limit.limit_id.partition("#")[2],
        value_w=limit.value,
        set_by=limit.set_by,
        reason=limit.reason,
        since=limit.from_,
        age_s=max(0.0, (now - limit.from_).total_seconds()),
        until=limit.until,
        forgotten=forgotten(limit, now, remind),
    )


def forgotten(limit: Limit, now: datetime, remind: timedelta) -> bool:
    """Whether somebody should be reminded of it."""
    return limit.source is LimitSource.MANUAL and limit.until is None and bool(remind) and now - limit.from_ >= remind


def schedule_row(schedule: LimitSchedule, now: datetime, zone: ZoneInfo) -> ScheduleRow:
    coming = min(scheduled(schedule, now, zone), key=lambda limit: limit.from_, default=None)
    weekly, once = schedule.weekly, schedule.once
    return ScheduleRow(
        schedule_id=schedule.schedule_id,
        scope_id=schedule.scope_id,
        value_w=schedule.value_w,
        set_by=schedule.set_by,
        set_at=schedule.set_at,
        reason=schedule.reason,
        days=[] if weekly is None else sorted(weekly.days),
        starts="" if weekly is None else _clock(weekly.starts_min),
        ends="" if weekly is None else _clock(weekly.ends_min),
        first_day=None if weekly is None else weekly.first_day,
        last_day=None if weekly is None else weekly.last_day,
        starts_at=None if once is None else once.starts_at,
        ends_at=None if once is None else once.ends_at,
        next_at=None if coming is None else coming.from_,
        next_until=None if coming is None else coming.until,
    )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def event_row(event: DemandEvent, now: datetime) -> DemandEventRow:
    r = event.result
    result = None
    if r is not None:
        result = EventResultRow(energy_wh=r.energy_wh, peak_w=r.peak_w, covered=r.covered, over_min=r.over_min, complied=r.complied)
    return DemandEventRow(
        event_id=event.event_id,
        programme=event.programme,
        phase=event.phase(now).value,
        issued_at=event.issued_at,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        channel=event.channel.value,
        announced_by=event.announced_by,
        reason=event.reason,
        allowed_w=event.allowed_w,
        limit_w=event.limit_w,
        reduction_w=event.reduction_w,
        baseline_w=event.baseline_w,
        withdrawn_by=event.withdrawn_by,
        withdrawn_at=event.withdrawn_at,
        withdrawn_reason=event.withdrawn_reason,
        result=result,
    )


def override_row(override: LimitOverride, found: Sequence[Limit], now: datetime) -> OverrideRow:
    """``found``: limits with the override in them."""
    lifts = [limit for limit in found if limit.limit_id.endswith("~lifted") and limit.holds_at(now)] if override.holds(now) else []
    return OverrideRow(
        override_id=override.override_id,
        scope_id=override.scope_id,
        value_w=override.value_w,
        sources=[source.value for source in override.sources],
        starts_at=override.starts_at,
        until=override.until,
        by=override.by,
        reason=override.reason,
        ended_at=override.ended_at,
        ended_by=override.ended_by,
        lifts=[limit.limit_id.removesuffix("~lifted") for limit in lifts],
    )


def steps_of(found: Sequence[Limit], scope_id: str, *, start: datetime, stop: datetime) -> list[LimitStep]:
    """Who binds the scope from when on."""
    return [_step(scope_id, at, limit) for at, limit in limits.steps(found, scope_id, start=start, stop=stop)]


def _step(scope_id: str, at: datetime, limit: Limit) -> LimitStep:
    return LimitStep(
        scope_id=scope_id, at=at, value_w=limit.value, source=limit.source.value, limit_id=limit.limit_id, set_by=limit.set_by,
        reason=limit.reason,
    )  # fmt: skip


def connector_row(limit: Limit) -> LimitStep:
    """A limit of a connector, from its beginning on."""
    return _step(limit.scope_id, limit.from_, limit)


def history_row(recorded: Recorded) -> LimitHistoryRow:
    """One fact as a line."""

    def row(what: str, id_: str, **more: Any) -> LimitHistoryRow:
        scope_id = scope_of(recorded.fact)
        return LimitHistoryRow(seq=recorded.seq, at=recorded.at, what=what, by=recorded.actor, scope_id=scope_id, id=id_, **more)

    match recorded.fact:
        case ev.BindingLimitChanged(bound):
            return row("bound", bound.limit_id, **_of_bound(bound))
        case ev.BindingLimitEnded(scope_id):
            return row("unbound", scope_id)
        case ev.LimitSet(limit):
            return row("set", limit.limit_id, value_w=limit.value, source=limit.source.value, until=limit.until, reason=limit.reason)
        case ev.LimitCleared(limit_id, reason):
            return row("lifted", limit_id, reason=reason)
        case ev.LimitScheduleSet(schedule):
            until = None if schedule.once is None else schedule.once.ends_at
            return row(
                "schedule_set", schedule.schedule_id, value_w=schedule.value_w, source="schedule", until=until, reason=schedule.reason
            )
        case ev.LimitScheduleRemoved(schedule_id, reason):
            return row("schedule_removed", schedule_id, reason=reason)
        case ev.DemandEventAnnounced(event):
            more = {"value_w": event.allowed_w, "source": "demand_response", "until": event.ends_at, "reason": event.reason}
            return row("event_announced", event.event_id, **more)
        case ev.DemandEventWithdrawn(event_id, how, reason):
            return row(f"event_{how.value}", event_id, reason=reason)
        case ev.DemandEventMeasured(event_id, result):
            word = {True: "complied", False: f"{result.over_min} min above its limit", None: "too little was measured"}[result.complied]
            return row("event_measured", event_id, value_w=result.peak_w, reason=f"{result.energy_wh / 1000:.1f} kWh, {word}")
        case ev.LimitOverrideBegun(override):
            return row("override_begun", override.override_id, value_w=override.value_w, until=override.until, reason=override.reason)
        case ev.LimitOverrideEnded(override_id, reason):
            return row("override_ended", override_id, reason=reason)
    return row(recorded.fact.TYPE, "")


def _of_bound(bound: Bound) -> dict[str, Any]:
    reason = f"{bound.set_by}: {bound.reason}" if bound.set_by and bound.reason else bound.set_by or bound.reason
    return {"value_w": bound.value_w, "source": bound.source.value, "until": bound.until, "reason": reason}
