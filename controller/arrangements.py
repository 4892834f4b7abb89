"""The limit book as limits: what schedules, demand-response events and an override make of the hours ahead. Pure.

    LimitBook, now --arranged()--> limits of schedules and events, from now to AHEAD, each with when it was arranged
    all limits, the override --lifted()--> the same limits, some of them raised while the override holds

An override can raise limits of :data:`OVERRIDABLE` sources alone, only those that the person who asked for it could know (set
before it began), and never above its own level; everything else in the list stays as it is, so the least of contract,
transformer, rating, generator, fail-safe and safety binds as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from depot.limit_book import DemandEvent, LimitBook, LimitOverride, LimitSchedule, Weekly
from depot.registry import DepotSpec
from depot.smart_charging import STALE_AFTER, SmartChargingState
from depot.values import ConnectorId, InvalidValue, Limit, LimitSource, ScopeKind

AHEAD: Final = timedelta(hours=49)
"""So far ahead schedules are told: two days for people and for the planner, and the life of a profile."""

OVERRIDABLE: Final = (LimitSource.MANUAL, LimitSource.SCHEDULE, LimitSource.DEMAND_RESPONSE, LimitSource.SCADA)
"""What may be overridden at all: what people and programmes wish. Never what was built or agreed (contract, transformer, rating,
generator), what protects (safety, fail-safe), and what a station is held to by others."""

WHOLE = 0
"""In a scope such as CP1/0: the whole station, as OCPP counts EVSEs."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """A limit of the book. ``set_at``: when somebody arranged it; its ``from_`` may lie long after that."""

    limit: Limit
    set_at: datetime


def scope_kind(scope_id: str) -> ScopeKind:
    """What a scope's text names: a feeder's id holds no slash, a connector's always does."""
    if not scope_id:
        return ScopeKind.SITE
    return ScopeKind.CONNECTOR if "/" in scope_id else ScopeKind.FEEDER


def check_scope(spec: DepotSpec, scope_id: str) -> None:
    """Raises :class:`~depot.values.DepotError` for a scope that this depot has not."""
    kind = scope_kind(scope_id)
    if kind is ScopeKind.CONNECTOR:
        spec.connector(ConnectorId.parse(scope_id))
    elif kind is ScopeKind.FEEDER and all(feeder.feeder_id != scope_id for feeder in spec.feeders):
        known = ", ".join(feeder.feeder_id for feeder in spec.feeders)
        raise InvalidValue(f"feeder {scope_id!r} is not known; the feeders are {known}")


def arranged(book: LimitBook, now: datetime, zone: ZoneInfo, *, ahead: timedelta = AHEAD) -> list[Arranged]:
    """All that the book holds or will hold before ``now + ahead``."""
    found: list[Arranged] = []
    for schedule in book.schedules.values():
        for limit in scheduled(schedule, now, zone, ahead=ahead):
            found.append(Arranged(limit, schedule.set_at))
    for event in book.events.values():
        if event.withdrawn is None and now < event.ends_at and event.starts_at < now + ahead:
            found.append(Arranged(_demanded(event), event.announced_at))
    return found


def scheduled(schedule: LimitSchedule, now: datetime, zone: ZoneInfo, *, ahead: timedelta = AHEAD) -> Iterator[Limit]:
    """The schedule's limits that are not over at ``now`` and begin before ``now + ahead``."""
    if schedule.once is not None:
        periods: Iterable[tuple[str, datetime, datetime]] = [("once", schedule.once.starts_at, schedule.once.ends_at)]
    elif schedule.weekly is not None:
        periods = _weekly(schedule.weekly, now, zone, ahead)
    else:
        periods = ()
    for name, start, stop in periods:
        if now < stop and start < now + ahead:
            yield Limit(
                f"schedule:{schedule.schedule_id}:{name}", scope_kind(schedule.scope_id), schedule.value_w, LimitSource.SCHEDULE, start,
                scope_id=schedule.scope_id, until=stop, set_by=schedule.set_by, reason=schedule.reason,
            )  # fmt: skip


def _weekly(weekly: Weekly, now: datetime, zone: ZoneInfo, ahead: timedelta) -> Iterator[tuple[str, datetime, datetime]]:
    """Occurrences by local days, from yesterday's (it may still run) on. Where clocks change within one, it is the longer."""
    day, last = now.astimezone(zone).date() - timedelta(days=1), (now + ahead).astimezone(zone).date()
    while day <= last:
        fits = (weekly.first_day is None or weekly.first_day <= day) and (weekly.last_day is None or day <= weekly.last_day)
        if fits and day.weekday() in weekly.days:
            ends_on = day if weekly.ends_min > weekly.starts_min else day + timedelta(days=1)
            start, stop = _local(day, weekly.starts_min, zone, fold=0), _local(ends_on, weekly.ends_min, zone, fold=1)
            if start < stop:
                yield day.isoformat(), start, stop
        day += timedelta(days=1)


def _local(day: date, minutes: int, zone: ZoneInfo, *, fold: int) -> datetime:
    at = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001  # wall clock; its zone comes next
    return at.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _demanded(event: DemandEvent) -> Limit:
    less_kw, than_kw = (event.reduction_w or 0) / 1000, (event.baseline_w or 0) / 1000
    how = "" if event.limit_w is not None else f", {less_kw:.0f} kW less than {than_kw:.0f} kW"
    return Limit(
        f"event:{event.event_id}", ScopeKind.SITE, event.allowed_w, LimitSource.DEMAND_RESPONSE, event.starts_at, until=event.ends_at,
        set_by=event.programme, reason=f"event {event.event_id} by {event.channel}{how}",
    )  # fmt: skip


def lifted(found: Iterable[Limit], override: LimitOverride, set_at: Mapping[str, datetime]) -> list[Limit]:
    """The limits with the override in them. ``set_at``: when a limit was arranged, where that is not when it begins.

    What is lifted is cut into what holds before, during (the override's level) and after it."""
    out: list[Limit] = []
    start, stop = override.starts_at, override.over_at
    for limit in found:
        known = set_at.get(limit.limit_id, limit.from_) <= start
        mine = limit.source in override.sources and limit.source in OVERRIDABLE and limit.scope_id == override.scope_id
        if not (mine and known and limit.value < override.value_w and limit.touches(start, stop)):
            out.append(limit)
            continue
        if limit.from_ < start:
            out.append(replace(limit, until=start))
        begins = max(limit.from_, start)
        ends = stop if limit.until is None else min(limit.until, stop)
        reason = f"overridden by {override.by}: {override.reason} (else {limit.value / 1000:.0f} kW)"
        out.append(replace(limit, limit_id=f"{limit.limit_id}~lifted", value=override.value_w, from_=begins, until=ends, reason=reason))
        if limit.until is None or stop < limit.until:
            out.append(replace(limit, limit_id=f"{limit.limit_id}~after", from_=stop))
    return out


def external(state: SmartChargingState, now: datetime) -> list[Limit]:
    """What stations told of others' limits there (NotifyChargingLimit), as limits of connectors; of the whole station as CP1/0.
    For people to see: the limiter takes them as ceilings, as each station keeps them by itself."""
    out: list[Limit] = []
    for told in state.limits.values():
        if not told.holds(now):
            continue
        over = told.until if told.until is not None else told.told_at + STALE_AFTER
        ends = [*(step.at for step in told.steps), over][1:]  # a limit may be told without steps
        for number, (step, stop) in enumerate(zip(told.steps, ends, strict=True)):
            if step.level_w is not None and now < stop and step.at < stop:
                limit = Limit(
                    f"external:{told.key}:{number}", ScopeKind.CONNECTOR, max(0, step.level_w), LimitSource.EXTERNAL, step.at,
                    scope_id=f"{told.station_id}/{told.evse}", until=stop, set_by=told.source, reason="told by the station",
                )  # fmt: skip
                out.append(limit)
    return out
