"""What a history shows at a glance: how much was lost, in how many cycles, how fast of late. And whole lives cut where they cross a health.

    Track up to now, health that is asked for --seen_at--> ten numbers for trees, and the straight line's answer

Lives are cut where they pass a health, never at a share of their life: that would tell the trees by the cycle how long it will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bms_bridge.life.fade import Floats
from bms_bridge.life.history import Track

Index = NDArray[np.intp]

FEATURES = 12
LEAST_LOSS = 0.01
"""A pack that has lost less shows nothing yet."""
MOST_DEVIATION = 0.006
"""Health that is known worse than this shows nothing at a glance; the filter weighs it by its deviation."""
LEAST_ROWS = 6
LEAST_CYCLE = 10.0
LEVELS = np.round(np.arange(1.10, 0.30, -0.01), 3)
AHEAD = (0.02, 0.03, 0.05, 0.08, 0.11, 0.15, 0.20)
_PARTS, _WINDOWS = np.array([0.25, 0.5, 0.75]), np.array([0.01, 0.02, 0.04])
_LINE = 0.02


def reached(track: Track, levels: Floats) -> Floats:
    """The cycle at which the health was first at or below each of ``levels``, between two rows by a straight line; NaN: not yet."""
    least = np.minimum.accumulate(track.soh)
    at = np.searchsorted(-least, -np.asarray(levels, dtype=np.float64), side="left")
    inside = at < len(least)
    here = np.minimum(np.maximum(at, 1), len(least) - 1)
    fallen = least[here - 1] - least[here]
    share = np.minimum(np.maximum((least[here - 1] - levels) / np.where(fallen > 0, fallen, 1.0), 0.0), 1.0)
    cycle = track.cycles[here - 1] + share * (track.cycles[here] - track.cycles[here - 1])
    return np.where(inside, np.where(at == 0, track.cycles[0], cycle), np.nan)


def shows(track: Track) -> bool:
    """Whether a glance says anything."""
    if len(track.cycles) < LEAST_ROWS or track.cycles[-1] < LEAST_CYCLE or np.median(track.deviation) > MOST_DEVIATION:
        return False
    return bool(track.soh.max() - track.soh.min() >= LEAST_LOSS)


def seen_at(track: Track, targets: Sequence[float]) -> tuple[Floats, Floats]:
    """For each health that is asked for: the numbers [target, 12], and ln of the cycles that a straight line through the last loss says."""
    new, now, cycle = float(track.soh.max()), float(track.soh.min()), float(track.cycles[-1])
    lost = new - now
    parts = reached(track, new - lost * _PARTS)
    windows = reached(track, np.minimum(now + _WINDOWS, new - 1e-4))
    since = np.log(np.maximum(cycle - windows, 0.0) + 1.0)
    line_lost = max(min(_LINE, lost), 1e-3)
    pace = (max(cycle - float(windows[1]), 0.0) + 1.0) / line_lost  # cycles for each share of nominal
    shared = [np.log(cycle), now, new, lost, *np.log((np.maximum(cycle - parts, 0.0) + 1.0) / cycle), *since]
    left = np.maximum(now - np.asarray(targets, dtype=np.float64), 1e-3)
    seen = np.column_stack([np.tile(shared, (len(left), 1)), np.log(left), np.asarray(targets, dtype=np.float64)])
    return seen, np.log(np.maximum(pace * left, 1.0))


@dataclass(frozen=True, slots=True)
class Cuts:
    """Cut lives. ``parts`` [cut]: what was known; per question ``which`` (the cut), ``target`` and the ``cycles`` that it really took."""

    parts: tuple[Track, ...]
    lives: Index
    which: Index
    target: Floats
    cycles: Floats


def cut_lives(tracks: Sequence[Track], *, levels: Floats | None = None, targets: Sequence[float] | None = None) -> Cuts:
    """Each life where it crosses ``levels`` (all hundredths), asked for each of ``targets`` (some hundredths further down) that it
    reached."""
    parts: list[Track] = []
    lives: list[int] = []
    asked: list[tuple[int, float, float]] = []
    grid = LEVELS if levels is None else levels
    for place, track in enumerate(tracks):
        least = np.minimum.accumulate(track.soh)
        for level in grid:
            row = int(np.searchsorted(-least, -level, side="left"))
            if row >= len(least) or row < LEAST_ROWS or track.cycles[row] < LEAST_CYCLE or track.soh[: row + 1].max() - level < LEAST_LOSS:
                continue
            goals = np.asarray(
                [level - ahead for ahead in AHEAD] if targets is None else [t for t in targets if t <= level - AHEAD[0] + 1e-9]
            )
            found = [(goal, at) for goal, at in zip(goals, reached(track, goals), strict=True) if np.isfinite(at)]
            if not found:
                continue
            asked += [(len(parts), float(goal), float(at - track.cycles[row])) for goal, at in found]
            parts.append(track.until(row))
            lives.append(place)
    which, target, cycles = (np.array(column) for column in zip(*asked, strict=True)) if asked else (np.empty(0),) * 3
    return Cuts(tuple(parts), np.array(lives, dtype=np.intp), which.astype(np.intp), target.astype(np.float64), cycles.astype(np.float64))
