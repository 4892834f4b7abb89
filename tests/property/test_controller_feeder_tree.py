"""A parent's budget, divided: its parts together never get more than it has, and none rises into what another still holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.allocation import Budget, Move, Row
from controller.feeder_tree import Load, above, below, divided, loads_of
from controller.limiter import allocate
from depot.values import ConnectorId

WATTS = st.integers(0, 500_000)


@st.composite
def trees(draw: st.DrawFn) -> tuple[dict[str, Budget], dict[str, Load], dict[str, str]]:
    names = [f"F{n}" for n in range(draw(st.integers(1, 7)))]
    parents = {name: names[draw(st.integers(0, n - 1))] for n, name in enumerate(names) if n and draw(st.booleans())}
    budgets = {}
    for name in names:
        now_w = draw(st.integers(-50_000, 500_000))
        budgets[name] = Budget(now_w, now_w - draw(st.sampled_from([0, 0, 30_000])))
    return budgets, {name: Load(draw(WATTS), draw(WATTS)) for name in names}, parents


@given(trees())
def test_who_keeps_every_part_keeps_the_whole(tree: tuple[dict[str, Budget], dict[str, Load], dict[str, str]]) -> None:
    budgets, loads, parents = tree
    parts = divided(budgets, loads, parents)
    assert parts.keys() == budgets.keys()
    for feeder, budget in budgets.items():
        its = below(feeder, parents)
        bound_w = sum(loads[each].bound_w for each in its)
        # what all are bound to once each has risen as far as its window lets it
        risen_w = sum(max(loads[each].bound_w, parts[each].window_w) for each in its)
        assert risen_w <= max(budget.window_w, bound_w), "somebody rose into what another still holds"
        if bound_w > budget.now_w:
            assert any(loads[each].bound_w > parts[each].now_w for each in its), "nobody gives way"
        assert sum(max(0, parts[each].window_w) for each in its) <= max(0, budget.window_w)
        assert all(parts[each].window_w <= parts[each].now_w for each in its)
        for part in above(feeder, parents):
            assert parts[feeder].now_w <= max(budgets[part].now_w, loads[feeder].bound_w)


@given(trees())
def test_feeders_side_by_side_are_not_touched(tree: tuple[dict[str, Budget], dict[str, Load], dict[str, str]]) -> None:
    budgets, loads, _ = tree
    assert divided(budgets, loads, {}) == budgets


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60_000), st.integers(20_000, 60_000)), min_size=1, max_size=12), WATTS)
def test_the_limiter_keeps_a_parent_look_after_look(connectors: list[tuple[int, int, int]], rating_w: int) -> None:
    """Each look's moves are taken at once; a rise never makes what hangs on the parent more than it carries, a cut ends below."""
    feeders, parents = ["hall", "row 1", "row 2"], {"row 1": "hall", "row 2": "hall"}
    own = {"hall": rating_w, "row 1": 80_000, "row 2": 1_000_000}
    budgets = {name: Budget(watts, watts) for name, watts in own.items()}
    told = {n: min(level_w, rated_w) for n, (_, level_w, rated_w) in enumerate(connectors)}
    for _ in range(40):
        rows = [
            Row(
                ConnectorId(f"CP-{n}", 1), feeder, rated_w, 0, ceiling_w=rated_w, told_w=told[n], bound_w=told[n], rank=(n, 0.0),
                session=True, pausable=True,
            )
            for n, (feeder, _, rated_w) in enumerate(connectors)
        ]  # fmt: skip
        before_w = sum(told.values())
        parts = divided(budgets, loads_of(rows, feeders), parents)
        result = allocate(rows, site=Budget(10**7, 10**7), feeders=[parts[name] for name in feeders])
        for action in result.actions:
            if action.move in (Move.LOWER, Move.RAISE):
                told[action.row] = action.level_w
        assert sum(told.values()) <= max(rating_w, before_w)
    assert sum(told.values()) <= rating_w
    wished_w = sum(rated_w for feeder, _, rated_w in connectors if feeder != 1)
    wished_w += min(80_000, sum(rated_w for feeder, _, rated_w in connectors if feeder == 1))
    assert sum(told.values()) >= min(rating_w, wished_w) - 3 * len(connectors) * 1_300, "power is left that somebody wants"
