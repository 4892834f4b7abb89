"""``./chargeyard battery life``, ``life-train``, ``life-test``, ``calibrate``: what they print, and with which code they end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_lives import lives, write_lives
from test_bms_bridge_health_early_life import invented, write
from typer.testing import CliRunner, Result

from bms_bridge.health import early_life
from bms_bridge.health.early_life import EarlyLives, words_about
from bms_bridge.life import teaching
from controller.app.cli import app
from optimizer.life_table import rates_of


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["battery", *words])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("life")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching.Effort, "__init__", lambda self: None, raising=True)
        for name, value in (("trees", 5), ("folds", 2), ("groups", 2), ("particles", 40)):
            patch.setattr(teaching.Effort, name, value)
        write_lives(folder / "bus.csv", lives(10, every=40))
        done = run("life-train", "--data", str(folder / "bus.csv"), "--out", str(folder / "life.npz"))
    assert done.exit_code == 0, done.output
    assert "bus: 10 lives in 1 groups" in done.output
    return folder / "life.npz"


def test_life_in_cycles_and_years_and_what_another_policy_gives(tmp_path: Path, model: Path) -> None:
    tracks = [track.until(len(track.cycles) // 2) for track in lives(3, seed=4)]
    write_lives(tmp_path / "bus.csv", tracks)
    done = run("life", str(tmp_path / "bus.csv"), "--model", str(model), "--chemistry", "nmc", "--temp", "35", "--json")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["pack"] for row in rows] == ["P00", "P01", "P02"]
    to_80, to_70 = rows[0]["targets"]
    assert to_80["p10_cycles"] < to_80["p50_cycles"] < to_80["p90_cycles"] < to_70["p90_cycles"]
    assert to_80["p50_years"] == pytest.approx(to_80["p50_cycles"] / 250, abs=0.05)
    assert to_70["worth"].startswith("further than any taught life") == (to_70["target"] < 0.74)
    by = {way["policy"]: way["p50_years_more"] for way in to_80["policies"]}
    assert by["90% instead of 100% when ready"] > 0
    shown = run("life", str(tmp_path / "bus.csv"), "--model", str(model), "--chemistry", "LFP")
    assert "90% instead of 100%" in shown.output
    assert "nobody has measured" in shown.output


def test_without_years_there_are_cycles_only(tmp_path: Path, model: Path) -> None:
    write_lives(tmp_path / "bus.csv", [lives(1, seed=4)[0].until(20)], years=False)
    assert "Years need --cycles-per-year" in run("life", str(tmp_path / "bus.csv"), "--model", str(model)).output
    row = json.loads(run("life", str(tmp_path / "bus.csv"), "--model", str(model), "--cycles-per-year", "300", "--json").stdout)
    assert row["targets"][0]["p50_years"] == pytest.approx(row["targets"][0]["p50_cycles"] / 300, abs=0.01)


def test_other_lives_are_held_against_what_came(tmp_path: Path, model: Path) -> None:
    write_lives(tmp_path / "bus.csv", lives(4, seed=5, every=40))
    (row,) = json.loads(run("life-test", "--model", str(model), "--data", str(tmp_path / "bus.csv"), "--json").stdout)
    assert (row["lives"], row["kind"]) == (4, "bus")
    assert row["mae"] < 150
    assert run("life-test", "--model", str(model), "--data", str(tmp_path / "bus.csv"), "--to", "50").exit_code == 1
    assert run("life-test", "--model", str(model), "--data", str(tmp_path / "bus.csv"), "--to", "5").exit_code == 2


def test_what_cannot_be_is_one_sentence(tmp_path: Path, model: Path) -> None:
    write_lives(tmp_path / "van.csv", [lives(1)[0].until(20)])
    file = str(tmp_path / "van.csv")
    assert "van: not taught by name; taken as bus" in run("life", file, "--model", str(model)).output
    for words, says in (
        (["--model", str(tmp_path / "none.npz")], "life-train"),
        (["--model", str(model), "--kind", "tram"], "it knows bus"),
        (["--model", str(model), "--chemistry", "LTO"], "LFP or NMC"),
        (["--model", str(model), "--chemistry", "LFP", "--top", "300"], "--top is 3"),
        (["--model", str(model), "--chemistry", "LFP", "--calibration", str(tmp_path / "none.json")], "battery calibrate"),
        ([], "no kind has 8 packs"),
    ):
        refused = run("life", file, *words)
        assert (refused.exit_code, says in refused.output) == (2, True), refused.output
    assert run("life-train", "--data", file, "--out", str(tmp_path / "no" / "x.npz")).exit_code == 2


def fleet(path: Path, *, pace: float) -> None:
    """30 LFP packs over three years, with different uses; ``pace`` times as fast as the table."""
    rng = np.random.default_rng(6)
    rates = rates_of("LFP_250Ah_prismatic", 30.0)
    lines = ["pack,years,cycle,soh,soc"]
    for pack in range(30):
        soc, per_year = rng.uniform(0.4, 0.9), rng.uniform(100, 500)
        for years in np.linspace(0, 3, 13):
            loss = years * float(rates.at_empty + rates.per_soc * soc) + years * per_year * float(rates.cycle)
            lines.append(f"P{pack},{years:.3f},{years * per_year:.1f},{1 - pace * loss + rng.normal(0, 0.003):.5f},{soc:.3f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_calibrate_finds_the_fleets_pace_and_writes_what_settings_take(tmp_path: Path) -> None:
    fleet(tmp_path / "fleet.csv", pace=2.0)
    out = tmp_path / "factors.json"
    done = run("calibrate", "--data", str(tmp_path / "fleet.csv"), "-o", str(out), "--chemistry", "lfp", "--temp", "30")
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text(encoding="utf-8"))["chemistries"]["LFP"]
    assert found["calendar"] == pytest.approx(2.0, abs=0.3)
    assert found["cycle"] == pytest.approx(2.0, abs=0.3)
    assert "pack_life.calibration" in done.output
    missing = run("calibrate", "--data", str(tmp_path / "fleet.csv"), "-o", str(out), "--chemistry", "lfp")
    assert (missing.exit_code, "--temp" in missing.output) == (2, True)
    unknown = run("calibrate", "--data", str(tmp_path / "fleet.csv"), "-o", str(out), "--chemistry", "LTO", "--temp", "30")
    assert (unknown.exit_code, "nothing is known" in unknown.output) == (2, True)
    assert run("calibrate", "--data", str(tmp_path / "none.csv"), "-o", str(out), "--chemistry", "LFP", "--temp", "30").exit_code == 2


def test_stress_is_told_by_condition_and_slope(tmp_path: Path) -> None:
    lines = ["cell,cycle,capacity,T_C,rate_c"]
    for temp_c in (25, 45):
        for number in range(4):
            lines += [f"c{temp_c}-{number},{cycle},{2 * (1 - cycle * temp_c * 2e-5)},{temp_c},0.5" for cycle in range(1, 200, 4)]
    (tmp_path / "lab.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = run("stress", str(tmp_path / "lab.csv"), "--nominal", "2", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [one["temp_c"] for one in found["conditions"]] == [25, 45]
    (slope,) = found["slopes"]
    assert slope["times"] == pytest.approx((45 / 25) ** 0.5, abs=0.03)
    assert "10 °C more" in run("stress", str(tmp_path / "lab.csv"), "--nominal", "2").output
    assert run("stress", str(tmp_path / "lab.csv")).exit_code == 2  # without the nominal capacity
    refused = run("stress", str(tmp_path / "lab.csv"), "--nominal", "2", "--cycles", "900")
    assert (refused.exit_code, "fewer cycles" in refused.output) == (2, True)


def test_first_curves_are_a_word_about_a_new_pack_and_none_about_an_old_one(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_life, "MEMBERS", {"variance": early_life.MEMBERS["variance"]})
    new, old = lives(2, seed=4)
    write_lives(tmp_path / "bus.csv", [new.until(0), old.until(len(old.cycles) // 2)])
    early = tmp_path / "early"
    early.mkdir()
    table = invented(20, 3)
    names = np.array([new.pack, old.pack, *table.cells[2:]])
    life = table.life_cycles.copy()
    life[:2] = np.nan
    write(early, EarlyLives(names, table.splits, table.scalars, table.curves_ah, life))
    words = ("life", str(tmp_path / "bus.csv"), "--model", str(model), "--json")
    plain, heard = ([json.loads(line) for line in run(*words, *more).stdout.splitlines()] for more in ((), ("--early", str(early))))
    said = words_about(EarlyLives(names, table.splits, table.scalars, table.curves_ah, life), [new.pack])[new.pack]
    before, after = (abs(np.log(rows[0]["targets"][0]["p50_cycles"] / said[0])) for rows in (plain, heard))
    assert after < before
    assert heard[1]["targets"][0]["p50_cycles"] == pytest.approx(plain[1]["targets"][0]["p50_cycles"], rel=0.1)
    (early / "features.csv").unlink()
    none = run(*words, "--early", str(early))
    assert none.exit_code == 2
    assert "no table of" in none.output.replace("\n", " ")
