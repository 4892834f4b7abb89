"""Files that nobody should give to ``./chargeyard battery``: each is refused in one sentence with an exit code, by every command."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from fake_lives import lives, write_lives
from pyarrow import parquet
from typer.main import get_command

from bms_bridge.health.charge_table import FEATURES
from controller.app.cli import app
from controller.app.exits import exit_code_of

COMMAND = get_command(app)
"""Built once: that takes longer than a refusal."""

COMMANDS: dict[str, Sequence[str]] = {
    "soh": ("soh", "--model", "{}", "--data", "{}"),
    "soh-train": ("soh-train", "--data", "{}", "--out", "{out}"),
    "soh-test": ("soh-test", "--model", "{}", "--data", "{}"),
    "grade": ("grade", "{}", "--model", "{}"),
    "grade-train": ("grade-train", "--data", "{}", "--out", "{out}"),
    "soc": ("soc", "{}", "--chemistry", "LFP", "--capacity-ah", "100"),
    "soc with a curve": ("soc", "{trace}", "--chemistry", "LFP", "--capacity-ah", "100", "--ocv", "{}"),
    "ocv-fit": ("ocv-fit", "{}", "--chemistry", "LFP", "--out", "{out}"),
    "features": ("features", "{}", "--nominal-ah", "5"),
    "life": ("life", "{}"),
    "life with a model": ("life", "{lives}", "--model", "{}"),
    "life with a calibration": ("life", "{lives}", "--chemistry", "LFP", "--calibration", "{}"),
    "life-train": ("life-train", "--data", "{}", "--out", "{out}"),
    "life-test": ("life-test", "--model", "{}", "--data", "{}"),
    "stress": ("stress", "{}"),
    "calibrate": ("calibrate", "--data", "{}", "--out", "{out}"),
    "twin": ("twin", "{}"),
    "twin with duties": ("twin", "{packs}", "--duties", "{}"),
    "twin with a plan": ("twin", "{packs}", "--plan", "{}"),
    "anomalies": ("anomalies", "{}"),
    "work": ("work", "{}"),
    "value": ("value", "{}"),
    "value with assumptions": ("value", "{pack}", "--assumptions", "{}"),
    "profile": ("profile", "{}"),
    "passport check": ("passport", "check", "{}"),
    "passport verify": ("passport", "verify", "{}"),
    "passport paper": ("passport", "paper", "{}", "--output", "{out}"),
    "passport sheet": ("passport", "sheet", "{}"),
    "passport export": ("passport", "export", "{}", "E-1/P1", "--output", "{out}"),
    "lake life": ("lake", "life", "{}", "E-1/P1"),
    "reference-test": ("reference-test", "show", "E-1/P1", "--url", "http://127.0.0.1:9", "--token-file", "{}"),
}
LAKE = ("pack", "received_at", "age_s", "current_a", "voltage_v", "temperatures_c", "cells_v")
LIVES = ("cell", "cycle", "soh", "years", "T_C", "rate_c")
TRACE = ("time_s", "t_s", "current_a", "voltage_v", "cell_²_v", "cell_1_v")
COLUMNS = tuple(
    dict.fromkeys((*LAKE, *LIVES, *TRACE, *FEATURES, "q_nom_Ah", "capacity", "batch", "chemistry", "nominal_ah", "pack", "day"))
)
TYPES: dict[str, pa.Array] = {
    "dates beyond the calendar": pa.array([-(2**62), 0, 2**62], pa.timestamp("us")),
    "truths": pa.array([True, False, None]),
    "things": pa.array([{"a": 1}] * 3),
    "lists of words": pa.array([["x"], [], None]),
    "moments": pa.array([datetime(2026, 1, 1)] * 3),
}


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def nested(path: Path) -> None:
    path.write_bytes(b"a = " * (path.suffix == ".toml") + b"[" * 100_000 + b"]" * 100_000)


def bomb(path: Path) -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + "\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("description.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())


def wrong_columns(path: Path) -> None:
    path.write_text("a,b,c\n1,2,3\n")


MADE: dict[str, Callable[[Path], object]] = {
    "empty": Path.touch,
    "missing": lambda path: None,
    "folder": Path.mkdir,
    "binary": binary,
    "nested": nested,
    "bomb": bomb,
    "wrong columns": wrong_columns,
}
CASES = (
    ("empty", ".csv"), ("missing", ".csv"), ("folder", ".csv"), ("binary", ".csv"), ("binary", ".parquet"), ("nested", ".json"),
    ("nested", ".toml"), ("bomb", ".npz"), ("wrong columns", ".csv"),
)  # fmt: skip
EMPTY_IS_TRUE = ("passport sheet", "value with assumptions")
"""A file of sheets without a sheet, and assumptions that change none, are files like others."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("good")
    with (folder / "trace.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("time_s", "current_a", "voltage_v"), *((10 * n, 1.0, 3.3) for n in range(20))])
    write_lives(folder / "lives.csv", lives(2))
    (folder / "packs.csv").write_text("pack,chemistry,capacity_kwh,duty\nA,LFP,200,stationary\n")
    (folder / "pack.json").write_text(json.dumps({"pack": "A", "chemistry": "LFP", "capacity_kwh": 200, "soh": 0.8}))
    names = {"trace": "trace.csv", "lives": "lives.csv", "packs": "packs.csv", "pack": "pack.json", "out": "out.file"}
    return {name: str(folder / file) for name, file in names.items()}


def refused(words: Sequence[str], file: Path, good: dict[str, str]) -> None:
    """Exit code 1 to 3 and something said; no error that nobody expected."""
    said = [str(file) if word == "{}" else good[word[1:-1]] if word.startswith("{") else word for word in words]
    done = CliRunner().invoke(COMMAND, said if said[0] == "lake" else ["battery", *said])
    code, what = done.exit_code, done.output
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        found = exit_code_of(done.exception)
        assert found is not None, f"{said}: {done.exception!r}"
        code, what = found, str(done.exception)
    assert code in (1, 2, 3), (said, code, what)
    assert what.strip(), said
    assert not Path(good["out"]).exists(), said


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_such_file_is_refused(tmp_path: Path, good: dict[str, str], command: str) -> None:
    for number, (what, ending) in enumerate(CASES):
        if what == "empty" and command in EMPTY_IS_TRUE:
            continue
        file = tmp_path / f"{number} a [red]file[]{ending}"
        MADE[what](file)
        refused(COMMANDS[command], file, good)


@pytest.mark.parametrize("kind", TYPES)
def test_columns_of_other_types_are_refused(tmp_path: Path, good: dict[str, str], kind: str) -> None:
    file = tmp_path / "bus.parquet"
    parquet.write_table(pa.table(dict.fromkeys(COLUMNS, TYPES[kind])), file)
    for command in ("soh-train", "soc", "ocv-fit", "features", "life-train", "stress", "calibrate", "anomalies"):
        refused(COMMANDS[command], file, good)
