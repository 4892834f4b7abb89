"""The room as the depot uses it, against the mock gateway on a real socket: mandate, gate, session, debit, refund."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
import uvicorn

import payments
from controller.clock import SystemClock
from payments import GatewayTrouble, Refused, ledger
from payments.chores import Chores
from payments.gate import Ask, GateRefusal
from payments.keys import GatewayKeys
from payments.ledger import Account
from payments.mock_gateway.bank import Bank
from payments.mock_gateway.control import settle_now
from payments.mock_gateway.sender import Sender
from payments.mock_gateway.serve import create_app, open_bank
from payments.mock_gateway.settings import MockSettings
from payments.money import EnergyLine
from payments.process import WEBHOOK_PATH, receiver
from payments.razorpay import RazorpayGateway
from payments.records import EventState
from payments.rules import Rules
from payments.service import Payments, Terms
from payments.settlements import reconciliation
from payments.statements import mismatches
from payments.states import MandateState, Stage
from payments.tables import WebhookRow
from payments.webhooks import Receipt, Webhooks, signature
from payments.worker import Worker
from storage import Store

pytestmark = pytest.mark.anyio

OLD, NEW = "the-old-webhook-secret", "the-new-webhook-secret"
KEYS = GatewayKeys("rzp_test_yard", "only-for-this-test-1", (NEW, OLD))
QUICK = Rules(
    notice=timedelta(0),
    notice_margin=timedelta(0),
    windows=((datetime.min.time(), datetime.min.time()),),
    lookup_spacing=timedelta(seconds=0.2),
    settle=timedelta(seconds=1),
    retry_wait=timedelta(seconds=0.1),
    cut_off=None,
    ask_second_factor=True,
)


@dataclass
class World:
    """Depot's side and gateway's side, one loop."""

    desk: Payments
    worker: Worker
    gateway: RazorpayGateway
    bank: Bank
    webhooks: Webhooks
    url: str

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not done():  # noqa: ASYNC110  # rows of another task, not an event
                await asyncio.sleep(0.05)

    def stage(self, session_id: str) -> Stage:
        return next(view.stage for view in self.desk.bills() if view.bill_id == session_id)

    def mandate_state(self, driver: str = "rani") -> MandateState:
        view = self.desk.mandates.of(driver)
        assert view is not None
        return view.state

    async def mandate(self, id_: str = "m1", *, max_amount_paise: int = 20_000_00) -> None:
        view = await self.desk.mandates.open(
            self.gateway,
            mandate_id=id_,
            driver_id="rani",
            name="Rani",
            email="rani@example.org",
            contact="+910000000000",
            max_amount_paise=max_amount_paise,
            expire_at=datetime.now(UTC) + timedelta(days=90),
        )
        assert view.intent_url is not None
        assert view.intent_url.startswith("upi://mandate?")
        await self.press("payments", view.intent_url.partition("tr=")[2].partition("&")[0], "approve")
        await self.until(lambda: self.mandate_state() is MandateState.ACTIVE)

    async def press(self, kind: str, id_: str, word: str) -> None:
        async with httpx.AsyncClient(timeout=60) as browser:
            answer = await browser.post(f"{self.url}/app/{kind}/{id_}/{word}", headers={"origin": self.url})
            assert answer.status_code == 303, answer.text

    def session(self, id_: str, total_wh: int, paise_per_kwh: int = 1_000) -> int:
        ends = datetime.now(UTC) + timedelta(hours=1)
        answer = self.desk.reserve(id_, "rani", Ask(worst_paise=1_00, ends_at=ends))
        assert answer.allowed, answer.message
        return self.desk.meter_session(id_, [EnergyLine(total_wh, Fraction(paise_per_kwh))]).total_paise


def debited(world: World) -> list[int]:
    """Amounts of the debits that the gateway has captured."""
    with world.bank.store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT amount FROM payments WHERE kind = 'debit' AND status = 'captured' ORDER BY created_at")
        return [int(amount) for (amount,) in rows]


def local_socket() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(16)
    return sock


@contextlib.asynccontextmanager
async def serving(app: object, sock: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, date_header=False, lifespan="off", ws="none", timeout_graceful_shutdown=1))  # type: ignore[arg-type]
    task = asyncio.create_task(server._serve([sock]))  # without uvicorn's signal handlers: this is a test's loop
    try:
        yield
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock, gateway_sock, webhook_sock = SystemClock(), local_socket(), local_socket()
    url = f"http://127.0.0.1:{gateway_sock.getsockname()[1]}"
    settings = MockSettings(
        database=tmp_path / "gateway.db",
        key_id=KEYS.key_id,
        key_secret=KEYS.key_secret,
        webhook_secret=OLD,
        webhook_url=f"http://127.0.0.1:{webhook_sock.getsockname()[1]}{WEBHOOK_PATH}",
        notice_s=0.1,
        decide_s=0.1,
    )
    bank, terms = open_bank(settings, clock), Terms(credit_limit_paise=90_000_00, rules=QUICK)
    with contextlib.closing(bank.store), Store.open(tmp_path / "payments.db") as store:
        store.migrate([payments])
        async with RazorpayGateway(f"{url}/v1", KEYS) as gateway:
            webhooks = Webhooks(store, "yard", clock, KEYS)
            worker = Worker(store, "yard", clock, gateway, terms, webhooks)
            async with serving(create_app(bank), gateway_sock), serving(receiver(webhooks, worker.wake), webhook_sock):
                running = [worker.run(), bank.run(), Sender(bank.store, settings, clock, bank.woken).run()]
                tasks = [asyncio.ensure_future(job) for job in running]
                yield World(Payments(store, "yard", clock, terms), worker, gateway, bank, webhooks, url)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_session_from_mandate_to_debit_to_refund(world: World) -> None:
    await world.mandate()
    total = world.session("s1", 12_340)
    assert world.session("s1", 12_340) == total  # asked again: the same bill
    with pytest.raises(Refused, match="other numbers"):
        world.desk.meter_session("s1", [EnergyLine(1, Fraction(1))])
    await world.until(lambda: world.stage("s1") is Stage.CAPTURED)
    with world.desk.store.unit() as session:
        assert ledger.balance(session, "yard", Account.RECEIVABLE, "rani") == 0
        assert ledger.balance(session, "yard", Account.CLEARING) == total
    world.desk.refund_bill("s1", why="meter was wrong")
    await world.until(lambda: world.stage("s1") is Stage.REFUNDED)
    with pytest.raises(Refused, match="no captured payment"):
        world.desk.refund_bill("s1", why="again")
    with world.desk.store.unit() as session:
        assert ledger.balance(session, "yard", Account.CLEARING) == 0
    assert world.desk.check_ledger().sound
    view = world.desk.bills()[0]
    assert view.invoice_no is not None
    assert view.invoice_no.endswith("/000001")


async def test_no_energy_is_no_debit(world: World) -> None:
    await world.mandate()
    assert world.session("s1", 0) == 0
    assert world.session("s2", 12) == 14  # ₹0.14 stays on the account
    await world.until(lambda: not world.worker.due(datetime.now(UTC)))
    assert [world.stage(s) for s in ("s1", "s2")] == [Stage.INVOICED] * 2
    assert world.desk.check_ledger().entries == 1


async def test_the_driver_pauses_resumes_and_revokes(world: World) -> None:
    await world.mandate()
    with world.bank.store.reading() as connection:
        token = str(connection.exec_driver_sql("SELECT id FROM tokens").scalar_one())
    ends = datetime.now(UTC) + timedelta(hours=1)
    await world.press("tokens", token, "pause")
    await world.until(lambda: world.mandate_state() is MandateState.PAUSED)
    assert world.desk.gate("rani", Ask(worst_paise=1, ends_at=ends)).refusal is GateRefusal.MANDATE_PAUSED
    await asyncio.sleep(1.1)  # the gateway's clock has seconds
    await world.press("tokens", token, "resume")
    await world.desk.mandates.look(world.worker.gateway, "m1")  # nobody tells of the end of a pause
    assert world.mandate_state() is MandateState.ACTIVE
    await world.press("tokens", token, "revoke")
    await world.until(lambda: world.mandate_state() is MandateState.CANCELLED)
    refused = world.desk.reserve("s9", "rani", Ask(worst_paise=1, ends_at=ends))
    assert refused.refusal is GateRefusal.MANDATE_NOT_ACTIVE
    assert world.desk.bills() == []


async def test_a_declined_debit_is_arrears_until_it_is_collected(world: World) -> None:
    await world.mandate()
    assert world.session("s1", 1_300) == 1534  # 1300 + 2 × 117
    world.session("s2", 1_000, 1_317)  # 1317 + 2 × 119 = 1555: payment_timed_out, tried three times more
    world.session("s3", 1_000, 1_315)  # 1315 + 2 × 118 = 1551: insufficient funds
    world.session("s4", 1_000, 1_316)  # 1316 + 2 × 118 = 1552: the bank's fault
    world.session("s5", 1_000, 1_316 + 1)
    world.session("s6", 10_000, 1_317)
    await world.until(lambda: all(world.stage(f"s{n}") is Stage.ARREARS for n in (2, 3, 4, 5)))
    await world.until(lambda: world.stage("s6") is Stage.CAPTURED)
    with world.bank.store.reading() as connection:
        tries = connection.exec_driver_sql("SELECT count(*) FROM payments WHERE amount = 1551").scalar_one()
        orders = connection.exec_driver_sql("SELECT count(*) FROM orders WHERE amount = 1551").scalar_one()
    assert (tries, orders) == (4, 1)  # one attempt, three retries, one order
    ends = datetime.now(UTC) + timedelta(hours=1)
    assert world.desk.gate("rani", Ask(worst_paise=1, ends_at=ends)).refusal is GateRefusal.IN_ARREARS
    world.desk.collect_again("s3")
    assert world.stage("s3") is not Stage.ARREARS
    with pytest.raises(Refused, match="not in arrears"):
        world.desk.collect_again("s3")
    assert world.desk.check_ledger().sound


async def test_a_debit_above_the_limit_waits_for_the_driver(world: World) -> None:
    await world.mandate()
    world.session("s1", 1_356_000)  # ₹16,000.80
    await world.until(lambda: world.stage("s1") is Stage.PENDING)
    with world.bank.store.reading() as connection:
        payment = str(connection.exec_driver_sql("SELECT id FROM payments WHERE kind = 'debit'").scalar_one())
    await world.press("payments", payment, "approve")
    await world.until(lambda: world.stage("s1") is Stage.CAPTURED)


async def test_more_than_the_mandate_allows_is_never_asked_for_at_once(world: World) -> None:
    await world.mandate(max_amount_paise=100_00)
    assert world.session("s1", 10_000) == 118_00
    await world.until(lambda: world.stage("s1") is Stage.INVOICED and world.desk.bills()[0].gave_up is None and debited(world) == [100_00])
    assert "driver" not in [kind for kind, _ in world.worker.due(datetime.now(UTC))], "the rest is for tomorrow, never inside one day"
    with world.desk.store.unit() as session:
        assert ledger.balance(session, "yard", Account.RECEIVABLE, "rani") == 18_00


async def test_reservations_share_one_room(world: World) -> None:
    await world.mandate(max_amount_paise=1_000_00)
    ends = datetime.now(UTC) + timedelta(hours=1)
    assert world.desk.reserve("s1", "rani", Ask(worst_paise=600_00, ends_at=ends)).allowed
    assert world.desk.reserve("s1", "rani", Ask(worst_paise=600_00, ends_at=ends)).allowed
    assert world.desk.reserve("s2", "rani", Ask(worst_paise=600_00, ends_at=ends)).refusal is GateRefusal.EXPOSURE


async def test_a_silent_gateway_is_said_and_the_mandate_can_be_set_up_later(world: World) -> None:
    with local_socket() as closed:
        port = closed.getsockname()[1]
    async with RazorpayGateway(f"http://127.0.0.1:{port}/v1", KEYS) as nobody:
        world.desk, real = world.desk, world.gateway
        world.gateway = nobody
        with pytest.raises(GatewayTrouble, match="no connection"):
            await world.mandate()
    world.gateway = real
    await world.mandate()


async def test_no_personal_data_rest_in_our_books(world: World) -> None:
    await world.mandate()
    dump = b"".join(path.read_bytes() for path in (world.desk.store.path or Path()).parent.glob("payments.db*"))
    assert b"rani@example.org" not in dump
    assert b"+910000000000" not in dump


# -- webhooks at the door -------------------------------------------------------------------------------------------------


async def test_a_webhook_with_a_wrong_amount_changes_nothing_and_an_unknown_order_waits(world: World) -> None:
    await world.mandate()
    total = world.session("s1", 12_340)
    await world.until(lambda: world.stage("s1") is Stage.CAPTURED)
    with world.desk.store.reading() as connection:
        order = connection.exec_driver_sql("SELECT order_id FROM payments_order").scalar_one()

    def tell(event_id: str, **entity: object) -> WebhookRow:
        payment = {"id": "pay_x", "status": "captured", "currency": "INR", "amount": total, "order_id": order} | entity
        body = json.dumps({"event": "payment.captured", "payload": {"payment": {"entity": payment}}}).encode()
        assert world.webhooks.receive(body, told_signature=signature(body, NEW), event_id=event_id) is Receipt.STORED
        while world.webhooks.apply():
            pass
        with world.desk.store.unit() as session:
            row = session.get(WebhookRow, ("yard", event_id))
        assert row is not None
        return row

    assert tell("wrong amount", amount=total + 1).state == EventState.ODD
    assert tell("wrong currency", currency="USD").state == EventState.ODD
    assert tell("unknown order", order_id="order_nobody").state == EventState.PARKED
    assert tell("unknown word", status="teleported").state == EventState.ODD
    assert world.desk.check_ledger().entries == 2


async def test_forged_unreadable_and_huge_webhooks_are_turned_away(world: World) -> None:
    address = world.bank.settings.webhook_url
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.post(address, content=b"{}")).status_code == 401
        assert (await client.post(address, content=b"{}", headers={b"x-razorpay-signature": "é".encode()})).status_code == 401
        signed = {"x-razorpay-signature": signature(b"{}", NEW)}
        assert (await client.post(address, content=b"{}", headers=signed)).status_code == 400
        assert (await client.post(address, content=b"x" * 300_000)).status_code == 413


async def test_the_mock_refuses_strangers_and_foreign_forms(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.url, timeout=60) as client:
        assert (await client.get("/v1/orders", params={"receipt": "r"})).status_code == 401
        foreign = await client.post("/app/tokens/t/pause", headers={"origin": "https://elsewhere.example"})
        assert foreign.status_code == 403
        assert "Plays the driver" in (await client.get("/app")).text


async def test_books_that_were_restored_from_a_backup_debit_nothing_a_second_time(world: World, tmp_path: Path) -> None:
    await world.mandate()
    total = world.session("s1", 12_340)
    assert world.desk.store.path is not None
    with contextlib.closing(sqlite3.connect(world.desk.store.path)) as now, contextlib.closing(sqlite3.connect(tmp_path / "old.db")) as old:
        now.backup(old)  # billed, and nothing asked of the gateway yet
    await world.until(lambda: world.stage("s1") is Stage.CAPTURED)
    with Store.open(tmp_path / "old.db") as store:
        desk = Payments(store, "yard", world.desk.clock, world.desk.terms)
        assert [bill.stage for bill in desk.bills()] == [Stage.INVOICED]
        restored = asyncio.ensure_future(replace(world.worker, store=store, webhooks=replace(world.webhooks, store=store)).run())
        await world.until(lambda: desk.bills()[0].stage is Stage.CAPTURED)
        restored.cancel()
        await asyncio.gather(restored, return_exceptions=True)
        assert desk.check_ledger().sum_paise == 0
    with world.bank.store.reading() as connection:
        taken = connection.exec_driver_sql("SELECT count(*), sum(amount) FROM payments WHERE kind = 'debit'").one()
    assert tuple(taken) == (1, total)


async def test_what_is_settled_reconciles_bills_and_books(world: World) -> None:
    """The whole way with the mock: captured, settled, the report read, nothing left to explain; then a line that is short."""
    await world.mandate()
    total = world.session("s1", 12_340)
    await world.until(lambda: world.stage("s1") is Stage.CAPTURED)
    chores = Chores(world.desk.store, "yard", SystemClock(), world.gateway, world.desk.terms)
    assert await chores.settle() == 0, "nothing is settled yet"
    assert settle_now(world.bank)
    assert [await chores.settle(), await chores.settle()] == [1, 0]
    assert world.stage("s1") is Stage.RECONCILED
    found = reconciliation(world.desk.store, "yard")
    assert (found.zero, found.clearing_paise, found.transit_paise, found.gap_paise) == (True, 0, 0, 0)
    with world.desk.store.unit() as session:
        assert sum(ledger.balance(session, "yard", a) for a in (Account.BANK, Account.FEES, Account.FEE_TAX)) == total
        assert mismatches(session, "yard") == []
    assert world.desk.check_ledger().sound
