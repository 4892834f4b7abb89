"""Cycles that are left where cells cross hundredths of health: lives kept apart, the teaching nested inside of what is taught.

Held-out cells in five folds; of each fold's taught cells alone everything is chosen (prior, trees, shares, widths). Beside it what needs no
model: the median of the taught cells at the same health, and a straight line through the last loss. Used by :mod:`benchmarks.rul`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bms_bridge.life.crossings import Cuts, seen_at
from bms_bridge.life.history import PLAIN_DEVIATION, Track, read_histories
from bms_bridge.life.judging import cuts_to, figures
from bms_bridge.life.remaining import Left, LifeModel, remaining
from bms_bridge.life.teaching import Effort, teach

Floats = NDArray[np.float64]
GOALS = {"hust": 41.0, "tju": 38.0, "mit_matr": 101.0}
"""Mean miss of a forest in cycles, on other cells of the same sets: what is to be beaten."""
ENDS = {"hust": (0.802, 0.95), "tju": (0.80, 0.95), "mit_matr": (0.84, 0.97)}
"""End of life, and the highest health at which is asked. HUST's series end between 80.0 and 80.2 %, MATR's near 82 to 84 %."""
FOLDS = 5
BLURS = {"hust": (0.01, 0.02)}
"""Health as a depot knows it: estimated each fifty cycles, with such a deviation."""
BLUR_EVERY = 50
EFFORT = Effort(trees=100, folds=3, groups=4)


def measured(data: Path, *, by_group: bool) -> dict[str, dict[str, Any]]:
    """Figures of each data set that is there, folds of cells; ``by_group``: also whole groups (batches, or conditions of test) kept
    apart."""
    found: dict[str, dict[str, Any]] = {}
    for kind, (end, highest) in ENDS.items():
        file = next((at for at in (data / "battery" / kind / f"{kind}.parquet", data / kind / f"{kind}.parquet") if at.is_file()), None)
        if file is None:
            continue
        tracks, _ = read_histories(file)
        order = np.random.default_rng(7).permutation(len(tracks))
        folds = [np.sort(order[fold::FOLDS]) for fold in range(FOLDS)]
        found |= _judged(kind, tracks, folds, end, highest, "other cells")
        groups = sorted({track.group for track in tracks})
        if by_group and len(groups) > 1:
            whole = [np.flatnonzero([track.group == name for track in tracks]) for name in groups]
            found |= _judged(kind, tracks, whole, end, highest, "other groups")
    return found


def _judged(
    kind: str, tracks: Sequence[Track], folds: Sequence[NDArray[np.intp]], end: float, highest: float, name: str
) -> dict[str, dict[str, Any]]:
    cuts = cuts_to(tracks, end, highest)
    owner = cuts.lives[cuts.which]
    size = len(owner)
    said = {part: np.full((size, 1), np.nan) for part in ("p10", "p50", "p90")}
    blurred = {blur: {part: np.full((size, 1), np.nan) for part in said} for blur in BLURS.get(kind, ()) if name == "other cells"}
    rng = np.random.default_rng(5)
    median, line, filter_alone = np.full(size, np.nan), np.full(size, np.nan), np.full(size, np.nan)
    for kept in folds:
        rows = np.flatnonzero(np.isin(owner, kept))
        if not len(rows):
            continue
        rest = [track for place, track in enumerate(tracks) if place not in set(kept.tolist())]
        model = teach(kind, rest, effort=EFFORT)
        parts = [cuts.parts[cuts.which[row]] for row in rows]
        left = remaining(model, parts, [end])
        for part, values in said.items():
            values[rows] = getattr(left, part)
        for blur, its in blurred.items():
            left = remaining(model, [_blurred(part, blur, rng) for part in parts], [end])
            for part, values in its.items():
                values[rows] = getattr(left, part)
        filter_alone[rows] = remaining(_without_trees(model), parts, [end]).p50[:, 0]
        median[rows] = _median_of(cuts_to(rest, end, highest), parts)
        line[rows] = [float(np.exp(seen_at(part, [end])[1][0])) for part in parts]
    row = figures(cuts, _left(said), tracks) | {
        "filter_alone": _mean_by(owner, np.abs(filter_alone - cuts.cycles)),
        "median": _mean_by(owner, np.abs(median - cuts.cycles)),
        "straight_line": _mean_by(owner, np.abs(line - cuts.cycles)),
    }
    more = {f"{kind}, estimates ± {blur:.0%} each {BLUR_EVERY} cycles": figures(cuts, _left(its), tracks) for blur, its in blurred.items()}
    return {f"{kind}, {name}": row} | more


def _left(said: dict[str, Floats]) -> Left:
    size = len(said["p50"])
    return Left(said["p10"], said["p50"], said["p90"], np.zeros((size, 1), dtype=np.int64), np.zeros(size))


def _blurred(track: Track, blur: float, rng: np.random.Generator) -> Track:
    chosen = np.unique(np.r_[np.arange(0, len(track.cycles), BLUR_EVERY), len(track.cycles) - 1])
    soh = track.soh[chosen] + rng.normal(0, blur, len(chosen))
    deviation = np.full(len(chosen), float(np.hypot(blur, PLAIN_DEVIATION)))
    return replace(track, cycles=track.cycles[chosen], soh=soh, deviation=deviation, years=track.years[chosen])


def _without_trees(model: LifeModel) -> LifeModel:
    return replace(model, own=replace(model.own, trees=0.0), other=replace(model.other, trees=0.0))


def _median_of(taught: Cuts, parts: Sequence[Track]) -> Floats:
    """The median of what taught cells had left at the nearest health."""
    health = np.array([taught.parts[cut].soh.min() for cut in taught.which])
    told = [taught.cycles[np.abs(health - part.soh.min()) < 0.006] for part in parts]
    return np.array([float(np.median(cycles)) if len(cycles) else float(np.median(taught.cycles)) for cycles in told])


def _mean_by(owner: NDArray[np.intp], values: Floats) -> float:
    known = np.unique(owner)
    return float(np.mean(np.bincount(owner, weights=values)[known] / np.bincount(owner)[known]))
