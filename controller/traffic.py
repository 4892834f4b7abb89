"""What goes to one connector and when it may: calls outstanding, writes of the last hour, back-off after failures.

Pure bookkeeping of invariant 11 (no chatter): every method takes ``now_s``, depot seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from controller.grants import EXPIRY_SKEW_S, Grant
from depot.values import Outcome


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Times in depot seconds, shares of a whole. ``margin_share`` of the site limit is never planned on. ``pace``:
    how much longer the site's meter may take where depot time runs faster than machines answer (the demo)."""

    period_s: float = 1.0
    life_s: float = 180.0
    refresh_s: float = 90.0
    margin_share: float = 0.01
    max_writes_per_hour: int = 12
    pressed_writes: int = 4
    min_change_s: float = 30.0
    overdue_s: float = 1.0
    start_backoff_s: float = 60.0
    unplanned_grace_s: float = 120.0
    reading_every_s: float = 3.0
    stop_patience_s: float = 60.0
    pace: float = 1.0


@dataclass(slots=True)
class Traffic:
    """One per connector. ``changes``: when levels were written in the last hour. ``resend``: the level is to be sent
    again whatever holds. ``pressed``: its vehicle has no time left to wait in."""

    calls: int = 0
    changes: list[float] = field(default_factory=list)
    changed_s: float = -math.inf
    retry_s: float = -math.inf
    failures: int = 0
    asked_reading_s: float = -math.inf
    start_after_s: float = -math.inf
    start_failures: int = 0
    stopping_since_s: float | None = None
    resend: bool = False
    pressed: bool = False

    def count(self, now_s: float) -> None:
        """A level was written that is not the one before."""
        self.changed_s = now_s
        self.changes.append(now_s)

    def quota(self, settings: LoopSettings, now_s: float, *, paused: bool) -> bool:
        """Whether a change that nothing urgent asks for may go: they are spaced and counted per hour, and some of the
        hour's are kept for vehicles that are pressed, and for sessions that wait at 0 W to be let go again."""
        if now_s - self.changed_s < settings.min_change_s:
            return False
        if self.changes and now_s - self.changes[0] >= 3600:
            self.changes = [at for at in self.changes if now_s - at < 3600]
        kept = 0 if self.pressed or paused else settings.pressed_writes
        return len(self.changes) < settings.max_writes_per_hour - kept

    def renewal_due(self, grant: Grant, settings: LoopSettings, now_s: float) -> bool:
        """Whether the level that was told is to be sent once more, so that it does not expire."""
        if self.resend or grant.confirmed_w != grant.told_w:
            return True
        if grant.told_w == grant.default_w:
            return False  # what it falls to is what it has
        return grant.confirmed_until_s - EXPIRY_SKEW_S - now_s <= settings.life_s - settings.refresh_s

    def overdue(self, grant: Grant, settings: LoopSettings, now_s: float) -> bool:
        """Whether others must make room for it: told to come down, or to stop, and not seen to."""
        if grant.all_or_nothing:
            return self.stopping_since_s is not None and now_s - self.stopping_since_s > settings.overdue_s
        return grant.overdue(now_s, patience_s=settings.overdue_s)

    def answered(self, outcome: Outcome, now_s: float) -> None:
        """Back off from a charger that refuses or does not answer; its bound stays where it is."""
        if outcome is Outcome.ACCEPTED:
            self.failures = 0
            self.retry_s = -math.inf
            return
        self.failures += 1
        self.retry_s = now_s + min(60.0, 2.0 * 2 ** min(self.failures, 5))

    def start_asked(self, settings: LoopSettings, now_s: float) -> None:
        """A session was asked for: the next time later, and later still each time that none came of it."""
        self.start_after_s = now_s + settings.start_backoff_s * 2 ** min(self.start_failures, 5)
        self.start_failures += 1
