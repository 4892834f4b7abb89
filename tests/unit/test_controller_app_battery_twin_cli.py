"""``./chargeyard battery twin``: tables of packs in, years out; bad tables are refused with the line."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bms_bridge import estimates
from bms_bridge.estimates.book import Book, PackEntry
from bms_bridge.estimates.prospect_view import PackProspect, PackTwinAsked, PackTwinStart
from bms_bridge.estimates.shelf import Shelf
from controller.app.battery_cli import battery
from controller.settings import Settings
from depot.values import PackKey
from storage import Store

EXAMPLE_TEXT = (Path(__file__).resolve().parents[2] / "docs" / "example-depot.toml").read_text(encoding="utf-8")

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


def of_depot(tmp_path: Path, *words: str) -> tuple[int, str, str]:
    settings = tmp_path / "depot.toml"
    if not settings.exists():
        settings.write_text((EXAMPLE_TEXT + "\n[lake]\n\n[health]\n").replace('path = "var"', f'path = "{tmp_path}/var"'), encoding="utf-8")
    result = CliRunner().invoke(
        battery, ["twin", "--depot", str(settings), *words], env={"CHARGEYARD_STORAGE__PATH": str(tmp_path / "var")}
    )
    return result.exit_code, result.stdout, result.stderr


def test_packs_of_a_depot_are_run_as_today_and_under_numbers(tmp_path: Path) -> None:
    assert of_depot(tmp_path)[0] == 2
    database = Settings.load(tmp_path / "depot.toml").health_database
    assert tmp_path in database.parents
    database.parent.mkdir(parents=True, exist_ok=True)
    now = datetime(2026, 11, 22, tzinfo=UTC)
    with contextlib.closing(Store.open(database)) as store:
        store.migrate([estimates])
        book, shelf = Book(store), Shelf(store)
        start = PackTwinStart(
            "NMC", 80.0, 0.9, 0.01, 3.0, 800.0, 28.0, 0.6, 0.3, past_told=True, today=PackTwinAsked(26.0, 0.5, 0.3, 280.0)
        )
        for vehicle, twin in (("E-1", start), ("E-2", None)):
            key = PackKey(vehicle, "P1")
            book.put(PackEntry(key, 1, "NMC", 100.0, 12, 3, ""), [], now_us=1)
            shelf.put_prospect(key, PackProspect(now, now, "" if twin else "it takes an estimate", twin=twin), now_us=1)
    code, out, said = of_depot(tmp_path, "--duty", "present", "--years", "3", "--until", "0.85", "--json")
    assert code == 0, said
    told = json.loads(out)
    assert (told["pack"], told["duty"], told["to"][3]["health"]) == ("E-1/P1", "present", 0.85)
    assert told["full_cycles_a_year"] == pytest.approx(280, rel=0.05)
    assert "it takes an estimate" in said
    code, out, _ = of_depot(tmp_path, "--vehicle", "E-1", "--ambient-c", "40", "--cycles-per-year", "150", "--years", "1")
    assert code == 0
    assert "numbers" in out
    assert "nothing can be run" in of_depot(tmp_path, "--vehicle", "E-9")[2]
    assert "do not fit" in of_depot(tmp_path, "--ambient-c", "30", "--cycles-per-year", "4000")[2]


def test_without_packs_or_with_both_it_says_what_to_name(tmp_path: Path) -> None:
    result = CliRunner().invoke(battery, ["twin"])
    assert (result.exit_code, "name a table of packs" in result.stderr) == (2, True)
    assert "give --depot" in asked(tmp_path, GOOD, "--duty", "present")[2]
    assert "not both" in asked(tmp_path, GOOD, "--depot", "x.toml")[2]


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
