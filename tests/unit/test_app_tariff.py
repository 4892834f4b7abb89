"""./chargeyard tariff: tables and JSON, files of blocks, exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from controller.app import tariff
from controller.app.cli import app
from grid import GridError
from grid.billing import BillingError, Month, PastMonth
from grid.billing.block_file import read_blocks, read_history
from grid.tariff import Tariff

IST = ZoneInfo("Asia/Kolkata")


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that breaks no sentence; a console reads the width of its own when it is made."""
    monkeypatch.setattr(tariff, "console", Console(width=220))


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["tariff", *words])


def test_all_tariffs_are_listed_with_what_they_need() -> None:
    rows = json.loads(run("list", "--json").output)
    assert [row["name"] for row in rows] == list(Tariff.names())
    assert {row["name"]: row["needs"] for row in rows}["kerala-ht"] == ["demand_rate", "energy_rate"]
    assert "telangana-ht-ix-ev" in run("list").output


def test_a_tariff_is_shown_in_sentences() -> None:
    got = run("show", "telangana-ht-ix-ev")
    assert got.exit_code == 0
    assert "morning peak: 06:00–10:00: + 1 INR/kVAh." in got.output
    assert "doubt energy: morning peak: ≈ 1.167 × the normal price" in got.output
    assert json.loads(run("show", "delhi-ev-ht", "--json").output)["name"] == "delhi-ev-ht"


def test_a_file_is_checked(tmp_path: Path) -> None:
    good, bad, gap = (tmp_path / name for name in ("good.toml", "bad.toml", "gap.toml"))
    told = 'schema = "tariff/2"\nname = "t"\ntitle = "T"\ncurrency = "INR"\ntimezone = "Asia/Kolkata"\norder = "o"\nsource = "s"\n'
    good.write_text(told + '[[energy]]\nbasis = "kWh"\nbase = "7"\n')
    bad.write_text(told + '[[energy]]\nbasis = "kWh"\nbase = 7.5\n')
    gap.write_text(told + '[[energy]]\nbasis = "kWh"\nbase = "7"\nvalid_until = 2026-01-01\n')
    got = run("check", str(good))
    assert (got.exit_code, "can be billed with" in got.output) == (0, True)
    got = run("check", str(bad))
    assert (got.exit_code, "write 7.5 in quotes" in got.output) == (1, True)
    got = run("check", str(gap), "--json")
    assert got.exit_code == 1
    assert {"severity": "problem", "where": "energy", "says": "nothing holds from 2026-01-01 on"} in json.loads(got.output)


def test_prices_change_by_change() -> None:
    got = json.loads(run("price", "kerala-kseb-ev", "--from", "2025-06-02", "--json").output)
    assert [(row["at"], row["price"]) for row in got["prices"]] == [
        ("2025-06-01T18:30:00Z", "9.295"),
        ("2025-06-02T03:30:00Z", "5.005"),
        ("2025-06-02T10:30:00Z", "9.295"),
    ]
    table = run("price", "delhi-ev-ht:power_factor=0.96", "--from", "2025-06-02T06:00", "--to", "2025-06-03").output
    assert "Mon 2025-06-02 06:00" in table
    assert "≈ 4.166667" in table
    assert "leaves out" in table
    assert isinstance(run("price", "delhi-ev-ht", "--from", "2025-06-02", "--to", "2025-06-01").exception, GridError)


def test_a_bill_of_a_file_of_blocks(tmp_path: Path) -> None:
    blocks, history = tmp_path / "blocks.csv", tmp_path / "history.csv"
    blocks.write_text("begins_at,minutes,import_kwh,import_vah\n2020-12-01T00:00,15,120.5,125000\n2020-11-30T18:45Z,15,30,\n")
    history.write_text("month,recorded,billing\n2020-11,400,425\n")
    words = ["bill", "karnataka-bescom-ht-ev", "--month", "2020-12", "--blocks", str(blocks), "--contract", "500", "--power-factor", "0.96"]
    got = json.loads(run(*words, "--history", str(history), "--json").output)
    # 150.5 kWh × 5, 500 kVA × 180 (the floor is 425, 500 were recorded), to the rupee
    assert [line["amount_paise"] for line in got["lines"]] == [75250, 9_000_000, 50]
    assert got["total_paise"] == 9_075_300
    assert got["demands"][0]["recorded"] == "500"
    assert got["covered"] == "1/1488"
    table = run(*words)
    assert table.exit_code == 0, table.output
    assert "90,753.00" in table.output
    assert "500 kVA recorded" in table.output
    assert "· " in table.output, "what the bill does not know is said"
    for wrong in (["--month", "2020-13"], ["--power-factor", "1.5"], ["--contract", "-5"], ["--blocks", str(tmp_path / "none.csv")]):
        broken = run(*words, *wrong)
        assert broken.exit_code != 0
        assert isinstance(broken.exception, (GridError, OSError)), wrong


def test_times_without_offset_are_on_the_tariffs_clock() -> None:
    table = "begins_at,import_wh,export_wh,covered\n2025-06-01T00:15,5,7,0.5\n2025-06-01T00:15:00+05:30,1,,\n"
    one, two = read_blocks(table, IST)
    assert one.begins_at == two.begins_at == datetime(2025, 5, 31, 18, 45, tzinfo=UTC)
    assert (one.minutes, one.import_wh, one.import_vah, one.export_wh, one.covered) == (15, 5, None, 7, 0.5)
    with pytest.raises(BillingError, match="comes twice or not at all"):
        read_blocks("begins_at,import_wh\n2025-10-26T02:30,1\n", ZoneInfo("Europe/Berlin"))
    assert read_history("month,recorded,billing\n2025-01,10.5,12\n") == {Month(2025, 1): PastMonth(Fraction(21, 2), Fraction(12))}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "columns are missing"),
        ("begins_at,energy\n", "it may have begins_at"),
        ("begins_at,import_wh\nyesterday,1\n", "row 2, begins_at: 'yesterday' is not a time"),
        ("begins_at,import_wh\n2025-06-01T00:00,x\n", "row 2, import_wh: 'x' is not a finite number"),
        ("begins_at,import_wh\n2025-06-01T00:00,1.5\n", "not a whole number"),
        ("begins_at,import_kwh\n2025-06-01T00:00,1.0005\n", "more than three decimals"),
        ("begins_at,import_kwh,import_wh\n2025-06-01T00:00,1,1\n", "give one"),
        ("begins_at,import_wh\n2025-06-01T00:00,\n", "neither import_wh nor import_kwh"),
        ("begins_at,import_wh\n2025-06-01T00:00,-1\n", "not negative"),
        ("begins_at,import_wh,minutes\n2025-06-01T00:00,1,7\n", "do not fill a day"),
        ("begins_at,import_wh\n2025-06-01T00:00,1,2\n", "no more cells"),
        ('begins_at,import_wh\n"2025', "not a CSV file"),
        ("begins_at,import_wh\n0001-01-01T00:00,1\n", "no time of our calendar"),
        ("begins_at,import_wh,covered\n2025-06-01T00:00,1,2\n", "between 0 and 1"),
    ],
)
def test_tables_of_blocks_that_cannot_be_right(table: str, says: str) -> None:
    with pytest.raises(BillingError, match=says):
        read_blocks(table, IST)


@pytest.mark.parametrize("row", ["2025-1,1,1", "2025-01,-1,1", "2025-01,1,", "2025-01,1,1\n2025-01,1,1"])
def test_tables_of_history_that_cannot_be_right(row: str) -> None:
    with pytest.raises(BillingError):
        read_history(f"month,recorded,billing\n{row}\n")
