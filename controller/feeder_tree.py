"""Feeders that hang on feeders, and cabinets that share their power among their connectors: a parent's budget, divided among what
hangs on it, so that whoever keeps each part keeps the whole.

    budgets of all feeders, bounds and wishes of what hangs on each  --divided()-->  budgets that the limiter can keep one by one

The limiter knows feeders side by side. Before each of its looks the budget of a feeder that feeds others is divided: to each
part what it wishes for, the smallest wishes first; but an increase of one part only into what the *bounds* of all parts leave
free (invariant 1), so that a part that shall get more waits until another one has really left it. What all parts are
given together is never more than the parent has, nor is what they are bound to draw, unless it was more before.
Pure arithmetic; a site whose feeders stand side by side is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.allocation import Budget, Row


@dataclass(frozen=True, slots=True)
class Load:
    """What hangs on a feeder. ``bound_w``: the most that it may draw by all that was sent; ``wish_w``: what it would draw."""

    bound_w: int = 0
    wish_w: int = 0

    def __add__(self, other: Load) -> Load:
        return Load(self.bound_w + other.bound_w, self.wish_w + other.wish_w)


def loads_of(rows: Iterable[Row], feeders: Sequence[str]) -> dict[str, Load]:
    """Of each feeder what its own connectors are bound to and wish for."""
    found = dict.fromkeys(feeders, Load())
    for row in rows:
        wish_w = row.bound_w
        if row.reachable and (row.session or row.startable):
            level_w = row.ceiling_w if row.plan_w < 0 else min(row.ceiling_w, max(row.plan_w, row.min_w if row.session else 0))
            wish_w = max(row.resting_w, row.default_w if level_w else 0, round(level_w * row.factor))
        found[feeders[row.feeder]] += Load(row.bound_w, wish_w)
    return found


def below(feeder_id: str, parents: Mapping[str, str]) -> list[str]:
    """The feeder and all that hang on it, at any depth."""
    children = _children(parents)
    found = [feeder_id]
    for each in found:  # grows while it is walked
        found += children.get(each, ())
    return found


def above(feeder_id: str, parents: Mapping[str, str]) -> list[str]:
    """The feeder and all that it hangs on, up to the site."""
    found = [feeder_id]
    while found[-1] in parents:
        found.append(parents[found[-1]])
    return found


def divided(budgets: Mapping[str, Budget], loads: Mapping[str, Load], parents: Mapping[str, str]) -> dict[str, Budget]:
    """Budgets of the feeders' own connectors, in the same order. ``budgets``: what each may carry, with all that hangs on it; ``loads``:
    of its own connectors; ``parents``: without a ring."""
    if not parents:
        return dict(budgets)
    children = _children(parents)
    todo = [(feeder, budget) for feeder, budget in budgets.items() if feeder not in parents]
    whole = _whole([feeder for feeder, _ in todo], loads, children)
    found: dict[str, Budget] = {}
    for feeder, budget in todo:  # grows while it is walked
        its = children.get(feeder)
        if not its:
            found[feeder] = budget
            continue
        parts = [loads[feeder], *(whole[child] for child in its)]
        most = [budget, *(budgets[child] for child in its)]
        found[feeder], *theirs = _shared(budget, parts, most)
        todo += zip(its, theirs, strict=True)
    return {feeder: found[feeder] for feeder in budgets}


def _children(parents: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for child, parent in parents.items():
        found.setdefault(parent, []).append(child)
    return found


def _whole(tops: Sequence[str], loads: Mapping[str, Load], children: Mapping[str, Sequence[str]]) -> dict[str, Load]:
    """Of each feeder, its own load with all that hangs on it."""
    order = list(tops)
    for each in order:  # grows while it is walked: who feeds stands before who is fed
        order += children.get(each, ())
    whole: dict[str, Load] = {}
    for each in reversed(order):
        whole[each] = sum((whole[child] for child in children.get(each, ())), loads[each])
    return whole


def _shared(budget: Budget, parts: Sequence[Load], most: Sequence[Budget]) -> list[Budget]:
    bound_w = sum(part.bound_w for part in parts)
    if bound_w > budget.now_w:  # too much: each gives way by its share of it
        cuts = [(budget.now_w - bound_w) * part.bound_w // bound_w for part in parts]
        nows = [part.bound_w + cut for part, cut in zip(parts, cuts, strict=True)]
        return [_within(Budget(now_w, min(now_w, budget.window_w)), each) for now_w, each in zip(nows, most, strict=True)]
    levels = _levels(max(0, budget.window_w), [(part.wish_w, max(0, each.window_w)) for part, each in zip(parts, most, strict=True)])
    wanted = [max(0, level - part.bound_w) for level, part in zip(levels, parts, strict=True)]
    free_w = max(0, budget.window_w - bound_w)
    if sum(wanted) > free_w:
        wanted = [want * free_w // sum(wanted) for want in wanted]
    windows = [min(level, part.bound_w + want) for level, part, want in zip(levels, parts, wanted, strict=True)]
    return [_within(Budget(max(part.bound_w, window_w), window_w), each) for part, window_w, each in zip(parts, windows, most, strict=True)]


def _within(budget: Budget, most: Budget) -> Budget:
    return Budget(min(budget.now_w, most.now_w), min(budget.window_w, most.window_w))


def _levels(room_w: int, wishes: Sequence[tuple[int, int]]) -> list[int]:
    """So much of ``room_w`` for each (wish, most): the smallest wishes whole, the others alike; what nobody wishes for is shared, too."""
    levels = _filled(room_w, [min(wish, most) for wish, most in wishes])
    spare = _filled(room_w - sum(levels), [most - level for (_, most), level in zip(wishes, levels, strict=True)])
    return [level + more for level, more in zip(levels, spare, strict=True)]


def _filled(room_w: int, wishes: Sequence[int]) -> list[int]:
    levels = [0] * len(wishes)
    order = sorted(range(len(wishes)), key=lambda n: (wishes[n], n))
    for k, n in enumerate(order):
        levels[n] = max(0, min(wishes[n], room_w // (len(order) - k)))
        room_w -= levels[n]
    return levels
