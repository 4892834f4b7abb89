"""A bill's lines while they are made: each knows what of its amount falls into which part of the month.

The month is cut wherever any layer or the contract changes. A percentage that holds in some of these parts only is taken of
what falls into them; one that holds in all of them is taken of the rounded lines, as bills do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

from grid.billing.values import BillLine
from grid.months import Month
from grid.tariff.hours import Valid
from grid.tariff.numbers import Rounding, minor_units

__all__ = ["Draft", "Parts"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The month, cut at every change: half-open runs of days, in order."""

    month: Month
    cuts: tuple[date, ...]

    @classmethod
    def cut(cls, month: Month, changes: Iterable[date | None]) -> Parts:
        """The month, cut at those of ``changes`` that lie in it."""
        inside = {day for day in changes if day is not None and month.first < day < month.until}
        return cls(month, tuple(sorted({month.first, month.until, *inside})))

    @property
    def whole(self) -> Valid:
        """All of the month."""
        return Valid(self.month.first, self.month.until)

    def of(self, valid: Valid) -> dict[int, int]:
        """The parts in which ``valid`` holds, with their days."""
        return {k: (until - since).days for k, (since, until) in enumerate(pairwise(self.cuts)) if valid.hold(since)}

    def each_day(self) -> Iterator[tuple[int, date]]:
        """Every day of the month with its part."""
        for k, (since, until) in enumerate(pairwise(self.cuts)):
            yield from ((k, since + timedelta(days=n)) for n in range((until - since).days))

    def spread(self, amount: Fraction, valid: Valid) -> dict[int, Fraction]:
        """An amount, by days over the parts in which ``valid`` holds."""
        days = self.of(valid)
        return {k: amount * n / sum(days.values()) for k, n in days.items()}

    def days(self, valid: Valid) -> int:
        """Days of the month on which it holds."""
        return sum(self.of(valid).values())

    def share(self, valid: Valid) -> Fraction:
        """The share of the month's days on which it holds."""
        return Fraction(self.days(valid), self.month.days)

    def within(self, valid: Valid) -> Valid | None:
        """The days of the month on which it holds; None: on none."""
        return valid.within(self.whole)

    def words(self, valid: Valid) -> str:
        """How much of the month that is, for explanations; empty: all of it."""
        days = self.days(valid)
        if days == self.month.days:
            return ""
        last = (valid.until or self.month.until) - timedelta(days=1)
        return f"{days} of {self.month.days} days ({valid.since or self.month.first} to {min(last, self.month.until - timedelta(days=1))})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A line before rounding. ``layer``: the code of the layer that it comes from; ``parts``: exact amounts by part."""

    layer: str
    code: str
    text: str
    quantity: Fraction
    unit: str
    rate: Fraction
    explanation: str
    order_ref: str
    valid: Valid
    parts: Mapping[int, Fraction]

    def amount(self, rounding: Rounding, among: Iterable[int] | None = None) -> Fraction:
        """The rounded amount; ``among``: of those parts only."""
        exact = sum(self.parts.values() if among is None else (self.parts.get(k, Fraction(0)) for k in among), Fraction(0))
        return rounding.apply(exact)

    def line(self, rounding: Rounding) -> BillLine:
        """The line on the bill."""
        return BillLine(
            code=self.code,
            text=self.text,
            quantity=self.quantity,
            unit=self.unit,
            rate=self.rate,
            amount_paise=minor_units(self.amount(rounding)),
            explanation=self.explanation,
            order_ref=self.order_ref,
            valid=self.valid,
        )
