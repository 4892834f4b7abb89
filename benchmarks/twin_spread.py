"""How far cells differ from the twin's tables: between makes, between treatments, between cells. What ``spread.csv`` is made from.

    cells, cell models --evidence()--> Fit per cell: factor on the table's loss, exponent; bends --learned()--> Spread by chemistry

A make counts once, however many cells were measured. The spread is that of the next make: what lies between makes, treatments of one make
and cells of one treatment, added; by Student's quantile for as few makes as there are; then multiplied so that four fifths of the cells
of each make, judged by the others, would lie within P10 to P90 (conformal by make). ``without``: makes that nothing may be learned from.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.life_table import read
from benchmarks.twin_cells import Cycled, Floats, Stored, cycled, stored
from bms_bridge.twin.ageing import PIVOT_LOSS, YEARS, ageing_of
from bms_bridge.twin.members import CYCLE_EXPONENTS, EXPONENTS, Spread

INSIDE = 0.8
"""P10 to P90."""

MODELS = {"LFP": ("LFP_250Ah_prismatic", "LFP_SonyMurata3Ah"), "NMC": ("NMC_50Ah_B1", "NMC_50Ah_B2", "NMC_75Ah_A", "NMC111_Kokam75Ah")}
"""Cell models that stand for a make each; the Sony Murata one is of the make Murata."""

_MURATA = "LFP_SonyMurata3Ah"
NORMAL = float(stats.norm.ppf((1 + INSIDE) / 2))
MOST_FACTOR = 3.0
LEAST_BEND = 1.2
LEAST_DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Fit:
    """A cell: logarithm of its loss by the table's, and its exponent."""

    make: str
    family: str
    treated: tuple[str, float, float]
    factor: float
    exponent: float


@dataclass(frozen=True, slots=True)
class Scatter:
    """Of one number in one family: its middle and the deviation of the next make's cells (normal, so wide that P10 and P90 are right)."""

    middle: float
    sigma: float


def stored_fits(cells: Sequence[Stored]) -> list[Fit]:
    """Loss over eight years by the table's; exponent less the table's."""
    out = []
    for one in cells:
        ageing = ageing_of([one.family])
        table = ((ageing.time_stress(np.array([one.temp_c]), np.array([one.soc])) * YEARS) ** ageing.time_exponent).item()
        out.append(
            Fit(
                one.make,
                one.family,
                one.treated,
                float(np.log(one.lost(YEARS) / table)),
                float(np.clip(one.power, *EXPONENTS) - ageing.time_exponent[0]),
            )
        )
    return out


def cycled_fits(cells: Sequence[Cycled]) -> list[Fit]:
    """Where a cell passes the pivot, what the table would have lost; exponent from a quarter of it to twice as far (its logarithm)."""
    out = []
    for one in cells:
        lost = 1 - one.health
        first, pivot, last = (_first(lost, times * PIVOT_LOSS) for times in (0.25, 1.0, 2.0))
        if lost[pivot] < PIVOT_LOSS / 2 or last <= first or one.cycles[last] < 1.3 * one.cycles[first]:
            continue
        at = np.geomspace(max(one.cycles[first], 1.0), one.cycles[last], 20)
        seen = np.log(np.maximum(np.interp(at, one.cycles, lost), 1e-3))
        exponent = float(np.polyfit(np.log(at), seen, 1)[0])
        ageing = ageing_of([one.family])
        table = (ageing.cycle_stress(np.array([one.temp_c]), np.array([one.c_rate]))[-1] * one.cycles[pivot]) ** ageing.cycle_exponent
        factor = float(np.log(lost[pivot] / table.item()))
        out.append(Fit(one.make, one.family, one.treated, factor, float(np.log(np.clip(exponent, *CYCLE_EXPONENTS)))))
    return out


def _first(lost: Floats, level: float) -> int:
    """Where a loss passes ``level``; its end where it never does."""
    above = lost > level
    return int(np.argmax(above)) if above.any() else len(lost) - 1


def model_fits(degradation: Path) -> tuple[list[Fit], list[Fit]]:
    """The cell models, by time (25 and 45 °C, half full) and by cycles (60 % depth)."""
    models, time, cycles = read(degradation), [], []
    with (degradation / "calendar_rates.csv").open(encoding="utf-8", newline="") as file:
        exponents = {(row["model"], float(row["T_C"]), float(row["soc"])): float(row["exponent"]) for row in csv.DictReader(file)}
    with (degradation / "cycle_rates.csv").open(encoding="utf-8", newline="") as file:
        rows = {
            (row["model"], float(row["T_C"])): row
            for row in csv.DictReader(file)
            if (row["dod"], row["c_charge"], row["soc_top"]) == ("0.6", "0.33", "0.8")
        }
    for family, names in MODELS.items():
        ageing = ageing_of([family])
        for name in names:
            make = "Murata" if name == _MURATA else name
            for temp_c in (25.0, 45.0):
                treated = (name, temp_c, 0.5)
                table = ((ageing.time_stress(np.array([temp_c]), np.array([0.5])) * YEARS) ** ageing.time_exponent).item()
                lost = YEARS * models[name].calendar[temp_c][0.5]
                power = exponents[name, temp_c, 0.5] - float(ageing.time_exponent[0])
                time.append(Fit(make, family, treated, float(np.log(lost / table)), power))
                row = {key: float(value) for key, value in rows[name, temp_c].items() if key not in ("model", "chemistry")}
                late = row["loss_8y"] - row["cal8"]
                early = row["loss_1y"] - row["cal8"] * (1 / 8) ** exponents[name, temp_c, 0.5]
                if min(late, early) <= 0:
                    continue
                own = float(np.clip(np.log(late / early) / np.log(row["efc_8y"] / row["efc_1y"]), *CYCLE_EXPONENTS))
                rate = ageing.cycle_stress(np.array([temp_c]), np.array([0.1]))[2]
                by_table = ((rate * row["efc_8y"]) ** ageing.cycle_exponent).item()
                cycles.append(Fit(make, family, treated, float(np.log(late / by_table)), float(np.log(own))))
    return time, cycles


def scatter_of(fits: Sequence[Fit], value: Callable[[Fit], float], *, without: Collection[str] = ()) -> dict[str, Scatter]:
    """By family. The conformal factor is of the makes that are left, each judged by the others."""
    known = [fit for fit in fits if fit.make not in without]
    plain = _plain(known, value)
    scores = []
    for make in {fit.make for fit in known}:
        others = _plain([fit for fit in known if fit.make != make], value)
        own = [fit for fit in known if fit.make == make and fit.family in others]
        if own:
            misses = [abs(value(fit) - others[fit.family].middle) / others[fit.family].sigma / NORMAL for fit in own]
            scores.append((np.sort(misses), _weights(own)[np.argsort(misses)]))
    factor = _conformal(scores)
    return {family: Scatter(one.middle, one.sigma * factor) for family, one in plain.items()}


def _plain(fits: Sequence[Fit], value: Callable[[Fit], float]) -> dict[str, Scatter]:
    by_family: dict[str, dict[str, dict[tuple[str, float, float], list[float]]]] = {}
    for fit in fits:
        by_family.setdefault(fit.family, {}).setdefault(fit.make, {}).setdefault(fit.treated, []).append(value(fit))
    between, treatments, cells, free, treatment_free, cell_free = 0.0, 0.0, 0.0, 0, 0, 0
    middles = {}
    for family, makes in by_family.items():
        means = []
        for treated in makes.values():
            medians = [float(np.median(values)) for values in treated.values()]
            means.append(float(np.mean(medians)))
            treatments += float(np.sum(np.square(np.array(medians) - means[-1])))
            treatment_free += len(medians) - 1
            for values, median in zip(treated.values(), medians, strict=True):
                if len(values) > 1:
                    cells += float(np.mean(np.square(np.array(values) - median)))
                    cell_free += 1
        middles[family] = (float(np.mean(means)), len(means))
        between += float(np.sum(np.square(np.array(means) - np.mean(means))))
        free += len(means) - 1
    if free < 1:
        return {}
    wide = float(stats.t.ppf((1 + INSIDE) / 2, free)) / NORMAL
    rest = treatments / max(treatment_free, 1) + cells / max(cell_free, 1)
    return {
        family: Scatter(middle, wide * float(np.sqrt(between / free * (1 + 1 / count) + rest)))
        for family, (middle, count) in middles.items()
    }


def _weights(own: Sequence[Fit]) -> Floats:
    """Treatments of a make count alike, cells of a treatment too."""
    treatments = [fit.treated for fit in own]
    counts = np.array([treatments.count(one) for one in treatments])
    return 1 / counts / len(set(treatments))


def _conformal(scores: list[tuple[Floats, Floats]]) -> float:
    """The factor, 1 at least, at which the mean share inside over makes is what it should be."""
    if not scores:
        return 1.0
    for factor in np.arange(1.0, MOST_FACTOR + 1e-9, 0.05):
        if np.mean([float(weight[miss <= factor].sum()) for miss, weight in scores]) >= INSIDE - 1e-9:
            return float(factor)
    return MOST_FACTOR


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """Everything that the spread is learned from. ``bends``: health at it, slope after by slope before; ``growth``: of resistance."""

    time: list[Fit]
    cycles: list[Fit]
    bends: list[tuple[str, str, float, float]]
    growth: dict[str, float]


def evidence(data: Path) -> Evidence:
    """Of a data folder (``degradation/``, ``battery/``)."""
    by_time, by_cycles = model_fits(data / "degradation")
    cells = cycled(data)
    bends = [(one.make, one.family, *bend) for one in cells if (bend := bend_of(one)) is not None]
    growth = {name: growth_of(data / "battery" / "joule_calendar", name) for name in MODELS}
    return Evidence(stored_fits(stored(data)) + by_time, cycled_fits(cells) + by_cycles, bends, growth)


@dataclass(frozen=True, slots=True)
class Drift:
    """Logarithm of how fast packs go on beside what their past says: its middle, what each capacity an hour of charging adds, and the
    deviation of the next make's cells."""

    middle: float = 0.0
    per_c: float = 0.0
    sigma: float = 0.0


NO_DRIFT = Drift()
DRIFT = {"time": Drift(0.523, 0.0, 0.1), "cycles": Drift(0.363, 0.581, 0.639)}
"""What benchmarks/twin_coverage.py found for all makes."""


def drift_of(paces: Mapping[str, Sequence[tuple[float, Sequence[float], float]]], *, by_rate: bool) -> Drift:
    """``paces``: of each make its treatments: rate of charging, how fast its cells went on, and how far the twin's members differ in that
    already: only what they do not is drift. Least squares, makes counting alike."""
    rate, pace, weight, rest, members = [], [], [], [], []
    for treatments in paces.values():
        for c_rate, values, own in treatments:
            members.append(own**2)
            rate.append(c_rate)
            pace.append(float(np.median(values)))
            weight.append(1 / len(treatments))
            rest.append(float(np.mean(np.square(np.array(values) - pace[-1]))))
    x, y, w = np.array(rate), np.array(pace), np.array(weight)
    sides = 2 if by_rate else 1
    matrix = np.c_[np.ones_like(x), x][:, :sides] * np.sqrt(w)[:, None]
    line = np.linalg.lstsq(matrix, y * np.sqrt(w), rcond=None)[0]
    count = len(paces)
    error = np.square(y - np.c_[np.ones_like(x), x][:, :sides] @ line)
    between = float((w * error).sum()) / count * (count + 1) / max(count - sides, 1)
    return Drift(
        float(line[0]),
        float(line[1]) if by_rate else 0.0,
        float(np.sqrt(max(between + np.mean(rest) - np.average(members, weights=w), LEAST_DRIFT**2))),
    )


def learned(known: Evidence, *, without: Collection[str] = (), drift: Mapping[str, Drift] | None = None) -> dict[str, Spread]:
    """The spread by chemistry. ``drift``: by "time" and by "cycles"; None: none."""
    by_time, by_cycles = (NO_DRIFT, NO_DRIFT) if drift is None else (drift["time"], drift["cycles"])
    time = scatter_of(known.time, lambda fit: fit.factor, without=without)
    time_exponent = scatter_of(known.time, lambda fit: fit.exponent, without=without)
    cycles = scatter_of(known.cycles, lambda fit: fit.factor, without=without)
    cycle_exponent = scatter_of(known.cycles, lambda fit: fit.exponent, without=without)
    out = {}
    for family in MODELS:
        all_bends = [bend for bend in known.bends if bend[0] not in without]
        own = [bend for bend in all_bends if bend[1] == family] or all_bends
        ratio, at = np.array([bend[3] for bend in own]), np.array([bend[2] for bend in own])
        bent = ratio > LEAST_BEND
        out[family] = Spread(
            time[family].middle,
            time[family].sigma,
            time_exponent[family].middle,
            time_exponent[family].sigma,
            cycles[family].middle,
            cycles[family].sigma,
            float(np.exp(cycle_exponent[family].middle)),
            cycle_exponent[family].sigma,
            by_time.middle,
            by_time.sigma,
            by_cycles.middle,
            by_cycles.per_c,
            by_cycles.sigma,
            float(bent.mean()),
            float(np.median(at[bent])),
            float(np.std(at[bent], ddof=1)),
            float(np.median(ratio[bent])),
            float(np.std(np.log(ratio[bent]), ddof=1)),
            known.growth[family],
        )
    return out


def bend_of(one: Cycled) -> tuple[float, float] | None:
    """Health at the bend and slope after it by slope before, of a cell that fell below 82 %: two joined lines, best of 33 places."""
    y = one.health
    if y.min() > 0.82:
        return None
    end = int(np.argmax(y <= 0.78)) if (y <= 0.78).any() else len(y) - 1
    x, y = one.cycles[: end + 1], y[: end + 1]
    if len(x) < 30:
        return None
    best, bend = np.inf, (np.nan, np.nan)
    for share in np.linspace(0.1, 0.9, 33):
        at = x[0] + share * (x[-1] - x[0])
        matrix = np.c_[np.ones_like(x), x, np.maximum(x - at, 0)]
        line = np.linalg.lstsq(matrix, y, rcond=None)[0]
        error = float(((matrix @ line - y) ** 2).sum())
        if error < best and line[1] < 0:
            best, bend = error, (float(line[0] + line[1] * at), float((line[1] + line[2]) / line[1]))
    return bend if np.isfinite(bend).all() else None


def growth_of(folder: Path, chemistry: str) -> float:
    """Median over kinds of stored cells and temperatures up to 60 °C: share of resistance gained per share of capacity lost, 5 years."""
    losses: dict[tuple[str, str, str], dict[str, float]] = {}
    for name in ("cap", "res"):
        with (folder / f"{name}_powerlaw_fits.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["Chemistry"] == chemistry and float(row["Temperature"]) <= 60:
                    key = (row["Cell_type"], row["Temperature"], row["filename"])
                    losses.setdefault(key, {})[name] = float(row["a"]) * 260 ** float(row["b"])
    groups: dict[tuple[str, str], list[float]] = {}
    for (cell, temp_c, _), both in losses.items():
        if len(both) == 2 and both["cap"] > 0:
            groups.setdefault((cell, temp_c), []).append(both["res"] / both["cap"])
    return float(np.median([np.median(values) for values in groups.values()]))
