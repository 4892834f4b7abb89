"""Between a plan's problem and people: stays are vehicles, slots are times, chargers have names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from controller.plan_answers_view import ChangeAsked
from controller.planning_problem import Asked
from controller.yard import Yard
from depot.values import InvalidValue
from optimizer.what_if_values import Change, ChangeKind, How

_OF_VEHICLES = frozenset({ChangeKind.CHARGER, ChangeKind.DEPART, ChangeKind.ARRIVE, ChangeKind.NEED})


@dataclass(frozen=True, slots=True)
class Names:
    """``vehicles``: id of a stay -> its vehicle. ``stays``: vehicle, charger or stay, as people say it -> id of the stay."""

    vehicles: Mapping[str, str]
    stays: Mapping[str, str]

    @classmethod
    def of(cls, yard: Yard, asked: Asked) -> Names:
        """The names of a plan's stays, as they are known now."""
        vehicles: dict[str, str] = {}
        stays: dict[str, str] = {}
        for visit_id in asked.visit_ids:
            visit = yard.state.visits.get(visit_id)
            vehicles[visit_id] = visit.announced.vehicle_id if visit is not None else visit_id
            stays[visit_id] = visit_id
            if visit is not None:
                stays.setdefault(visit.announced.vehicle_id, visit_id)
                if visit.present and visit.connector is not None:
                    stays.setdefault(str(visit.connector), visit_id)
                    stays.setdefault(yard.labels.get(visit.connector, str(visit.connector)), visit_id)
        for stay in asked.later:
            stays.setdefault(stay.visit_id, asked.visit_ids[stay.row])
        for row in asked.row_ids[len(asked.visit_ids) :]:  # a load of one of them
            visit_id, _, what = row.rpartition("/")
            vehicles[row] = f"{vehicles.get(visit_id, visit_id)} ({what})"
        return cls(vehicles, stays)

    def vehicle(self, visit_id: str) -> str:
        """Whose stay it is."""
        return self.vehicles.get(visit_id, visit_id)

    def in_words(self, text: str) -> str:
        """The text with vehicles instead of ids of stays."""
        for visit_id in sorted(self.vehicles, key=len, reverse=True):
            if visit_id in text:
                text = text.replace(visit_id, self.vehicles[visit_id])
        return text


def change_of(wanted: ChangeAsked, asked: Asked, names: Names) -> Change:
    """A change as the optimizer takes it; raises :class:`InvalidValue` for one that names what is not there."""
    try:
        kind, how = ChangeKind(wanted.kind), How(wanted.how)
    except ValueError:
        known = f"kinds are {', '.join(ChangeKind)}, and how is {', '.join(How)}"
        raise InvalidValue(f"no change {wanted.kind!r} {wanted.how!r}: {known}") from None
    if not isfinite(wanted.amount) or abs(wanted.amount) > 1e9:
        raise InvalidValue(f"{kind}: the amount {wanted.amount} is no number that can be")
    target = wanted.target.strip()
    if kind in _OF_VEHICLES or (kind is ChangeKind.MORE and target):
        if target not in names.stays:
            raise InvalidValue(f"{kind}: the plan knows no vehicle or charger {target[:60]!r}")
        target = names.stays[target]
    slots = asked.problem.n_slots
    first = 0 if wanted.from_at is None else _slot(wanted.from_at, asked, least=0, most=slots - 1)
    until = None if wanted.until_at is None else _slot(wanted.until_at, asked, least=first + 1, most=slots, up=True)
    return Change(kind, float(wanted.amount), how, target, first, until)


def _slot(at: datetime, asked: Asked, *, least: int, most: int, up: bool = False) -> int:
    """The slot that holds ``at`` (``up``: the first that begins then or later), within the plan."""
    if at.tzinfo is None:
        raise InvalidValue(f"the time {at.isoformat()} says no zone: write it as 2026-11-21T05:00+05:30")
    slot = (at - asked.start) / asked.slot
    return max(least, min(most, -int(-slot // 1) if up else int(slot // 1)))
