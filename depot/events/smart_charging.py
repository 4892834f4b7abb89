"""Facts of smart charging that stations bring from vehicles and foreign systems. See :mod:`depot.smart_charging`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.smart_charging import ChargingNeeds, ExternalLimit, VehicleSchedule
from depot.values import ConnectorId


@dataclass(frozen=True, slots=True)
class ChargingNeedsTold(Event):
    """The vehicle's own word. ``transaction``: as the station names it."""

    TYPE: ClassVar[str] = "vehicle.needs_told"
    connector: ConnectorId
    needs: ChargingNeeds
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class VehicleScheduleTold(Event):
    """``exceeds``: how it goes beyond what the vehicle was allowed; then the station was told to refuse it."""

    TYPE: ClassVar[str] = "vehicle.schedule_told"
    connector: ConnectorId
    schedule: VehicleSchedule
    exceeds: str = ""
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class ExternalLimitTold(Event):
    """Somebody else limits a station, or an EVSE of it; replaces what the same source said of the same place."""

    TYPE: ClassVar[str] = "limit.external_told"
    limit: ExternalLimit


@dataclass(frozen=True, slots=True)
class ExternalLimitReleased(Event):
    """``evse`` None: every limit of that source at the station."""

    TYPE: ClassVar[str] = "limit.external_released"
    station_id: str
    evse: int | None
    source: str
