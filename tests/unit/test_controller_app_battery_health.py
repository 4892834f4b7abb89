"""``./chargeyard battery soh-train`` and ``soh-test``: what they print, and with which code they end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_cells import fading_cells, retired_cells, write_charges, write_pulses
from typer.testing import CliRunner, Result

from bms_bridge.health import grade_training, soh_training
from bms_bridge.health.charge_table import FEATURES, ChargeTable
from controller.app.cli import app


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["battery", *words])


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(soh_training.Effort, "__init__", lambda self: None, raising=True)
    for name, value in (("rows_per_cell", 8), ("process_rows", 80), ("kernel_rows", 60), ("trees", 10), ("folds", 3)):
        monkeypatch.setattr(soh_training.Effort, name, value)
    for name, value in (("most_batches", 2), ("kernel_steps", 5), ("networks", 2)):
        monkeypatch.setattr(soh_training.Effort, name, value)
    write_charges(tmp_path / "bus.parquet", fading_cells(10, 12))
    done = run("soh-train", "--data", str(tmp_path / "bus.parquet"), "--out", str(tmp_path / "m.npz"))
    assert done.exit_code == 0, done.output
    assert "bus: 10 cells, 120 charges" in done.output
    assert "SHA-256" in done.output
    return tmp_path / "m.npz"


def test_train_then_test_on_other_cells(tmp_path: Path, model: Path) -> None:
    write_charges(tmp_path / "other_bus.parquet", fading_cells(6, 12, seed=4))
    done = run("soh-test", "--model", str(model), "--data", str(tmp_path / "other_bus.parquet"), "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert (row["kind"], row["model"], row["cells"], row["charges"]) == ("bus", "bus", 6, 72)
    assert row["mae"] < 2.5
    assert row["worst_cell_name"].startswith("cell-")
    plain = run("soh", "--model", str(model), "--data", str(tmp_path / "other_bus.parquet"), "--json")
    charges = [json.loads(line) for line in plain.stdout.splitlines()]
    assert (plain.exit_code, len(charges), set(charges[0])) == (0, 72, {"kind", "cell", "cycle", "soh", "soh_low", "soh_high", "worth"})
    assert all(row["soh"] is None or row["soh_low"] < row["soh"] < row["soh_high"] for row in charges)
    assert "cell-05" in run("soh", "--model", str(model), "--data", str(tmp_path / "other_bus.parquet")).output
    shown = run("soh-test", "--model", str(model), "--data", str(tmp_path / "other_bus.parquet"))
    assert "held against measured" in shown.output


def test_what_cannot_be_is_one_sentence(tmp_path: Path, model: Path) -> None:
    write_charges(tmp_path / "truck.parquet", fading_cells(4, 8, shift=0.9))
    unknown = run("soh-test", "--model", str(model), "--data", str(tmp_path / "truck.parquet"))
    assert (unknown.exit_code, "knows no kind 'truck'; it knows bus" in unknown.output) == (2, True)
    foreign = run("soh-test", "--model", str(model), "--data", str(tmp_path / "truck.parquet"), "--kind", "bus")
    assert foreign.exit_code == 1  # nothing could be estimated
    assert run("soh-test", "--model", str(tmp_path / "none.npz"), "--data", str(tmp_path)).exit_code == 2
    assert run("soh-train", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "x.npz")).exit_code == 2
    assert run("soh-train", "--data", str(tmp_path / "bus.parquet"), "--out", str(tmp_path / "no" / "x.npz")).exit_code == 2


def odd_csv(path: Path, table: ChargeTable, *, capacity: bool = True, batch: bool = True) -> Path:
    """The same charges as people write them: other order of columns and rows, columns of their own, spaces, empty fields, no numbers."""
    names = [*reversed(FEATURES), "remark", "cycle", "q_nom_Ah", *(["capacity"] if capacity else []), *(["batch"] if batch else []), "cell"]
    lines = [", ".join(names)]
    for row in reversed(range(len(table))):
        features = [f"{value:.9g}" for value in reversed(table.features[row])]
        if row % 9 == 4:
            features[3] = ("", "nan", "n/a")[row % 3]
        numbers = [f"{table.cycles[row]:g}", f"{table.nominal_ah[row]:g}", *([f"{table.capacity_ah[row]:.6g}"] if capacity else [])]
        lines.append(", ".join([*features, "seen", *numbers, *([str(table.batches[row])] if batch else []), str(table.cells[row])]))
    path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n\r\n", encoding="utf-8")
    return path


def test_odd_but_fair_tables_are_read(tmp_path: Path, model: Path) -> None:
    """One cell of one charge, rows without a number, columns more, none of what may be missing: an answer for each, never a traceback."""
    others = fading_cells(3, 20, seed=4)
    whole = odd_csv(tmp_path / "odd_bus.csv", others)
    done = run("soh", "--model", str(model), "--data", str(whole), "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert (done.exit_code, len(rows), rows[0]["cell"], rows[0]["cycle"]) == (0, 53, "cell-00", 1.0)
    assert "7 rows left out: a feature is missing or no number" in done.output
    tested = run("soh-test", "--model", str(model), "--data", str(whole))
    assert (tested.exit_code, "7 rows left out" in tested.output) == (0, True)
    bare = odd_csv(tmp_path / "bare_bus.csv", others, capacity=False, batch=False)
    assert run("soh", "--model", str(model), "--data", str(bare)).exit_code == 0
    nothing = run("soh-test", "--model", str(model), "--data", str(bare))
    assert (nothing.exit_code, "no capacity was measured (the column capacity, Ah)" in nothing.output) == (2, True)
    untaught = run("soh-train", "--data", str(bare), "--out", str(tmp_path / "x.npz"))
    assert (untaught.exit_code, "0 cells with 0 measured charges are too few" in untaught.output) == (2, True)
    write_charges(tmp_path / "one_bus.parquet", others.rows(np.array([5])))
    alone = run("soh", "--model", str(model), "--data", str(tmp_path / "one_bus.parquet"))
    assert (alone.exit_code, "cell-00" in alone.output) == (0, True)
    assert run("soh-test", "--model", str(model), "--data", str(tmp_path / "one_bus.parquet")).exit_code == 0
    few = run("soh-train", "--data", str(tmp_path / "one_bus.parquet"), "--out", str(tmp_path / "x.npz"))
    assert (few.exit_code, "1 cells with 1 measured charges are too few" in few.output) == (2, True)


def test_bench_of_health_wants_the_data() -> None:
    done = CliRunner().invoke(app, ["bench", "soh"])
    assert (done.exit_code, "--data" in done.output) == (2, True)


def test_grades_are_taught_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grade_training, "EFFORT", soh_training.Effort(10, 100, 50, 0, 3, 0, 5))
    monkeypatch.setattr(grade_training.train_grades, "__kwdefaults__", {"seed": 0, "effort": grade_training.EFFORT})
    taught = write_pulses(tmp_path / "taught.parquet", retired_cells(24, pulses=2))
    done = run("grade-train", "--data", str(taught), "--out", str(tmp_path / "g.npz"))
    assert done.exit_code == 0, done.output
    assert "NMC 5 Ah, charge counted: 24 cells" in done.output
    others = write_pulses(tmp_path / "others.parquet", retired_cells(8, pulses=1, seed=2))
    told = run("grade", str(others), "--model", str(tmp_path / "g.npz"), "--json")
    rows = json.loads(told.stdout)
    assert (told.exit_code, len(rows), rows[0]["kind"]) == (0, 8, "NMC 5 Ah")
    assert {row["grade"] for row in rows} <= {"below 60 %", "60 to 70 %", "70 to 80 %", "80 % or more", None}
    assert all(row["soh_low"] < row["soh"] < row["soh_high"] for row in rows)
    shown = run("grade", str(others), "--model", str(tmp_path / "g.npz"))
    assert "Held against 8 measured" in shown.output
    stranger = write_pulses(tmp_path / "lfp.parquet", retired_cells(3, kind="LFP 35 Ah"), measured=False)
    refused = run("grade", str(stranger), "--model", str(tmp_path / "g.npz"))
    assert (refused.exit_code, "not taught" in refused.output) == (1, True)
    assert run("grade", str(tmp_path / "none.csv"), "--model", str(tmp_path / "g.npz")).exit_code == 2
