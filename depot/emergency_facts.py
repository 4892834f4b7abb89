"""How facts of emergencies change the book; :mod:`depot.state` holds an :class:`~depot.emergency.EmergencyBook` and asks :func:`after`.

The controller asks it too, before the journal has the fact: what is urgent acts first (architecture, invariant 4).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from depot import events as ev
from depot.emergency import Drill, EmergencyBook, Evacuation, Incident, Seen, StepTold

FACTS: tuple[type[ev.Event], ...] = (
    ev.TripWorsened, ev.ShiftSet, ev.EvacuationBegun, ev.EvacuationSpread, ev.PersonSeen, ev.EvacuationEnded, ev.IncidentOpened,
    ev.ResponseStepChanged, ev.IncidentClosed, ev.DrillBegun, ev.DrillEnded,
)  # fmt: skip
"""What :func:`after` knows, beside the reset of a pack."""


def after(book: EmergencyBook, e: ev.Event, at: datetime, by: str) -> EmergencyBook:
    """The book after one fact."""
    match e:
        case ev.TripWorsened(pack, cause):
            return book.worsened(pack, cause)
        case ev.PackReset(pack):
            return book.better(pack)
        case ev.ShiftSet(people):
            return replace(book, shift=tuple(people))
        case ev.IncidentOpened():
            new = Incident(
                incident_id=e.incident_id, opened_at=at, cause=e.cause, text=e.text, pack=e.pack, area=e.area, drill=e.drill
            )  # fmt: skip
            return book.with_incident(new)
        case ev.DrillBegun(drill_id, person, contactors):
            return book.with_drill(Drill(drill_id=drill_id, began_at=at, by=person, contactors=contactors))
        case ev.DrillEnded(drill_id, state, links) if (drill := book.drills.get(drill_id)) is not None:
            return book.with_drill(replace(drill, state=state, links=tuple(links), ended_at=at))
        case ev.ResponseStepChanged() | ev.IncidentClosed():
            return _incident(book, e, at)
        case _:
            return _evacuation(book, e, at)


def _incident(book: EmergencyBook, e: ev.ResponseStepChanged | ev.IncidentClosed, at: datetime) -> EmergencyBook:
    known = book.incidents.get(e.incident_id)
    if known is None:
        return book
    if isinstance(e, ev.IncidentClosed):
        return book.with_incident(replace(known, closed_at=at, closed_by=e.person, close_reason=e.reason, digest=e.digest))
    told = StepTold(e.state, at, e.detail, e.took_s)
    return book.with_incident(replace(known, steps={**known.steps, e.step: told}))


def _evacuation(book: EmergencyBook, e: ev.Event, at: datetime) -> EmergencyBook:
    if isinstance(e, ev.EvacuationBegun):
        new = Evacuation(
            evacuation_id=e.evacuation_id, began_at=at, deadline=e.deadline, areas=tuple(e.areas), reason=e.reason, by=e.by,
            expected=tuple(e.expected), drill=e.drill,
        )  # fmt: skip
        return book.with_evacuation(new)
    known = book.evacuations.get(getattr(e, "evacuation_id", ""))
    if known is None or known.ended_at is not None:
        return book
    match e:
        case ev.EvacuationSpread(_, area) if area not in known.areas:
            return book.with_evacuation(replace(known, areas=(*known.areas, area)))
        case ev.PersonSeen(_, person_id, presence, person, point):
            return book.with_evacuation(replace(known, seen={**known.seen, person_id: Seen(presence, at, person, point)}))
        case ev.EvacuationEnded(_, person, role, reason):
            ended = replace(known, ended_at=at, ended_by=f"{person}, {role}" if role else person, end_reason=reason)
            return book.with_evacuation(ended)
    return book
