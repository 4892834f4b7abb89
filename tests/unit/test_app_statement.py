"""``./chargeyard statement``: statements of drivers, of all and of a day, and its exit code when something does not agree."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from books_kit import Kit
from test_app_user import config  # noqa: F401  # a fixture: a depot's settings in a folder
from typer.testing import CliRunner

from controller.app.cli import app
from controller.app.payments_process import messenger_of
from controller.settings import Settings, SettingsError
from storage import Store

TAIL = '[payments]\nprice_inr_per_kwh = 14.50\nmock = true\nreminder_days = [1, 4]\nwrite_off_alone_inr = "250.50"\n'
SPAN = ("--first", "2026-11-22", "--last", "2026-11-22")


def run(path: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["statement", str(path), *words], env={"COLUMNS": "160"})
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def depot(config: Path) -> Path:  # noqa: F811
    """One driver paid, one owes."""
    config.write_text(config.read_text().replace('"kothrud"', '"yard"') + "\n" + TAIL.replace("\n", "\n        "))
    settings = Settings.load(config)
    settings.payments_database.parent.mkdir(parents=True, exist_ok=True)
    kit = Kit(path=settings.payments_database)
    kit.mandate("rani")
    kit.mandate("vikram")
    kit.paid("s1")
    kit.bill("v1", "vikram")
    kit.store.close()
    return config


def test_all_drivers_one_driver_and_a_day(depot: Path) -> None:
    shown = run(depot, *SPAN)
    assert "rani" in shown
    assert "₹118.00" in shown
    assert "agrees with invoices, debits and refunds" in shown
    mine = run(depot, "--driver", "vikram", *SPAN)
    assert "from ₹0.00 to ₹118.00" in mine
    assert "session invoiced" in mine
    assert "gateway_clearing" in run(depot, "--day", "2026-11-22")


def test_csv_and_json_are_whole_and_nothing_else(depot: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(depot, "--csv", *SPAN))))
    assert [(r["driver_id"], r["closing_inr"]) for r in rows] == [("rani", "0.00"), ("vikram", "118.00")]
    told = json.loads(run(depot, "--json", *SPAN))
    assert (told["first"], told["drivers"][1]["invoiced_paise"]) == ("2026-11-22", 118_00)
    assert json.loads(run(depot, "--json", "--day", "2026-11-22"))["entries"] == 3


def test_a_ledger_that_does_not_agree_is_exit_1(depot: Path) -> None:
    with Store.open(Settings.load(depot).payments_database) as store, store.writing() as connection:
        connection.exec_driver_sql("UPDATE payments_payment SET amount_paise = 1")
    shown = run(depot, *SPAN, code=1)
    assert "capture of driver rani: ₹118.00 in the ledger, ₹0.01 in the documents" in shown
    assert "ask for help" in shown
    assert run(depot, "--csv", *SPAN, code=1).startswith("driver_id")


def refused(path: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["statement", str(path), *words])
    assert isinstance(result.exception, SettingsError)  # exit code 2 on a real command line
    return str(result.exception)


def test_errors_say_what_to_do(depot: Path) -> None:
    assert "--first is later than --last" in refused(depot, "--first", "2026-11-23", "--last", "2026-11-22")
    Settings.load(depot).payments_database.unlink()
    assert "start the depot once" in refused(depot)
    depot.write_text(depot.read_text().partition("[payments]")[0])
    assert "no section [payments]" in refused(depot)


def test_the_settings_of_reminders_and_write_offs(depot: Path) -> None:
    section = Settings.load(depot).payments
    assert section is not None
    assert (section.to_terms().rules.reminder_days, section.write_off_alone_paise) == ((1, 4), 250_50)


def test_reminders_go_nowhere_without_a_key_that_signs_them(depot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert messenger_of(Settings.load(depot)) is None
    depot.write_text(depot.read_text() + 'reminder_url = "https://sms.example.org/hook"\n')
    with pytest.raises(SettingsError, match="CHARGEYARD_REMINDER_SECRET"):
        messenger_of(Settings.load(depot))
    monkeypatch.setenv("CHARGEYARD_REMINDER_SECRET", "k" * 32)
    messenger = messenger_of(Settings.load(depot))
    assert messenger is not None
    assert messenger.url == "https://sms.example.org/hook"
    assert "kkk" not in repr(messenger) + repr(Settings.load(depot))
    for wrong in ("http://sms.example.org/hook", "ftp://x"):
        depot.write_text(depot.read_text().replace("https://sms.example.org/hook", wrong))
        with pytest.raises(SettingsError, match="reminder_url"):
            Settings.load(depot)
        depot.write_text(depot.read_text().replace(wrong, "https://sms.example.org/hook"))
