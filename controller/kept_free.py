"""Connectors that are kept free for somebody: whom a reservation keeps away, asked before a session is begun."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from controller.yard import Yard
from depot.reservations import Reservation, kept_away
from depot.state import Visit
from depot.values import ConnectorId


def tags_of(yard: Yard, visit: Visit) -> set[str]:
    """Every token by which a visit's vehicle may be known."""
    stay = visit.announced
    vehicle = yard.state.vehicles.get(stay.vehicle_id)
    return {tag for tag in (stay.id_tag, stay.vehicle_id, *(vehicle.id_tags if vehicle is not None else ())) if tag}


def reserved_for_another(yard: Yard, key: ConnectorId, tags: Collection[str], now: datetime) -> Reservation | None:
    """The reservation for which nobody with these tags may begin a session there now; None: one may."""
    state = yard.state
    if not state.reservations:
        return None
    groups = {listed.group for tag in tags if (listed := state.id_token(tag)) is not None and listed.group}
    own = [other for other in yard.spec.connectors if other.station_id == key.station_id]
    free = sum(state.connector(other).transaction_id is None for other in own)
    return kept_away(
        state.reservations,
        station_id=key.station_id,
        connector=key.connector,
        tokens=tags,
        group=next(iter(groups), ""),
        free=free,
        now=now,
    )
