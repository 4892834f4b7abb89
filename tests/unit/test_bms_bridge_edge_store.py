"""Messages that wait for the network: bounded, thinned before they are given up, and there again after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bms_bridge.edge import StoreError
from bms_bridge.edge.store import LEAST_BYTES, SEGMENT_BYTES, Store, thinned
from bms_bridge.edge.wire import BY_NAME, Block, Part, decode, encode

ROOT = Path(__file__).resolve().parents[2]
T = Part(BY_NAME["temperatures_c"], 4, 1)
ALARMS = Part(BY_NAME["alarms"], 1, 1)


def message(number: int, rows: int = 10) -> bytes:
    block = Block(
        boot=1,
        first_ms=number * 10_000,
        alarms=("smoke_or_gas",),
        parts=(T, ALARMS),
        ticks=tuple(k * 1000 for k in range(rows)),
        sequences=tuple(number * rows + k for k in range(rows)),
        rows=tuple((2500 + k * 37 % 90, 2400 + k * 51 % 90, 2300 + k * 17 % 90, 2200 + k * 71 % 90, int(k == 5)) for k in range(rows)),
    )
    return encode(block)


def open_store(folder: Path, most_bytes: int = LEAST_BYTES) -> Store:
    return Store(folder, most_bytes=most_bytes, durable=False)


def test_first_in_first_out_and_gone_once_confirmed(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        numbers = [store.put(message(k)) for k in range(5)]
        assert store.waiting(3) == numbers[:3]
        assert store.get(numbers[1]) == message(1)
        store.sent(numbers[1])
        store.sent(numbers[1])
        assert store.waiting(9) == [numbers[0], *numbers[2:]]
        assert store.get(numbers[1]) is None
        assert len(store) == 4
        for number in numbers:
            store.sent(number)
        assert (store.waiting(9), len(store)) == ([], 0)


def test_what_waits_is_there_again_and_the_boot_is_a_new_one(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for k in range(300):
            store.put(message(k))
        for number in store.waiting(120):
            store.sent(number)
        boot = store.boot
    with open_store(tmp_path) as again:
        assert len(again) == 180
        assert [again.get(number) for number in again.waiting(200)] == [message(k) for k in range(120, 300)]
        assert again.boot > boot
        assert again.put(message(300)) == 300


def test_a_record_that_was_cut_short_was_never_promised(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for k in range(3):
            store.put(message(k))
    (segment,) = tmp_path.glob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-5])
    with open_store(tmp_path) as again:
        assert [again.get(number) for number in again.waiting(9)] == [message(0), message(1)]
        again.put(message(7))
        assert [again.get(number) for number in again.waiting(9)][2:] == [message(7)]


def test_damage_costs_what_is_damaged(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        k = 0
        while len(list(tmp_path.glob("*.seg"))) < 3:
            store.put(message(k))
            k += 1
    first = sorted(tmp_path.glob("*.seg"))[0]
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 0xFF
    first.write_bytes(data)
    (tmp_path / "note").write_bytes(b"junk")
    with open_store(tmp_path) as again:
        found = [again.get(number) for number in again.waiting(10_000)]
        assert again.damaged > 0
        assert len(found) + again.damaged == k
        assert found[-1] == message(k - 1)
        for number in again.waiting(10_000):
            again.sent(number)
        assert len(again) == 0


def test_when_it_is_full_the_oldest_are_thinned_and_nothing_goes_without_a_word(tmp_path: Path) -> None:
    put = 0
    with open_store(tmp_path) as store:
        newest = b""
        while store.dropped < 18_000:
            newest = message(put, rows=50)
            store.put(newest)
            put += 1
            assert store.size <= LEAST_BYTES + SEGMENT_BYTES
        blocks = [decode(data) for number in store.waiting(100_000) if (data := store.get(number)) is not None]
        assert encode(blocks[-1]) == newest
    kept = sum(len(block.rows) for block in blocks)
    told = sum(block.dropped for block in blocks)
    assert kept + told == put * 50
    assert kept + store.dropped == put * 50
    ages = [len(block.rows) for block in blocks]
    assert ages[0] < ages[-1] == 50
    with open_store(tmp_path) as again:
        assert [again.get(number) for number in again.waiting(100_000)] == [encode(block) for block in blocks]


def test_thinning_keeps_the_hottest_and_what_alarmed() -> None:
    block = decode(message(0, rows=21))
    half = thinned(block)
    assert 11 <= len(half.rows) <= 15
    assert half.dropped == 21 - len(half.rows)
    assert {0, 5, 6, 20} <= set(half.sequences)
    hottest = max(index for row in block.rows for index in row[:4] if index is not None)
    assert any(hottest in row for row in half.rows)
    one = block.kept([3], dropped=0)
    assert thinned(one) == one


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(tmp_path / "file" / "below")
    with pytest.raises(StoreError, match="at least"):
        open_store(tmp_path, most_bytes=1000)
    with open_store(tmp_path / "good") as store, pytest.raises(StoreError, match="bytes cannot be kept"):
        store.put(b"")


CHILD = """
import sys
from pathlib import Path
from bms_bridge.edge.store import Store
sys.path.insert(0, "tests/unit")
from test_bms_bridge_edge_store import message
store = Store(Path(sys.argv[1]), most_bytes=8 << 20, durable=False)
k = 0
while True:
    store.put(message(k))
    k += 1
    print(k, flush=True)
    if k % 3 == 0:
        store.sent(store.waiting(1)[0])
"""


def test_killed_in_the_middle_it_has_what_it_promised(tmp_path: Path) -> None:
    promised = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if int(line) >= 200:
                    break
            os.kill(child.pid, signal.SIGKILL)
            promised += max([int(line), *(int(late) for late in child.stdout if late.endswith(b"\n"))])
    with open_store(tmp_path, 8 << 20) as store:
        numbers = store.waiting(100_000)
        assert store.damaged == 0
        assert all(store.get(number) is not None for number in numbers)
        confirmed = promised // 3 + 3
        assert len(numbers) >= promised - confirmed
