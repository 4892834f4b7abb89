"""Limits in VA as limits in W: the contract and the transformer carry apparent power, chargers are told real power.

    newest readings of the connection-point meter (P, Q), limit in VA --allowed_w()--> the most real power that keeps it, W

At the limit S the import P may be as large as P² + Q² ≤ S² allows. Q is measured; what the load gains until then may bring
reactive power of its own, taken at the worst power factor that the depot states. So with Q₀, P₀ as measured and
t = tan(arccos(worst)), the answer solves P² + (|Q₀| + t·(P − P₀))² = S². Where the site is over S already, taking load away is
not counted on to take reactive power away with it: P = √(S² − Q₀²).

Using the measured power factor itself would be wrong in both directions: at night a small load of poor power factor would halve
the limit, although hundreds of kW of chargers near 1 follow it; and a good one says nothing of what comes. Of the readings of the
last minute the least counts, in steps of half a per cent: no chatter. Nothing measured for a minute, or a reactive power that
cannot be (above 0.87 S: a scale or a sign set wrong): the worst power factor of the whole load. Never above S.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from depot.readings import SiteReading
from depot.registry import DepotSpec
from depot.values import Limit, LimitSource, ScopeKind

WINDOW: Final = timedelta(seconds=60)
STEP: Final = 0.005
BELIEVED: Final = 0.87
"""Share of a limit above which a measured reactive power is not believed: a power factor of less than 0.5 at the limit."""

_LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def reactive_var(reading: SiteReading) -> float | None:
    """Size of the reactive power, var, from whatever of it the meter tells; None: nothing."""
    if reading.reactive_var is not None:
        return abs(float(reading.reactive_var))
    if reading.apparent_va is not None:
        return math.sqrt(max(0.0, float(reading.apparent_va) ** 2 - float(reading.power_w) ** 2))
    if reading.power_factor is not None and 0 < abs(reading.power_factor) <= 1:
        return abs(reading.power_w) * math.tan(math.acos(abs(reading.power_factor)))
    return None


def allowed_w(limit_va: int, *, power_w: float, reactive: float, worst: float) -> float:
    """The most import that keeps ``limit_va``, W; see the module."""
    power_w = max(0.0, power_w)
    if reactive > BELIEVED * limit_va:
        return limit_va * worst
    if power_w**2 + reactive**2 >= limit_va**2:
        return math.sqrt(limit_va**2 - reactive**2)
    t = math.tan(math.acos(worst))
    c = reactive - t * power_w
    root = t**2 * c**2 - (1 + t**2) * (c**2 - limit_va**2)
    return (math.sqrt(max(0.0, root)) - t * c) / (1 + t**2)


class Apparent:
    """Keeps the readings of the last minute. Without limits in VA it does nothing."""

    def __init__(self, spec: DepotSpec) -> None:
        self._worst = spec.worst_power_factor
        built = (("contract-va", spec.contract_va, LimitSource.CONTRACT, "contract"),)
        self._built = (*built, ("transformer", spec.transformer_va, LimitSource.RATING, "transformer"))
        self._seen: deque[tuple[datetime, float, float]] = deque()

    def limits(self, reading: SiteReading | None, now: datetime) -> Sequence[Limit]:
        """The site's limits that were given in VA, as W of this moment."""
        if not any(limit_va for _, limit_va, _, _ in self._built):
            return ()
        self._take(reading, now)
        out = []
        for name, limit_va, source, who in self._built:
            if limit_va:
                watts, how = self._watts(limit_va)
                reason = f"{limit_va / 1000:.0f} kVA {how}"
                out.append(Limit(name, ScopeKind.SITE, watts, source, _LONG_AGO, set_by=who, reason=reason))
        return out

    def _take(self, reading: SiteReading | None, now: datetime) -> None:
        if reading is not None and (not self._seen or self._seen[-1][0] < reading.at <= now):
            reactive = reactive_var(reading)
            if reactive is not None:
                self._seen.append((reading.at, float(reading.power_w), reactive))
        while self._seen and now - self._seen[0][0] > WINDOW:
            self._seen.popleft()

    def _watts(self, limit_va: int) -> tuple[int, str]:
        if not self._seen:
            return math.floor(limit_va * self._worst), f"at the worst power factor, {self._worst:g}"
        least = min(allowed_w(limit_va, power_w=p, reactive=q, worst=self._worst) for _, p, q in self._seen)
        step = max(1.0, limit_va * STEP)
        return min(limit_va, math.floor(math.floor(least / step) * step)), "with the measured reactive power"
