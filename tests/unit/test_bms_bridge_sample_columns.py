"""Columns are found by the names of this house, of cyclers and of loggers, in their units; a turned current is found out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from feature_kit import charge
from typer.testing import CliRunner

from bms_bridge.current_sign import turned
from bms_bridge.features import SamplesRefused
from bms_bridge.features.report import report
from bms_bridge.features.sample_files import read_samples
from bms_bridge.features.samples import ordered
from bms_bridge.sample_columns import Quantity, dated_seconds, find
from bms_bridge.soc.trace import read_trace
from controller.app.cli import app

MADE = charge()
HEADS = {
    "house": ("t_s", "current_a", "voltage_v", "temperature_c"),
    "as NASA's": ("Time", "Current_measured", "Voltage_measured", "Temperature_measured"),
    "a cycler's": ("Test_Time(s)", "Current(A)", "Voltage(V)", "Temperature (C)_1"),
    "another cycler's": ("time/s", "<I>/mA", "Ecell/V", "Temperature_K"),
    "a test bench's": ("Relative_Time(min)", "I (mA)", "V_mV", "T"),
}
SCALES = {"min": 60.0, "mA": 1e-3, "mV": 1e-3}


def table(path: Path, head: tuple[str, ...]) -> Path:
    """The invented charge at 25 °C under these names, in their units."""
    columns = [MADE.time_s, MADE.current_a, MADE.voltage_v, np.full(len(MADE), 25.0)]
    shown = [
        values / next((scale for unit, scale in SCALES.items() if unit in name), 1.0) + (273.15 if name.endswith("_K") else 0.0)
        for name, values in zip(head, columns, strict=True)
    ]
    rows = [",".join(f"{value:.9g}" for value in row) for row in zip(*shown, strict=True)]
    path.write_text("Step_Time(s)," + ",".join(head) + "\n" + "\n".join(f"0,{row}" for row in rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_names_and_units_of_cyclers_are_known(tmp_path: Path, head: tuple[str, ...]) -> None:
    file = table(tmp_path / "x.csv", head)
    found = read_samples(file)["x"]
    np.testing.assert_allclose(found.time_s, MADE.time_s, atol=1e-4)
    np.testing.assert_allclose(found.current_a, MADE.current_a, atol=1e-6)
    np.testing.assert_allclose(found.voltage_v, MADE.voltage_v, atol=1e-6)
    np.testing.assert_allclose(found.temperatures_c[:, 0], 25.0, atol=1e-3)
    trace = read_trace(file)
    np.testing.assert_allclose(trace.current_a, MADE.current_a, atol=1e-6)
    np.testing.assert_allclose(trace.temperature_c, 25.0, atol=1e-3)


def test_what_is_something_else_is_not_taken() -> None:
    names = ["Step_Time(s)", "Current_limit_A", "Voltage_charge", "cell", "cells_v", "capacity_ah", "dV/dt", "t_max_c", "cycle"]
    assert [find(names, quantity) for quantity in Quantity] == [[], [], [], [], [], find(["cycle"], Quantity.CYCLE)]
    assert [one.name for one in find(["T", "t"], Quantity.TIME)] == ["t"]
    assert [one.name for one in find(["T", "t"], Quantity.TEMPERATURE)] == ["T"]
    assert [(one.name, one.factor) for one in find(["cell_2_mV", "cell_1_v"], Quantity.CELL_VOLTAGE)] == [
        ("cell_2_mV", 1e-3),
        ("cell_1_v", 1.0),
    ]
    assert [one.name for one in find(["Voltage", "voltage_v"], Quantity.VOLTAGE)] == ["voltage_v", "Voltage"]  # the unit makes it sure


def test_times_with_their_date_are_utc_where_no_zone_is_said(tmp_path: Path) -> None:
    times = ["2026-11-22 05:30:00+05:30", "2026-11-22T00:00:10Z", "2026-11-22 00:00:20", "no time"]
    told = dated_seconds(times)
    np.testing.assert_allclose(np.diff(told), [10, 10, np.nan])
    file = tmp_path / "a.csv"
    file.write_text("system_time,current_a,voltage_v\n" + "".join(f"{one},1,3.7\n" for one in times), encoding="utf-8")
    assert np.diff(read_samples(file)["a"].time_s).tolist() == [10.0, 10.0]


def test_a_turned_current_is_found_and_turned_back(tmp_path: Path) -> None:
    assert not turned(MADE.time_s, MADE.current_a, MADE.voltage_v)
    assert turned(MADE.time_s, -MADE.current_a, MADE.voltage_v)
    wrong = ordered(MADE.time_s, -MADE.current_a, MADE.voltage_v)
    with pytest.raises(SamplesRefused, match="--discharge-positive"):
        report(wrong, 2.0)
    file = table(tmp_path / "x.csv", HEADS["house"])
    text = file.read_text(encoding="utf-8").splitlines()
    turn = [",".join([a, b, f"{-float(c):g}", *rest]) for a, b, c, *rest in (line.split(",") for line in text[1:])]
    file.write_text("\n".join([text[0], *turn]) + "\n", encoding="utf-8")
    runner = CliRunner()
    for words in (["features", str(file), "--nominal-ah", "2"], ["soc", str(file), "--chemistry", "NMC", "--capacity-ah", "2"]):
        refused = runner.invoke(app, ["battery", *words])
        assert (refused.exit_code, "--discharge-positive" in refused.output) == (2, True), refused.output
        assert runner.invoke(app, ["battery", *words, "--discharge-positive"]).exit_code == 0
    no_curve = runner.invoke(app, ["battery", "ocv-fit", str(file), "--chemistry", "NMC", "--out", str(tmp_path / "curve.json")])
    assert (no_curve.exit_code, "--discharge-positive" in no_curve.output) == (2, True), no_curve.output


def test_noise_a_plateau_and_a_rest_decide_no_sign() -> None:
    random = np.random.default_rng(0)
    time = np.arange(0.0, 3000, 10)
    for current in (np.zeros(300), np.full(300, 1.0), random.normal(0, 1, 300)):
        for way in (1, -1):
            assert not turned(time, way * current, 3.3 + random.normal(0, 0.002, 300))
    assert not turned(np.array([]), np.array([]), np.array([]))


def test_currents_in_another_unit_than_the_capacity_are_refused() -> None:
    with pytest.raises(SamplesRefused, match="unit of the current"):
        report(ordered(MADE.time_s, MADE.current_a * 1000, MADE.voltage_v), 2.0)


def test_lists_are_arrays_and_shapes_that_do_not_fit_are_refused_in_words() -> None:
    assert len(ordered([0, 1, 2], [1, 1, 1], [3.7, 3.7, 3.7], temperatures_c=[25, 25, 25], cycle=[1, 1, 1])) == 3  # type: ignore[arg-type]
    with pytest.raises(SamplesRefused, match="plain columns"):
        ordered(np.zeros((3, 2)), np.zeros(3), np.zeros(3))
    with pytest.raises(SamplesRefused, match="tables"):
        ordered(np.arange(3.0), np.ones(3), np.full(3, 3.7), cells_v=np.zeros((3, 2, 2)))


def test_values_in_another_unit_are_told_not_hidden() -> None:
    found = ordered(np.arange(3.0), np.ones(3), np.full(3, 3.7), temperatures_c=np.full(3, 298.0), cells_v=np.full((3, 2), 3700.0))
    assert any("3 temperatures left out" in note for note in found.notes)
    assert any("6 voltages of cells left out" in note for note in found.notes)
