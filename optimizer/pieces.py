"""What a peak costs beside a plain rate: pieces of a demand charge, each free up to something, some for hours of the day only.

    cost of a group = the highest, over its pieces, of  per_kw × max(0, highest counted block mean − free_kw)

A share of the contract that is billed anyway makes a peak up to it free; what exceeds the contract is a group of its own
with the dearer rate. Only what the vehicles add counts as cost of a plan: a peak that the background alone makes is paid anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem

if TYPE_CHECKING:
    from optimizer.problem import Problem

FloatArray = npt.NDArray[np.float64]

__all__ = ["DemandPiece", "checked", "counted_blocks", "groups", "over_background_kw", "pieces_cost"]


@dataclass(frozen=True, eq=False, slots=True)
class DemandPiece:
    """``per_kw``: this horizon's share, for a kW of the highest block mean above ``free_kw``. ``counts``: per slot, 1 where its
    block counts, 0 elsewhere; a block counts when one of its slots does."""

    group: str
    per_kw: float
    free_kw: float
    counts: FloatArray


def checked(pieces: Sequence[DemandPiece], n_slots: int) -> tuple[DemandPiece, ...]:
    """The pieces with one number per slot; raises :class:`InvalidProblem`."""
    out = []
    for piece in pieces:
        for name in ("per_kw", "free_kw"):
            if not (np.isfinite(getattr(piece, name)) and getattr(piece, name) >= 0):
                raise InvalidProblem(f"demand piece {piece.group}: {name} is not a finite number of at least 0")
        counts = np.array(piece.counts, dtype=np.float64)
        if counts.ndim == 0:
            counts = np.full(n_slots, float(counts))
        if counts.shape != (n_slots,) or not np.isin(counts, (0.0, 1.0)).all():
            raise InvalidProblem(f"demand piece {piece.group}: counts has 0 or 1 for each of the {n_slots} slots")
        counts.flags.writeable = False
        out.append(replace(piece, counts=counts))
    return tuple(out)


def counted_blocks(problem: Problem, piece: DemandPiece) -> npt.NDArray[np.intp]:
    """Indices of the blocks that count for a piece."""
    return problem.windows.holding(np.flatnonzero(piece.counts > 0))


def groups(problem: Problem) -> dict[str, list[int]]:
    """The pieces of each group, by their places."""
    found: dict[str, list[int]] = {}
    for k, piece in enumerate(problem.demand_pieces):
        found.setdefault(piece.group, []).append(k)
    return found


def over_background_kw(problem: Problem, piece: DemandPiece) -> float:
    """By how much the background alone exceeds what is free."""
    return _over_kw(problem, piece, problem.block_means(problem.background_kw))


def pieces_cost(problem: Problem, site_kw: FloatArray) -> float:
    """What the vehicles add to the demand charges, for the site's power per slot."""
    means, background = problem.block_means(site_kw), problem.block_means(problem.background_kw)
    total = 0.0
    for its in groups(problem).values():
        pieces = [problem.demand_pieces[k] for k in its]
        with_them = max(piece.per_kw * _over_kw(problem, piece, means) for piece in pieces)
        anyway = max(piece.per_kw * _over_kw(problem, piece, background) for piece in pieces)
        total += max(0.0, with_them - anyway)
    return total


def _over_kw(problem: Problem, piece: DemandPiece, means: FloatArray) -> float:
    blocks = counted_blocks(problem, piece)
    return max(0.0, float(means[blocks].max(initial=0.0)) - piece.free_kw)
