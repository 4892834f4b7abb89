"""What the rest of the site draws, from the connection-point meter: pure bookkeeping of worst cases (invariant 9).

    site meter S, chargers' readings m_c, bounds B_c
        quiet:      background = S − Σ m_c            every m_c is younger than the last change there
        otherwise:  background ≥ S − Σ B_c            only what no charger could explain is certain
    unexplained = S − background − Σ B_c > 0          somebody draws more than it may; nobody knows behind which feeder

Rises count at once, falls after HOLD_S (the highest value of the window). No meter, or an old one: the registered worst.
Unexplained power counts on the site and on **every** feeder until meter values explain it (ADR 0006).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

STALE_S = 3.0
"""Older meter values are not believed: the registered worst background holds (invariant 9)."""

BLIND_S = 30.0
"""Without a meter value for this long the fail-safe limit holds (invariant 9)."""

HOLD_S = 90.0
"""A fall of the background is believed after this time."""

DOUBT_S = 6.0
"""A rise that chargers could explain, but that no fresh reading has explained, is believed after this time."""

NOISE_W = 300
"""Differences below this are meter noise."""


@dataclass(frozen=True, slots=True)
class Background:
    """``now_w``: to be subtracted from the site's limit. ``unexplained_w``: to be subtracted everywhere.
    ``doubt``: readings would help to tell background from chargers. ``blind``: the fail-safe limit holds."""

    now_w: int
    unexplained_w: int = 0
    doubt: bool = False
    stale: bool = False
    blind: bool = False


@dataclass(slots=True)
class BackgroundEstimator:
    """Keeps the window of estimates. ``worst_w``: the registered worst background; ``metered``: a meter exists."""

    worst_w: int
    metered: bool
    _window: deque[tuple[float, int]] = field(default_factory=deque)
    _estimate_w: int | None = None
    _doubt_since_s: float | None = None
    _started_s: float | None = None

    def update(
        self, *, now_s: float, meter_w: int | None, meter_at_s: float, measured_w: int, bound_w: int, quiet: bool
    ) -> Background:
        """One tick. ``measured_w``: Σ of the chargers' newest readings; ``bound_w``: Σ of their bounds; ``quiet``:
        every reading is younger than the last change of its charger."""
        if self._started_s is None:
            self._started_s = now_s
        if not self.metered:
            return Background(self.worst_w)
        age_s = now_s - meter_at_s if meter_w is not None else now_s - self._started_s
        if meter_w is None or age_s > STALE_S:
            return Background(self.worst_w, stale=True, blind=age_s > BLIND_S)

        certain_w = meter_w - bound_w
        likely_w = meter_w - measured_w
        before_w = self._estimate_w
        if before_w is None:
            if not quiet:  # the first moments: nothing to compare with
                return Background(max(self.worst_w, certain_w), doubt=True)
            self._push(now_s, likely_w)
        elif quiet:
            if likely_w <= before_w + NOISE_W:
                self._doubt_since_s = None
                self._push(now_s, likely_w)
            elif self._doubt_since_s is None:
                self._doubt_since_s = now_s
            elif now_s - self._doubt_since_s >= DOUBT_S:
                self._doubt_since_s = None
                self._push(now_s, likely_w)
        estimate_w = self._highest(now_s)
        self._estimate_w = estimate_w
        unexplained_w = max(0, certain_w - estimate_w)
        if unexplained_w <= NOISE_W:
            unexplained_w = 0
        doubt = unexplained_w > 0 or self._doubt_since_s is not None
        return Background(estimate_w, unexplained_w, doubt=doubt)

    def _push(self, now_s: float, watts: int) -> None:
        while self._window and self._window[-1][1] <= watts:
            self._window.pop()
        self._window.append((now_s, watts))

    def _highest(self, now_s: float) -> int:
        while len(self._window) > 1 and now_s - self._window[0][0] > HOLD_S:
            self._window.popleft()
        return self._window[0][1] if self._window else self.worst_w
