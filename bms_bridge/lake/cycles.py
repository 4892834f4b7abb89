"""Charge cycles counted as they come: rainflow after ASTM E1049-85, section 5.4.4, without keeping the curve.

    depth of charge over time --Cycles.add()--> full cycles by depth; what is not closed yet stays as a short stack of turning points

The standard's rule needs only the turning points that no cycle has closed yet; movements below :data:`STEP` are no turning points,
so there are at most some dozens. Half cycles of what is still open are counted when somebody looks (:func:`open_halves`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec

STEP: Final = 0.02
"""A state of charge must move by so much to make a turning point: what BMS estimates do at rest is no cycle."""

DEPTHS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Edges of the depth bins: up to 0.1, 0.1 to 0.2, … above 0.9."""


class Cycles(msgspec.Struct):
    """``counts``: cycles by depth bin (a half counts 0.5). ``stack``: turning points that are still open, the newest last; its
    last element follows the value until it turns."""

    counts: list[float] = msgspec.field(default_factory=lambda: [0.0] * (len(DEPTHS) + 1))
    stack: list[float] = []


def bin_of(value: float, edges: tuple[float, ...]) -> int:
    """Which bin: the number of edges that the value has reached."""
    index = 0
    for edge in edges:
        if value < edge:
            return index
        index += 1
    return index


def add(cycles: Cycles, value: float) -> None:
    """The next value of the curve (a state of charge, 0 to 1)."""
    stack = cycles.stack
    if not stack:
        stack.append(value)
        return
    if len(stack) == 1:
        if abs(value - stack[0]) >= STEP:
            stack.append(value)
        return
    rising = stack[-1] > stack[-2]
    if (value >= stack[-1]) if rising else (value <= stack[-1]):
        stack[-1] = value  # goes on the same way
    elif abs(value - stack[-1]) >= STEP:
        _close(cycles)  # the last element has become a turning point
        stack.append(value)


def _close(cycles: Cycles) -> None:
    """Count what the newest turning point closes."""
    stack = cycles.stack
    while len(stack) >= 3:
        newest, before = abs(stack[-1] - stack[-2]), abs(stack[-2] - stack[-3])
        if newest < before:
            return
        if len(stack) == 3:  # the range before holds the start of the curve: half a cycle, and the start moves on
            cycles.counts[bin_of(before, DEPTHS)] += 0.5
            del stack[0]
        else:
            cycles.counts[bin_of(before, DEPTHS)] += 1.0
            del stack[-3:-1]


def open_halves(cycles: Cycles) -> list[float]:
    """The counts with the ranges that are still open as half cycles, as the standard ends a curve."""
    copy = Cycles(counts=list(cycles.counts), stack=list(cycles.stack))
    _close(copy)
    for one, other in pairwise(copy.stack):
        copy.counts[bin_of(abs(other - one), DEPTHS)] += 0.5
    return copy.counts
