"""What ``./chargeyard driver-tariff`` prints and writes.

Exit codes: 0 done; 1 the tariff cannot be read (``check``); what else is wrong with an input ends in 2.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from depot.money_text import amount
from payments import InvalidBill, InvalidTariff
from payments.driver_tariff import DriverTariff, Unit
from payments.money import Bill, GstRule, bill_of_value, round_half_up
from payments.money_words import rupees_in_words
from payments.rating import Rated, Reading, SessionFacts, rate
from payments.tariff_check import doubts
from payments.tariff_ocpi import OcpiVersion, to_ocpi
from payments.tariff_reading import read_tariffs
from payments.tariff_text import digest_of, exact_text, number, to_data, told

__all__ = ["OcpiWish", "PriceWish", "show_check", "show_price", "write_export", "write_import"]

_MOST_READINGS = 100_000


@dataclass(frozen=True, slots=True)
class OcpiWish:
    """How it goes out; ``tax`` as it was typed."""

    version: str
    country: str
    party: str
    tax: str


@dataclass(frozen=True, slots=True)
class PriceWish:
    """A session as it was typed; ``since`` on the tariff's clock."""

    since: datetime | None
    minutes: float
    energy: str
    readings: Path | None
    full_after: float | None
    gone_after: float | None
    tax: str
    other_state: bool
    whole_rupees: bool


def show_check(file: Path, tariff_id: str, console: Console, *, as_json: bool) -> int:
    """What it says and what is doubtful; 1 where it cannot be read."""
    try:
        tariff = _read(file, tariff_id)
    except InvalidTariff as error:
        if as_json:
            return _json(console, {"file": str(file), "readable": False, "problem": str(error)}, 1)
        console.print(f"[red]problem[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    found = doubts(tariff, datetime.now(UTC))
    if as_json:
        said = {"file": str(file), "readable": True, "id": tariff.tariff_id, "digest": digest_of(tariff), "says": told(tariff)}
        return _json(console, said | {"doubts": found}, 0)
    for sentence in told(tariff):
        console.print(f"· {escape(sentence)}", highlight=False, soft_wrap=True)
    for sentence in found:
        console.print(f"[yellow]doubt[/] {escape(sentence)}", highlight=False, soft_wrap=True)
    console.print(f"[green]✓[/] drivers can be billed by {escape(tariff.tariff_id)} ({digest_of(tariff)[:12]})", highlight=False)
    return 0


def write_import(file: Path, tariff_id: str, output: Path | None, console: Console) -> int:
    """As driver-tariff/1."""
    tariff = _read(file, tariff_id)
    return _write(to_data(tariff), output, console)


def write_export(file: Path, tariff_id: str, wish: OcpiWish, output: Path | None, console: Console) -> int:
    """As OCPI's object."""
    country, party = wish.country.upper(), wish.party.upper()
    if len(country) != 2 or not country.isalpha() or len(party) != 3 or not party.isalnum():
        raise InvalidTariff("OCPI's country_code has two letters and party_id three letters or digits: --country IN --party CYD")
    tariff = _read(file, tariff_id)
    made = to_ocpi(tariff, version=OcpiVersion(wish.version), country_code=country, party_id=party, tax=number(wish.tax, "--tax") / 100)
    return _write(made, output, console)


def show_price(file: Path, tariff_id: str, wish: PriceWish, console: Console, *, as_json: bool) -> int:
    """The worked bill."""
    tariff = _read(file, tariff_id)
    facts = _facts(wish, tariff)
    rated = rate(tariff, facts)
    rule = GstRule(
        rate=number(wish.tax, "--tax") / 100, supplier_state="27", supply_state="29" if wish.other_state else "27",
        whole_rupees=wish.whole_rupees,
    )  # fmt: skip
    bill = bill_of_value(rated.taxable_paise, rated.energy_wh, rule)
    if as_json:
        return _json(console, _worked(tariff, rated, bill), 0)
    local = facts.started_at.astimezone(tariff.timezone)
    table = Table(title=escape(f"{tariff.tariff_id}: {rated.energy_wh / 1000:g} kWh from {local:%a %Y-%m-%d %H:%M}"), title_justify="left")
    table.add_column("line", overflow="fold")
    for heading in ("quantity", f"{tariff.currency} each", tariff.currency):
        table.add_column(heading, justify="right")
    for line in rated.lines:
        table.add_row(
            escape(line.words),
            _quantity(line.quantity, line.unit),
            _plain(line.price_paise / 100),
            amount(line.amount_paise, tariff.currency),
        )
    table.add_section()
    for name, paise in _sums(bill, rule):
        table.add_row(name, "", "", amount(paise, tariff.currency))
    console.print(table)
    console.print(rupees_in_words(bill.total_paise), highlight=False)
    for remark in rated.remarks:
        console.print(f"· {escape(remark)}", highlight=False, soft_wrap=True)
    return 0


# -- reading ----------------------------------------------------------------------------------------------------------


def _read(file: Path, tariff_id: str) -> DriverTariff:
    found = read_tariffs(file.read_bytes())
    chosen = [tariff for tariff in found if not tariff_id or tariff.tariff_id == tariff_id]
    if len(chosen) != 1:
        names = ", ".join(tariff.tariff_id for tariff in found)
        raise InvalidTariff(f"{file}: choose one of its tariffs with --id: {names}")
    return chosen[0]


def _facts(wish: PriceWish, tariff: DriverTariff) -> SessionFacts:
    if wish.readings is not None:
        readings = _readings(wish.readings, tariff)
        start = readings[0].at
    else:
        typed = wish.since or datetime.now(tariff.timezone).replace(hour=18, minute=0, second=0, microsecond=0, tzinfo=None)
        start = typed.replace(tzinfo=tariff.timezone)
        energy_wh = number(wish.energy, "--energy") * 1000
        if energy_wh.denominator != 1:
            raise InvalidTariff(f"--energy: {wish.energy} is finer than a watt-hour")
        end = start + timedelta(minutes=wish.minutes)
        full = end if wish.full_after is None else min(end, start + timedelta(minutes=wish.full_after))
        between = [Reading(full, int(energy_wh))] if full < end else []
        readings = (Reading(start, 0), *between, Reading(end, int(energy_wh)))
    return SessionFacts(
        readings=readings,
        full_at=None if wish.full_after is None else start + timedelta(minutes=wish.full_after),
        gone_at=None if wish.gone_after is None else start + timedelta(minutes=wish.gone_after),
    )


def _readings(file: Path, tariff: DriverTariff) -> tuple[Reading, ...]:
    found = []
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        if not {"at", "register_wh"} <= set(rows.fieldnames or ()):
            raise InvalidBill(f"{file}: a table with the columns at and register_wh is needed")
        for row in rows:
            try:
                at = datetime.fromisoformat(row["at"])
                found.append(Reading(at if at.tzinfo is not None else at.replace(tzinfo=tariff.timezone), int(row["register_wh"])))
            except (TypeError, ValueError):
                raise InvalidBill(
                    f"{file}, line {rows.line_num}: a reading is a time and watt-hours, like 2026-11-23T18:15,104500"
                ) from None
            if len(found) > _MOST_READINGS:
                raise InvalidBill(f"{file}: more than {_MOST_READINGS} readings")
    return tuple(found)


# -- writing ----------------------------------------------------------------------------------------------------------


def _sums(bill: Bill, rule: GstRule) -> list[tuple[str, int]]:
    half, whole = f"{float(rule.rate * 50):g} %", f"{float(rule.rate * 100):g} %"
    taxes = (
        [(f"IGST {whole}", bill.igst_paise)] if rule.inter_state else [(f"CGST {half}", bill.cgst_paise), (f"SGST {half}", bill.sgst_paise)]
    )
    off = [("Round-off", bill.round_off_paise)] if bill.round_off_paise else []
    return [("Taxable value", bill.taxable_paise), *taxes, *off, ("Total", bill.total_paise)]


def _worked(tariff: DriverTariff, rated: Rated, bill: Bill) -> dict[str, Any]:
    return {
        "tariff": tariff.tariff_id,
        "digest": digest_of(tariff),
        "energy_wh": rated.energy_wh,
        "lines": [
            {
                "kind": line.kind.value,
                "words": line.words,
                "quantity": exact_text(line.quantity),
                "unit": line.unit.value,
                "price_paise": str(line.price_paise),
                "amount_paise": line.amount_paise,
            }
            for line in rated.lines
        ],
        "taxable_paise": bill.taxable_paise,
        "cgst_paise": bill.cgst_paise,
        "sgst_paise": bill.sgst_paise,
        "igst_paise": bill.igst_paise,
        "round_off_paise": bill.round_off_paise,
        "total_paise": bill.total_paise,
        "remarks": list(rated.remarks),
    }


def _quantity(value: Fraction, unit: Unit) -> str:
    return f"{_plain(value * 60)} min" if unit is Unit.HOUR else f"{_plain(value)} {unit}"


def _plain(value: Fraction) -> str:
    """To four places; exact numbers are in the JSON."""
    return f"{round_half_up(value * 10_000) / 10_000:.4f}".rstrip("0").rstrip(".")


def _write(value: dict[str, Any], output: Path | None, console: Console) -> int:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    if output is None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        output.write_text(f"{text}\n", encoding="utf-8")
        console.print(f"{output} is written", markup=False, highlight=False)
    return 0


def _json(console: Console, value: object, code: int) -> int:
    console.print(json.dumps(value, ensure_ascii=False, indent=1), markup=False, highlight=False, soft_wrap=True)
    return code
