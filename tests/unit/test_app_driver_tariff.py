"""./chargeyard driver-tariff: a worked bill, doubts, OCPI and back, exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from controller.app import driver_tariff
from controller.app.cli import app
from payments import InvalidBill, InvalidTariff
from payments.tariff_check import doubts
from payments.tariff_reading import read_tariff, read_tariffs
from payments.tariff_text import digest_of, from_text

EVENING = """{"schema": "driver-tariff/1", "id": "evening", "name": "Evening", "max_price": "900",
 "elements": [{"energy": {"price": "16.50"}, "when": {"from": "18:00", "to": "22:00"}},
              {"energy": {"price": "12.75"}, "idle": {"price": "120", "grace_min": 15}}]}"""
SESSION = ("--energy", "20", "--from", "2026-11-23T17:30", "--minutes", "90", "--full-after", "70", "--gone-after", "120")


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_tariff, "console", Console(width=220))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "evening.json"
    made.write_text(EVENING)
    return made


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["driver-tariff", *map(str, words)])


def test_a_session_is_worked_out_line_by_line(file: Path) -> None:
    got = json.loads(run("price", file, *SESSION, "--json").output)
    # 20 kWh over 70 min from 17:30: 30 of them before 18:00; idle from 18:40 + 15 to 19:30, 35 min at 120/h
    assert [(line["kind"], line["quantity"], line["amount_paise"]) for line in got["lines"]] == [
        ("energy", "80/7", 18_857),
        ("energy", "60/7", 10_929),
        ("idle", "7/12", 7_000),
    ]
    assert (got["taxable_paise"], got["cgst_paise"], got["sgst_paise"], got["igst_paise"]) == (36_786, 3_311, 3_311, 0)
    assert got["total_paise"] == 43_408
    shown = run("price", file, *SESSION)
    assert shown.exit_code == 0
    for words in (
        "Charging energy (18:00 to 22:00)",
        "11.4286 kWh",
        "35 min",
        "434.08",
        "Rupees four hundred thirty-four and eight paise only",
    ):
        assert words in shown.output, words


def test_another_state_and_whole_rupees(file: Path) -> None:
    got = json.loads(run("price", file, *SESSION, "--other-state", "--whole-rupees", "--json").output)
    assert (got["igst_paise"], got["cgst_paise"], got["round_off_paise"], got["total_paise"]) == (6_621, 0, -7, 43_400)


def test_readings_of_a_register(file: Path, tmp_path: Path) -> None:
    table = tmp_path / "readings.csv"
    table.write_text("at,register_wh\n2026-11-23T17:30,1000\n2026-11-23T18:00,6000\n2026-11-23T18:45,14000\n")
    got = json.loads(run("price", file, "--readings", table, "--json").output)
    assert [(line["quantity"], line["amount_paise"]) for line in got["lines"]] == [("8", 13_200), ("5", 6_375)]
    table.write_text("at,register_wh\n2026-11-23T17:30,1000\nsoon,6000\n")
    wrong = run("price", file, "--readings", table)
    assert isinstance(wrong.exception, InvalidBill)
    assert "line 3" in str(wrong.exception)


def test_to_ocpi_and_back_is_the_same_tariff(file: Path, tmp_path: Path) -> None:
    for version in ("2.2.1", "2.3.0"):
        out, back = tmp_path / f"{version}.json", tmp_path / f"{version}-back.json"
        assert run("export", file, "--ocpi", version, "--party", "kth", "-o", out).exit_code == 0
        assert json.loads(out.read_text())["party_id"] == "KTH"
        assert run("import", out, "-o", back).exit_code == 0
        assert digest_of(from_text(back.read_text())) == digest_of(from_text(EVENING))
    assert isinstance(run("export", file, "--party", "toolong").exception, InvalidTariff)


def test_one_of_several_is_chosen(file: Path, tmp_path: Path) -> None:
    one = json.loads(run("export", file).output)
    many = tmp_path / "many.json"
    many.write_text(json.dumps({"status_code": 1000, "data": [one, one | {"id": "second"}], "timestamp": "2026-11-22T00:00:00Z"}))
    assert "--id: evening, second" in str(run("check", many, "--json").output)
    assert json.loads(run("import", many, "--id", "second").output)["id"] == "second"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"schema": "driver-tariff/1", "id": "x", "elements": [{"energy": {"price": "14.50"}, "vat": 18}]}')
    got = run("check", wrong)
    assert got.exit_code == 1
    assert "elements[0]: 'vat' is not known" in got.output
    element = {"price_components": [{"type": "ENERGY", "price": 14.5}], "restrictions": {"min_current": 16}}
    wrong.write_text(json.dumps({"id": "x", "currency": "INR", "elements": [element]}))
    assert json.loads(run("check", wrong, "--json").output)["problem"].startswith("elements[0].restrictions: min_current is not supported")
    assert isinstance(run("price", tmp_path / "none.json").exception, FileNotFoundError)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ('[{"energy": {"price": "14"}}, {"energy": {"price": "16"}, "when": {"days": ["sun"]}}]', "elements[1].energy never counts"),
        ('[{"energy": {"price": "14"}, "when": {"from": "06:00", "to": "22:00"}}]', "energy costs nothing at times"),
        ('[{"energy": {"price": "1450"}}]', "paise that were meant"),
        ('[{"energy": {"price": "0.14"}}]', "is this the price of one kWh"),
        ('[{"energy": {"price": "14"}, "idle": {"price": "60"}}]', "idle time counts from the first second"),
        ('[{"energy": {"price": "29/3"}}]', "cannot be exported to OCPI"),
        ('[{"energy": {"price": "0"}}]', "energy costs nothing at times"),
    ],
)
def test_doubts(elements: str, words: str) -> None:
    found = doubts(from_text(f'{{"schema": "driver-tariff/1", "id": "x", "elements": {elements}}}'), datetime(2026, 11, 22, tzinfo=UTC))
    assert any(words in sentence for sentence in found), found


def test_a_sound_tariff_has_no_doubts_and_one_that_ended_says_so() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert doubts(from_text(EVENING), now) == []
    over = from_text(EVENING.replace('"id"', '"valid_until": "2026-11-01T00:00:00+05:30", "id"'))
    assert doubts(over, now)[0].startswith("it ended on 2026-11-01")


@pytest.mark.parametrize("text", ["[]", "{", "3", '{"status_code": 2001, "data": null}', "[" * 100_000, '{"id": NaN}', '[{"id": 1}]'])
def test_hostile_texts_are_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidTariff):
        read_tariffs(text)


def test_two_tariffs_are_not_one() -> None:
    with pytest.raises(InvalidTariff, match="there are 2 tariffs"):
        read_tariff('[{"id": "a", "currency": "INR", "elements": [{"price_components": [{"type": "ENERGY", "price": 1}]}]},'
                    '{"id": "b", "currency": "INR", "elements": [{"price_components": [{"type": "ENERGY", "price": 1}]}]}]')  # fmt: skip
