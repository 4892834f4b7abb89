"""Billing months: a calendar month of the tariff's zone, as bills, contracts and the history of demands count it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from grid import GridError

__all__ = ["Month"]


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One calendar month, written ``2026-10``."""

    year: int
    month: int

    def __post_init__(self) -> None:
        if not 2000 <= self.year <= 2199 or not 1 <= self.month <= 12:
            raise GridError(f"{self.year}-{self.month} is not a billing month; write one like 2026-10")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The month of ``2026-10``. Raises :class:`GridError`."""
        match = re.fullmatch(r"(\d{4})-(\d{2})", text, re.ASCII)
        if match is None:
            raise GridError(f"{text!r} is not a billing month; write one like 2026-10")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, at: datetime | date, zone: ZoneInfo | None = None) -> Self:
        """The month of a local date, or of an aware moment in ``zone``."""
        day = at.astimezone(zone).date() if isinstance(at, datetime) else at
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def until(self) -> date:
        """The first day after it."""
        return self.after(1).first

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.until - self.first).days

    def after(self, months: int) -> Month:
        """So many months later; negative: earlier."""
        index = self.year * 12 + self.month - 1 + months
        return Month(index // 12, index % 12 + 1)

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Its begin and the begin of the next one, in UTC."""
        return tuple(datetime(d.year, d.month, d.day, tzinfo=zone).astimezone(UTC) for d in (self.first, self.until))  # type: ignore[return-value]  # two

    def dates(self) -> list[date]:
        """Its days, in order."""
        return [self.first + timedelta(days=k) for k in range(self.days)]
