"""What it costs to leave a need short, in currency per kWh of battery: above all money, and in an order that no bill turns round.

    safety, of all classes  >  readiness of the highest class > … > of the least  >  comfort, of all classes  >  any bill

Inside of a class urgency decides; where a shortage shall be shared, the part of its need that a vehicle lacks already comes first.
"""

from __future__ import annotations

import numpy as np

from optimizer.problem import EPS, FloatArray, Problem
from optimizer.stays import SHARE_EDGES, Need, StayCosts, marks

UNMET = {Need.SAFETY: 20.0, Need.READINESS: 6.0, Need.COMFORT: 2.0}
"""Energy that is not served, per grid kWh, in multiples of the most that serving it can cost: then no bill is a reason."""

UNMET_STEP = 0.2
"""How much dearer each class of priority is: more than serving can cost, so that no bill decides between classes either.
(Steeper classes change nothing but the time: the simplex takes twice the iterations.) The classes of one need end below the next
need's first."""

URGENCY_STEP = 0.9 * UNMET_STEP
"""What urgency adds inside of a class at most: still less than the next class."""

SHARED_URGENCY_STEP = 0.02
SHARE_STEP = 0.03
"""Where a shortage is shared: what urgency adds at most, and each segment of what is short, all together less than the next class."""

SHARED_SCALE = 6.0
"""And how much dearer everything is then: a segment more shall be more than serving can cost, too."""


def penalties(problem: Problem, most: float) -> tuple[FloatArray, StayCosts | None]:
    """[vehicle] what a kWh of its need that is not served costs, and what its milestones and segments do; None where there are
    neither. ``most``: what serving a grid kWh can cost at most."""
    shared = problem.share_shortage
    urgency = np.array([v.urgency for v in problem.vehicles])
    eff = np.array([v.eff for v in problem.vehicles])
    class_of = 1 + UNMET_STEP * ranks(problem) + (SHARED_URGENCY_STEP if shared else URGENCY_STEP) * urgency
    base = (SHARED_SCALE if shared else 1.0) * max(most, EPS) / eff
    unmet = base * class_of * np.array([UNMET[v.need] for v in problem.vehicles])
    its = marks(problem)
    if not its and not shared:
        return unmet, None
    short = [UNMET[mark.milestone.need] * base[mark.vehicle] * class_of[mark.vehicle] for mark in its]
    steps = SHARE_STEP * np.arange(1, len(SHARE_EDGES) + 1)
    need = np.array([UNMET[v.need] for v in problem.vehicles])
    return unmet, StayCosts(np.array(short, dtype=np.float64), (base * need)[:, None] * steps if shared else None)


def ranks(problem: Problem) -> FloatArray:
    """[vehicle] 0 for the least priority in the problem, 1 for the next, …; at most 8 (the last ones share a class)."""
    priorities = np.array([v.priority for v in problem.vehicles])
    return np.minimum(np.unique(priorities, return_inverse=True)[1], 8).astype(np.float64)
