"""What people read of packs' health, for the web (the views are :mod:`bms_bridge.estimates.view`'s)."""

from __future__ import annotations

from bms_bridge.estimates.charge_view import ChargePoint, ChargeState
from bms_bridge.estimates.prospect_view import (
    PackAssumption,
    PackBeside,
    PackChoice,
    PackDuty,
    PackEnd,
    PackOffer,
    PackPart,
    PackProspect,
    PackTwinAsked,
    PackTwinRun,
    PackTwinStart,
)
from bms_bridge.estimates.view import FleetHealthView, HealthCharge, HealthEstimate, HealthTrend, PackHealthRow, PackHealthView, PackPolicy

__all__ = [
    "ChargePoint",
    "ChargeState",
    "FleetHealthView",
    "HealthCharge",
    "HealthEstimate",
    "HealthTrend",
    "PackAssumption",
    "PackBeside",
    "PackChoice",
    "PackDuty",
    "PackEnd",
    "PackHealthRow",
    "PackHealthView",
    "PackOffer",
    "PackPart",
    "PackPolicy",
    "PackProspect",
    "PackTwinAsked",
    "PackTwinRun",
    "PackTwinStart",
]
