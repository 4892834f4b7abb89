"""The limits of a plan, from what was built and what is in force.

    limits in force --site_limits()--> the site's, each with its source     feeders, cabinets --feeders_of()--> a tree with limits

A station that shares its power among its connectors (a cabinet with several outlets) is a feeder of its own in the plan, as it is
for the limiter. Both keep the whole tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np

from controller import limits
from depot.registry import DepotSpec
from depot.values import ConnectorId, Limit, LimitSource
from optimizer import Feeder, NamedLimit
from optimizer.site_limits import SILENT_KW


def site_limits(in_force: Sequence[Limit], kept_share: np.ndarray, *, start: datetime, slots: int, slot_s: int) -> tuple[NamedLimit, ...]:
    """The site's limits, one series per source; ``kept_share`` [slot]: the part of each limit that is planned on. Without any
    limit nothing is allowed."""
    by_source: dict[str, list[Limit]] = {}
    for limit in limits.of_scope(in_force, ""):
        by_source.setdefault(_source(limit), []).append(limit)
    order = {source.value: n for n, source in enumerate(LimitSource)}
    named = [
        NamedLimit(source, least_kw(its, start=start, slots=slots, slot_s=slot_s, silent_kw=SILENT_KW) * kept_share)
        for source, its in sorted(by_source.items(), key=lambda item: order.get(item[0], len(order)))
    ]
    unsaid = least_kw(limits.of_scope(in_force, ""), start=start, slots=slots, slot_s=slot_s, silent_kw=-1.0) < 0
    if unsaid.any():
        named.append(NamedLimit("unknown", np.where(unsaid, 0.0, SILENT_KW)))
    return tuple(named)


def least_kw(its: Iterable[Limit], *, start: datetime, slots: int, slot_s: int, silent_kw: float = 0.0) -> np.ndarray:
    """[slot] the least of some limits, kW, wherever one holds at any moment of a slot; ``silent_kw`` where none does."""
    least = np.full(slots, np.inf)
    for limit in its:
        first = max(0, math.floor((limit.from_ - start).total_seconds() / slot_s))
        stop = slots if limit.until is None else max(0, math.ceil((limit.until - start).total_seconds() / slot_s))
        np.minimum(least[first:stop], limit.value / 1000.0, out=least[first:stop])
    return np.where(np.isinf(least), silent_kw, least)


def feeders_of(spec: DepotSpec, limit_kw: Callable[[str], np.ndarray]) -> tuple[Feeder, ...]:
    """Feeders in the order of ``spec``, then the cabinets that share power; ``limit_kw``: of a feeder by its id, per slot."""
    feeders = {feeder.feeder_id for feeder in spec.feeders}
    place = {node: n for n, node in enumerate(spec.nodes)}
    return tuple(
        Feeder(
            node,
            limit_kw(node) if node in feeders else np.asarray(carries_w / 1000.0),
            place[spec.node_parents[node]] if node in spec.node_parents else None,
        )
        for node, carries_w in spec.nodes.items()
    )


def places(spec: DepotSpec) -> Mapping[ConnectorId, int]:
    """Of each connector, the place of what it hangs on in :func:`feeders_of`."""
    place = {node: n for n, node in enumerate(spec.nodes)}
    return {key: place[node] for key, node in spec.node_of.items()}


def _source(limit: Limit) -> str:
    """How people call who sets a limit of the site; a rating by the part that has it."""
    return limit.limit_id if limit.source is LimitSource.RATING else limit.source.value
