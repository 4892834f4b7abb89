"""The limiter: projects advice onto what is allowed now. Pure arithmetic, no clock, no I/O, no history of its own.

    rows (one per connector), budgets (site, feeders)  --allocate()-->  targets, and the moves that may leave now

Two things happen. *Projection*: each connector gets a target such that the targets fit every budget, floors of
sessions that can't pause first, then the plan's wishes (or all that the vehicle takes, without a plan) in the order
of rank. *Release*: decreases may leave at once; an increase only into what the **bounds** of everybody leave free
(`controller.grants`), so that it waits until the decreases which pay for it are confirmed and settled (invariant 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.allocation import DEADBAND_SHARE, DEADBAND_W, Action, Allocation, Budget, Move, Row
from controller.discharge import Discharge
from depot.values import Because


@dataclass(slots=True)
class _Room:
    site_w: int
    feeders_w: list[int] = field(default_factory=list)

    def left(self, feeder: int) -> int:
        feeder_w = self.feeders_w[feeder]
        return self.site_w if self.site_w < feeder_w else feeder_w

    def take(self, feeder: int, watts: int) -> None:
        self.site_w -= watts
        self.feeders_w[feeder] -= watts


def allocate(
    rows: Sequence[Row], *, site: Budget, feeders: Sequence[Budget], frozen: bool = False, gives: Discharge | None = None
) -> Allocation:
    """Targets and moves for this moment. ``frozen``: the journal can't append, so nothing may rise or start. ``gives``: what may
    be given to the grid; None: nothing."""
    site_bound = 0
    feeder_bound = [0] * len(feeders)
    for row in rows:
        site_bound += row.bound_w
        feeder_bound[row.feeder] += row.bound_w
    site_short = max(0, site_bound - site.now_w)
    feeder_short = [max(0, bound - budget.now_w) for bound, budget in zip(feeder_bound, feeders, strict=True)]

    targets, because = _project(rows, site, feeders, feeder_short, short=site_short > 0)
    gives = gives if gives is not None else Discharge(0, (0,) * len(feeders))
    gives.project(rows, targets, because)
    actions, waiting = _release(
        rows,
        targets,
        because,
        site_short=site_short,
        feeder_short=feeder_short,
        free=_Room(site.window_w - site_bound, [b.window_w - used for b, used in zip(feeders, feeder_bound, strict=True)]),
        frozen=frozen,
        gives=gives,
    )
    return Allocation(targets, because, actions, site_bound, site_short, feeder_short, waiting, gives.short_w)


def least_w(rows: Sequence[Row]) -> int:
    """What the connectors take from a budget even if everything that may be paused is: bounds of those that can't be told
    anything now, floors of sessions that can't pause, what an idle one counts. W."""
    return sum(
        row.bound_w if not row.reachable or not (row.session or row.startable) or row.stuck else _cost(row, _floor(row)) for row in rows
    )


def _cost(row: Row, level_w: int) -> int:
    """What a level takes from the budgets: what it makes the connector draw at most, W (rounded up)."""
    if row.on_off:
        if level_w <= 0:
            return row.resting_w
        return row.bound_w if row.session and row.bound_w else row.rated_w  # what it draws, once that is known
    held_w = row.resting_w
    if level_w > 0:  # plain comparisons: called some thousand times a second
        if row.default_w > held_w:
            held_w = row.default_w
        if level_w > held_w:
            held_w = level_w
    return held_w if row.factor == 1.0 else math.ceil(held_w * row.factor)


def _held(row: Row) -> int:
    """The level that still holds, W: what it was told, as far as its bound covers it. A profile that expired, or was
    refused, no longer counts; telling that level again would be an increase like any other."""
    if row.told_w < 0:
        return max(row.told_w, -row.gives_bound_w)
    if row.told_w == 0 or row.on_off or row.bound_w >= _cost(row, row.told_w):
        return row.told_w
    return min(row.told_w, math.floor(row.bound_w / row.factor))


def _project(
    rows: Sequence[Row], site: Budget, feeders: Sequence[Budget], feeder_short: Sequence[int], *, short: bool
) -> tuple[list[int], list[Because]]:
    targets = [0] * len(rows)
    because = [Because.NO_SESSION] * len(rows)
    room = _Room(site.window_w, [b.window_w for b in feeders])
    drawn = _Room(site.window_w, [b.window_w for b in feeders])
    movable: list[tuple[tuple[float, float], int]] = []
    for i, row in enumerate(rows):
        fixed = not row.reachable or not (row.session or row.startable) or (row.stuck and (short or feeder_short[row.feeder] > 0))
        if fixed:
            targets[i] = row.told_w
            because[i] = Because.PICKUP if row.waits else Because.SETTLING if row.session else Because.NO_SESSION
            room.take(row.feeder, row.bound_w)
            drawn.take(row.feeder, row.bound_w)
        else:
            resting_w = _cost(row, 0)
            if resting_w:
                room.take(row.feeder, resting_w)
                if not row.session or row.on_off:
                    drawn.take(row.feeder, resting_w)
            movable.append((row.rank, i))
    movable.sort()

    floors: list[int] = []
    for _, i in movable:
        row = rows[i]
        floor_w = _floor(row)
        if floor_w:
            targets[i] = floor_w
            because[i] = Because.MINIMUM
            room.take(row.feeder, _cost(row, floor_w) - _cost(row, 0))
            drawn.take(row.feeder, _draw(row, floor_w))
            floors.append(i)
    if floors and min(room.site_w, *room.feeders_w) < 0:
        _break_floors(rows, floors, targets, because, room, drawn)

    for _, i in movable:
        _serve(rows[i], i, targets, because, room)
    _top_up(rows, [i for _, i in movable], targets, because, room)
    return targets, because


def _floor(row: Row) -> int:
    """The level that a running session keeps as long as any limit allows it, W: its minimum where it can't pause; all
    where it follows no level (it would have to be stopped, and may not start again). 0: it may be paused."""
    if not row.session or row.ceiling_w <= 0:
        return 0
    if row.on_off:
        return row.rated_w
    return row.min_w if not row.pausable and row.told_w > 0 else 0


def _draw(row: Row, level_w: int) -> int:
    """What a level makes it draw now, beyond what it draws at 0 W."""
    return _cost(row, level_w) - _cost(row, 0) if row.on_off else math.ceil(level_w * row.factor)


def _break_floors(
    rows: Sequence[Row], floors: Sequence[int], targets: list[int], because: list[Because], room: _Room, drawn: _Room
) -> None:
    """A hard limit breaks floors, the least urgent first (invariant 8), as few as it takes. ``drawn``: what is left
    when those who are told 0 W draw 0 W, as they do while that is renewed. Their defaults, which stay in the bounds,
    matter after the controller's death only, and break nobody's floor."""
    kept = list(reversed(floors))
    broke = True
    while broke:  # stopping a session can leave more counted than it drew (it could begin another one), so look again
        broke = False
        for i in kept:
            row = rows[i]
            if targets[i] == 0 or drawn.left(row.feeder) >= 0:
                continue
            drawn.take(row.feeder, -_draw(row, targets[i]))
            room.take(row.feeder, _cost(row, 0) - _cost(row, targets[i]))
            targets[i] = 0
            because[i] = Because.SITE if room.site_w < room.feeders_w[row.feeder] else Because.FEEDER
            broke = True


def _at_ceiling(row: Row) -> Because:
    """Why its ceiling is where it is."""
    if row.waits:
        return Because.PICKUP
    if row.unsafe:
        return Because.SAFETY
    if row.limited:
        return Because.CONNECTOR
    return Because.EXTERNAL if row.external else Because.VEHICLE


def _serve(row: Row, i: int, targets: list[int], because: list[Because], room: _Room) -> None:
    """Raise row ``i`` from its floor to its wish as far as there is room."""
    floor_w = targets[i]
    if row.ceiling_w <= 0:
        because[i] = _at_ceiling(row)
        return
    wish, reason = row.ceiling_w, Because.VEHICLE if row.ceiling_w < row.rated_w else Because.CHARGER
    if row.unsafe or row.waits or row.limited or row.external:
        reason = _at_ceiling(row)
    if 0 <= row.plan_w < wish:
        wish, reason = row.plan_w, Because.PLAN
    if row.on_off:
        wish = row.rated_w if wish >= max(1, row.min_w // 2) or (row.session and wish > 0) else 0
    elif wish < row.min_w:  # {0} ∪ [min, max]: nothing between is a charging power
        wish = row.min_w if wish * 2 >= row.min_w > 0 and wish > 0 else 0
        if wish == 0 and reason is not Because.PLAN:
            wish = row.min_w
    if wish <= floor_w:
        if floor_w == 0 or wish == floor_w:
            because[i] = reason
        return
    left = room.left(row.feeder)
    held_w = _cost(row, floor_w)
    if left >= 0:
        left += held_w
    if row.on_off:
        level = wish if left >= _cost(row, wish) else 0
    else:
        level = min(wish, math.floor(left / row.factor))
        if level < row.min_w or level < floor_w or _cost(row, level) > left:
            level = floor_w
    if level < wish:
        reason = Because.FEEDER if room.feeders_w[row.feeder] < room.site_w else Because.SITE
    if level != floor_w:
        room.take(row.feeder, _cost(row, level) - held_w)
    targets[i] = level
    because[i] = reason


def _top_up(rows: Sequence[Row], movable: Sequence[int], targets: list[int], because: list[Because], room: _Room) -> None:
    """What planned vehicles leave (they taper, they are full, their charger is offline) goes to others that charge
    already, in the order of rank, up to the planned total: the peak that was planned is paid for, the time is not
    lost. Without a plan everybody has been served as far as there is room."""
    spare = sum(row.plan_w for row in rows if row.plan_w > 0) - sum(targets)
    for i in movable:
        row = rows[i]
        target = targets[i]
        step = _deadband(row)
        if spare < step:
            return
        if row.plan_w < 0 or not row.session or row.on_off or target <= 0 or target < row.min_w or row.ceiling_w - target < step:
            continue
        left, held_w = room.left(row.feeder), _cost(row, target)
        level = min(row.ceiling_w, target + spare, math.floor((left + held_w) / row.factor))
        if level - target < step or _cost(row, level) - held_w > left:
            continue
        room.take(row.feeder, _cost(row, level) - held_w)
        spare -= level - target
        targets[i] = level
        because[i] = _at_ceiling(row) if level == row.ceiling_w else Because.PLAN


def _release(
    rows: Sequence[Row],
    targets: list[int],
    because: list[Because],
    *,
    site_short: int,
    feeder_short: Sequence[int],
    free: _Room,
    frozen: bool,
    gives: Discharge,
) -> tuple[list[Action], bool]:
    lowers: list[Action] = []
    raises: list[tuple[tuple[float, float], int]] = []
    renewals: list[Action] = []
    pending = False
    for i, row in enumerate(rows):
        if not row.reachable or not (row.session or row.startable):
            continue
        target = targets[i]
        if not row.session:
            if target > 0 or row.give_w:
                raises.append((row.rank, i))
            continue
        told = _held(row)
        urgent = site_short > 0 or feeder_short[row.feeder] > 0 or ((row.unsafe or row.limited) and told > row.ceiling_w)
        if row.on_off and (target == 0 or (row.stuck and urgent)):  # once told to stop, told again for as long as a limit needs it
            lowers.append(Action(i, Move.STOP, 0, urgent))
            pending = True
        elif told < 0 or (told == 0 and target < 0):
            gives.turn(row, i, told=told, target=target, lowers=lowers)
            if row.renew and not any(action.row == i for action in (*lowers[-1:], *gives.wanted[-1:])):
                renewals += _renewal(row, i)
        elif target < told:
            target = max(0, target)  # first to 0; what is given comes from there
            worth = target == 0 or (told - target >= _deadband(row) and because[i] is not Because.VEHICLE)
            if urgent or row.renew or (row.calm and worth):  # what a vehicle leaves by itself waits for the renewal, a write anyway
                lowers.append(Action(i, Move.LOWER, target, urgent))
                pending = True
        elif target > told and row.calm and (told == 0 or target - told >= _deadband(row)):
            raises.append((row.rank, i))
        elif row.renew:
            renewals += _renewal(row, i)
        if not pending and not row.stuck and row.bound_w > _cost(row, told) + 1:
            pending = True  # settling; a stuck charger withholds its own kilowatts, never everyone's

    ups: list[Action] = []
    waiting = False
    if not frozen and site_short == 0:
        raises.sort()
        for _, i in raises:
            row = rows[i]
            action = _raise(row, i, targets[i], free, pending=pending)
            if action is None:
                waiting = True
                renewals += _renewal(row, i)
                continue
            ups.append(action)
            if action.level_w < targets[i]:
                waiting = True
    else:
        waiting = bool(raises)
        for _, i in raises:
            if frozen:
                because[i] = Because.FROZEN
            renewals += _renewal(rows[i], i)
    lowers.sort(key=lambda a: targets[a.row] - rows[a.row].told_w)  # the biggest relief first
    begun, later = gives.release(rows, frozen=frozen)
    renewals += [renewal for i in later for renewal in _renewal(rows[i], i)]
    return [*lowers, *ups, *begun, *renewals], waiting or bool(later)


def _deadband(row: Row) -> int:
    return max(DEADBAND_W, int(row.rated_w * DEADBAND_SHARE))


def _renewal(row: Row, i: int) -> list[Action]:
    """The same level once more, where one is due and the level still holds."""
    return [Action(i, Move.RENEW, row.told_w)] if row.session and row.renew and _held(row) == row.told_w else []


def _raise(row: Row, i: int, target: int, free: _Room, *, pending: bool) -> Action | None:
    """An increase (or start) into free room; None where it must wait."""
    move = Move.RAISE if row.session else Move.START
    level_cost = (
        row.rated_w if row.on_off else max(_cost(row, target), row.default_w if target == 0 else 0)
    )  # who draws a multiple of its level would draw it of the new one
    need = max(0, level_cost - row.bound_w)
    left = free.left(row.feeder)
    if need > left:
        if pending or row.on_off or left <= 0:
            return None
        level = math.floor((row.bound_w + left) / row.factor)
        if level < row.min_w or (row.session and level - _held(row) < _deadband(row)):
            return None
        target, need = level, max(0, _cost(row, level) - row.bound_w)
        if need > left:
            return None
    free.take(row.feeder, need)
    return Action(i, move, target)
