"""Which limit holds for site and feeders, now and over the life of a profile. Pure functions of (facts, now).

The least of all limits in force binds; each keeps its source, so that a screen can say who set it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from controller.allocation import Budget
from depot.registry import DepotSpec
from depot.values import ConnectorId, Limit, LimitKind, LimitSource, Quantity, ScopeKind

_LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def built_in(spec: DepotSpec) -> tuple[Limit, ...]:
    """The limits that were built: the contract of the connection and the rating of every feeder."""
    site = Limit("contract", ScopeKind.SITE, spec.contract_w, LimitSource.CONTRACT, _LONG_AGO, set_by="contract")
    feeders = (
        Limit(f"rating:{f.feeder_id}", ScopeKind.FEEDER, f.rating_w, LimitSource.RATING, _LONG_AGO, scope_id=f.feeder_id, set_by="registry")
        for f in spec.feeders
    )
    return (site, *feeders)


def failsafe(spec: DepotSpec, since: datetime, *, cause: str = "meter", reason: str = "no meter value for 30 s") -> Limit:
    """What holds while the connection-point meter is blind (invariant 9), or the clock is suspect."""
    return Limit(f"failsafe:{cause}", ScopeKind.SITE, spec.failsafe_w, LimitSource.FAILSAFE, since, set_by="controller", reason=reason)


def of_scope(limits: Iterable[Limit], scope_id: str) -> list[Limit]:
    """Instant power limits of the site (""), of one feeder, or of a connector such as CP1/1."""
    return [limit for limit in limits if limit.scope_id == scope_id and _instant_power(limit)]


def by_scope(limits: Iterable[Limit]) -> dict[str, list[Limit]]:
    """The limits of :func:`of_scope`, of every scope at once."""
    found: dict[str, list[Limit]] = {}
    for limit in limits:
        if _instant_power(limit):
            found.setdefault(limit.scope_id, []).append(limit)
    return found


def _instant_power(limit: Limit) -> bool:
    return limit.scope is not ScopeKind.PHASE and limit.kind is LimitKind.INSTANT and limit.quantity is Quantity.W


def binding(limits: Iterable[Limit], scope_id: str, at: datetime) -> Limit | None:
    """The limit that binds at ``at``: the least in force; among equals the source that stands first."""
    order = list(LimitSource)
    in_force = [limit for limit in of_scope(limits, scope_id) if limit.holds_at(at)]
    return min(in_force, key=lambda limit: (limit.value, order.index(limit.source)), default=None)


def budget(limits: Iterable[Limit], scope_id: str, *, now: datetime, life: timedelta) -> Budget:
    """Watts allowed at ``now``, and at every moment of [now, now + life): what a profile sent now must respect."""
    mine = of_scope(limits, scope_id)
    now_w = min((limit.value for limit in mine if limit.holds_at(now)), default=0)
    window_w = min((limit.value for limit in mine if limit.touches(now, now + life)), default=0)
    return Budget(now_w, min(now_w, window_w))


def steps(limits: Iterable[Limit], scope_id: str, *, start: datetime, stop: datetime) -> list[tuple[datetime, Limit]]:
    """Who binds from when on over [start, stop): one entry per change."""
    mine = of_scope(limits, scope_id)
    cuts = {start}
    for limit in mine:
        cuts.update(at for at in (limit.from_, limit.until) if at is not None and start < at < stop)
    out: list[tuple[datetime, Limit]] = []
    for at in sorted(cuts):
        binds = binding(mine, scope_id, at)
        if binds is not None and (not out or out[-1][1].limit_id != binds.limit_id):
            out.append((at, binds))
    return out


def of_connectors(limits: Iterable[Limit], *, now: datetime, life: timedelta) -> dict[ConnectorId, int]:
    """Watts that each limited connector may draw at every moment of [now, now + life)."""
    out: dict[ConnectorId, int] = {}
    for limit in limits:
        if limit.scope is ScopeKind.CONNECTOR and limit.touches(now, now + life):
            key = ConnectorId.parse(limit.scope_id)
            out[key] = min(limit.value, out.get(key, limit.value))
    return out
