"""Money while a session runs, through a whole depot over real sockets: a block that is too small, a mandate that is revoked, a
bus of the fleet, and a station that let somebody charge while it was cut off. Each takes real seconds: energy has to flow."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_payments_flow import CONTACT, SECRETS, TAG, Paid, answers, one_vehicle, process, rows, wait_for

from benchmarks.attacks import declared
from benchmarks.real_depot import open_depot
from controller.driver_status import DriverSessionView, DriverStatusView
from controller.payments_view import PaymentsView
from depot import commands as cmd
from depot.events import VisitAnnounced
from simulator.payer import Payer
from simulator.wire import dial

pytestmark = [pytest.mark.anyio, pytest.mark.apart, pytest.mark.timeout(240)]

BESIDE = "CP-OFFLINE"
MONEY = """
[payments]
price_inr_per_kwh = 14.50
most_kwh = 20
least_kwh = 0.05
grace_kwh = 0.05
grace_min = 0.2
credit_limit_inr = 1000
mock = true
mock_notice_s = 0.5
mock_decide_s = 0.5
notice_h = 0
notice_margin_h = 0.0005
windows = ["00:00-00:00"]
lookup_s = 0.5
settle_min = 0.1
"""


@pytest.fixture
async def paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Paid]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    async with contextlib.AsyncExitStack() as rim:
        depot = await rim.enter_async_context(
            open_depot(one_vehicle(), speed=1, seed=1, personas={}, extra=MONEY, announce=False, folder=tmp_path, beside=declared(BESIDE))
        )
        rim.enter_context(process("gateway", depot.config, tmp_path))
        rim.enter_context(process("payments", depot.config, tmp_path))
        url = f"http://127.0.0.1:{depot.settings.mock_gateway_port}"
        await answers(url + "/app")
        await answers(f"http://127.0.0.1:{depot.settings.webhook_port}/")
        payer = await rim.enter_async_context(Payer(url, contact=CONTACT, tag=TAG))
        playing = asyncio.create_task(depot.world.run())
        try:
            yield Paid(depot, payer)
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


async def mandate(paid: Paid, mode: str, paise: int) -> None:
    """Asked for, approved in the UPI app, and known to be in force."""
    command = cmd.RegisterMandate(
        command_id=f"mandate {mode}", actor="demo", reason="new driver", driver_id="driver 7", id_tag=TAG, max_amount_paise=paise,
        expire_at=datetime.now(UTC) + timedelta(days=60), name="Rani", email="rani@example.org", contact=CONTACT, mode=mode,
    )  # fmt: skip
    result = await paid.order(command)
    assert result.status is cmd.CommandStatus.DONE, result.message
    await paid.payer.approve_mandate()
    await paid.until(lambda v: any(m.state == "active" for m in v.mandates), "mandate active")


async def status(paid: Paid) -> DriverStatusView:
    view = await paid.depot.link.show(DriverStatusView, driver_id="driver 7")
    assert view is not None
    return view


async def begin(paid: Paid) -> None:
    """The driver holds the card to the reader until the session runs."""
    depot = paid.depot
    station = depot.world.stations[depot.day.stays[0].connector.station_id]
    await wait_for(lambda: station.connection.hears)
    async with asyncio.timeout(60):
        while station.transaction_id(1) is None:
            paid.payer.present(station)
            await asyncio.sleep(1.0)


def running(paid: Paid) -> bool:
    depot = paid.depot
    return depot.world.stations[depot.day.stays[0].connector.station_id].transaction_id(1) is not None


async def session(paid: Paid, done: Callable[[DriverSessionView], bool]) -> DriverSessionView:
    """What the driver sees of the session, once it is so."""
    async with asyncio.timeout(60):
        while True:
            for one in (await status(paid)).sessions:
                if done(one):
                    return one
            await asyncio.sleep(0.2)


def facts(paid: Paid, kind: str) -> list[dict[str, Any]]:
    return [json.loads(str(data)) for (data,) in rows(paid.depot.settings.database, f"SELECT data FROM events WHERE type = '{kind}'")]


async def test_a_block_that_is_too_small_carries_a_small_session_that_ends_before_it_is_exceeded(paid: Paid) -> None:
    await mandate(paid, "reserve", 40_00)
    before = await status(paid)
    assert (before.may_start, before.headline.key) == (True, "may_start.smaller")
    assert 50 <= before.room_wh < 2_000
    await begin(paid)
    await session(paid, lambda one: one.energy_wh > 0)
    await wait_for(lambda: not running(paid))
    view: PaymentsView = await paid.until(lambda v: bool(v.bills) and v.bills[0].total_paise > 0, "billed")
    assert view.bills[0].total_paise <= 40_00
    assert view.bills[0].energy_wh >= before.room_wh
    (asked,) = facts(paid, "payment.session_stop_asked")
    assert asked["why"] in ("energy_spent", "money_spent")
    ordered = [fact for fact in facts(paid, "command.requested") if fact["kind"] == "StopCharging"]
    assert ordered[0]["reason"].startswith("Charging ended: ")


async def test_a_revoked_mandate_ends_a_retail_session_after_the_grace(paid: Paid) -> None:
    await mandate(paid, "autopay", 800_00)
    await begin(paid)
    await session(paid, lambda one: one.energy_wh > 0)
    await paid.payer.revoke()
    await session(paid, lambda one: one.told is not None and one.told.key in ("warned.mandate_lost", "stopped.mandate_lost"))
    await wait_for(lambda: not running(paid))
    assert [fact["why"] for fact in facts(paid, "payment.session_stop_asked")] == ["mandate_lost"]
    assert (await status(paid)).headline.key == "may_start.ended"


async def test_a_bus_of_the_fleet_is_not_stopped_though_the_mandate_is_revoked(paid: Paid) -> None:
    await mandate(paid, "autopay", 800_00)
    await begin(paid)
    now, key = datetime.now(UTC), paid.depot.day.stays[0].connector
    stay = VisitAnnounced("bus-12", "BUS 12", now, now + timedelta(hours=2), 60_000, 60_000, connector=key, id_tag=TAG)
    result = await paid.order(cmd.AnnounceVisit(command_id="bus", actor="demo", reason="it is ours", visit=stay))
    assert result.status in (cmd.CommandStatus.DONE, cmd.CommandStatus.ACCEPTED), result.message
    await paid.payer.revoke()
    await paid.until(lambda v: v.mandates[0].state == "cancelled", "mandate cancelled")
    seen = (await session(paid, lambda one: one.energy_wh > 0)).energy_wh
    await session(paid, lambda one: one.energy_wh >= seen + 150)  # three times the grace
    assert running(paid)
    assert facts(paid, "payment.session_stop_asked") == facts(paid, "payment.session_warned") == []


async def test_a_session_that_began_offline_is_billed_flagged_and_ended(paid: Paid) -> None:
    await mandate(paid, "autopay", 800_00)
    await paid.payer.revoke()
    await paid.until(lambda v: v.mandates[0].state == "cancelled", "mandate cancelled")
    depot = paid.depot
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
        begun = await call("StartTransaction", {"connectorId": 1, "idTag": TAG, "meterStart": 1_000, "timestamp": began})
        assert begun["idTagInfo"]["status"] == "Accepted"  # it is owed: the station decided
        (unasked,) = facts(paid, "payment.session_unasked")
        assert (unasked["driver_id"], unasked["refusal"]) == ("driver 7", "mandate_not_active")
        assert (await status(paid)).sessions[0].unasked
        await asyncio.wait_for(stopped.wait(), 30)
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        end = {"transactionId": begun["transactionId"], "meterStop": 9_000, "timestamp": at, "reason": "Remote"}
        await call("StopTransaction", end)
        view = await paid.until(lambda v: bool(v.bills) and v.bills[0].total_paise > 0, "billed")
        assert (view.bills[0].driver_id, view.bills[0].total_paise) == ("driver 7", 136_88)
        assert [fact["why"] for fact in facts(paid, "payment.session_stop_asked")] == ["not_allowed"]
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        await wire.close()
