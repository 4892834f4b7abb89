"""What drivers are shown of what they pay: once for each change, only where it can be shown, and never what nobody pays."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from small_yard import NOW, ONE
from test_controller_billing import TAG, World

from controller.driver_costs import AVAILABLE, DriverCosts
from depot.device_model import Variable
from depot.readings import MeterReading
from depot.values import Outcome
from ocpp_server.reply import Reply
from ocpp_server.version import Version


class Station:
    """A charger side that shows costs, where ``shows``."""

    def __init__(self) -> None:
        self.shows, self.outcome = True, Outcome.ACCEPTED
        self.asked = 0
        self.told: list[Mapping[str, Any]] = []

    def version(self, station_id: str) -> Version:
        return Version.V201

    def connected(self, station_id: str) -> bool:
        return True

    def transaction_name(self, station_id: str, number: int) -> str:
        return f"tx-{number}"

    async def get_variables(self, station_id: str, *wanted: Variable) -> Mapping[Variable, str]:
        self.asked += 1
        return {AVAILABLE: "true"} if self.shows else {}

    async def call(self, station_id: str, action: str, payload: dict[str, object]) -> Reply:
        assert action == "CostUpdated"
        self.told.append(payload)
        return Reply(self.outcome)


def shown(*, tag: str = TAG, shows: bool = True) -> tuple[World, Station, DriverCosts]:
    """A session that runs, by somebody who pays."""
    world, station = World(), Station()
    station.shows = shows
    world.driver()
    world.start(tag=tag)
    costs = DriverCosts(world.yard, lambda: world.desk.till, every_s=60)
    costs.stations = station
    return world, station, costs


def reads(world: World, register_wh: int) -> None:
    transaction = world.yard.state.transaction_on(ONE)
    assert transaction is not None
    world.yard.readings[ONE] = MeterReading(ONE, NOW, NOW, energy_wh=register_wh, transaction_id=transaction.transaction_id)


def test_each_change_is_told_once() -> None:
    world, station, costs = shown()
    asyncio.run(costs.tell())
    assert station.told == [], "nothing was measured yet"
    for register_wh in (2_000, 2_000, 3_000):
        reads(world, register_wh)
        asyncio.run(costs.tell())
    assert [told["totalCost"] for told in station.told] == [17.12, 34.22]
    assert station.asked == 1, "what it can show is found out once"


def test_a_station_that_does_not_show_costs_or_cannot_take_them_is_left_alone() -> None:
    world, station, costs = shown(shows=False)
    reads(world, 2_000)
    asyncio.run(costs.tell())
    assert station.told == []
    world, station, costs = shown()
    station.outcome = Outcome.UNSUPPORTED
    for register_wh in (2_000, 3_000):
        reads(world, register_wh)
        asyncio.run(costs.tell())
    assert len(station.told) == 1


def test_the_final_cost_is_that_of_the_bill_and_fleets_have_none() -> None:
    world, _, costs = shown()
    transaction = world.yard.state.transaction_on(ONE)
    assert transaction is not None
    priced = costs.costs_of(transaction.transaction_id)
    assert priced is not None
    assert priced(11_000).total_paise == 14_500 + 2 * 1_305
    assert priced(500).total_paise == 0, "a register that runs backwards costs nothing"
    assert costs.costs_of(99) is None
    world, _, costs = shown(tag="NOBODY")
    transaction = world.yard.state.transaction_on(ONE)
    assert transaction is None or costs.costs_of(transaction.transaction_id) is None
