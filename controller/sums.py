"""What chargers' meters and bounds, and stationary batteries, say together at one moment. Pure reading of the yard's accounts.

grants, StorageBook --summed()--> Sums --> the estimate of the background, the limiter's rows, what may be given
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from controller import giving
from controller.background import FRESH_S
from controller.grants import IDLE_W, Grant
from controller.storage_account import StorageBook
from controller.yard import Yard
from depot.values import ConnectorId

MOVES_S = 30.0
"""So long after a level was told what a charger draws may be anything up to its bound; then it is what its meter shows."""

STEADY_S = 90.0
"""A charger that drew its whole level is held by us, not by its vehicle: its meter value is believed for this long."""


@dataclass(slots=True)
class Sums:
    """What the chargers' meters and bounds say together, W; the words are those of :meth:`BackgroundEstimator.update`.
    ``bounds_w``: the bound of every connector that is not idle; ``gives_w``: the most that each may give; ``vehicles_w``: the
    most that all of them draw at this moment, less what is given by fresh meter values."""

    measured_w: int = 0
    bound_w: int = 0
    quiet: bool = True
    oldest_s: float = math.inf
    sure_w: int = 0
    settled_w: int = 0
    bounds_w: dict[ConnectorId, int] = field(default_factory=dict)
    gives_w: dict[ConnectorId, int] = field(default_factory=dict)
    vehicles_w: int = 0


def summed(yard: Yard, storages: StorageBook, now_s: float, *, bidirectional: bool, pace: float) -> Sums:
    """``bidirectional``: some connectors may give; ``pace``: how much slower than usual values come."""
    sums = Sums()
    for key, grant in yard.grants.items():
        if grant.idle:
            continue
        bound = sums.bounds_w[key] = grant.bound_w(now_s)
        if grant.gives_w and (gives := grant.gives_bound_w(now_s)):
            _add_giver(sums, key, grant, now_s, gives, pace=pace)
            continue
        sums.bound_w += bound
        sums.vehicles_w += grant.permits_now_w(now_s) if bidirectional else 0
        if not grant.in_session:
            continue
        drawn = min(grant.measured_w or 0, bound)  # an old value may stem from a profile that has expired
        sums.measured_w += drawn
        if drawn > IDLE_W:
            sums.oldest_s = min(sums.oldest_s, grant.measured_at_s)
        moves = grant.changing or grant.settling or grant.unseen()
        if moves and now_s - grant.told_at_s <= MOVES_S:
            sums.quiet = False
            sums.settled_w += bound
            continue
        sums.settled_w += drawn
        if now_s - grant.measured_at_s <= (STEADY_S if drawn >= 0.9 * (grant.confirmed_w or 0) else FRESH_S * pace):
            sums.sure_w += drawn
    if storages.accounts:
        _add_storages(sums, storages, now_s)
    return sums


def _add_storages(sums: Sums, storages: StorageBook, now_s: float) -> None:
    theirs = storages.sums(now_s)
    sums.measured_w += theirs.measured_w
    sums.bound_w += theirs.bound_w
    sums.sure_w += theirs.sure_w
    sums.settled_w += theirs.settled_w
    sums.vehicles_w += theirs.draws_w
    sums.quiet = sums.quiet and theirs.quiet
    sums.oldest_s = min(sums.oldest_s, theirs.oldest_s)


def _add_giver(sums: Sums, key: ConnectorId, grant: Grant, now_s: float, gives_w: int, *, pace: float) -> None:
    """Who gives counts as its meter shows it while that is fresh; a silent one is taken to give the most that it may where
    that makes the background larger, and nothing where it would make room (invariant 9)."""
    sums.gives_w[key] = gives_w
    bound_w = sums.bounds_w[key]
    told = grant.measured_w is not None and grant.measured_at_s >= grant.told_at_s
    fresh = told and now_s - grant.measured_at_s <= giving.FRESH_S * pace
    drawn_w = max(-gives_w, min(grant.measured_w or 0, bound_w)) if fresh else -gives_w
    sums.measured_w += drawn_w
    sums.settled_w += drawn_w
    sums.sure_w += drawn_w
    sums.bound_w += min(drawn_w, 0) if fresh and drawn_w < 0 else bound_w
    sums.vehicles_w += drawn_w if fresh and drawn_w < 0 else grant.permits_now_w(now_s)
    sums.oldest_s = min(sums.oldest_s, grant.measured_at_s)
    if (grant.changing or grant.settling or grant.unseen()) and now_s - grant.told_at_s <= MOVES_S:
        sums.quiet = False
