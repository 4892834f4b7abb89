"""What one charge tells of a pack: counted health of pack, modules and cells, and the resistance of its steps. Pure.

    Samples, Charge, PackFacts --judged()--> Estimate ...        each with an interval, or with the reason why there is none

**Counted health**: charge that flowed between two rests over the difference of the charges that the voltages at those rests tell
(:func:`bms_bridge.health.soh.counted_soh`), widened by what the current sensor may be wrong. Cells in series take the same charge:
each cell's health follows from its own two voltages.

**Resistance**: change of voltage over change of current where the current steps within :data:`STEP_S`; the median of a charge's steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.estimates.charges import REST_S, Charge, Rest, counted_ah, rests
from bms_bridge.estimates.curves import RestCurve
from bms_bridge.estimates.estimate import COUNTED, REFERENCE, RESISTANCE, SOH, STEPS, ByCell, Estimate
from bms_bridge.estimates.layout import PackLayout
from bms_bridge.estimates.samples import Samples
from bms_bridge.health.soh import counted_soh
from bms_bridge.mean_cell import odd_cells

CURRENT_GAIN: Final = 0.01
CURRENT_OFFSET_C: Final = 0.002
"""How wrong a pack's current sensor may be: a share of what it says, and an offset in shares of the nominal capacity an hour."""

WIDEST: Final = 0.15
"""Half an interval of more than this share tells nobody anything: there is no estimate then."""

FELL_V: Final = 0.03
"""No charge lowers a rested cell by so much."""
_TURNED: Final = "the sign of its current is turned (charging must be positive): look at the map of its unit"

POSSIBLE: Final = (0.3, 1.25)
MOST_CELL: Final = 1.15
"""Of one cell's health: more is a wrong curve, not a good cell."""
STEP_S: Final = 15.0
STEP_C_RATE: Final = 0.1
TEST_STEP_C_RATE: Final = 0.03
"""The same in a reference test, whose steps are meant: no load of the vehicle's own is taken for one."""

TEST_STEPS: Final = 4
"""Fewer steps than this were not the test's pulses."""

VOLTAGE_STEP: Final = 0.0005
"""Resolution of a pack's voltage, share of it."""


@dataclass(frozen=True, slots=True)
class PackFacts:
    """What is known of a pack beside its samples. ``nominal_ah``: when new; ``curve``: of its cells at rest; None: nobody said."""

    layout: PackLayout | None
    nominal_ah: float | None
    curve: RestCurve | None
    chemistry: str = "unknown"
    current_gain: float = CURRENT_GAIN


def judged(samples: Samples, charge: Charge, facts: PackFacts, *, tested: bool = False) -> list[Estimate]:
    """All estimates of one charge. ``facts.nominal_ah`` and its layout must be known. ``tested``: it is the charge of a reference test:
    the same count from rest to rest, and the resistance of its pulses, under a method of their own."""
    if not tested:
        return [health(samples, charge, facts), resistance(samples, charge, facts)]
    found = [health(samples, charge, facts), resistance(samples, charge, facts, least_c=TEST_STEP_C_RATE, least_steps=TEST_STEPS)]
    return [replace(one, method=REFERENCE) for one in found]


def health(samples: Samples, charge: Charge, facts: PackFacts) -> Estimate:
    """Counted health of the pack, with modules and cells where they were told."""
    t = samples.t_s
    if facts.nominal_ah is None or facts.layout is None:
        raise ValueError("nominal capacity and layout must be known")
    nominal_ah, layout = facts.nominal_ah, facts.layout

    def none(reason: str) -> Estimate:
        return Estimate(SOH, COUNTED, float(t[charge.first]), float(t[charge.until]), None, None, None, reason)

    if facts.curve is None:
        return none(f"no curve of voltage at rest is set for {facts.chemistry} cells: add a [[health.curve]] from the maker's data sheet")
    found = rests(samples, nominal_ah, charge.begin, charge.until)
    before = [rest for rest in found if rest.at < charge.first + 1]
    after = [rest for rest in found if rest.at > charge.last]
    if not before:
        return none(_unrested(samples, charge, nominal_ah, before=True))
    if not after:
        return none(_unrested(samples, charge, nominal_ah, before=False))
    means = samples.cell_means(layout.series)
    start = min(before, key=lambda rest: float(np.nan_to_num(means[rest.at], nan=9.0)))
    end = after[-1]
    if not (math.isfinite(means[start.at]) and math.isfinite(means[end.at])):
        return none("no voltage was told at the rests around this charge")
    counted = counted_ah(samples)
    charged_ah = float(counted[end.at] - counted[start.at])
    if means[end.at] < means[start.at] - FELL_V:
        return none(f"the voltage of its cells fell over this charge (from {means[start.at]:.2f} to {means[end.at]:.2f} V): {_TURNED}")
    soc, low, high = (found[[0, 1]] for found in facts.curve.charge_at(np.array([means[start.at], means[end.at]])))
    errors = (high - low) / 2
    try:
        value, least, most = counted_soh(
            charged_ah, float(soc[0]), float(soc[1]), nominal_ah=nominal_ah, soc_error=float(min(errors.mean(), 0.99))
        )
    except ValueError:
        return none(
            f"from {soc[0]:.0%} to {soc[1]:.0%} by its voltages at rest, each up to {errors.max():.0%} wrong, tells too little: "
            "charge it from lower, or to full"
        )
    hours = float(t[end.at] - t[start.at]) / 3600.0
    wrong = facts.current_gain + CURRENT_OFFSET_C * nominal_ah * hours / max(charged_ah, 1e-9)
    least, most = least * (1 - wrong), most * (1 + wrong)
    if not POSSIBLE[0] <= value <= POSSIBLE[1]:
        return none(f"it would be {value:.0%} of what is registered: look at capacity, number of cells, and the curve in the settings")
    if (most - least) / 2 > WIDEST:
        return none(
            f"from {soc[0]:.0%} to {soc[1]:.0%} tells too little, as far as its voltages at rest can be believed (the interval would be "
            f"{least:.0%} to {most:.0%}): charge it from lower, or to full, and let it rest"
        )
    detail = {
        "soc_from": _round(soc[0]),
        "soc_to": _round(soc[1]),
        "charged_ah": round(charged_ah, 2),
        "rested_before_min": round(start.lasted_s / 60),
        "rested_after_min": round(end.lasted_s / 60),
        "current_error": _round(wrong),
    }
    more, by_cell = _cells(samples, start, end, charged_ah, facts.curve, nominal_ah, layout, wrong)
    window = (float(t[start.at]), float(t[end.at]))
    return Estimate(SOH, COUNTED, *window, _round(value), _round(least), _round(most), "", detail | more, by_cell)


def _unrested(samples: Samples, charge: Charge, nominal_ah: float, *, before: bool) -> str:
    """Why a rest is missing."""
    t = samples.t_s
    side = "before" if before else "after"
    heard_s = float(t[charge.first] - t[charge.begin]) if before else float(t[charge.until] - t[charge.last])
    if heard_s < 60.0:
        return f"it was not heard of {side} this charge: its voltage at rest is not known"
    return (
        f"it rested less than {REST_S / 60:.0f} minutes {side} this charge (heard for {heard_s / 60:.0f}): its voltage does not tell its "
        "charge yet"
    )


def _cells(
    samples: Samples, start: Rest, end: Rest, charged_ah: float, curve: RestCurve, nominal_ah: float, layout: PackLayout, wrong: float
) -> tuple[dict[str, Any], ByCell | None]:
    """Health by module, the weakest cell, how far the cells are apart, and all of them; nothing where the unit tells no cells, or others
    than registered. ``wrong``: share that the charge may be wrong."""
    if samples.cells_v.shape[1] != layout.series:
        return {}, None
    volts = samples.cells_v[[start.at, end.at]].astype(np.float64)
    odd = sorted({cell for row in volts for cell in odd_cells(row)})
    volts[:, [cell - 1 for cell in odd]] = np.nan
    soc, low, high = curve.charge_at(volts)
    window, error = soc[1] - soc[0], (high - low).sum(axis=0) / 2
    sound = np.isfinite(window) & (window > 2 * error)
    by_cell = np.where(sound, charged_ah / nominal_ah / np.where(sound, window, 1.0), np.nan)
    ends = volts[1][np.isfinite(volts[1])]
    found: dict[str, Any] = {"odd_cells": odd} if odd else {}
    every: ByCell | None = None
    if len(ends):
        charges = soc[1][np.isfinite(soc[1])]
        found |= {"spread_mv": round(float(ends.max() - ends.min()) * 1000, 1), "spread_soc": _round(charges.max() - charges.min())}
    if sound.any():
        weakest = int(np.nanargmin(by_cell))
        found |= {
            "cells_told": int(sound.sum()),
            "weakest_cell": weakest + 1,
            "weakest_soh": _round(by_cell[weakest]),
            "weakest_error": _round(by_cell[weakest] * error[weakest] / window[weakest]),
        }
        if sound.all():
            half = by_cell * (error / window + wrong)
            if (half <= WIDEST).all() and (by_cell >= POSSIBLE[0]).all() and (by_cell <= MOST_CELL).all():
                modules = tuple(layout.module_of_cell(cell) + 1 for cell in range(layout.series))
                every = ByCell(float(samples.t_s[end.at]), tuple(map(_round, by_cell)), tuple(map(_round, half)), modules)
    if layout.modules > 1:
        means = [part[np.isfinite(part)] for part in layout.by_module(by_cell)]
        found["modules"] = [_round(float(part.mean())) if len(part) else None for part in means]
        ends_by = [part[np.isfinite(part)] for part in layout.by_module(volts[1])]
        found["modules_spread_mv"] = [round(float(part.max() - part.min()) * 1000, 1) if len(part) else None for part in ends_by]
    return found, every


def resistance(samples: Samples, charge: Charge, facts: PackFacts, *, least_c: float = STEP_C_RATE, least_steps: int = 1) -> Estimate:
    """Of the pack, mΩ, from the steps of current in a charge and at its ends. ``least_c``: of a step, shares of the capacity an hour;
    ``least_steps``: fewer tell nothing."""
    assert facts.nominal_ah is not None
    first, last = max(charge.begin, charge.first - 1), min(charge.until, charge.last + 1)
    t, amps, volts = (values[first : last + 1] for values in (samples.t_s, samples.current_a, samples.voltage_v))
    step_a, step_v, lag_s = np.diff(amps), np.diff(volts), np.diff(t)
    sound = (np.abs(step_a) >= least_c * facts.nominal_ah) & (lag_s <= STEP_S) & np.isfinite(step_v)
    window = (float(t[0]), float(t[-1]))
    if not sound.any():
        reason = f"its current did not step by {least_c:g} of its capacity an hour within {STEP_S:.0f} s, as its samples tell it"
        return Estimate(RESISTANCE, STEPS, *window, None, None, None, reason)
    if int(sound.sum()) < least_steps:
        reason = f"of the test's pulses only {int(sound.sum())} steps within {STEP_S:.0f} s were told: let its unit tell every few seconds"
        return Estimate(RESISTANCE, STEPS, *window, None, None, None, reason)
    ohms = step_v[sound] / step_a[sound]
    blur = VOLTAGE_STEP * float(np.nanmedian(volts)) / float(np.abs(step_a[sound]).mean())
    value = float(np.median(ohms))
    if value < -3 * blur:
        return Estimate(RESISTANCE, STEPS, *window, None, None, None, f"its voltage falls where its current rises: {_TURNED}")
    if value <= blur:
        return Estimate(RESISTANCE, STEPS, *window, None, None, None, "its voltage hardly moved with its current: finer samples are needed")
    low, high = (float(q) for q in np.quantile(ohms, (0.05, 0.95))) if len(ohms) >= 5 else (float(ohms.min()), float(ohms.max()))
    hottest = samples.hottest_c[charge.first : charge.last + 1]
    detail = {"steps": int(sound.sum()), "lag_s": round(float(np.median(lag_s[sound])), 1)}
    if np.isfinite(hottest).any():
        detail["hottest_c"] = round(float(np.nanmedian(hottest)), 1)
    if (soc := _charge_at_steps(samples, first, sound, value, facts)) is not None:
        detail["soc"] = soc
    mid, least, most = (round(1000 * number, 3) for number in (value, max(min(low, value) - blur, 0.0), max(high, value) + blur))
    return Estimate(RESISTANCE, STEPS, *window, mid, least, most, "", detail)


def _charge_at_steps(samples: Samples, first: int, sound: NDArray[np.bool_], ohm: float, facts: PackFacts) -> float | None:
    """Median state of charge of the steps: of the voltage before each, less what its current took by this resistance; None: no curve.
    ``first``: row of the first step's beginning; ``ohm``: of the pack."""
    if facts.curve is None or facts.layout is None:
        return None
    series = facts.layout.series
    rows = first + np.flatnonzero(sound)
    at_rest = samples.cell_means(series)[rows] - samples.current_a[rows] * ohm / series
    soc = facts.curve.charge_at(at_rest)[0]
    return _round(np.nanmedian(soc)) if np.isfinite(soc).any() else None


def _round(value: float) -> float:
    return round(float(value), 4)
