"""What the registry's pages show: vehicles and packs, drivers, and the site as built, in effect now and from the next start on.

Shapes and their pure builders. Asked for over the link by name; each is at most as long as a depot's registry may be
(``depot.fleet.MAX_ENTRIES``), which fits in one line.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from controller.defaults import commissioning_notes
from controller.site_changes import Site, cautions
from controller.views_tiles import label
from controller.yard import Yard
from depot.fleet import Pack, Vehicle
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec


class Place(Struct, frozen=True, kw_only=True):
    """A connector at which a vehicle may stand."""

    connector: str
    label: str
    bay_id: str
    current: str
    rated_w: int
    feeder_id: str


class VehicleRow(Struct, frozen=True, kw_only=True):
    """A registered vehicle. ``where``: the connector at which it is plugged in now; ``leaves_at``: its next known departure."""

    vehicle: Vehicle
    packs: list[Pack] = []
    where: str | None = None
    leaves_at: datetime | None = None


class FleetView(Struct, frozen=True, kw_only=True):
    """All registered vehicles with their packs, and the places of the site."""

    at: datetime
    timezone: str
    vehicles: list[VehicleRow]
    places: list[Place]


class DriverRow(Struct, frozen=True, kw_only=True):
    """``name`` is personal data: for those who keep the registry."""

    driver_id: str
    id_tags: list[str]
    name: str = ""


class DriversView(Struct, frozen=True, kw_only=True):
    drivers: list[DriverRow]


class StationRow(Struct, frozen=True, kw_only=True):
    """A station: ``now`` in effect (None: not yet), ``next`` from the core's next start on (None: then gone).
    ``changed``: a person's word stands beside the file's."""

    station_id: str
    now: StationSpec | None
    next: StationSpec | None
    connected: bool
    changed: bool
    in_file: bool


class FeederRow(Struct, frozen=True, kw_only=True):
    feeder_id: str
    now: FeederSpec
    next: FeederSpec
    file_rating_w: int
    changed: bool


class SiteDeclarationView(Struct, frozen=True, kw_only=True):
    """The site as built. ``pending``: something takes effect at the next start. ``cautions``: in which respects the limiter
    will count less than now; ``notes``: the commissioning check's word on the next start; ``left_out``: changes that no
    longer fit the settings file and are not applied."""

    stations: list[StationRow]
    feeders: list[FeederRow]
    pending: bool
    cautions: list[str]
    notes: list[str]
    left_out: list[str]


def places(yard: Yard) -> list[Place]:
    """Every connector in effect."""
    bays = {station.station_id: station.bay_id for station in yard.spec.stations}
    return [
        Place(
            connector=str(key),
            label=label(yard, key),
            bay_id=bays[key.station_id],
            current=spec.current.value,
            rated_w=spec.rated_w,
            feeder_id=yard.spec.feeder_of[key],
        )
        for key, spec in yard.spec.connectors.items()
    ]


def fleet_view(yard: Yard) -> FleetView:
    """Vehicles in the order of their names."""
    state, now = yard.state, yard.clock.now()
    where = {visit.announced.vehicle_id: str(visit.connector) for visit in state.visits.values() if visit.present}
    leaves: dict[str, datetime] = {}
    for visit in state.visits.values():
        at = visit.announced.depart_at
        if at > now:
            leaves[visit.announced.vehicle_id] = min(at, leaves.get(visit.announced.vehicle_id, at))
    packs: dict[str, list[Pack]] = {}
    for key in sorted(state.packs):
        packs.setdefault(key.vehicle_id, []).append(state.packs[key])
    rows = [
        VehicleRow(vehicle=vehicle, packs=packs.get(name, []), where=where.get(name), leaves_at=leaves.get(name))
        for name, vehicle in sorted(state.vehicles.items())
    ]
    return FleetView(at=now, timezone=yard.spec.timezone, vehicles=rows, places=places(yard))


def drivers_view(yard: Yard, name_of: Callable[[str], str]) -> DriversView:
    """Drivers in the order of their numbers."""
    return DriversView(
        drivers=[
            DriverRow(driver_id=driver_id, id_tags=list(driver.id_tags), name=name_of(driver_id))
            for driver_id, driver in sorted(yard.state.drivers.items())
        ]
    )


def site_view(yard: Yard, base: DepotSpec, after: Site) -> SiteDeclarationView:
    """``base``: the settings file's word; ``after``: the site of the next start."""
    state = yard.state
    now = {station.station_id: station for station in yard.spec.stations}
    then = {station.station_id: station for station in after.spec.stations}
    in_file = {station.station_id for station in base.stations}
    stations = [
        StationRow(
            station_id=name,
            now=now.get(name),
            next=then.get(name),
            connected=yard.connected(name),
            changed=name in state.declared_stations,
            in_file=name in in_file,
        )
        for name in [*now, *(n for n in then if n not in now)]
    ]
    then_feeders = {feeder.feeder_id: feeder for feeder in after.spec.feeders}
    of_file = {feeder.feeder_id: feeder.rating_w for feeder in base.feeders}
    feeders = [
        FeederRow(
            feeder_id=feeder.feeder_id,
            now=feeder,
            next=then_feeders[feeder.feeder_id],
            file_rating_w=of_file[feeder.feeder_id],
            changed=feeder.feeder_id in state.declared_feeders,
        )
        for feeder in yard.spec.feeders
    ]
    pending = (yard.spec.stations, yard.spec.feeders) != (after.spec.stations, after.spec.feeders)
    return SiteDeclarationView(
        stations=stations,
        feeders=feeders,
        pending=pending,
        cautions=cautions(yard.spec, after.spec) if pending else [],
        notes=commissioning_notes(after.spec) if pending else [],
        left_out=list(after.left_out),
    )


def connector_words(connector: ConnectorSpec) -> str:
    """``1: DC 60 kW, gives 40 kW``, ``2: AC 22 kW, phases 1 2 3``."""
    phases = f", phase{'s' if len(connector.phases) > 1 else ''} {' '.join(map(str, connector.phases))}" if connector.phases else ""
    gives = f", gives {connector.discharge_w / 1000:g} kW" if connector.discharge_w else ""
    return f"{connector.connector}: {connector.current.value} {connector.rated_w / 1000:g} kW{phases}{gives}"
