"""What drivers are shown of what they pay: once for each change, only where it can be shown, and never what nobody pays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from small_yard import NOW, ONE
from test_controller_billing import TAG, World

from controller.driver_costs import AVAILABLE, DriverCosts
from depot import events as ev
from depot.device_model import Variable
from depot.readings import MeterReading
from depot.values import Outcome
from ocpp_server.reply import Reply
from ocpp_server.version import Version


class Station:
    """A charger side that shows costs, where ``shows``."""

    def __init__(self) -> None:
        self.shows, self.outcome = True, Outcome.ACCEPTED
        self.speaks = Version.V201
        self.asked = 0
        self.told: list[Mapping[str, Any]] = []

    def version(self, station_id: str) -> Version:
        return self.speaks

    def connected(self, station_id: str) -> bool:
        return True

    def transaction_name(self, station_id: str, number: int) -> str:
        return f"tx-{number}"

    async def get_variables(self, station_id: str, *wanted: Variable) -> Mapping[Variable, str]:
        self.asked += 1
        return {AVAILABLE: "true"} if self.shows else {}

    async def get_configuration(self, station_id: str, *keys: str) -> Reply:
        self.asked += 1
        rows = [{"key": key, "readonly": True, "value": "true"} for key in keys]
        return Reply(Outcome.ACCEPTED, {"configurationKey": rows} if self.shows else {"unknownKey": list(keys)})

    async def call(self, station_id: str, action: str, payload: dict[str, object]) -> Reply:
        assert action == ("DataTransfer" if self.speaks is Version.V16 else "CostUpdated")
        self.told.append(payload)
        return Reply(self.outcome)

    def said(self) -> list[tuple[str, dict[str, Any]]]:
        """What was told by DataTransfer."""
        return [(str(told["messageId"]), json.loads(str(told["data"]))) for told in self.told]


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


def landed(world: World, costs: DriverCosts, *facts: ev.Event) -> None:
    """As the journal and the room's own loop do it."""
    for fact in facts:
        costs.landed([world.journal.put(ev.NewEvent(fact, NOW))], world.yard.state)

    async def until_told() -> None:
        while not costs._news.empty():
            await costs.say(*costs._news.get_nowait())

    asyncio.run(until_told())


def shown_16() -> tuple[World, Station, DriverCosts, str, int]:
    """A session at a station of 1.6 of which the room has heard."""
    world, station, costs = shown()
    station.speaks = Version.V16
    transaction = world.yard.state.transaction_on(ONE)
    assert transaction is not None
    admitted = next(e for e in world.journal.facts if isinstance(e.data, ev.SessionAdmitted))
    costs.landed([admitted], world.yard.state)
    landed(world, costs)
    return world, station, costs, transaction.session_id, transaction.transaction_id


def test_a_station_of_1_6_that_has_a_display_is_told_price_cost_words_and_the_end() -> None:
    world, station, costs, session_id, number = shown_16()
    ((message, price),) = station.said()
    assert (message, price["idToken"]) == ("SetUserPrice", TAG)
    assert "tax" in price["priceText"]
    reads(world, 2_000)
    asyncio.run(costs.tell())
    asyncio.run(costs.tell())
    message, running = station.said()[-1]
    assert (message, running["transactionId"], running["cost"], running["meterValue"]) == ("RunningCost", number, 17.12, 2_000)
    assert (running["state"], running["chargingPrice"]) == ("Charging", {"kWhPrice": 17.11})
    assert len(station.told) == 2
    landed(world, costs, ev.SessionStopAsked(session_id, "mandate_lost", "Charging ended: no mandate."))
    assert station.said()[-1] == ("SetUserPrice", {"idToken": TAG, "priceText": "Charging ended: no mandate."})
    landed(world, costs, ev.SessionBilled(session_id, 2_000, 34_22, "26-27/000001"))
    final = {"transactionId": number, "cost": 34.22, "priceText": "Charging ended: no mandate. 2.00 kWh: 34.22 INR with tax"}
    assert station.said()[-1] == ("FinalCost", final)
    assert station.asked == 1


def test_a_station_of_1_6_without_a_display_is_left_alone() -> None:
    world, station, costs = shown(shows=False)
    station.speaks = Version.V16
    reads(world, 2_000)
    asyncio.run(costs.tell())
    assert station.told == []
    world, station, costs, session_id, _ = shown_16()
    station.outcome = Outcome.UNSUPPORTED
    landed(world, costs, ev.SessionWarned(session_id, "top_up", "a"), ev.SessionWarned(session_id, "top_up", "b"))
    assert [said["priceText"] for _, said in station.said()][1:] == ["a"]


def test_a_session_of_before_a_restart_is_told_its_end_too() -> None:
    world, station, _, session_id, number = shown_16()
    station.told.clear()
    anew = DriverCosts(world.yard, lambda: world.desk.till, every_s=0)
    anew.stations = station

    async def lives() -> None:
        running = asyncio.create_task(anew.run())
        await asyncio.sleep(0)
        anew.landed([world.journal.put(ev.NewEvent(ev.SessionBilled(session_id, 2_000, 34_22), NOW))], world.yard.state)
        async with asyncio.timeout(5):
            while not station.told:  # noqa: ASYNC110  # the room tells nobody when it is done
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(lives())
    assert station.said() == [("FinalCost", {"transactionId": number, "cost": 34.22, "priceText": "2.00 kWh: 34.22 INR with tax"})]


def test_a_session_that_the_depot_has_ended_says_why_with_its_cost() -> None:
    world, _, costs = shown()
    transaction = world.yard.state.transaction_on(ONE)
    assert transaction is not None
    world.journal.put(ev.NewEvent(ev.SessionStopAsked(transaction.session_id, "money_spent", "Charging ended: spent."), NOW))
    priced = costs.costs_of(transaction.transaction_id)
    assert priced is not None
    assert priced(2_000).message == "Charging ended: spent. 1.00 kWh: 17.12 INR with tax"
