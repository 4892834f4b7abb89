"""The site's limit falls at once and rises slowly: how a depot comes back after a fail-safe, an event, an expired limit.

    binding limit of the site ──falls──▶ holds at once
                              ──rises──▶ held for a random time, then along a ramp until it meets what is allowed

Many depots hear the end of the same event at the same moment; were all to rise together, the peak that was avoided would
come a minute later. What is held is one more limit of the site, so that it can only tighten, and a decrease never waits
for it. A limit that rises by itself no faster than the ramp (an order with a ramp of its own) is followed, and what a
person lifts before its time is lifted. Feeders, connectors and vehicles are no matter of this module: how vehicles begin
again after a power cut is :mod:`controller.pickup`'s. No I/O and no clock; nothing survives a restart, after which a
site with a utility link begins at its fail-safe limit and rises from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from controller.limits import binding
from depot.values import Limit, LimitSource, ScopeKind

LIMIT_ID = "comeback"

FOLLOWED_S = 2.0
"""A step of the ramp may be seen so late and is still one: rises of no more than the ramp's own in this time are followed."""


@dataclass(frozen=True, slots=True)
class ComebackSettings:
    """``delay_max_s``: the rise begins after a time drawn between 0 and this. ``ramp_s``: from zero to the contract.
    Both 0: the site rises at once."""

    delay_max_s: float = 0.0
    ramp_s: float = 0.0

    @property
    def at_once(self) -> bool:
        """Whether there is nothing to do."""
        return self.delay_max_s <= 0 and self.ramp_s <= 0


@dataclass(frozen=True, slots=True)
class Rise:
    """A rise under way: from ``from_w``, beginning at ``starts_at``; ``since``: when what held before was over, and
    ``after`` who had set it. ``now_w`` is allowed now, ``target_w`` at ``ends_at``."""

    since: datetime
    starts_at: datetime
    ends_at: datetime
    from_w: int
    now_w: int
    target_w: int
    after: LimitSource


@dataclass(slots=True)
class Comeback:
    """One per depot. ``rng``: seeded by the depot's id, so that two depots differ and a replay does not."""

    settings: ComebackSettings
    contract_w: int
    rng: Random
    rise: Rise | None = None
    _binds: Limit | None = None
    _allowed_w: int = 0
    _looked_at: datetime = field(default=datetime.min)  # noqa: DTZ901  # never compared before it is set

    def over(self, found: Iterable[Limit], now: datetime) -> Limit | None:
        """The limit that holds the site back at ``now``, where all others are ``found``; None: nothing does."""
        natural = binding(found, "", now)
        if natural is None or self.settings.at_once:
            return None
        before, self._binds = self._binds, natural
        since, self._looked_at = self._looked_at, now
        if before is not None and self.rise is None and natural.value > self._allowed_w and not self._followed(before, natural, since, now):
            delay_s = self.rng.uniform(0.0, self.settings.delay_max_s)
            starts_at = now + timedelta(seconds=delay_s)
            self.rise = Rise(since, starts_at, starts_at, self._allowed_w, self._allowed_w, natural.value, before.source)
        self.rise = self._advanced(self.rise, natural.value, now)
        self._allowed_w = natural.value if self.rise is None else self.rise.now_w
        return None if self.rise is None else _limit(self.rise)

    def lifted(self) -> None:
        """A person overrides what held, now: nothing keeps the site back."""
        self.rise = self._binds = None

    def active(self, now: datetime) -> bool:
        """Whether time alone will allow more soon."""
        return self.rise is not None and now >= self.rise.starts_at - timedelta(seconds=1)

    @property
    def _slope_w(self) -> float:
        """Watts a second."""
        return self.contract_w / self.settings.ramp_s if self.settings.ramp_s > 0 else math.inf

    def _followed(self, before: Limit, natural: Limit, since: datetime, now: datetime) -> bool:
        ended = before.until is not None and before.until <= now
        if before.source is LimitSource.MANUAL and not ended:
            return True  # a person lifted it, and stands behind it
        if self.settings.ramp_s <= 0:
            return False
        gone_s = min(FOLLOWED_S, (now - since).total_seconds())
        return natural.value - self._allowed_w <= self._slope_w * gone_s

    def _advanced(self, rise: Rise | None, target_w: int, now: datetime) -> Rise | None:
        """The rise at ``now``; None where it has met what is allowed."""
        if rise is None:
            return None
        gone_s = (now - rise.starts_at).total_seconds()
        now_w = rise.from_w + (int(min(self._slope_w * gone_s, self.contract_w)) if gone_s > 0 else 0)
        if now_w >= target_w:
            return None
        ends_at = rise.starts_at + timedelta(seconds=(target_w - rise.from_w) / self._slope_w)
        return Rise(rise.since, rise.starts_at, ends_at, rise.from_w, now_w, target_w, rise.after)


def _limit(rise: Rise) -> Limit:
    # it began when the last look still saw what held before: whoever asks may have looked at the clock a moment earlier
    reason = f"comes back slowly after {rise.after.value.replace('_', ' ')}"
    return Limit(
        LIMIT_ID, ScopeKind.SITE, rise.now_w, LimitSource.COMEBACK, rise.since, until=rise.ends_at, set_by="controller", reason=reason
    )
