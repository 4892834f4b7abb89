"""Weighted lines through windows of readings, for all cells of many packs at once, and whether a step explains them as well. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health.files import Floats

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

LEAST_READINGS: Final = 6
"""In a window, and this must be spread over most of it."""

WEIGHED_SOC: Final = 0.003
"""Scatter of the state of charge at the like points from which on its influence is fitted too (cells of other capacity)."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings that tell charge, of all packs: days, states of charge and weights [u], differences [u, cells]."""

    days: Floats
    soc: Floats
    values: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class Lines:
    """Of each window and cell: the line's slope (1/d) and its standard error, what it leaves unexplained (weighted squares), and how fast
    the value goes with the state of charge (per 1.0)."""

    slope: Floats
    error: Floats
    left: Floats
    by_soc: Floats


def _gathered(readings: Readings, low: Ints, at: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Days from the weighted middle, states of charge from theirs, weights [w, r]; values [w, r, cells], NaN where there is none."""
    place = low[:, None] + np.arange(int((at - low).max()) + 1)
    inside = place <= at[:, None]
    place = np.minimum(place, at[:, None])
    weights = np.where(inside, readings.weights[place], 0.0)
    whole = weights.sum(axis=1, keepdims=True)
    days, soc = readings.days[place], readings.soc[place]
    days = np.where(inside, days - (days * weights).sum(axis=1, keepdims=True) / whole, 0.0)
    soc = np.where(inside, soc - (soc * weights).sum(axis=1, keepdims=True) / whole, 0.0)
    scatter = np.sqrt((weights * soc**2).sum(axis=1, keepdims=True) / whole)
    fitted = (inside.sum(axis=1, keepdims=True) > LEAST_READINGS) & (scatter > WEIGHED_SOC)
    values = np.where(inside[:, :, None], readings.values[place], np.nan)
    return days, np.where(fitted, soc, 0.0), weights, values


def lines(readings: Readings, low: Ints, at: Ints) -> Lines:
    """Weighted lines through the readings ``low`` to ``at`` (with both) of each window, the influence of the charge at the like point
    taken out where it scatters."""
    days, soc, weights, values = _gathered(readings, low, at)
    there = np.isfinite(values)
    filled = np.where(there, values, 0.0)
    count = there.sum(axis=1)
    scale = weights.sum(axis=1) / np.maximum((weights > 0).sum(axis=1), 1)
    per_day = np.maximum(np.abs(days).max(axis=1), 1e-12)
    per_soc = np.maximum(np.abs(soc).max(axis=1), 1e-12)
    design = np.stack([np.ones_like(days), days / per_day[:, None], soc / per_soc[:, None]], axis=1)  # [w, 3, r]
    w = weights / scale[:, None]
    pairs = np.stack([design[:, i] * design[:, j] * w for i, j in _PAIRS], axis=1)  # [w, 6, r]
    if there.all():
        normal = np.broadcast_to(pairs.sum(axis=2)[:, :, None], (len(low), 6, values.shape[2]))
    else:
        normal = pairs @ there.astype(np.float64)
    inverse = _inverse([normal[:, place] + (1e-9 if i == j else 0.0) for place, (i, j) in enumerate(_PAIRS)])
    right = (design * w[:, None, :]) @ filled  # [w, 3, cells]
    solved = np.stack([sum(inverse[_PAIRS.index((min(i, j), max(i, j)))] * right[:, j] for j in range(3)) for i in range(3)], axis=1)
    left = np.where(there, values - design.transpose(0, 2, 1) @ solved, 0.0)
    squares = np.einsum("wr,wrc->wc", weights, left**2)
    terms = 2 + (np.abs(soc).max(axis=1) > 0)
    variance = squares / np.maximum(count - terms[:, None], 1)
    pooled = medians(np.where(count > 0, variance, np.nan))
    slope = np.where(count >= LEAST_READINGS, solved[:, 1] / per_day[:, None], np.nan)
    error = (
        np.sqrt(np.maximum(np.maximum(variance, pooled[:, None]), 1.0) * np.where(inverse[3] > 0, inverse[3], np.inf) / scale[:, None])
        / per_day[:, None]
    )
    return Lines(slope, error, squares, solved[:, 2] / per_soc[:, None])


_PAIRS: Final = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def _inverse(upper: Sequence[Floats]) -> list[Floats]:
    """Of symmetric matrices of three rows, by their upper halves in the order of :data:`_PAIRS`."""
    a, b, c, d, e, f = upper
    one, two, three = d * f - e * e, c * e - b * f, b * e - c * d
    whole = a * one + b * two + c * three
    return [one / whole, two / whole, three / whole, (a * f - c * c) / whole, (b * c - a * e) / whole, (a * d - b * b) / whole]


def no_step(readings: Readings, low: Ints, at: Ints, fitted: Lines, some: Ints) -> Flags:
    """Whether no single step explains the windows as well as their lines do; ``some``: their places in ``fitted`` [windows, cells]."""
    if not len(some):
        return np.zeros((0, readings.values.shape[1]), dtype=np.bool_)
    _, soc, weights, values = _gathered(readings, low, at)
    plain = np.where(np.isfinite(values), values - soc[:, :, None] * fitted.by_soc[some][:, None, :], 0.0)
    w = weights[:, :, None] * np.isfinite(values)
    sums, firsts, squares = (np.cumsum(part, axis=1) for part in (w, w * plain, w * plain**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = sums[:, -1:] - sums
        before = squares - firsts**2 / sums
        after = (squares[:, -1:] - squares) - (firsts[:, -1:] - firsts) ** 2 / rest
        both = np.where((sums > 0) & (rest > 0), before + after, np.inf)
    return np.asarray(fitted.left[some] < np.maximum(both.min(axis=1), 0.0), dtype=np.bool_)


def medians(values: Floats) -> Floats:
    """Of each row, of what is a number in it; NaN where nothing is."""
    ordered = np.sort(values, axis=1)  # NaN come last
    count = np.isfinite(ordered).sum(axis=1)
    rows, middle = np.arange(len(values)), np.maximum(count - 1, 0)
    found = 0.5 * (ordered[rows, middle // 2] + ordered[rows, np.minimum((middle + 1) // 2, values.shape[1] - 1)])
    return np.asarray(np.where(count > 0, found, np.nan), dtype=np.float64)


def parts(places: Ints, size: int, *, most: int = 2_000_000) -> list[Ints]:
    """``places`` in pieces of which none holds more than ``most`` values, ``size`` for each."""
    step = max(1, most // max(size, 1))
    return [places[begin : begin + step] for begin in range(0, len(places), step)]
