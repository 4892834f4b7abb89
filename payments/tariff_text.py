"""A driver's tariff as JSON of our own (``driver-tariff/1``), in rupees; its digest; and in sentences.

    {"schema": "driver-tariff/1", "id": "night", "valid_from": "2026-12-01T00:00:00+05:30", "max_price": "900",
     "elements": [{"energy": {"price": "9.50"}, "when": {"from": "22:00", "to": "06:00"}},
                  {"energy": {"price": "14.50"}, "idle": {"price": "120", "grace_min": 15}}]}

Prices are texts ("14.50" or "29/3"), so that they stay exact. Unknown words are refused by name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from depot.money_text import amount
from payments import InvalidTariff
from payments.driver_tariff import Audience, Component, DriverTariff, Element, Kind, Restrictions, Unit, Weekday

__all__ = ["SCHEMA", "digest_of", "exact_text", "from_text", "number", "to_text", "told"]

SCHEMA = "driver-tariff/1"
MOST_BYTES = 64 * 1024

_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?(/[1-9]\d{0,8})?", re.ASCII)
_CLOCK = re.compile(r"([01]\d|2[0-4]):[0-5]\d(:[0-5]\d)?", re.ASCII)
_TOP = {
    "schema", "id", "name", "currency", "timezone", "valid_from", "valid_until", "min_price", "max_price", "for", "elements",
}  # fmt: skip
_WHEN = {"from", "to", "from_date", "to_date", "days", "from_kwh", "to_kwh", "from_min", "to_min"}


def from_text(text: str | bytes) -> DriverTariff:
    """The tariff of a JSON text. Raises :class:`~payments.InvalidTariff` with the place of what is wrong."""
    if len(text) > MOST_BYTES:
        raise InvalidTariff(f"a tariff has at most {MOST_BYTES // 1024} KiB")
    try:
        data = json.loads(text, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise InvalidTariff(f"this is no JSON: {error}") from None
    return from_data(data)


def from_data(data: object) -> DriverTariff:
    """The same of what was read already."""
    top = _object(data, "the tariff", _TOP)
    if top.get("schema") != SCHEMA:
        raise InvalidTariff(f'the tariff begins with "schema": "{SCHEMA}"; an OCPI tariff is imported (chargeyard driver-tariff import)')
    whom = _object(top.get("for", {}), "for", {"drivers", "groups", "stations"})
    return DriverTariff(
        tariff_id=_text(top.get("id"), "id"),
        name=_text(top.get("name", ""), "name"),
        currency=_currency(top.get("currency", "INR")),
        timezone=_zone(top.get("timezone", "Asia/Kolkata")),
        valid_from=_moment(top.get("valid_from"), "valid_from"),
        valid_until=_moment(top.get("valid_until"), "valid_until"),
        min_paise=_paise(top.get("min_price"), "min_price"),
        max_paise=_paise(top.get("max_price"), "max_price"),
        audience=Audience(**{who: frozenset(_texts(whom.get(who, []), f"for.{who}")) for who in ("drivers", "groups", "stations")}),
        elements=tuple(_element(one, f"elements[{place}]") for place, one in enumerate(_list(top.get("elements"), "elements"))),
    )


def to_data(tariff: DriverTariff) -> dict[str, Any]:
    """What :func:`from_data` reads; only what is set."""
    whom = {who: sorted(getattr(tariff.audience, who)) for who in ("drivers", "groups", "stations") if getattr(tariff.audience, who)}
    return {
        "schema": SCHEMA,
        "id": tariff.tariff_id,
        **({"name": tariff.name} if tariff.name else {}),
        "currency": tariff.currency,
        "timezone": tariff.timezone.key,
        **({"valid_from": tariff.valid_from.isoformat()} if tariff.valid_from else {}),
        **({"valid_until": tariff.valid_until.isoformat()} if tariff.valid_until else {}),
        **({"min_price": _rupees(Fraction(tariff.min_paise))} if tariff.min_paise is not None else {}),
        **({"max_price": _rupees(Fraction(tariff.max_paise))} if tariff.max_paise is not None else {}),
        **({"for": whom} if whom else {}),
        "elements": [_element_data(element) for element in tariff.elements],
    }


def to_text(tariff: DriverTariff) -> str:
    """One line of JSON, the same for the same tariff: what is frozen with a session."""
    return json.dumps(to_data(tariff), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(tariff: DriverTariff) -> str:
    """SHA-256 of that line."""
    return hashlib.sha256(to_text(tariff).encode()).hexdigest()


def exact_text(value: Fraction) -> str:
    """Decimal where it comes out even within nine places, else a quotient."""
    scaled = value * 10**9
    if scaled.denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    shown = f"{Decimal(int(scaled)).scaleb(-9):f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def number(value: object, where: str) -> Fraction:
    """A number that is not negative, exactly. Raises :class:`~payments.InvalidTariff`."""
    shown = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _NUMBER.fullmatch(shown):
        raise InvalidTariff(f'{where}: {value!r:.40} is no number from 0; write it like "14.50"')
    whole, _, divisor = shown.partition("/")
    return Fraction(whole) / int(divisor or "1")


# -- reading ----------------------------------------------------------------------------------------------------------


def _element(data: object, where: str) -> Element:
    words = _object(data, where, {*(kind.value for kind in Kind), "when"})
    components = []
    for kind in Kind:
        if kind.value in words:
            components.append(_component(kind, words[kind.value], f"{where}.{kind.value}"))
    try:
        return Element(tuple(components), _restrictions(words.get("when", {}), f"{where}.when"))
    except InvalidTariff as error:
        raise InvalidTariff(str(error) if str(error).startswith(where) else f"{where}: {error}") from None


def _component(kind: Kind, data: object, where: str) -> Component:
    may = {"price"} | {
        Kind.ENERGY: {"step_wh"}, Kind.TIME: {"step_s"}, Kind.IDLE: {"step_s", "grace_min"}, Kind.FLAT: {"without_energy"},
    }[kind]  # fmt: skip
    words = _object(data, where, may)
    step = words.get("step_wh", words.get("step_s", 1))
    free = words.get("without_energy", False)
    if not isinstance(free, bool):
        raise InvalidTariff(f"{where}.without_energy: true or false")
    return Component(
        kind,
        number(words.get("price"), f"{where}.price") * 100,
        step=_whole(step, f"{where}.step"),
        grace=timedelta(minutes=_whole(words.get("grace_min", 0), f"{where}.grace_min")),
        without_energy=free,
    )


def _restrictions(data: object, where: str) -> Restrictions:
    words = _object(data, where, _WHEN)
    days = _texts(words.get("days", []), f"{where}.days")
    known = {day.value[:3]: day for day in Weekday}
    if wrong := [day for day in days if day.upper()[:3] not in known]:
        raise InvalidTariff(f"{where}.days: {wrong[0]!r:.20} is no weekday; write for example mon")

    def whole(word: str, factor: int) -> int | None:
        if words.get(word) is None:
            return None
        value = number(words[word], f"{where}.{word}") * factor
        if value.denominator != 1:
            raise InvalidTariff(f"{where}.{word}: {words[word]!r:.20} is finer than can be measured")
        return int(value)

    return Restrictions(
        start_time=_clock(words.get("from"), f"{where}.from"),
        end_time=_clock(words.get("to"), f"{where}.to"),
        start_date=_day(words.get("from_date"), f"{where}.from_date"),
        end_date=_day(words.get("to_date"), f"{where}.to_date"),
        days=frozenset(known[day.upper()[:3]] for day in days),
        min_wh=whole("from_kwh", 1000),
        max_wh=whole("to_kwh", 1000),
        min_s=whole("from_min", 60),
        max_s=whole("to_min", 60),
    )


def _object(data: object, where: str, may: set[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise InvalidTariff(f"{where} is an object {{…}}, not {data!r:.40}")
    if strange := sorted(set(map(str, data)) - may):
        raise InvalidTariff(f"{where}: {strange[0]!r:.40} is not known; it may have {', '.join(sorted(may))}")
    return data


def _list(data: object, where: str) -> Sequence[object]:
    if not isinstance(data, list):
        raise InvalidTariff(f"{where} is a list […], not {data!r:.40}")
    return data


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidTariff(f"{where} is a text, not {value!r:.40}")
    return value


def _texts(value: object, where: str) -> list[str]:
    return [_text(one, where) for one in _list(value, where)]


def _whole(value: object, where: str) -> int:
    exact = number(value, where)
    if exact.denominator != 1:
        raise InvalidTariff(f"{where}: {value!r:.20} is no whole number")
    return int(exact)


def _currency(value: object) -> str:
    text = _text(value, "currency")
    if not re.fullmatch("[A-Z]{3}", text, re.ASCII):
        raise InvalidTariff(f"currency: {text!r:.20} is no ISO 4217 code; write INR")
    return text


def _zone(value: object) -> ZoneInfo:
    text = _text(value, "timezone")
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidTariff(f"timezone: {text!r:.40} is no IANA time zone; write Asia/Kolkata") from None


def _moment(value: object, where: str) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(_text(value, where))
    except ValueError:
        raise InvalidTariff(f"{where}: {value!r:.40} is no time; write it like 2026-12-01T00:00:00+05:30") from None


def _day(value: object, where: str) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(_text(value, where))
    except ValueError:
        raise InvalidTariff(f"{where}: {value!r:.40} is no day; write it like 2026-12-01") from None


def _clock(value: object, where: str) -> time | None:
    if value is None:
        return None
    text = _text(value, where)
    if not _CLOCK.fullmatch(text) or (text.startswith("24") and text not in ("24:00", "24:00:00")):
        raise InvalidTariff(f"{where}: {text!r:.20} is no time of day; write it like 22:00")
    return time(0) if text.startswith("24") else time.fromisoformat(text)


def _paise(value: object, where: str) -> int | None:
    if value is None:
        return None
    exact = number(value, where) * 100
    if exact.denominator != 1:
        raise InvalidTariff(f"{where}: {value!r:.20} is finer than a paisa")
    return int(exact)


# -- writing ----------------------------------------------------------------------------------------------------------


def _rupees(paise: Fraction) -> str:
    return exact_text(paise / 100)


def _element_data(element: Element) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for component in element.components:
        words: dict[str, Any] = {"price": _rupees(component.price_paise)}
        if component.step != 1:
            words["step_wh" if component.kind is Kind.ENERGY else "step_s"] = component.step
        if component.grace:
            words["grace_min"] = exact_text(Fraction(int(component.grace.total_seconds()), 60))
        if component.without_energy:
            words["without_energy"] = True
        said[component.kind.value] = words
    r = element.restrictions
    when: dict[str, Any] = {
        "from": r.start_time.isoformat() if r.start_time is not None else None,
        "to": r.end_time.isoformat() if r.end_time is not None else None,
        "from_date": r.start_date.isoformat() if r.start_date else None,
        "to_date": r.end_date.isoformat() if r.end_date else None,
        "days": [day.value[:3].lower() for day in Weekday if day in r.days] or None,
        "from_kwh": exact_text(Fraction(r.min_wh, 1000)) if r.min_wh is not None else None,
        "to_kwh": exact_text(Fraction(r.max_wh, 1000)) if r.max_wh is not None else None,
        "from_min": exact_text(Fraction(r.min_s, 60)) if r.min_s is not None else None,
        "to_min": exact_text(Fraction(r.max_s, 60)) if r.max_s is not None else None,
    }
    when = {word: value for word, value in when.items() if value is not None}
    return said | ({"when": when} if when else {})


def told(tariff: DriverTariff) -> list[str]:
    """What the driver reads: a sentence for each price, and the bounds. Prices without tax."""
    sentences = []
    for element in tariff.elements:
        for component in element.components:
            sentences.append(f"{_price(component, tariff.currency)}{_when(element.restrictions)}")
    for words, paise in (("At least", tariff.min_paise), ("At most", tariff.max_paise)):
        if paise is not None:
            sentences.append(f"{words} {amount(paise, tariff.currency)} {tariff.currency} a session with energy")
    return sentences


_PER = {Unit.KWH: "/kWh", Unit.HOUR: " an hour", Unit.SESSION: " a session"}


def _price(component: Component, currency: str) -> str:
    shown = component.price_paise / 100
    money = f"{float(shown):.2f}" if (shown * 100).denominator == 1 else exact_text(shown)
    if component.kind is Kind.ENERGY:
        return f"{money} {currency}/kWh"
    if component.kind is Kind.TIME:
        return f"{money} {currency} an hour while charging"
    if component.kind is Kind.IDLE:
        grace = int(component.grace.total_seconds()) // 60
        return f"{money} {currency} an hour once full" + (f", after {grace} min free" if grace else "")
    return f"{money} {currency} a session" + (", also without energy" if component.without_energy else "")


def _when(r: Restrictions) -> str:
    parts = r.words()
    return f" ({'; '.join(parts)})" if parts else ""
