"""``./chargeyard battery twin``: tables of packs in, years out; bad tables are refused with the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.app.battery_cli import battery

HEAD = "pack,chemistry,capacity_kwh,soh,soh_low,soh_high,age_years,full_cycles,past_c,duty\n"
GOOD = HEAD + "BUS-1,LFP,200,0.85,0.83,0.87,5,900,30,\nBUS-2,NMC,150,,,,,,,ups\n"


def asked(tmp_path: Path, text: str, *words: str) -> tuple[int, str, str]:
    file = tmp_path / "packs.csv"
    file.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(battery, ["twin", str(file), *words])
    return result.exit_code, result.stdout, result.stderr


def test_packs_are_told_for_machines(tmp_path: Path) -> None:
    code, out, _ = asked(tmp_path, GOOD, "--json", "--years", "4")
    first, second = (json.loads(line) for line in out.splitlines())
    assert code == 0
    assert (first["pack"], first["duty"], second["duty"]) == ("BUS-1", "stationary", "ups")
    assert first["health"][0]["p50"] == pytest.approx(0.85, abs=0.01)
    assert first["health"][4]["p10"] < first["health"][4]["p50"] < first["health"][4]["p90"]
    assert second["to"][2]["years"]["p90"] is None


def test_packs_are_told_for_people_and_an_unknown_chemistry_by_name(tmp_path: Path) -> None:
    code, out, said = asked(tmp_path, GOOD + "BUS-3,LTO,60,,,,,,,\n", "--years", "2")
    assert code == 0
    assert "2 packs" in out
    assert "BUS-3" in said
    assert asked(tmp_path, HEAD + "X,LTO,60,,,,,,,\n")[0] == 1


def test_a_plan_is_what_its_vehicles_do_every_day(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps({"t0": "2026-01-01T20:00:00+05:30", "slot_minutes": 60, "power_kw": {"BUS-1": [0, 0, 25, 25, 25, 25, 0, 0]}})
    )
    code, out, _ = asked(tmp_path, GOOD, "--plan", str(plan), "--json", "--years", "1")
    assert code == 0
    assert json.loads(out.splitlines()[0])["full_cycles_a_year"] == pytest.approx(365.25 / 2, rel=0.05)
    plan.write_text("{}")
    assert asked(tmp_path, GOOD, "--plan", str(plan))[0] == 2
    plan.write_text(json.dumps({"t0": "2026-01-01T20:00:00+05:30", "slot_minutes": 60, "power_kw": {"OTHER": [0]}}))
    assert "none of its vehicles" in asked(tmp_path, GOOD, "--plan", str(plan))[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pack,chemistry\nA,LFP\n", "lacks the column capacity_kwh"),
        (HEAD, "holds 0 packs"),
        (HEAD + ",LFP,200,,,,,,,\n", "line 2: the pack has no name"),
        (HEAD + "A,LFP,many,,,,,,,\n", "line 2: capacity_kwh must be a number"),
        (HEAD + "A,LFP,inf,,,,,,,\n", "must lie between"),
        (HEAD + "A,LFP,200,85,,,,,,\n", "soh must lie between 0.3 and 1.1"),
        (HEAD + "A,LFP,200,0.9,0.95,0.99,,,,\n", "between soh_low and soh_high"),
        (HEAD + "A,LFP,200,,,,,,,\nA,LFP,200,,,,,,,\n", "stands in several lines"),
        (HEAD + "A,LFP,200,,,,,,,nowhere\n", "there is no duty 'nowhere'"),
    ],
)
def test_a_table_that_cannot_be_is_refused(tmp_path: Path, text: str, words: str) -> None:
    code, _, said = asked(tmp_path, text)
    assert code == 2
    assert words in " ".join(said.split())
