"""What goes to one connector and when it may: calls outstanding, writes of the last hour, back-off after failures.

Pure bookkeeping of invariant 11 (no chatter): every method takes ``now_s``, depot seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from controller.comeback import ComebackSettings
from controller.grants import EXPIRY_SKEW_S, Grant
from controller.pickup import PickupSettings
from depot.values import Outcome

BURST_SHARE = 1 / 3
"""Of the writes of an hour this share may go at once, the others come back evenly: nobody waits long for its next one."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Times in depot seconds, shares of a whole. ``margin_share`` of the site limit is never planned on. ``pace``:
    how much longer the site's meter may take where depot time runs faster than machines answer (the demo). ``reserve_soc``:
    state of charge below which no vehicle gives anything."""

    period_s: float = 1.0
    life_s: float = 180.0
    refresh_s: float = 90.0
    margin_share: float = 0.01
    max_writes_per_hour: int = 12
    min_change_s: float = 30.0
    overdue_s: float = 1.0
    start_backoff_s: float = 60.0
    unplanned_grace_s: float = 120.0
    reading_every_s: float = 3.0
    stop_patience_s: float = 60.0
    pace: float = 1.0
    reserve_soc: float = 0.3
    pickup: PickupSettings = field(default_factory=PickupSettings)
    comeback: ComebackSettings = field(default_factory=ComebackSettings)


@dataclass(slots=True)
class Traffic:
    """One per connector. ``written``: how many writes were not earned back yet, at ``changed_s``. ``resend``: the level
    is to be sent again whatever holds. ``pressed``: its vehicle has no time left to wait in. ``default_w``: the default that
    it was last told."""

    calls: int = 0
    written: float = 0.0
    changed_s: float = -math.inf
    retry_s: float = -math.inf
    failures: int = 0
    asked_reading_s: float = -math.inf
    start_after_s: float = -math.inf
    start_failures: int = 0
    stopping_since_s: float | None = None
    resend: bool = False
    pressed: bool = False
    default_w: int | None = None

    def count(self, settings: LoopSettings, now_s: float) -> None:
        """A level was written that is not the one before, and that nothing urgent asked for."""
        self.written = self._owed(settings, now_s) + 1.0
        self.changed_s = now_s

    def left(self, settings: LoopSettings, now_s: float) -> float:
        """Writes that are left at this moment; in no hour are more than ``max_writes_per_hour`` used."""
        return _burst(settings) - self._owed(settings, now_s)

    def quota(self, settings: LoopSettings, now_s: float, *, paused: bool) -> bool:
        """Whether a change that nothing urgent asks for may go. Who is paused needs one write to be let go again; a
        running session is only adjusted while enough of them are left for that."""
        if now_s - self.changed_s < settings.min_change_s:
            return False
        needed = 1.0 if paused else 2.0 if self.pressed else 3.0
        return self.left(settings, now_s) >= min(needed, _burst(settings))

    def _owed(self, settings: LoopSettings, now_s: float) -> float:
        if self.written == 0.0:
            return 0.0
        earned = (now_s - self.changed_s) * settings.max_writes_per_hour * (1.0 - BURST_SHARE) / 3600.0
        return max(0.0, self.written - earned)

    def renewal_due(self, grant: Grant, settings: LoopSettings, now_s: float) -> bool:
        """Whether the level that was told is to be sent once more, so that it does not expire."""
        if self.resend or grant.confirmed_w != grant.told_w:
            return True
        if grant.told_w == grant.default_w:
            return False  # what it falls to is what it has
        return grant.confirmed_until_s - EXPIRY_SKEW_S - now_s <= settings.life_s - settings.refresh_s

    def overdue(self, grant: Grant, settings: LoopSettings, now_s: float, *, bound_w: int) -> bool:
        """Whether others must make room for it: told to come down, or to stop, and not seen to."""
        if grant.all_or_nothing:
            return self.stopping_since_s is not None and now_s - self.stopping_since_s > settings.overdue_s
        return grant.overdue(now_s, bound_w=bound_w, patience_s=settings.overdue_s)

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


def _burst(settings: LoopSettings) -> float:
    return max(1.0, settings.max_writes_per_hour * BURST_SHARE)
