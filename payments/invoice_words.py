"""What an invoice shows, as text: the same for paper and page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from depot.money_text import amount
from payments.money import round_half_up
from payments.rules import INDIA

__all__ = ["Shown", "ShownLine", "shown"]


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One row of the table."""

    words: str
    sac: str
    quantity: str
    price: str
    amount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """``supplier``, ``recipient``: lines of an address, the name first. ``sums``: the total last."""

    supplier: Sequence[str]
    recipient: Sequence[str]
    place_of_supply: str
    session: Sequence[tuple[str, str]]
    lines: Sequence[ShownLine]
    now_lines: Sequence[ShownLine]
    sums: Sequence[tuple[str, str]]


def shown(document: Mapping[str, Any]) -> Shown:
    """All texts of a document."""
    d = document
    return Shown(
        supplier=_party(d["supplier"], "supplier's name is not set"),
        recipient=_recipient(d["recipient"]),
        place_of_supply=_state(d["place_of_supply"]),
        session=_session(d["session"]),
        lines=[_line(line) for line in d["lines"]],
        now_lines=[_line(line) for line in (d["now"] or {}).get("lines", ())],
        sums=[
            ("Taxable value", _amount(d["taxable_paise"])),
            *((f"{tax['name']} {tax['rate_percent']} %", _amount(tax["amount_paise"])) for tax in d["taxes"]),
            *([("Round-off", _amount(d["round_off_paise"]))] if d["round_off_paise"] else []),
            ("Total", _amount(d["total_paise"])),
        ],
    )


def _party(party: Mapping[str, Any], nobody: str) -> list[str]:
    lines = [party["name"] or f"({nobody})", party["address"], f"GSTIN {party['gstin']}" if party["gstin"] else "", _state(party)]
    return [line for line in lines if line]


def _recipient(party: Mapping[str, Any]) -> list[str]:
    if party["name"]:
        return [*_party(party, ""), f"Driver {party['driver_id']}"]
    return [f"Driver {party['driver_id']}", "Unregistered recipient", *([_state(party)] if party["state"] else [])]


def _state(place: Mapping[str, Any]) -> str:
    return f"{place['state']} ({place['state_code']})" if place["state"] else ""


def _session(session: Mapping[str, Any]) -> list[tuple[str, str]]:
    times = [_local(session[word]) for word in ("started_at", "ended_at")]
    return [
        ("Charged at", session["place"]),
        ("From, until", " - ".join(time for time in times if time) + (" IST" if any(times) else "")),
        ("Energy", f"{_plain(Fraction(session['energy_wh'], 1000), 3)} kWh"),
        ("Session", session["session_id"]),
        ("Tariff", f"{session['tariff_id']} ({session['tariff_digest'][:12]})"),
    ]


def _line(line: Mapping[str, Any]) -> ShownLine:
    quantity, price = Fraction(line["quantity"]), Fraction(line["price_paise"]) / 100
    unit = line["unit"]
    words = f"{_plain(quantity, 3)} {unit}" if unit != "h" else f"{_plain(quantity * 60, 2)} min"
    return ShownLine(
        line["words"], line["sac"], words, f"{_plain(price, 4, least=2)}{'/h' if unit == 'h' else ''}", _amount(line["taxable_paise"])
    )


def _plain(value: Fraction, places: int, *, least: int = 0) -> str:
    text = f"{Decimal(round_half_up(value * 10**places)).scaleb(-places):f}"
    whole, _, rest = text.partition(".")
    rest = rest.rstrip("0").ljust(least, "0")
    return f"{whole}.{rest}" if rest else whole


def _local(text: str | None) -> str:
    return "" if not text else f"{datetime.fromisoformat(text.replace('Z', '+00:00')).astimezone(INDIA):%Y-%m-%d %H:%M}"


def _amount(paise: int) -> str:
    return amount(paise, minus="-")
