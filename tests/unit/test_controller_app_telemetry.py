"""``./chargeyard telemetry``: files of readings into packed messages and back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from bms_bridge.edge.recorder import Habits
from bms_bridge.edge.review import record, review
from bms_bridge.edge.wire import Reading
from controller.app.cli import app
from controller.app.telemetry_cli import MARK

RUN = CliRunner()


def lines(count: int = 120) -> list[dict[str, object]]:
    return [
        {
            "reported_at": f"2026-11-20T19:{k // 60:02d}:{k % 60:02d}Z",
            "temperatures_c": [25 + k / 100, 25.5, None, 26],
            "soc": 0.5 + k / 10_000,
            "current_a": 120.0 + k % 3 / 10,
            "alarms": ["cooling_fault"] if k == 60 else [],
        }
        for k in range(count)
    ]


@pytest.fixture
def readings(tmp_path: Path) -> Path:
    path = tmp_path / "readings.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines()))
    return path


def test_there_and_back(readings: Path, tmp_path: Path) -> None:
    packed = tmp_path / "out.packed"
    done = RUN.invoke(app, ["telemetry", "encode", str(readings), "-o", str(packed), "--firmware", "4.2"])
    assert done.exit_code == 0, done.output
    assert "120 readings" in done.output
    assert "temperatures_c" in done.output
    assert packed.read_bytes().startswith(MARK)
    assert packed.stat().st_size < readings.stat().st_size / 3
    back = RUN.invoke(app, ["telemetry", "decode", str(packed), "--json"])
    rows = [json.loads(line) for line in back.output.splitlines()]
    assert back.exit_code == 0
    assert rows[0]["schema"] == "pack_telemetry/2"
    assert rows[0]["firmware"] == "4.2"
    assert any(row.get("alarms") == ["cooling_fault"] for row in rows)
    assert any(row.get("history") for row in rows)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_what_was_decoded_can_be_encoded_again(readings: Path, tmp_path: Path, ending: str) -> None:
    packed, written = tmp_path / "out.packed", tmp_path / f"back.{ending}"
    RUN.invoke(app, ["telemetry", "encode", str(readings), "-o", str(packed)])
    assert RUN.invoke(app, ["telemetry", "decode", str(packed), "-o", str(written)]).exit_code == 0
    if ending == "csv":
        with written.open(newline="") as file:
            assert next(csv.DictReader(file))["temperatures_c.1"] == "25.5"
    if ending == "parquet":
        assert "temperatures_c" in pyarrow.parquet.read_schema(written).names
    again = RUN.invoke(app, ["telemetry", "encode", str(written)])
    assert again.exit_code == 0, again.output


def test_a_damaged_message_is_told_and_the_others_count(readings: Path, tmp_path: Path) -> None:
    packed = tmp_path / "out.packed"
    RUN.invoke(app, ["telemetry", "encode", str(readings), "-o", str(packed)])
    data = bytearray(packed.read_bytes())
    data[20] ^= 1
    packed.write_bytes(data)
    done = RUN.invoke(app, ["telemetry", "decode", str(packed)])
    assert done.exit_code == 1
    assert "message 1: the checksum does not fit" in done.output
    packed.write_bytes(MARK + b"\xff\xff\xff\xff")
    assert RUN.invoke(app, ["telemetry", "decode", str(packed)]).exit_code == 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '{"soc": 0.5}', "line 1: no time"),
        ("a.jsonl", '{"t_s": 1, "speed": 3}', "'speed' is no signal"),
        ("a.jsonl", '{"t_s": 1, "soc": "full"}', "line 1: could not convert"),
        ("a.jsonl", "[1]", "an object is wanted"),
        ("a.jsonl", "{", "line 1"),
        ("a.jsonl", '{"reported_at": "2026-11-20T19:42:12"}', "no zone"),
        ("a.jsonl", '{"at_ms": -5}', "before 1970"),
        ("a.jsonl", "", "no readings"),
        ("a.csv", "t_s,temperatures_c.99\n1,5\n", "temperatures_c"),
        ("a.txt", "x", ".txt is not known"),
        ("a.parquet", "x", "no Parquet file"),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    done = RUN.invoke(app, ["telemetry", "encode", str(tmp_path / name)])
    assert done.exit_code == 2
    assert words in done.output


@pytest.mark.parametrize(("band", "words"), [("current_a", "NAME=STEP,BAND"), ("speed=1,1", "no signal"), ("soc=1,0.1", "cannot keep")])
def test_bands_that_cannot_be(readings: Path, band: str, words: str) -> None:
    done = RUN.invoke(app, ["telemetry", "encode", str(readings), "--band", band])
    assert done.exit_code == 2
    assert words in done.output


def test_the_review_finds_an_error_that_is_larger() -> None:
    said = [Reading(at_ms=k * 1000, soc=k / 100) for k in range(50)]
    packets = record(said, Habits(boot=1))
    assert review(said, packets).errors["soc"] <= 0.002
    wrong = [*said[:20], Reading(at_ms=20_500, soc=0.9), *said[21:]]
    assert review(wrong, packets).errors["soc"] == pytest.approx(0.7, abs=0.01)
    assert review(said, packets).over_json > 3
