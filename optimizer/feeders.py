"""The site's feeders, as a tree: the limit of each holds for all that hangs on it and on the feeders below it.

A hub (one cabinet that several outlets share) is a feeder whose parent is the feeder that the cabinet hangs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.series import FloatArray, per_slot

Paths = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Feeder:
    """A part of the site with a limit of its own per slot. ``parent``: the feeder that feeds it, by its place; None: the site."""

    id: str
    limit_kw: FloatArray
    parent: int | None = None


def checked(feeders: Sequence[Feeder], n_slots: int) -> tuple[Feeder, ...]:
    """The feeders with one limit per slot; raises :class:`InvalidProblem` for one that cannot be."""
    out: list[Feeder] = []
    for place, feeder in enumerate(feeders):
        if any(feeder.id == other.id for other in out):
            raise InvalidProblem(f"feeder {feeder.id} stands twice in the problem")
        limit = per_slot(f"feeder {feeder.id}: limit_kw", feeder.limit_kw, n_slots)
        if limit.min() < 0:
            raise InvalidProblem(f"feeder {feeder.id}: limit_kw is negative; 0 is the least")
        if feeder.parent is not None and (not 0 <= feeder.parent < len(feeders) or feeder.parent == place):
            raise InvalidProblem(
                f"feeder {feeder.id}: parent {feeder.parent} is none of the other {len(feeders) - 1} feeders (counted from 0)"
            )
        out.append(Feeder(feeder.id, limit, feeder.parent))
    for feeder in out:
        above, steps = feeder.parent, 0
        while above is not None:
            above, steps = out[above].parent, steps + 1
            if steps > len(out):
                raise InvalidProblem(f"feeder {feeder.id}: its parents lead back to themselves; a tree ends at the site")
    return tuple(out)


def paths(feeders: Sequence[Feeder]) -> Paths:
    """Of each feeder: its place and those of all above it, from below."""
    found = []
    for place in range(len(feeders)):
        path: list[int] = []
        above: int | None = place
        while above is not None:
            path.append(above)
            above = feeders[above].parent
        found.append(tuple(path))
    return tuple(found)


def from_below(feeders: Sequence[Feeder], tree: Paths) -> list[int]:
    """Places of the feeders, each before the one that feeds it."""
    return sorted(range(len(feeders)), key=lambda place: (-len(tree[place]), place))


def sums(feeders: Sequence[Feeder], tree: Paths, *, places: Sequence[int | None], power_kw: FloatArray) -> FloatArray:
    """[feeder × slot] of ``power_kw`` [thing × slot], the things being on the feeders ``places``, what flows through each feeder."""
    through = np.zeros((len(feeders), power_kw.shape[1]))
    on = np.array([-1 if place is None else place for place in places], dtype=np.intp)
    order = np.argsort(on, kind="stable")
    order = order[on[order] >= 0]
    if len(order):
        present, first = np.unique(on[order], return_index=True)
        through[present] = np.add.reduceat(power_kw[order], first, axis=0)
    for place in from_below(feeders, tree):
        parent = feeders[place].parent
        if parent is not None:
            through[parent] += through[place]
    return through
