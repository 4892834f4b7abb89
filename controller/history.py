"""What the last day looked like: minute means for the chart, power and charge per session, energy and cost so far.

Readings, not facts: kept in memory (and best effort in the samples table), unknown after a loss.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from depot.values import ConnectorId

KEEP = timedelta(hours=26)
SESSION_POINTS = 400


@dataclass(frozen=True, slots=True)
class Minute:
    """Means over one clock minute, W. ``site_w`` None: no meter value in it."""

    at: datetime
    site_w: int | None
    limit_w: int
    plan_w: int | None
    background_w: int


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    seconds: float = 0.0

    def add(self, value: float, seconds: float) -> None:
        self.total += value * seconds
        self.seconds += seconds

    @property
    def mean(self) -> float | None:
        return self.total / self.seconds if self.seconds > 0 else None


@dataclass(slots=True)
class History:
    """Feed :meth:`second` about once a second. ``price(at)``: currency per kWh. ``block_min``: demand block.

    ``energy_wh`` and ``cost`` of all vehicles are counted from ``counted_since`` on and begin anew at local noon, as
    the chart does: a night is one figure.
    """

    zone: ZoneInfo
    block_min: int
    price: Callable[[datetime], float]
    minutes: deque[Minute] = field(default_factory=lambda: deque(maxlen=26 * 60))
    sessions: dict[ConnectorId, deque[tuple[datetime, int, float | None]]] = field(default_factory=dict)
    peak_w: int = 0
    energy_wh: float = 0.0
    cost: float = 0.0
    counted_since: datetime | None = None
    on_minute: Callable[[Minute], None] | None = None
    _last: datetime | None = None
    _minute: datetime | None = None
    _site: _Mean = field(default_factory=_Mean)
    _back: _Mean = field(default_factory=_Mean)
    _block_start: datetime | None = None
    _block: _Mean = field(default_factory=_Mean)
    _limit_w: int = 0
    _plan_w: int | None = None

    def second(self, now: datetime, *, site_w: int | None, charging_w: int, background_w: int, limit_w: int, plan_w: int | None) -> None:
        """One look. ``charging_w``: power of all vehicles, for energy and cost."""
        noon = self._noon(now)
        if self.counted_since is None or self.counted_since < noon:
            self.counted_since = now if self.counted_since is None else noon
            self.energy_wh = self.cost = 0.0
        elapsed = 0.0 if self._last is None else min(120.0, (now - self._last).total_seconds())
        self._last = now
        if elapsed > 0:
            self._account(now, elapsed, site_w if site_w is not None else charging_w + background_w, charging_w)
        minute = now.replace(second=0, microsecond=0)
        if self._minute is not None and minute != self._minute:
            self._close_minute()
        self._minute = minute
        if site_w is not None:
            self._site.add(site_w, max(elapsed, 0.001))
        self._back.add(background_w, max(elapsed, 0.001))
        self._limit_w, self._plan_w = limit_w, plan_w

    def _account(self, now: datetime, elapsed: float, site_w: float, charging_w: float) -> None:
        energy_wh = charging_w * elapsed / 3600.0
        self.energy_wh += energy_wh
        self.cost += energy_wh / 1000.0 * self.price(now)
        start = self.block_start(now)
        if self._block_start is not None and start != self._block_start:
            mean = self._block.mean
            if mean is not None and self._block.seconds >= 0.5 * self.block_min * 60:
                self.peak_w = max(self.peak_w, round(mean))
            self._block = _Mean()
        self._block_start = start
        self._block.add(site_w, elapsed)

    def _noon(self, now: datetime) -> datetime:
        """The last local noon."""
        local = now.astimezone(self.zone)
        noon = local.replace(hour=12, minute=0, second=0, microsecond=0)
        return (noon if local >= noon else noon - timedelta(days=1)).astimezone(now.tzinfo)

    def block_start(self, now: datetime) -> datetime:
        """Start of the clock-aligned demand block that holds ``now``."""
        local = now.astimezone(self.zone)
        return now - timedelta(minutes=local.minute % self.block_min, seconds=local.second, microseconds=local.microsecond)

    def block_expected_w(self, now: datetime, site_w: int | None) -> int | None:
        """Mean of the running demand block if power stays as it is, W."""
        if site_w is None:
            return None
        left = max(0.0, self.block_min * 60 - self._block.seconds)
        return round((self._block.total + site_w * left) / (self._block.seconds + left))

    def _close_minute(self) -> None:
        if self._minute is None:
            return
        site, back = self._site.mean, self._back.mean
        closed = Minute(self._minute, round(site) if site is not None else None, self._limit_w, self._plan_w, round(back or 0))
        self.minutes.append(closed)
        self._site, self._back = _Mean(), _Mean()
        if self.on_minute is not None:
            self.on_minute(closed)

    def session_point(self, key: ConnectorId, at: datetime, power_w: int, soc: float | None) -> None:
        """A meter value of a running session."""
        points = self.sessions.setdefault(key, deque(maxlen=SESSION_POINTS))
        if not points or (at - points[-1][0]).total_seconds() >= 20 or abs(points[-1][1] - power_w) > 500:
            points.append((at, power_w, soc))

    def session_price(self, key: ConnectorId, now: datetime) -> float:
        """Mean price of the running session's energy per kWh, weighted by power; the price now where nothing flowed."""
        points = [*((at, power_w) for at, power_w, _ in self.sessions.get(key, ())), (now, 0)]
        paid = taken = 0.0
        for (at, power_w), (end, _) in pairwise(points):
            energy = power_w * max(0.0, (end - at).total_seconds())
            taken += energy
            paid += energy * self.price(at)
        return paid / taken if taken > 0 else self.price(now)

    def session_end(self, key: ConnectorId, at: datetime) -> None:
        """The session is over: its curve falls to 0 and stays to be looked at until the next one."""
        if key in self.sessions:
            self.sessions[key].append((at, 0, None))

    def session_reset(self, key: ConnectorId) -> None:
        """A new vehicle: the old curve is another one's."""
        self.sessions.pop(key, None)
