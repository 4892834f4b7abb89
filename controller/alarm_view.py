"""What the page *Alarms* shows: shapes, and the pure builder from alarms, conditions and waiting approvals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from controller.alarms import KINDS, Condition
from controller.readmodel import AlarmCounts
from depot.alarms import Alarm, Alarms, AlarmState
from depot.state import Approval

MOST_ROWS = 500
"""Rows of one view; the counts say how many there are."""


class AlarmRow(Struct, frozen=True, kw_only=True):
    """One alarm. ``state``: unacknowledged, acknowledged, cleared, shelved, out_of_service, suppressed. ``title`` and
    ``action`` are those of now where its condition holds, else those of when it was raised. ``subject``: what it is about."""

    key: str
    kind: str
    state: str
    priority: int
    title: str
    action: str
    consequence: str
    respond_min: int
    subject: str
    raised_at: datetime | None
    times: int = 1
    cleared_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    shelved_by: str = ""
    shelved_until: datetime | None = None
    reason: str = ""
    shelvable: bool = True


class ApprovalRow(Struct, frozen=True, kw_only=True):
    """A command that waits for a second person."""

    approval_id: str
    kind: str
    target: str
    reason: str
    asked_by: str
    asked_at: datetime
    until: datetime


class AlarmsView(Struct, frozen=True, kw_only=True):
    """All alarms that are not normal, worst and newest first. ``flood``: they come faster than one person can follow;
    ``raised_10_min`` and ``raised_24_h``: how many came lately, since ``counted_since`` at the earliest."""

    at: datetime
    counts: AlarmCounts
    rows: list[AlarmRow]
    more: int
    flood: bool
    raised_10_min: int
    raised_24_h: int
    counted_since: datetime
    recorded: bool
    approvals: list[ApprovalRow] = []


_ORDER = {
    AlarmState.UNACKNOWLEDGED: 0,
    AlarmState.ACKNOWLEDGED: 1,
    AlarmState.CLEARED: 2,
    AlarmState.SHELVED: 3,
    AlarmState.OUT_OF_SERVICE: 4,
}


def alarm_counts(alarms: Alarms) -> AlarmCounts:
    """For every page's frame. Those on the shelf count as shelved alone."""
    shown = [alarm for alarm in alarms.values() if alarm.shelf is None]
    waiting = [alarm.priority for alarm in shown if not alarm.acknowledged_by]
    return AlarmCounts(
        unacknowledged=len(waiting),
        active=sum(alarm.active for alarm in shown),
        shelved=len(alarms) - len(shown),
        worst=min(waiting, default=None),
    )


def alarm_rows(alarms: Alarms, seen: Mapping[str, Condition]) -> list[AlarmRow]:
    """Every alarm, then what is suppressed by design."""
    ordered = sorted(alarms.values(), key=lambda a: (_ORDER[a.state], a.priority, -a.raised_at.timestamp(), a.key))
    suppressed = sorted((c for c in seen.values() if c.suppressed_by and c.key not in alarms), key=lambda c: c.key)
    return [_row(alarm, seen.get(alarm.key)) for alarm in ordered] + [_suppressed(condition) for condition in suppressed]


def approval_rows(approvals: Mapping[str, Approval]) -> list[ApprovalRow]:
    """Those that nobody has answered, the first to lapse first."""
    waiting = sorted((a for a in approvals.values() if not a.granted_by), key=lambda a: a.until)
    return [
        ApprovalRow(
            approval_id=a.command_id, kind=a.kind, target=a.target, reason=a.reason, asked_by=a.asked_by, asked_at=a.asked_at, until=a.until
        )
        for a in waiting
    ]


def _row(alarm: Alarm, now: Condition | None) -> AlarmRow:
    kind = KINDS.get(alarm.kind)
    shelf = alarm.shelf
    return AlarmRow(
        key=alarm.key,
        kind=alarm.kind,
        state=alarm.state.value,
        priority=alarm.priority,
        title=(now.title if now is not None else "") or alarm.title,
        action=(now.action if now is not None else "") or alarm.action,
        consequence=kind.consequence if kind is not None else "",
        respond_min=kind.respond_min if kind is not None else 0,
        subject=alarm.subject,
        raised_at=alarm.raised_at,
        times=alarm.times,
        cleared_at=None if alarm.active else alarm.cleared_at,
        acknowledged_by=alarm.acknowledged_by,
        acknowledged_at=alarm.acknowledged_at,
        shelved_by=shelf.by if shelf is not None else "",
        shelved_until=shelf.until if shelf is not None else None,
        reason=shelf.reason if shelf is not None else "",
        shelvable=kind is None or kind.shelvable,
    )


def _suppressed(condition: Condition) -> AlarmRow:
    kind = KINDS[condition.kind]
    return AlarmRow(
        key=condition.key,
        kind=kind.name,
        state="suppressed",
        priority=kind.priority,
        title=condition.title or kind.meaning,
        action=condition.action or kind.action,
        consequence=kind.consequence,
        respond_min=kind.respond_min,
        subject=condition.subject,
        raised_at=None,
        reason=condition.suppressed_by,
        shelvable=False,
    )
