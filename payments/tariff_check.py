"""What is doubtful in a driver tariff that can be read: prices that nobody ever pays, hours without one, slips of the pen. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction

from payments import InvalidTariff
from payments.driver_tariff import DriverTariff, Kind
from payments.tariff_ocpi import to_ocpi
from payments.tariff_offer import price_steps

__all__ = ["doubts"]

_DEAR_KWH = Fraction(100_00)
_CHEAP_KWH = Fraction(50)
"""Above ₹100 or below ₹0.50 a kWh somebody may have typed another unit."""


def doubts(tariff: DriverTariff, now: datetime) -> list[str]:
    """Sentences, most serious first; none: nothing is doubtful."""
    return [*_ended(tariff, now), *_shadowed(tariff), *_gaps(tariff, now), *_slips(tariff), *_ocpi(tariff)]


def _ended(tariff: DriverTariff, now: datetime) -> Iterator[str]:
    if tariff.valid_until is not None and tariff.valid_until <= now:
        yield f"it ended on {tariff.valid_until:%Y-%m-%d %H:%M}: no session starts under it"


def _shadowed(tariff: DriverTariff) -> Iterator[str]:
    """Elements behind one that always holds."""
    always: dict[Kind, int] = {}
    for place, element in enumerate(tariff.elements):
        for component in element.components:
            first = always.get(component.kind)
            if first is not None:
                yield f"elements[{place}].{component.kind} never counts: elements[{first}] always holds and comes first; change their order"
            elif element.restrictions.always:
                always[component.kind] = place


def _gaps(tariff: DriverTariff, now: datetime) -> Iterator[str]:
    """Hours of the coming week in which the first energy of a session is free."""
    begin = max(now, tariff.valid_from or now)
    free = [step for step in price_steps(tariff, begin, begin + timedelta(days=7)) if not step.energy_paise]
    if any(element.component(Kind.ENERGY) is not None for element in tariff.elements) and free:
        local = free[0].since.astimezone(tariff.timezone)
        yield f"energy costs nothing at times, for example from {local:%a %H:%M} on: a last element without restrictions gives it a price"


def _slips(tariff: DriverTariff) -> Iterator[str]:
    prices = [component.price_paise for component in tariff.components(Kind.ENERGY)]
    if prices and max(prices) > _DEAR_KWH:
        yield f"energy at {float(max(prices)) / 100:g} {tariff.currency}/kWh: are these paise that were meant?"
    if any(0 < price < _CHEAP_KWH for price in prices):
        yield f"energy at {float(min(price for price in prices if price)) / 100:g} {tariff.currency}/kWh: is this the price of one kWh?"
    if tariff.max_paise == 0:
        yield "the most that a session costs is 0: every session is free"
    if not prices and not any(component.price_paise for kind in Kind for component in tariff.components(kind)):
        yield "nothing costs anything"
    if any(component.price_paise and not component.grace for component in tariff.components(Kind.IDLE)):
        yield "idle time counts from the first second after full: nobody can be there so soon (grace_min)"


def _ocpi(tariff: DriverTariff) -> Iterator[str]:
    try:
        to_ocpi(tariff)
    except InvalidTariff as error:
        yield f"it cannot be exported to OCPI: {error}"
