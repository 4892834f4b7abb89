"""When a rule of a tariff holds: dates of validity, hours of the local day, months, weekdays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

__all__ = ["ALL_DAY", "ALWAYS", "ANY_TIME", "DAY_MIN", "WEEKDAYS", "Hours", "Valid", "When"]

DAY_MIN = 24 * 60
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Hours:
    """Minutes of the local day, half-open; ``from_min`` > ``to_min`` runs over midnight, equal means the whole day."""

    from_min: int = 0
    to_min: int = 0

    def hold(self, minute: int) -> bool:
        """Whether that minute of the day lies in them."""
        begun, over = minute >= self.from_min, minute >= self.to_min
        return (begun and not over) if self.from_min < self.to_min else (begun or not over)

    @property
    def minutes(self) -> int:
        """How long they are."""
        return (self.to_min - self.from_min) % DAY_MIN or DAY_MIN

    @property
    def bounds(self) -> tuple[int, int]:
        """Where they begin and end, minutes of the day."""
        return self.from_min, self.to_min

    @property
    def whole_day(self) -> bool:
        """Whether they leave nothing out."""
        return self.from_min == self.to_min

    def __str__(self) -> str:
        if self.whole_day:
            return "all day"
        return f"{_clock(self.from_min)}–{_clock(self.to_min or DAY_MIN)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@dataclass(frozen=True, slots=True)
class Valid:
    """Local days from ``since`` on, before ``until``. None: not bounded on that side."""

    since: date | None = None
    until: date | None = None

    def hold(self, day: date) -> bool:
        """Whether that day lies in them."""
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)

    def within(self, other: Valid) -> Valid | None:
        """What both have in common; None: nothing."""
        since = max((d for d in (self.since, other.since) if d is not None), default=None)
        until = min((d for d in (self.until, other.until) if d is not None), default=None)
        return None if since is not None and until is not None and since >= until else Valid(since, until)

    def distance(self, day: date) -> int:
        """Days from ``day`` to the nearest day on which it holds; 0: it holds."""
        if self.since is not None and day < self.since:
            return (self.since - day).days
        if self.until is not None and day >= self.until:
            return (day - self.until).days + 1
        return 0

    def __str__(self) -> str:
        match (self.since, self.until):
            case (None, None):
                return "always"
            case (since, None):
                return f"from {since} on"
            case (None, until):
                return f"before {until}"
            case (since, until):
                return f"from {since} until before {until}"


ALL_DAY = Hours()
ALWAYS = Valid()


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """All conditions of a time-of-day rule at once; months, weekdays and dates are those of the moment itself."""

    hours: Hours = ALL_DAY
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    valid: Valid = ALWAYS

    def holds(self, local: datetime) -> bool:
        """Whether it is so at this local time."""
        day = local.date()
        return (
            self.hours.hold(local.hour * 60 + local.minute)
            and (not self.months or day.month in self.months)
            and (not self.weekdays or day.weekday() in self.weekdays)
            and self.valid.hold(day)
        )

    def __str__(self) -> str:
        parts = [str(self.hours)]
        if self.months:
            parts.append("months " + ", ".join(map(str, sorted(self.months))))
        if self.weekdays:
            parts.append(", ".join(WEEKDAYS[k] for k in sorted(self.weekdays)))
        if self.valid != ALWAYS:
            parts.append(str(self.valid))
        return ", ".join(parts)


ANY_TIME = When()
