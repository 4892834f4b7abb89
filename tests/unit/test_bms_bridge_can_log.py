"""Log files of many formats, cut short or odd ones too; and clocks that stand still, jump or begin at zero, repaired and said."""

from __future__ import annotations

import gzip
import tempfile
from itertools import pairwise
from pathlib import Path

import can
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge.can import UnreadableLog
from bms_bridge.can.frame import CanFrame
from bms_bridge.can.log_file import LogFile
from bms_bridge.can.times import AHEAD_S, STUCK_FRAMES, TimeRepair
from bms_bridge.gbt27930 import CYCLES_S

BCL, BSM = 0x181056F4, 0x181356F4
AT_S = 1_700_000_000.0
SENT = [(AT_S + 0.25 * n, 0x100 + n, n % 2 == 0, bytes(range(n))) for n in range(9)]


def frames(*, cycles_s: dict[int, float] | None = None, stream: list[tuple[float, int]]) -> tuple[list[CanFrame], TimeRepair]:
    repair = TimeRepair(cycles_s or {})
    found = [ready for at_s, number in stream for ready in repair.feed(CanFrame(at_s, number, True, b""))]
    return found + repair.flush(), repair


# -- clocks ---------------------------------------------------------------------------------------------------------------


def test_a_sound_clock_is_left_alone() -> None:
    stream = [(AT_S + 0.01 * n, BCL) for n in range(300)]
    found, repair = frames(stream=stream)
    assert [(frame.at_s, frame.can_id) for frame in found] == stream
    assert not any(frame.estimated for frame in found)
    assert (repair.report.sound, repair.report.texts()) == (True, [])


def test_a_clock_that_stands_still_is_told_by_frames_of_known_period() -> None:
    """As in logs of GB/T 27930 that have one stamp on every line: BCL goes out each 50 ms, BSM each 250 ms."""
    stream = [(AT_S, number) for n in range(100) for number in ([BCL, BSM] if n % 5 == 0 else [BCL])]
    found, repair = frames(stream=stream, cycles_s=dict(CYCLES_S))
    assert [frame.at_s for frame in found if frame.can_id == BCL] == pytest.approx([AT_S + 0.05 * n for n in range(100)])
    assert all(frame.estimated for frame in found)
    assert repair.report.stuck == len(found) == 120
    assert "estimated by the periods of frames that are sent regularly" in repair.report.texts()[0]


def test_a_clock_that_stands_still_among_unknown_frames_keeps_the_order_only() -> None:
    found, repair = frames(stream=[(AT_S, n % 7) for n in range(200)])
    assert [frame.at_s for frame in found] == sorted(frame.at_s for frame in found)
    assert found[-1].at_s > AT_S
    assert "order holds, durations do not" in repair.report.texts()[0]


def test_a_few_frames_of_one_stamp_are_no_clock_that_stands_still() -> None:
    stream = [(AT_S + n // (STUCK_FRAMES - 1), n) for n in range(3 * (STUCK_FRAMES - 1))]
    found, repair = frames(stream=stream)
    assert [frame.at_s for frame in found] == [at_s for at_s, _ in stream]
    assert repair.report.sound


def test_a_clock_that_goes_on_after_it_stood_never_goes_back() -> None:
    stream = [(AT_S, BCL)] * 200 + [(AT_S + 1 + 0.05 * n, BCL) for n in range(100)]
    found, _ = frames(stream=stream, cycles_s=dict(CYCLES_S))
    times = [frame.at_s for frame in found]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(199 * 0.05 + 99 * 0.05)


@pytest.mark.parametrize("jump_s", [-86_400.0, -10.0, AHEAD_S + 1])
def test_a_clock_that_jumps_goes_on_from_where_it_was(jump_s: float) -> None:
    stream = [(AT_S + n, BCL) for n in range(10)] + [(AT_S + 10 + jump_s + n, BCL) for n in range(10)]
    found, repair = frames(stream=stream)
    times = [frame.at_s for frame in found]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(18)
    assert (repair.report.jumps, sum(frame.estimated for frame in found)) == (1, 10)
    assert "jumped once" in repair.report.texts()[0]


def test_slight_disorder_and_times_that_begin_at_zero_are_told() -> None:
    found, repair = frames(stream=[(0.0, 1), (0.2, 1), (0.1, 2), (0.3, 1)])
    assert [frame.at_s for frame in found] == [0.0, 0.2, 0.2, 0.3]
    assert repair.report.relative
    assert ["near 1970" in repair.report.texts()[0], "out of order" in repair.report.texts()[1]] == [True, True]


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0, 1e9, -5.0]) | st.floats(-1e12, 1e12), st.sampled_from([BCL, 1])), max_size=300))
def test_whatever_the_stamps_no_frame_is_lost_and_time_never_goes_back(stream: list[tuple[float, int]]) -> None:
    found, repair = frames(stream=stream, cycles_s=dict(CYCLES_S))
    assert [frame.can_id for frame in found] == [number for _, number in stream]
    assert repair.report.frames == len(stream)
    assert all(a.at_s <= b.at_s for a, b in pairwise(found))


# -- files ----------------------------------------------------------------------------------------------------------------


def written(path: Path) -> Path:
    """A log as python-can's own writers make it."""
    with can.Logger(path) as log:
        for at_s, number, extended, data in SENT:
            log(can.Message(timestamp=at_s, arbitration_id=number, is_extended_id=extended, data=data[:8], channel=0))
    return path


@pytest.mark.parametrize("name", ["drive.log", "drive.asc", "drive.blf", "drive.csv", "drive.trc", "drive.asc.gz", "drive.log.gz"])
def test_logs_of_every_kind_are_read(name: str, tmp_path: Path) -> None:
    log = LogFile(written(tmp_path / name))
    found = list(log)
    assert [(frame.can_id, frame.extended, frame.data) for frame in found] == [(n, e, d[:8]) for _, n, e, d in SENT]
    assert found[-1].at_s - found[0].at_s == pytest.approx(2.0, abs=0.01)
    assert log.problems == []


def test_both_ways_in_which_candump_writes_are_read_and_other_lines_are_told(tmp_path: Path) -> None:
    path = tmp_path / "odd.log"
    lines = [
        "(1700000000.000000) can0 1826F456#010100",
        "(1700000000.100000)  can0  1826F456   [3]  01 01 00",
        "(1700000000.200000)  can0  123   [2]  AB CD   '..'",
        "(1700000000.300000) can0 123#",
        "(1700000000.400000) can0 123##1AABB",
        "(1700000000.500000) can0 123#R",
        "hello",
        "(1700000000.600000) can0 123#ABC",
        "(1700000000.7",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    log = LogFile(path)
    assert [(frame.can_id, frame.extended, frame.data.hex()) for frame in log] == [
        (0x1826F456, True, "010100"), (0x1826F456, True, "010100"), (0x123, False, "abcd"), (0x123, False, ""), (0x123, False, "aabb"),
    ]  # fmt: skip
    assert (log.skipped, log.other_frames) == (3, 1)
    assert log.problems[0] == "line 7 is no frame: 'hello'"
    assert log.problems[-1] == "lines passed over, as they are no frames: 3"


def test_a_binary_log_that_is_cut_short_gives_what_came_before_and_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "whole.blf")
    cut = tmp_path / "cut.blf"
    cut.write_bytes(path.read_bytes()[:-20])
    log = LogFile(cut)
    assert 0 < len(list(log)) < len(SENT)
    assert log.problems[0].startswith("it is cut short: ")
    cut.write_bytes(path.read_bytes()[:150])
    with pytest.raises(UnreadableLog, match=r"cut\.blf"):
        list(LogFile(cut))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.log", None, "there is no such file"),
        ("drive.pcap", b"x", "a log ends in"),
        ("empty.log", b"", "there is no frame in it"),
        ("noise.log", b"\xff\xfe\x00" * 50, "is no frame"),
        ("noise.asc", b"\xff\xfe\x00" * 50, "there is no frame in it"),
        ("noise.log.gz", b"no gzip", "it cannot be read further"),
    ],
)
def test_what_is_no_log_is_refused_with_a_reason(name: str, content: bytes | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableLog, match=told):
        list(LogFile(path))


def test_mf4_without_its_library_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "drive.mf4"
    path.write_bytes(b"MDF     4.10    ")
    with pytest.raises(UnreadableLog, match="asammdf"):
        list(LogFile(path))


def test_a_bomb_of_one_line_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "bomb.log.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"0" * 3_000_000 + b"\n(1700000000.000000) can0 123#01\n")
    log = LogFile(path)
    assert len(list(log)) == 1
    assert len(log.problems) < 10


@settings(max_examples=40)
@given(st.binary(max_size=400))
def test_no_bytes_in_a_log_raise_anything_else(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("log", "asc", "blf", "trc", "csv"):
            path = Path(folder) / f"odd.{kind}"
            path.write_bytes(b"(1.0) can0 123#01\n" + content if kind == "log" else content)
            try:
                list(LogFile(path))
            except UnreadableLog as error:
                assert str(path) in str(error)  # noqa: PT017  # some are readable
