"""Money while sessions run, through one depot over real sockets: a block that is too small, a mandate that is revoked, a bus of
the fleet, and a station that let somebody charge while it was cut off. The four play at the same time, each at a station of its own:
energy has to flow in real seconds."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_payments_flow import answers, process, rows

from benchmarks.attacks import declared
from benchmarks.real_depot import RealDepot, open_depot, tell
from controller.driver_status import DriverSessionView, DriverStatusView
from controller.payments_view import BillView, PaymentsView
from depot import commands as cmd
from depot.events import VisitAnnounced
from depot.values import ConnectorId
from simulator.day import Day, Stay
from simulator.demo_day import demo_spec
from simulator.payer import Payer
from simulator.station import Station
from simulator.wire import dial
from tests.paid_depot_kit import SECRETS

pytestmark = [pytest.mark.anyio, pytest.mark.apart, pytest.mark.timeout(300)]

BESIDE = "CP-OFFLINE"
PATIENCE_S = 100.0
MONEY = """
[payments]
price_inr_per_kwh = 14.50
most_kwh = 20
least_kwh = 0.05
grace_kwh = 0.05
grace_min = 0.2
credit_limit_inr = 1000
cost_every_s = 1
mock = true
mock_notice_s = 0.5
mock_decide_s = 0.5
notice_h = 0
notice_margin_h = 0.0005
windows = ["00:00-00:00"]
lookup_s = 0.5
settle_min = 0.1
"""


@dataclass(frozen=True)
class Driver:
    """Somebody with a phone, a card and a vehicle that stands at a charger."""

    depot: RealDepot
    payer: Payer
    name: str
    key: ConnectorId

    @property
    def station(self) -> Station:
        return self.depot.world.stations[self.key.station_id]

    @property
    def charges(self) -> bool:
        return self.station.transaction_id(1) is not None

    async def mandate(self, mode: str, paise: int) -> None:
        """Asked for, approved in the UPI app, and known to be in force."""
        command = cmd.RegisterMandate(
            command_id=f"mandate of {self.name}", actor="demo", reason="new driver", driver_id=self.name, id_tag=self.payer.tag,
            max_amount_paise=paise, expire_at=datetime.now(UTC) + timedelta(days=60), name="Rani", email="rani@example.org",
            contact=self.payer.contact, mode=mode,
        )  # fmt: skip
        result = await tell(self.depot.link, command)
        assert result.status is cmd.CommandStatus.DONE, result.message
        await self.payer.approve_mandate(PATIENCE_S)
        await self.mandate_is("active")

    async def mandate_is(self, state: str) -> None:
        await self.status(lambda view: any(one.state == state for one in view.instruments))

    async def revokes(self) -> None:
        await self.payer.revoke()
        await self.mandate_is("cancelled")

    async def begins(self) -> None:
        """Holds the card to the reader until the session runs."""
        await wait_for(lambda: self.station.connection.hears)
        async with asyncio.timeout(PATIENCE_S):
            while not self.charges:
                self.payer.present(self.station)
                await asyncio.sleep(1.0)

    async def status(self, done: Callable[[DriverStatusView], bool] = lambda _: True) -> DriverStatusView:
        """What the driver's page shows, once it is so."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                view = await self.depot.link.show(DriverStatusView, driver_id=self.name)
                if view is not None and done(view):
                    return view
                await asyncio.sleep(0.3)

    async def session(self, done: Callable[[DriverSessionView], bool]) -> DriverSessionView:
        view = await self.status(lambda view: any(done(one) for one in view.sessions))
        return next(one for one in view.sessions if done(one))

    async def bill(self) -> BillView:
        """Of the driver's session, once it is there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                view = await self.depot.link.show(PaymentsView)
                for bill in view.bills if view is not None else ():
                    if bill.driver_id == self.name and bill.total_paise > 0:
                        return bill
                await asyncio.sleep(0.3)

    async def facts(self, kind: str) -> list[dict[str, Any]]:
        """Of the driver's session in the journal."""
        database = self.depot.settings.database
        said = await asyncio.to_thread(
            rows, database, f"SELECT type, data FROM events WHERE type IN ('{kind}', 'payment.session_admitted')"
        )
        all_ = [(str(type_), json.loads(str(data))) for type_, data in said]
        mine = {data["session_id"] for type_, data in all_ if type_ == "payment.session_admitted" and data["driver_id"] == self.name}
        return [data for type_, data in all_ if type_ == kind and data["session_id"] in mine]


async def wait_for(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not what():  # noqa: ASYNC110  # the plant tells nobody
            await asyncio.sleep(0.1)


def visitors() -> Day:
    """Three vehicles that nobody announced, at three chargers of 120 kW."""
    spec = demo_spec()
    stays = []
    for n, station in enumerate(spec.stations[:3]):
        first = station.connectors[0]
        key = ConnectorId(station.station_id, 1)
        stay = Stay(f"VISITOR-{n}", key, 0.5, 3000.0, 3000.0, 60_000, 60_000, first.rated_w, first.min_w, 80_000, 0.2, 0.95, 3)
        stays.append(stay)
    return Day("visitors", datetime.now(UTC), 4000, spec, tuple(stays), base_w=((0.0, 30_000),), price=((0.0, 7.0),), currency="INR")


async def test_money_while_sessions_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    day = visitors()
    async with contextlib.AsyncExitStack() as rim:
        depot = await rim.enter_async_context(
            open_depot(day, speed=1, seed=1, personas={}, extra=MONEY, announce=False, folder=tmp_path, beside=declared(BESIDE))
        )
        rim.enter_context(process("gateway", depot.config, tmp_path))
        rim.enter_context(process("payments", depot.config, tmp_path))
        url = f"http://127.0.0.1:{depot.settings.mock_gateway_port}"
        await answers(url + "/app")
        await answers(f"http://127.0.0.1:{depot.settings.webhook_port}/")
        drivers = []
        for n, key in enumerate([*(stay.connector for stay in day.stays), ConnectorId(BESIDE, 1)]):
            payer = await rim.enter_async_context(Payer(url, contact=f"+91900000000{n}", tag=f"CARD-{n}"))
            drivers.append(Driver(depot, payer, f"driver {n}", key))
        playing = asyncio.create_task(depot.world.run())
        try:
            async with asyncio.timeout(240), asyncio.TaskGroup() as group:
                for scene, driver in zip((small_block, revoked, bus, offline), drivers, strict=True):
                    group.create_task(scene(driver), name=scene.__name__)
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        view = await depot.link.show(PaymentsView)
        assert view is not None
        assert (view.ledger.sound, view.ledger.sum_paise) == (True, 0)


async def small_block(driver: Driver) -> None:
    """It carries a small session, which ends before the block is exceeded; the station shows what it cost."""
    await driver.mandate("reserve", 75_00)  # of which two minutes at the charger's full power are kept for its obeying
    before = await driver.status()
    assert (before.may_start, before.headline.key) == (True, "may_start.smaller")
    assert 50 <= before.room_wh < 2_000
    await driver.begins()
    await driver.session(lambda one: one.energy_wh > 0)
    await wait_for(lambda: not driver.charges)
    bill = await driver.bill()
    assert bill.total_paise <= 75_00
    assert bill.energy_wh >= before.room_wh - 10
    (asked,) = await driver.facts("payment.session_stop_asked")
    assert asked["why"] == "money_spent"
    database = driver.depot.settings.database
    ordered = await asyncio.to_thread(rows, database, "SELECT data FROM events WHERE type = 'command.action_requested'")
    stops = [data for (text,) in ordered if (data := json.loads(str(text)))["kind"] == "StopCharging"]
    assert asked["message"] in [stop["reason"] for stop in stops]
    shown = driver.station.answers.shown
    await wait_for(lambda: bool(shown.of("FinalCost")))
    (final,) = shown.of("FinalCost")
    assert round(final["cost"] * 100) == bill.total_paise
    assert final["priceText"].startswith(asked["message"])
    words = [said["priceText"] for said in shown.of("SetUserPrice")]
    assert "up to" in words[0]
    assert asked["message"] in words
    assert [said["cost"] for said in shown.of("RunningCost")] == sorted(said["cost"] for said in shown.of("RunningCost"))


async def revoked(driver: Driver) -> None:
    """A retail session ends after the grace."""
    await driver.mandate("autopay", 800_00)
    await driver.begins()
    await driver.session(lambda one: one.energy_wh > 0)
    await driver.payer.revoke()
    await driver.session(lambda one: one.told is not None and one.told.key in ("warned.mandate_lost", "stopped.mandate_lost"))
    await wait_for(lambda: not driver.charges)
    assert [fact["why"] for fact in await driver.facts("payment.session_stop_asked")] == ["mandate_lost"]
    assert (await driver.status(lambda view: not view.may_start)).headline.key == "may_start.ended"


async def bus(driver: Driver) -> None:
    """A bus of the fleet is not stopped though the mandate is revoked."""
    await driver.mandate("autopay", 800_00)
    await driver.begins()
    now = datetime.now(UTC)
    stay = VisitAnnounced("bus-12", "BUS 12", now, now + timedelta(hours=2), 60_000, 60_000, connector=driver.key, id_tag=driver.payer.tag)
    result = await tell(driver.depot.link, cmd.AnnounceVisit(command_id="bus", actor="demo", reason="it is ours", visit=stay))
    assert result.status in (cmd.CommandStatus.DONE, cmd.CommandStatus.ACCEPTED), result.message
    await driver.revokes()
    seen = (await driver.session(lambda one: one.energy_wh > 0)).energy_wh
    await driver.session(lambda one: one.energy_wh >= seen + 150)  # three times the grace
    assert driver.charges
    assert await driver.facts("payment.session_stop_asked") == await driver.facts("payment.session_warned") == []


async def offline(driver: Driver) -> None:
    """A session that began offline is billed, flagged and ended."""
    await driver.mandate("autopay", 800_00)
    await driver.revokes()
    depot = driver.depot
    port = depot.settings.ocpp_port
    wire = await dial(f"ws://127.0.0.1:{port}/ocpp", station_id=BESIDE, key=depot.passwords[BESIDE])
    began = (datetime.now(UTC) - timedelta(minutes=30)).isoformat(timespec="seconds").replace("+00:00", "Z")
    stopped = asyncio.Event()
    answered: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def hear() -> None:
        while True:
            frame = json.loads(await wire.recv())
            if frame[0] == 3:
                answered[frame[1]].set_result(frame[2])
            elif frame[2] == "RemoteStopTransaction":
                await wire.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
                stopped.set()
            else:
                await wire.send(json.dumps([4, frame[1], "NotImplemented", "", {}]))

    async def call(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        answered[action] = asyncio.get_running_loop().create_future()
        await wire.send(json.dumps([2, action, action, payload]))
        return await asyncio.wait_for(answered[action], 20)

    hearing = asyncio.create_task(hear())
    try:
        booted = await call("BootNotification", {"chargePointVendor": "Test", "chargePointModel": "Offline"})
        assert booted["status"] == "Accepted"
        await call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        begun = await call("StartTransaction", {"connectorId": 1, "idTag": driver.payer.tag, "meterStart": 1_000, "timestamp": began})
        assert begun["idTagInfo"]["status"] == "Accepted"  # it is owed: the station decided
        (unasked,) = await driver.facts("payment.session_unasked")
        assert (unasked["driver_id"], unasked["refusal"]) == (driver.name, "mandate_not_active")
        assert (await driver.session(lambda _: True)).unasked
        await asyncio.wait_for(stopped.wait(), PATIENCE_S)
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        end = {"transactionId": begun["transactionId"], "meterStop": 9_000, "timestamp": at, "reason": "Remote"}
        await call("StopTransaction", end)
        bill = await driver.bill()
        assert bill.total_paise == 136_88
        assert [fact["why"] for fact in await driver.facts("payment.session_stop_asked")] == ["not_allowed"]
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        await wire.close()
