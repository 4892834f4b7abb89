"""What a vehicle may give to the grid now so that it still leaves with what it needs, and what the site takes (decision 14).

    own use      the least that the site drew beside its vehicles in the last 90 s, as measured --> what may be given together
    may_give_w   reserve, need, time and power left of one vehicle                              --> what it may give
    Spare        the energy that the depot has to spare until each departure                    --> whether all can buy it back

Pure bookkeeping; what is not known is the worst case: no meter value, no state of charge, no battery size: nothing is given.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.background import HOLD_S, STALE_S

FRESH_S = 15.0
"""A discharge is believed as measured so long; who says nothing for longer is silent, and is told to stop."""

LOOK_EVERY_S = 5.0
"""How often the meter of who gives is asked for."""

SOC_FRESH_S = 90.0
"""A state of charge that is older is unknown; until then it may have fallen by all that was to be given."""

BEGIN_SOC = 0.02
"""So much above its reserve a vehicle must be to begin giving: who is there gives once, not in snatches."""

SPARE_SHARE = 7 / 8
"""Of time and power that are left before a departure, what is counted on for buying energy back."""

LEAST_W = 1000
"""Less than this is not worth a discharge."""


@dataclass(slots=True)
class OwnUse:
    """The least that the site drew beside its vehicles over HOLD_S: falls count at once, rises after that time."""

    pace: float = 1.0
    _window: deque[tuple[float, int]] = field(default_factory=deque)

    def update(self, *, now_s: float, meter_w: int | None, meter_at_s: float, vehicles_w: int) -> int | None:
        """W, at least 0; None: not known. ``vehicles_w``: the most that all vehicles may draw at this moment together, less what
        is given by fresh meter values."""
        if meter_w is None or now_s - meter_at_s > STALE_S * self.pace:
            return None
        use_w = meter_w - vehicles_w
        while self._window and self._window[-1][1] >= use_w:
            self._window.pop()
        self._window.append((now_s, use_w))
        while now_s - self._window[0][0] > HOLD_S:
            self._window.popleft()
        return max(0, self._window[0][1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Giver:
    """A vehicle that could give. Energies grid side unless named: ``remaining_wh``: what it still needs; ``stored_wh`` (battery):
    the least that it may hold now, ``reserve_wh`` (battery): the least that it shall. ``left_s``: until it leaves.
    ``takes_w``: what it charges with at most; ``most_w``: what it gives at most. ``efficiency``: each way. ``gives``: it gives already."""

    feeder_id: str
    remaining_wh: float
    stored_wh: float
    reserve_wh: float
    left_s: float
    takes_w: int
    most_w: int
    efficiency: float
    capacity_wh: float
    gives: bool = False


def may_give_w(giver: Giver, spare: Spare, *, life_s: float) -> int:
    """W that it may give for ``life_s`` (until the profile has expired even if nobody lives to take it back); 0: nothing.

    Takes what has to be bought back for it out of ``spare``. It must be above its reserve at the end, and have the time and
    the power to buy it back beside its need, with an eighth to spare.
    """
    life_h = life_s / 3600
    above_wh = giver.stored_wh - giver.reserve_wh - (0 if giver.gives else BEGIN_SOC * giver.capacity_wh)
    if above_wh <= 0 or giver.takes_w <= 0 or giver.left_s <= life_s:
        return 0
    back = giver.efficiency**2  # what is bought back for each Wh that is given, grid side both
    in_time_wh = SPARE_SHARE * giver.takes_w * (giver.left_s - life_s) / 3600 - giver.remaining_wh
    most_wh = min(above_wh * giver.efficiency, in_time_wh * back, spare.until(giver.left_s, giver.feeder_id) * back)
    level_w = min(giver.most_w, math.floor(most_wh / life_h))
    if level_w < LEAST_W:
        return 0
    spare.take(giver.left_s, giver.feeder_id, level_w * life_h / back)
    return level_w


class Spare:
    """Energy that the site (feeder "") and its feeders can give vehicles until each departure beyond what all of them need.

    ``needs``: (seconds until it leaves, feeder, grid Wh) of everybody who is here or announced. ``power_w``: by feeder id and
    for the site (""), steps of (seconds from now, W for charging from then on), the first at 0.
    """

    def __init__(self, needs: Sequence[tuple[float, str, float]], power_w: dict[str, Sequence[tuple[float, int]]]) -> None:
        self._needs = sorted(needs)
        self._power_w = power_w
        self._taken: list[tuple[float, str, float]] = []

    def until(self, left_s: float, feeder_id: str) -> float:
        """Wh that somebody who leaves then can still be promised: what all deadlines from then on leave, site and feeder."""
        return min(self._least("", left_s), self._least(feeder_id, left_s))

    def take(self, left_s: float, feeder_id: str, energy_wh: float) -> None:
        """Promise it."""
        self._taken.append((left_s, feeder_id, energy_wh))

    def _least(self, scope: str, left_s: float) -> float:
        mine = sorted((due, wh) for due, feeder, wh in (*self._needs, *self._taken) if scope in ("", feeder))
        least, owed = math.inf, 0.0
        for n, (due_s, wh) in enumerate(mine):
            owed += wh
            if due_s >= left_s and (n + 1 == len(mine) or mine[n + 1][0] > due_s):
                least = min(least, self._energy(scope, due_s) - owed)
        if math.isinf(least):  # nobody leaves after it
            least = self._energy(scope, left_s) - owed
        before = sum(wh for due_s, wh in mine if due_s <= left_s)
        return min(least, self._energy(scope, left_s) - before)

    def _energy(self, scope: str, until_s: float) -> float:
        """Wh that can be charged until then, an eighth kept back."""
        steps = self._power_w.get(scope, ())
        total = 0.0
        for n, (begin_s, watts) in enumerate(steps):
            end_s = min(until_s, steps[n + 1][0]) if n + 1 < len(steps) else until_s
            total += max(0.0, end_s - begin_s) / 3600 * max(0, watts)
        return SPARE_SHARE * total
