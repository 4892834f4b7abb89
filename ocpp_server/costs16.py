"""Prices and costs for the displays of OCPP 1.6 stations that have them (Open Charge Alliance, application note "OCPP &
California Pricing Requirements"): DataTransfer messages of the vendor ``org.openchargealliance.costmsg``.

    CustomDisplayCostAndPrice = true --> SetUserPrice (a text for whom it concerns), RunningCost, FinalCost

OCPP 1.6 itself has neither prices nor messages for displays. Pure.
"""

from __future__ import annotations

import json
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from depot.costs import Cost
from depot.values import Outcome
from ocpp_server.dialect import Call
from ocpp_server.reply import Reply
from ocpp_server.skew import wire_time

__all__ = ["DISPLAYS", "VENDOR", "final_cost", "running_cost", "shows_costs", "takes_none", "user_price"]

VENDOR: Final = "org.openchargealliance.costmsg"
DISPLAYS: Final = "CustomDisplayCostAndPrice"
"""The configuration key by which a station says that it shows them."""
MOST_TEXT: Final = 512


def shows_costs(reply: Reply) -> bool:
    """Whether the answer to GetConfiguration of :data:`DISPLAYS` says so."""
    rows = reply.payload.get("configurationKey", ())
    return any(row.get("key") == DISPLAYS and str(row.get("value", "")).strip().lower() == "true" for row in rows)


def takes_none(reply: Reply) -> bool:
    """Whether a station says that it knows nothing of these messages."""
    return reply.outcome is Outcome.UNSUPPORTED or reply.payload.get("status") in ("UnknownVendorId", "UnknownMessageId")


def user_price(id_tag: str, text: str) -> Call:
    """SetUserPrice: a text for the driver who showed this tag, before or while the session runs."""
    return _message("SetUserPrice", {"idToken": id_tag, "priceText": text[:MOST_TEXT]})


def running_cost(number: int, cost: Cost, *, register_wh: int, at: datetime, idle: bool, paise_per_kwh: Fraction | None) -> Call:
    """RunningCost of a transaction at a register. ``paise_per_kwh``: with taxes, where one price holds for the whole session, so
    that the station may count on between two messages; None: it is told none."""
    price = {} if paise_per_kwh is None else {"kWhPrice": round(float(paise_per_kwh / 100), 5)}
    return _message(
        "RunningCost",
        {
            "transactionId": number,
            "timestamp": wire_time(at),
            "meterValue": register_wh,
            "cost": cost.on_wire,
            "state": "Idle" if idle else "Charging",
            "chargingPrice": price,
        },
    )


def final_cost(number: int, cost: Cost) -> Call:
    """FinalCost: what the session costs, as its bill has it."""
    return _message("FinalCost", {"transactionId": number, "cost": cost.on_wire, "priceText": cost.message[:MOST_TEXT]})


def _message(name: str, data: dict[str, Any]) -> Call:
    return Call("DataTransfer", {"vendorId": VENDOR, "messageId": name, "data": json.dumps(data, ensure_ascii=False)})
