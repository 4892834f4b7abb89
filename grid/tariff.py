"""Named tariffs: what a kWh costs at a moment, and a kW of peak in a month.

A tariff is data (``grid/tariffs/*.toml``): a base price, and rules that hold in an interval of the local day, in some
months, on some weekdays, between two dates. Rules are applied in the file's order: ``price`` replaces, ``factor``
multiplies, ``add`` adds. Intervals are half-open, end on quarter hours and may run over midnight; months, weekdays and
dates are those of the moment itself. Numbers stay exact (Decimal, Fraction) until :meth:`Tariff.vector`.

Parameters are written behind the name: ``kerala-kseb-ev:average_ruling_tariff=7.40``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from importlib.resources import files
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from grid import GridError

__all__ = ["InvalidTariff", "Operation", "Parameter", "Rule", "Tariff", "TariffError", "UnknownTariff", "minor_units"]

SCHEMA = "tariff/1"
_STEP = timedelta(minutes=15)
_DAY_MIN = 24 * 60
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SIX_PLACES = Decimal("0.000001")
_POWER_FACTOR = "power_factor"


class TariffError(GridError):
    """Root of this module's errors (drawn in :mod:`grid`)."""


class UnknownTariff(TariffError):
    """No tariff of that name; the message lists the names."""


class InvalidTariff(TariffError):
    """A tariff file, a zone or a parameter that cannot be right."""


class Operation(StrEnum):
    """What a rule does to the price."""

    PRICE = "price"
    FACTOR = "factor"
    ADD = "add"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the tariff. Minutes of the local day, half-open; ``from_min`` > ``to_min`` runs over midnight, equal
    means the whole day. Empty ``months`` (1–12) or ``weekdays`` (0 = Monday): all of them."""

    operation: Operation
    value: Decimal
    from_min: int = 0
    to_min: int = 0
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    valid_from: date | None = None
    valid_until: date | None = None

    def holds_at(self, local: datetime) -> bool:
        """Whether the rule applies at this local time."""
        minute = local.hour * 60 + local.minute
        begun, over = minute >= self.from_min, minute >= self.to_min
        inside = (begun and not over) if self.from_min < self.to_min else (begun or not over)
        day = local.date()
        return (
            inside
            and (not self.months or day.month in self.months)
            and (not self.weekdays or day.weekday() in self.weekdays)
            and (self.valid_from is None or self.valid_from <= day)
            and (self.valid_until is None or day < self.valid_until)
        )

    def apply(self, price: Decimal) -> Decimal:
        """The price after this rule."""
        match self.operation:
            case Operation.PRICE:
                return self.value
            case Operation.FACTOR:
                return price * self.value
            case Operation.ADD:
                return price + self.value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that the order leaves to somebody else, or that belongs to the site."""

    value: Decimal
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """One tariff. Prices per kWh and per kW and month in ``currency``; a kVAh or kVA is turned into kWh or kW with the
    parameter ``power_factor``. ``valid_until`` is the first day on which it no longer holds."""

    name: str
    title: str
    currency: str
    timezone: str
    basis: str
    base: Decimal
    rules: tuple[Rule, ...]
    order: str
    source: str
    leaves_out: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None
    parameters: Mapping[str, Parameter]
    demand_charge: Decimal = Decimal(0)
    demand_per: str = "kW"
    demand_interval_min: int = 15

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The packaged tariffs, sorted."""
        folder = files("grid") / "tariffs"
        return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))

    @classmethod
    def named(cls, name: str, *, timezone: str | None = None) -> Self:
        """The packaged tariff ``name[:parameter=value[,parameter=value]]``.

        ``timezone``: the depot's zone, where the tariff is not tied to one (``stylised-tou``); Indian tariffs keep
        theirs. Raises :class:`UnknownTariff`, :class:`InvalidTariff`.
        """
        stem, _, arguments = name.partition(":")
        if stem not in cls.names():
            raise UnknownTariff(f"no tariff is called {stem!r}; there are: {', '.join(cls.names())}")
        text = (files("grid") / "tariffs" / f"{stem}.toml").read_text(encoding="utf-8")
        return cls.parse(text, parameters=_arguments(stem, arguments), timezone=timezone)

    @classmethod
    def parse(cls, text: str, *, parameters: Mapping[str, Decimal] | None = None, timezone: str | None = None) -> Self:
        """A tariff from the text of its file; raises :class:`InvalidTariff`."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidTariff(f"not a TOML file: {error}") from None
        return cls(**_fields(table, parameters or {}, timezone))

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose clock the intervals follow."""
        return ZoneInfo(self.timezone)

    @property
    def demand_charge_per_kw_month(self) -> Decimal:
        """For one kW of the month's highest block mean."""
        return _exact(self.demand_charge / self._power_factor) if self.demand_per == "kVA" else self.demand_charge

    @property
    def _power_factor(self) -> Decimal:
        known = self.parameters.get(_POWER_FACTOR)
        return known.value if known else Decimal(1)

    def price_per_kwh(self, at: datetime) -> Decimal:
        """What a kWh costs at ``at`` (aware). Outside of the tariff's validity the nearest known prices are used, and
        :meth:`remarks` says so."""
        if at.tzinfo is None:
            raise InvalidTariff(f"{at.isoformat()} has no time zone: prices are asked for aware times")
        local = at.astimezone(self.zone)
        price = self.base
        for rule in self.rules:
            if rule.holds_at(local):
                price = rule.apply(price)
        return _exact(price / self._power_factor) if self.basis == "kVAh" else price

    def steps(self, start: datetime, stop: datetime) -> list[tuple[datetime, Decimal]]:
        """The price from ``start`` on and each change of it before ``stop``, in UTC."""
        found: list[tuple[datetime, Decimal]] = []
        for at in _quarters(start, stop):
            price = self.price_per_kwh(at)
            if not found or found[-1][1] != price:
                found.append((at, price))
        return found

    def vector(self, start: datetime, slots: int, slot_s: int) -> list[float]:
        """The mean price of each of ``slots`` half-open slots of ``slot_s`` seconds from ``start`` on."""
        slot = timedelta(seconds=slot_s)
        steps = self.steps(start, start + slots * slot)
        changes = [at for at, _ in steps[1:]]
        prices = [price for _, price in steps]
        means = []
        at_step = 0
        for k in range(slots):
            begin, end = start + k * slot, start + (k + 1) * slot
            while at_step < len(changes) and changes[at_step] <= begin:
                at_step += 1
            total, cursor, step = Decimal(0), begin, at_step
            while step < len(changes) and changes[step] < end:
                total += prices[step] * _seconds(changes[step] - cursor)
                cursor, step = changes[step], step + 1
            whole = prices[step] if cursor == begin else (total + prices[step] * _seconds(end - cursor)) / Decimal(slot_s)
            means.append(float(whole))
        return means

    def remarks(self, start: datetime, stop: datetime) -> tuple[str, ...]:
        """What to tell beside a figure made with this tariff: a period that it does not cover, what it leaves out."""
        first, last = start.astimezone(self.zone).date(), (stop - timedelta(seconds=1)).astimezone(self.zone).date()
        told = []
        if self.valid_from is not None and first < self.valid_from:
            told.append(f"{self.name} holds from {self.valid_from} on; its prices are used for {first} all the same")
        if self.valid_until is not None and last >= self.valid_until:
            told.append(f"{self.name} held until {self.valid_until - timedelta(days=1)}; its prices are used for {last} all the same")
        if self.leaves_out:
            told.append(f"{self.name} leaves out: {', '.join(self.leaves_out)}")
        return tuple(told)

    def energy_cost(self, energy_wh: int, at: datetime) -> Fraction:
        """The exact price of ``energy_wh`` Wh taken at ``at``, in ``currency``; round sums with :func:`minor_units`."""
        return Fraction(self.price_per_kwh(at)) * energy_wh / 1000


def minor_units(amount: Fraction | Decimal) -> int:
    """Whole paise (cents) of an exact amount in rupees (dollars); halves go away from zero, as bills round."""
    hundredths = Fraction(amount) * 100
    whole = int(abs(hundredths) + Fraction(1, 2))
    return whole if hundredths >= 0 else -whole


def _quarters(start: datetime, stop: datetime) -> Iterator[datetime]:
    """``start`` and every quarter hour of the clock in (start, stop): each zone's offset is a multiple of one."""
    at = start.astimezone(UTC)
    yield at
    at = at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0) + _STEP
    while at < stop:
        yield at
        at += _STEP


def _seconds(span: timedelta) -> Decimal:
    return Decimal(str(span.total_seconds()))


def _exact(price: Decimal) -> Decimal:
    """A quotient of the power factor, to six places where it does not come out even."""
    return price if -price.as_tuple().exponent <= 6 else price.quantize(_SIX_PLACES)  # type: ignore[operator]  # finite: checked on reading


def _arguments(name: str, text: str) -> dict[str, Decimal]:
    found = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidTariff(f"tariff {name}: {part!r} is not parameter=value")
        found[key.strip()] = _decimal(value.strip(), f"tariff {name}, {key.strip()}")
    return found


def _decimal(value: object, where: str) -> Decimal:
    if isinstance(value, float):
        raise InvalidTariff(f'{where}: write {value} in quotes, "{value}", so that it stays exact')
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise InvalidTariff(f"{where}: {value!r} is not a number") from None
    if not number.is_finite():
        raise InvalidTariff(f"{where}: {value!r} is not a finite number")
    return number


def _fields(table: dict[str, Any], given: Mapping[str, Decimal], timezone: str | None) -> dict[str, Any]:
    name = str(table.get("name", "?"))
    where = f"tariff {name}"
    if table.get("schema") != SCHEMA:
        raise InvalidTariff(f"{where}: schema is {table.get('schema')!r}, this reads {SCHEMA!r}")
    unknown = set(table) - _KEYS
    if unknown:
        raise InvalidTariff(f"{where}: unknown keys {', '.join(sorted(unknown))}")
    missing = sorted({"name", "title", "currency", "timezone", "basis", "base", "order", "source"} - set(table))
    if missing:
        raise InvalidTariff(f"{where}: {', '.join(missing)} missing")
    if table["basis"] not in ("kWh", "kVAh"):
        raise InvalidTariff(f"{where}: basis is {table['basis']!r}; kWh or kVAh")
    parameters = _parameters(table.get("parameters", {}), given, where)
    zone = timezone if timezone is not None and table["timezone"] == "UTC" else table["timezone"]
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidTariff(f"{where}: {zone!r} is not a time zone; write one like Asia/Kolkata") from None
    base = table["base"]
    demand = table.get("demand", {})
    if demand and demand.get("per") not in ("kW", "kVA"):
        raise InvalidTariff(f"{where}: demand.per is {demand.get('per')!r}; kW or kVA")
    interval = demand.get("interval_min", 15)
    if not isinstance(interval, int) or interval < 1 or _DAY_MIN % interval:
        raise InvalidTariff(f"{where}: demand.interval_min is {interval!r}; blocks must fill the day")
    return {
        **{key: table[key] for key in ("name", "title", "currency", "basis", "order", "source")},
        "timezone": zone,
        "base": parameters[base].value if base in parameters else _decimal(base, f"{where}, base"),
        "rules": tuple(_rule(row, f"{where}, energy rule {k}") for k, row in enumerate(table.get("energy", []), 1)),
        "leaves_out": tuple(table.get("leaves_out", ())),
        "valid_from": table.get("valid_from"),
        "valid_until": table.get("valid_until"),
        "parameters": parameters,
        "demand_charge": _decimal(demand.get("charge", "0"), f"{where}, demand.charge"),
        "demand_per": demand.get("per", "kW"),
        "demand_interval_min": interval,
    }


_KEYS = {
    "schema", "name", "title", "currency", "timezone", "basis", "order", "source", "valid_from", "valid_until", "leaves_out",
    "base", "parameters", "energy", "demand",
}  # fmt: skip


def _parameters(table: dict[str, Any], given: Mapping[str, Decimal], where: str) -> dict[str, Parameter]:
    unknown = set(given) - set(table)
    if unknown:
        has = ", ".join(sorted(table)) or "none"
        raise InvalidTariff(f"{where}: no parameter {', '.join(sorted(unknown))}; it has: {has}")
    found = {}
    for key, row in table.items():
        value = given.get(key, _decimal(row["value"], f"{where}, {key}"))
        if value <= 0 or (key == _POWER_FACTOR and value > 1):
            raise InvalidTariff(f"{where}: {key}={value} is out of range ({row['meaning']})")
        found[key] = Parameter(value, row["meaning"])
    return found


def _rule(row: dict[str, Any], where: str) -> Rule:
    unknown = set(row) - {"from", "to", "months", "weekdays", "valid_from", "valid_until", *Operation}
    if unknown:
        raise InvalidTariff(f"{where}: unknown keys {', '.join(sorted(unknown))}")
    operations = [operation for operation in Operation if operation in row]
    if len(operations) != 1:
        raise InvalidTariff(f"{where}: needs exactly one of price, factor, add")
    months, weekdays = row.get("months", []), row.get("weekdays", [])
    if not set(months) <= set(range(1, 13)) or not set(weekdays) <= set(_WEEKDAYS):
        raise InvalidTariff(f"{where}: months are 1 to 12, weekdays {', '.join(_WEEKDAYS)}")
    return Rule(
        operation=operations[0],
        value=_decimal(row[operations[0]], where),
        from_min=_minute(row.get("from", "00:00"), where),
        to_min=_minute(row.get("to", "00:00"), where) % _DAY_MIN,
        months=frozenset(months),
        weekdays=frozenset(_WEEKDAYS.index(day) for day in weekdays),
        valid_from=row.get("valid_from"),
        valid_until=row.get("valid_until"),
    )


def _minute(text: object, where: str) -> int:
    hour, _, minute = str(text).partition(":")
    if hour.isdecimal() and minute.isdecimal() and len(minute) == 2 and int(minute) % 15 == 0 and int(minute) < 60:
        at = int(hour) * 60 + int(minute)
        if at <= _DAY_MIN:
            return at
    raise InvalidTariff(f"{where}: {text!r} is not a quarter hour of the day; write 09:00 or 21:15")
