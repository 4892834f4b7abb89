"""Commands on battery swaps (OCPP 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.commands.stations import StationCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBatterySwap(StationCommand):
    """Let somebody swap a battery at a station."""

    TITLE: ClassVar[str] = "Request battery swap"

    id_token: str
