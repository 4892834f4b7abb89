"""Changes that many facts make: one connector, one station, one stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from depot import events as ev
from depot.state import DepotState, StationFacts
from depot.values import ConnectorId

Applied = dict[type[ev.Event], Callable[[DepotState, Any, ev.Envelope], DepotState]]
"""What each type of fact does to the state."""


def with_connector(state: DepotState, key: ConnectorId, **changes: Any) -> DepotState:
    """One connector's facts changed; it need not have been known."""
    return replace(state, connectors={**state.connectors, key: replace(state.connector(key), **changes)})


def with_station(state: DepotState, station_id: str, **changes: Any) -> DepotState:
    """One station's facts changed; it need not have been known."""
    facts = state.stations.get(station_id) or StationFacts(station_id)
    return replace(state, stations={**state.stations, station_id: replace(facts, **changes)})


def with_visit(state: DepotState, visit_id: str | None, **changes: Any) -> DepotState:
    """One stay changed; nothing where there is none."""
    visit = state.visits.get(visit_id or "")
    if visit is None:
        return state
    return replace(state, visits={**state.visits, visit.visit_id: replace(visit, **changes)})
