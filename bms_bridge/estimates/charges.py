"""Stretches without a gap, the rests in them, and the charges between: which windows there are to estimate from. Pure.

    Samples --cut()--> Charge(first, last, closed) ...      in a stretch, which begins and ends where nobody said anything for long
                       rests(): moments at which a cell was rested, so that its voltage tells its charge

A charge that the planner pauses goes on after the pause; it is over when the pack rested for :data:`REST_S`, was driven, or fell silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.estimates.samples import Floats, Samples

GAP_S: Final = 150.0
"""Longer than this between two samples, nobody knows what flowed: charge is not counted over it."""

REST_S: Final = 1800.0
REST_C_RATE: Final = 0.02
CHARGE_C_RATE: Final = 0.03
LEAST_CHARGE: Final = 0.02
"""Charges of less than this share of the capacity are none."""


@dataclass(frozen=True, slots=True)
class Rest:
    """``at``: index of the last sample of the rest; ``lasted_s``: since the current was last not nothing."""

    at: int
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Charge:
    """Indices into the samples. ``begin``: of its stretch; ``first``, ``last``: of the charge; ``until``: last sample that still belongs to
    its rest; ``charged_ah``: into the pack between first and last."""

    begin: int
    first: int
    last: int
    until: int
    charged_ah: float


def counted_ah(samples: Samples) -> Floats:
    """Charge into the pack since the first sample, Ah; nothing is counted over gaps."""
    step_s = np.diff(samples.t_s)
    middle_a = (samples.current_a[1:] + samples.current_a[:-1]) / 2
    return np.concatenate([[0.0], np.cumsum(np.where(step_s <= GAP_S, middle_a * step_s / 3600.0, 0.0))])


def stretches(samples: Samples) -> list[tuple[int, int]]:
    """First and last index of each stretch without a gap."""
    if not len(samples):
        return []
    cuts = np.flatnonzero(np.diff(samples.t_s) > GAP_S)
    firsts, lasts = [0, *(int(cut) + 1 for cut in cuts)], [*(int(cut) for cut in cuts), len(samples) - 1]
    return list(zip(firsts, lasts, strict=True))


def rests(samples: Samples, nominal_ah: float, first: int, last: int) -> list[Rest]:
    """The rests of :data:`REST_S` or longer that lie between two indices of one stretch, in order."""
    quiet = np.abs(samples.current_a[first : last + 1]) <= REST_C_RATE * nominal_ah
    found = []
    for begin, end in _runs(quiet):
        lasted_s = float(samples.t_s[first + end] - samples.t_s[first + begin])
        if lasted_s >= REST_S:
            found.append(Rest(first + end, lasted_s))
    return found


def cut(samples: Samples, nominal_ah: float, *, now_s: float) -> list[Charge]:
    """The charges that are over, in order. One that still runs, or has not rested yet, is left for later."""
    counted = counted_ah(samples)
    found: list[Charge] = []
    for begin, end in stretches(samples):
        current = samples.current_a[begin : end + 1]
        silent = end < len(samples) - 1 or now_s - samples.t_s[end] > GAP_S
        parts = [(begin + a, begin + b) for a, b in _runs(current >= CHARGE_C_RATE * nominal_ah)]
        for first, last in _joined(samples, parts, nominal_ah):
            driven = np.flatnonzero(samples.current_a[last + 1 : end + 1] < -REST_C_RATE * nominal_ah)
            again = np.flatnonzero(samples.current_a[last + 1 : end + 1] >= CHARGE_C_RATE * nominal_ah)
            ends = [int(some[0]) for some in (driven, again) if len(some)]
            until = last + min(ends) if ends else end
            over = bool(ends) or silent or samples.t_s[until] - samples.t_s[last] >= REST_S
            charged = float(counted[last] - counted[first])
            if over and charged >= LEAST_CHARGE * nominal_ah:
                found.append(Charge(begin, first, last, until, charged))
    return found


def _joined(samples: Samples, parts: list[tuple[int, int]], nominal_ah: float) -> list[tuple[int, int]]:
    """Charges with short pauses in one."""
    found: list[tuple[int, int]] = []
    for first, last in parts:
        if found:
            before = found[-1][1]
            paused_s = samples.t_s[first] - samples.t_s[before]
            driven = (samples.current_a[before + 1 : first] < -REST_C_RATE * nominal_ah).any()
            if paused_s < REST_S and not driven:
                found[-1] = (found[-1][0], last)
                continue
        found.append((first, last))
    return found


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [(int(a), int(b)) for a, b in zip(begins, ends, strict=True)]
