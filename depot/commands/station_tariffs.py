"""Commands on tariffs that stations hold (OCPP 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from depot.commands.stations import StationCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStationTariff(StationCommand):
    """Give a station a default tariff. ``tariff``: as OCPP spells it; ``evse_id`` 0: for all its EVSEs."""

    TITLE: ClassVar[str] = "Set tariff of a station"

    tariff: Mapping[str, Any] = field(default_factory=dict)
    evse_id: int = 0

    @property
    def detail(self) -> Mapping[str, str]:
        return {"tariff": str(self.tariff.get("tariffId", ""))[:60], "EVSE": str(self.evse_id or "all")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTransactionTariff(StationCommand):
    """Another tariff for the transaction that runs on an EVSE."""

    TITLE: ClassVar[str] = "Change tariff of a transaction"

    evse_id: int
    tariff: Mapping[str, Any] = field(default_factory=dict)

    @property
    def detail(self) -> Mapping[str, str]:
        return {"tariff": str(self.tariff.get("tariffId", ""))[:60], "EVSE": str(self.evse_id)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearStationTariffs(StationCommand):
    """Drop default tariffs of a station: those named, else all, on an EVSE (0: on any)."""

    TITLE: ClassVar[str] = "Clear tariffs of a station"

    tariff_ids: tuple[str, ...] = ()
    evse_id: int = 0

    @property
    def detail(self) -> Mapping[str, str]:
        return {"tariffs": ", ".join(self.tariff_ids) or "all", "EVSE": str(self.evse_id or "any")}
