"""Builds the view of incidents from the room. Pure reading: nothing here changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.incident_view import IncidentRow, IncidentsView, StepRow
from controller.response_steps import STEPS, StepName
from depot.emergency import Incident, StepState

if TYPE_CHECKING:
    from controller.incident_room import IncidentRoom

CLOSED_SHOWN = 100


def rows_of(room: IncidentRoom) -> IncidentsView:
    """All that are open, the newest that are closed."""
    known = sorted(room.desk.book.incidents.values(), key=lambda incident: incident.opened_at, reverse=True)
    return IncidentsView(
        at=room.desk.yard.clock.now(),
        open=[_row(room, incident) for incident in known if incident.closed_at is None],
        closed=[_row(room, incident) for incident in known if incident.closed_at is not None][:CLOSED_SHOWN],
        unwritten=room.unwritten,
        kept_days=room.keep.days,
    )


def _row(room: IncidentRoom, incident: Incident) -> IncidentRow:
    return IncidentRow(
        incident_id=incident.incident_id,
        opened_at=incident.opened_at,
        closed_at=incident.closed_at,
        closed_by=incident.closed_by,
        close_reason=incident.close_reason,
        cause=incident.cause,
        text=incident.text,
        vehicle_id=incident.pack.vehicle_id if incident.pack is not None else "",
        pack_id=incident.pack.pack_id if incident.pack is not None else "",
        area=str(incident.area) if incident.area is not None else "",
        drill=incident.drill,
        steps=_steps(incident),
        against_close=room.against_close(incident),
        digest=incident.digest,
        file=incident.incident_id in room.present,
    )


def _steps(incident: Incident) -> list[StepRow]:
    """Those that the journal knows of, in their order."""
    found = []
    for name in StepName:
        told = incident.steps.get(name)
        if told is not None:
            kind = STEPS[name]
            found.append(
                StepRow(
                    step=name.value,
                    title=kind.title,
                    state=told.state.value,
                    detail=told.detail,
                    limit_s=kind.limit_s,
                    then=kind.then if told.state is StepState.ESCALATED else "",
                    at=told.at,
                    took_s=told.took_s,
                )
            )
    return found
