"""The departures' room: the view of all stays, and the end of those that never happened. Announcing and cancelling are
orders (:mod:`controller.orders`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from controller.departures_view import DeparturesView, departures_in_steps
from controller.readiness import Readiness
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import events as ev
from depot.commands import Command
from depot.state import DepotState, Visit

MISSED_AFTER = timedelta(hours=2)
"""A stay whose vehicle has not come this long after its departure is over; until then the page shows it as late."""

MISSED_EVERY_S = 600.0


class Departures:
    """``ready``: the prediction of one visit, as the other screens show it."""

    def __init__(self, yard: Yard, ready: Callable[[Visit, datetime], Readiness]) -> None:
        self.yard = yard
        self.ready = ready
        self.commands: Mapping[type[Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {DeparturesView: self._view}

    async def run(self) -> None:
        """Take missed stays off the list, so that it does not grow with every vehicle that never came."""
        while True:
            await self.yard.clock.sleep(MISSED_EVERY_S)
            now = self.yard.clock.now()
            facts = [ev.NewEvent(ev.VisitCancelled(visit_id), now) for visit_id in missed(self.yard.state, now)]
            if facts:
                await self.yard.journal.append(facts)

    async def _view(self, args: Mapping[str, str]) -> DeparturesView:
        steps = departures_in_steps(self.yard, self.ready, args)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                view: DeparturesView = done.value
                return view
            await asyncio.sleep(0)


def missed(state: DepotState, now: datetime) -> list[str]:
    """Stays whose time is over and whose vehicle is not here."""
    return [key for key, visit in state.visits.items() if not visit.present and visit.announced.depart_at + MISSED_AFTER < now]
