"""Which bays stand beside a burning one, by the depot's layout. Worked out once, before anything burns; asked within a trip.

    Layout --ByLayout--> of(bay): those that it would set on fire by itself within :data:`BESIDE_MIN`, at the earliest

A bay without a place in the layout has the neighbours that its name gives it (:class:`~controller.neighbours.ByName`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bms_bridge.bay_propagation import beside
from bms_bridge.layout import Layout
from controller.neighbours import ByName, Neighbour

BESIDE_MIN: Final = 10.0
BUS_WH: Final = 300_000.0
"""Stored energy that every vehicle is taken to have: it moves the latest times only."""


class ByLayout:
    """Bays by how soon their vehicles would burn."""

    def __init__(self, layout: Layout) -> None:
        self._beside = beside(layout, BUS_WH)
        self._by_name = ByName()

    def of(self, bay: str, bays: Sequence[str]) -> Sequence[Neighbour]:
        """Of ``bays``, those that stand beside ``bay``; of those that have no place, those beside it by name."""
        known = self._beside.get(bay)
        if known is None:
            return self._by_name.of(bay, bays)
        here = set(bays)
        found = [Neighbour(r.bay_id, r.minutes_low, r.minutes_high) for r in known if r.minutes_low <= BESIDE_MIN and r.bay_id in here]
        return [*found, *(other for other in self._by_name.of(bay, bays) if other.bay not in self._beside)]
