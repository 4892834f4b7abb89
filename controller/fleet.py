"""Whose vehicle charges: the own fleet's, or somebody's who pays.

A bus that misses its morning trip for a card's sake costs more than any bill, so what is the fleet's is never stopped for
money: by its tag, by its registration, or because an announced vehicle stands on the connector.
"""

from __future__ import annotations

from depot.state import OWN_STAY, DepotState, Transaction

__all__ = ["fleet_tag", "is_fleet"]

_GUEST = "guest/"
"""How stays begin that a person made up for a vehicle which nobody announced."""


def fleet_tag(state: DepotState, id_tag: str) -> bool:
    """Whether this tag, or vehicle id, is of an announced stay or a registered vehicle."""
    announced = any(id_tag in (visit.announced.id_tag, visit.announced.vehicle_id) for visit in state.visits.values())
    return announced or state.vehicle_by_tag(id_tag) is not None


def is_fleet(state: DepotState, transaction: Transaction) -> bool:
    """Whether this session charges a vehicle of the fleet, whoever's tag began it."""
    if fleet_tag(state, transaction.id_tag):
        return True
    visit = (state.visits.get(transaction.visit_id) if transaction.visit_id else None) or state.visit_on(transaction.connector)
    return visit is not None and not visit.visit_id.startswith((_GUEST, OWN_STAY))
