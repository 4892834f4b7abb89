"""What a driver pays, as a value: elements with prices and restrictions, shaped like OCPI 2.2.1's Tariff (mod_tariffs).

    DriverTariff
    └── elements, in order: Element(components, restrictions)
        ├── Component(kind, price_paise, step)      ENERGY paise/kWh   TIME, IDLE paise/h   FLAT paise/session
        └── Restrictions                            clock, dates, weekdays (IST or the depot's zone), kWh, duration

For each kind of component the first element whose restrictions hold gives the price; where none does, that kind costs
nothing. Prices are exact and without tax. It is the driver's price, never the depot's own (``grid``'s tariffs).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

from payments import InvalidTariff
from payments.money import round_half_up
from payments.rules import INDIA

__all__ = ["ANY", "Audience", "Component", "DriverTariff", "Element", "Kind", "Restrictions", "Unit", "Weekday", "simple_tariff"]

MOST_ELEMENTS = 50
MOST_PRICE_PAISE = 10_000_000
"""₹1,00,000 per kWh, hour or session: above this somebody has typed paise for rupees."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}", re.ASCII)
_MIDNIGHT = time(0)


class Kind(StrEnum):
    """What is priced. TIME: the vehicle is plugged in and not full; IDLE: full and still there, after the grace."""

    ENERGY = "energy"
    TIME = "time"
    IDLE = "idle"
    FLAT = "flat"


class Unit(StrEnum):
    """What a line counts."""

    KWH = "kWh"
    HOUR = "h"
    SESSION = "session"


UNITS = {Kind.ENERGY: Unit.KWH, Kind.TIME: Unit.HOUR, Kind.IDLE: Unit.HOUR, Kind.FLAT: Unit.SESSION}


class Weekday(StrEnum):
    """As OCPI spells them; in the order of :meth:`datetime.date.weekday`."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


_WEEK = tuple(Weekday)


@dataclass(frozen=True, slots=True)
class Component:
    """One price. ``step``: the quantity is rounded up to a multiple of so many Wh (ENERGY) or seconds (TIME, IDLE).
    ``grace``: of IDLE, the time after full that costs nothing. ``without_energy``: of FLAT, also due where no energy was
    delivered."""

    kind: Kind
    price_paise: Fraction
    step: int = 1
    grace: timedelta = timedelta()
    without_energy: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.price_paise <= MOST_PRICE_PAISE:
            raise InvalidTariff(f"{self.kind}: a price of {float(self.price_paise):g} paise is not between 0 and {MOST_PRICE_PAISE}")
        if not 1 <= self.step <= 86_400 or (self.kind is Kind.FLAT and self.step != 1):
            raise InvalidTariff(f"{self.kind}: a step of {self.step} is not between 1 and 86400 (1 for flat)")
        if not timedelta() <= self.grace <= timedelta(days=1) or (self.grace and self.kind is not Kind.IDLE):
            raise InvalidTariff(f"{self.kind}: only idle time has a grace, of at most 24 h")
        if self.without_energy and self.kind is not Kind.FLAT:
            raise InvalidTariff(f"{self.kind}: only a flat charge can be due without energy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """When an element holds; every one that is given must. Clock times are the tariff's zone; ``start_time`` counts,
    ``end_time`` does not, and an end at or before the start is on the next day. ``days``: of the day on which a moment lies.
    ``min_wh``, ``max_wh``: energy of the session so far; ``min_s``, ``max_s``: its duration so far; the least counts, the most
    does not."""

    start_time: time | None = None
    end_time: time | None = None
    start_date: date | None = None
    end_date: date | None = None
    days: frozenset[Weekday] = frozenset()
    min_wh: int | None = None
    max_wh: int | None = None
    min_s: int | None = None
    max_s: int | None = None

    def __post_init__(self) -> None:
        if (self.start_time is None) != (self.end_time is None):
            raise InvalidTariff("start_time and end_time are given together (00:00 as the end is midnight)")
        for name, least, most in (
            ("date", self.start_date, self.end_date),
            ("wh", self.min_wh, self.max_wh),
            ("s", self.min_s, self.max_s),
        ):
            if least is not None and most is not None and not least < most:  # type: ignore[operator]  # both of one type
                raise InvalidTariff(f"the least and the most {name} ({least}, {most}) leave nothing between them")
        if any(value is not None and value < 0 for value in (self.min_wh, self.max_wh, self.min_s, self.max_s)):
            raise InvalidTariff("energy and duration of a restriction may not be negative")

    def hold(self, local: datetime, energy_wh: Fraction, duration_s: Fraction) -> bool:
        """Whether they hold at a moment of the session, by the tariff's clock."""
        return (
            self._clock(local.time())
            and (self.start_date is None or self.start_date <= local.date())
            and (self.end_date is None or local.date() < self.end_date)
            and (not self.days or _WEEK[local.weekday()] in self.days)
            and (self.min_wh is None or self.min_wh <= energy_wh)
            and (self.max_wh is None or energy_wh < self.max_wh)
            and (self.min_s is None or self.min_s <= duration_s)
            and (self.max_s is None or duration_s < self.max_s)
        )

    def words(self) -> list[str]:
        """The same for a driver, in the price list as on the invoice."""
        found = []
        if self.start_time is not None and self.end_time is not None and self.start_time != self.end_time:
            found.append(f"{self.start_time:%H:%M} to {self.end_time:%H:%M}")
        if self.days:
            found.append(", ".join(day.value[:3].capitalize() for day in _WEEK if day in self.days))
        if self.start_date is not None:
            found.append(f"from {self.start_date}")
        if self.end_date is not None:
            found.append(f"until {self.end_date}")
        if self.min_wh is not None:
            found.append(f"above {self.min_wh / 1000:g} kWh")
        if self.max_wh is not None:
            found.append(f"up to {self.max_wh / 1000:g} kWh")
        if self.min_s is not None:
            found.append(f"after {self.min_s / 60:g} min")
        if self.max_s is not None:
            found.append(f"in the first {self.max_s / 60:g} min")
        return found

    def _clock(self, at: time) -> bool:
        if self.start_time is None or self.end_time is None or self.start_time == self.end_time:
            return True
        if self.start_time < self.end_time:
            return self.start_time <= at < self.end_time
        return at >= self.start_time or at < self.end_time

    @property
    def clock_times(self) -> frozenset[time]:
        """Times of day at which they may begin or cease to hold; midnight where days or dates count."""
        times = {t for t in (self.start_time, self.end_time) if t is not None}
        return frozenset(times | {_MIDNIGHT} if self.days or self.start_date or self.end_date else times)

    @property
    def always(self) -> bool:
        """Whether they restrict nothing."""
        return self == Restrictions()


@dataclass(frozen=True, slots=True)
class Element:
    """Prices that hold together."""

    components: tuple[Component, ...]
    restrictions: Restrictions = field(default_factory=Restrictions)

    def __post_init__(self) -> None:
        kinds = [component.kind for component in self.components]
        if not kinds or len(set(kinds)) != len(kinds):
            raise InvalidTariff("an element has one price or more, and none of them twice")
        r = self.restrictions
        if Kind.FLAT in kinds and (r.min_wh, r.max_wh, r.min_s, r.max_s) != (None,) * 4:
            raise InvalidTariff("a flat charge is decided at the session's start: it cannot depend on energy or duration")

    def component(self, kind: Kind) -> Component | None:
        """Its price of one kind."""
        return next((component for component in self.components if component.kind is kind), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """For whom a tariff is; empty: for all. ``groups``: the parentIdTag or groupIdToken of the card."""

    drivers: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    stations: frozenset[str] = frozenset()

    def fits(self, *, driver_id: str, group: str, station_id: str) -> bool:
        """Whether the tariff is for this driver at this station."""
        people = not (self.drivers or self.groups) or driver_id in self.drivers or (group != "" and group in self.groups)
        return people and (not self.stations or station_id in self.stations)

    @property
    def rank(self) -> int:
        """The more particular wins: a driver's own, then a group's, each with a station before one without."""
        return 4 * bool(self.drivers) + 2 * bool(self.groups and not self.drivers) + bool(self.stations)


ANY = Audience()


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverTariff:
    """``min_paise``, ``max_paise``: of a session with energy, without tax. ``valid_from`` counts, ``valid_until`` does not;
    they are about a session's start. ``name``: what the driver reads."""

    tariff_id: str
    elements: tuple[Element, ...]
    name: str = ""
    currency: str = "INR"
    timezone: ZoneInfo = INDIA
    min_paise: int | None = None
    max_paise: int | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    audience: Audience = ANY

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.tariff_id):
            raise InvalidTariff("a tariff's id has 1 to 36 letters, digits, dots, hyphens or underscores")
        if not 1 <= len(self.elements) <= MOST_ELEMENTS:
            raise InvalidTariff(f"{self.tariff_id}: {len(self.elements)} elements; it may have 1 to {MOST_ELEMENTS}")
        if len(self.name) > 80 or not self.name.isprintable():
            raise InvalidTariff(f"{self.tariff_id}: its name has at most 80 characters and no line breaks")
        for amount in (self.min_paise, self.max_paise):
            if amount is not None and not 0 <= amount <= MOST_PRICE_PAISE:
                raise InvalidTariff(f"{self.tariff_id}: a least or most price of {amount} paise")
        if self.min_paise is not None and self.max_paise is not None and self.min_paise > self.max_paise:
            raise InvalidTariff(f"{self.tariff_id}: the least price is above the most")
        if any(at is not None and at.tzinfo is None for at in (self.valid_from, self.valid_until)):
            raise InvalidTariff(f"{self.tariff_id}: valid_from and valid_until need a time zone, like 2026-12-01T00:00:00+05:30")
        if self.valid_from is not None and self.valid_until is not None and self.valid_from >= self.valid_until:
            raise InvalidTariff(f"{self.tariff_id}: it ends before it begins")
        for kind in Kind:
            found = list(self.components(kind))
            if len(found) > 1 and any(component.step != 1 for component in found):
                raise InvalidTariff(f"{self.tariff_id}: a step above 1 needs a single price of {kind}, and there are {len(found)}")
            if len({component.grace for component in found}) > 1:
                raise InvalidTariff(f"{self.tariff_id}: idle prices with different graces; give all of them the same")

    def components(self, kind: Kind) -> Iterator[Component]:
        """All prices of a kind, in the order of the elements."""
        return (found for element in self.elements if (found := element.component(kind)) is not None)

    def holds_at(self, at: datetime) -> bool:
        """Whether a session may start under it then."""
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_until is None or at < self.valid_until)

    def find(self, kind: Kind, at: datetime, energy_wh: Fraction, duration_s: Fraction) -> tuple[int, Component] | None:
        """The price of a kind at a moment of a session, with its element's place."""
        local = at.astimezone(self.timezone)
        for place, element in enumerate(self.elements):
            component = element.component(kind)
            if component is not None and element.restrictions.hold(local, energy_wh, duration_s):
                return place, component
        return None

    @property
    def clock_times(self) -> tuple[time, ...]:
        """Times of day at which a price may change, in order."""
        return tuple(sorted({t for element in self.elements for t in element.restrictions.clock_times}))

    @property
    def idle_grace(self) -> timedelta:
        """Free time after the vehicle is full."""
        return max((component.grace for component in self.components(Kind.IDLE)), default=timedelta())

    @property
    def counts_idle(self) -> bool:
        """Whether a session is billed only once its vehicle has gone."""
        return any(component.price_paise for component in self.components(Kind.IDLE))

    def dearest_paise(self, kind: Kind) -> Fraction:
        """The highest price of a kind at any time."""
        return max((component.price_paise for component in self.components(kind)), default=Fraction(0))

    def worst_paise(self, *, energy_wh: int, longest: timedelta) -> int:
        """The most, without tax, that a session of so much energy can cost that charges and then stands for ``longest`` each."""
        seconds = int(longest.total_seconds())
        quantities = {Kind.ENERGY: Fraction(energy_wh, 1000), Kind.FLAT: Fraction(1)}
        worst = 0
        for kind in Kind:
            prices = list(self.components(kind))
            step = max((component.step for component in prices), default=1)
            quantity = quantities.get(kind, Fraction(seconds + step, 3600)) + (Fraction(step - 1, 1000) if kind is Kind.ENERGY else 0)
            dearest = quantity * self.dearest_paise(kind)
            worst += round_half_up(dearest) + max(0, len(prices) - 1)  # each further line may round up too
        worst = max(worst, self.min_paise or 0)
        return worst if self.max_paise is None else min(worst, self.max_paise)


def simple_tariff(paise_per_kwh: Fraction, service_paise: int, *, timezone: ZoneInfo = INDIA) -> DriverTariff:
    """One price for all hours, and a charge for each session with energy: what the settings say by themselves."""
    flat = (Component(Kind.FLAT, Fraction(service_paise)),) if service_paise else ()
    element = Element((Component(Kind.ENERGY, paise_per_kwh), *flat))
    return DriverTariff(tariff_id="one-price", elements=(element,), timezone=timezone)
