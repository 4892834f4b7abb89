"""The latch file under kill -9 of its writer, a full disk, cut-off and damaged lines."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Cause, Trip
from depot.values import PackKey

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
A, B, C = (PackKey(f"BUS{n}", "P1") for n in (1, 2, 3))

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Cause, Trip
from depot.values import PackKey

with LatchFile.open(Path(sys.argv[1])) as latches:
    print("ready", flush=True)
    for n in range(int(sys.argv[2]), 100_000):
        pack = PackKey(f"BUS{n}", "P1")
        latches.trip(Trip(pack, Cause.OVER_TEMPERATURE, {"hottest_c": "61"}), datetime.now(UTC))
        print(f"tripped {n}", flush=True)
        if n % 3 == 0:
            latches.reset(pack, datetime.now(UTC), person="Asha Rao", role="safety officer", reason="cooled down, looked at")
            print(f"reset {n}", flush=True)
"""


def trip(pack: PackKey) -> Trip:
    return Trip(pack, Cause.BMS_ALARM, {"alarms": "smoke_or_gas"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "latches"


def written(path: Path, *packs: PackKey) -> bytes:
    with LatchFile.open(path) as latches:
        for pack in packs:
            latches.trip(trip(pack), AT)
    return path.read_bytes()


def test_a_killed_writer_loses_no_trip_and_no_reset(path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed={seed}")
    rng = random.Random(seed)
    tripped: set[int] = set()
    freed: set[int] = set()
    for start in range(0, 5000, 1000):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(start)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(rng.randint(2, 60)):
            _say(writer.stdout.readline(), tripped, freed)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            _say(line, tripped, freed)
        writer.stdout.close()
        assert writer.wait(20) == -signal.SIGKILL
        with LatchFile.open(path) as latches:
            found = {int(pack.vehicle_id.removeprefix("BUS")) for pack in latches.latched}
            assert not latches.problems
        # one more may be on the disk than was told, of each kind
        assert len((tripped - freed) - found) <= 1
        assert len(found - (tripped - freed)) <= 1
        assert found.isdisjoint(freed)
        tripped |= found
        freed |= tripped - found


def _say(line: str, tripped: set[int], freed: set[int]) -> None:
    if line.endswith("\n") and " " in line:
        word, number = line.split()
        (tripped if word == "tripped" else freed).add(int(number))


def test_a_trip_that_was_told_is_there_after_the_kill(path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "1"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert [writer.stdout.readline() for _ in range(2)] == ["ready\n", "tripped 1\n"]
    writer.kill()
    writer.stdout.close()
    writer.wait(20)
    with LatchFile.open(path) as latches:
        assert PackKey("BUS1", "P1") in latches.latched


@pytest.mark.parametrize("cut", range(1, 200, 7))
def test_a_line_that_was_cut_short_is_no_damage_and_its_trip_holds_if_it_can_be_read(path: Path, cut: int) -> None:
    data = written(path, A, B)
    first = data.index(b"\n") + 1
    kept = min(first + cut, len(data) - 1)
    path.write_bytes(data[:kept])
    with LatchFile.open(path) as latches:
        assert not latches.problems
        assert A in latches.latched
        assert (B in latches.latched) == (b'"pack_id":"P1"' in data[first:kept])
        latches.trip(trip(C), AT)
    with LatchFile.open(path) as again:
        assert not again.problems
        assert {A, C} <= set(again.latched)


def test_a_reset_that_was_cut_short_did_not_happen(path: Path) -> None:
    written(path, A)
    with LatchFile.open(path) as latches:
        latches.reset(A, AT, person="Asha Rao", role="admin", reason="looked at")
        assert not latches.latched
    path.write_bytes(path.read_bytes()[:-20])
    with LatchFile.open(path) as latches:
        assert set(latches.latched) == {A}


def test_every_damaged_byte_is_told_and_frees_nobody(path: Path) -> None:
    data = written(path, A, B, C)
    for position in range(0, len(data) - 1, 5):
        if data[position] == 10:
            continue
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with LatchFile.open(path) as latches:
            assert len(latches.problems) == 1
            assert len(latches.latched) >= 2
            named = [pack for pack in (A, B, C) if latches.problems[0].endswith(f"names {pack}")]
            assert all(latches.latched[pack].trip.cause is Cause.DAMAGED_LATCH for pack in named)


def test_a_damaged_reset_leaves_its_pack_tripped_until_it_is_reset_again(path: Path) -> None:
    written(path, A)
    with LatchFile.open(path) as latches:
        latches.reset(A, AT, person="Asha Rao", role="admin", reason="looked at")
        latches.trip(trip(B), AT)
    path.write_bytes(path.read_bytes().replace(b"looked at", b"looked ax"))
    with LatchFile.open(path) as latches:
        assert set(latches.latched) == {A, B}
        assert "line 2" in latches.problems[0]
        latches.reset(A, AT, person="Asha Rao", role="admin", reason="looked at again")
    with LatchFile.open(path) as again:
        assert set(again.latched) == {B}


def test_a_file_of_junk_is_told(path: Path) -> None:
    path.write_bytes(os.urandom(500).replace(b"\n", b"x") + b"\n")
    with LatchFile.open(path) as latches:
        assert "look at every vehicle" in latches.problems[0]


def test_a_second_trip_keeps_the_first_one_s_evidence(path: Path) -> None:
    with LatchFile.open(path) as latches:
        latches.trip(Trip(A, Cause.OVER_TEMPERATURE, {"hottest_c": "61"}), AT)
        latches.trip(trip(A), AT)
    with LatchFile.open(path) as again:
        assert again.latched[A].trip.evidence == {"hottest_c": "61"}
        assert again.latched[A].since == AT


FULL = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Cause, Trip
from depot.values import PackKey

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with LatchFile.open(Path(sys.argv[1])) as latches:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size + 100, hard))
    try:
        latches.trip(Trip(PackKey("BUS2", "P1"), Cause.BMS_ALARM, {"alarms": "x" * 500}), datetime.now(UTC))
    except OSError as error:
        print("refused", flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    latches.trip(Trip(PackKey("BUS3", "P1"), Cause.BMS_ALARM), datetime.now(UTC))
"""


def test_a_full_disk_leaves_no_half_line(path: Path) -> None:
    """The quota is a real one: the process may not write beyond a size."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    written(path, A)
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "refused\n"
    with LatchFile.open(path) as latches:
        assert not latches.problems
        assert set(latches.latched) == {A, C}


def test_only_its_owner_reads_it(path: Path) -> None:
    written(path, A)
    assert path.stat().st_mode & 0o077 == 0
