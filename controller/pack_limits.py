"""What a battery may take now, as a limit with its source and its words: for the reason chain, the planner's bound and the screens.

Guard's verdict (share of the level, watts at the battery) --> Yard.pack_share, Yard.pack_limit --Yard.allowed_w()--> limiter, planner
                                                                                         --limit_of()--> Limit, source battery
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from depot.values import ConnectorId, Limit, LimitSource, ScopeKind


@dataclass(frozen=True, slots=True)
class PackLimit:
    """What holds back the batteries of a vehicle, beside the share of its level. ``limit_w``: the most at the battery, W (None: no
    watts are said). ``text`` is for people."""

    limit_w: int | None = None
    text: str = ""

    def grid_w(self, efficiency: float) -> int | None:
        """The same at the charger, W."""
        return None if self.limit_w is None else int(self.limit_w / efficiency)


def limit_of(key: ConnectorId, allowed_w: int, held: PackLimit | None, now: datetime) -> Limit:
    """The limit of a connector by the battery on it (by safety, where it may take nothing)."""
    source = LimitSource.SAFETY if allowed_w <= 0 else LimitSource.BATTERY
    words = held.text if held is not None else ""
    return Limit(f"battery:{key}", ScopeKind.CONNECTOR, allowed_w, source, now, scope_id=str(key), reason=words)
