"""Random limiter states, judged, and the time that one allocation takes.

    python -m benchmarks.limiter [--states 50000] [--seed 1] [--chargers 1000] [--rounds 200]

Prints ``n=… broken=… seed=…`` and the median and p99 of ``allocate()``; exit 1 when an invariant is broken or the p99
is above the goal. A state is a random depot with grants that have a history of their own (`controller.grants`).
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from controller.allocation import Action, Allocation, Budget, Move, Row
from controller.grants import Grant
from controller.limiter import allocate
from depot.events import TrustLevel
from depot.values import ConnectorId

NOW_S = 1_000_000.0
LIFE_S = 180.0
GOAL_MS = 5.0

UP = (Move.RAISE, Move.START)


@dataclass(slots=True)
class State:
    """One input of ``allocate`` with the grants that its bounds came from."""

    rows: list[Row]
    grants: list[Grant]
    site: Budget
    feeders: list[Budget]
    frozen: bool


def random_grant(rng: random.Random, rated_w: int, min_w: int) -> Grant:
    """A connector after a random past: told up and down, answered or not, settled or not, obeying or not."""
    grant = Grant(
        rated_w=rated_w,
        default_w=rng.choice([None, 0, min_w, min_w, min_w]),
        autonomous=rng.random() < 0.5,
        commissioned=rng.random() < 0.95,
    )
    now_s = NOW_S - rng.uniform(0, 400)
    if rng.random() < 0.75:
        grant.commissioned = True
        grant.session_started()
        for _ in range(rng.randrange(4)):
            number = grant.send(rng.choice([0, min_w, rated_w, rng.randint(min_w, rated_w)]), until_s=now_s + LIFE_S, now_s=now_s)
            now_s = min(NOW_S, now_s + rng.uniform(0, 4))
            fate = rng.random()
            if fate < 0.6:
                grant.accepted(number, now_s=now_s)
            elif fate < 0.75:
                grant.refused(number)
            now_s = min(NOW_S, now_s + rng.choice([0.1, 5.0, 100.0]))
            if rng.random() < 0.6:
                grant.measured(rng.randint(0, int(rated_w * 1.1)), at_s=now_s)
    elif rng.random() < 0.3:
        grant.send(rng.randint(min_w, rated_w), until_s=now_s + LIFE_S, now_s=now_s)
    trust = rng.random()
    if trust < 0.08:
        grant.trust = TrustLevel.DEFIANT
    elif trust < 0.2:
        grant.trust, grant.factor = TrustLevel.OVERDRAWS, round(rng.uniform(1.01, 1.4), 4)
    return grant


def random_row(rng: random.Random, number: int, feeders: int) -> tuple[Row, Grant]:
    """A row as the loop makes it of a grant, a vehicle and a link."""
    rated_w = rng.choice([3_700, 7_400, 11_000, 22_000, 60_000, 150_000, 240_000])
    min_w = rng.choice([0, 1_380, min(4_140, rated_w), rated_w // 10])
    grant = random_grant(rng, rated_w, min_w)
    row = Row(ConnectorId(f"CP{number}", 1), rng.randrange(feeders), rated_w, min_w, told_w=grant.told_w, bound_w=grant.bound_w(NOW_S))
    row.resting_w = grant.resting_w()
    row.default_w = rated_w if grant.default_w is None else grant.default_w
    row.factor = grant.factor
    row.session = grant.in_session
    row.reachable = rng.random() < 0.9
    row.startable = not row.session and row.reachable and not grant.flights and grant.default_w is not None and rng.random() < 0.6
    row.ceiling_w = rng.choice([0, min_w, rated_w, rng.randint(min_w, rated_w)])
    row.plan_w = rng.choice([-1, 0, min_w // 2, rng.randint(0, rated_w), 10**9])
    row.rank = (float(rng.choice([0, 0, 0, -1])), rng.uniform(0, 50_000))
    row.pausable = rng.random() < 0.4
    row.on_off = grant.trust is TrustLevel.DEFIANT
    row.stuck = row.session and rng.random() < 0.1
    row.calm = rng.random() < 0.7
    row.renew = row.session and rng.random() < 0.3
    return row, grant


def random_state(rng: random.Random, *, most: int = 60) -> State:
    """A depot of 1 … ``most`` connectors behind 1 … 4 feeders, its budgets anywhere from hopeless to ample."""
    n_feeders = rng.randint(1, 4)
    pairs = [random_row(rng, i, n_feeders) for i in range(rng.randint(1, most))]
    rows = [row for row, _ in pairs]

    def budget(mine: list[Row]) -> Budget:
        bound = sum(r.bound_w for r in mine)
        rated = sum(r.rated_w for r in mine)
        now_w = rng.choice(
            [0, -5_000, bound, bound + rng.randint(0, 30_000), round(bound * rng.uniform(0.5, 1)), round(rated * rng.uniform(0, 1.2))]
        )
        return Budget(now_w, now_w if rng.random() < 0.7 else now_w - rng.randint(0, max(1, rated // 3)))

    feeders = [budget([r for r in rows if r.feeder == f]) for f in range(n_feeders)]
    return State(rows, [grant for _, grant in pairs], budget(rows), feeders, rng.random() < 0.1)


def cost(row: Row, level_w: int) -> int:
    """What a level may make a connector draw, by the definition of a bound; the tests' own words."""
    if row.on_off:
        if level_w == 0:
            return row.resting_w
        return row.bound_w if row.session and row.bound_w else row.rated_w
    base = max(row.resting_w, row.default_w, level_w) if level_w > 0 else row.resting_w
    return math.ceil(base * row.factor)


def _scopes(state: State) -> list[tuple[str, Budget, list[int]]]:
    every = list(range(len(state.rows)))
    feeders = [(f"feeder {f}", b, [i for i in every if state.rows[i].feeder == f]) for f, b in enumerate(state.feeders)]
    return [("site", state.site, every), *feeders]


def broken(state: State, result: Allocation) -> list[str]:
    """What is wrong with ``result``, in words; empty when every invariant of the limiter holds."""
    found: list[str] = []
    acted: dict[int, Action] = {}
    rising = False
    for action in result.actions:
        row = state.rows[action.row]
        if action.row in acted:
            found.append(f"{row.key}: two actions")
        acted[action.row] = action
        if rising and action.move in (Move.LOWER, Move.STOP):
            found.append("a decrease stands after an increase")
        rising = rising or action.move in UP
        if not row.reachable:
            found.append(f"{row.key}: acts on a station that can't be reached")
        if state.frozen and action.move in UP:
            found.append(f"{row.key}: {action.move} while frozen")
        if (action.move is Move.START) == row.session:
            found.append(f"{row.key}: {action.move} with session={row.session}")
        if action.move is Move.RENEW and action.level_w != row.told_w:
            found.append(f"{row.key}: a renewal changes the level")
        if action.move is not Move.RENEW and 0 < action.level_w < row.min_w:
            found.append(f"{row.key}: told {action.level_w} W below its minimum")
        if action.level_w > max(row.rated_w, row.told_w):
            found.append(f"{row.key}: told more than it can")
    found += judge_targets(state, result)
    found += _judge_bounds(state, result, acted)
    return found


def _fixed(state: State, result: Allocation, i: int) -> bool:
    row = state.rows[i]
    short = result.site_short_w > 0 or result.feeder_short_w[row.feeder] > 0
    return not row.reachable or not (row.session or row.startable) or (row.stuck and short)


def _floor(row: Row) -> int:
    """The level that a session keeps unless a limit forbids it, W: its minimum where it can't pause, all where it knows no level."""
    if not row.session or row.ceiling_w <= 0:
        return 0
    if row.on_off:
        return row.rated_w
    return row.min_w if row.told_w > 0 and not row.pausable else 0


def _drawn(row: Row, target: int) -> int:
    """What a target makes a connector draw while its controller lives."""
    if row.on_off or not row.session:
        return cost(row, target)
    return math.ceil((_floor(row) if target else 0) * row.factor) if _floor(row) or not target else cost(row, target)


def _hopeless(state: State, fixed: list[bool]) -> set[str]:
    """Where not even all floors fit. Whoever its feeder stops can leave more counted at the site than it drew: it could begin another
    session."""

    def least_w(i: int, *, stopped: bool) -> int:
        row = state.rows[i]
        if fixed[i]:
            return row.bound_w
        return max(cost(row, _floor(row)), cost(row, 0) if stopped else 0)

    (site_name, site, every), *feeders = _scopes(state)
    found = {name for name, budget, members in feeders if sum(least_w(i, stopped=False) for i in members) > budget.window_w}
    if sum(least_w(i, stopped=f"feeder {state.rows[i].feeder}" in found) for i in every) > site.window_w:
        found.add(site_name)
    return found


def judge_targets(state: State, result: Allocation) -> list[str]:
    found: list[str] = []
    fixed = [_fixed(state, result, i) for i in range(len(state.rows))]
    hopeless = _hopeless(state, fixed)
    for name, budget, members in _scopes(state):
        need = sum(state.rows[i].bound_w if fixed[i] else cost(state.rows[i], result.targets[i]) for i in members)
        if need <= budget.window_w:
            continue
        for i in members:  # it does not fit: nobody who can be told has more than a floor, and floors only if 0 W would do
            row = state.rows[i]
            if not fixed[i] and result.targets[i] > _floor(row):
                found.append(f"{name} does not fit ({need} of {budget.window_w} W) and {row.key} keeps {result.targets[i]} W")
        drawn = sum(state.rows[i].bound_w if fixed[i] else _drawn(state.rows[i], result.targets[i]) for i in members)
        if drawn > budget.window_w and any(not fixed[i] and result.targets[i] > 0 for i in members):
            found.append(f"{name} draws {drawn} of {budget.window_w} W and a floor was kept")
    for i, row in enumerate(state.rows):
        target = result.targets[i]
        if fixed[i]:
            continue
        if target < 0:
            if row.ceiling_w < 0 or -target > row.give_w:
                found.append(f"{row.key}: shall give {-target} W of {row.give_w} W")
            continue
        if target and not max(1, row.min_w) <= target <= row.rated_w:
            found.append(f"{row.key}: target {target} W is no level")
        if target > row.ceiling_w and not row.on_off and not (target == row.min_w and row.ceiling_w > 0):
            found.append(f"{row.key}: target {target} W above the ceiling {row.ceiling_w} W")
        if row.on_off and target not in (0, row.rated_w):
            found.append(f"{row.key}: target {target} W for a station that knows on and off only")
        if target < _floor(row) and not hopeless & {"site", f"feeder {row.feeder}"}:
            found.append(f"{row.key}: can't pause and fell below its minimum without need")
    return found


def _judge_bounds(state: State, result: Allocation, acted: dict[int, Action]) -> list[str]:
    found: list[str] = []
    before = [grant.bound_w(NOW_S) for grant in state.grants]
    for i, action in acted.items():
        if action.move is not Move.STOP:
            state.grants[i].send(action.level_w, until_s=NOW_S + LIFE_S, now_s=NOW_S)
    after = [grant.bound_w(NOW_S) for grant in state.grants]
    for name, budget, members in _scopes(state):
        was, will = sum(before[i] for i in members), sum(after[i] for i in members)
        if will > max(was, budget.window_w):
            found.append(f"{name}: bounds go from {was} to {will} W, allowed are {budget.window_w} W")
        short = was > budget.now_w
        for i in members:
            row, move = state.rows[i], acted.get(i)
            if short and move is not None and move.move in UP:
                found.append(f"{name} is short and {row.key} goes up")
            lowers = not _fixed(state, result, i) and row.session and result.targets[i] < min(row.told_w, row.bound_w)
            if short and lowers and (move is None or move.level_w > result.targets[i]) and row.bound_w >= cost(row, row.told_w):
                found.append(f"{name} is short and {row.key} is not told to go down")
    return found


def check(rng: random.Random, *, most: int = 60) -> list[str]:
    """One random state: allocate twice, judge once."""
    state = random_state(rng, most=most)
    result = allocate(state.rows, site=state.site, feeders=state.feeders, frozen=state.frozen)
    again = allocate([replace(row) for row in state.rows], site=state.site, feeders=state.feeders, frozen=state.frozen)
    return [*([] if again == result else ["the same state gave another answer"]), *broken(state, result)]


def timing(*, chargers: int, rounds: int, seed: int, clock: Callable[[], float] = time.perf_counter) -> tuple[float, float]:
    """Median and p99 of ``allocate()`` for a depot of this size, ms. States with every charger in use. ``clock``: the
    process's own time says more where others want the machine too."""
    rng = random.Random(seed)
    spent: list[float] = []
    for _ in range(max(1, rounds // 10)):
        rows = [random_row(rng, i, 8)[0] for i in range(chargers)]
        feeders = [Budget(w, w) for f in range(8) for w in [round(sum(r.rated_w for r in rows if r.feeder == f) * rng.uniform(0.3, 1))]]
        site_w = round(sum(b.now_w for b in feeders) * rng.uniform(0.4, 1))
        for _ in range(10):
            begun = clock()
            allocate(rows, site=Budget(site_w, site_w), feeders=feeders)
            spent.append((clock() - begun) * 1000)
    spent.sort()
    return statistics.median(spent), spent[min(len(spent) - 1, math.ceil(len(spent) * 0.99) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chargers", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    wrong = 0
    kinds: Counter[str] = Counter()
    for n in range(options.states):
        found = check(random.Random(f"{options.seed}/{n}"))
        if found:
            wrong += 1
            kinds[found[0].split(" W")[0]] += 1
            if wrong <= 5:
                print(f"state {options.seed}/{n}: {'; '.join(found[:3])}")
    print(f"n={options.states} broken={wrong} seed={options.seed}")
    median, p99 = timing(chargers=options.chargers, rounds=options.rounds, seed=options.seed)
    print(f"chargers={options.chargers} median_ms={median:.2f} p99_ms={p99:.2f} goal_ms={GOAL_MS:.0f}")
    return 0 if wrong == 0 and p99 <= GOAL_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
