"""The payload on the wire: what is taken, what is refused and with which words."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bms_bridge import InvalidTelemetry
from bms_bridge.contract import (
    KEPT_REJECTIONS,
    Message,
    PackSample,
    Rejection,
    RejectionLog,
    RejectReason,
    numbered,
    parse,
    topic_of,
    topics_of_all,
)
from bms_bridge.contract import read as read_all
from bms_bridge.edge.wire import BY_NAME, Block, Part, as_history, encode
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


def test_everything_that_a_sample_of_version_2_can_have() -> None:
    numbers = {"soc": 0.4, "current_a": -3.5, "voltage_v": 620.0, "cell_min_v": 3.2, "cell_max_v": 3.3}
    numbers |= {"insulation_ohm": 1.2e6, "limit_a": 180.0, "limit_v": 700.0, "soh": 0.91}
    more = {
        "cells_v": [3.2, None, 3.3],
        "balancing_a": [0, None, 0.08],
        "stop": True,
        "firmware": "4.2 b7",
        "boot": 3,
        "sequence": 9,
        "history": True,
    }
    found = read(wire(schema="pack_telemetry/2", **numbers, **more, alarms=["cooling_fault"]))
    assert isinstance(found, PackSample)
    assert {name: getattr(found, name) for name in numbers} == numbers
    assert (found.cells_v, found.stop, found.firmware) == ((3.2, None, 3.3), True, "4.2 b7")
    assert found.balancing_a == (0.0, None, 0.08)
    assert (found.sequence, found.retained) == (numbered(3, 9), True)


def test_the_packed_form_brings_many_samples_at_once() -> None:
    soc = Part(BY_NAME["soc"], 1, 10)
    block = Block(
        boot=3,
        firmware="4.2",
        first_ms=1_763_667_720_500,
        dropped=2,
        parts=(soc,),
        ticks=(0, 1000),
        sequences=(4, 5),
        rows=((400,), (401,)),
    )
    found = read_all("pune-1", TOPIC, encode(block), received_at=NOW)
    assert isinstance(found, Message)
    assert [(s.soc, s.sequence, s.pack, s.firmware, s.retained) for s in found.samples] == [
        (0.4, numbered(3, 4), PACK, "4.2", False),
        (0.401, numbered(3, 5), PACK, "4.2", False),
    ]
    assert found.samples[1].reported_at == datetime(2025, 11, 20, 19, 42, 1, 500_000, tzinfo=UTC)
    assert (found.dropped, found.packed) == (2, True)
    late = read_all("pune-1", TOPIC, as_history(encode(block)), received_at=NOW)
    assert isinstance(late, Message)
    assert all(sample.retained for sample in late.samples)
    assert read(encode(block)) == found.samples[1]


def test_counts_grow_over_all_starts_and_fit_63_bits() -> None:
    assert numbered(0, 0) < numbered(0, 2**31 - 1) < numbered(1, 0) < numbered(2**32 - 1, 2**31 - 1) < 2**63


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        (b"", RejectReason.NOT_JSON, "no JSON object"),
        (b"[]", RejectReason.NOT_JSON, "no JSON object"),
        (b'{"schema": 1}', RejectReason.NOT_JSON, "schema"),
        (b'{"schema": "\xff"}', RejectReason.NOT_JSON, "no JSON object"),
        (b"[" * 10_000, RejectReason.NOT_JSON, "no JSON object"),
        (wire(schema="pack_telemetry/3"), RejectReason.UNKNOWN_SCHEMA, "send pack_telemetry/2"),
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
        (wire(schema="pack_telemetry/2", cells_v=[3.3] * 1025), RejectReason.SHAPE, "length <= 1024"),
        (wire(schema="pack_telemetry/2", stop=1), RejectReason.SHAPE, "stop"),
        (wire(schema="pack_telemetry/2", firmware="ü"), RejectReason.SHAPE, "firmware"),
        (wire(schema="pack_telemetry/2", sequence=4), RejectReason.SHAPE, "belong together"),
        (wire(schema="pack_telemetry/2", boot=2**32, sequence=4), RejectReason.SHAPE, "boot"),
        (b"\xc1\x02 and then nothing of use", RejectReason.NOT_PACKED, "checksum"),
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
