"""What the chargers' meters say of the current behind a contactor. Reads the yard; of what is not known, the worst is assumed.

readings, sessions --current_a()--> A as if on one phase, None where something may flow and nobody tells
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from controller.output_areas import Areas
from controller.yard import Yard
from depot.outputs import Area, OutputSpec
from depot.registry import Current
from depot.values import ConnectorId

FRESH_S: Final = 10.0
"""A charger's meter that was silent for longer says nothing of the current."""

NOTHING_A: Final = 1.0
"""Below this a bay that no contactor cuts counts as without current: a charger's own electronics draw some."""

PHASE_V: Final = 230


def current_a(yard: Yard, key: ConnectorId, now: datetime, fresh_s: float) -> float | None:
    """What a connector draws from the grid, as if all of it on one phase."""
    grant, reading = yard.grants.get(key), yard.readings.get(key)
    if grant is None or (not grant.in_session and yard.state.transaction_on(key) is None):
        return 0.0
    if reading is None or reading.power_w is None or (now - reading.received_at).total_seconds() > fresh_s:
        return None
    spec = yard.spec.connectors[key]
    return abs(reading.power_w) / (spec.voltage_v if spec.current is Current.AC else PHASE_V)


def behind(yard: Yard, areas: Areas, output: OutputSpec, now: datetime, fresh_s: float = FRESH_S) -> tuple[float | None, bool]:
    """What flows through a contactor, and whether meters tell of more than it may open under."""
    currents = [current_a(yard, key, now, fresh_s) for key in areas.connectors(output.area)]
    known = [amperes for amperes in currents if amperes is not None]
    return (sum(known) if len(known) == len(currents) else None), sum(known) >= output.opens_below_a


def bays_in(areas: Areas, wanted: Iterable[Area]) -> set[Area]:
    """The bays of the areas that shall be isolated."""
    return {bay for area in wanted for bay in (areas.bay_of(s.station_id) for s in areas.stations(area)) if bay is not None}


def is_dead(yard: Yard, areas: Areas, bay: Area, now: datetime, fresh_s: float = FRESH_S) -> bool:
    """Whether it is known that no current flows in a bay."""
    currents = [current_a(yard, key, now, fresh_s) for key in areas.connectors(bay)]
    return all(amperes is not None and amperes < NOTHING_A for amperes in currents)
