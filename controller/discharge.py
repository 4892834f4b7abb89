"""Discharge in the limiter: the mirror of charging, under budgets of its own. Pure arithmetic (decision 14).

    rows (what each shall give), budgets (own use + export limit, feeders) --project()--> targets below 0
    --turn(), release()--> towards 0 at once; more only into what the bounds of all who give leave free

What is given pays for no charging and charging pays for nothing that is given, so nothing here looks at the other side.
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.allocation import DEADBAND_SHARE, DEADBAND_W, Action, Move, Row
from depot.values import Because


class Discharge:
    """What may be given together at every moment until the longest profile has expired, W: on the site, and by feeder.
    ``short_w``: how far the bounds exceed it now. ``wanted``: discharges that shall begin or grow, for :meth:`release`."""

    def __init__(self, site_w: int, feeders_w: Sequence[int]) -> None:
        self._site_w, self._feeders_w = max(0, site_w), [max(0, watts) for watts in feeders_w]
        self._free_w, self._feeders_free_w = self._site_w, list(self._feeders_w)
        self.short_w = 0
        self.wanted: list[Action] = []

    def project(self, rows: Sequence[Row], targets: list[int], because: list[Because]) -> None:
        """Targets below 0 for those who shall give, who leaves last first, as far as the budgets reach."""
        if not any(row.give_w or row.gives_bound_w for row in rows):
            return
        for row in rows:
            self._free_w -= row.gives_bound_w
            self._feeders_free_w[row.feeder] -= row.gives_bound_w
        self.short_w = max(0, -self._free_w, *(-watts for watts in self._feeders_free_w))
        left_w, feeders_w = self._site_w, list(self._feeders_w)
        givers = []
        for i, row in enumerate(rows):
            if row.reachable and row.session and row.give_w and not row.on_off and targets[i] <= 0:
                givers.append((row.rank, i))
            else:  # it is on its way to 0, or cannot be told
                left_w -= row.gives_bound_w
                feeders_w[row.feeder] -= row.gives_bound_w
                if targets[i] < 0:
                    targets[i] = row.told_w if not row.reachable else 0
        givers.sort(reverse=True)
        for _, i in givers:
            row = rows[i]
            level_w = min(row.give_w, left_w, feeders_w[row.feeder])
            if level_w < _deadband(row):
                continue
            targets[i] = -level_w
            because[i] = Because.PLAN if level_w == row.give_w else Because.SITE if left_w <= feeders_w[row.feeder] else Because.FEEDER
            left_w -= level_w
            feeders_w[row.feeder] -= level_w

    def turn(self, row: Row, i: int, *, told: int, target: int, lowers: list[Action]) -> None:
        """The move of a row that gives or shall give (``told`` ≤ 0): towards 0 at once, on from 0 in :meth:`release`."""
        eases = target > told
        urgent = eases and (self.short_w > 0 or row.unsafe or not row.give_w)
        level_w = min(target, 0)
        if eases:
            if urgent or row.renew or (row.calm and (level_w == 0 or level_w - told >= _deadband(row))):
                lowers.append(Action(i, Move.LOWER, level_w, urgent))
        elif target < told and row.calm and (told == 0 or told - target >= _deadband(row)):
            self.wanted.append(Action(i, Move.GIVE, target))

    def release(self, rows: Sequence[Row], *, frozen: bool) -> tuple[list[Action], list[int]]:
        """Which of the wanted ones may leave now, and the rows of those that must wait."""
        begun, later = [], []
        for action in self.wanted:
            row = rows[action.row]
            need_w = max(0, -action.level_w - row.gives_bound_w)
            if frozen or self.short_w or need_w > min(self._free_w, self._feeders_free_w[row.feeder]):
                later.append(action.row)
                continue
            self._free_w -= need_w
            self._feeders_free_w[row.feeder] -= need_w
            begun.append(action)
        return begun, later


def _deadband(row: Row) -> int:
    return max(DEADBAND_W, int(row.rated_w * DEADBAND_SHARE))
