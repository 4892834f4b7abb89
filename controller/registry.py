"""The registry in the core: vehicles, packs, drivers, and the site as people changed it, kept as journaled facts.

    ChangeRegistry, ChangeSite --check the whole--> facts            all of a command or nothing
    facts --> FleetView, DriversView, SiteDeclarationView             for pages, API and imports

Vehicles, packs and drivers count at once. Stations and feeders count from the core's next start on (decision 10): the
limiter's picture of the wires never changes under its feet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from msgspec import Struct

from bms_bridge.chemistry import Chemistry
from controller.names import NameBook
from controller.registry_view import DriversView, FleetView, SiteDeclarationView, drivers_view, fleet_view, site_view
from controller.room import Carrier, Viewer
from controller.site_changes import check, fingerprint, overlay
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.fleet import MAX_ENTRIES, shared_tags
from depot.registry import DepotSpec
from depot.state import DepotState
from depot.values import DepotError, InvalidValue

CHEMISTRIES = frozenset(chemistry.value for chemistry in Chemistry)


class Registry:
    """The room. ``base``: the site by the settings file; the yard's spec is that with the changes of the last start."""

    def __init__(self, yard: Yard, *, base: DepotSpec, names: NameBook) -> None:
        self.yard = yard
        self.base = base
        self.names = names
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.ChangeRegistry: self._change, cmd.ChangeSite: self._change_site}
        self.views: Mapping[type[Struct], Viewer] = {FleetView: self._fleet, DriversView: self._drivers, SiteDeclarationView: self._site}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    # -- commands -----------------------------------------------------------------------------------------------

    async def _change(self, command: cmd.ChangeRegistry, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        facts = changes(self.yard.state, self.yard.spec, command)
        names = {d: name for d, name in command.names.items() if d in {driver.driver_id for driver in command.drivers}}
        if names:
            self.names.put(names)
        await self._append(cause, facts)
        self.names.forget(command.remove_drivers)
        renamed = sum(1 for driver in command.drivers if driver.driver_id in names)
        if not facts and not renamed:
            return CommandStatus.DONE, "nothing was to be changed"
        return CommandStatus.DONE, f"done: {command.target}"

    async def _change_site(self, command: cmd.ChangeSite, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        state = self.yard.state
        check(self.base, state.declared_stations, state.declared_feeders, command)
        of_file = {station.station_id: station for station in self.base.stations}
        gone = [*command.retire_stations, *(name for name in command.withdraw_stations if name not in of_file)]
        here = [name for name in gone if self.yard.connected(name)]
        if here:
            raise DepotError(f"{', '.join(here)} is connected: switch it off and disconnect it from the supply first")
        facts: list[ev.Event] = [ev.DeclarationWithdrawn(station_id=name) for name in command.withdraw_stations]
        facts += [ev.DeclarationWithdrawn(feeder_id=name) for name in command.withdraw_feeders]
        for station in command.stations:
            known = state.declared_stations.get(station.station_id)
            key_hash = command.key_hashes.get(station.station_id) or (known.key_hash if known is not None else "")
            over = of_file.get(station.station_id)
            facts.append(ev.StationDeclared(station, fingerprint(over), "" if over is not None else key_hash))
        for name in command.retire_stations:
            in_file = name in of_file
            facts.append(ev.StationRetired(name, fingerprint(of_file[name])) if in_file else ev.DeclarationWithdrawn(station_id=name))
        facts += [ev.FeederDeclared(feeder) for feeder in command.feeders]
        await self._append(cause, facts)
        return CommandStatus.DONE, f"recorded: {command.target}; takes effect when the controller is started again"

    async def _append(self, cause: ev.Envelope, facts: Iterable[ev.Event]) -> None:
        now = self.yard.clock.now()
        new = [ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id) for fact in facts]
        if new:
            await self.yard.journal.append(new)

    # -- views --------------------------------------------------------------------------------------------------

    async def _fleet(self, args: Mapping[str, str]) -> FleetView:
        return fleet_view(self.yard)

    async def _drivers(self, args: Mapping[str, str]) -> DriversView:
        return drivers_view(self.yard, self.names.name_of)

    async def _site(self, args: Mapping[str, str]) -> SiteDeclarationView:
        state = self.yard.state
        return site_view(self.yard, self.base, overlay(self.base, state.declared_stations, state.declared_feeders))


def changes(state: DepotState, spec: DepotSpec, command: cmd.ChangeRegistry) -> list[ev.Event]:
    """The facts of a command: only what differs from what is registered. Raises :class:`InvalidValue` with all complaints."""
    complaints: list[str] = []
    vehicles = {k: v for k, v in state.vehicles.items() if k not in command.remove_vehicles}
    vehicles |= {vehicle.vehicle_id: vehicle for vehicle in command.vehicles}
    drivers = {k: d for k, d in state.drivers.items() if k not in command.remove_drivers}
    drivers |= {driver.driver_id: driver for driver in command.drivers}
    here = {visit.announced.vehicle_id: visit.connector for visit in state.visits.values() if visit.present}
    for vehicle in command.vehicles:
        if vehicle.connector is not None and vehicle.connector not in spec.connectors:
            complaints.append(f"vehicle {vehicle.vehicle_id}: there is no connector {vehicle.connector}")
    for pack in command.packs:
        if pack.key.vehicle_id not in vehicles:
            complaints.append(f"pack {pack.key}: vehicle {pack.key.vehicle_id} is not registered; register it first")
        if pack.chemistry not in CHEMISTRIES:
            complaints.append(f"pack {pack.key}: chemistry {pack.chemistry!r} is not known; write {', '.join(sorted(CHEMISTRIES))}")
    for vehicle_id in command.remove_vehicles:
        if vehicle_id in here:
            complaints.append(f"vehicle {vehicle_id} is plugged in at {here[vehicle_id]}; remove it when it has left")
        complaints += _latched(state, vehicle_id)
    for key in command.remove_packs:
        complaints += [f"pack {key} is tripped; a safety officer resets it first"] if key in state.tripped else []
    for kind, tags in (
        ("vehicles", {k: (k, *v.id_tags) for k, v in vehicles.items()}),
        ("drivers", {k: d.id_tags for k, d in drivers.items()}),
    ):
        complaints += [f"{kind} {one} and {other} have the same tag" for one, other in shared_tags(tags)]
    packs = state.packs.keys() | {pack.key for pack in command.packs}
    for kind, many in (("vehicles", vehicles), ("packs", packs), ("drivers", drivers)):
        if len(many) > MAX_ENTRIES:
            complaints.append(f"a depot registers at most {MAX_ENTRIES} {kind}")
    if complaints:
        raise InvalidValue("; ".join(complaints))
    facts: list[ev.Event] = [ev.PackRemoved(key) for key in command.remove_packs if key in state.packs]
    facts += [ev.VehicleRemoved(name) for name in command.remove_vehicles if name in state.vehicles]
    facts += [ev.DriverRemoved(name) for name in command.remove_drivers if name in state.drivers]
    facts += [ev.VehicleRegistered(v) for v in command.vehicles if state.vehicles.get(v.vehicle_id) != v]
    facts += [ev.PackRegistered(p) for p in command.packs if state.packs.get(p.key) != p]
    facts += [ev.DriverRegistered(d) for d in command.drivers if state.drivers.get(d.driver_id) != d]
    return facts


def _latched(state: DepotState, vehicle_id: str) -> list[str]:
    return [f"pack {key} is tripped; a safety officer resets it first" for key in state.tripped if key.vehicle_id == vehicle_id]
