"""What a driver tariff asks for in the next hours, as plain steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from payments.driver_tariff import DriverTariff, Kind
from payments.money import GstRule, round_half_up

__all__ = ["PriceStep", "price_steps", "with_tax"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStep:
    """Prices from ``since`` until ``until``, which does not count; exact and without tax, paise per kWh and hour; of a session that has
    just begun. ``flat_paise``: of a session that starts then."""

    since: datetime
    until: datetime
    energy_paise: Fraction
    time_paise: Fraction
    idle_paise: Fraction
    flat_paise: Fraction


def price_steps(tariff: DriverTariff, since: datetime, until: datetime) -> list[PriceStep]:
    """Its prices from ``since`` until ``until``, cut where one of them changes."""
    found: list[PriceStep] = []
    moments = [since, *_changes(tariff, since, until)]
    for begin, end in zip(moments, [*moments[1:], until], strict=True):
        prices = [_price(tariff, kind, begin) for kind in (Kind.ENERGY, Kind.TIME, Kind.IDLE, Kind.FLAT)]
        step = PriceStep(
            since=begin, until=end, energy_paise=prices[0], time_paise=prices[1], idle_paise=prices[2], flat_paise=prices[3]
        )  # fmt: skip
        last = found[-1] if found else None
        if last is not None and prices == [last.energy_paise, last.time_paise, last.idle_paise, last.flat_paise]:
            found[-1] = PriceStep(
                since=last.since, until=end, energy_paise=prices[0], time_paise=prices[1], idle_paise=prices[2], flat_paise=prices[3]
            )  # fmt: skip
        else:
            found.append(step)
    return found


def with_tax(price_paise: Fraction, rule: GstRule) -> int:
    """A price with tax, rounded to a paisa: to be shown, never to be billed from."""
    return round_half_up(price_paise * (1 + rule.rate))


def _price(tariff: DriverTariff, kind: Kind, at: datetime) -> Fraction:
    found = tariff.find(kind, at, Fraction(0), Fraction(0))
    return Fraction(0) if found is None else found[1].price_paise


def _changes(tariff: DriverTariff, since: datetime, until: datetime) -> Iterator[datetime]:
    """When a price may change in between, by the tariff's clock."""
    day = since.astimezone(tariff.timezone).date()
    while True:
        for clock in tariff.clock_times:
            at = datetime.combine(day, clock, tariff.timezone)
            if at.astimezone(since.tzinfo) >= until:
                return
            if at > since:
                yield at.astimezone(since.tzinfo)
        day += timedelta(days=1)
        if datetime.combine(day, datetime.min.time(), tariff.timezone) >= until:
            return
