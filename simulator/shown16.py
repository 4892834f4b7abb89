"""The display of a simulated OCPP 1.6 station that shows prices and costs (Open Charge Alliance, "OCPP & California Pricing
Requirements"): what it was told, newest last."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["VENDOR", "Shown"]

VENDOR = "org.openchargealliance.costmsg"
_FIELDS = {
    "SetUserPrice": ("idToken", "priceText"),
    "RunningCost": ("transactionId", "timestamp", "meterValue", "cost", "state", "chargingPrice"),
    "FinalCost": ("transactionId", "cost", "priceText"),
}
_MOST = 200


@dataclass(slots=True)
class Shown:
    """``told``: (message, its data)."""

    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def take(self, vendor: str, message: str, data: str) -> str:
        """Show it: OCPP's word for a DataTransfer."""
        if vendor != VENDOR:
            return "UnknownVendorId"
        wanted = _FIELDS.get(message)
        if wanted is None:
            return "UnknownMessageId"
        try:
            said = json.loads(data)
        except ValueError:
            return "Rejected"
        if not isinstance(said, dict) or not all(name in said for name in wanted):
            return "Rejected"
        self.told = [*self.told[-_MOST:], (message, said)]
        return "Accepted"

    def of(self, message: str) -> list[dict[str, Any]]:
        """What was told by one kind of message."""
        return [said for name, said in self.told if name == message]
