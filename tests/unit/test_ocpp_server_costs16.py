"""Prices and costs for displays of OCPP 1.6 (Open Charge Alliance, "OCPP & California Pricing Requirements")."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from depot.costs import Cost
from depot.values import Outcome
from ocpp_server import costs16
from ocpp_server.dialect import Call
from ocpp_server.reply import Reply

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def data(call: Call) -> dict[str, Any]:
    assert call.action == "DataTransfer"
    assert isinstance(call.payload, dict)
    assert call.payload["vendorId"] == "org.openchargealliance.costmsg"
    said: dict[str, Any] = json.loads(call.payload["data"])
    return said | {"message": call.payload["messageId"]}


def test_a_price_and_words_go_to_the_card_they_concern() -> None:
    told = data(costs16.user_price("CARD-7", "₹14.50 per kWh"))
    assert told == {"message": "SetUserPrice", "idToken": "CARD-7", "priceText": "₹14.50 per kWh"}
    assert len(data(costs16.user_price("CARD-7", "x" * 900))["priceText"]) == 512


def test_a_running_cost_carries_its_register_and_what_a_kilowatt_hour_costs() -> None:
    call = costs16.running_cost(12, Cost(34_22, 2_000), register_wh=1_234_000, at=AT, idle=False, paise_per_kwh=Fraction(1711))
    assert data(call) == {
        "message": "RunningCost", "transactionId": 12, "timestamp": "2026-11-22T12:00:00.000Z", "meterValue": 1_234_000,
        "cost": 34.22, "state": "Charging", "chargingPrice": {"kWhPrice": 17.11},
    }  # fmt: skip
    many = data(costs16.running_cost(12, Cost(1, 0), register_wh=0, at=AT, idle=True, paise_per_kwh=None))
    assert (many["state"], many["chargingPrice"]) == ("Idle", {})


def test_a_final_cost_says_its_words() -> None:
    told = data(costs16.final_cost(12, Cost(85_56, 5_000, "5.00 kWh: 85.56 INR with tax")))
    assert told == {"message": "FinalCost", "transactionId": 12, "cost": 85.56, "priceText": "5.00 kWh: 85.56 INR with tax"}


@pytest.mark.parametrize(("value", "shows"), [("true", True), ("True ", True), ("false", False), ("", False), (None, False)])
def test_a_station_says_by_a_key_whether_it_shows_them(value: str | None, shows: bool) -> None:
    rows = [{"key": costs16.DISPLAYS, "readonly": True} | ({} if value is None else {"value": value})]
    assert costs16.shows_costs(Reply(Outcome.ACCEPTED, {"configurationKey": rows})) is shows
    assert not costs16.shows_costs(Reply(Outcome.ACCEPTED, {"unknownKey": [costs16.DISPLAYS]}))
    assert not costs16.shows_costs(Reply(Outcome.OFFLINE))


@pytest.mark.parametrize(
    ("reply", "none"),
    [
        (Reply(Outcome.REFUSED, {"status": "UnknownVendorId"}), True),
        (Reply(Outcome.REFUSED, {"status": "UnknownMessageId"}), True),
        (Reply(Outcome.UNSUPPORTED), True),
        (Reply(Outcome.REFUSED, {"status": "Rejected"}), False),
        (Reply(Outcome.ACCEPTED, {"status": "Accepted"}), False),
    ],
)
def test_who_knows_nothing_of_them_says_so(reply: Reply, none: bool) -> None:
    assert costs16.takes_none(reply) is none
