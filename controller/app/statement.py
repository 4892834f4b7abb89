"""``./chargeyard statement``: statements out of the books of money, and the proof that they are what the invoices say."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from controller.settings import Settings, SettingsError
from depot.money_text import rupees
from payments.ledger import check
from payments.records import looking
from payments.rules import INDIA
from payments.statements import (
    DayStatement,
    DriverStatement,
    FleetStatement,
    as_csv,
    day_statement,
    driver_statement,
    fleet_statement,
    mismatches,
)
from storage import Store

__all__ = ["run_statement"]

Statement = DriverStatement | FleetStatement | DayStatement


def run_statement(
    config: Path,
    *,
    driver: str = "",
    day: date | None = None,
    first: date | None = None,
    last: date | None = None,
    as_csv_: bool = False,
    as_json: bool = False,
    console: Console,
) -> int:
    """Print one; 0: the ledger agrees with its documents, 1: it does not. Raises :class:`~controller.settings.SettingsError`."""
    settings = Settings.load(config)
    if settings.payments is None:
        raise SettingsError("there is no section [payments]: nobody pays in this depot")
    if not settings.payments_database.exists():
        raise SettingsError(f"there are no books of money at {settings.payments_database}: start the depot once")
    last = last or datetime.now(INDIA).date()
    first = first or last.replace(day=1)
    if first > last:
        raise SettingsError("--first is later than --last")
    found: Statement
    with contextlib.closing(Store.open(settings.payments_database, read_only=True)) as store:
        if day is not None:
            found = day_statement(store, settings.depot.id, day)
        elif driver:
            found = driver_statement(store, settings.depot.id, driver, first, last)
        else:
            found = fleet_statement(store, settings.depot.id, first, last)
        with looking(store) as session:
            wrong = mismatches(session, settings.depot.id)
            sound = check(session, settings.depot.id).sound
    if as_csv_:
        console.file.write(as_csv(found))
    elif as_json:
        console.file.write(json.dumps(asdict(found), default=_text) + "\n")
    else:
        console.print(_table(found))
    if not as_csv_ and not as_json:
        for line in wrong:
            console.print(
                f"[bold]{line.what} of driver {line.driver_id}[/]: {rupees(line.ledger_paise)} in the ledger, "
                f"{rupees(line.documents_paise)} in the documents"
            )
        console.print(
            "The ledger's sum is 0 and it agrees with invoices, debits and refunds."
            if sound and not wrong
            else "[bold]The ledger does not agree: keep the books and ask for help.[/]"
        )
    return 0 if sound and not wrong else 1


def _table(found: Statement) -> Table:
    table = Table(box=None, pad_edge=False)
    match found:
        case DriverStatement():
            table.title = (
                f"{found.driver_id}, {found.first} to {found.last}: from {rupees(found.opening_paise)} to {rupees(found.closing_paise)}"
            )
            for name in ("at", "what", "reference", "amount", "balance"):
                table.add_column(name, justify="right" if name in ("amount", "balance") else "left")
            for e in found.lines:
                table.add_row(
                    f"{e.at.astimezone(INDIA):%Y-%m-%d %H:%M}", e.memo, e.reference, rupees(e.amount_paise), rupees(e.balance_paise)
                )
        case FleetStatement():
            table.title = f"{found.first} to {found.last}"
            names = ("opening", "invoiced", "paid", "credited", "refunded", "written_off", "closing")
            for name in ("driver", *names):
                table.add_column(name.replace("_", " "), justify="left" if name == "driver" else "right")
            for line in found.drivers:
                table.add_row(line.driver_id, *(rupees(getattr(line, f"{name}_paise")) for name in names))
        case DayStatement():
            table.title = f"{found.day}: {found.entries} entries"
            for name in ("account", "opening", "debits", "credits", "closing"):
                table.add_column(name, justify="left" if name == "account" else "right")
            for a in found.accounts:
                table.add_row(a.account, *map(rupees, (a.opening_paise, a.debits_paise, a.credits_paise, a.closing_paise)))
    return table


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
