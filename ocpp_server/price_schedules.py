"""Prices for vehicles that plan by themselves: a tariff's steps as ISO 15118 has them, in a charging schedule. Pure.

    ISO 15118-2:  salesTariff             levels, 1 the cheapest (2.0.1 and 2.1)
    ISO 15118-20: absolutePriceSchedule   money per kWh (2.1 only)

They are built for one schedule and begin with it; ids are the schedule's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from ocpp_server.session import Payload
from ocpp_server.skew import wire_time

ALGORITHM = "urn:iso:std:iso:15118:-20:PriceAlgorithm:1-Power"
"""ISO 15118-20: the fee of an interval is its energy by the price of the power range."""
EXPONENT = -4
MOST_STACKS, MOST_ENTRIES = 1024, 1024
Steps = Sequence[tuple[datetime, Decimal]]
"""(from when on, price per kWh), ascending."""


def sales_tariff(prices: Steps, *, start: datetime, ends: datetime, number: int) -> Payload | None:
    """``salesTariff`` of a schedule that begins at ``start``; None: no price is known of its time."""
    steps = _within(prices, start, ends)[:MOST_ENTRIES]
    if not steps:
        return None
    levels = {price: level for level, price in enumerate(sorted({price for _, price in steps}), 1)}
    entries = [
        {"relativeTimeInterval": {"start": round((at - start).total_seconds())}, "ePriceLevel": levels[price]} for at, price in steps
    ]
    entries[-1]["relativeTimeInterval"] = {
        "start": round((steps[-1][0] - start).total_seconds()),
        "duration": round((ends - steps[-1][0]).total_seconds()),
    }
    return {"id": number, "numEPriceLevels": len(levels), "salesTariffEntry": entries}


def absolute_prices(prices: Steps, *, start: datetime, ends: datetime, number: int, currency: str) -> Payload | None:
    """``absolutePriceSchedule`` of a schedule that begins at ``start``; None: no price is known of its time."""
    steps = _within(prices, start, ends)[:MOST_STACKS]
    if not steps:
        return None
    until = [at for at, _ in steps[1:]] + [ends]
    stacks = [
        {
            "duration": round((over - at).total_seconds()),
            "priceRule": [{"energyFee": _rational(price), "powerRangeStart": _rational(Decimal())}],
        }
        for (at, price), over in zip(steps, until, strict=True)
    ]
    return {
        "timeAnchor": wire_time(start), "priceScheduleID": number, "currency": currency, "language": "en", "priceAlgorithm": ALGORITHM,
        "priceRuleStacks": stacks,
    }  # fmt: skip


def _within(prices: Steps, start: datetime, ends: datetime) -> list[tuple[datetime, Decimal]]:
    """The steps of [start, ends), the first at ``start``; empty where the first price begins later than half a minute after it."""
    before = [price for at, price in prices if at <= start]
    inside = [(at, price) for at, price in prices if start < at < ends]
    if before:
        return [(start, before[-1]), *inside]
    if inside and (inside[0][0] - start).total_seconds() <= 30:
        return [(start, inside[0][1]), *inside[1:]]
    return []


def _rational(value: Decimal) -> dict[str, int]:
    """ISO 15118-20 RationalNumberType, exact to a ten-thousandth."""
    return {"exponent": EXPONENT, "value": round(value.scaleb(-EXPONENT))}
