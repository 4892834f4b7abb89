"""``./chargeyard battery soc`` and ``ocv-fit``: what they print, what they refuse, and with which code they end."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from bms_bridge.soc.align import find_lag, moved
from bms_bridge.soc.cells import kind_of
from bms_bridge.soc.identify import capacity, resistance
from bms_bridge.soc.trace import read_trace
from controller.app.cli import app

CELLS = 4


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["battery", *words])


def a_charge(path: Path, *, lag: int = 0, hole: bool = False, cells: bool = True) -> Path:
    """An hour and a half of an NMC pack: rest, charge in steps, rest. 50 Ah, 10 s."""
    seconds = np.arange(0, 5400, 10.0)
    random = np.random.default_rng(3)
    current = np.where((seconds > 600) & (seconds < 4800), 20.0 + 10.0 * (random.random(len(seconds)) > 0.5), 0.0)
    soc = 0.4 + np.cumsum(current) * 10 / 3600 / 50
    cell = kind_of("NMC").curve.voltage(soc) + 0.06 * np.roll(current, lag) / 50
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["time", "current_a", "voltage_v", "temperature_c", *([f"cell_{n + 1}_v" for n in range(CELLS)] if cells else [])])
        for place, second in enumerate(seconds):
            amps = "" if hole and 100 <= place < 300 else f"{current[place]:.2f}"
            own = [f"{cell[place] + 0.002 * n:.4f}" for n in range(CELLS)] if cells else []
            stamp = f"2026-11-22T{int(second) // 3600:02d}:{int(second) // 60 % 60:02d}:{int(second) % 60:02d}Z"
            rows.writerow([stamp, amps, f"{cell[place] * CELLS:.4f}", "25", *own])
    return path


def test_a_trace_gets_states_of_charge(tmp_path: Path) -> None:
    trace = a_charge(tmp_path / "t.csv")
    shown = run("soc", str(trace), "--chemistry", "nmc", "--capacity-ah", "50", "--out", str(tmp_path / "out.csv"))
    assert shown.exit_code == 0, shown.output
    assert "100% of 540 steps have a state of charge" in shown.output
    assert "cell 4 highest" in " ".join(shown.output.split())
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()))
    assert (len(rows), rows[0]["time"], rows[0]["verdict"]) == (540, "2026-11-22T00:00:00Z", "told")
    told = json.loads(run("soc", str(trace), "--chemistry", "nmc", "--capacity-ah", "50", "--json").stdout)
    assert told["last"]["soc_low"] < 0.4 + 29.2 / 50 < told["last"]["soc_high"]
    assert told["step_resistance_ohm"] == pytest.approx(0.0012, rel=0.15)
    assert len(told["cells"]) == CELLS
    for method in ("ukf", "counting"):
        done = run("soc", str(trace), "--chemistry", "nmc", "--capacity-ah", "50", "--method", method, "--start-soc", "0.4", "--json")
        assert json.loads(done.stdout)["last"]["soc"] == pytest.approx(0.98, abs=0.08)


def test_a_missing_current_is_told(tmp_path: Path) -> None:
    trace = a_charge(tmp_path / "t.csv", hole=True)
    told = json.loads(run("soc", str(trace), "--chemistry", "NMC", "--capacity-ah", "50", "--json").stdout)
    assert told["not_told"]["no_current"] > 50
    assert told["last"]["verdict"] == "told"


def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    trace = a_charge(tmp_path / "t.csv", cells=False)
    words = ("soc", str(trace), "--capacity-ah", "50", "--chemistry")
    for more, sentence in (
        (("nmc",), "say with --series"),
        (("lead",), "no chemistry lead"),
        (("lto",), "learn one from a slow charge"),
        (("nmc", "--series", "40"), "check --chemistry and --series"),
        (("nmc", "--series", "4", "--ocv", str(trace)), "no curve file"),
    ):
        done = run(*words, *more)
        assert (done.exit_code, sentence in " ".join(done.output.split())) == (2, True), done.output
    tiny = run("soc", str(trace), "--capacity-ah", "0.5", "--chemistry", "nmc", "--series", "4")
    assert (tiny.exit_code, "check --capacity-ah" in " ".join(tiny.output.split())) == (2, True)
    turned = tmp_path / "turned.csv"
    lines = trace.read_text(encoding="utf-8").splitlines()
    turned.write_text("\n".join([lines[0], *(",-".join(line.split(",", 1)) for line in lines[1:])]), encoding="utf-8")
    done = run("soc", str(turned), "--capacity-ah", "50", "--chemistry", "nmc", "--series", "4")
    assert (done.exit_code, "change their sign" in " ".join(done.output.split())) == (2, True), done.output
    bad = tmp_path / "bad.csv"
    for text, sentence in (
        ("", "empty or not there"),
        ("a,b\n1,2\n", "no column of times"),
        ("time,voltage_v\n1,3.7\n2,3.7\n3,3.7\n", "no column current_a"),
        ("time,current_a,voltage_v\nx,1,3.7\ny,1,3.7\n", "rows with a time"),
        ("time,current_a,voltage_v\n1,,3.7\n2,,3.7\n3,nan,3.7\n", "no current in any row"),
        ("time,current_a,voltage_v\n1,1,\n2,1,inf\n3,1,-7\n", "no voltage in any row"),
    ):
        bad.write_text(text, encoding="utf-8")
        done = run("soc", str(bad), "--chemistry", "nmc", "--capacity-ah", "50")
        assert (done.exit_code, sentence in " ".join(done.output.split())) == (2, True), done.output
    (tmp_path / "no.parquet").write_bytes(b"PAR1nothing")
    assert run("soc", str(tmp_path / "no.parquet"), "--chemistry", "nmc", "--capacity-ah", "50").exit_code == 2
    assert run("soc", str(trace), "--chemistry", "nmc", "--capacity-ah", "50", "--series", "4", "--out", "/no/where.csv").exit_code == 2


def test_rows_are_put_in_order_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("t_s,current_a,voltage_v\n30,1,3.7\n10,1,3.6\n10,1,3.6\n20,99999,3.65\n,1,3.7\n", encoding="utf-8")
    trace = read_trace(file)
    assert trace.time_s.tolist() == [0, 10, 20]
    assert np.isnan(trace.current_a[1])
    assert len(trace.notes) == 4


def test_an_export_of_the_lake_is_read(tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    import pyarrow as pa
    from pyarrow import parquet

    begin = datetime(2026, 11, 22, tzinfo=UTC)
    count = 40
    content = {
        "received_at": [begin + timedelta(seconds=60 * n) for n in range(count)],
        "age_s": [1.0] * count,
        "current_a": [0.0] * count,
        "voltage_v": [None] * count,
        "temperatures_c": [[20.0, None, 22.0]] * count,
        "cells_v": [[3.70, 3.71, 3.69]] * count,
    }
    parquet.write_table(pa.table(content), tmp_path / "rows.parquet")
    trace = read_trace(tmp_path / "rows.parquet")
    assert (len(trace), trace.cells_v.shape, trace.temperature_c[0]) == (count, (count, 3), 21.0)
    assert trace.begin == begin - timedelta(seconds=1)
    assert run("soc", str(tmp_path / "rows.parquet"), "--chemistry", "nmc", "--capacity-ah", "100").exit_code == 0


def test_a_curve_is_learned_and_used(tmp_path: Path) -> None:
    seconds = np.arange(0, 5 * 3600, 60.0)
    half = len(seconds)
    soc = np.concatenate([np.linspace(0, 1, half), np.linspace(1, 0, half)])
    current = np.concatenate([np.full(half, 10.0), np.full(half, -10.0)])
    volts = kind_of("NMC811").curve.voltage(soc) + 0.07 * current / 50
    rows = [f"{60 * n},{current[n]},{volts[n]:.4f}" for n in range(2 * half)]
    (tmp_path / "slow.csv").write_text("time_s,current_a,voltage_v\n" + "\n".join(rows), encoding="utf-8")
    curve = tmp_path / "curve.json"
    done = run("ocv-fit", str(tmp_path / "slow.csv"), "--chemistry", "nca", "--out", str(curve))
    assert done.exit_code == 0, done.output
    kind = kind_of("NCA", curve)
    middle = np.linspace(0.1, 0.95, 20)
    assert kind.curve.voltage(middle) == pytest.approx(kind_of("NMC811").curve.voltage(middle), abs=0.01)
    used = run("soc", str(tmp_path / "slow.csv"), "--chemistry", "nca", "--capacity-ah", "50", "--ocv", str(curve))
    assert used.exit_code == 0, used.output
    other = run("soc", str(tmp_path / "slow.csv"), "--chemistry", "nmc", "--capacity-ah", "50", "--ocv", str(curve))
    assert (other.exit_code, "made for NCA" in other.output) == (2, True)
    curve.write_text(curve.read_text(encoding="utf-8").replace('"volts"', '"bolts"'), encoding="utf-8")
    damaged = run("soc", str(tmp_path / "slow.csv"), "--chemistry", "nca", "--capacity-ah", "50", "--ocv", str(curve))
    assert (damaged.exit_code, "damaged" in damaged.output) == (2, True)
    assert run("ocv-fit", str(tmp_path / "slow.csv"), "--chemistry", "nca", "--out", str(tmp_path / "no" / "x.json")).exit_code == 2
    assert run("ocv-fit", str(tmp_path / "slow.csv"), "--chemistry", "tin", "--out", str(curve)).exit_code == 2


def test_a_late_clock_is_found(tmp_path: Path) -> None:
    trace = read_trace(a_charge(tmp_path / "t.csv", lag=2)).per_cell(None)
    lag = find_lag(trace.time_s, trace.current_a, trace.voltage_v)
    assert lag is not None
    assert lag.lag_s == pytest.approx(20, abs=3)
    right = read_trace(a_charge(tmp_path / "u.csv")).per_cell(None)
    assert find_lag(right.time_s, right.current_a, right.voltage_v) is None
    assert moved(trace.time_s, trace.voltage_v, 20.0)[5] == trace.voltage_v[7]
    assert find_lag(right.time_s, np.zeros(len(right)), right.voltage_v) is None


def test_resistance_and_capacity_by_least_squares() -> None:
    random = np.random.default_rng(2)
    time = np.arange(400.0)
    current = 50.0 * (random.random(400) > 0.5)
    found = resistance(time, current, 3.7 + 0.002 * current + random.normal(0, 1e-3, 400), capacity_ah=100)
    assert found.ohm[-1] == pytest.approx(0.002, abs=3 * found.ohm_sd + 1e-5)
    assert np.isnan(resistance(time, np.zeros(400), time, capacity_ah=100).ohm).all()
    passed = capacity(time * 36, np.full(400, 20.0), (0, 0.2, 0.01), (399, 0.998, 0.01), offset_sd_a=0.2)
    assert passed is not None
    assert passed.capacity_ah == pytest.approx(100, rel=0.01)
    assert 1 < passed.sd_ah < 3
    assert capacity(time * 36, np.full(400, 20.0), (0, 0.2, 0.01), (100, 0.3, 0.01), offset_sd_a=0.2) is None
