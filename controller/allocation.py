"""What the limiter is told and what it answers: rows, budgets, moves. Values; `controller.limiter` decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from depot.values import Because, ConnectorId

DEADBAND_W = 500
"""Changes below this (or below DEADBAND_SHARE of the rating) wait, unless a limit needs them (invariant 11)."""

DEADBAND_SHARE = 0.02


@dataclass(slots=True)
class Row:
    """One connector as the limiter sees it, powers in W.

    ``ceiling_w``: the most that makes sense (vehicle, charger, connector limit); 0 when nothing is wanted.
    ``told_w``: the level it was last told. ``bound_w``: the most it may draw now, given all that was sent.
    ``resting_w``: what stays counted at level 0. ``default_w``: what a running session falls to when its live profile
    expires (the rating where none is installed). ``factor`` ≥ 1: it draws this multiple of its level.
    ``plan_w``: the plan's wish, −1 without a plan. ``rank``: smaller is served first.
    ``session``: a transaction runs. ``startable``: a session may be started. ``reachable``: it can be told now.
    ``on_off``: follows no level, only start and stop. ``stuck``: told to go down, but not seen to.
    ``calm``: no call is outstanding and the quota of writes allows a change that is not urgent.
    ``renew``: its live profile is due for renewal at the same level. ``unsafe``: safety keeps its ceiling where it is, so
    that what it has above that leaves at once. ``waits``: power is just back, and its turn has not come. ``external``: somebody
    else's limit at its station keeps its ceiling where it is. ``limited``: a limit of the connector does. ``give_w``: what
    it shall give to the grid by the plan, as far as its need and its reserve let it; ``gives_bound_w``: the most that it may
    give now, by all that was sent. Told levels and targets below 0 are discharge.
    """

    key: ConnectorId
    feeder: int
    rated_w: int
    min_w: int
    ceiling_w: int = 0
    told_w: int = 0
    bound_w: int = 0
    resting_w: int = 0
    default_w: int = 0
    factor: float = 1.0
    plan_w: int = -1
    rank: tuple[float, float] = (0.0, 0.0)
    session: bool = False
    startable: bool = False
    reachable: bool = True
    pausable: bool = False
    on_off: bool = False
    stuck: bool = False
    calm: bool = True
    renew: bool = False
    unsafe: bool = False
    waits: bool = False
    external: bool = False
    limited: bool = False
    give_w: int = 0
    gives_bound_w: int = 0


class Move(StrEnum):
    """What leaves for a charger. ``LOWER``: towards 0, also of a discharge; ``GIVE``: a discharge begins or grows."""

    LOWER = "lower"
    GIVE = "give"
    RAISE = "raise"
    START = "start"
    STOP = "stop"
    RENEW = "renew"


@dataclass(frozen=True, slots=True)
class Action:
    """One move: connector row index, level in W, and whether it is urgent (a limit needs it)."""

    row: int
    move: Move
    level_w: int
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Allocation:
    """``targets[i]``, ``because[i]``: where each row shall go and what bound it. ``actions``: decreases first.

    ``site_short_w``, ``feeder_short_w``: how far the bounds exceed what is allowed at this moment (≥ 0).
    ``waiting``: increases that wait for settling, so the loop must look again soon. ``gives_short_w``: how far what may be given
    exceeds what the site takes.
    """

    targets: list[int]
    because: list[Because]
    actions: list[Action]
    site_bound_w: int
    site_short_w: int
    feeder_short_w: list[int]
    waiting: bool
    gives_short_w: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What connectors together may draw, W. ``now_w``: at this moment. ``window_w``: at every moment until the
    longest profile has expired, which is what levels may be built on; never above ``now_w``."""

    now_w: int
    window_w: int
