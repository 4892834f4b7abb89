"""A simulated station of OCPP 1.6 that shows prices and costs."""

from __future__ import annotations

import json

import pytest

from simulator.shown16 import VENDOR, Shown


def test_it_shows_what_it_was_told() -> None:
    shown = Shown()
    assert shown.take(VENDOR, "SetUserPrice", json.dumps({"idToken": "C", "priceText": "₹14.50 per kWh"})) == "Accepted"
    assert shown.take(VENDOR, "FinalCost", json.dumps({"transactionId": 1, "cost": 1.0, "priceText": "x"})) == "Accepted"
    assert shown.of("SetUserPrice") == [{"idToken": "C", "priceText": "₹14.50 per kWh"}]
    assert [name for name, _ in shown.told] == ["SetUserPrice", "FinalCost"]


@pytest.mark.parametrize(
    ("vendor", "message", "data", "word"),
    [
        ("com.example", "SetUserPrice", "{}", "UnknownVendorId"),
        (VENDOR, "Sing", "{}", "UnknownMessageId"),
        (VENDOR, "FinalCost", "{", "Rejected"),
        (VENDOR, "FinalCost", "[]", "Rejected"),
        (VENDOR, "FinalCost", '{"cost": 1}', "Rejected"),
    ],
)
def test_what_it_does_not_know_it_refuses(vendor: str, message: str, data: str, word: str) -> None:
    shown = Shown()
    assert shown.take(vendor, message, data) == word
    assert shown.told == []
