"""``./chargeyard battery anomalies`` and the work orders made of them: what they print, and with which code they end."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from config_kit import write_depot
from fake_pack_days import fleet, string
from lake_kit import Bench
from typer.testing import CliRunner, Result

from bms_bridge.anomalies.pack_days import written
from bms_bridge.lake.engine import Lake
from controller.app.cli import app
from controller.app.lake_process import places_of
from controller.settings import Settings


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["battery", *words])


@pytest.fixture
def days(tmp_path: Path) -> Path:
    written(tmp_path / "days.csv", fleet(6, 45, first=string("E-99/P1", 45, leak_c_rate=1 / 5000, onset=25)))
    return tmp_path / "days.csv"


@pytest.fixture
def depot(tmp_path: Path) -> Path:
    return write_depot(tmp_path)


def test_a_leaking_cell_is_told_with_its_causes_and_becomes_a_work_order(tmp_path: Path, days: Path, depot: Path) -> None:
    done = run("anomalies", str(days), "--json", "--csv", str(tmp_path / "alerts.csv"))
    assert done.exit_code == 1, done.output
    (alert,) = json.loads(done.stdout)["alerts"]
    assert (alert["key"], alert["cell"], alert["holds_now"]) == ("E-99/P1/internal_short/4", 4, True)
    assert alert["leak_ma_low"] < alert["leak_ma"] < alert["leak_ma_high"]
    assert "C/" in alert["why"]
    with (tmp_path / "alerts.csv").open() as stream:
        assert [row["key"] for row in csv.DictReader(stream)] == [alert["key"]]
    shown = run("anomalies", str(days))
    assert (shown.exit_code, alert["key"] in shown.output) == (1, True)
    assert "NMC, 7 packs: leaks from C/7,000 on would be found within 28 days" in " ".join(shown.output.split())
    assert [one["blind"] for one in json.loads(done.stdout)["limits"]] == [0]

    words = ("work-open", str(depot), alert["key"], "--from", str(days), "--reason", "grows")
    assert "work order 1 opened" in run(*words).output
    assert "is open already" in run(*words).output
    assert run("work-open", str(depot), "E-1/P1/rust", "--from", str(days), "--reason", "x").exit_code == 1
    listed = json.loads(run("work", str(depot), "--json", "--csv", str(tmp_path / "work.csv")).stdout)
    assert (listed["intact"], [order["key"] for order in listed["orders"]]) == (True, [alert["key"]])
    assert "opened" in (tmp_path / "work.csv").read_text()
    assert run("work-done", str(depot), "1", "--result", "eaten", "--reason", "x").exit_code == 2
    ended = run("work-done", str(depot), "1", "--result", "fixed", "--reason", "module 2 replaced")
    assert (ended.exit_code, "fixed" in ended.output) == (0, True)
    assert "module 2 replaced" in run("work", str(depot), "--all", "--json").stdout
    assert run("work", str(depot)).exit_code == 0
    assert "1 right, 0 false, 0 something else; 83 % are taken for real" in " ".join(run("work", str(depot)).output.split())
    after = run("anomalies", str(days), "--json", "--keep", str(depot))
    (learned,) = json.loads(after.stdout)["alerts"]
    assert (learned["real_assumed"], learned["right_here"], learned["false_here"]) == (0.8, 1, 0)
    assert alert["real"] == 0.8 < learned["real"] == 0.8333
    assert alert["waiting_paise"] < learned["waiting_paise"]
    assert "1 of 1 was right here, so 83 % are taken for real (80 % assumed before)" in learned["advice"]
    assert "is open again" in run("work-reopen", str(depot), "1", "--reason", "it was another pack").output
    hand = run("work-by-hand", str(depot), "E-1/P1", "--what", "look at module 2", "--reason", "smell")
    assert (hand.exit_code, "work order 2 opened" in hand.output) == (0, True)
    assert "no pack" in str(run("work-by-hand", str(depot), "E-1", "--what", "look", "--reason", "smell").exception)
    assert json.loads(run("work", str(depot), "--json").stdout)["findings"] == []


def test_nothing_unusual_is_code_0_and_a_bad_file_one_sentence(tmp_path: Path, depot: Path) -> None:
    written(tmp_path / "well.csv", fleet(6, 30))
    well = run("anomalies", str(tmp_path / "well.csv"), "--save", str(tmp_path / "again.csv"))
    assert (well.exit_code, "nothing unusual" in well.output) == (0, True)
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "well.csv").read_text()
    (tmp_path / "bad.csv").write_text("pack,date\n")
    assert "misses the columns" in str(run("anomalies", str(tmp_path / "bad.csv")).exception)
    assert "no section [lake]" in str(run("anomalies", str(depot)).exception)
    depot.write_text(depot.read_text() + "[lake]\n")
    with Lake.open(places_of(Settings.load(depot)), **Bench(tmp_path / "var").parts()):
        pass
    assert "register them" in str(run("anomalies", str(depot)).exception)
    (tmp_path / "a.toml").write_text("early_paise = -1")
    assert "early_paise" in str(run("anomalies", str(tmp_path / "well.csv"), "--assume", str(tmp_path / "a.toml")).exception)


def test_a_cell_that_fell_out_and_stays_there_is_not_told_a_leak_of_nothing(tmp_path: Path) -> None:
    fell = string("E-99/P1", 90, seed=5)
    fell.cells_v[:, 2] -= np.minimum(0.0015 * np.maximum(0, np.arange(90) - 40), 0.045)
    written(tmp_path / "days.csv", fell)
    (alert,) = json.loads(run("anomalies", str(tmp_path / "days.csv"), "--json").stdout)["alerts"]
    assert (alert["kind"], alert["cell"], alert["leak_ma_low"]) == ("internal_short", 3, 0.0)
    assert "4.1 % of charge behind its string; it loses 4 mA at most now beyond what balancing takes" in alert["why"]
    assert "C/" not in alert["why"]
