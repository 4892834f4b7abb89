"""Strict first, then named repairs, then the right CALLERROR (reference no. 8)."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import fastjsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.familiar import KNOWN_MOST, Familiar, described_2x, described_16
from ocpp_server.schemas import parse, validator
from ocpp_server.v16 import HEARD
from ocpp_server.version import Version

STAMP = "2026-03-01T12:00:00Z"


def meter(*values: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": STAMP, "sampledValue": list(values)}]}


def composite(period: dict[str, Any]) -> dict[str, Any]:
    return {"status": "Accepted", "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}}


def test_a_valid_payload_is_not_touched() -> None:
    payload = meter({"value": "1"})
    parsed = parse("MeterValues", payload)
    assert parsed.payload is payload
    assert parsed.repairs == ()


@pytest.mark.parametrize(
    ("name", "payload", "repaired", "repair"),
    [
        ("MeterValues", meter({"value": 1.5}), meter({"value": "1.5"}), "number_as_string"),
        ("MeterValues", meter({"value": "1"}, {"value": "50", "unit": "Hz"}), meter({"value": "1"}), "unknown_unit"),
        ("MeterValues", meter({"value": "1"}, {"value": "5", "measurand": "Mood"}), meter({"value": "1"}), "unknown_measurand"),
        ("MeterValues", meter({"value": "1", "unit": "wh"}), meter({"value": "1", "unit": "Wh"}), "enum_spelling"),
        ("MeterValues", meter({"value": "1", "context": "Now"}), meter({"value": "1"}), "unknown_context"),
        ("MeterValues", {**meter({"value": "1"}), "vendor": 1}, meter({"value": "1"}), "extra_key"),
        ("MeterValues", {**meter({"value": "1"}), "transactionId": None}, meter({"value": "1"}), "null_value"),
        ("MeterValues", {"connectorId": "1", "meterValue": meter({"value": "1"})["meterValue"]}, meter({"value": "1"}), "string_as_number"),
        ("MeterValues", {"connectorId": 1, "meterValue": meter({"value": "1"})["meterValue"][0]}, meter({"value": "1"}), "object_as_array"),
        ("MeterValues", meter(), {"connectorId": 1, "meterValue": []}, "empty_array"),
        (
            "StatusNotification",
            {"connectorId": 1, "status": "Available", "errorCode": "Error"},
            {"connectorId": 1, "status": "Available", "errorCode": "OtherError"},
            "unknown_errorCode",
        ),
        (
            "BootNotification",
            {"chargePointVendor": "A", "chargePointModel": "B", "chargePointSerialNumber": "x" * 26},
            {"chargePointVendor": "A", "chargePointModel": "B", "chargePointSerialNumber": "x" * 25},
            "too_long",
        ),
        (
            "StopTransaction",
            {"transactionId": 1.0, "meterStop": 12.345, "timestamp": STAMP, "reason": "Bored"},
            {"transactionId": 1, "meterStop": 12, "timestamp": STAMP, "reason": "Other"},
            "float_as_integer",
        ),
        (
            "GetCompositeScheduleResponse",
            composite({"startPeriod": 599.989, "limit": 16.1}),
            composite({"startPeriod": 600, "limit": 16.1}),
            "float_as_integer",
        ),
    ],
)
def test_problem_08_known_violations_are_repaired_and_named(
    name: str, payload: dict[str, Any], repaired: dict[str, Any], repair: str
) -> None:
    parsed = parse(name, payload)
    assert parsed.payload == repaired
    assert repair in parsed.repairs


@pytest.mark.parametrize(
    ("name", "payload", "code"),
    [
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError"}, ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION),
        ("StatusNotification", {"connectorId": "one", "errorCode": "NoError", "status": "Available"}, ErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Sleepy"}, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ("MeterValues", {"connectorId": 1, "meterValue": "none"}, ErrorCode.TYPE_CONSTRAINT_VIOLATION),
    ],
)
def test_what_no_repair_helps_is_refused_with_the_code_that_fits(name: str, payload: dict[str, Any], code: ErrorCode) -> None:
    with pytest.raises(PayloadViolation) as refused:
        parse(name, payload)
    assert refused.value.code is code
    assert refused.value.description.startswith(name)


words = st.sampled_from(
    [
        ("unit", "W"), ("unit", "Hz"), ("measurand", "SoC"), ("measurand", "Speed"), ("phase", "L1"), ("location", "EV"), ("format", 1),
        ("context", None), ("more", "x"), ("value", 5), ("value", "6"),
    ]
)  # fmt: skip
odd = st.sampled_from([1, "1", None, True, 1.5, [], {}, STAMP])


@given(
    st.lists(st.lists(words, max_size=3).map(dict), max_size=4),
    st.dictionaries(st.sampled_from(["connectorId", "transactionId", "x"]), odd),
    odd,
)
@settings(max_examples=300, deadline=None)
def test_meter_values_that_are_recognised_keep_the_schema(values: list[dict[str, Any]], top: dict[str, Any], at: Any) -> None:
    familiar = Familiar(described_16)
    strict = validator("MeterValues")
    for value in values:
        whole = meter({"value": "1", **value})
        with contextlib.suppress(fastjsonschema.JsonSchemaValueException):
            described = familiar.described(whole)
            strict(whole)
            familiar.learn(described)
            assert familiar.knows(described)
    said = [{"value": "1", **value} for value in values]
    for payload in (meter(*said), {**meter(*said), **top}, {"connectorId": 1, "meterValue": [{"timestamp": at, "sampledValue": said}]}):
        if familiar.knows(familiar.described(payload)):
            strict(payload)


def test_descriptions_that_are_made_up_do_not_fill_the_memory() -> None:
    familiar = Familiar(described_16)
    for n in range(2 * KNOWN_MOST):
        familiar.learn(familiar.described(meter({"value": "1", "unit": str(n)})))
    assert not familiar.knows(familiar.described(meter({"value": "1", "unit": str(2 * KNOWN_MOST - 1)})))
    assert familiar.knows(familiar.described(meter({"value": "2", "unit": "0"})))


@pytest.mark.parametrize("number", [1e30, 10**30, -(10**30), 2**53, 10**400])
def test_a_whole_number_that_no_column_holds_is_refused(number: float) -> None:
    """The validator takes any; the journal's snapshots do not."""
    payload = {"evseId": number, "meterValue": [{"timestamp": STAMP, "sampledValue": [{"value": 1.5}]}]}
    with pytest.raises(PayloadViolation) as found:
        parse("MeterValues", payload, Version.V201)
    assert found.value.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION


def test_a_whole_number_that_is_written_as_a_float_becomes_one() -> None:
    found = parse("MeterValues", {"evseId": 1.0, "meterValue": [{"timestamp": STAMP, "sampledValue": [{"value": 7.0}]}]}, Version.V201)
    assert type(found.payload["evseId"]) is int
    assert found.repairs == ()


SHARE = {"value": 7.5, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent", "multiplier": 0}}
EVENT: dict[str, Any] = {
    "eventType": "Updated", "timestamp": STAMP, "triggerReason": "MeterValuePeriodic", "seqNo": 3, "offline": False,
    "numberOfPhasesUsed": 3, "evse": {"id": 1, "connectorId": 1},
    "transactionInfo": {"transactionId": "t", "chargingState": "Charging", "timeSpentCharging": 5},
    "meterValue": [{"timestamp": STAMP, "sampledValue": [SHARE]}],
}  # fmt: skip


def bent(part: Any, chance: Any) -> Any:
    """The part, with something in it changed, renamed, missing or more."""
    if isinstance(part, dict) and part:
        key = chance.choice(list(part))
        match chance.randrange(5):
            case 0:
                return {k: v for k, v in part.items() if k != key}
            case 1:
                return {**part, chance.choice(["x", "id", "unit", "offline", "evse", "value"]): chance.choice(ODD)}
            case 2:
                return dict(reversed(part.items()))
            case _:
                return {**part, key: bent(part[key], chance)}
    if isinstance(part, list) and part and chance.random() < 0.7:
        return [bent(part[0], chance), *part[1:]]
    return chance.choice(ODD)


ODD = [1, 0, True, False, "Charging", "W", "Percent", "x" * 40, None, 1.5, [], {}, {"id": 1}, {"unit": "W"}, -1, 10**20]


@pytest.mark.parametrize("version", [Version.V201, Version.V21])
@given(st.randoms(use_true_random=False))
@settings(max_examples=400, deadline=None)
def test_events_that_are_recognised_keep_the_schema(version: Version, chance: Any) -> None:
    familiar = Familiar(described_2x)
    strict = validator("TransactionEvent", version)
    familiar.learn(familiar.described(EVENT))
    assert familiar.knows(familiar.described({**EVENT, "seqNo": 4}))
    for _ in range(4):
        payload = EVENT
        for _ in range(chance.randrange(1, 4)):
            payload = bent(payload, chance)
            if not isinstance(payload, dict):
                payload = EVENT
        described = familiar.described(payload)
        if familiar.knows(described):
            strict(payload)
        with contextlib.suppress(fastjsonschema.JsonSchemaValueException):
            strict(copy.deepcopy(payload))
            familiar.learn(described)


keys = st.sampled_from(
    ["connectorId", "meterValue", "timestamp", "sampledValue", "value", "unit", "status", "errorCode", "transactionId", "x"]
)
payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["9" * 5000, "1e5", "²", "Wh", STAMP]),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(keys, part, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(HEARD), st.dictionaries(keys, payloads, max_size=5))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_payload_is_parsed_or_refused(name: str, payload: dict[str, Any]) -> None:
    with contextlib.suppress(PayloadViolation):
        parse(name, payload)
