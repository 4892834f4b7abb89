"""What was measured of a paid session, as its tariff wants to know it; and when its register is to be written down. Pure.

Times are ours, so that they fit each other; of a session that a station told late, out of its offline queue, they are the
station's own, where those can be true.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from depot.state import PaidPhase, PaidSession
from payments.driver_tariff import DriverTariff
from payments.rating import Reading, SessionFacts, Span

__all__ = ["READ_EVERY", "reading_due", "ready_to_bill", "session_facts"]

READ_EVERY: Final = timedelta(minutes=15)
"""The register of a running session is written down on each quarter of an hour of the tariff's clock."""

_TOLD_LATE: Final = timedelta(minutes=2)


def session_facts(paid: PaidSession, *, longest: timedelta, now: datetime | None = None, register_wh: int | None = None) -> SessionFacts:
    """Of a session that has ended; or of one that runs, with ``now`` and its register now. Idle time counts at most ``longest``."""
    start = _own(paid.started_at, paid.begun_at)
    if paid.stopped_at is not None:
        end, last_wh = _own(paid.stopped_at, paid.ended_at), paid.meter_stop_wh
    else:
        end, last_wh = now or start, paid.meter_start_wh if register_wh is None else register_wh
    end = max(start, end)
    told_late = start < paid.started_at
    between = [] if told_late else [Reading(one.at, one.register_wh) for one in paid.readings if start < one.at < end]
    full_at, held = (None, ()) if told_late else _phases(paid, start, end)
    gone_at = next((change.at for change in paid.phases if change.phase is PaidPhase.GONE), None)
    return SessionFacts(
        readings=(Reading(start, paid.meter_start_wh), *between, Reading(end, last_wh)),
        full_at=full_at,
        gone_at=_gone(paid, start, end, gone_at if not told_late else None, now, longest),
        held=held,
        estimated=paid.estimated,
    )


def ready_to_bill(paid: PaidSession, tariff: DriverTariff, now: datetime, *, longest: timedelta) -> bool:
    """Whether everything is known that its bill depends on: with idle time, when the vehicle was unplugged. After ``longest`` nobody
    waits for it any more."""
    if paid.stopped_at is None:
        return False
    return not tariff.counts_idle or paid.phase is PaidPhase.GONE or now >= paid.stopped_at + longest


def reading_due(paid: PaidSession, zone: ZoneInfo, read_at: datetime) -> bool:
    """Whether a register that was read then is the first after a quarter of an hour of the tariff's clock."""
    last = paid.readings[-1].at if paid.readings else paid.started_at
    return paid.stopped_at is None and read_at > last and _quarter(read_at, zone) != _quarter(last, zone)


def _quarter(at: datetime, zone: ZoneInfo) -> tuple[object, int]:
    local = at.astimezone(zone)
    return local.date(), (local.hour * 60 + local.minute) // 15


def _own(told_at: datetime, said_at: datetime | None) -> datetime:
    return said_at if said_at is not None and told_at - said_at > _TOLD_LATE else told_at


def _phases(paid: PaidSession, start: datetime, end: datetime) -> tuple[datetime | None, tuple[Span, ...]]:
    """Since when it was full to the end, and when power was kept from it."""
    full_at, held, since = None, [], None
    for change in (change for change in paid.phases if change.at < end):
        at = max(start, change.at)
        if since is not None:
            held.append(Span(since, at))
            since = None
        full_at = at if change.phase is PaidPhase.FULL else None
        if change.phase is PaidPhase.HELD:
            since = at
    if since is not None:
        held.append(Span(since, end))
    return full_at, tuple(held)


def _gone(
    paid: PaidSession, start: datetime, end: datetime, gone_at: datetime | None, now: datetime | None, longest: timedelta
) -> datetime | None:
    """When it was unplugged, or now while it still stands there; None: nobody knows."""
    if gone_at is not None:
        return max(start, min(gone_at, end + longest))
    if now is None:
        return None
    return max(start, min(now, end + longest))
