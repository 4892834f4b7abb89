"""One table of a tariff file, read key by key: every value is checked, every key that nobody asked for is refused.

Errors say where: ``tariff t, energy 1, tod 2: from is …``. Numbers may be the name of a parameter of the tariff.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from grid.tariff.errors import InvalidTariff
from grid.tariff.hours import DAY_MIN, WEEKDAYS, Hours, Valid
from grid.tariff.layers import Parameter
from grid.tariff.numbers import exact_number

__all__ = ["Fields"]

E = TypeVar("E", bound=StrEnum)
_LONGEST_TEXT = 2000
_MOST_ROWS = 500


class Fields:
    """See the module. Each reading method marks its key as known; :meth:`end` refuses the others."""

    def __init__(self, table: object, where: str, parameters: Mapping[str, Parameter] | None = None) -> None:
        if not isinstance(table, dict) or not all(isinstance(key, str) for key in table):
            raise InvalidTariff(f"{where}: must be a table of keys and values")
        self.table: dict[str, object] = table
        self.where = where
        self.parameters = parameters or {}
        self._known: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        self._known.add(key)
        return self.table.get(key) is not None

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty; without a default it must be there."""
        if not self.has(key):
            if default is None:
                raise self.wrong(f"{key} missing")
            return default
        value = self.table[key]
        if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_TEXT:
            raise self.wrong(f"{key} must be a text of 1 to {_LONGEST_TEXT} characters")
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; missing: none."""
        values = self._list(key)
        for value in values:
            if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_TEXT:
                raise self.wrong(f"{key} must be a list of texts")
        return tuple(str(value) for value in values)

    def number(self, key: str, default: Fraction | int | None = None) -> Fraction:
        """An exact number or the name of a parameter; without a default it must be there."""
        if not self.has(key):
            if default is None:
                raise self.wrong(f"{key} missing")
            return Fraction(default)
        value = self.table[key]
        if isinstance(value, str) and value in self.parameters:
            return self.parameters[value].value
        return exact_number(value, f"{self.where}, {key}")

    def above_zero(self, key: str, default: Fraction | int | None = None) -> Fraction:
        """A number above 0."""
        value = self.number(key, default)
        if value <= 0:
            raise self.wrong(f"{key} must be above 0")
        return value

    def not_negative(self, key: str, default: Fraction | int | None = None) -> Fraction:
        """A number of at least 0."""
        value = self.number(key, default)
        if value < 0:
            raise self.wrong(f"{key} must not be negative")
        return value

    def whole(self, key: str, default: int, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.number(key, default)
        if value.denominator != 1 or not least <= value <= most:
            raise self.wrong(f"{key} must be a whole number from {least} to {most}")
        return int(value)

    def flag(self, key: str) -> bool:
        """true or false; missing: false."""
        value = self.table[key] if self.has(key) else False
        if not isinstance(value, bool):
            raise self.wrong(f"{key} must be true or false")
        return value

    def choice(self, key: str, among: type[E], default: E | None = None) -> E:
        """One of the words of an enumeration."""
        if not self.has(key) and default is not None:
            return default
        value = self.table.get(key)
        found = next((one for one in among if one.value == value), None) if isinstance(value, str) else None
        if found is None:
            raise self.wrong(f"{key} is {value!r:.60}; write {' or '.join(one.value for one in among)}")
        return found

    def day(self, key: str) -> date | None:
        """A date, or its text; missing: None."""
        if not self.has(key):
            return None
        value = self.table[key]
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        try:
            if isinstance(value, str) and len(value) == len("2025-04-01"):
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise self.wrong(f"{key} is {value!r:.60}; write a day like 2025-04-01")

    def valid(self) -> Valid:
        """``valid_from`` and ``valid_until``."""
        since, until = self.day("valid_from"), self.day("valid_until")
        if since is not None and until is not None and since >= until:
            raise self.wrong(f"valid_until {until} must be after valid_from {since}: it is the first day that is not valid")
        return Valid(since, until)

    def hours(self) -> Hours:
        """``from`` and ``to``; both missing: the whole day."""
        return Hours(self._minute("from") % DAY_MIN, self._minute("to") % DAY_MIN)

    def months(self, key: str = "months") -> frozenset[int]:
        """Numbers of months; empty: all."""
        values = self._list(key)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 12:
                raise self.wrong("months are 1 to 12")
        return frozenset(int(str(value)) for value in values)

    def weekdays(self, key: str) -> frozenset[int]:
        """Names of weekdays; empty: all."""
        values = self._list(key)
        for value in values:
            if not isinstance(value, str) or value not in WEEKDAYS:
                raise self.wrong(f"weekdays are {', '.join(WEEKDAYS)}")
        return frozenset(WEEKDAYS.index(str(value)) for value in values)

    def sub(self, key: str) -> Fields:
        """A table inside this one; it must be there."""
        if not self.has(key):
            raise self.wrong(f"{key} missing")
        return Fields(self.table[key], f"{self.where}, {key}", self.parameters)

    def rows(self, key: str) -> list[Fields]:
        """A list of tables inside this one; missing: none."""
        return [Fields(row, f"{self.where}, {key} {k}", self.parameters) for k, row in enumerate(self._list(key), 1)]

    def end(self) -> None:
        """Refuse what nobody asked for."""
        unknown = sorted(set(self.table) - self._known)
        if unknown:
            raise self.wrong(f"unknown keys {', '.join(unknown):.200}; it may have: {', '.join(sorted(self._known))}")

    def wrong(self, sentence: str) -> InvalidTariff:
        """An error that says where."""
        return InvalidTariff(f"{self.where}: {sentence}")

    def _list(self, key: str) -> list[object]:
        value = self.table[key] if self.has(key) else []
        if not isinstance(value, list) or len(value) > _MOST_ROWS:
            raise self.wrong(f"{key} must be a list of at most {_MOST_ROWS} entries")
        return value

    def _minute(self, key: str) -> int:
        text = self.text(key, "00:00")
        hour, _, minute = text.partition(":")
        if text.isascii() and hour.isdecimal() and len(hour) <= 2 and minute.isdecimal() and len(minute) == 2:
            at = int(hour) * 60 + int(minute)
            if int(minute) % 15 == 0 and int(minute) < 60 and at <= DAY_MIN:
                return at
        raise self.wrong(f"{key} is {text!r:.60}, not a quarter hour of the day; write 09:00 or 21:15")
