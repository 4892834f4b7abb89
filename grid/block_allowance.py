"""What may be drawn now so that the running demand block's mean stays under a limit, whatever its clock's error.

    readings --> Trail (energy over time) --> allowed_w(trail, limit, now, error) --> W

A spike early in a block may be repaid late in it, and what was not used early may be used late: for limits on the block's
average only, never for instant ones. When the billing meter's block begins is known to ± ``error_s``, so the allowance is
the least over the alignments within it. Who draws no more than the allowance at every moment has no block above the limit
under any of these alignments. Pure; times in seconds of one axis.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from grid.demand import LONGEST_HOLD_S

ALIGNMENTS = 7
"""So many beginnings of the block are looked at within the clock's error, both ends among them."""


@dataclass(slots=True)
class Trail:
    """Energy drawn until each reading (import only), kept for ``keep_s``. Feed :meth:`add` with readings as they come."""

    keep_s: float
    _at_s: list[float] = field(default_factory=list)
    _energy_ws: list[float] = field(default_factory=list)
    _measured_s: list[float] = field(default_factory=list)
    _power_w: float = 0.0

    def add(self, at_s: float, power_w: float) -> None:
        """A reading: the power before it held until now, but for :data:`~grid.demand.LONGEST_HOLD_S` at most."""
        if self._at_s and at_s <= self._at_s[-1]:
            return
        energy, measured = (0.0, 0.0) if not self._at_s else (self._energy_ws[-1], self._measured_s[-1])
        if self._at_s:
            held_s = min(at_s - self._at_s[-1], LONGEST_HOLD_S)
            energy, measured = energy + self._power_w * held_s, measured + held_s
            if at_s - self._at_s[-1] > held_s:
                self._put(self._at_s[-1] + held_s, energy, measured)
        self._put(at_s, energy, measured)
        self._power_w = max(0.0, power_w)
        old = bisect_left(self._at_s, at_s - self.keep_s)
        if old > len(self._at_s) // 2:
            for kept in (self._at_s, self._energy_ws, self._measured_s):
                del kept[: old - 1]

    def between(self, start_s: float, stop_s: float) -> tuple[float, float]:
        """(Ws drawn, seconds measured) in [start, stop); the newest power is held until ``stop_s``."""
        first, last = self._until(start_s), self._until(stop_s)
        return last[0] - first[0], last[1] - first[1]

    def _put(self, at_s: float, energy_ws: float, measured_s: float) -> None:
        self._at_s.append(at_s)
        self._energy_ws.append(energy_ws)
        self._measured_s.append(measured_s)

    def _until(self, at_s: float) -> tuple[float, float]:
        if not self._at_s or at_s <= self._at_s[0]:
            return (self._energy_ws[0], self._measured_s[0]) if self._at_s else (0.0, 0.0)
        k = bisect_right(self._at_s, at_s) - 1
        if k == len(self._at_s) - 1:
            held_s = min(at_s - self._at_s[k], LONGEST_HOLD_S)
            return self._energy_ws[k] + self._power_w * held_s, self._measured_s[k] + held_s
        share = (at_s - self._at_s[k]) / (self._at_s[k + 1] - self._at_s[k])
        energy = self._energy_ws[k] + share * (self._energy_ws[k + 1] - self._energy_ws[k])
        return energy, self._measured_s[k] + share * (self._measured_s[k + 1] - self._measured_s[k])


def allowed_w(trail: Trail, limit_w: float, *, now_s: float, begins_s: float, length_s: float, error_s: float) -> int:
    """The constant power until the block's end with which its mean is at most ``limit_w`` (W, or VA of a trail in VA), at
    least 0. ``begins_s``: where a block begins by the meter's clock as it is known, ``error_s``: how far that may be off.

    0: not even a standstill keeps the limit, or just so. What was not measured counts as the limit, or as the mean so far where
    that is higher: nobody is given what was not seen to be left.
    """
    return max(0, math.floor(min(_left_w(trail, limit_w, now_s, begins_s + shift, length_s) for shift in _shifts(error_s))))


def mean_w(trail: Trail, *, now_s: float, begins_s: float, length_s: float, error_s: float) -> float:
    """The highest mean that a block which runs at ``now_s`` reaches if nothing is drawn any more."""
    means = []
    for shift in _shifts(error_s):
        means.append(trail.between(_start_s(now_s, begins_s + shift, length_s), now_s)[0] / length_s)
    return max(means)


def _start_s(now_s: float, begins_s: float, length_s: float) -> float:
    """Where the block that runs at ``now_s`` began; one that is over but for a rounding is over."""
    return begins_s + math.floor((now_s - begins_s) / length_s + 1e-9) * length_s


def _left_w(trail: Trail, limit_w: float, now_s: float, begins_s: float, length_s: float) -> float:
    start_s = _start_s(now_s, begins_s, length_s)
    energy_ws, measured_s = trail.between(start_s, now_s)
    missing_s = max(0.0, now_s - start_s - measured_s)
    seen_w = energy_ws / measured_s if measured_s > 0 else 0.0
    return (limit_w * length_s - energy_ws - missing_s * max(limit_w, seen_w)) / (start_s + length_s - now_s)


def _shifts(error_s: float) -> tuple[float, ...]:
    if error_s <= 0:
        return (0.0,)
    return tuple(error_s * (2 * k / (ALIGNMENTS - 1) - 1) for k in range(ALIGNMENTS))
