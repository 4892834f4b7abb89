"""What follows a trip beside the stop, put together: the response's steps, evacuation, incident files, drills.

Safety --hooks--> ResponseRoom --> EvacuationRoom, IncidentRoom, Outputs (latched isolations)      DrillRoom beside them
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta

from uuid6 import uuid7

from bms_bridge.verdicts import Cause
from controller.alarm_desk import AlarmDesk
from controller.core import Core
from controller.drill import DAYS, Schedule
from controller.drill_room import DrillParts, DrillRoom
from controller.emergency_desk import EmergencyDesk
from controller.evacuation_room import EvacuationRoom
from controller.evacuation_view import BayToClear
from controller.hazards import Hazards
from controller.incident_room import IncidentRoom
from controller.incident_signals import Signals
from controller.journal import SqlJournal
from controller.names import NameBook
from controller.neighbours import Neighbours
from controller.notify.ledger import ledger_file
from controller.output_sight import FRESH_S
from controller.outputs import Outputs
from controller.reached import Reached
from controller.response import response_of
from controller.response_room import ResponseRoom
from controller.response_sight import OutputsOf
from controller.safety import Safety
from controller.settings import Settings
from depot import commands as cmd
from depot.outputs import Area, OutputSpec

TESTER = "drill"
"""Who tests outputs in a drill, in the audit trail."""


def neighbours_of(settings: Settings) -> Neighbours | None:
    """Bays beside each other by the layout; None where the settings say nothing of it."""
    layout = settings.to_layout()
    if layout is None:
        return None
    from controller.layout_neighbours import ByLayout

    return ByLayout(layout)


def add_emergency(
    core: Core,
    settings: Settings,
    *,
    safety: Safety,
    outputs: Outputs | None,
    hazards: Hazards | None,
    alarms: AlarmDesk,
    journal: SqlJournal,
    stack: ExitStack,
) -> None:
    """Let response, evacuation, incidents and drills take part."""
    depot_id, folder = settings.depot.id, settings.storage.path
    desk = EmergencyDesk(core.yard)
    names = NameBook(folder, depot_id, who="person")
    signals = Signals()
    safety.on_sample.append(signals.heard)
    keep = timedelta(days=settings.emergency.incident_keep_days)
    incidents = IncidentRoom(desk, settings.incidents, signals, names, tripped=lambda: safety.guard.tripped, keep=keep)
    stack.callback(journal.subscribe(incidents.landed))
    reached = Reached(ledger_file(settings.database, depot_id) if settings.notify is not None else None, depot_id)

    def clear() -> Sequence[BayToClear]:
        return responses.clear()

    def by_hand(area: Area, text: str) -> str:
        return incidents.open(cause="evacuation", text=text, area=area)

    evacuations = EvacuationRoom(desk, names, minutes=settings.emergency.evacuation_min, clear=clear, open_incident=by_hand)
    safety.against.append(evacuations.against_reset)
    if outputs is not None:
        outputs.alarmed = evacuations.areas
        evacuations.on_begin.append(outputs.look)
    speed = max(1.0, settings.clock.speed)
    responses = ResponseRoom(
        desk,
        safety,
        evacuations,
        open_incident=incidents.open,
        reached=reached,
        outputs=OutputsOf(outputs) if outputs is not None else None,
        neighbours=neighbours_of(settings),
        cut_off=outputs.cut_off if outputs is not None else lambda _area, _why: None,
        fresh_s=FRESH_S * speed,
    )

    def built() -> Sequence[OutputSpec]:
        return outputs.parts.outputs if outputs is not None else ()

    async def test(output_id: str) -> cmd.CommandResult:
        return await core.orders.execute(cmd.TestOutput(command_id=str(uuid7()), actor=TESTER, reason="drill", output_id=output_id))

    drill = settings.drill
    schedule = None
    if drill is not None:
        remind = timedelta(days=drill.remind_days)
        schedule = Schedule(DAYS.index(drill.weekday), drill.clock_time, drill.contactors, drill.roll_call, remind)
    drills = DrillRoom(
        desk,
        core.loop,
        evacuations,
        incidents,
        DrillParts(
            latches=folder / f"{depot_id}-drill.latches",
            outputs=built,
            test=test,
            telemetry=lambda: safety.link.up if safety.parts.broker is not None else None,
            tripped=lambda: safety.guard.tripped,
            reached=reached,
            schedule=schedule,
        ),
    )

    def in_area(area: Area, cause: Cause, text: str) -> None:
        """A detector tells of danger where no battery is known."""
        response = response_of(cause.value, {})
        if response.isolates and outputs is not None:
            outputs.cut_off(area, text)
        if response.evacuates:
            evacuations.begin(incidents.open(cause=cause.value, text=text, area=area), area, text)

    if hazards is not None:
        hazards.on_area.append(in_area)
    safety.on_trip.append(drills.tripped)
    core.orders.urgent.update(evacuations.urgent)
    alarms.sources += [evacuations, responses, incidents, drills]
    for room in (responses, evacuations, incidents, drills):
        core.add(room)
