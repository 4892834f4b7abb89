"""The billing meter's clock, seen from outside: a demand register that holds the last block's mean changes when a block ends.

    demand_w, once a second --> MeterClock.read() --> offset_s (ahead of ours), known after a few blocks that agree

Meters that show a sliding or a running demand instead change all the time and tell nothing: then the offset stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from zoneinfo import ZoneInfo

from grid.demand import block_of

__all__ = ["MeterClock"]

AGREE_S = 10.0
"""Ends of blocks that were seen may differ by this much: they are seen at the next reading only."""

NEEDED, KEPT = 3, 8
HELD_SHARE = 0.8
"""A register that stood still for this share of a block before it changed holds the last block's mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterClock:
    """An immutable value; ``seen``: by how much the meter was ahead at the last ends of blocks, s."""

    interval_min: int
    timezone: str
    demand_w: int | None = None
    since: datetime | None = None
    at: datetime | None = None
    seen: tuple[float, ...] = ()

    def read(self, at: datetime, demand_w: int | None) -> MeterClock:
        """After a reading of the register at ``at``."""
        if demand_w is None:
            return self
        if self.demand_w is None or self.at is None or self.since is None:
            return replace(self, demand_w=demand_w, since=at, at=at)
        if demand_w == self.demand_w:
            return replace(self, at=at)
        held_s, seen = (at - self.since).total_seconds(), self.seen
        if held_s >= HELD_SHARE * self.interval_min * 60 and (at - self.at).total_seconds() <= AGREE_S:
            seen = (*seen, self._ahead_s(self.at + (at - self.at) / 2))[-KEPT:]
        elif held_s > AGREE_S:
            seen = ()  # it does not hold its value over a block
        return replace(self, demand_w=demand_w, since=at, at=at, seen=seen)

    @property
    def offset_s(self) -> float | None:
        """By how much the meter's clock is ahead of ours; None: the register has not told."""
        if len(self.seen) < NEEDED:
            return None
        middle = median(self.seen)
        return middle if all(abs(ahead_s - middle) <= AGREE_S for ahead_s in self.seen[-NEEDED:]) else None

    def _ahead_s(self, changed_at: datetime) -> float:
        """Ahead of ours by what is left until our block ends; what is more than half of a block is behind instead."""
        begins_at, ends_at = block_of(changed_at, interval_min=self.interval_min, zone=ZoneInfo(self.timezone))
        left_s, gone_s = (ends_at - changed_at).total_seconds(), (changed_at - begins_at).total_seconds()
        return left_s if left_s < gone_s else -gone_s
