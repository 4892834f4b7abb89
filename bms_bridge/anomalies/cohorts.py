"""Who a pack is compared with, and its signals beside theirs as one grid of packs and days. Pure.

A cohort is the packs of one chemistry, batch and firmware; where they are too few, of one chemistry and batch, of one chemistry and
firmware, of one chemistry. A pack with fewer than :data:`LEAST_PACKS` alike is compared with nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.anomalies.pack_days import SIGNALS, PackDays
from bms_bridge.health.files import Floats

Ints = NDArray[np.int64]
LEAST_PACKS: Final = 6
STEEP_V: Final = 3.0
"""V per 1.0 of charge: on a steeper piece of the curve (the knee of LFP near full) the cells' spread is another one at each charge,
and is not charted."""

CHARTED: Final = ("spread_v", *SIGNALS)
_BY: Final = (("chemistry", "batch", "firmware"), ("chemistry", "batch"), ("chemistry", "firmware"), ("chemistry",))


@dataclass(frozen=True, slots=True)
class Grid:
    """``values``: by signal [packs, days], NaN where there is none. ``groups``: the cohort of each pack, -1: none; ``cohorts``: their
    names. ``day``: of the first column."""

    packs: tuple[str, ...]
    day: int
    values: dict[str, Floats]
    age_d: Floats
    temperature_c: Floats
    groups: Ints
    cohorts: tuple[str, ...]


def grid_of(table: PackDays, *, spread_v: Floats | None = None) -> Grid:
    """The table's signals as a grid; each pack in its cohort by its newest labels. ``spread_v``: of each row, where the table has no
    cells."""
    names, begins = table.names(), table.begins()
    rows = np.repeat(np.arange(len(names)), np.diff(begins))
    first = int(table.days.min())
    columns = table.days - first
    shape = (len(names), int(columns.max()) + 1)

    def spread(values: Floats) -> Floats:
        found = np.full(shape, np.nan)
        found[rows, columns] = values
        return found

    steep = table.numbers["slope_v"] > STEEP_V
    apart_v = table.spread_v if spread_v is None else spread_v
    values = {name: spread(table.numbers[name]) for name in SIGNALS} | {"spread_v": spread(np.where(steep, np.nan, apart_v))}
    newest = begins[1:] - 1
    words = {name: table.labels[name][newest].tolist() for name in ("chemistry", "batch", "firmware")}
    labels = [dict(zip(words, told, strict=True)) for told in zip(*words.values(), strict=True)]
    groups, cohorts = cohorts_of(labels)
    return Grid(tuple(names), first, values, spread(table.numbers["age_d"]), spread(table.numbers["temperature_c"]), groups, cohorts)


def cohorts_of(labels: Sequence[dict[str, str]]) -> tuple[Ints, tuple[str, ...]]:
    """The cohort of each pack as an index, -1: none, and the cohorts' names. A label "" is nobody's batch and nobody's firmware."""
    groups = np.full(len(labels), -1, dtype=np.int64)
    names: list[str] = []
    for by in _BY:
        members: dict[str, list[int]] = {}
        for place, label in enumerate(labels):
            if all(label[part] for part in by):
                members.setdefault(" · ".join(label[part] for part in by), []).append(place)
        for key in sorted(key for key, packs in members.items() if len(packs) >= LEAST_PACKS):
            left = [place for place in members[key] if groups[place] < 0]
            if left:
                groups[left] = len(names)
                names.append(key)
    return groups, tuple(names)


def alike(labels: Grid, group: int) -> Ints:
    """The packs of a cohort."""
    return np.flatnonzero(labels.groups == group)
