"""Exact numbers of orders and bills: how they are read, rounded and shown. No binary fraction anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from grid.tariff.errors import InvalidTariff

__all__ = ["Rounding", "RoundingMode", "exact_number", "exact_text", "minor_units", "plain"]

_PLAIN_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?(/\d{1,15})?", re.ASCII)


def exact_number(value: object, where: str) -> Fraction:
    """A whole number, or a text like "7.15" or "2/3". Raises :class:`InvalidTariff` that begins with ``where``."""
    if isinstance(value, float):
        raise InvalidTariff(f'{where}: write {value} in quotes, "{value}", so that it stays exact')
    if isinstance(value, Fraction):
        return value
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if not _PLAIN_NUMBER.fullmatch(text):
        raise InvalidTariff(f"{where}: {value!r:.60} is not a finite number; write one like 7.15 or 2/3")
    number, _, divisor = text.partition("/")
    if divisor and not int(divisor):
        raise InvalidTariff(f"{where}: {value!r:.60} divides by zero")
    return Fraction(number) / (int(divisor) if divisor else 1)


class RoundingMode(StrEnum):
    """Which way: ``nearest`` takes halves away from zero, as bills do."""

    NEAREST = "nearest"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Rounding:
    """To whole multiples of ``to``, in the unit of what is rounded (rupees, kVA)."""

    to: Fraction
    mode: RoundingMode = RoundingMode.NEAREST

    def apply(self, value: Fraction) -> Fraction:
        """The rounded value; signs are kept: -0.5 to the nearest whole is -1, "up" is away from zero."""
        steps = abs(value) / self.to
        whole = int(steps)
        rest = steps - whole
        if (self.mode is RoundingMode.UP and rest) or (self.mode is RoundingMode.NEAREST and rest >= Fraction(1, 2)):
            whole += 1
        return whole * self.to if value >= 0 else -whole * self.to


def minor_units(amount: Fraction | Decimal) -> int:
    """Whole paise (cents) of an exact amount in rupees (dollars); halves go away from zero, as bills round."""
    return int(Rounding(Fraction(1)).apply(Fraction(amount) * 100))


def plain(value: Fraction, places: int = 6) -> str:
    """The number as people write it; with "≈" where it has more than ``places`` decimals."""
    scaled = value * 10**places
    shown = f"{Decimal(int(Rounding(Fraction(1)).apply(scaled))).scaleb(-places):f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    shown = "0" if shown in ("-0", "") else shown
    return shown if scaled.denominator == 1 else f"≈ {shown}"


def exact_text(value: Fraction) -> str:
    """The number as text, exactly: decimal where it comes out even within twelve places, else as a quotient."""
    shown = plain(value, 12)
    return f"{value.numerator}/{value.denominator}" if shown.startswith("≈") else shown
