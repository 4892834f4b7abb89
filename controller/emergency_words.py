"""Facts of emergencies as lines of the timeline: what happened, in words that need no table. Pure."""

from __future__ import annotations

from datetime import datetime

from controller.response_steps import STEPS, StepName
from controller.safety_row import Row
from depot import events as ev
from depot.emergency import DrillState, StepState

KINDS = (
    ev.TripWorsened, ev.ShiftSet, ev.EvacuationBegun, ev.EvacuationSpread, ev.PersonSeen, ev.EvacuationEnded, ev.IncidentOpened,
    ev.ResponseStepChanged, ev.IncidentClosed, ev.DrillBegun, ev.DrillNotified, ev.DrillEnded,
)  # fmt: skip

_TONES = {StepState.CONFIRMED: "done", StepState.LATE: "done", StepState.ESCALATED: "alarm"}


def row_of(data: ev.Event, at: datetime) -> Row | None:
    """The line; None for a fact of another kind."""
    match data:
        case ev.TripWorsened(pack, _, text):
            return Row(at=at, title=f"{pack} got worse", detail=text, tone="alarm")
        case ev.ShiftSet(people):
            return Row(at=at, title=f"{len(people)} people on shift")
        case ev.IncidentOpened(incident_id, _, text, _, _, drill):
            title = f"{'Drill' if drill else 'Incident'} {incident_id} opened"
            return Row(at=at, title=title, detail=text, tone="" if drill else "alarm")
        case ev.IncidentClosed(incident_id, person, role, reason, digest):
            by = f"{person}, {role}" if role else person
            return Row(at=at, title=f"Incident {incident_id} closed", detail=f"{reason} (SHA-256 {digest[:16]}…)", tone="done", by=by)
        case ev.ResponseStepChanged(_, step, state, detail, took_s):
            known = next((name for name in StepName if name == step), None)
            title = STEPS[known].title if known is not None else step
            took = f" after {took_s:.1f} s" if took_s is not None else ""
            return Row(at=at, title=f"{title}: {state}{took}", detail=detail, tone=_TONES.get(state, ""))
        case ev.DrillBegun(drill_id, by):
            return Row(at=at, title=f"Drill {drill_id} begun", by=by)
        case ev.DrillNotified(_, title):
            return Row(at=at, title="People are told of the drill", detail=title)
        case ev.DrillEnded(drill_id, state):
            tone = "done" if state is DrillState.PASSED else "warn"
            return Row(at=at, title=f"Drill {drill_id} {state}", tone=tone)
    return _of_evacuation(data, at)


def _of_evacuation(data: ev.Event, at: datetime) -> Row | None:
    match data:
        case ev.EvacuationBegun(_, areas, reason, _, expected, by, drill):
            where = ", ".join(map(str, areas))
            title = f"{'Drill: evacuation' if drill else 'Evacuation'} of {where}, {len(expected)} people expected"
            return Row(at=at, title=title, detail=reason, tone="" if drill else "alarm", by=by)
        case ev.EvacuationSpread(_, area, reason):
            return Row(at=at, title=f"Evacuation of {area}, too", detail=reason, tone="alarm")
        case ev.PersonSeen(_, person_id, presence, by, point):
            return Row(at=at, title=f"Person {person_id}: {presence}", detail=point, by=by)
        case ev.EvacuationEnded(_, person, role, reason, not_seen):
            left = f", {len(not_seen)} not seen" if not_seen else ""
            by = f"{person}, {role}" if role else person
            return Row(at=at, title=f"Evacuation ended{left}", detail=reason, tone="warn" if not_seen else "done", by=by)
        case _:
            return None
