"""Amounts in words, as Indian invoices write them: lakh and crore."""

from __future__ import annotations

__all__ = ["rupees_in_words"]

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10_000_000, "crore"), (100_000, "lakh"), (1_000, "thousand"), (100, "hundred"))


def rupees_in_words(paise: int) -> str:
    """``Rupees one lakh two thousand and five paise only``."""
    sign = "minus " if paise < 0 else ""
    rupees, rest = divmod(abs(paise), 100)
    tail = f" and {_words(rest)} paise" if rest else ""
    return f"Rupees {sign}{_words(rupees)}{tail} only"


def _words(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    for size, name in _SCALES:
        if number >= size:
            many, rest = divmod(number, size)
            return f"{_words(many)} {name}" + (f" {_words(rest)}" if rest else "")
    raise AssertionError(number)
