"""A paid session through the whole depot, over real sockets between real processes: mandate, gate, session, bill, notice,
debit, webhooks that come twice, out of order and with a wrong signature; the ledger's sum is 0 at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from benchmarks.real_depot import ROOT, RealDepot, open_depot, tell
from controller.payments_view import BillView, PaymentsView
from depot import commands as cmd
from depot.values import ConnectorId
from payments.process import WEBHOOK_PATH
from payments.webhooks import signature
from simulator.day import Day, Stay
from simulator.demo_day import demo_spec
from simulator.payer import Payer
from tests.paid_depot_kit import MONEY, SECRETS

pytestmark = [pytest.mark.anyio, pytest.mark.apart, pytest.mark.timeout(240)]

CONTACT, TAG = "+919000000001", "CARD-7"
PATIENCE_S = 100.0


@dataclass(frozen=True)
class Paid:
    depot: RealDepot
    payer: Payer

    async def view(self) -> PaymentsView:
        found = await self.depot.link.show(PaymentsView)
        assert found is not None
        return found

    async def until(self, done: Callable[[PaymentsView], bool], what: str) -> PaymentsView:
        view = await self.view()
        async with asyncio.timeout(PATIENCE_S):
            while not done(view):
                await asyncio.sleep(0.2)
                view = await self.view()
        assert done(view), what
        return view

    async def order(self, command: cmd.Command) -> cmd.CommandResult:
        return await tell(self.depot.link, command)

    async def mandate(self) -> None:
        command = cmd.RegisterMandate(
            command_id="mandate 1", actor="demo", reason="new driver", driver_id="driver 7", id_tag=TAG, max_amount_paise=5_000_00,
            expire_at=datetime.now(UTC) + timedelta(days=365), name="Rani", email="rani@example.org", contact=CONTACT,
        )  # fmt: skip
        result = await self.order(command)
        assert result.status is cmd.CommandStatus.DONE, result.message

    def books(self, sql: str) -> list[tuple[object, ...]]:
        return rows(self.depot.folder / f"{self.depot.settings.depot.id}-mock-gateway.db", sql)

    def money(self, sql: str) -> list[tuple[object, ...]]:
        return rows(self.depot.settings.payments_database, sql)


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(sql).fetchall()


@contextlib.contextmanager
def process(name: str, config: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("ab") as log:
        child = subprocess.Popen([sys.executable, "-m", f"controller.app.{name}_process", str(config)], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield child
    finally:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
        if child.poll() is None:
            child.kill()
            child.wait()


def one_vehicle() -> Day:
    spec = demo_spec()
    first = spec.stations[0]
    connector = first.connectors[0]
    stay = Stay(
        "VISITOR", ConnectorId(first.station_id, 1), 0.5, 3000.0, 3000.0, 60_000, 60_000, connector.rated_w, connector.min_w, 80_000, 0.2,
        0.95, len(connector.phases) or 3,
    )  # fmt: skip
    return Day("a visitor", datetime.now(UTC), 4000, spec, (stay,), base_w=((0.0, 30_000),), price=((0.0, 7.0),), currency="INR")


@pytest.fixture
async def paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Paid]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    day = one_vehicle()
    async with contextlib.AsyncExitStack() as rim:
        depot = await rim.enter_async_context(open_depot(day, speed=1, seed=1, personas={}, extra=MONEY, announce=False, folder=tmp_path))
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


async def answers(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await client.get(url)
                return
            await asyncio.sleep(0.1)


async def charge(paid: Paid, least_wh: int) -> None:
    """The driver holds the card to the reader until the session runs, and leaves it running for a while."""
    depot = paid.depot
    key = depot.day.stays[0].connector
    station = depot.world.stations[key.station_id]
    await wait_for(lambda: station.connection.hears)
    async with asyncio.timeout(PATIENCE_S):
        while station.transaction_id(1) is None:
            paid.payer.present(station)
            await asyncio.sleep(1.0)
    begin = depot.world.plant.register_wh(key)
    await wait_for(lambda: depot.world.plant.register_wh(key) - begin >= least_wh)
    station.unplugged(1)


async def wait_for(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not what():  # noqa: ASYNC110  # the plant tells nobody
            await asyncio.sleep(0.1)


async def test_from_mandate_to_debit(paid: Paid) -> None:
    depot = paid.depot
    key = depot.day.stays[0].connector
    station = depot.world.stations[key.station_id]
    assert (await paid.view()).bills == []

    # without an approved mandate: no, with a reason that a person can read
    await paid.mandate()
    shown = (await paid.view()).mandates[0]
    assert (shown.driver_id, shown.state) == ("driver 7", "intent_open")
    assert shown.intent_url is not None
    assert shown.intent_url.startswith("upi://mandate?")
    await wait_for(lambda: station.connection.hears)

    async def refused() -> PaymentsView:
        paid.payer.present(station)
        return await paid.view()

    async with asyncio.timeout(PATIENCE_S):
        while not (view := await refused()).refused:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.5)
    assert "waits for the driver's approval" in view.refused[0].message
    assert station.transaction_id(1) is None

    # approved: the same card starts a session, which is billed by what the meter said
    await paid.payer.approve_mandate()
    await paid.until(lambda v: v.mandates[0].state == "active", "mandate active")
    await charge(paid, least_wh=100)
    view = await paid.until(lambda v: bool(v.bills) and v.bills[0].stage == "captured", "debit captured")
    bill = view.bills[0]
    check_amounts(bill)
    assert paid.books("SELECT count(*), sum(amount) FROM payments WHERE kind = 'debit' AND status = 'captured'") == [(1, bill.total_paise)]
    assert await paid.payer.debited_paise() == [bill.total_paise]

    # webhooks: once more as they were, in the other order, and one that the gateway did not sign
    bodies = [str(body) for (body,) in paid.books("SELECT body FROM events ORDER BY seq DESC")]
    secret = SECRETS["CHARGEYARD_GATEWAY_WEBHOOK_SECRET"]
    url = f"http://127.0.0.1:{depot.settings.webhook_port}{WEBHOOK_PATH}"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for number, body in enumerate(bodies):
            headers = {"x-razorpay-signature": signature(body.encode(), secret), "x-razorpay-event-id": f"again-{number}"}
            assert (await client.post(url, content=body, headers=headers)).status_code == 200
            assert (await client.post(url, content=body, headers=headers)).status_code == 200
        forged = json.dumps(json.loads(bodies[0]) | {"event": "payment.captured"})
        answer = await client.post(url, content=forged, headers={"x-razorpay-signature": signature(b"something else", secret)})
        assert answer.status_code == 401
    view = await paid.until(lambda v: v.webhooks.forged == 1 and v.webhooks.pending == 0, "webhooks applied")
    assert view.webhooks.applied >= 2 * len(bodies)
    assert (view.webhooks.odd, view.webhooks.parked) == (0, 0)
    assert view.ledger.sound
    assert (view.ledger.sum_paise, view.ledger.owed_paise, view.ledger.collected_paise) == (0, 0, bill.total_paise)
    assert view.bills[0].stage == "captured"
    assert paid.books("SELECT count(*) FROM payments WHERE kind = 'debit'") == [(1,)]

    await killed_between_the_end_and_the_bill(paid)

    # nothing of the driver rests with the depot
    dump = "\n".join(str(row) for table in tables(depot.settings.payments_database) for row in paid.money(f"SELECT * FROM {table}"))
    journal = "\n".join(str(row) for row in rows(depot.settings.database, "SELECT * FROM events"))
    for secret_word in (CONTACT, CONTACT.removeprefix("+91"), "rani@example.org", "Rani"):
        assert secret_word not in dump
        assert secret_word not in journal


def check_amounts(bill: BillView) -> None:
    assert bill.energy_wh >= 100
    value = (bill.energy_wh * 1450 * 2 + 1000) // 2000  # paise, half up
    half = (value * 9 * 2 + 100) // 200
    assert (bill.taxable_paise, bill.tax_paise, bill.total_paise) == (value, 2 * half, value + 2 * half)
    assert bill.invoice_no.endswith("/000001")


def tables(database: Path) -> list[str]:
    return [str(name) for (name,) in rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")]


async def killed_between_the_end_and_the_bill(paid: Paid) -> None:
    """The journal has the session's end; whether the books have its bill, the next core finds out."""
    paid.depot.world.stations[paid.depot.day.stays[0].connector.station_id].plugged(1, "VISITOR")
    await charge(paid, least_wh=100)
    stopped = "SELECT count(*) FROM events WHERE type = 'transaction.session_stopped'"
    await wait_for(lambda: rows(paid.depot.settings.database, stopped) == [(2,)])
    await paid.depot.kill_core()
    view = await paid.until(lambda v: [bill.stage for bill in v.bills] == ["captured"] * 2, "both debits captured")
    assert (view.unbilled, view.ledger.sum_paise, view.ledger.owed_paise) == ([], 0, 0)
    billed = "SELECT count(*) FROM events WHERE type = 'payment.session_billed'"
    assert rows(paid.depot.settings.database, billed) == [(2,)]
    taken = "SELECT count(*), sum(amount) FROM payments WHERE kind = 'debit' AND status = 'captured'"
    assert paid.books(taken) == [(2, sum(bill.total_paise for bill in view.bills))]
