"""J1939-21 transport protocol, overheard: whole messages out of packets that come twice, mixed, late or never; and any frames at all."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge.can.frame import EVERYONE, CanFrame, destination_of, id_of, pgn_of, source_of
from bms_bridge.j1939_tp import CONTROL, DATA, FORGET_S, MOST_BYTES, MOST_OPEN, TpFault, TpMessage, TpReceiver

GROUP = 0x0200


def control(data: str, source: int = 0xF4, destination: int = 0x56, at_s: float = 0.0) -> CanFrame:
    return CanFrame(at_s, id_of(CONTROL, source=source, destination=destination, priority=7), True, bytes.fromhex(data))


def announced(size: int, *, source: int = 0xF4, destination: int = 0x56, at_s: float = 0.0, pgn: int = GROUP) -> CanFrame:
    kind = "20" if destination == EVERYONE else "10"
    packets = -(-size // 7)
    head = bytes.fromhex(kind) + size.to_bytes(2, "little") + bytes([packets, 0xFF]) + pgn.to_bytes(3, "little")
    return control(head.hex(), source, destination, at_s)


def packets(data: bytes, *, source: int = 0xF4, destination: int = 0x56, at_s: float = 0.0) -> list[CanFrame]:
    number = id_of(DATA, source=source, destination=destination, priority=7)
    parts = [data[i : i + 7].ljust(7, b"\xff") for i in range(0, len(data), 7)]
    return [CanFrame(at_s, number, True, bytes([n]) + part) for n, part in enumerate(parts, 1)]


def heard(receiver: TpReceiver, frames: list[CanFrame]) -> list[TpMessage]:
    return [message for frame in frames if (message := receiver.hear(frame)) is not None]


def test_identifiers_are_read_as_j1939_has_them() -> None:
    assert (pgn_of(0x1CEC56F4), source_of(0x1CEC56F4), destination_of(0x1CEC56F4)) == (0xEC00, 0xF4, 0x56)
    assert (pgn_of(0x18FEF1FE), destination_of(0x18FEF1FE)) == (0xFEF1, EVERYONE)
    assert id_of(0xEC00, source=0xF4, destination=0x56, priority=7) == 0x1CEC56F4
    assert id_of(0xFEF1, source=0xFE) == 0x18FEF1FE


def test_a_session_of_a_real_charge_becomes_its_message() -> None:
    """RTS, CTS, seven packets, acknowledgement, as a battery management system and a charger exchanged them; no VIN in it."""
    receiver = TpReceiver()
    frames = [
        control("10 31 00 07 FF 00 02 00"),
        control("11 07 01 FF FF 00 02 00", 0x56, 0xF4),
        *packets(bytes(range(49))),
        control("13 31 00 07 FF 00 02 00", 0x56, 0xF4),
    ]
    assert heard(receiver, frames) == [TpMessage(0.0, GROUP, 0xF4, 0x56, bytes(range(49)))]
    assert (receiver.open, receiver.done, dict(receiver.faults)) == (0, 1, {})


@given(st.binary(min_size=9, max_size=200), st.randoms(use_true_random=False), st.booleans())
def test_packets_in_any_order_and_twice_make_the_same_message(data: bytes, rng: random.Random, everyone: bool) -> None:
    destination = EVERYONE if everyone else 0x56
    sent = packets(data, destination=destination)
    last = sent[-1]
    mixed = [frame for frame in sent[:-1] for _ in range(rng.choice((1, 1, 2)))]
    rng.shuffle(mixed)
    receiver = TpReceiver()
    found = heard(receiver, [announced(len(data), destination=destination), *mixed, last])
    assert [message.data for message in found] == [data]


@given(st.binary(min_size=9, max_size=200), st.data())
def test_a_lost_packet_makes_no_message_until_it_is_sent_again(data: bytes, draw: st.DataObject) -> None:
    sent = packets(data)
    lost = draw.draw(st.integers(0, len(sent) - 1))
    receiver = TpReceiver()
    assert heard(receiver, [announced(len(data)), *sent[:lost], *sent[lost + 1 :]]) == []
    assert heard(receiver, [sent[lost]])[0].data == data


@given(st.lists(st.binary(min_size=9, max_size=60), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_senders_that_speak_at_once_are_kept_apart(messages: list[bytes], rng: random.Random) -> None:
    queues = [[announced(len(data), source=n), *packets(data, source=n)] for n, data in enumerate(messages)]
    mixed = []
    while any(queues):
        mixed.append(rng.choice([queue for queue in queues if queue]).pop(0))
    found = heard(TpReceiver(), mixed)
    assert {message.source: message.data for message in found} == dict(enumerate(messages))


frames = st.builds(
    CanFrame,
    st.floats(0, 10),
    st.one_of(
        st.integers(0, 0x1FFFFFFF),
        st.builds(id_of, st.sampled_from((CONTROL, DATA)), source=st.integers(0, 3), destination=st.sampled_from((0, 1, 2, 0xFF))),
    ),
    st.booleans(),
    st.one_of(
        st.binary(max_size=8),
        st.builds(
            lambda kind, size, count, pgn: bytes([kind]) + size.to_bytes(2, "little") + bytes([count, 0xFF]) + pgn.to_bytes(3, "little"),
            st.sampled_from((0x10, 0x11, 0x13, 0x20, 0xFF)), st.integers(0, 2000), st.integers(0, 255), st.integers(0, 0xFFFFFF),
        ),
    ),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(frames, max_size=120))
def test_no_frames_whatsoever_raise_or_grow(stream: list[CanFrame]) -> None:
    receiver = TpReceiver(most_open=3)
    for frame in stream:
        message = receiver.hear(frame)
        assert receiver.open <= 3
        assert message is None or 9 <= len(message.data) <= MOST_BYTES


def test_a_flood_of_announcements_costs_a_bounded_number_of_messages() -> None:
    receiver = TpReceiver()
    for n in range(5000):
        receiver.hear(announced(1785, source=n % 250, destination=n // 250, at_s=n / 1e6))
    assert receiver.open == MOST_OPEN
    assert receiver.faults[TpFault.TOO_MANY] == 5000 - MOST_OPEN


@pytest.mark.parametrize(
    ("spoilt", "fault"),
    [
        ([control("10 31 00 06 FF 00 02 00")], TpFault.ANNOUNCEMENT),  # 49 bytes are seven packets
        ([control("10 05 00 01 FF 00 02 00")], TpFault.ANNOUNCEMENT),  # five bytes need no transport
        ([control("20 31 00 07 FF 00 02 00")], TpFault.ANNOUNCEMENT),  # to all, but addressed
        ([control("10 31 00 07")], TpFault.SHORT),
        (packets(bytes(9))[:1], TpFault.UNANNOUNCED),
        ([announced(9), packets(bytes(21))[2]], TpFault.NUMBER),
        ([announced(21), packets(bytes(21))[0], packets(b"\x01" * 21)[0]], TpFault.CONTRADICTION),
        ([announced(9), announced(9)], TpFault.REPLACED),
        ([announced(9), control("FF 01 FF FF FF 00 02 00", 0x56, 0xF4)], TpFault.ABORTED),
        ([announced(9), packets(bytes(9), at_s=FORGET_S + 0.01)[0]], TpFault.TIMED_OUT),
    ],
    ids=lambda value: value.value if isinstance(value, TpFault) else "",
)
def test_what_cannot_be_is_counted_with_its_reason(spoilt: list[CanFrame], fault: TpFault) -> None:
    receiver = TpReceiver()
    assert heard(receiver, spoilt) == []
    assert receiver.faults == {fault: 1}
