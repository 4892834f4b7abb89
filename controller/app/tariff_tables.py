"""What ``./chargeyard tariff`` prints: tables with units, or JSON in which exact numbers are text ("7.15", or "25/6").

Exit codes: 0 done; 1 the tariff can't be read or has problems (``check``); what else is wrong with an input ends in 2.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from depot.money_text import amount
from grid.billing import Bill, BillExtras, BillingError, BillingHistory, Month, bill
from grid.billing.block_file import read_blocks, read_history
from grid.tariff import InvalidTariff, Tariff
from grid.tariff.check import Finding, Severity, check
from grid.tariff.numbers import exact_number, exact_text, plain
from grid.tariff.reading import named_parameters
from grid.tariff.words import told

__all__ = ["BillWish", "show_bill", "show_check", "show_list", "show_one", "show_prices"]

_COLOURS = {Severity.PROBLEM: "red", Severity.DOUBT: "yellow", Severity.NOTE: "dim"}
_LONGEST_PRICES = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class BillWish:
    """What was asked for; numbers as they were typed, empty: not given."""

    name: str
    month: str
    blocks: Path
    contract: str
    history: Path | None
    power_factor: str
    timezone: str
    monthly: tuple[str, ...]


def show_list(console: Console, *, as_json: bool) -> int:
    """All packaged tariffs with what they need and when they hold."""
    rows = []
    for name in Tariff.names():
        needed = Tariff.needed(name)
        filled = f"{name}:{','.join(f'{key}=1' for key in needed)}" if needed else name
        one = Tariff.named(filled)
        rows.append({"name": name, "title": one.title, "holds": str(one.valid), "currency": one.currency, "needs": sorted(needed)})
    if as_json:
        return _json(console, rows)
    table = Table(title="Tariffs", title_justify="left")
    for heading in ("name", "title", "holds", "needs"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")  # a name that is broken cannot be copied
    for row in rows:
        table.add_row(*(escape(str(row[key])) for key in ("name", "title", "holds")), escape(", ".join(row["needs"])) or "–")
    console.print(table)
    return 0


def show_one(name: str, console: Console, *, as_json: bool) -> int:
    """What it says, and what is doubtful."""
    tariff = Tariff.load(name)
    sentences, findings = told(tariff), check(tariff, datetime.now(UTC).date())
    if as_json:
        return _json(console, {"name": tariff.name, "says": sentences, "findings": [_finding(one) for one in findings]})
    for sentence in sentences:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    _print_findings(findings, console)
    return 0


def show_check(name: str, console: Console, *, as_json: bool) -> int:
    """Whether it can be read, and what was found; 1 with an error or a problem."""
    try:
        findings = check(Tariff.load(name), datetime.now(UTC).date())
    except InvalidTariff as error:
        findings = [Finding(Severity.PROBLEM, name, str(error))]
    if as_json:
        _json(console, [_finding(one) for one in findings])
    else:
        _print_findings(findings, console)
        if not any(one.severity is Severity.PROBLEM for one in findings):
            console.print(f"[green]✓[/] {escape(name)} can be billed with", highlight=False)
    return int(any(one.severity is Severity.PROBLEM for one in findings))


def show_prices(
    name: str, since: datetime, until: datetime | None, *, used: str, timezone: str, monthly: Sequence[str], console: Console, as_json: bool
) -> int:
    """Each change of the price from ``since`` on, on the tariff's clock."""
    tariff = Tariff.load(name, timezone=timezone)
    start = since.replace(tzinfo=tariff.zone)
    stop = (until if until is not None else since + timedelta(days=1)).replace(tzinfo=tariff.zone)
    if not timedelta() < stop - start <= _LONGEST_PRICES:
        raise InvalidTariff(f"from {since} to {stop.replace(tzinfo=None)}: give a period of at most {_LONGEST_PRICES.days} days")
    steps = tariff.steps(start, stop, used=_not_negative(used, "--used"), monthly=_monthly(monthly))
    unit = f"{tariff.currency}/kWh"
    if as_json:
        prices = [{"at": at.isoformat().replace("+00:00", "Z"), "price": exact_text(price)} for at, price in steps]
        return _json(console, {"tariff": tariff.name, "unit": unit, "prices": prices, "remarks": list(tariff.remarks(start, stop))})
    table = Table(title=f"{escape(tariff.name)}: what one more kWh costs", title_justify="left")
    table.add_column(f"from ({tariff.timezone})")
    table.add_column(unit, justify="right")
    for at, price in steps:
        table.add_row(f"{at.astimezone(tariff.zone):%a %Y-%m-%d %H:%M}", plain(price))
    console.print(table)
    _say(tariff.remarks(start, stop), console)
    return 0


def show_bill(wish: BillWish, console: Console, *, as_json: bool) -> int:
    """The bill of a month, or JSON of it."""
    tariff = Tariff.load(wish.name, timezone=wish.timezone)
    history = BillingHistory(read_history(_text(wish.history))) if wish.history is not None else BillingHistory()
    made = bill(
        tariff,
        Month.parse(wish.month),
        read_blocks(_text(wish.blocks), tariff.zone),
        history,
        contract=_not_negative(wish.contract, "--contract") if wish.contract else None,
        extras=BillExtras(exact_number(wish.power_factor, "--power-factor") if wish.power_factor else None, _monthly(wish.monthly)),
    )
    if as_json:
        return _json(console, _bill(made))
    table = Table(title=escape(f"{made.title}, {made.month}"), title_justify="left", show_lines=True, show_footer=True)
    table.add_column("line", "Total", overflow="fold")
    for heading in ("quantity", "unit", f"{made.currency} per unit"):
        table.add_column(heading, justify="right")
    table.add_column(made.currency, amount(made.total_paise, made.currency), justify="right")
    table.add_column("how", overflow="fold")
    for line in made.lines:
        cells = (line.text, plain(line.quantity, 3), line.unit, plain(line.rate, 4), amount(line.amount_paise, made.currency))
        table.add_row(*map(escape, cells), escape(f"{line.explanation} [{line.order_ref}]"))
    console.print(table)
    _say(made.caveats, console)
    return 0


def _bill(made: Bill) -> dict[str, object]:
    return {
        "tariff": made.tariff,
        "month": str(made.month),
        "currency": made.currency,
        "lines": [
            {
                "code": line.code,
                "text": line.text,
                "quantity": exact_text(line.quantity),
                "unit": line.unit,
                "rate": exact_text(line.rate),
                "amount_paise": line.amount_paise,
                "explanation": line.explanation,
                "order_ref": line.order_ref,
                "valid_from": str(line.valid.since),
                "valid_until": str(line.valid.until),
            }
            for line in made.lines
        ],
        "total_paise": made.total_paise,
        "demands": [
            {
                "code": one.code,
                "unit": one.unit,
                "recorded": exact_text(one.recorded),
                "billing": exact_text(one.billing),
                "excess": exact_text(one.excess),
                "at": one.at.isoformat().replace("+00:00", "Z") if one.at is not None else None,
            }
            for one in made.demands
        ],
        "energy_kwh": exact_text(made.energy_kwh),
        "energy_kvah": exact_text(made.energy_kvah) if made.energy_kvah is not None else None,
        "power_factor": exact_text(made.power_factor) if made.power_factor is not None else None,
        "covered": exact_text(made.covered),
        "caveats": list(made.caveats),
    }


def _monthly(given: Sequence[str]) -> dict[str, Fraction]:
    return named_parameters(",".join(given), "--monthly")


def _not_negative(text: str, where: str) -> Fraction:
    number = exact_number(text, where)
    if number < 0:
        raise InvalidTariff(f"{where}: {text} is negative")
    return number


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BillingError(f"{path}: not a text in UTF-8") from None


def _finding(one: Finding) -> dict[str, str]:
    return {"severity": one.severity.value, "where": one.where, "says": one.sentence}


def _print_findings(findings: Sequence[Finding], console: Console) -> None:
    for one in findings:
        colour = _COLOURS[one.severity]
        console.print(f"[{colour}]{one.severity}[/] {escape(one.where)}: {escape(one.sentence)}", highlight=False, soft_wrap=True)


def _say(sentences: Sequence[str], console: Console) -> None:
    for sentence in sentences:
        console.print(f"· {escape(sentence)}", highlight=False, soft_wrap=True)


def _json(console: Console, value: object) -> int:
    console.print(json.dumps(value, ensure_ascii=False, indent=1), markup=False, highlight=False, soft_wrap=True)
    return 0
