"""The site's limit as the least of several, each with a name: contract, transformer, generator, the utility's order, …

    limits by their sources --least_of()--> the limit per slot (`Problem.site_limit_kw`)
    `Problem.limit_sources`, the same limits --sources()--> whose it is, slot by slot, for whoever explains a plan

Only `site_limit_kw` binds a plan; the named limits say where it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.series import FloatArray, per_slot

SILENT_KW = 1e6
"""What a source says where it sets no limit: more than any depot draws."""


@dataclass(frozen=True, eq=False, slots=True)
class NamedLimit:
    """A limit of the site per slot, and who sets it."""

    source: str
    limit_kw: FloatArray


def least_of(limits: Sequence[NamedLimit]) -> FloatArray:
    """[slot] the least limit. Raises :class:`InvalidProblem` where there is none at all."""
    if not limits:
        raise InvalidProblem("a site needs at least one limit")
    least: FloatArray = np.array([limit.limit_kw for limit in limits], dtype=np.float64).min(axis=0)
    return least


def checked(limits: Sequence[NamedLimit], n_slots: int) -> tuple[NamedLimit, ...]:
    """The limits with one number per slot; raises :class:`InvalidProblem` for one that is negative or not finite."""
    out = []
    for limit in limits:
        values = per_slot(f"limit of {limit.source}", limit.limit_kw, n_slots)
        if values.min() < 0:
            raise InvalidProblem(f"limit of {limit.source} is negative; 0 is the least")
        out.append(NamedLimit(limit.source, values))
    return tuple(out)


def sources(limits: Sequence[NamedLimit], site_limit_kw: FloatArray) -> tuple[str, ...]:
    """[slot] whose limit binds, of equals the first; empty where the site's limit is none of the named ones."""
    if not limits:
        return ("",) * len(site_limit_kw)
    stacked = np.array([limit.limit_kw for limit in limits])
    same = np.isclose(stacked.min(axis=0), site_limit_kw, rtol=1e-9, atol=1e-9)
    return tuple(limits[int(n)].source if binds else "" for n, binds in zip(stacked.argmin(axis=0), same, strict=True))
