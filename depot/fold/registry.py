"""Who and what belongs to the depot: vehicles, packs, drivers, tokens, stations, feeders."""

from __future__ import annotations

from dataclasses import replace

from depot import events as ev
from depot.fold.changes import Applied
from depot.state import DepotState, StationChange


def _vehicle(state: DepotState, e: ev.VehicleRegistered, _: ev.Envelope) -> DepotState:
    return replace(state, vehicles={**state.vehicles, e.vehicle.vehicle_id: e.vehicle})


def _vehicle_removed(state: DepotState, e: ev.VehicleRemoved, _: ev.Envelope) -> DepotState:
    return replace(
        state,
        full_charges={name: at for name, at in state.full_charges.items() if name != e.vehicle_id},
        reference_tests={name: test for name, test in state.reference_tests.items() if name != e.vehicle_id},
        vehicles={k: v for k, v in state.vehicles.items() if k != e.vehicle_id},
        packs={k: p for k, p in state.packs.items() if k.vehicle_id != e.vehicle_id},
    )


def _pack(state: DepotState, e: ev.PackRegistered, _: ev.Envelope) -> DepotState:
    return replace(state, packs={**state.packs, e.pack.key: e.pack})


def _pack_removed(state: DepotState, e: ev.PackRemoved, _: ev.Envelope) -> DepotState:
    return replace(state, packs={k: p for k, p in state.packs.items() if k != e.pack})


def _driver(state: DepotState, e: ev.DriverRegistered, _: ev.Envelope) -> DepotState:
    return replace(state, drivers={**state.drivers, e.driver.driver_id: e.driver})


def _driver_removed(state: DepotState, e: ev.DriverRemoved, _: ev.Envelope) -> DepotState:
    return replace(state, drivers={k: d for k, d in state.drivers.items() if k != e.driver_id})


def _token_listed(state: DepotState, e: ev.IdTokenListed, _: ev.Envelope) -> DepotState:
    return replace(state, id_tokens={**state.id_tokens, e.token.key: e.token})


def _token_removed(state: DepotState, e: ev.IdTokenRemoved, _: ev.Envelope) -> DepotState:
    return replace(state, id_tokens={k: t for k, t in state.id_tokens.items() if k != e.key})


def _root_trusted(state: DepotState, e: ev.ContractRootTrusted, _: ev.Envelope) -> DepotState:
    return replace(state, contract_roots={**state.contract_roots, e.root.fingerprint: e.root})


def _root_distrusted(state: DepotState, e: ev.ContractRootDistrusted, _: ev.Envelope) -> DepotState:
    return replace(state, contract_roots={k: root for k, root in state.contract_roots.items() if k != e.fingerprint})


def _station_declared(state: DepotState, e: ev.StationDeclared, _: ev.Envelope) -> DepotState:
    return replace(state, declared_stations={**state.declared_stations, e.station.station_id: StationChange(e.station, e.over, e.key_hash)})


def _station_retired(state: DepotState, e: ev.StationRetired, _: ev.Envelope) -> DepotState:
    return replace(state, declared_stations={**state.declared_stations, e.station_id: StationChange(None, e.over)})


def _feeder_declared(state: DepotState, e: ev.FeederDeclared, _: ev.Envelope) -> DepotState:
    return replace(state, declared_feeders={**state.declared_feeders, e.feeder.feeder_id: e.feeder})


def _withdrawn(state: DepotState, e: ev.DeclarationWithdrawn, _: ev.Envelope) -> DepotState:
    return replace(
        state,
        declared_stations={k: d for k, d in state.declared_stations.items() if k != e.station_id},
        declared_feeders={k: d for k, d in state.declared_feeders.items() if k != e.feeder_id},
    )


APPLY: Applied = {
    ev.VehicleRegistered: _vehicle,
    ev.VehicleRemoved: _vehicle_removed,
    ev.PackRegistered: _pack,
    ev.PackRemoved: _pack_removed,
    ev.DriverRegistered: _driver,
    ev.DriverRemoved: _driver_removed,
    ev.StationDeclared: _station_declared,
    ev.StationRetired: _station_retired,
    ev.FeederDeclared: _feeder_declared,
    ev.DeclarationWithdrawn: _withdrawn,
    ev.IdTokenListed: _token_listed,
    ev.IdTokenRemoved: _token_removed,
    ev.ContractRootTrusted: _root_trusted,
    ev.ContractRootDistrusted: _root_distrusted,
}
