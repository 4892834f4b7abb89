"""What charging the own fleet cost, by vehicle and cost centre: shared out, never invoiced. Pure.

    journal: started, stopped, admitted, announced --> FleetSessions --> allocate(sessions, price) --> Allocation

Charging inside one legal person is no supply (CGST Act s. 7), so there is no tax, no number and no debit: a statement for the books of the
depot. A session that a driver pays is not in it. A session counts in the month in which its end was journaled, so that each one counts
once, also one that a station tells late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from depot import events as ev
from depot.events import Envelope

__all__ = ["TYPES", "Allocation", "FleetSession", "FleetSessions", "Share", "allocate"]

TYPES = (ev.VisitAnnounced.TYPE, ev.TransactionStarted.TYPE, ev.TransactionStopped.TYPE, ev.SessionAdmitted.TYPE)

UNKNOWN = ""
"""The vehicle of a session that nobody announced, with a card of no registered vehicle."""


@dataclass(frozen=True, slots=True)
class FleetSession:
    """A session of the depot's own account. Energy at the grid side, Wh. ``estimated``: its station told no end."""

    session_id: str
    vehicle_id: str
    started_at: datetime
    stopped_at: datetime
    energy_wh: int
    estimated: bool


@dataclass(slots=True)
class _Open:
    session_id: str
    started_at: datetime
    meter_start_wh: int
    vehicle_id: str


@dataclass(slots=True)
class FleetSessions:
    """A fold over facts in their order. ``vehicle_of``: by card, among the registered ones; "" where there is none. Sessions whose end was
    journaled from ``since`` until ``until``."""

    since: datetime
    until: datetime
    vehicle_of: Callable[[str], str]
    found: list[FleetSession] = field(default_factory=list)
    beginnings_missing: int = 0
    _visits: dict[str, str] = field(default_factory=dict)
    _open: dict[int, _Open] = field(default_factory=dict)
    _paid: set[str] = field(default_factory=set)

    def take(self, facts: Iterable[Envelope]) -> None:
        """The next facts."""
        for envelope in facts:
            match envelope.data:
                case ev.VisitAnnounced() as said:
                    self._visits[said.visit_id] = said.vehicle_id
                case ev.SessionAdmitted() as admitted:
                    self._paid.add(admitted.session_id)
                case ev.TransactionStarted() as began:
                    vehicle_id = self._visits.get(began.visit_id or "", "") or self.vehicle_of(began.id_tag)
                    self._open[began.transaction_id] = _Open(began.session_id, envelope.occurred_at, began.meter_start_wh, vehicle_id)
                case ev.TransactionStopped() as ended:
                    self._stopped(ended, envelope)

    def _stopped(self, ended: ev.TransactionStopped, envelope: Envelope) -> None:
        began = self._open.pop(ended.transaction_id, None)
        if not self.since <= envelope.received_at < self.until:
            return
        if began is None:
            self.beginnings_missing += 1
        elif began.session_id not in self._paid:
            stopped_at = max(began.started_at, envelope.occurred_at)
            energy_wh = max(0, ended.meter_stop_wh - began.meter_start_wh)
            self.found.append(FleetSession(began.session_id, began.vehicle_id, began.started_at, stopped_at, energy_wh, ended.estimated))


@dataclass(frozen=True, slots=True)
class Share:
    """What one vehicle or cost centre has of it."""

    name: str
    centre: str
    sessions: int
    energy_wh: int
    amount_paise: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """``vehicles`` and ``centres`` by name; both come to the same sums."""

    vehicles: Sequence[Share]
    centres: Sequence[Share]

    @property
    def energy_wh(self) -> int:
        """Of all."""
        return sum(share.energy_wh for share in self.vehicles)

    @property
    def amount_paise(self) -> int:
        """Of all: the sum of the vehicles' shares."""
        return sum(share.amount_paise for share in self.vehicles)


def allocate(sessions: Sequence[FleetSession], paise_per_kwh: Callable[[FleetSession], Fraction], centres: Mapping[str, str]) -> Allocation:
    """Each vehicle's exact sum is rounded half up once; a cost centre has the sum of its vehicles. ``centres``: by vehicle."""
    exact: dict[str, Fraction] = {}
    energy: dict[str, int] = {}
    count: dict[str, int] = {}
    for one in sessions:
        name = one.vehicle_id
        exact[name] = exact.get(name, Fraction(0)) + Fraction(one.energy_wh, 1000) * paise_per_kwh(one)
        energy[name] = energy.get(name, 0) + one.energy_wh
        count[name] = count.get(name, 0) + 1
    vehicles = [Share(name, centres.get(name, ""), count[name], energy[name], int(exact[name] + Fraction(1, 2))) for name in sorted(exact)]
    names = sorted({share.centre for share in vehicles})
    sums = [
        Share(
            name,
            name,
            sum(share.sessions for share in vehicles if share.centre == name),
            sum(share.energy_wh for share in vehicles if share.centre == name),
            sum(share.amount_paise for share in vehicles if share.centre == name),
        )
        for name in names
    ]
    return Allocation(vehicles, sums)
