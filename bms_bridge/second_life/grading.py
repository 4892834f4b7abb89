"""The grade of a pack and of its modules, from its cells: a band with an interval, or "test required"; and what rules a second life out.

Cells in series give what the weakest gives, so a module's health is its weakest cell's, and a pack's its weakest module's: drawn many
times from the cells' own intervals. Where the 90 % interval touches two bands, a test is required. Bands and cut-offs stand in the
assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.second_life.assumptions import Application, Assumptions
from bms_bridge.second_life.retired import Cell, Retired

DRAWS: Final = 400
TEST_REQUIRED: Final = "test required"
RECYCLE: Final = "recycling"
BANDS: Final = (RECYCLE, "backup at low rate", "stationary, daily", "vehicle again")
KNEE_RATIO: Final = 2.0
"""Fade of the last year to the mean before from which the bend counts as passed; ours."""

OUTLIER_SD: Final = 3.0
"""Of its own deviations from the middle: from here on, and wholly at one more, a cell's estimate is believed as it stands."""

_SAFETY = ("thermal", "runaway", "short", "collapse", "insulation", "smoke", "temperature", "heat", "rise")


@dataclass(frozen=True, slots=True)
class Part:
    """A module or the pack. Health: share of nominal that it gives, P5 and P95; ``mean``: of its cells; ``spread``: their standard
    deviation beyond what their own intervals explain; ``grade``: of :data:`BANDS`, or :data:`TEST_REQUIRED`; ``likeliest``: band."""

    name: str
    cells: int
    soh: float
    low: float
    high: float
    mean: float
    spread: float
    resistance_ratio: float | None
    grade: str
    likeliest: str


@dataclass(frozen=True, slots=True)
class Graded:
    """``pack`` None: no health is known. ``ruled_out``: why there is no second life at all; ``inspect``: what a person must look at first;
    ``notes``: what else matters. ``knee``: passed; None: not known. ``better_apart``: modules that a sorting would save."""

    pack: Part | None
    modules: tuple[Part, ...]
    ruled_out: tuple[str, ...]
    inspect: tuple[str, ...]
    notes: tuple[str, ...]
    knee: bool | None
    completeness: float
    missing: tuple[str, ...]
    better_apart: tuple[str, ...]

    @property
    def grade(self) -> str:
        """In a word."""
        if self.ruled_out:
            return RECYCLE
        if self.pack is None or self.inspect:
            return TEST_REQUIRED
        return self.pack.grade


def graded(pack: Retired, given: Assumptions) -> Graded:
    """The grade of a pack."""
    limits = {name: limit.value for name, limit in given.limits.items()}
    edges = (limits["backup_soh"], limits["daily_soh"], limits["vehicle_soh"])
    names = sorted({cell.module for cell in pack.cells})
    chance = np.random.default_rng(20)
    shared = chance.standard_normal(DRAWS)
    drawn = {name: _weakest([cell for cell in pack.cells if cell.module == name], pack.cells, shared, chance) for name in names}
    incomplete = pack.completeness < limits["completeness"]
    modules = tuple(_part(name, [cell for cell in pack.cells if cell.module == name], drawn[name], edges, incomplete) for name in names)
    whole: Part | None = None
    if pack.cells:
        whole = _part("pack", list(pack.cells), np.min(list(drawn.values()), axis=0), edges, incomplete)
    elif pack.soh is not None:
        draws = pack.soh + pack.soh_sd * chance.standard_normal(DRAWS)
        cell = Cell("", "pack", pack.soh, pack.soh_sd, pack.resistance_ratio)
        whole = _part("pack", [cell], draws, edges, incomplete)
    if whole is not None and whole.resistance_ratio is None:
        whole = replace(whole, resistance_ratio=pack.resistance_ratio)
    knee = None if pack.slope_ratio is None else pack.slope_ratio >= KNEE_RATIO
    ruled_out, inspect, notes = _flags(pack, whole, limits, knee)
    apart = (
        tuple(part.name for part in modules if whole is not None and len(modules) > 1 and part.low > whole.high) if not ruled_out else ()
    )
    if whole is not None and whole.spread > limits["cell_spread"]:
        notes.append(f"cells differ by {whole.spread:.1%} (standard deviation): sort the modules before reuse")
    if incomplete:
        notes.append(f"{pack.completeness:.0%} of the data is there, {limits['completeness']:.0%} is needed for a grade without a test")
    return Graded(whole, modules, tuple(ruled_out), tuple(inspect), tuple(notes), knee, pack.completeness, pack.missing, apart)


def fits(pack: Retired, found: Graded, application: Application) -> str:
    """Why an application is not for this pack; "": it is, or may be once a test is passed."""
    if found.ruled_out:
        return found.ruled_out[0]
    if found.pack is None:
        return "its health is not known"
    if found.pack.high < application.least_soh:
        return f"needs {application.least_soh:.0%} health; at most {found.pack.high:.1%} is likely"
    if found.knee and application.least_soh >= 0.7:
        return "it fades faster than before: past its bend no daily cycling"
    if pack.rated_discharge_c is not None:
        able = pack.rated_discharge_c / max(found.pack.resistance_ratio or 1.0, 1.0)
        if able < application.discharge_c:
            return f"gives {able:.2g} capacities an hour, {application.discharge_c:g} are asked"
    return ""


def _flags(pack: Retired, whole: Part | None, limits: dict[str, float], knee: bool | None) -> tuple[list[str], list[str], list[str]]:
    ruled_out, inspect, notes = list[str](), list[str](), list[str]()
    if whole is not None and whole.high < limits["backup_soh"]:
        ruled_out.append(f"its weakest cell has at most {whole.high:.0%} of its capacity, {limits['backup_soh']:.0%} is the least")
    ratio = pack.resistance_ratio if whole is None else whole.resistance_ratio
    own = ratio == pack.resistance_ratio
    low = pack.resistance_low if own and pack.resistance_low is not None else ratio
    high = pack.resistance_high if own and pack.resistance_high is not None else ratio
    if low is not None and high is not None and high >= limits["resistance_ratio"]:
        if low >= limits["resistance_ratio"]:
            ruled_out.append(f"its resistance is {ratio:.1f} times a new one's, {limits['resistance_ratio']:g} is the end")
        elif not pack.inspected:
            inspect.append(f"its resistance is {low:.1f} to {high:.1f} times a new one's: have it measured")
    if pack.hottest_c is not None and pack.hottest_c >= limits["ruin_c"]:
        ruled_out.append(f"it was {pack.hottest_c:.0f} °C hot; from {limits['ruin_c']:.0f} °C cells are damaged inside")
    elif pack.hottest_c is not None and pack.hottest_c >= limits["hot_c"] and not pack.inspected:
        inspect.append(f"it was {pack.hottest_c:.0f} °C hot: have it inspected")
    if (
        pack.self_discharge_per_month is not None
        and pack.self_discharge_per_month > limits["self_discharge_per_month"]
        and not pack.inspected
    ):
        inspect.append(f"it loses {pack.self_discharge_per_month:.0%} a month at rest: look for a leak inside")
    unsafe = {name: count for name, count in pack.causes.items() if any(word in name.lower() for word in _SAFETY)}
    if unsafe and not pack.inspected:
        told = ", ".join(f"{name} ({count})" for name, count in sorted(unsafe.items()))
        inspect.append(f"it was tripped for {told}: have it inspected")
    elif pack.trips:
        notes.append("it was tripped once" if pack.trips == 1 else f"it was tripped {pack.trips} times")
    if knee:
        notes.append(f"it fades {pack.slope_ratio:.1f} times as fast as before: past its bend")
    if pack.seen_share is not None and pack.seen_share < 0.5:
        notes.append(f"{pack.seen_share:.0%} of its life was seen; the record of abuse is as thin")
    return ruled_out, inspect, notes


def _weakest(
    cells: list[Cell], everybody: tuple[Cell, ...], shared: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.float64]:
    """Draws of the weakest cell's health. Estimates scatter more than cells do: each is drawn towards the pack's middle as far as its own
    interval explains the scatter, but one that stands alone counts as it is; half of an estimate's variance is shared by all (ours)."""
    of_all = np.array([cell.soh for cell in everybody])
    noise = float(np.mean(np.square([cell.sd for cell in everybody])))
    between = max(float(np.var(of_all, ddof=1)) - noise, 1e-8) if len(everybody) > 1 else 1e8
    soh, sd = np.array([cell.soh for cell in cells]), np.array([cell.sd for cell in cells])
    middle = float(np.median(of_all))
    alone = np.clip(np.abs(soh - middle) / sd - OUTLIER_SD, 0.0, 1.0)
    weight = np.maximum(between / (between + sd * sd), alone)
    centre, own = middle + weight * (soh - middle), np.sqrt(weight / 2) * sd
    worst: NDArray[np.float64] = np.full(DRAWS, np.inf)
    for begin in range(0, len(cells), 500):
        part = slice(begin, begin + 500)
        draws = centre[part] + own[part] * chance.standard_normal((DRAWS, len(centre[part])))
        worst = np.minimum(worst, draws.min(axis=1))
    found: NDArray[np.float64] = worst + np.sqrt(noise / 2) * shared
    return found


def _part(name: str, cells: list[Cell], draws: NDArray[np.float64], edges: tuple[float, ...], incomplete: bool) -> Part:
    soh = np.array([cell.soh for cell in cells])
    low, mid, high = (float(value) for value in np.clip(np.quantile(draws, (0.05, 0.5, 0.95)), 0.0, 1.2))
    noise = float(np.mean(np.square([cell.sd for cell in cells])))
    spread = float(np.sqrt(max(float(np.var(soh, ddof=1)) - noise, 0.0))) if len(cells) > 1 else 0.0
    ratios = [cell.resistance_ratio for cell in cells if cell.resistance_ratio is not None]
    bands = np.digitize([low, mid, high], edges)
    grade = BANDS[bands[1]] if bands[0] == bands[2] and not incomplete else TEST_REQUIRED
    return Part(name, len(cells), mid, low, high, float(soh.mean()), spread, max(ratios, default=None), grade, BANDS[bands[1]])
