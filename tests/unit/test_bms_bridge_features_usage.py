"""Use and evenness of packs: efficiency, cycles, hours in bins, spread of cells, gradients; the report of all; the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from feature_kit import charge, pulse
from typer.testing import CliRunner

from bms_bridge.features import WindowMissing
from bms_bridge.features.charge_window import Window
from bms_bridge.features.report import per_cell, report
from bms_bridge.features.samples import Samples, ordered
from bms_bridge.features.usage import (
    C_RATES,
    TEMPERATURES_C,
    c_rate_hours,
    cell_spread,
    efficiencies,
    equivalent_full_cycles,
    gradients,
    rainflow,
    temperature_hours,
)
from bms_bridge.health.charge_table import FEATURES, read_charges
from controller.app.battery_cli import battery


def cycling(*, efficiency: float = 0.998, cycles: int = 3, step_s: float = 30.0) -> Samples:
    """2 Ah at 1 A between 3 V and 4 V, voltage straight in charge; a little less comes out than went in."""
    up, down = np.full(int(7_200 / step_s), 1.0), np.full(int(7_200 * efficiency / step_s), -1.0)
    current = np.concatenate([down, *([up, down] * cycles)])
    rises = [np.linspace(3, 4, len(up)), np.linspace(4, 3, len(down))]
    voltage = np.concatenate([rises[1], *(rises * cycles)])
    return ordered(step_s * np.arange(len(current)), current, voltage)


def test_coulombic_efficiency_is_what_came_out_over_what_went_in() -> None:
    found = efficiencies(cycling(), 2.0)
    assert len(found) == 3
    assert found[0].coulombic == pytest.approx(0.998, abs=0.006)
    assert found[0].energy == pytest.approx(0.998, abs=0.01)
    made = cycling()
    assert len(efficiencies(made.rows((made.time_s < 9_000) | (made.time_s > 12_000)), 2.0)) == 2  # a gap in the first charge


def test_cycles_are_counted_as_in_the_lake_and_hours_lie_in_their_bins() -> None:
    assert sum(rainflow(np.tile([0.2, 0.8], 5))) == pytest.approx(4.5)
    assert rainflow(np.tile([0.2, 0.8, np.nan], 5)) == rainflow(np.tile([0.2, 0.8], 5))
    with pytest.raises(WindowMissing):
        rainflow(np.full(4, np.nan))
    made = cycling()
    assert equivalent_full_cycles(made, 2.0) == pytest.approx(3.5, rel=0.02)
    hours = c_rate_hours(made, 2.0)
    assert hours.sum() == pytest.approx(made.time_s[-1] / 3600)
    assert hours[np.searchsorted(C_RATES, 0.5, side="right")] == pytest.approx(6.0, abs=0.1)
    with pytest.raises(WindowMissing):
        temperature_hours(made)


def warm_pack() -> Samples:
    """Three sensors, of which one is hotter by 4 K and rises 1.5 K a minute; four cells, of which the second is low by 20 mV under load."""
    made = pulse(step_s=1.0, rest_s=1_200, hold_s=2_400, amps=2.0)
    since = np.clip(made.time_s - 1_200, 0, 600)
    warm = np.column_stack([np.full(len(made), 25.0), 25 + since / 600 * 5, 29 + since / 40])
    warm[::50, 1] = np.nan
    cells = np.repeat(made.voltage_v[:, None], 4, axis=1)
    cells[:, 1] -= np.where(made.current_a > 0, 0.02, 0.002)
    return ordered(made.time_s, made.current_a, made.voltage_v * 4, temperatures_c=warm, cells_v=cells)


def test_spread_of_cells_and_gradients_of_temperature_are_told() -> None:
    made = warm_pack()
    spread = cell_spread(made, 2.0)
    assert spread.at_rest_v == pytest.approx(0.002, abs=1e-4)
    assert spread.under_load_v == pytest.approx(0.02, abs=1e-4)
    assert spread.lowest == (1, 1.0)
    told = gradients(made)
    assert told.rise_k_per_min == pytest.approx(1.5, rel=0.05)
    assert told.hottest_c == pytest.approx(44.0, abs=0.1)
    assert told.worst_between_k == pytest.approx(19.0, abs=0.2)
    hours = temperature_hours(made)
    assert hours.sum() == pytest.approx((made.time_s[-1]) / 3600, rel=0.01)
    assert hours[np.searchsorted(TEMPERATURES_C, 44.0)] > hours[np.searchsorted(TEMPERATURES_C, 34.0)]
    assert temperature_hours(made, charging_only=True).sum() < hours.sum()
    with pytest.raises(WindowMissing):
        cell_spread(cycling(), 2.0)


def test_the_report_tells_what_there_is_and_why_the_rest_is_missing() -> None:
    told = report(per_cell(warm_pack(), series=4), 2.0, window=Window(4.2))
    assert {"temperature", "gradients", "cells", "resistance", "impedance", "rainflow"} <= set(told.found)
    assert "below the cut-off" in told.missing["charges"]
    assert "ica" in told.missing
    json.dumps(told.found, allow_nan=False)
    with pytest.raises(ValueError, match="capacity"):
        report(cycling(), 0.0)


def write(path: Path, made: dict[str, Samples]) -> Path:
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["cell", "t_s", "current_a", "voltage_v"])
        for cell, samples in made.items():
            table.writerows([cell, *row] for row in zip(samples.time_s, samples.current_a, samples.voltage_v, strict=True))
    return path


def test_command_makes_of_raw_samples_the_charges_that_health_is_estimated_from(tmp_path: Path) -> None:
    """Raw samples to features to estimate: what the file holds is read as a table of charges, and the one without a window is not in it."""
    made = {"a": charge(), "b": charge(capacity_ah=1.7), "c": charge().rows(slice(0, 300))}
    file, out = write(tmp_path / "raw.csv", made), tmp_path / "charges.csv"
    options = [str(file), "--nominal-ah", "2", "--cut-off-v", "4.2", "--batch", "batch-0"]
    done = CliRunner().invoke(battery, ["features", *options, "--charges", str(out)])
    assert done.exit_code == 0, done.output
    table = read_charges(out, "invented")
    assert table.cells.tolist() == ["a", "b"]
    assert table.batches.tolist() == ["batch-0"] * 2
    assert table.features[1, FEATURES.index("CC_Q")] == pytest.approx(0.85 * table.features[0, FEATURES.index("CC_Q")], rel=0.03)
    as_json = CliRunner().invoke(battery, ["features", *options, "--json"])
    lines = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [("charges" in line) for line in lines] == [True, True, False]
    assert "cut-off" in lines[2]["missing"]["charges"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nominal-ah", "0"], "capacity"),
        (["--nominal-ah", "2", "--series", "0"], "series"),
        (["--nominal-ah", "2", "--parallel", "0"], "string"),
        (["--nominal-ah", "2", "--cut-off-v", "4.2", "--step-s", "0"], "steps of a window"),
        (["--nominal-ah", "2", "--cut-off-v", "4.2", "--to-a", "0.9"], "from more to less"),
        (["--nominal-ah", "2", "--charges", "x.csv"], "--cut-off-v"),
        (["--nominal-ah", "2", "--cut-off-v", "4.2", "--charges", "nowhere/x.csv"], "folder"),
    ],
)
def test_command_refuses_in_words(tmp_path: Path, words: list[str], told: str) -> None:
    done = CliRunner().invoke(battery, ["features", str(write(tmp_path / "raw.csv", {"a": charge()})), *words])
    assert done.exit_code == 2
    assert told in done.output


def test_a_cell_without_samples_does_not_hide_the_others(tmp_path: Path) -> None:
    file = write(tmp_path / "raw.csv", {"a": charge(), "b": charge().rows(slice(0, 1))})
    done = CliRunner().invoke(battery, ["features", str(file), "--nominal-ah", "2", "--json"])
    assert done.exit_code == 0, done.output
    assert "b: left out: fewer than two samples can be used" in done.output
    assert [json.loads(line)["cell"] for line in done.output.splitlines() if line.startswith("{")] == ["a"]
    alone = write(tmp_path / "alone.csv", {"b": charge().rows(slice(0, 1))})
    refused = CliRunner().invoke(battery, ["features", str(alone), "--nominal-ah", "2"])
    assert (refused.exit_code, "fewer than two samples" in refused.output) == (2, True)


def test_command_refuses_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x00\xff" * 50)
    done = CliRunner().invoke(battery, ["features", str(tmp_path / "x.csv"), "--nominal-ah", "2"])
    assert done.exit_code == 2
    assert "t_s" in done.output


def test_no_charge_with_a_window_is_a_no(tmp_path: Path) -> None:
    file = write(tmp_path / "raw.csv", {"c": charge().rows(slice(0, 300))})
    done = CliRunner().invoke(
        battery, ["features", str(file), "--nominal-ah", "2", "--cut-off-v", "4.2", "--charges", str(tmp_path / "o.csv")]
    )
    assert done.exit_code == 1
