"""Limits on a block's average become what the limiter understands: an instant limit until the block ends, and one after it.

    Limit(kind=block_average) + Trail --allowances()--> Limit(instant, until the block's end), Limit(instant, from there on)

The first is what the block has left, spread evenly; the second is the average itself, which every profile that outlives the
block must fit under. What can't be held back (background, sessions that can't pause) is never cut by these: then the limit
is infeasible, and says so. Pure but for :class:`Published`, which keeps the limiter from being told a new number every second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from depot.values import Limit, LimitKind, Quantity, ScopeKind
from grid.block_allowance import Trail, allowed_w

LOWERED_SHARE = 0.98
"""A lower allowance is told a little lower than it is: the next one would come a second later."""

RAISED_SHARE = 1.05
RAISED_W = 1000
"""A higher one is told once it is so much higher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockNow:
    """What allowances are made from. ``watts``, ``volt_amperes``: the energy trails (the second None: not measured);
    ``per_va``: W per VA of the site now; ``held_w``: what can't be held back, at the site's meter."""

    now: datetime
    begins_at: datetime
    ends_at: datetime
    error_s: float
    watts: Trail
    volt_amperes: Trail | None
    per_va: float
    held_w: int

    def allowed_w(self, limit: Limit) -> int:
        """What the block leaves under ``limit``, W."""
        trail, to_w = self.watts, 1.0
        value = float(limit.value)
        if limit.quantity is Quantity.VA:
            to_w = self.per_va
            if self.volt_amperes is not None:
                trail = self.volt_amperes
            else:
                value, to_w = value * to_w, 1.0
        left = allowed_w(
            trail,
            value,
            now_s=self.now.timestamp(),
            begins_s=self.begins_at.timestamp(),
            length_s=(self.ends_at - self.begins_at).total_seconds(),
            error_s=self.error_s,
        )
        return int(left * to_w)

    def steady_w(self, limit: Limit) -> int:
        """The average itself, W."""
        return int(limit.value * self.per_va) if limit.quantity is Quantity.VA else limit.value


@dataclass(slots=True)
class Published:
    """The allowance of each limit as it was last told, for the block that it was told for."""

    _told: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def value(self, limit_id: str, ends_at: datetime, fresh_w: int) -> int:
        """What to tell now."""
        known = self._told.get(limit_id)
        if known is not None and known[0] == ends_at and known[1] <= fresh_w < known[1] * RAISED_SHARE + RAISED_W:
            return known[1]
        lower = known is not None and known[0] == ends_at and fresh_w < known[1]
        told_w = int(fresh_w * LOWERED_SHARE) if lower else fresh_w
        self._told[limit_id] = (ends_at, told_w)
        return told_w


def of_blocks(limits: Iterable[Limit], now: datetime) -> list[Limit]:
    """Limits of the site on a block's average that are in force at ``now``."""
    wanted = (Quantity.W, Quantity.VA)
    return [
        limit
        for limit in limits
        if limit.kind is LimitKind.BLOCK_AVERAGE and limit.scope is ScopeKind.SITE and limit.quantity in wanted and limit.holds_at(now)
    ]


def allowances(found: Iterable[Limit], block: BlockNow, published: Published, zone: ZoneInfo) -> list[Limit]:
    """The instant limits that follow from limits on the block's average."""
    out = []
    for limit in found:
        left_w = block.allowed_w(limit)
        told_w = published.value(limit.limit_id, block.ends_at, left_w)
        unit = "kVA" if limit.quantity is Quantity.VA else "kW"
        words = f"{limit.reason or limit.limit_id}: {limit.value / 1000:g} {unit} as the block's average"
        if left_w < block.held_w:
            words += f"; can't be kept, {block.held_w / 1000:.0f} kW can't be held back"
        ends = block.ends_at if limit.until is None else min(block.ends_at, limit.until)
        instant = replace(limit, kind=LimitKind.INSTANT, quantity=Quantity.W)
        out.append(
            replace(
                instant,
                limit_id=f"{limit.limit_id}/block",
                value=max(told_w, block.held_w),
                from_=min(limit.from_, block.begins_at),
                until=ends,
                reason=f"{words}; what is left until {ends.astimezone(zone):%H:%M}",
            )
        )
        if limit.until is None or limit.until > block.ends_at:
            steady_w = max(block.steady_w(limit), block.held_w)
            out.append(replace(instant, limit_id=f"{limit.limit_id}/next", value=steady_w, from_=block.ends_at, reason=words))
    return out
