"""How much of what stations say by themselves is kept: so many facts an hour of one of them, the others are only counted."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

WINDOW = timedelta(hours=1)


class Allowance:
    """``most`` facts an hour of one source. Owned by one room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._since: datetime | None = None
        self._kept: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def take(self, source: str, now: datetime) -> int | None:
        """Whether one more is kept: how many before it were not; None: this one is not kept either."""
        if self._since is None or now - self._since >= WINDOW:
            self._since = now
            self._kept.clear()
        if self._kept[source] >= self._most:
            self._dropped[source] += 1
            return None
        self._kept[source] += 1
        return self._dropped.pop(source, 0)
