"""The message log: one short line for whatever came, and no tag in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocpp_server.frames import answer_summary, summary

ACTIONS = [
    "MeterValues",
    "StatusNotification",
    "StartTransaction",
    "StopTransaction",
    "BootNotification",
    "Authorize",
    "RemoteStartTransaction",
    "SetChargingProfile",
    "ChangeConfiguration",
    "GetConfiguration",
    "Heartbeat",
    "Anything",
]
KEYS = [
    "connectorId",
    "meterValue",
    "sampledValue",
    "status",
    "errorCode",
    "idTag",
    "idTagInfo",
    "meterStart",
    "transactionId",
    "chargingProfile",
    "csChargingProfiles",
    "chargingSchedule",
    "chargingSchedulePeriod",
    "chargingProfilePurpose",
    "chargingRateUnit",
    "limit",
    "validTo",
    "key",
    "value",
    "reason",
]
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([10**4200, "x" * 1000, float("nan")]),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(KEYS), part, max_size=6),
    max_leaves=15,
)
PROFILE = {
    "chargingProfilePurpose": "TxProfile",
    "validTo": "2026-03-01T12:03:00.000Z",
    "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_000}]},
}


@given(st.sampled_from(ACTIONS), st.dictionaries(st.sampled_from(KEYS), junk, max_size=6))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_payload_has_a_short_summary(action: str, payload: dict[str, Any]) -> None:
    assert len(summary(action, payload)) < 600
    assert len(answer_summary(payload)) < 200


@pytest.mark.parametrize(
    ("action", "payload", "wanted"),
    [
        ("StatusNotification", {"connectorId": 1, "status": "Charging", "errorCode": "NoError"}, "connector 1: Charging"),
        (
            "StatusNotification",
            {"connectorId": 1, "status": "Faulted", "errorCode": "HighTemperature"},
            "connector 1: Faulted, HighTemperature",
        ),
        ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": PROFILE}, "connector 1: TxProfile 11000 W until 12:03:00 UTC"),
        ("RemoteStartTransaction", {"connectorId": 1, "idTag": "ABCDEF99"}, "connector 1, tag …99"),
        ("Authorize", {"idTag": "1234"}, "tag …"),
        ("StopTransaction", {"transactionId": 3, "meterStop": 5}, "transaction 3, meter 5, Local"),
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}, "HeartbeatInterval = 60"),
        ("ChangeAvailability", {"connectorId": 1, "type": "Operative"}, "connectorId 1, type Operative"),
    ],
)
def test_summaries(action: str, payload: dict[str, Any], wanted: str) -> None:
    assert summary(action, payload) == wanted
