"""What the rest of the site draws, from the connection-point meter: pure bookkeeping of worst cases (invariant 9).

    site meter S, chargers' readings m_c, bounds B_c
        quiet:      background = S − Σ m_c            every m_c is younger than the last change there
        otherwise:  background ≥ S − Σ B_c            only what no charger could explain is certain
        a fall is believed only from fresh m_c: a vehicle that takes less than its last m_c looks like less background
    unexplained = S − background − Σ B_c > 0          somebody draws more than it may; nobody knows behind which feeder

Rises count at once, falls after HOLD_S (the highest value of the window). No meter, or an old one: the registered worst.
Unexplained power counts on the site and on **every** feeder until meter values explain it (ADR 0006).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

STALE_S = 3.0
"""Older meter values are not believed: the registered worst background holds, or what was seen if that was more (invariant 9)."""

BLIND_S = 30.0
"""Without a meter value for this long the fail-safe limit holds (invariant 9)."""

HOLD_S = 90.0
"""A fall of the background is believed after this time."""

DOUBT_S = 6.0
"""A rise that chargers could explain, but that no fresh reading has explained, is believed after this time."""

EXPLAIN_S = 1.5
"""Readings taken this much after a rise began decide whose it is: by then a charger's ramp is over."""

FRESH_S = 5.0
"""Chargers' meter values that are no older than this may lower the estimate."""

ASK_EVERY_S = 45.0
"""How often fresh meter values are asked for while the background seems to have fallen; twice within HOLD_S."""

FALL_W = 1000
FALL_SHARE = 0.01
"""A fall that is worth asking: so many watts, and this share of what the site draws (vehicles that taper look like one)."""

NOISE_W = 300
"""Differences below this are meter noise."""


@dataclass(frozen=True, slots=True)
class Background:
    """``now_w``: to be subtracted from the site's limit. ``unexplained_w``: to be subtracted everywhere. ``suspected_w``: to
    be subtracted from the site's limit instead, where that is more: how much more background there is if the chargers draw
    what their meters showed last. ``doubt``: readings would help to tell background from chargers. ``blind``: the fail-safe
    limit holds."""

    now_w: int
    unexplained_w: int = 0
    suspected_w: int = 0
    doubt: bool = False
    stale: bool = False
    blind: bool = False


@dataclass(slots=True)
class BackgroundEstimator:
    """Keeps the window of estimates. ``worst_w``: the registered worst background; ``metered``: a meter exists.
    ``pace``: multiplies every time of this module where depot time runs faster than machines answer (the demo)."""

    worst_w: int
    metered: bool
    pace: float = 1.0
    _window: deque[tuple[float, int]] = field(default_factory=deque)
    _estimate_w: int | None = None
    _doubt_since_s: float | None = None
    _started_s: float | None = None
    _asked_s: float | None = None
    _suspected_w: int = 0

    def update(
        self,
        *,
        now_s: float,
        meter_w: int | None,
        meter_at_s: float,
        measured_w: int,
        bound_w: int,
        quiet: bool,
        oldest_s: float = math.inf,
        sure_w: int | None = None,
        settled_w: int | None = None,
    ) -> Background:
        """One tick. ``measured_w``: Σ of the chargers' newest readings, the oldest of them taken at ``oldest_s`` (infinite:
        nobody charges); ``bound_w``: Σ of their bounds; ``quiet``: every reading is younger than the last change of its
        charger. ``sure_w``: Σ of those readings alone that surely still hold; whoever else charges is taken to draw
        nothing, so that one slow or deaf charger does not keep the estimate up for ever. ``settled_w``: Σ of the readings
        of settled chargers and of the bounds of the others."""
        if self._started_s is None:
            self._started_s = now_s
        if not self.metered:
            return Background(self.worst_w)
        age_s = now_s - meter_at_s if meter_w is not None else now_s - self._started_s
        if meter_w is None or age_s > STALE_S * self.pace:
            return Background(max(self.worst_w, self._estimate_w or 0), stale=True, blind=age_s > BLIND_S * self.pace)

        certain_w = meter_w - bound_w
        likely_w = meter_w - measured_w
        before_w = self._estimate_w
        asks = False
        if before_w is None:
            if not quiet:  # the first moments: nothing to compare with
                return Background(max(self.worst_w, certain_w), doubt=True)
            self._push(now_s, likely_w)
        elif quiet:
            if likely_w > before_w + NOISE_W:
                self._rise(now_s, likely_w, oldest_s)
            else:
                self._doubt_since_s = None
                if likely_w >= before_w or now_s - oldest_s <= FRESH_S * self.pace:
                    self._push(now_s, likely_w)
        if before_w is not None:
            if sure_w is not None and meter_w - sure_w < before_w:
                self._push(now_s, meter_w - sure_w)
            elif before_w - likely_w > max(FALL_W, FALL_SHARE * meter_w):
                asks = self._asks(now_s)
        estimate_w = self._highest()
        self._estimate_w = estimate_w
        unexplained_w = max(0, certain_w - estimate_w)
        if unexplained_w <= NOISE_W:
            unexplained_w = 0
        if unexplained_w and settled_w is not None:  # the estimate is wrong: what it lacks may be more than what is certain
            self._suspected_w = max(self._suspected_w, meter_w - settled_w - estimate_w)
        elif quiet and self._doubt_since_s is None:
            self._suspected_w = 0
        doubt = asks or unexplained_w > 0 or self._doubt_since_s is not None
        return Background(estimate_w, unexplained_w, self._suspected_w, doubt=doubt)

    def _rise(self, now_s: float, likely_w: int, oldest_s: float) -> None:
        """More than before: a charger that ramps up, or background. Readings that were taken since decide it."""
        if self._doubt_since_s is None:
            self._doubt_since_s = now_s
        elif oldest_s >= self._doubt_since_s + EXPLAIN_S * self.pace or now_s - self._doubt_since_s >= DOUBT_S * self.pace:
            self._doubt_since_s = None
            self._push(now_s, likely_w)

    def _asks(self, now_s: float) -> bool:
        if self._asked_s is not None and now_s - self._asked_s < ASK_EVERY_S:
            return False
        self._asked_s = now_s
        return True

    def _push(self, now_s: float, watts: int) -> None:
        while self._window and self._window[-1][1] <= watts:
            self._window.pop()
        self._window.append((now_s, watts))

    def _highest(self) -> int:
        while len(self._window) > 1 and self._window[-1][0] - self._window[0][0] > HOLD_S:  # seen lower that much later, not only unseen
            self._window.popleft()
        return self._window[0][1] if self._window else self.worst_w
