"""After relax-and-round: look for a cheaper way to round, where one could be worth it.

    rounded plan, its relaxed bound --further apart than CLOSE?--> cells that are small in the relaxed plan, one at 0 or at its minimum
                                                     at a time, solved again warm --> the cheapest rounded plan that was met

Rounding by the half-way rule decides all small powers at once. In a large depot that is enough: there are many cells to even things out.
In a small one it can cost a percent, and then trying is cheap, because its model is small. So nothing is tried where the rounded plan
is close to the relaxed one, which is a bound for all rounded ones; else a tree is searched, deepest first along the better of two
children and then at the node with the best bound. What a node cannot beat is cut. The tree's size is bounded by the model's, not by the
clock, so that the same problem gives the same plan; the clock ends it, too.
"""

from __future__ import annotations

import heapq
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from optimizer.cell_bounds import SHORT_KWH, TOLERANCE_KW, CellBounds, Room
from optimizer.compiled import Compiled, shortages_of
from optimizer.errors import SolverFailed
from optimizer.life_bands import cell_powers
from optimizer.limit_rows import BoolArray
from optimizer.problem import FloatArray, Problem
from optimizer.solver import Solver

CLOSE = 2e-4
"""Of what a plan costs, shortages aside: a rounded plan this near to the relaxed one is good enough."""

MOST_SOLVES = 600
MOST_WORK = 1_500_000
"""Solutions, and columns that they have together: some tenths of a second in a large depot, and less in a small one."""

Choices = tuple[tuple[int, bool], ...]
"""Cells, and whether each of them draws (at least its minimum) or not."""


@dataclass(frozen=True, eq=False, slots=True)
class _Node:
    choices: Choices
    columns: FloatArray
    value: float


def searched(
    problem: Problem,
    compiled: Compiled,
    *,
    solver: Solver,
    bounds: CellBounds,
    given: tuple[FloatArray, FloatArray],
    free: BoolArray,
    least: FloatArray,
    relaxed: FloatArray,
    rounded: FloatArray,
) -> FloatArray:
    """Columns at least as good as ``rounded``: fewer powers below ``least`` [cell] in the cells ``free``, or as few for less. ``given``:
    the bounds of ``relaxed``, under which nobody is shorter than in it. ``bounds`` are left as they are for what comes back."""
    tree = _Tree(problem, compiled, solver=solver, bounds=bounds, free=free, least=least, relaxed=relaxed)
    kept = bounds.copy()
    tree.take(rounded)
    if tree.good:
        return rounded
    with suppress(SolverFailed):  # the time is over: what was found stands
        tree.grow(rounded, under=kept, solves=tree.solves // 2)  # what is decided already stays: there is little left to decide
        if not tree.good:
            tree.grow(relaxed, under=given, solves=tree.solves)
    tree.settle(kept)
    return tree.best


class _Tree:
    """``best``: columns so far. ``solves``: how many solutions are left to spend."""

    def __init__(
        self,
        problem: Problem,
        compiled: Compiled,
        *,
        solver: Solver,
        bounds: CellBounds,
        free: BoolArray,
        least: FloatArray,
        relaxed: FloatArray,
    ) -> None:
        self._problem, self._compiled, self._solver, self._bounds = problem, compiled, solver, bounds
        self._under, self._free, self._least = bounds.copy(), free, least
        self._shortages, _ = shortages_of(compiled)
        self._missing = relaxed[self._shortages]
        money = np.ones(len(compiled.cost), dtype=bool)
        money[self._shortages] = False
        self._play = CLOSE * max(abs(float(compiled.cost[money] @ relaxed[money])), 1e-9)
        self._bound = self.value(relaxed)
        self.solves = min(MOST_SOLVES, MOST_WORK // max(len(compiled.cost), 1))
        self._applied: Choices = ()
        self.best = relaxed
        self._made_by: tuple[Choices, tuple[FloatArray, FloatArray]] | None = None
        self._best_value = self._best_small = np.inf

    def value(self, columns: FloatArray) -> float:
        """The objective."""
        return float(self._compiled.cost @ columns)

    @property
    def good(self) -> bool:
        """Whether nothing much better can be."""
        return not self._best_small and self._best_value <= self._bound + self._play

    def small(self, columns: FloatArray) -> npt.NDArray[np.intp]:
        """Cells that draw less than their minimum."""
        power = cell_powers(self._compiled, columns)
        found: npt.NDArray[np.intp] = np.flatnonzero(self._free & (power > TOLERANCE_KW) & (power < self._least - TOLERANCE_KW))
        return found

    def take(self, columns: FloatArray, choices: Choices | None = None) -> None:
        """Keep it, if it is better."""
        short = bool((columns[self._shortages] > self._missing + SHORT_KWH).any())
        small, value = len(self.small(columns)), self.value(columns)
        if short and choices is not None:
            return
        if (small, value) < (self._best_small, self._best_value):
            self.best, self._best_small, self._best_value = columns, small, value
            self._made_by = None if choices is None else (choices, self._under)

    def grow(self, root: FloatArray, *, under: tuple[FloatArray, FloatArray], solves: int) -> None:
        """Decide one small power of ``root`` after the other, beside the bounds ``under``, until the best is good, nothing better can
        come, or ``solves`` are spent."""
        self._begin(under)
        least_left = self.solves - solves
        order = count()
        node: _Node | None = _Node((), root, self.value(root))
        waiting: list[tuple[float, int, _Node]] = []
        while node is not None and self.solves > least_left and not self.good:
            children = sorted(self._children(node), key=self._rank)
            node = children[0] if children else None
            for child in children[1:]:
                heapq.heappush(waiting, (child.value, next(order), child))
            while node is None and waiting:
                value, _, candidate = heapq.heappop(waiting)
                if not self._beaten(value):
                    node = candidate

    def settle(self, kept: tuple[FloatArray, FloatArray]) -> None:
        """Bounds as they are for the best: ``kept``, where nothing better was found than what was given."""
        choices, under = self._made_by or ((), kept)
        self._begin(under)
        self.apply(choices)

    def _begin(self, under: tuple[FloatArray, FloatArray]) -> None:
        self._under, self._applied = under, ()
        self._bounds.restore(under, np.arange(len(self._least)))

    def _rank(self, node: _Node) -> tuple[int, int, float]:
        """What is followed first: what costs less, and of what costs about the same what has fewer small powers left."""
        return int((node.value - self._bound) / (self._play / 2)), len(self.small(node.columns)), node.value

    def _beaten(self, value: float) -> bool:
        return not self._best_small and value >= self._best_value - self._play / 2

    def _children(self, node: _Node) -> list[_Node]:
        """The node's cell that is furthest from being decided, both ways, solved; those that are rounded are taken, not returned."""
        small = self.small(node.columns)
        if not len(small):
            return []
        power = cell_powers(self._compiled, node.columns)[small] / self._least[small]
        cell = int(small[np.argmin(np.abs(power - 0.5))])
        found = []
        for draws in (True, False):
            choices = (*node.choices, (cell, draws))
            if self.solves <= 0 or not self.apply(choices):
                continue
            self.solves -= 1
            columns = self._solver.solve()
            value = self.value(columns)
            if self._beaten(value) or (columns[self._shortages] > self._missing + SHORT_KWH).any():
                continue
            self.take(columns, choices)
            if len(self.small(columns)):
                found.append(_Node(choices, columns, value))
        return found

    def apply(self, choices: Choices) -> bool:
        """Bounds as the choices say, in the solver, too; False, and none of them, where they do not fit."""
        before = np.array([cell for cell, _ in self._applied], dtype=np.int32)
        self._bounds.lower[before], self._bounds.upper[before] = self._under[0][before], self._under[1][before]
        cells = np.array([cell for cell, _ in choices], dtype=np.int32)
        room = Room(self._problem, self._compiled, self._bounds.lower)
        fits = True
        for cell, draws in choices:
            if draws:
                more = self._least[cell] - self._bounds.lower[cell]
                fits = room.takes(int(self._compiled.vehicle[cell]), self._compiled.slot[cell : cell + 1], np.array([more]))
                if not fits:
                    break
                self._bounds.lower[cell] = self._least[cell]
            else:
                self._bounds.upper[cell] = 0.0
        if not fits:
            self._bounds.lower[cells], self._bounds.upper[cells] = self._under[0][cells], self._under[1][cells]
        self._applied = choices if fits else ()
        self._bounds.send(np.concatenate((before, cells)))
        return fits
