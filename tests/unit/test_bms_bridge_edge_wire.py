"""The compact form of telemetry: both ways, byte by byte, and whatever a stranger sends."""

from __future__ import annotations

import random
import time
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge.edge import WireError
from bms_bridge.edge.recorder import Habits, Recorder
from bms_bridge.edge.wire import (
    BY_NAME,
    EXACT,
    GROUPS,
    MOST_BYTES,
    MOST_INDEX,
    MOST_MS,
    MOST_ROWS,
    MOST_VALUES,
    Block,
    Part,
    Reading,
    as_history,
    decode,
    encode,
    is_packed,
)

T = BY_NAME["temperatures_c"]
SMALL = Block(
    boot=7,
    firmware="4.2",
    first_ms=1_000,
    parts=(Part(T, 2, 10), Part(BY_NAME["soc"], 1, 10)),
    ticks=(0, 1000, 2000, 3500),
    sequences=(5, 6, 7, 9),
    rows=((310, 312, 620), (310, 313, 620), (None, 313, 620), (309, 313, 619)),
)

indices = st.one_of(st.none(), st.integers(-50, 50), st.integers(1 - MOST_INDEX, MOST_INDEX - 1))


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    groups = draw(st.lists(st.sampled_from(GROUPS), unique=True, max_size=5))
    groups.sort(key=lambda group: group.id)
    parts = tuple(
        Part(group, draw(st.integers(1, min(group.most, 6))), 1 if group.name in EXACT else draw(st.sampled_from([1, 10, 1000])))
        for group in groups
    )
    width = sum(part.width for part in parts)
    count = draw(st.integers(1, 12))
    rows: list[tuple[int | None, ...]] = []
    for _ in range(count):
        row = tuple(draw(st.lists(indices, min_size=width, max_size=width)))
        rows.append(rows[-1] if rows and draw(st.booleans()) else row)
    ticks = [0, *draw(st.lists(st.integers(0, 10**7), min_size=count - 1, max_size=count - 1))]
    gaps = draw(st.lists(st.integers(1, 1000), min_size=count - 1, max_size=count - 1))
    sequences = [draw(st.integers(0, 10**6))]
    for gap in gaps:
        sequences.append(sequences[-1] + gap)
    return Block(
        boot=draw(st.integers(0, 2**32 - 1)),
        firmware=draw(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=48)),
        history=draw(st.booleans()),
        dropped=draw(st.integers(0, 2**31 - 1)),
        first_ms=draw(st.integers(0, 10**13)),
        tick_ms=draw(st.integers(1, 1000)),
        alarms=tuple(draw(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), unique=True, max_size=4))),
        parts=parts,
        ticks=tuple(ticks),
        sequences=tuple(sequences),
        rows=tuple(rows),
    )


@settings(max_examples=150, deadline=None)
@given(blocks())
def test_what_is_read_is_what_was_written(block: Block) -> None:
    data = encode(block)
    if len(data) <= MOST_BYTES:
        assert decode(data) == block
        assert decode(as_history(data)) == replace(block, history=True)


def test_byte_by_byte_as_the_page_says() -> None:
    body = b"".join(
        map(
            bytes,
            (
                [0xC1, 2, 0, 7, 5, 0, 0xE8, 0x07, 1, 4],  # mark, version, flags, boot, sequence, dropped, 1000 ms, tick, rows
                [3, *b"4.2", 0],  # firmware, no alarms
                [2, 1, 2, 10, 3, 1, 10],  # two groups: 1 with two signals in steps of 0.1 °C, 3 with one in steps of 0.001
                [0xA1, 0x1F, 0x00, 0xD1, 0x0F],  # times: 1000 after 0, one zero, 500 more
                [0x02, 0x05],  # sequences: two zeros, one skipped
                [0xED, 0x04, 5, 0xD9, 0x09],  # 310; 2 more; 620
                [1, 2, 0x08, 0x04],  # the first signal: two changes: none, after one row without a change; then 1 less
                [1, 1, 0x05],  # the next one: one change, 1 more
                [1, 1, 0x14, 0],  # the next one: after two rows without, 1 less; end
            ),
        )
    )
    assert encode(SMALL) == body + zlib.crc32(body).to_bytes(4, "little")


def test_readings_carry_units_and_share_what_did_not_change() -> None:
    (number, first), (_, second), (_, third), (last, fourth) = decode(encode(SMALL)).readings()
    assert (number, last) == (5, 9)
    assert first == Reading(at_ms=1_000, temperatures_c=(31.0, 31.2), soc=0.62)
    assert (second.at_ms, second.temperatures_c, third.temperatures_c) == (2_000, (31.0, 31.3), (None, 31.3))
    assert (fourth.at_ms, fourth.temperatures_c, fourth.soc) == (4_500, (30.9, 31.3), 0.619)
    wide = replace(SMALL, rows=(SMALL.rows[0],) * 4)
    readings = [reading for _, reading in wide.readings()]
    assert all(reading.temperatures_c is readings[0].temperatures_c for reading in readings)


def test_alarms_and_stop() -> None:
    block = Block(
        boot=1,
        first_ms=0,
        alarms=("cooling_fault", "smoke_or_gas"),
        parts=(Part(BY_NAME["stop"], 1, 1), Part(BY_NAME["alarms"], 1, 1)),
        ticks=(0, 1, 2),
        sequences=(0, 1, 2),
        rows=((0, 0), (1, 2), (0, 3)),
    )
    said = [(reading.stop, reading.alarms) for _, reading in decode(encode(block)).readings()]
    assert said == [(False, ()), (True, ("smoke_or_gas",)), (False, ("cooling_fault", "smoke_or_gas"))]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"boot": 2**32}, "boot"),
        ({"sequences": (5, 5, 6, 7)}, "grow"),
        ({"sequences": (2**31 - 1, 2**31, 2**31 + 1, 2**31 + 2)}, "sequence"),
        ({"first_ms": -1}, "time"),
        ({"first_ms": MOST_MS}, "9999"),
        ({"tick_ms": 0}, "tick"),
        ({"firmware": "ü"}, "firmware"),
        ({"alarms": ("Hot",)}, "alarms"),
        ({"parts": SMALL.parts[::-1]}, "order"),
        ({"parts": (Part(T, 65, 1),)}, "65 signals"),
        ({"parts": (Part(BY_NAME["stop"], 1, 2),)}, "steps of 2"),
        ({"rows": ((1, 2),) * 4}, "another number"),
        ({"rows": ((MOST_INDEX, 2, 3),) * 4}, "bounds"),
        ({"rows": SMALL.rows[:3]}, "each row"),
        ({"rows": (), "ticks": (), "sequences": ()}, "0 rows"),
    ],
)
def test_what_the_form_cannot_hold_is_said(changes: dict[str, object], words: str) -> None:
    with pytest.raises(WireError, match=words):
        encode(replace(SMALL, **changes))  # type: ignore[arg-type]  # any field


def sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


GOOD = encode(SMALL)[:-4]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a packed message"),
        (b"\xc1", "not a packed message"),
        (b"{}" * 10, "not a packed message"),
        (bytes((0xC1, 3)) + bytes(20), "version 3"),
        (encode(SMALL)[:-1], "checksum"),
        (bytes(MOST_BYTES + 1), "at most"),
        (sealed(GOOD + b"\0"), "follow the end"),
        (sealed(GOOD[:-1]), "ends in the middle"),
        (sealed(GOOD[:2] + b"\x80" + GOOD[3:]), "flags"),
        (sealed(GOOD[:3] + b"\xff" * 12), "ten bytes"),
        (sealed(GOOD[:3] + b"\xff\xff\xff\xff\xff\x01"), "boot is"),
        (sealed(GOOD[:9] + b"\x00" + GOOD[10:]), "number of rows"),
        (sealed(GOOD[:10] + b"\x31" + b"x" * 0x31), "firmware"),
    ],
)
def test_what_is_refused_and_why(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        decode(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_with_a_fitting_checksum_raise_nothing_else(tail: bytes) -> None:
    try:
        block = decode(sealed(bytes((0xC1, 2)) + tail))
    except WireError:
        return
    assert len(list(block.readings())) == len(block.rows)


def test_ten_thousand_damaged_messages_raise_nothing_else_and_stay_small() -> None:
    rng = random.Random(1)
    good = encode(replace(SMALL, rows=SMALL.rows))[:-4]
    for _ in range(10_000):
        body = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            match rng.randrange(3):
                case 0:
                    body[rng.randrange(2, len(body))] = rng.randrange(256)
                case 1:
                    body.insert(rng.randrange(2, len(body)), rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256))))
                case 2:
                    del body[rng.randrange(2, len(body))]
        try:
            block = decode(sealed(bytes(body)))
        except WireError:
            continue
        assert len(block.rows) <= MOST_ROWS
        assert len(block.rows) * block.columns <= MOST_VALUES


def test_the_most_that_few_bytes_can_make_is_bounded() -> None:
    cells = Part(BY_NAME["cells_v"], 1024, 10)
    most = Block(boot=0, first_ms=0, parts=(cells,), ticks=tuple(range(64)), sequences=tuple(range(64)), rows=((3300,) * 1024,) * 64)
    data = encode(most)
    assert len(data) < 1100
    began = time.perf_counter()
    assert len(list(decode(data).readings())) == 64
    assert time.perf_counter() - began < 1.0
    head = bytes((0xC1, 2, 0, 0, 0, 0, 0, 1, 65, 0, 0, 1, 2, 0x80, 8, 10))
    with pytest.raises(WireError, match="at most 65536 values"):
        decode(sealed(head + bytes(2000)))


def test_json_is_told_from_it() -> None:
    assert is_packed(encode(SMALL))
    assert not is_packed(b"{}")
    assert not is_packed(b"")
    with pytest.raises(UnicodeDecodeError):
        encode(SMALL).decode("utf-8")


def test_balancing_has_a_place_of_its_own() -> None:
    recorder = Recorder(Habits(boot=1))
    packets = [*recorder.put(Reading(at_ms=1_000, cells_v=(3.3, 3.31), balancing_a=(0.0, 0.083))), *recorder.flush()]
    told = [reading for packet in packets for _, reading in decode(packet.data).readings()]
    assert told[0].balancing_a == pytest.approx((0.0, 0.085), abs=0.003)
