"""Frames out of bytes; places and rates at the limit server."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.limit_gate import BURST_S, PEERS_REMEMBERED, SILENT_S, Gate
from grid.modbus_frames import Frames, NotModbus


def gate(most: int = 4, most_per_peer: int = 2, per_s: float = 200.0) -> Gate:
    return Gate(most=most, most_per_peer=most_per_peer, per_s=per_s)


def test_a_peer_has_so_many_places_and_no_more() -> None:
    door = gate()
    assert door.place("a", writer=True, at_s=0)[0]
    assert door.place("a", writer=True, at_s=0)[0]
    assert door.place("a", writer=True, at_s=0) == (None, None)
    assert door.place("b", writer=False, at_s=0)[0]


def test_a_peer_that_comes_back_takes_the_place_of_its_own_dead_connection() -> None:
    door = gate()
    first, _ = door.place("a", writer=True, at_s=0)
    second, _ = door.place("a", writer=True, at_s=1)
    assert second is not None
    second.heard_s = 2
    third, gone = door.place("a", writer=True, at_s=SILENT_S)
    assert third is not None
    assert gone is first
    assert len(door.guests) == 2


def test_one_who_may_command_takes_the_place_of_a_reader_and_no_reader_that_of_another() -> None:
    door = gate(most=3)
    reader, _ = door.place("r", writer=False, at_s=0)
    door.place("r", writer=False, at_s=1)
    door.place("s", writer=False, at_s=1)
    assert door.place("t", writer=False, at_s=100) == (None, None)
    guest, gone = door.place("a", writer=True, at_s=2)
    assert guest is not None
    assert gone is reader
    door.left(guest)
    assert door.place("t", writer=False, at_s=100)[0]


def test_what_comes_faster_than_the_rate_waits_its_turn() -> None:
    door = gate(per_s=100)
    waits = [door.wait_s("a", write=False, at_s=0.0) for _ in range(125)]
    assert all(wait == 0 for wait in waits[: int(100 * BURST_S)])
    assert waits[-1] == pytest.approx(1.0)
    assert door.delayed == 100
    assert door.wait_s("b", write=False, at_s=0.0) == 0
    assert door.wait_s("a", write=True, at_s=0.0) == 0, "a command does not wait behind reads"
    assert door.wait_s("a", write=False, at_s=10.0) == 0


def test_without_a_rate_nobody_waits() -> None:
    door = gate(per_s=0)
    assert not any(door.wait_s("a", write=False, at_s=0.0) for _ in range(1000))


def test_peers_are_forgotten() -> None:
    door = gate()
    for n in range(3 * PEERS_REMEMBERED):
        door.wait_s(f"peer {n}", write=False, at_s=float(n))
    assert len(door._due) <= PEERS_REMEMBERED + 1


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 255), st.binary(min_size=1, max_size=253)), max_size=6), st.data())
def test_frames_are_the_same_however_the_bytes_come(sent: list[tuple[int, int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu for number, unit, pdu in sent)
    frames, found = Frames(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        frames.feed(stream[:size])
        stream = stream[size:]
        found += [(frame.transaction, frame.unit, frame.pdu) for frame in frames.complete()]
    assert found == sent
    assert not frames.begun


@pytest.mark.parametrize("header", [(1, 1, 6, 1), (1, 0, 1, 1), (1, 0, 255, 1), (0x4745, 0x5420, 0x2F20, 72)])
def test_what_is_no_modbus_is_said_after_the_frames_before_it(header: tuple[int, int, int, int]) -> None:
    frames = Frames()
    frames.feed(struct.pack(">HHHBB", 7, 0, 2, 1, 3) + struct.pack(">HHHB", *header))
    found = frames.complete()
    assert next(found).transaction == 7
    with pytest.raises(NotModbus):
        next(found)
