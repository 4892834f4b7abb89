"""The departures' room: the view of all stays. Announcing and cancelling are orders (:mod:`controller.orders`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from controller.departures_view import DeparturesView, departures_in_steps
from controller.readiness import Readiness
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot.commands import Command
from depot.state import Visit


class Departures:
    """``ready``: the prediction of one visit, as the other screens show it."""

    def __init__(self, yard: Yard, ready: Callable[[Visit, datetime], Readiness]) -> None:
        self.yard = yard
        self.ready = ready
        self.commands: Mapping[type[Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {DeparturesView: self._view}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _view(self, args: Mapping[str, str]) -> DeparturesView:
        steps = departures_in_steps(self.yard, self.ready, args)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                view: DeparturesView = done.value
                return view
            await asyncio.sleep(0)
