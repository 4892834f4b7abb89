"""Sessions that somebody pays for: admitted, read, warned, full, gone, billed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from depot import events as ev
from depot.fold.changes import Applied
from depot.state import REFUSALS_KEPT, DepotState, PaidPhase, PaidReading, PaidSession, PhaseChange, RefusedStart, UnaskedSession
from depot.values import ConnectorId


def _admitted(state: DepotState, e: ev.SessionAdmitted, _: ev.Envelope) -> DepotState:
    running = next((t for t in state.transactions.values() if t.session_id == e.session_id), None)
    if running is None:
        return state
    paid = PaidSession(
        e, running.transaction_id, running.connector, running.started_at,
        begun_at=running.began_at, meter_start_wh=running.meter_start_wh,
    )  # fmt: skip
    return replace(state, paid={**state.paid, e.session_id: paid})


def _start_refused(state: DepotState, e: ev.StartRefused, envelope: ev.Envelope) -> DepotState:
    return replace(state, refused_starts=(*state.refused_starts, RefusedStart(envelope.occurred_at, e))[-REFUSALS_KEPT:])


def _unasked(state: DepotState, e: ev.SessionUnasked, envelope: ev.Envelope) -> DepotState:
    told = (*state.unasked_sessions, UnaskedSession(envelope.occurred_at, e))[-REFUSALS_KEPT:]
    return replace(_paid(state, e.session_id, unasked=e), unasked_sessions=told)


def _session_moved(state: DepotState, e: ev.SessionMoved, _: ev.Envelope) -> DepotState:
    known = state.paid.get(e.session_id)
    if known is None:
        return state
    terms = replace(known.terms, mandate_id=e.mandate_id, most_wh=e.most_wh, reserved_paise=e.reserved_paise)
    return _paid(state, e.session_id, terms=terms, warned=None)


def _session_warned(state: DepotState, e: ev.SessionWarned, _: ev.Envelope) -> DepotState:
    return _paid(state, e.session_id, warned=e)


def _stop_asked(state: DepotState, e: ev.SessionStopAsked, _: ev.Envelope) -> DepotState:
    return _paid(state, e.session_id, stopping=e)


def _paid(state: DepotState, session_id: str, **changes: Any) -> DepotState:
    known = state.paid.get(session_id)
    return state if known is None else replace(state, paid={**state.paid, session_id: replace(known, **changes)})


def _session_read(state: DepotState, e: ev.SessionRead, envelope: ev.Envelope) -> DepotState:
    paid = state.paid.get(e.session_id)
    if paid is None or paid.stopped_at is not None:
        return state
    read = replace(paid, readings=(*paid.readings, PaidReading(envelope.occurred_at, e.register_wh)))
    return replace(state, paid={**state.paid, e.session_id: read})


def phases(state: DepotState, key: ConnectorId, at: datetime) -> DepotState:
    """What the vehicles of paid sessions on a connector do now."""
    for session_id, paid in state.paid.items():
        if paid.connector != key or paid.phase is PaidPhase.GONE:
            continue
        phase = _phase(state, paid)
        if phase is not paid.phase:
            changed = replace(paid, phases=(*paid.phases, PhaseChange(at, phase)))
            state = replace(state, paid={**state.paid, session_id: changed})
    return state


def _phase(state: DepotState, paid: PaidSession) -> PaidPhase:
    """A vehicle that is full stays so until it charges again, whatever is kept from it meanwhile."""
    facts = state.connector(paid.connector)
    if paid.stopped_at is not None:
        gone = facts.status in (ev.ConnectorStatus.AVAILABLE, ev.ConnectorStatus.RESERVED) or facts.transaction_id is not None
        return PaidPhase.GONE if gone else paid.phase
    if facts.transaction_id != paid.transaction_id:
        return paid.phase
    if facts.status is ev.ConnectorStatus.CHARGING:
        return PaidPhase.CHARGING
    kept = facts.grant is not None and facts.grant.level_w <= 0
    if paid.phase is PaidPhase.FULL or facts.status not in (ev.ConnectorStatus.SUSPENDED_EV, ev.ConnectorStatus.SUSPENDED_EVSE):
        return paid.phase
    return PaidPhase.FULL if facts.status is ev.ConnectorStatus.SUSPENDED_EV and not kept else PaidPhase.HELD


def _billed(state: DepotState, e: ev.SessionBilled, _: ev.Envelope) -> DepotState:
    return replace(state, paid={k: v for k, v in state.paid.items() if k != e.session_id})


APPLY: Applied = {
    ev.SessionAdmitted: _admitted,
    ev.StartRefused: _start_refused,
    ev.SessionUnasked: _unasked,
    ev.SessionMoved: _session_moved,
    ev.SessionWarned: _session_warned,
    ev.SessionStopAsked: _stop_asked,
    ev.SessionBilled: _billed,
    ev.SessionRead: _session_read,
}
