"""./chargeyard lake where no lake runs: the command takes it for itself, and answers with data or a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from config_kit import LAKE, write_depot
from lake_kit import DEPOT, A, Bench
from typer.testing import CliRunner

from bms_bridge.lake.derive import key_of
from bms_bridge.lake.engine import Lake
from controller.app.cli import app
from controller.secrets import depot_secret
from controller.settings import Settings, SettingsError


def said(*words: object) -> tuple[int, str]:
    found = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stdout


def test_every_command_of_the_lake(tmp_path: Path) -> None:
    config = write_depot(tmp_path, LAKE, depot_id=DEPOT)
    settings = Settings.load(config)
    settings.storage.path.mkdir()
    bench = Bench(settings.storage.path)
    with Lake.open(bench.places, **(bench.parts() | {"key": key_of(depot_secret(settings))})) as lake:
        bench.drive(lake, 5, packs=(A,))
    code, text = said("lake", "query", config, "SELECT vehicle_id, count(*) AS n FROM samples JOIN packs USING (pack) GROUP BY 1", "--csv")
    assert (code, text.split()) == (0, ["vehicle_id,n", "E-101,30"])
    assert said("lake", "compact", config)[1].startswith("1 files written")
    assert "1 files, 1 records looked at; 0 wrong" in said("lake", "check", config, "--lives")[1]
    code, text = said("lake", "catalog", config, "--json")
    assert {one["name"]: one["rows"] for one in json.loads(text)["datasets"]}["warm"] == 30
    assert json.loads(said("lake", "life", config, "E-101/P1")[1])["record"]["samples"]["all"] == 30
    assert said("lake", "life", config, "nobody/P1")[0] == 1
    code, text = said("lake", "export", config, "E-101/P1", "-o", tmp_path / "pack.zip")
    fingerprint = re.search(r"by the key ([0-9a-f ]+)", text)
    assert fingerprint
    assert "30 rows" in said("lake", "import", config, "N-7/P1", tmp_path / "pack.zip", "--fingerprint", fingerprint[1])[1]
    assert "was here already" in said("lake", "import", config, "N-7/P1", tmp_path / "pack.zip", "--fingerprint", fingerprint[1])[1]
    assert said("lake", "life", config, "no-slash")[0] == 2


def test_a_depot_without_a_lake_says_so(tmp_path: Path) -> None:
    config = write_depot(tmp_path)
    with pytest.raises(SettingsError, match="no section"):
        said("lake", "catalog", config)
