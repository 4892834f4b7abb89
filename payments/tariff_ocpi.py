"""A driver's tariff as OCPI's Tariff object (2.2.1 and 2.3.0, mod_tariffs), in and out.

What OCPI can say and we cannot bill is refused by name, never dropped. What we can say and OCPI cannot (the grace before idle
time, a flat charge without energy, energy before any, whom the tariff is for) goes out as words of our own that begin with
``chargeyard_``, and comes in again.

OCPI counts PARKING_TIME whenever a vehicle does not charge. Here it counts once the vehicle is full, which is never more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

from payments import InvalidTariff
from payments.driver_tariff import Component, DriverTariff, Element, Kind, Restrictions, Weekday
from payments.rules import INDIA
from payments.tariff_text import exact_text, from_data, to_data, told

__all__ = ["OcpiVersion", "from_ocpi", "to_ocpi"]

_OWN = "chargeyard_"
_KINDS = {"ENERGY": Kind.ENERGY, "TIME": Kind.TIME, "PARKING_TIME": Kind.IDLE, "FLAT": Kind.FLAT}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ADORNING = {"type", "tariff_alt_url", "energy_mix", "last_updated", "country_code", "party_id"}
"""Says nothing of the price."""

_TOP = {"id", "currency", "tariff_alt_text", "min_price", "max_price", "elements", "start_date_time", "end_date_time", "tax_included"}
_RESTRICTIONS = {
    "start_time", "end_time", "start_date", "end_date", "min_kwh", "max_kwh", "min_duration", "max_duration", "day_of_week",
}  # fmt: skip


_NUMBERS = (("from_kwh", "min_kwh", 1), ("to_kwh", "max_kwh", 1), ("from_min", "min_duration", 60), ("to_min", "max_duration", 60))
"""Our word, OCPI's, and how many of its units are one of ours."""


class OcpiVersion(StrEnum):
    """Versions whose Tariff objects are written and read."""

    V221 = "2.2.1"
    V230 = "2.3.0"


def from_ocpi(data: Mapping[str, Any]) -> DriverTariff:
    """The tariff. Its times are India's unless it says otherwise (``chargeyard_timezone``). Numbers are read as
    :class:`decimal.Decimal` or text to stay exact; floats by their shortest decimal. Raises :class:`~payments.InvalidTariff`."""
    if not isinstance(data, Mapping):
        raise InvalidTariff("an OCPI tariff is an object {…}")
    _refuse(data, _TOP | _ADORNING, "the tariff")
    if data.get("tax_included") not in (None, "NO", "N/A"):
        raise InvalidTariff("tax_included: prices that contain tax are not supported; give them before taxes")
    own = {word.removeprefix(_OWN): value for word, value in data.items() if word.startswith(_OWN)}
    ours: dict[str, Any] = {
        "schema": "driver-tariff/1",
        "id": data.get("id"),
        "name": own.get("name", ""),
        "currency": data.get("currency"),
        "timezone": own.get("timezone", INDIA.key),
        "elements": [_element(one, f"elements[{n}]") for n, one in enumerate(_list(data.get("elements"), "elements"))],
    }
    if "for" in own:
        ours["for"] = own["for"]
    for word, theirs in (("valid_from", "start_date_time"), ("valid_until", "end_date_time")):
        if data.get(theirs) is not None:
            ours[word] = _moment(data[theirs], theirs)
    vats = {_number(c["vat"], "vat") for c in _components(data) if c.get("vat") is not None}
    for word in ("min_price", "max_price"):
        if data.get(word) is not None:
            ours[word] = exact_text(_bound(data[word], word, vats))
    return from_data(ours)


def to_ocpi(
    tariff: DriverTariff,
    *,
    version: OcpiVersion = OcpiVersion.V221,
    country_code: str = "IN",
    party_id: str = "CYD",
    tax: Fraction | None = None,
    last_updated: datetime | None = None,
) -> dict[str, Any]:
    """The object as OCPI has it. ``tax``: the rate (18/100), given as ``vat`` with each price. ``last_updated``: else the tariff's
    beginning. Raises :class:`~payments.InvalidTariff` for a price that is no decimal number."""
    ours = to_data(tariff)
    updated = last_updated or tariff.valid_from or datetime(2026, 1, 1, tzinfo=UTC)
    made: dict[str, Any] = {
        "country_code": country_code,
        "party_id": party_id,
        "id": tariff.tariff_id,
        "currency": tariff.currency,
        "tariff_alt_text": [{"language": "en", "text": "; ".join(told(tariff))[:512]}],
        "elements": [_element_out(element, tax) for element in tariff.elements],
        "last_updated": _utc(updated),
        f"{_OWN}timezone": tariff.timezone.key,
    }
    names = ("excl_vat", "incl_vat") if version is OcpiVersion.V221 else ("before_taxes", "after_taxes")
    for word, paise in (("min_price", tariff.min_paise), ("max_price", tariff.max_paise)):
        if paise is not None:
            made[word] = {names[0]: _decimal(Fraction(paise, 100), word)}
    if tariff.valid_from is not None:
        made["start_date_time"] = _utc(tariff.valid_from)
    if tariff.valid_until is not None:
        made["end_date_time"] = _utc(tariff.valid_until)
    if tariff.name:
        made[f"{_OWN}name"] = tariff.name
    if "for" in ours:
        made[f"{_OWN}for"] = ours["for"]
    if version is OcpiVersion.V230:
        made["tax_included"] = "NO"
    return made


# -- in ---------------------------------------------------------------------------------------------------------------


def _element(data: object, where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InvalidTariff(f"{where} is an object {{…}}")
    _refuse(data, {"price_components", "restrictions"}, where)
    made: dict[str, Any] = {}
    for n, component in enumerate(_list(data.get("price_components"), f"{where}.price_components")):
        at = f"{where}.price_components[{n}]"
        if not isinstance(component, Mapping):
            raise InvalidTariff(f"{at} is an object {{…}}")
        _refuse(component, {"type", "price", "vat", "step_size"}, at)
        kind = _KINDS.get(str(component.get("type")))
        if kind is None:
            raise InvalidTariff(f"{at}.type: {component.get('type')!r:.30} is not supported; there are {', '.join(_KINDS)}")
        if kind.value in made:
            raise InvalidTariff(f"{at}: a second price of {component['type']} in one element")
        made[kind.value] = _price(kind, component, at)
    restrictions = data.get("restrictions")
    if restrictions:
        made["when"] = _when(restrictions, f"{where}.restrictions")
    return made


def _price(kind: Kind, component: Mapping[str, Any], at: str) -> dict[str, Any]:
    words: dict[str, Any] = {"price": exact_text(_number(component.get("price"), f"{at}.price"))}
    step = int(_number(component.get("step_size", 1), f"{at}.step_size"))
    if kind is not Kind.FLAT and step > 1:
        words["step_wh" if kind is Kind.ENERGY else "step_s"] = step
    if kind is Kind.IDLE and f"{_OWN}grace_min" in component:
        words["grace_min"] = component[f"{_OWN}grace_min"]
    if kind is Kind.FLAT and f"{_OWN}without_energy" in component:
        words["without_energy"] = component[f"{_OWN}without_energy"]
    return words


def _when(data: object, where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InvalidTariff(f"{where} is an object {{…}}")
    _refuse(data, _RESTRICTIONS, where)
    made: dict[str, Any] = {}
    for ours, theirs in (("from", "start_time"), ("to", "end_time"), ("from_date", "start_date"), ("to_date", "end_date")):
        if data.get(theirs) is not None:
            made[ours] = data[theirs]
    if ("from" in made) != ("to" in made):  # OCPI lets one of them be left out: the day's beginning or end
        made.setdefault("from", "00:00")
        made.setdefault("to", "00:00")
    for ours, theirs, per in _NUMBERS:
        if data.get(theirs) is not None:
            made[ours] = exact_text(_number(data[theirs], f"{where}.{theirs}") / per)
    if data.get("day_of_week"):
        made["days"] = list(_list(data["day_of_week"], f"{where}.day_of_week"))
    return made


def _bound(data: object, where: str, vats: set[Fraction]) -> Fraction:
    """A least or most price before taxes. One with taxes must be the same sum, for only that can be billed."""
    if isinstance(data, Mapping):
        _refuse(data, {"excl_vat", "incl_vat", "before_taxes"}, where)  # 2.3's after_taxes is not known here
        net = _number(data.get("excl_vat", data.get("before_taxes")), where)
        if data.get("incl_vat") is not None:
            gross = _number(data["incl_vat"], f"{where}.incl_vat")
            rate = next(iter(vats)) if len(vats) == 1 else None
            if rate is None or abs(net * (1 + rate / 100) - gross) > Fraction(1, 100):
                raise InvalidTariff(f"{where}.incl_vat: it is not excl_vat with the prices' vat, and no other can be billed")
        return net
    return _number(data, where)


def _components(data: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (component for element in data["elements"] for component in element["price_components"])


def _refuse(data: Mapping[str, Any], may: set[str], where: str) -> None:
    strange = sorted(word for word in data if word not in may and not word.startswith(_OWN) and data[word] is not None)
    if strange:
        raise InvalidTariff(f"{where}: {strange[0]} is not supported here; without it this tariff would say something else")


def _list(data: object, where: str) -> Sequence[Any]:
    if not isinstance(data, list):
        raise InvalidTariff(f"{where} is a list […]")
    return data


def _number(value: object, where: str) -> Fraction:
    """A decimal that is not negative."""
    try:
        exact = Fraction(str(value)) if isinstance(value, int | float | Decimal | str) and not isinstance(value, bool) else None
    except (ValueError, ZeroDivisionError):
        exact = None
    if exact is None or not 0 <= exact < 10**9:
        raise InvalidTariff(f"{where}: {value!r:.30} is no number from 0")
    return exact


def _moment(value: object, where: str) -> str:
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidTariff(f"{where}: {value!r:.40} is no time") from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).isoformat()  # OCPI: UTC where nothing is said


# -- out --------------------------------------------------------------------------------------------------------------


def _element_out(element: Element, tax: Fraction | None) -> dict[str, Any]:
    made: dict[str, Any] = {"price_components": [_component_out(component, tax) for component in element.components]}
    if not element.restrictions.always:
        made["restrictions"] = _restrictions_out(element.restrictions)
    return made


def _component_out(component: Component, tax: Fraction | None) -> dict[str, Any]:
    name = _NAMES[component.kind]
    made: dict[str, Any] = {"type": name, "price": _decimal(component.price_paise / 100, name), "step_size": component.step}
    if tax is not None:
        made["vat"] = _decimal(tax * 100, "vat")
    if component.grace:
        made[f"{_OWN}grace_min"] = exact_text(Fraction(int(component.grace.total_seconds()), 60))
    if component.without_energy:
        made[f"{_OWN}without_energy"] = True
    return made


def _restrictions_out(r: Restrictions) -> dict[str, Any]:
    times = (("start_time", r.start_time), ("end_time", r.end_time))
    if any(t is not None and (t.second or t.microsecond) for _, t in times):
        raise InvalidTariff("OCPI's times of day have no seconds")
    said: dict[str, Any] = {name: f"{t:%H:%M}" for name, t in times if t is not None}
    said |= {name: day.isoformat() for name, day in (("start_date", r.start_date), ("end_date", r.end_date)) if day is not None}
    for name, wh in (("min_kwh", r.min_wh), ("max_kwh", r.max_wh)):
        if wh is not None:
            said[name] = _decimal(Fraction(wh, 1000), name)
    said |= {name: seconds for name, seconds in (("min_duration", r.min_s), ("max_duration", r.max_s)) if seconds is not None}
    if r.days:
        said["day_of_week"] = [day.value for day in Weekday if day in r.days]
    return said


def _decimal(value: Fraction, where: str) -> int | float:
    """A JSON number that reads as the same decimal again."""
    if value.denominator == 1:
        return int(value)
    text = exact_text(value)
    if "/" in text or Fraction(repr(float(text))) != value:
        raise InvalidTariff(f"{where}: {text} is no decimal number, and OCPI has no other")
    return float(text)


def _utc(at: datetime) -> str:
    return (at.astimezone(UTC) + timedelta()).strftime("%Y-%m-%dT%H:%M:%SZ")
