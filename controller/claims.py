"""Room for what people send to stations beside the loop: counted before it leaves, or it does not leave (invariant 1).

lacks_w(keys, levels)   how much is missing on the site, a feeder or a shared cabinet; 0: there is room
claim / unclaim         count a level until it has expired, or certainly had no effect
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.allocation import Budget
from controller.yard import Yard
from depot.values import ConnectorId


@dataclass(frozen=True, slots=True)
class Budgets:
    """What connectors may draw by the loop's last look, W; before the first one: nothing."""

    site: Budget = field(default_factory=lambda: Budget(0, 0))
    feeders: Mapping[str, Budget] = field(default_factory=dict)


class Claims:
    """``budgets``: of the last look. ``changed``: called when the account of a connector has changed."""

    def __init__(self, yard: Yard, *, budgets: Callable[[], Budgets], changed: Callable[[], None]) -> None:
        self._yard = yard
        self._budgets = budgets
        self._changed = changed

    def lacks_w(self, levels_w: Mapping[ConnectorId, int]) -> int:
        """How much is missing for these connectors to draw these levels beside all that is counted now, W."""
        yard, now_s, budgets = self._yard, self._now_s(), self._budgets()
        bounds_w = {key: grant.bound_w(now_s) for key, grant in yard.grants.items() if not grant.idle}
        wanted_w: dict[str, int] = {}
        for key, level_w in levels_w.items():
            feeder_id = yard.spec.node_of[key]
            wanted_w[feeder_id] = wanted_w.get(feeder_id, 0) + max(0, level_w - bounds_w.get(key, 0))
        lacking = [sum(wanted_w.values()) - (budgets.site.now_w - sum(bounds_w.values()))]
        for feeder_id, watts in wanted_w.items():
            here_w = sum(bound_w for key, bound_w in bounds_w.items() if yard.spec.node_of[key] == feeder_id)
            left_w = budgets.feeders[feeder_id].now_w - here_w if feeder_id in budgets.feeders else 0
            lacking.append(watts - left_w)
        return max(0, *lacking) if any(wanted_w.values()) else 0

    def claim(self, key: ConnectorId, level_w: int, *, for_s: float) -> int:
        """Count that a connector may draw ``level_w`` for so long; returns the claim's number."""
        now_s = self._now_s()
        number = self._yard.grants[key].send(level_w, until_s=now_s + for_s, now_s=now_s)
        self._changed()
        return number

    def unclaim(self, key: ConnectorId, number: int) -> None:
        """What was claimed certainly had no effect."""
        self._yard.grants[key].refused(number)
        self._changed()

    def by_hand(self, keys: Sequence[ConnectorId]) -> None:
        """The facts of which profiles people put on these connectors have changed."""
        for key in keys:
            self._yard.grants[key].by_hand = bool(self._yard.state.by_hand(key))
        self._changed()

    def _now_s(self) -> float:
        return self._yard.clock.now().timestamp()
