"""Who else watches what, for the alarm desk: parts of the core that are no rooms of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.alarms import Condition
from controller.meter_view import ToldBy
from controller.utility import Utility
from grid.limit_model import LimitState


@dataclass(frozen=True, slots=True)
class UtilityConditions:
    """The utility's link: whether the fail-safe limit holds because nothing valid was heard."""

    utility: Utility
    kinds: frozenset[str] = frozenset({"utility_silent"})

    def conditions(self, now: datetime) -> Sequence[Condition]:
        return [Condition("utility_silent")] if self.utility.verdict.state is LimitState.FAILSAFE else []


@dataclass(frozen=True, slots=True)
class MeterConditions:
    """The meter at the grid connection: whether what it tells fits together."""

    meter: ToldBy
    kinds: frozenset[str] = frozenset({"meter_doubtful"})

    def conditions(self, now: datetime) -> Sequence[Condition]:
        doubts = self.meter.doubts
        more = f" {len(doubts) - 1} more on the page Grid." if len(doubts) > 1 else ""
        return [Condition("meter_doubtful", title=f"The meter is in doubt: {doubts[0]}.{more}")] if doubts else []
