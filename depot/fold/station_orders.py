"""What a station was asked for and holds: files, reservations, lists, networks, displays, customers, swaps, tariffs."""

from __future__ import annotations

from dataclasses import replace

from depot import battery_swaps as bs
from depot import customer_information as ci
from depot import events as ev
from depot import files as fl
from depot import local_lists as ll
from depot import network_profiles as np
from depot import notes as no
from depot import reservations as rs
from depot import station_tariffs as stt
from depot import wanted as wt
from depot.fold.changes import Applied
from depot.state import DepotState


def _image(state: DepotState, e: ev.FirmwareAdded | ev.FirmwareRemoved, _: ev.Envelope) -> DepotState:
    if isinstance(e, ev.FirmwareAdded):
        return replace(state, files=fl.image_added(state.files, e.image))
    return replace(state, files=fl.image_removed(state.files, e.image_id))


def _transfer_ordered(state: DepotState, e: ev.TransferOrdered, envelope: ev.Envelope) -> DepotState:
    at = envelope.occurred_at
    transfer = fl.Transfer(
        e.number, e.kind, e.station_id, envelope.actor, at, at, image_id=e.image_id, version=e.version, not_before=e.not_before
    )
    return replace(state, files=fl.ordered(state.files, transfer))


def _publication(state: DepotState, e: ev.PublicationOrdered, envelope: ev.Envelope) -> DepotState:
    at = envelope.occurred_at
    transfer = fl.Transfer(
        e.number, fl.TransferKind.PUBLICATION, e.station_id, envelope.actor, at, at, image_id=e.image_id, version=e.version,
        checksum=e.checksum,
    )  # fmt: skip
    return replace(state, files=fl.ordered(state.files, transfer))


def _published_at(state: DepotState, e: ev.PublicationLocated, _: ev.Envelope) -> DepotState:
    return replace(state, files=fl.published_at(state.files, e.number, e.locations))


def _transfer_answered(state: DepotState, e: ev.TransferAnswered, envelope: ev.Envelope) -> DepotState:
    at = envelope.occurred_at
    return replace(state, files=fl.answered(state.files, e.number, at, state=e.state, detail=e.detail, file_name=e.file_name))


def _transfer_reported(state: DepotState, e: ev.TransferReported, envelope: ev.Envelope) -> DepotState:
    return replace(state, files=fl.reported(state.files, e.number, envelope.occurred_at, e.status))


def _file_received(state: DepotState, e: ev.TransferFileReceived, _: ev.Envelope) -> DepotState:
    return replace(state, files=fl.received(state.files, e.number, e.file))


def _reserved(state: DepotState, e: ev.ReservationAsked, envelope: ev.Envelope) -> DepotState:
    new = rs.Reservation(
        e.reservation_id,
        e.station_id,
        e.connector,
        e.id_token,
        e.group,
        e.expires_at,
        envelope.occurred_at,
        connector_type=e.connector_type,
    )
    following = state.next_reservation_id if not e.own else e.reservation_id % rs.MAX_ID + 1
    return replace(state, reservations=rs.asked(state.reservations, new), next_reservation_id=following)


def _reservation(state: DepotState, e: ev.ReservationChanged, _: ev.Envelope) -> DepotState:
    known = rs.changed(state.reservations, e.reservation_id, e.state, note=e.note, transaction_id=e.transaction_id)
    return replace(state, reservations=known)


def _local_list(state: DepotState, e: ev.LocalListUpdated, envelope: ev.Envelope) -> DepotState:
    before = state.local_lists.get(e.station_id) or ll.LocalList()
    after = before.after(e.version, e.update, e.listed, e.removed, envelope.occurred_at)
    return replace(state, local_lists={**state.local_lists, e.station_id: after})


def _network_slot(state: DepotState, e: ev.NetworkProfileSet, envelope: ev.Envelope) -> DepotState:
    before = state.networks.get(e.station_id) or np.StationNetwork()
    return replace(state, networks={**state.networks, e.station_id: before.with_slot(e.slot, e.profile, envelope.occurred_at)})


def _network_priority(state: DepotState, e: ev.NetworkPrioritySet, envelope: ev.Envelope) -> DepotState:
    before = state.networks.get(e.station_id) or np.StationNetwork()
    return replace(state, networks={**state.networks, e.station_id: before.with_priority(e.priority, envelope.occurred_at)})


def _wanted(state: DepotState, e: ev.WantedVariablesChanged, _: ev.Envelope) -> DepotState:
    return replace(state, wanted=wt.changed(state.wanted, wt.scope_key(e.scope, e.name), e.wanted, e.removed))


def _display(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    at, by = envelope.occurred_at, envelope.actor
    match e:
        case ev.DisplayMessageAsked():
            return replace(state, displays=state.displays.asked(e.station_id, e.message, at, by))
        case ev.DisplayMessageAnswered():
            return replace(state, displays=state.displays.answered(e.station_id, e.message_id, e.state, e.said))
        case ev.DisplayMessagesRequested():
            return replace(state, displays=state.displays.requested(e.station_id, e.request_id, at))
        case ev.DisplayMessagesReported():
            return replace(state, displays=state.displays.reported(e.report, at, f"station:{e.report.station_id}"))
    return state


def _customer_asked(state: DepotState, e: ev.CustomerInformationAsked, envelope: ev.Envelope) -> DepotState:
    new = ci.CustomerRequest(e.request_id, e.station_id, e.report, e.clear, e.about, envelope.occurred_at, envelope.actor)
    return replace(state, customers=state.customers.asked(new))


def _customer_changed(state: DepotState, e: ev.CustomerInformationChanged, _: ev.Envelope) -> DepotState:
    return replace(state, customers=state.customers.changed(e.request_id, e.state, said=e.said, note=e.note))


def _swap_asked(state: DepotState, e: ev.BatterySwapAsked, envelope: ev.Envelope) -> DepotState:
    return replace(state, swaps=state.swaps.with_asked(bs.SwapAsked(e.request_id, e.station_id, e.id_token, envelope.occurred_at)))


def _swap_answered(state: DepotState, e: ev.BatterySwapAnswered, _: ev.Envelope) -> DepotState:
    return replace(state, swaps=state.swaps.answered(e.request_id, e.state, e.note))


def _swapped(state: DepotState, e: ev.BatteriesSwapped, envelope: ev.Envelope) -> DepotState:
    return replace(state, swaps=state.swaps.with_event(bs.SwapEvent(e.station_id, envelope.occurred_at, e.swapped)))


def _tariff_set(state: DepotState, e: ev.StationTariffSet, envelope: ev.Envelope) -> DepotState:
    new = stt.TariffSet(e.evse_id, str(e.tariff.get("tariffId", "")), e.tariff, envelope.occurred_at, e.transaction)
    before = state.station_tariffs.get(e.station_id) or stt.StationTariffs()
    return replace(state, station_tariffs={**state.station_tariffs, e.station_id: before.having(new)})


def _tariffs_cleared(state: DepotState, e: ev.StationTariffsCleared, _: ev.Envelope) -> DepotState:
    before = state.station_tariffs.get(e.station_id) or stt.StationTariffs()
    return replace(state, station_tariffs={**state.station_tariffs, e.station_id: before.without(e.tariff_ids, e.evse_id)})


def _noted(state: DepotState, e: ev.StationNoted, envelope: ev.Envelope) -> DepotState:
    return replace(state, notes=(*state.notes, no.KeptNote(e.station_id, envelope.occurred_at, e.note))[-no.KEPT :])


APPLY: Applied = {
    ev.ReservationAsked: _reserved,
    ev.ReservationChanged: _reservation,
    ev.LocalListUpdated: _local_list,
    ev.NetworkProfileSet: _network_slot,
    ev.NetworkPrioritySet: _network_priority,
    ev.BatterySwapAsked: _swap_asked,
    ev.BatterySwapAnswered: _swap_answered,
    ev.BatteriesSwapped: _swapped,
    ev.StationTariffSet: _tariff_set,
    ev.StationTariffsCleared: _tariffs_cleared,
    ev.StationNoted: _noted,
    ev.WantedVariablesChanged: _wanted,
    ev.DisplayMessageAsked: _display,
    ev.DisplayMessageAnswered: _display,
    ev.DisplayMessagesRequested: _display,
    ev.DisplayMessagesReported: _display,
    ev.CustomerInformationAsked: _customer_asked,
    ev.CustomerInformationChanged: _customer_changed,
    ev.FirmwareAdded: _image,
    ev.FirmwareRemoved: _image,
    ev.TransferOrdered: _transfer_ordered,
    ev.PublicationOrdered: _publication,
    ev.PublicationLocated: _published_at,
    ev.TransferAnswered: _transfer_answered,
    ev.TransferReported: _transfer_reported,
    ev.TransferFileReceived: _file_received,
}
