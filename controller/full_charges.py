"""The room that notices full batteries: a vehicle that was full for long enough, plugged in, has balanced its cells. That is a fact.

states of charge of present vehicles --FullSince--> VehicleBalanced --> the next full charge is due so many days later
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

from controller.room import Carrier, Viewer
from controller.wishes import FullSince, full_due
from controller.yard import Yard
from depot import events as ev
from depot.commands import Command

LOOK_EVERY_S = 60.0


class FullChargesRoom:
    """One per depot. Does nothing where the settings have no ``full_charges``."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._full = FullSince()
        self.commands: Mapping[type[Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {}

    async def run(self) -> None:
        """Look once a minute, until cancelled."""
        while True:
            await self._yard.clock.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Record who has been full for long enough, where that was due."""
        yard, rule = self._yard, self._yard.wishes.full_charges
        if rule is None or yard.journal.frozen:
            return
        now = yard.clock.now()
        present = yard.present_visits()
        said = {visit.visit_id: yard.soc[key] for key, visit in present.items() if key in yard.soc}
        vehicles = {visit.visit_id: visit.announced.vehicle_id for visit in present.values()}
        done = [vehicles[visit_id] for visit_id in self._full.seen(said, now, dwell=timedelta(minutes=rule.dwell_min))]
        facts = [ev.NewEvent(ev.VehicleBalanced(name), now) for name in done if full_due(yard.state, name, yard.wishes, now)]
        if facts:
            await yard.journal.append(facts)
