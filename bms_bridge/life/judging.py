"""How good remaining life is, on whole lives that were not taught: asked where they cross hundredths of health, held against what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bms_bridge.life.crossings import LEVELS, Cuts, cut_lives
from bms_bridge.life.fade import Floats
from bms_bridge.life.history import Track
from bms_bridge.life.remaining import Left, LifeModel, remaining


def judged(model: LifeModel, tracks: Sequence[Track], target: float, *, highest: float = 1.0) -> dict[str, Any] | None:
    """Figures, each life counting the same (None: no life reached ``target``): see :func:`figures`. Asked at hundredths from ``highest``
    down to two
    above the target."""
    cuts = cuts_to(tracks, target, highest)
    if not len(cuts.which):
        return None
    left = remaining(model, [cuts.parts[place] for place in cuts.which], [target])
    return figures(cuts, left, tracks)


def cuts_to(tracks: Sequence[Track], target: float, highest: float = 1.0) -> Cuts:
    """The questions: lives where they cross hundredths of health from ``highest`` down to two above ``target``."""
    return cut_lives(tracks, levels=LEVELS[(highest + 1e-9 >= LEVELS) & (target < LEVELS)], targets=[target])


def figures(cuts: Cuts, left: Left, tracks: Sequence[Track]) -> dict[str, Any]:
    """``mae``: cycles; ``worst``: mean of the worst life, ``share``: of whole life; ``within_1_pct`` of whole life; ``coverage`` of P10
    to P90."""
    owner = cuts.lives[cuts.which]
    now = np.array([cuts.parts[place].cycles[-1] for place in cuts.which])
    miss = np.abs(left.p50[:, 0] - cuts.cycles)
    share = miss / (now + cuts.cycles)
    inside = (left.p10[:, 0] <= cuts.cycles) & (cuts.cycles <= left.p90[:, 0])

    def by_life(values: Floats) -> Floats:
        known = np.unique(owner)
        return np.asarray(np.bincount(owner, weights=values)[known] / np.bincount(owner)[known], dtype=np.float64)

    each = by_life(miss)
    return {
        "lives": len(each),
        "questions": len(miss),
        "mae": float(each.mean()),
        "worst": float(each.max()),
        "worst_pack": tracks[int(np.unique(owner)[int(each.argmax())])].pack,
        "share": float(by_life(share).mean()),
        "within_1_pct": float(by_life((share <= 0.01).astype(np.float64)).mean()),
        "coverage": float(by_life(inside.astype(np.float64)).mean()),
    }
