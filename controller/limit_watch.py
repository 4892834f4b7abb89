"""What is recorded of limits while the depot runs: who binds from when on, and how a demand-response event went. Pure.

    limits of this moment, what was recorded last --changes()--> facts, paced
    minutes of the meter, an event that is over --result_of()--> energy, peak, whether it complied

Pacing keeps the journal bounded: that somebody else binds is recorded at once, unless that happened :data:`OFTEN` times within
:data:`SPAN` already; a value that moves under the same limit (a ramp, a kVA limit that follows the reactive power) and what comes
too often is recorded once a :data:`PACE`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from controller import limits
from controller.history import Minute
from depot import events as ev
from depot.limit_book import Bound, DemandEvent, EventResult, LimitBook
from depot.values import Limit

PACE: Final = timedelta(seconds=60)
OFTEN: Final = 20
SPAN: Final = timedelta(minutes=10)
SAME_TIME: Final = timedelta(seconds=2)
"""An end that moves by less is the same end: the utility's clock axis slides against ours."""

COMPLY_W: Final = 500
"""Above the limit by less than this is the meter's own tolerance."""

COVERED_LEAST: Final = 0.9
"""Less measured than this share of an event: nobody can say whether it complied."""

BASELINE_DAYS: Final = 5
BASELINE_LEAST: Final = 2
BASELINE_BACK: Final = 8
"""A baseline is the mean of the newest :data:`BASELINE_DAYS` of the last :data:`BASELINE_BACK` days whose same hours were measured by
half, of :data:`BASELINE_LEAST` at least."""


def bound_of(found: Sequence[Limit], scope_id: str, now: datetime) -> Bound | None:
    """Who binds the scope now."""
    limit = limits.binding(found, scope_id, now)
    if limit is None:
        return None
    return Bound(scope_id, limit.limit_id, limit.value, limit.source, now, limit.until, limit.set_by, limit.reason)


def same_limit(a: Bound, b: Bound) -> bool:
    """The same limit, whatever its value and end are now."""
    return (a.limit_id, a.source, a.set_by, a.reason) == (b.limit_id, b.source, b.set_by, b.reason)


def unchanged(a: Bound, b: Bound) -> bool:
    if not same_limit(a, b) or a.value_w != b.value_w or (a.until is None) != (b.until is None):
        return False
    return a.until is None or b.until is None or abs(a.until - b.until) < SAME_TIME


@dataclass(slots=True)
class Pace:
    """When the changes of each scope were recorded."""

    recorded: dict[str, deque[datetime]] = field(default_factory=dict)

    def allows(self, scope_id: str, now: datetime, *, same: bool) -> bool:
        """Whether a change is recorded now. ``same``: only its value or end has changed."""
        times = self.recorded.setdefault(scope_id, deque(maxlen=OFTEN))
        often = len(times) == OFTEN and now - times[0] < SPAN
        return not (times and (same or often) and now - times[-1] < PACE)

    def took(self, scope_id: str, now: datetime) -> None:
        self.recorded.setdefault(scope_id, deque(maxlen=OFTEN)).append(now)


def changes(book: LimitBook, found: Sequence[Limit], feeders: Iterable[str], now: datetime, pace: Pace) -> list[ev.Event]:
    """What is to be recorded now; ``pace`` remembers it. ``found``: every limit, those of connectors too."""
    scopes: dict[str, list[Limit]] = {scope_id: [] for scope_id in ("", *feeders, *book.bound)}
    for limit in found:  # sorted once: hundreds of stations may tell of limits
        scopes.setdefault(limit.scope_id, []).append(limit)
    out: list[ev.Event] = []
    for scope_id, mine in scopes.items():
        known, new = book.bound.get(scope_id), bound_of(mine, scope_id, now)
        if new is None:
            if known is not None:
                out.append(ev.BindingLimitEnded(scope_id))
                pace.took(scope_id, now)
            continue
        if known is not None and unchanged(known, new):
            continue
        if pace.allows(scope_id, now, same=known is not None and same_limit(known, new)):
            out.append(ev.BindingLimitChanged(new))
            pace.took(scope_id, now)
    return out


def result_of(event: DemandEvent, minutes: Iterable[Minute]) -> EventResult:
    """How the event went, from minute means of import. Its first minute, in which the load comes down, is not held against it."""
    start, stop = event.starts_at, event.stopped_at
    seen = [(m.at, m.site_w) for m in minutes if start <= m.at < stop and m.site_w is not None]
    whole = max(1, round((stop - start).total_seconds() / 60))
    covered = min(1.0, len(seen) / whole)
    over = sum(w > event.allowed_w + COMPLY_W for at, w in seen if at >= start + timedelta(minutes=1))
    return EventResult(
        energy_wh=round(sum(max(0, w) for _, w in seen) / 60),
        peak_w=max((w for _, w in seen), default=0),
        covered=round(covered, 3),
        over_min=over,
        complied=(over == 0) if covered >= COVERED_LEAST else (False if over else None),
    )


def baseline_w(minutes: Sequence[Minute], starts_at: datetime, ends_at: datetime, events: Iterable[DemandEvent]) -> int | None:
    """What the site drew on days before, at the hours of an event, W; None: too little is known. Hours in which another event
    held are left out."""
    held = [(e.starts_at, e.stopped_at) for e in events if e.stopped_at > e.starts_at]
    means: list[float] = []
    for days in range(1, BASELINE_BACK + 1):
        start, stop = starts_at - timedelta(days=days), ends_at - timedelta(days=days)
        if len(means) == BASELINE_DAYS or any(a < stop and start < b for a, b in held):
            continue
        seen = [m.site_w for m in minutes if start <= m.at < stop and m.site_w is not None]
        if len(seen) * 2 * 60 >= (stop - start).total_seconds():
            means.append(sum(seen) / len(seen))
    return round(sum(means) / len(means)) if len(means) >= BASELINE_LEAST else None
