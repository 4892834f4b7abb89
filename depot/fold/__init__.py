"""fold(): the journal's facts become one immutable DepotState. The same journal gives the same state, always.

Envelope, Envelope, …  --fold-->  DepotState

Each module beside this one knows the facts of one part of the depot and says in ``APPLY`` what they change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from depot import events as ev
from depot.fold import connectors, limits, paid_sessions, protection, registry, station_orders, stays
from depot.fold.changes import Applied
from depot.state import DepotState

_PARTS = (connectors, paid_sessions, stays, registry, limits, protection, station_orders)
_APPLY: Applied = {kind: apply for part in _PARTS for kind, apply in part.APPLY.items()}
assert len(_APPLY) == sum(len(part.APPLY) for part in _PARTS), "a fact is applied twice"


def fold(state: DepotState, envelopes: Iterable[ev.Envelope]) -> DepotState:
    """Apply facts in journal order. Facts of a type that changes no state only move ``seq``."""
    for envelope in envelopes:
        apply = _APPLY.get(type(envelope.data))
        if apply is not None:
            state = apply(state, envelope.data, envelope)
        state = replace(state, seq=envelope.seq)
    return state
