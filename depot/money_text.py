"""Money as people read it: one way for pages, papers, messages and tables. Pure.

Rupees are grouped as in India (lakh, crore): ``₹4,77,527``; other currencies by thousands: ``$477,527``. Amounts are integer paise
(hundredths of the currency). Tables that machines read and fields that people fill in hold :func:`plain_decimal`.
"""

from __future__ import annotations

__all__ = ["MINUS", "amount", "amount_of", "currency_symbol", "grouped", "money", "plain_decimal", "rupees", "short_rupees"]

MINUS = "−"
_RUPEES = "INR"
_SYMBOLS = {_RUPEES: "₹", "USD": "$", "EUR": "€", "GBP": "£"}


def currency_symbol(currency: str) -> str:
    """``INR`` -> ``₹``; a code without a symbol stands for itself, with a space behind it."""
    return _SYMBOLS.get(currency, currency + " ")


def grouped(whole: int, currency: str = _RUPEES) -> str:
    """A whole number of 0 or more: ``1234567`` -> ``12,34,567`` in rupees, ``1,234,567`` in another currency."""
    if currency != _RUPEES:
        return f"{whole:,}"
    head, last = divmod(whole, 1000)
    if not head:
        return str(last)
    pairs = []
    while head:
        head, pair = divmod(head, 100)
        pairs.append(f"{pair:02d}")
    return ",".join([*reversed(pairs), f"{last:03d}"]).removeprefix("0")


def amount(paise: int, currency: str = _RUPEES, *, whole: bool = False, minus: str = MINUS) -> str:
    """Without the symbol: ``10234560`` -> ``1,02,345.60``. ``whole``: to the rupee, halves away from zero. ``minus``: for papers
    whose letters have no true minus sign."""
    units, rest = divmod(abs(paise) + (50 if whole else 0), 100)
    words = grouped(units, currency) if whole else f"{grouped(units, currency)}.{rest:02d}"
    return f"{minus}{words}" if paise < 0 and (units or not whole) else words


def money(paise: int, currency: str = _RUPEES, *, whole: bool = False) -> str:
    """With the symbol, the minus sign before it: ``−₹1,234.56``, ``$1,234.56``, ``CHF 1,234.56``."""
    words = amount(paise, currency, whole=whole)
    sign = MINUS if words.startswith(MINUS) else ""
    return f"{sign}{currency_symbol(currency)}{words.removeprefix(MINUS)}"


def rupees(paise: int, *, whole: bool = False) -> str:
    """``123456`` -> ``₹1,234.56``; ``whole``: ``₹1,235``."""
    return money(paise, whole=whole)


def short_rupees(paise: int) -> str:
    """Without paise where there are none: ``1500000`` -> ``₹15,000``, ``1500050`` -> ``₹15,000.50``."""
    return rupees(paise).removesuffix(".00")


def amount_of(value: float, currency: str, *, digits: int = 0) -> str:
    """A computed amount (rupees, not paise), without its symbol, to ``digits`` decimals: ``123456.4`` -> ``1,23,456``; never ``−0``."""
    text = f"{abs(value):.{digits}f}"
    units, dot, rest = text.partition(".")
    sign = MINUS if value < 0 and text.strip("0.") else ""
    return f"{sign}{grouped(int(units), currency)}{dot}{rest}"


def plain_decimal(paise: int) -> str:
    """For CSV and fields of forms: ``-10234560`` -> ``-102345.60``."""
    return f"{'-' if paise < 0 else ''}{abs(paise) // 100}.{abs(paise) % 100:02d}"
