"""Facts of tariffs that stations hold (OCPP 2.1). See :mod:`depot.station_tariffs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class StationTariffSet(Event):
    """The station has accepted a tariff: as a default (``evse_id`` 0: of all), or for a transaction, named as it names it."""

    TYPE: ClassVar[str] = "station.tariff_set"
    station_id: str
    evse_id: int
    tariff: Mapping[str, Any] = field(default_factory=dict)
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class StationTariffsCleared(Event):
    """The station has dropped default tariffs: those named, else all, on an EVSE (0: on any)."""

    TYPE: ClassVar[str] = "station.tariffs_cleared"
    station_id: str
    tariff_ids: tuple[str, ...] = ()
    evse_id: int = 0
