"""How the facts of the limit book change it; :mod:`depot.state` holds a :class:`~depot.limit_book.LimitBook` and asks :func:`after`."""

from __future__ import annotations

from depot import events as ev
from depot.limit_book import LimitBook

FACTS: tuple[type[ev.Event], ...] = (
    ev.LimitScheduleSet, ev.LimitScheduleRemoved, ev.DemandEventAnnounced, ev.DemandEventWithdrawn, ev.DemandEventMeasured,
    ev.LimitOverrideBegun, ev.LimitOverrideEnded, ev.BindingLimitChanged, ev.BindingLimitEnded,
)  # fmt: skip
"""What :func:`after` knows."""


def after(book: LimitBook, e: ev.Event, envelope: ev.Envelope) -> LimitBook:
    """The book after one fact."""
    at, by = envelope.occurred_at, envelope.actor
    match e:
        case ev.LimitScheduleSet(schedule):
            return book.with_schedule(schedule, at)
        case ev.LimitScheduleRemoved(schedule_id, _):
            return book.without_schedule(schedule_id)
        case ev.DemandEventAnnounced(event):
            return book.with_event(event, at)
        case ev.DemandEventWithdrawn(event_id, how, reason):
            return book.withdrawn(event_id, how, by=by, at=at, reason=reason)
        case ev.DemandEventMeasured(event_id, result):
            return book.measured(event_id, result)
        case ev.LimitOverrideBegun(override):
            return book.with_override(override)
        case ev.LimitOverrideEnded(override_id, _):
            return book.override_ended(override_id, by=by, at=at)
        case ev.BindingLimitChanged(bound):
            return book.with_bound(bound)
        case ev.BindingLimitEnded(scope_id):
            return book.unbound(scope_id)
    return book
