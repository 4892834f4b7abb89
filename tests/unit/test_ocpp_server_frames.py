"""The message log: one short line for whatever came, no tag or secret in it, and a cap on what it keeps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocpp_server.frames import IN, KEPT_BYTES, KEPT_FRAMES, KEPT_TEXT, OUT, FrameLog, Kind, completed
from ocpp_server.redaction import redact
from ocpp_server.summaries import answer_summary, summary

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
    assert len(summary(action, redact(payload))) < 600
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
        ("ChangeConfiguration", {"key": "AuthorizationKey", "value": "abcdef0123456789"}, "AuthorizationKey = (hidden)"),
        ("GetDiagnostics", {"location": "ftp://user:pass@depot.example/logs"}, "location ftp://…@depot.example/logs"),
        ("ChangeAvailability", {"connectorId": 1, "type": "Operative"}, "connectorId 1, type Operative"),
    ],
)
def test_summaries(action: str, payload: dict[str, Any], wanted: str) -> None:
    assert summary(action, redact(payload)) == wanted


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRETS = {
    "ChangeConfiguration": {"key": "AuthorizationKey", "value": "S3CR3T-1"},
    "GetConfiguration": {"configurationKey": [{"key": "wifi_password", "readonly": False, "value": "S3CR3T-1"}]},
    "Authorize": {"idTag": "S3CR3T-199"},
    "SendLocalList": {
        "localAuthorizationList": [{"idTag": "S3CR3T-199", "idTagInfo": {"status": "Accepted", "parentIdTag": "S3CR3T-155"}}]
    },
    "TransactionEvent": {"idToken": {"idToken": "S3CR3T-199", "type": "ISO14443"}},
    "SetVariables": {
        "setVariableData": [
            {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "attributeValue": "S3CR3T-1"},
        ]
    },
    "NotifyReport": {"reportData": [{"variable": {"name": "ApnPassword"}, "variableAttribute": [{"type": "Actual", "value": "S3CR3T-1"}]}]},
    "SetNetworkProfile": {"connectionData": {"apn": {"apnPassword": "S3CR3T-1", "simPin": 1234}, "vpn": {"key": "S3CR3T-1", "user": "u"}}},
    "GetTariffs": {"tariffAssignments": [{"tariffId": "T", "idTokens": ["S3CR3T-199"]}]},
    "NotifySettlement": {"pspRef": "S3CR3T-199", "vatNumber": "S3CR3T-199"},
    "SignCertificate": {"csr": "-----BEGIN S3CR3T-1"},
    "CertificateSigned": {"certificateChain": "S3CR3T-1"},
    "InstallCertificate": {"certificateType": "CSMSRootCertificate", "certificate": "S3CR3T-1"},
    "GetLog": {"log": {"remoteLocation": "https://u:S3CR3T-1@depot.example/x"}},
    "DataTransfer": {"vendorId": "v", "data": "free S3CR3T-1"},
    "PnC": {"vendorId": "v", "data": json.dumps({"csr": "S3CR3T-1", "idToken": "S3CR3T-199"})},
}


@pytest.mark.parametrize(("action", "payload"), SECRETS.items())
def test_no_secret_is_in_the_log_that_people_see(action: str, payload: dict[str, Any]) -> None:
    log = FrameLog()
    log.add(NOW, IN, Kind.CALL, "1", action, json.dumps([2, "1", action, payload]))
    log.add(NOW, OUT, Kind.RESULT, "1", action, json.dumps([3, "1", payload]))
    log.add(NOW, IN, Kind.ERROR, "2", action, json.dumps([4, "2", "GenericError", "no", payload]))
    log.add(NOW, IN, Kind.UNUSABLE, "", "?", json.dumps([2, "1", action, payload, "more"]), "a CALL has 4 elements")
    log.add(NOW, IN, Kind.UNUSABLE, "", "?", json.dumps([2, "1", action, json.dumps(payload)]), "the payload must be an object")
    log.add(NOW, IN, Kind.UNUSABLE, "", "?", json.dumps([2, "1", action, payload])[:-3] + "x", "not valid JSON")
    padded = json.dumps([2, "1", action, {**payload, "more": ["x" * 50] * 100}])
    log.add(NOW, IN, Kind.CALL, "1", action, padded)
    assert "S3CR3T" not in "".join(f.summary for f in log.recent())
    assert "S3CR3T" not in "".join(m.payload for m in log.messages())
    assert json.loads(log.messages()[0].payload).keys() == payload.keys()
    cut = log.messages()[-1]
    assert cut.cut
    assert json.loads(cut.payload).keys() >= payload.keys(), "what is kept of a long one can be read"


def test_the_last_two_characters_of_a_tag_are_kept() -> None:
    assert redact({"idTag": "ABCDEF99", "meterStart": 5, "data": '{"idTag": "ABCDEF99"}'}) == {
        "idTag": "…99", "meterStart": 5, "data": '{"idTag":"…99"}'
    }  # fmt: skip


@pytest.mark.parametrize("text", ["x" * 40, "é" * 400, "€" * 5000, "x" * 300_000])
def test_the_ring_is_capped_by_memory_and_by_frames(text: str) -> None:
    log = FrameLog()
    for n in range(1000):
        log.add(NOW, IN, Kind.CALL, str(n), "DataTransfer", json.dumps([2, str(n), "DataTransfer", {"data": text}], ensure_ascii=False))
    kept = log.messages()
    assert 1 <= len(kept) <= KEPT_FRAMES
    assert sum(len(m.payload) for m in kept) <= KEPT_BYTES
    assert kept[-1].message_id == "999"
    assert len(log.recent()) <= 100


@given(junk, st.integers(0, 400))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_left_of_a_cut_text_is_json_again(part: Any, length: int) -> None:
    text = json.dumps([2, "1", "DataTransfer", {"a": part}])[: max(1, length)]
    json.loads(completed(text))


def test_a_cut_text_loses_its_last_value_only() -> None:
    assert completed('[2,"1","A",{"a":"b","c":["d","e","f') == '[2,"1","A",{"a":"b","c":["d","e"]}]'
    assert completed('[2,"1","A",{"a":"x\\",y","b"') == '[2,"1","A",{"a":"x\\",y"}]'
    assert len(completed("[" * KEPT_TEXT)) == 2 * KEPT_TEXT
