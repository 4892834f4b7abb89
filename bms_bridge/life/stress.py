"""How much faster packs fade when they are warmer or charged faster, as measured lives tell it: by condition, and as two slopes.

    tracks with °C and rate --loss after n cycles, cycles to a health--> Conditions, and d ln(loss)/d °C, d ln(loss)/d ln(rate)

There is no one answer: what is lost early and how long it lasts can point in different directions (cells that plate when cold lose more at
25 °C than at 45 °C). So both are told, with how many cells reached the health: the median of those that did is no median of all. Slopes are
of what is lost early, within one make of cell; intervals (90 %) draw cells anew. A slope that nothing varies for is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import DataRefused
from bms_bridge.life.crossings import reached
from bms_bridge.life.fade import Floats
from bms_bridge.life.history import Track

DRAWS = 400
LEAST_LOSS = 1e-3
LEAST_CELLS = 6
FIRST_ROWS = 3


@dataclass(frozen=True, slots=True)
class Condition:
    """Cells of one make under one use. ``loss``: median share of nominal lost since new after the asked cycles (NaN: none went so far),
    and the
    least and the most; ``cycles_to``: median of those that ``reached`` the asked health (NaN: none)."""

    make: str
    temp_c: float
    rate_c: float
    cells: int
    loss: float
    loss_least: float
    loss_most: float
    cycles_to: float
    reached: int


@dataclass(frozen=True, slots=True)
class Slope:
    """What is lost early is so many times as much: ``times``, with a 90 % interval; ``cells`` it rests on."""

    make: str
    per: str
    times: float
    low: float
    high: float
    cells: int


def loss_after(track: Track, cycles: float) -> float:
    """Share of nominal lost since its first rows after so many cycles; NaN: it did not go so far."""
    if track.cycles[-1] < cycles:
        return float("nan")
    return float(np.median(track.soh[:FIRST_ROWS]) - np.interp(cycles, track.cycles, track.soh))


def conditions(tracks: Sequence[Track], *, cycles: float, to: float) -> list[Condition]:
    """One for each make, temperature and rate, in that order."""
    found = []
    keys = sorted({(track.make, track.temp_c, track.rate_c) for track in tracks}, key=lambda key: tuple(map(str, key)))
    for make, temp_c, rate_c in keys:
        own = [t for t in tracks if t.make == make and _same(t.temp_c, temp_c) and _same(t.rate_c, rate_c)]
        lost = np.array([loss_after(track, cycles) for track in own])
        lost = lost[np.isfinite(lost)]
        ends = np.array([float(reached(track, np.array([to]))[0]) for track in own])
        ends = ends[np.isfinite(ends)]
        spread = (float(np.median(lost)), float(lost.min()), float(lost.max())) if len(lost) else (float("nan"),) * 3
        found.append(Condition(make, temp_c, rate_c, len(own), *spread, float(np.median(ends)) if len(ends) else float("nan"), len(ends)))
    return _once(found)


def slopes(tracks: Sequence[Track], *, cycles: float, seed: int = 0) -> list[Slope]:
    """For each make what 10 °C more and twice the rate do to the loss after ``cycles``. DataRefused: no make has enough cells that went
    so far."""
    rng = np.random.default_rng(seed)
    found = []
    for make in sorted({track.make for track in tracks}):
        own = [track for track in tracks if track.make == make]
        lost = np.array([loss_after(track, cycles) for track in own])
        warm, rate = np.array([track.temp_c for track in own]), np.array([track.rate_c for track in own])
        names = [
            name for name, column in (("10 °C more", warm), ("twice the rate", rate)) if len(np.unique(column[np.isfinite(column)])) > 1
        ]
        columns = {"10 °C more": (warm - 25.0) / 10.0, "twice the rate": np.log2(np.where(rate > 0, rate, np.nan))}
        table = np.column_stack([np.ones(len(own)), *(columns[name] for name in names)])
        keep = np.isfinite(lost) & np.isfinite(table).all(axis=1)
        if not names or keep.sum() < LEAST_CELLS:
            continue
        table, told = table[keep], np.log(np.maximum(lost[keep], LEAST_LOSS))
        if np.linalg.matrix_rank(table) < table.shape[1]:
            continue
        fitted = _solved(table, told)
        _, strata = np.unique(table, axis=0, return_inverse=True)
        drawn = np.array([_solved(*_again(table, told, strata, rng)) for _ in range(DRAWS)])
        for place, name in enumerate(names, start=1):
            low, high = np.quantile(drawn[:, place], [0.05, 0.95])
            found.append(Slope(make, name, float(np.exp(fitted[place])), float(np.exp(low)), float(np.exp(high)), int(keep.sum())))
    if not found:
        raise DataRefused(
            f"no make has {LEAST_CELLS} cells of different temperatures or rates that went {cycles:g} cycles: "
            "ask for fewer cycles, or add the columns T_C and rate_c"
        )
    return found


def _solved(table: Floats, told: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(table, told, rcond=None)[0], dtype=np.float64)


def _again(table: Floats, told: Floats, strata: NDArray[np.intp], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """As many cells again, drawn within each condition."""
    chosen = np.concatenate([rng.choice(np.flatnonzero(strata == one), size=int((strata == one).sum())) for one in np.unique(strata)])
    return table[chosen], told[chosen]


def _same(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))


def _once(found: list[Condition]) -> list[Condition]:
    """NaN differs from itself, so that a condition without a number would stand there for each cell."""
    seen: dict[tuple[str, str, str], Condition] = {}
    for one in found:
        seen.setdefault((one.make, f"{one.temp_c:g}", f"{one.rate_c:g}"), one)
    return list(seen.values())
