"""What protects people and the depot: packs that are derated or tripped, alarms, second persons, isolation, emergencies."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from depot import alarms as al
from depot import emergency_facts as ef
from depot import events as ev
from depot import outputs as ou
from depot import security as se
from depot.fold.changes import Applied
from depot.state import Approval, DepotState, PackTrip


def _derated(state: DepotState, e: ev.PackDerated, _: ev.Envelope) -> DepotState:
    others = {k: v for k, v in state.derated.items() if k != e.pack}
    return replace(state, derated=others if e.share >= 1 else {**others, e.pack: e.share})


def _tripped(state: DepotState, e: ev.PackTripped, envelope: ev.Envelope) -> DepotState:
    if e.pack in state.tripped:
        return state
    return replace(state, tripped={**state.tripped, e.pack: PackTrip(e.cause, e.evidence, envelope.occurred_at)})


def _reset(state: DepotState, e: ev.PackReset, _: ev.Envelope) -> DepotState:
    return replace(state, tripped={k: v for k, v in state.tripped.items() if k != e.pack}, emergency=state.emergency.better(e.pack))


def alarms_after(alarms: al.Alarms, e: ev.Event, *, actor: str, at: datetime) -> al.Alarms:
    """One step of the alarms' life; the same for what is journaled and for what still waits to be."""
    match e:
        case ev.AlarmRaised():
            return al.raised(alarms, al.Alarm(e.key, e.kind, e.subject, e.title, e.action, e.priority, at))
        case ev.AlarmCleared():
            return al.cleared(alarms, e.key, at)
        case ev.AlarmAcknowledged():
            return al.acknowledged(alarms, e.key, actor, at)
        case ev.AlarmShelved():
            return al.shelved(alarms, e.key, al.Shelf(actor, e.reason, at, e.until))
        case ev.AlarmUnshelved():
            return al.unshelved(alarms, e.key)
    return alarms


def _alarm(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    return replace(state, alarms=alarms_after(state.alarms, e, actor=envelope.actor, at=envelope.occurred_at))


def _approval_asked(state: DepotState, e: ev.ApprovalRequested, envelope: ev.Envelope) -> DepotState:
    approval = Approval(e.command_id, e.kind, e.target, e.reason, e.data, envelope.actor, envelope.occurred_at, e.until)
    return replace(state, approvals={**state.approvals, e.command_id: approval})


def _approval_granted(state: DepotState, e: ev.ApprovalGranted, envelope: ev.Envelope) -> DepotState:
    known = state.approvals.get(e.command_id)
    if known is None:
        return state
    return replace(state, approvals={**state.approvals, e.command_id: replace(known, granted_by=envelope.actor)})


def _approval_over(
    state: DepotState, e: ev.ApprovalRefused | ev.ApprovalCarriedOut | ev.ApprovalExpired | ev.CommandFinished, _: ev.Envelope
) -> DepotState:
    if e.command_id not in state.approvals:
        return state
    return replace(state, approvals={k: v for k, v in state.approvals.items() if k != e.command_id})


def _area_isolated(state: DepotState, e: ev.AreaIsolated, envelope: ev.Envelope) -> DepotState:
    return replace(state, outputs=state.outputs.with_isolated(ou.Isolated(e.area, envelope.occurred_at, e.origin, e.reason, e.by)))


def _area_reset(state: DepotState, e: ev.AreaReset, _: ev.Envelope) -> DepotState:
    return replace(state, outputs=state.outputs.without(e.area))


def _output_tested(state: DepotState, e: ev.OutputTested, envelope: ev.Envelope) -> DepotState:
    return replace(state, outputs=state.outputs.with_test(e.output_id, ou.OutputTest(envelope.occurred_at, e.passed, e.result, e.by)))


def _emergency(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    return replace(state, emergency=ef.after(state.emergency, e, envelope.occurred_at, envelope.actor))


def _security(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    return replace(state, security=se.after(state.security, e, envelope))


APPLY: Applied = {
    ev.PackDerated: _derated,
    ev.PackTripped: _tripped,
    ev.PackReset: _reset,
    ev.AlarmRaised: _alarm,
    ev.AlarmCleared: _alarm,
    ev.AlarmAcknowledged: _alarm,
    ev.AlarmShelved: _alarm,
    ev.AlarmUnshelved: _alarm,
    ev.ApprovalRequested: _approval_asked,
    ev.ApprovalGranted: _approval_granted,
    ev.ApprovalRefused: _approval_over,
    ev.ApprovalCarriedOut: _approval_over,
    ev.ApprovalExpired: _approval_over,
    ev.CommandFinished: _approval_over,
    ev.AreaIsolated: _area_isolated,
    ev.AreaReset: _area_reset,
    ev.OutputTested: _output_tested,
    **dict.fromkeys(se.FACTS, _security),
    **dict.fromkeys(ef.FACTS, _emergency),
}
