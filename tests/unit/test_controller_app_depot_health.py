"""``battery life --depot`` and ``battery calibrate --depot``: the depot's own estimates in the place of a file."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from ageing_kit import NOW_US, fleet
from config_kit import LAKE, NO_BROKER, write_depot
from fake_lives import lives
from typer.testing import CliRunner, Result

from bms_bridge import estimates as room
from bms_bridge.estimates.book import Book, ChargeEntry, PackEntry
from bms_bridge.estimates.estimate import COUNTED, SOH, Estimate
from bms_bridge.health.model_file import write_model
from bms_bridge.life.remaining import to_file
from bms_bridge.life.teaching import Effort, teach_all
from controller.app.cli import app
from controller.life_factors import read_factors
from depot.values import PackKey
from storage import Store


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["battery", *words])


def depot(folder: Path, *, packs: int = 12, counted: bool = True, more: str = "") -> Path:
    """Settings of a depot with a book of health; ``counted``: full cycles since new are known."""
    (folder / "var").mkdir()
    path = write_depot(folder, NO_BROKER, LAKE, "[health]\n", more)
    with contextlib.closing(Store.open(folder / "var" / "pune-health.db")) as store:
        store.migrate([room])
        book = Book(store)
        for name, history in fleet(calendar=1.8, cycle=0.7, packs=packs).items():
            charges = []
            for one in history:
                assert one.use is not None
                detail = {"use": one.use} | ({"cycles": round(one.use["cycles"], 1)} if counted else {})
                said = Estimate(SOH, COUNTED, one.until_s - 60, one.until_s, one.soh, one.low, one.high, "", detail)
                charges.append((ChargeEntry(round(one.until_s * 1e6) - 1, round(one.until_s * 1e6), 10.0, {}), [said]))
            book.put(PackEntry(PackKey(*name.split("/")), NOW_US, "LFP", 100.0, 12, 1, ""), charges, now_us=NOW_US)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("life") / "life.npz"
    write_model(path, to_file(teach_all(lives(8, every=60), effort=Effort(trees=4, folds=2, groups=2, particles=30))))
    return path


def test_the_depots_own_packs_are_told_how_long_they_last(tmp_path: Path, model: Path) -> None:
    config = depot(tmp_path, more=f'life_model = "{model}"')
    done = run("life", "--depot", str(config), "--json")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 12
    assert all(row["targets"][0]["p10_cycles"] <= row["targets"][0]["p90_cycles"] and "p50_years" in row["targets"][0] for row in rows)


def test_the_depots_own_factors_become_a_file(tmp_path: Path) -> None:
    out = tmp_path / "factors.json"
    done = run("calibrate", "--depot", str(depot(tmp_path)), "-o", str(out))
    assert done.exit_code == 0, done.output
    calendar, cycle = read_factors(out)["LFP"]
    assert 1.2 < calendar < 2.4
    assert 0.3 < cycle < 1.3


def test_what_is_missing_is_told(tmp_path: Path, model: Path) -> None:
    config, out = depot(tmp_path, packs=3, counted=False), tmp_path / "factors.json"
    for words, part in (
        (("life", "--depot", str(config), "--model", str(model)), "set cycles_before"),
        (("calibrate", "--depot", str(config), "-o", str(out)), "3 packs can be used, 5 are needed"),
        (("calibrate", "-o", str(out)), "--depot"),
        (("life",), "--depot"),
        (("life", "some.csv", "--depot", str(config)), "--depot"),
        (("life", "--depot", str(tmp_path / "none.toml")), "none.toml"),
    ):
        done = run(*words)
        assert done.exit_code == 2, (words, done.output)
        assert part in done.output.replace("\n", " "), (words, done.output)
    assert not out.exists()
    config.write_text(config.read_text(encoding="utf-8").replace("[health]", ""), encoding="utf-8")
    assert "add a section [health]" in run("calibrate", "--depot", str(config), "-o", str(out)).output
