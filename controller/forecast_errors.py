"""Past visits against what was announced of them: how far a depot's own timetable can be trusted.

    journal: announced, arrived, session ended, left --> PastVisits.landed() --> PastVisit, the newest KEPT of them
                                                     errors()  --> the planner's reserve     nights of a month --> its peak target

A pure fold, bounded, told of each durable batch of facts; after a start the newest facts are folded again. An announcement
counts as it stood LEAD before the arrival, because that is what plans were made with; a stay that begins with its announcement
was no forecast. A need is known where it was revised after the arrival, where more flowed than announced, or where the session
ended by itself with time left; who left before the announced time with less says nothing of its need.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from depot import events as ev
from depot.events import Envelope
from depot.state import OWN_STAY, DepotState
from depot.values import ConnectorId
from optimizer.reserve import ForecastErrors

TYPES = (
    ev.VisitAnnounced.TYPE,
    ev.VisitArrived.TYPE,
    ev.VisitEnded.TYPE,
    ev.VisitCancelled.TYPE,
    ev.TransactionStarted.TYPE,
    ev.TransactionStopped.TYPE,
)
KEPT = 4000
"""Past visits: a month of a hundred vehicles."""

SAMPLES = 400
"""So many of the newest visits make the errors: timetables change with the seasons."""

ANNOUNCEMENTS = 8
"""Of one visit, the newest of them."""

LEAD = timedelta(hours=1)
AT_ONCE = timedelta(minutes=2)
IN_TIME = timedelta(minutes=15)
MOST_OFF_MIN = 12 * 60.0
"""Further off is another visit than the announced one."""

RATIOS = (0.25, 2.0)


@dataclass(frozen=True, slots=True)
class PastVisit:
    """``expected``: as announced before it came, None: it came unannounced. ``announced``: as it stood at the end. ``needed_wh``: of
    the battery, None: nothing shows it; ``delivered_wh``: grid side."""

    visit_id: str
    expected: ev.VisitAnnounced | None
    announced: ev.VisitAnnounced
    connector: ConnectorId
    arrived_at: datetime
    left_at: datetime
    delivered_wh: int
    needed_wh: int | None

    @property
    def late_min(self) -> float | None:
        """Arrival after the announced one; None: nothing was announced, or not this."""
        return None if self.expected is None else _near((self.arrived_at - self.expected.arrive_at).total_seconds() / 60)

    @property
    def early_min(self) -> float | None:
        """Departure before the announced one; later ones count as in time."""
        if self.expected is None:
            return None
        return _near(max(0.0, (self.expected.depart_at - self.left_at).total_seconds() / 60))

    @property
    def energy_ratio(self) -> float | None:
        """Energy that was needed over what was announced; None: not known."""
        if self.expected is None or self.needed_wh is None or self.expected.battery_energy_wh <= 0:
            return None
        return min(max(self.needed_wh / self.expected.battery_energy_wh, RATIOS[0]), RATIOS[1])


@dataclass(slots=True)
class _Open:
    """A visit that is not over."""

    announcements: deque[tuple[datetime, ev.VisitAnnounced]] = field(default_factory=lambda: deque(maxlen=ANNOUNCEMENTS))
    expected: ev.VisitAnnounced | None = None
    connector: ConnectorId | None = None
    arrived_at: datetime | None = None
    again: bool = False
    delivered_wh: int = 0
    stopped_at: datetime | None = None


class PastVisits:
    """One per depot. ``facts``: the newest ones of :data:`TYPES`, oldest first."""

    def __init__(self, facts: Iterable[Envelope] = ()) -> None:
        self.visits: deque[PastVisit] = deque(maxlen=KEPT)
        self._open: dict[str, _Open] = {}
        self._sessions: dict[int, tuple[str, int]] = {}
        self._errors: ForecastErrors | None = None
        for envelope in facts:
            self._take(envelope)

    def landed(self, envelopes: Sequence[Envelope], _state: DepotState) -> None:
        """Durable facts, as the journal tells its subscribers."""
        for envelope in envelopes:
            self._take(envelope)

    def errors(self) -> ForecastErrors:
        """Of the newest visits."""
        if self._errors is None:
            newest = list(self.visits)[-SAMPLES:]
            self._errors = ForecastErrors(
                late_min=_array(visit.late_min for visit in newest),
                early_min=_array(visit.early_min for visit in newest),
                energy_ratio=_array(visit.energy_ratio for visit in newest),
            )
        return self._errors

    def _take(self, envelope: Envelope) -> None:
        at = envelope.occurred_at
        match envelope.data:
            case ev.VisitAnnounced() as said:
                self._announced(said, at)
            case ev.VisitArrived(visit_id, connector):
                self._arrived(visit_id, connector, at)
            case ev.VisitEnded(visit_id):
                self._left(visit_id, at)
            case ev.VisitCancelled(visit_id):
                self._open.pop(visit_id, None)
            case ev.TransactionStarted() as begun if begun.visit_id is not None and begun.accepted:
                self._sessions[begun.transaction_id] = (begun.visit_id, begun.meter_start_wh)
            case ev.TransactionStopped() as ended:
                self._stopped(ended, at)

    def _announced(self, said: ev.VisitAnnounced, at: datetime) -> None:
        known = self._open.setdefault(said.visit_id, _Open())
        known.announcements.append((at, said))
        known.again = known.again or said.returning

    def _arrived(self, visit_id: str, connector: ConnectorId, at: datetime) -> None:
        known = self._open.get(visit_id)
        if known is None or not known.announcements:
            return
        known.connector, known.arrived_at = connector, at
        first_at, first = known.announcements[0]
        told = [said for said_at, said in known.announcements if said_at <= at - LEAD]
        forecast = at - first_at > AT_ONCE and not visit_id.startswith(OWN_STAY)
        known.expected = None if known.again or not forecast else told[-1] if told else first

    def _stopped(self, ended: ev.TransactionStopped, at: datetime) -> None:
        visit_id, start_wh = self._sessions.pop(ended.transaction_id, ("", 0))
        known = self._open.get(visit_id)
        if known is not None:
            known.delivered_wh += max(0, ended.meter_stop_wh - start_wh)
            known.stopped_at = at

    def _left(self, visit_id: str, at: datetime) -> None:
        known = self._open.pop(visit_id, None)
        if known is None or known.arrived_at is None or known.connector is None:
            return
        announced = known.announcements[-1][1]
        taken_wh = round(known.delivered_wh * announced.efficiency)
        self.visits.append(
            PastVisit(
                visit_id,
                known.expected,
                replace(announced, arrive_at=known.arrived_at),
                known.connector,
                known.arrived_at,
                at,
                known.delivered_wh,
                _needed_wh(known, announced, taken_wh, left_at=at),
            )
        )
        self._errors = None


def _needed_wh(known: _Open, announced: ev.VisitAnnounced, taken_wh: int, *, left_at: datetime) -> int | None:
    if known.expected is None:
        return None
    revised = announced.battery_energy_wh != known.expected.battery_energy_wh
    if revised or taken_wh >= announced.battery_energy_wh:
        return max(taken_wh, announced.battery_energy_wh)
    until = min(left_at, announced.depart_at)
    by_itself = known.stopped_at is not None and until - known.stopped_at >= IN_TIME
    return taken_wh if by_itself and taken_wh > 0 else None


def _near(minutes: float) -> float | None:
    return minutes if abs(minutes) <= MOST_OFF_MIN else None


def _array(values: Iterable[float | None]) -> np.ndarray:
    return np.array([value for value in values if value is not None], dtype=np.float64)
