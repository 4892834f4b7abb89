"""What stations, connectors and transactions are, by what they tell and by what they were given."""

from __future__ import annotations

from dataclasses import replace

from depot import events as ev
from depot import smart_charging as sc
from depot.fold.changes import Applied, with_connector, with_station, with_visit
from depot.fold.paid_sessions import phases
from depot.state import OWN_STAY, DepotState, Grant, Transaction
from depot.values import ConnectorId


def _restored(state: DepotState, e: ev.BackupRestored, _: ev.Envelope) -> DepotState:
    """What was lost may have changed all that a charger holds or is: the worst is taken until it has shown itself. What
    waited for a second person's word is asked again."""
    unproven = {ev.TrustLevel.OBEYS: ev.TrustLevel.UNPROVEN}
    return replace(
        state,
        next_transaction_id=max(state.next_transaction_id, e.next_transaction_id),
        connectors={
            key: replace(
                facts,
                status=ev.ConnectorStatus.UNKNOWN,
                status_since=None,
                grant=None,
                default_w=None,
                trust=unproven.get(facts.trust, facts.trust),
            )
            for key, facts in state.connectors.items()
        },
        stations={key: replace(facts, probe=None) for key, facts in state.stations.items()},
        utility=None if state.utility is None else replace(state.utility, beat_at=None),
        approvals={},
        local_lists={},
    )


def _booted(state: DepotState, e: ev.StationBooted, _: ev.Envelope) -> DepotState:
    state = replace(state, smart_charging=sc.restarted(state.smart_charging, e.station_id))
    return with_station(state, e.station_id, boot=e, quarantined=False)


def _quarantined(state: DepotState, e: ev.StationQuarantined, _: ev.Envelope) -> DepotState:
    return with_station(state, e.station_id, quarantined=True, remote=e.remote)


def _probed(state: DepotState, e: ev.StationProbed, _: ev.Envelope) -> DepotState:
    return with_station(state, e.station_id, probe=e)


def _status(state: DepotState, e: ev.ConnectorStatusChanged, envelope: ev.Envelope) -> DepotState:
    state = with_connector(state, e.connector, status=e.status, status_since=envelope.occurred_at, error_code=e.error_code, detail=e.detail)
    state = phases(state, e.connector, envelope.occurred_at)
    if e.status.in_transaction and state.transaction_on(e.connector) is None:
        belated = state.open_on(e.connector)
        if belated:  # it was not over after all
            return with_connector(state, e.connector, transaction_id=belated[-1].transaction_id)
    return state


def _station_status(state: DepotState, e: ev.StationStatusChanged, _: ev.Envelope) -> DepotState:
    return with_station(state, e.station_id, status=e.status, error_code=e.error_code, detail=e.detail)


def _trust(state: DepotState, e: ev.ConnectorTrustChanged, _: ev.Envelope) -> DepotState:
    return with_connector(state, e.connector, trust=e.trust, trust_factor=e.factor)


def _compared(state: DepotState, e: ev.ScheduleCompared, _: ev.Envelope) -> DepotState:
    return with_connector(state, e.connector, schedule_differs="" if e.agrees else e.detail or "it differs")


def _availability(state: DepotState, e: ev.ConnectorAvailabilitySet, _: ev.Envelope) -> DepotState:
    isolated_by = None if e.operative else state.connector(e.connector).isolated_by
    reason = "" if e.operative else e.reason
    return with_connector(state, e.connector, operative=e.operative, inoperative_reason=reason, isolated_by=isolated_by)


def _isolated(state: DepotState, e: ev.ConnectorIsolated, _: ev.Envelope) -> DepotState:
    return with_connector(state, e.connector, operative=False, inoperative_reason=f"{e.pack} is tripped", isolated_by=e.pack)


def _default(state: DepotState, e: ev.DefaultInstalled, _: ev.Envelope) -> DepotState:
    return with_connector(state, e.connector, default_w=e.level_w)


def _granted(state: DepotState, e: ev.SetpointGranted, envelope: ev.Envelope) -> DepotState:
    return phases(with_connector(state, e.connector, grant=Grant(e.level_w, e.until)), e.connector, envelope.occurred_at)


def _lowered(state: DepotState, e: ev.SetpointLowered, envelope: ev.Envelope) -> DepotState:
    return phases(with_connector(state, e.connector, grant=Grant(e.level_w, e.until)), e.connector, envelope.occurred_at)


def _started(state: DepotState, e: ev.TransactionStarted, envelope: ev.Envelope) -> DepotState:
    transaction = Transaction(
        e.transaction_id, e.session_id, e.connector, e.id_tag, envelope.occurred_at, envelope.reported_at, e.meter_start_wh, e.visit_id
    )
    state = replace(
        state,
        next_transaction_id=max(state.next_transaction_id, e.transaction_id + 1),
        transactions={**state.transactions, e.transaction_id: transaction},
    )
    visit = state.visits.get(e.visit_id or "")
    if visit is not None:
        state = with_visit(state, e.visit_id, sessions=visit.sessions + 1)
    if e.belated:
        return state
    return phases(with_connector(state, e.connector, transaction_id=e.transaction_id), e.connector, envelope.occurred_at)


def _stopped(state: DepotState, e: ev.TransactionStopped, envelope: ev.Envelope) -> DepotState:
    transaction = state.transactions.get(e.transaction_id)
    if transaction is None:
        return state
    state = replace(state, transactions={k: v for k, v in state.transactions.items() if k != e.transaction_id})
    visit = state.visits.get(transaction.visit_id or "")
    if visit is not None:
        energy_wh = max(0, e.meter_stop_wh - transaction.meter_start_wh)
        state = with_visit(state, visit.visit_id, delivered_wh=visit.delivered_wh + energy_wh)
    if state.connector(transaction.connector).transaction_id == e.transaction_id:
        state = with_connector(state, transaction.connector, transaction_id=None, grant=None)
        state = _word_over(state, transaction.connector)
        state = _tx_profiles_ended(state, transaction.connector)
    paid = state.paid.get(transaction.session_id)
    if paid is not None:
        energy_wh = max(0, e.meter_stop_wh - transaction.meter_start_wh)
        ended = replace(
            paid, energy_wh=energy_wh, stopped_at=envelope.occurred_at, estimated=e.estimated, meter_stop_wh=e.meter_stop_wh,
            ended_at=envelope.reported_at or envelope.occurred_at,
        )  # fmt: skip
        state = replace(state, paid={**state.paid, transaction.session_id: ended})
        state = phases(state, transaction.connector, envelope.occurred_at)
    return state


def _word_over(state: DepotState, key: ConnectorId) -> DepotState:
    """The vehicle's transaction is over, and with it what the vehicle said of itself."""
    visits = {k: v for k, v in state.visits.items() if not (k.startswith(OWN_STAY) and v.connector == key)}
    return replace(
        state, smart_charging=sc.gone(state.smart_charging, key), visits=state.visits if len(visits) == len(state.visits) else visits
    )


def _tx_profiles_ended(state: DepotState, key: ConnectorId) -> DepotState:
    """A TxProfile ends with its transaction (1.6 §3.13.1)."""
    station = state.stations.get(key.station_id)
    if station is None or not station.by_hand:
        return state
    left = tuple(p for p in station.by_hand if not (p.purpose == "TxProfile" and p.number == key.connector))
    return state if left == station.by_hand else with_station(state, key.station_id, by_hand=left)


def _set_by_hand(state: DepotState, e: ev.ProfileSetByHand, _: ev.Envelope) -> DepotState:
    known = state.stations.get(e.station_id)
    others = () if known is None else tuple(p for p in known.by_hand if p.profile_id != e.profile_id)
    return with_station(state, e.station_id, by_hand=(*others, e))


def _hand_cleared(state: DepotState, e: ev.HandProfilesCleared, _: ev.Envelope) -> DepotState:
    known = state.stations.get(e.station_id)
    if known is None:
        return state
    gone = [p for p in known.by_hand if (p.profile_id == e.profile_id if e.profile_id else e.number in (0, p.number))]
    return with_station(state, e.station_id, by_hand=tuple(p for p in known.by_hand if p not in gone))


def _station_admitted(state: DepotState, e: ev.StationAdmitted, _: ev.Envelope) -> DepotState:
    return with_station(state, e.station_id, registration=e.registration, quarantined=False)


def _item_limits(state: DepotState, e: ev.StationItemLimitsSet, _: ev.Envelope) -> DepotState:
    return with_station(state, e.station_id, item_limits=e.limits)


APPLY: Applied = {
    ev.BackupRestored: _restored,
    ev.StationBooted: _booted,
    ev.StationQuarantined: _quarantined,
    ev.StationProbed: _probed,
    ev.ConnectorStatusChanged: _status,
    ev.StationStatusChanged: _station_status,
    ev.ConnectorTrustChanged: _trust,
    ev.ScheduleCompared: _compared,
    ev.ConnectorAvailabilitySet: _availability,
    ev.ConnectorIsolated: _isolated,
    ev.DefaultInstalled: _default,
    ev.TransactionStarted: _started,
    ev.TransactionStopped: _stopped,
    ev.SetpointGranted: _granted,
    ev.SetpointLowered: _lowered,
    ev.StationAdmitted: _station_admitted,
    ev.StationItemLimitsSet: _item_limits,
    ev.ProfileSetByHand: _set_by_hand,
    ev.HandProfilesCleared: _hand_cleared,
}
