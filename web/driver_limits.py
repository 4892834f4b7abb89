"""How often a phone may ask: token buckets in memory, by address and by cookie. Forgotten at a restart, which is no harm.

Many phones share one address behind a mobile network's translator: limits by address are wide, those by cookie are narrow.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

__all__ = ["Limits", "Rate"]

_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` at once, and ``per_hour`` in the long run."""

    burst: int
    per_hour: float


@dataclass(slots=True)
class Limits:
    """``take`` one of a key's chances. The longest unused key is forgotten when there are too many."""

    rate: Rate
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, key: str, now_s: float) -> float:
        """0: it may; else the seconds until it may again."""
        left, at_s = self._left.pop(key, (float(self.rate.burst), now_s))
        left = min(float(self.rate.burst), left + max(0.0, now_s - at_s) * self.rate.per_hour / 3600)
        may = left >= 1.0
        self._left[key] = (left - 1.0 if may else left, now_s)
        while len(self._left) > _MOST_KEYS:
            self._left.popitem(last=False)
        return 0.0 if may else (1.0 - left) * 3600 / self.rate.per_hour
