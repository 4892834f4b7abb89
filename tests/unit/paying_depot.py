"""A depot that takes money, against the mock gateway on a real socket: the network's real rules, the gateway's clock for both sides,
and each step when the test says so. What is due is done one after the other, so that a test sees what stands in between."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import hmac
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import col, select

import payments
from payments.gate import Ask
from payments.keys import GatewayKeys
from payments.mock_gateway import npci
from payments.money import EnergyLine
from payments.razorpay import RazorpayGateway
from payments.reasons import Reason
from payments.records import Books
from payments.rules import Rules
from payments.service import Payments
from payments.states import MandateState, Mode, Stage
from payments.tables import BillRow, CollectionRow, OrderRow, RefundRow
from payments.terms import Terms
from payments.times import to_ms
from payments.webhooks import Receipt, Webhooks
from payments.worker import Worker
from storage import Store
from tests.fake_gateway import CONTACT, HOOK_SECRET, KEY_ID, KEY_SECRET, Played, playing

__all__ = ["DEPOT", "KEYS", "PayingDepot", "depot", "signed"]

DEPOT = "yard"
KEYS = GatewayKeys(KEY_ID, KEY_SECRET, (HOOK_SECRET,))


def signed(body: bytes, secret: str = HOOK_SECRET) -> str:
    """As the gateway signs."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@dataclass
class GatewayClock:
    """``depot.ports.Clock``: the gateway's, and ours is wrong by ``skew``."""

    played: Played
    skew: timedelta = timedelta(0)

    def now(self) -> datetime:
        return self.played.bank.clock.now() + self.skew

    def monotonic(self) -> float:
        return self.played.bank.now_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Patience(httpx.AsyncBaseTransport):
    """Whoever waits for an answer waits until :meth:`ends`."""

    def __init__(self, wire: httpx.AsyncBaseTransport) -> None:
        self._wire, self._over = wire, asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer, over = asyncio.ensure_future(self._wire.handle_async_request(request)), asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((answer, over), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise httpx.ReadTimeout("it was waited long enough", request=request)
            return answer.result()
        finally:
            answer.cancel()
            over.cancel()
            await asyncio.gather(answer, over, return_exceptions=True)

    def ends(self) -> None:
        """What is asked from now on is waited for again."""
        self._over.set()
        self._over = asyncio.Event()

    async def aclose(self) -> None:
        await self._wire.aclose()


@dataclass
class PayingDepot:
    """``deaf``: webhooks are not taken in by :meth:`work`; the books live by look-ups alone."""

    played: Played
    store: Store
    clock: GatewayClock
    gateway: RazorpayGateway
    terms: Terms
    deaf: bool = False
    heard: int = 0
    receipts: list[Receipt] = field(default_factory=list)
    desk: Payments = field(init=False)
    inbox: Webhooks = field(init=False)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Payments(self.store, DEPOT, self.clock, self.terms)
        self.inbox = Webhooks(self.store, DEPOT, self.clock, KEYS)
        self.worker = self.another_worker()

    def another_worker(self, gateway: RazorpayGateway | None = None) -> Worker:
        return Worker(self.store, DEPOT, self.clock, gateway or self.gateway, self.terms, self.inbox)

    # -- time

    async def work(self) -> None:
        """Everything that is due now, and what follows from it at once."""
        for _ in range(100):
            self.listen()
            due = self.worker.due(self.clock.now())
            if not due:
                return
            for kind, id_ in due:
                await self.do(kind, id_)
        raise AssertionError("it does not come to rest")

    async def do(self, kind: str, id_: str) -> None:
        match kind:
            case "debit":
                await self.worker.advance(id_)
            case "driver":
                self.worker.batch(id_)
            case "refund":
                await self.worker.advance_refund(id_)
            case _:
                await self.desk.mandates.look(self.gateway, id_)

    async def later(self, **delta: float) -> None:
        """What is due, then so much later what is due then."""
        self.played.ahead(seconds=1)
        await self.work()
        end = self.played.now + timedelta(**delta)
        while (soon := self._gateways_next()) < end:
            self.played.to(soon)
        self.played.to(end)
        await self.work()

    async def until(self, done: Callable[[], bool], *, most: timedelta = timedelta(days=10)) -> None:
        """From one moment at which something is due to the next, until ``done``."""
        end = self.clock.now() + most
        while True:
            self.played.ahead(seconds=1)
            await self.work()
            if done():
                return
            assert self.clock.now() < end, "it did not come"
            # a second beyond: at the very moment the gateway, which wrote its notice down later than we did, may refuse
            soon = min(self._next() - self.clock.skew, self._gateways_next())
            self.played.to(max(self.played.now, soon) + timedelta(seconds=1))

    def _next(self) -> datetime:
        now = self.clock.now()
        with self.store.unit() as session:
            moments = [
                due_ms
                for column in (BillRow.next_ms, CollectionRow.next_ms, RefundRow.next_ms)
                for due_ms in session.exec(select(column).where(col(column) > to_ms(now))).all()
                if due_ms is not None
            ]
        soon = now + timedelta(milliseconds=min(moments, default=to_ms(now) + 3_600_000) - to_ms(now) + 1)
        return min(soon, now + timedelta(hours=6))

    def _gateways_next(self) -> datetime:
        """When something happens there by itself: it is written down as of the moment at which it is looked at, so that a clock which
        jumps over it makes a notice of six seconds one of six hours."""
        moments = self.ask(
            "SELECT notify_at FROM orders WHERE notification_status = 'requested' AND notify_at IS NOT NULL"
            " UNION ALL SELECT decide_at FROM payments WHERE status = 'created' AND decide_at IS NOT NULL"
            " UNION ALL SELECT decide_at FROM refunds WHERE status = 'pending' AND decide_at IS NOT NULL"
        )
        return min((datetime.fromtimestamp(at, UTC) for (at,) in moments), default=datetime.max.replace(tzinfo=UTC))

    # -- webhooks

    def listen(self) -> None:
        """Take in what the gateway has sent, and apply it."""
        if self.deaf:
            return
        self.arrived()
        for event_id, signature, body in self.played.hook.seen[self.heard :]:
            self.heard += 1
            self.receipts.append(self.inbox.receive(body.encode(), told_signature=signature, event_id=event_id))
        self.apply()

    def arrived(self) -> None:
        """Wait until the gateway has sent what it has to send."""
        self.played.until(lambda: not self._waiting())

    def _waiting(self) -> int:
        with self.played.bank.store.reading() as connection:
            query = "SELECT count(*) FROM events WHERE NOT delivered AND coalesce(held, 0) = 0 AND due_at <= ?"
            return int(connection.exec_driver_sql(query, (self.played.bank.now_s,)).scalar_one())

    def apply(self) -> None:
        while self.inbox.apply():
            pass

    def sent(self, kind: str = "", *, about: str = "") -> list[tuple[str, str, str]]:
        """Webhooks of a kind, as the gateway sent them: event id, signature, body. ``about``: only those that name this order."""
        self.arrived()
        return [one for one in self.played.hook.seen if kind in ("", json.loads(one[2])["event"]) and about in one[2]]

    async def arrives(self, kind: str, *, about: str = "") -> tuple[str, str, str]:
        """Wait for a webhook while something else is under way; the newest of them."""
        async with asyncio.timeout(60):
            while not (found := self.sent(kind, about=about)):  # noqa: ASYNC110  # of another thread, not an event
                await asyncio.sleep(0.02)
        return found[-1]

    def tell(self, event: tuple[str, str, str], *, event_id: str = "") -> Receipt:
        """One webhook, told and applied."""
        known_id, signature, body = event
        receipt = self.inbox.receive(body.encode(), told_signature=signature, event_id=event_id or known_id)
        self.apply()
        return receipt

    def impatient(self, seconds: float) -> None:
        """From now on so long is waited for an answer."""
        self.gateway._client.timeout = httpx.Timeout(seconds)

    def patient(self) -> Patience:
        """From now on an answer is waited for until the test says that it was long enough, so that nothing hangs on seconds."""
        self.impatient(600.0)
        client = self.gateway._client
        client._transport = patience = Patience(client._transport)
        return patience

    # -- drivers

    async def mandate(
        self, mandate_id: str = "m1", *, driver: str = "rani", mode: Mode = Mode.AUTOPAY, paise: int = 10_000_00,
        ends: timedelta = timedelta(days=80), contact: str = CONTACT,
    ) -> None:  # fmt: skip
        """Asked for, approved with the PIN, known to us."""
        view = await self.desk.mandates.open(
            self.gateway, mandate_id=mandate_id, driver_id=driver, name=driver, email=f"{driver}@example.org", contact=contact,
            max_amount_paise=paise, expire_at=self.clock.now() + ends, mode=mode,
        )  # fmt: skip
        assert view.intent_url is not None
        payment = view.intent_url.partition("tr=")[2].partition("&")[0]
        assert self.played.press(f"/app/payments/{payment}/approve", pin="1234").status_code == 303
        await self.desk.mandates.look(self.gateway, mandate_id)
        assert self.mandate_state(driver) is MandateState.ACTIVE

    def mandate_state(self, driver: str = "rani") -> MandateState:
        view = self.desk.mandates.of(driver)
        assert view is not None
        return view.state

    def token(self, mandate_id: str = "m1") -> str:
        with self.store.unit() as session:
            token_id = Books(session, DEPOT).mandate(mandate_id).token_id
        assert token_id is not None
        return token_id

    def session(self, session_id: str, rupees: int, *, driver: str = "rani") -> int:
        """Charge for so many rupees, taxes left aside; the bill's total in paise."""
        self.start(session_id, driver=driver)
        return self.stop(session_id, rupees * 100)

    def start(self, session_id: str, *, driver: str = "rani") -> None:
        answer = self.desk.reserve(session_id, driver, Ask(worst_paise=1_00, ends_at=self.clock.now() + timedelta(hours=1)))
        assert answer.allowed, answer.message

    def stop(self, session_id: str, taxable_paise: int) -> int:
        return self.desk.meter_session(session_id, [EnergyLine(1_000, Fraction(taxable_paise))]).total_paise

    # -- what stands where

    def stage(self, session_id: str = "s1") -> Stage:
        with self.store.unit() as session:
            books = Books(session, DEPOT)
            return books.stage(books.bill(session_id), self.clock.now())

    def gave_up(self, session_id: str = "s1") -> Reason | None:
        return next(view.gave_up for view in self.desk.bills() if view.bill_id == session_id)

    def is_(self, stage: Stage, session_id: str = "s1") -> Callable[[], bool]:
        return lambda: self.stage(session_id) is stage

    def debits(self) -> list[CollectionRow]:
        with self.store.unit() as session:
            return list(session.exec(select(CollectionRow).order_by(col(CollectionRow.created_ms), col(CollectionRow.day))).all())

    def collection_id(self) -> str:
        """Of the first debit."""
        return self.debits()[0].collection_id

    def order_row(self, issue: int = 1) -> OrderRow:
        """Of the first debit."""
        collection_id = self.collection_id()
        with self.store.unit() as session:
            row = session.get(OrderRow, (DEPOT, collection_id, issue))
        assert row is not None
        return row

    def order_id(self) -> str:
        """Of the last order."""
        with self.store.unit() as session:
            order_id = session.exec(
                select(OrderRow.order_id).order_by(col(OrderRow.requested_ms).desc(), col(OrderRow.issue).desc())
            ).first()
        assert order_id is not None
        return order_id

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of our books."""
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'payments%'"
        return {name: self._rows(f"SELECT * FROM {name}") for (name,) in self._rows(tables)}

    def money(self) -> dict[str, list[tuple[Any, ...]]]:
        """The same without the webhooks that were kept, and without when something is looked at next."""
        columns = {
            "entry": "seq, key, memo",
            "payment": "payment_id, collection_id, state, amount_paise, reason, booked, surplus_paise",
            "refund": "payment_id, amount_paise, state",
            "share": "collection_id, bill_id, amount_paise, paid_paise",
            "mandate": "mandate_id, state",
        }
        return {table: self._rows(f"SELECT {names} FROM payments_{table} ORDER BY 1, 2") for table, names in columns.items()}

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    # -- the gateway's own books

    def taken(self) -> list[int]:
        """Amounts of the debits that were captured there, oldest first."""
        query = "SELECT amount FROM payments WHERE kind = 'debit' AND status IN ('captured', 'refunded') ORDER BY captured_at, id"
        return [int(amount) for (amount,) in self.ask(query)]

    def tries(self) -> int:
        """Debits that were accepted there, whatever became of them."""
        return int(self.ask("SELECT count(*) FROM payments WHERE kind = 'debit'")[0][0])

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.played.bank.store.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]


@functools.cache
def _blank_books() -> bytes:
    """A database with our tables, made once."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "blank.db"
        with Store.open(file) as store:
            store.migrate([payments])
        return file.read_bytes()


@contextlib.asynccontextmanager
async def depot(
    folder: Path, *, skew: timedelta = timedelta(0), rules: dict[str, Any] | None = None, deaf: bool = False,
    terms: dict[str, Any] | None = None, **mock: Any,
) -> AsyncIterator[PayingDepot]:  # fmt: skip
    """It is eight in the morning in India. ``rules`` and ``terms``: ours, changed; ``mock``: settings of the gateway."""
    strict = {"least_notice_s": 86_400.0, "windows": npci.NPCI_WINDOWS, "test_amounts": False, "approve_within_s": 3 * 86_400.0}
    ours = Terms(credit_limit_paise=9_00_000_00, spread_days=30, rules=Rules(**(rules or {})), **(terms or {}))
    (folder / "payments.db").write_bytes(_blank_books())
    with playing(folder / "gateway.db", **(strict | mock)) as played, Store.open(folder / "payments.db") as store:
        morning = played.now.astimezone(npci.INDIA).replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(days=1)
        played.to(morning)
        async with RazorpayGateway(f"{played.url}/v1", KEYS, timeout_s=30.0) as gateway:
            yield PayingDepot(played, store, GatewayClock(played, skew), gateway, ours, deaf)
