"""The payload on the wire: what is taken, what is refused and with which words."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bms_bridge import InvalidTelemetry
from bms_bridge.contract import KEPT_REJECTIONS, PackSample, Rejection, RejectionLog, RejectReason, parse, topic_of, topics_of_all
from depot.values import PackKey

NOW = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
PACK = PackKey("BUS7", "P1")
TOPIC = topic_of("pune-1", PACK)


def wire(**changes: object) -> bytes:
    fields = {"schema": "pack_telemetry/1", "reported_at": "2026-11-21T01:12:00+05:30", "temperatures_c": [25, 26.5, None, 24]}
    fields |= changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def read(payload: bytes, topic: str = TOPIC) -> PackSample | Rejection:
    return parse("pune-1", topic, payload, received_at=NOW)


def test_the_least_that_a_sample_has() -> None:
    found = read(wire())
    assert isinstance(found, PackSample)
    assert (found.pack, found.reported_at, found.temperatures_c) == (PACK, NOW, (25.0, 26.5, None, 24.0))
    assert (found.soc, found.alarms) == (None, ())


def test_everything_that_a_sample_can_have() -> None:
    numbers = {"soc": 0.4, "current_a": -3.5, "voltage_v": 620.0, "cell_min_v": 3.2, "cell_max_v": 3.3}
    found = read(wire(**numbers, alarms=["smoke_or_gas", "cooling_fault", "smoke_or_gas"]))
    assert isinstance(found, PackSample)
    assert {name: getattr(found, name) for name in numbers} == numbers
    assert found.alarms == ("smoke_or_gas", "cooling_fault")


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        (b"", RejectReason.NOT_JSON, "no JSON object"),
        (b"[]", RejectReason.NOT_JSON, "no JSON object"),
        (b'{"schema": 1}', RejectReason.NOT_JSON, "schema"),
        (b'{"schema": "\xff"}', RejectReason.NOT_JSON, "no JSON object"),
        (b"[" * 10_000, RejectReason.NOT_JSON, "no JSON object"),
        (wire(schema="pack_telemetry/2"), RejectReason.UNKNOWN_SCHEMA, "send pack_telemetry/1"),
        (wire(schema=...), RejectReason.UNKNOWN_SCHEMA, "''"),
        (wire(temperatures_c=...), RejectReason.SHAPE, "temperatures_c"),
        (wire(temperatures_c=["25"]), RejectReason.SHAPE, "temperatures_c"),
        (wire(temperatures_c=[1] * 65), RejectReason.SHAPE, "length <= 64"),
        (wire(temperatures_c=[float("nan")]), RejectReason.NOT_JSON, "no JSON object"),
        (wire(soc=True), RejectReason.SHAPE, "soc"),
        (wire(reported_at="2026-11-21T01:12:00"), RejectReason.SHAPE, "timezone"),
        (wire(reported_at=1763667720), RejectReason.SHAPE, "reported_at"),
        (wire(reported_at="0001-01-01T00:00:00+14:00"), RejectReason.SHAPE, "pack_telemetry/1"),
        (wire(speed_kmh=30), RejectReason.SHAPE, "speed_kmh"),
        (wire(alarms=["Over Temperature"]), RejectReason.SHAPE, "alarms"),
        (wire(alarms=["a\n"]), RejectReason.SHAPE, "alarms"),
        (wire(alarms="smoke_or_gas"), RejectReason.SHAPE, "alarms"),
        (wire(padding="x" * 17_000), RejectReason.TOO_LARGE, "16384"),
    ],
)
def test_what_is_refused_and_why(payload: bytes, reason: RejectReason, words: str) -> None:
    found = read(payload)
    assert isinstance(found, Rejection)
    assert found.reason is reason
    assert words in found.text
    assert len(found.excerpt) <= 4 * 256


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "telemetry",
        TOPIC.replace("pune-1", "pune-2"),
        TOPIC + "/more",
        TOPIC + "\n",
        TOPIC.replace("BUS7", ""),
        TOPIC.replace("BUS7", "+"),
        TOPIC.replace("BUS7", "x" * 65),
        TOPIC.replace("v1", "v2"),
    ],
)
def test_foreign_topics_are_refused(topic: str) -> None:
    found = read(wire(), topic)
    assert isinstance(found, Rejection)
    assert found.reason is RejectReason.TOPIC


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "$SYS", "a b", "é", "x" * 65])
def test_ids_that_no_topic_can_hold(name: str) -> None:
    with pytest.raises(InvalidTelemetry):
        topic_of("pune-1", PackKey(name, "P1"))
    with pytest.raises(InvalidTelemetry):
        topics_of_all(name)


def test_refused_messages_are_counted_and_the_newest_kept() -> None:
    log = RejectionLog()
    for number in range(KEPT_REJECTIONS + 5):
        log.add(Rejection(RejectReason.SHAPE, str(number), "", "", NOW))
    assert log.counts == {RejectReason.SHAPE: KEPT_REJECTIONS + 5}
    assert [log.newest[0].text, len(log.newest)] == ["5", KEPT_REJECTIONS]
