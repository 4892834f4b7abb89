"""The registers as data: the chain is dense, values survive coding, the definition file and the standard agree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sunspec2.device
from hypothesis import given
from hypothesis import strategies as st

import grid.limit_model as model
import grid.registers as registers
from grid.limit_model import BASE, BLOCK, CHAIN, END, SLOTS, STOP, AckState, LimitState
from grid.registers import Model, Point, PointType

DEFINITION = Path(model.__file__).with_name("model_64900.json")


def test_the_chain_has_no_gap_and_no_overlap() -> None:
    following = BASE + 2
    for part in CHAIN:
        assert part.address == following
        offset = 0
        for point in part.points:
            assert point.offset == offset, (part.model_id, point.name)
            offset += point.size
        assert offset == part.length + 2
        following += offset
    assert following + 2 == STOP
    assert len(model.image({})) == STOP - BASE


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("WLimEna", 40188),
        ("WLim", 40190),
        ("CtlHb", 40200),
        ("CmdSeq", 40204),
        ("FsWLim", 40206),
        ("HbTms", 40210),
        ("AckSeq", 40212),
        ("LimSt", 40216),
        ("WLimEff", 40218),
        ("WImp", 40222),
        ("WDemAvg", 40232),
        ("Compl", 40237),
        ("Alm", 40248),
        ("W_SF", 40250),
    ],
)
def test_points_lie_where_they_were_promised(name: str, address: int) -> None:
    assert BLOCK.address_of(name) == address


def test_wide_points_are_even_aligned_and_the_commit_stands_after_all_that_it_commits() -> None:
    for point in BLOCK.points:
        assert point.size == 1 or (BLOCK.address + point.offset) % 2 == 0
    before = {point.name for point in BLOCK.points if point.writable and point.offset < BLOCK.point("CmdSeq").offset}
    assert before == {"WLimEna", "WLimEnaRvrt", "WLim", "WLimRvrt", "WLimRvrtTms", "StrTms", "WRmpTms", "Rsn", "CtlHb", "EvtId"}


@pytest.mark.parametrize("part", [part for part in CHAIN if part is not BLOCK], ids=lambda part: str(part.model_id))
def test_standard_models_are_laid_out_as_the_standard_says(part: Model) -> None:
    offset = 0
    for ours, theirs in zip(part.points, sunspec2.device.get_model_def(part.model_id)["group"]["points"], strict=True):
        assert (ours.offset, str(ours.kind), ours.size) == (offset, theirs["type"], theirs["size"])
        assert ours.name in ("", theirs["name"])
        offset += theirs["size"]


def test_the_definition_file_is_what_the_code_says() -> None:
    assert json.loads(DEFINITION.read_text(encoding="utf-8")) == model.definition(), "write it again with grid.limit_model.definition()"


def numeric() -> list[Point]:
    return [slot.point for slot in SLOTS.values() if slot.word == 0 and slot.point.kind not in (PointType.STRING, PointType.ACC32)]


@given(st.sampled_from(numeric()), st.integers(-(2**40), 2**40))
def test_any_number_is_cut_to_the_nearest_that_fits_and_never_wraps(point: Point, value: int) -> None:
    bits = 16 * point.size
    signed = point.kind in (PointType.INT16, PointType.INT32, PointType.SUNSSF)
    least, most = (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - (1 if point.most == 0xFFFF_FFFF else 2))
    words = registers.encode(point, value)
    assert len(words) == point.size
    if not (point.kind is PointType.PAD and max(0, value) == 0x8000):
        assert registers.decode(point, words) == max(least, min(value, most))


@given(st.sampled_from([point for point in numeric() if point.most != 0xFFFF_FFFF]))
def test_what_is_not_known_reads_not_implemented(point: Point) -> None:
    assert registers.decode(point, registers.encode(point, None)) is None


def test_text_is_cut_and_padded() -> None:
    point = CHAIN[0].point("Vr")
    assert registers.encode(point, "ab") == [0x6162, 0, 0, 0, 0, 0, 0, 0]
    assert len(registers.encode(point, "x" * 99)) == point.size
    assert registers.encode(point, "₹")[0] == ord("?") << 8


def test_the_chain_begins_and_ends_as_sunspec_says() -> None:
    registers = model.image({model.LOAD_LIMIT: {"LimSt": LimitState.FAILSAFE, "AckSt": AckState.CLAMPED, "WImp": -5}})
    assert registers[:4] == [0x5375, 0x6E53, 1, 66]
    assert registers[-2:] == [END, 0]
    assert registers[BLOCK.address_of("LimSt") - BASE] == 3
    assert registers[BLOCK.address_of("WImp") - BASE :][:2] == [0xFFFF, 0xFFFB]


def test_the_manual_shows_the_registers_as_they_are() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "modbus.md").read_text(encoding="utf-8")
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines() if re.match(r"\| 40\d{3} \|", line)]
    assert rows == [
        (str(BLOCK.address + p.offset), str(p.offset), p.name, str(p.kind), "RW" if p.writable else "R", p.units, p.text or "–")
        for p in BLOCK.points
    ]
    for point in BLOCK.points:
        if point.symbols is not None:
            assert f"| {point.name} | {', '.join(f'{m.value} {m.name.lower()}' for m in point.symbols)} |" in page
    for name in ("FsDurMin", "HbTms"):
        assert f"`{name}` {BLOCK.point(name).least} to {BLOCK.point(name).most}" in page


def test_the_command_line_in_the_manual_is_the_block_that_it_says() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "modbus.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if line.startswith("mbpoll") and "-r 40188" in line)
    words = [int(word) for word in line.split("127.0.0.1")[1].split()]
    found = {}
    for point in BLOCK.points[2:]:
        if words:
            found[point.name] = registers.decode(point, [words.pop(0) for _ in range(point.size)])
    assert found == {
        "WLimEna": 1, "WLimEnaRvrt": 1, "WLim": 400_000, "WLimRvrt": 100_000, "WLimRvrtTms": 900, "StrTms": 0, "WRmpTms": 0, "Rsn": 1,
        "CtlHb": 1, "EvtId": 42, "CmdSeq": 1,
    }  # fmt: skip
