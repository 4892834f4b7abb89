"""Facts of what people registered: vehicles, packs, drivers, stations, feeders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.fleet import Driver, Pack, Vehicle
from depot.registry import FeederSpec, StationSpec
from depot.values import PackKey


@dataclass(frozen=True, slots=True)
class VehicleRegistered(Event):
    """Replaces what was registered of this vehicle before."""

    TYPE: ClassVar[str] = "vehicle.entry_registered"
    vehicle: Vehicle


@dataclass(frozen=True, slots=True)
class VehicleRemoved(Event):
    """It is no longer of this depot; its packs go with it."""

    TYPE: ClassVar[str] = "vehicle.entry_removed"
    vehicle_id: str


@dataclass(frozen=True, slots=True)
class PackRegistered(Event):
    TYPE: ClassVar[str] = "pack.entry_registered"
    pack: Pack


@dataclass(frozen=True, slots=True)
class PackRemoved(Event):
    TYPE: ClassVar[str] = "pack.entry_removed"
    pack: PackKey


@dataclass(frozen=True, slots=True)
class DriverRegistered(Event):
    TYPE: ClassVar[str] = "driver.entry_registered"
    driver: Driver


@dataclass(frozen=True, slots=True)
class DriverRemoved(Event):
    """The name, which stands apart, is deleted with it."""

    TYPE: ClassVar[str] = "driver.entry_removed"
    driver_id: str


@dataclass(frozen=True, slots=True)
class StationDeclared(Event):
    """A person changed or added a station beside the settings file; it takes effect at the core's next start.
    ``over``: fingerprint of what the file said of it then ("": nothing); once the file says something else, the file holds.
    ``key_hash``: keyed hash of the password of a station that the file does not know."""

    TYPE: ClassVar[str] = "site.station_declared"
    station: StationSpec
    over: str = ""
    key_hash: str = ""


@dataclass(frozen=True, slots=True)
class StationRetired(Event):
    """A station of the settings file is gone from the site; from the core's next start on it is not counted any more."""

    TYPE: ClassVar[str] = "site.station_retired"
    station_id: str
    over: str = ""


@dataclass(frozen=True, slots=True)
class FeederDeclared(Event):
    """A person renamed a feeder or tightened its rating; from the next start on the smaller one of file and this holds."""

    TYPE: ClassVar[str] = "site.feeder_declared"
    feeder: FeederSpec


@dataclass(frozen=True, slots=True)
class DeclarationWithdrawn(Event):
    """What a person changed of this station or feeder is taken back: the settings file holds again."""

    TYPE: ClassVar[str] = "site.declaration_withdrawn"
    station_id: str = ""
    feeder_id: str = ""
