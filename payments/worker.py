"""What is due is done: bills into debits (:mod:`payments.batcher`), those to their end (:mod:`payments.collector`), refunds,
mandates, and once an hour a look at everything. One worker per depot, kept so by a lease; it may be killed at any instant."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import col, select

from depot.ports import Clock
from payments.batcher import batch_driver
from payments.chores import Chores, Messenger
from payments.collector import Collector
from payments.gateway import Gateway, Ok, Rejected
from payments.mandates import Mandates
from payments.privacy import Vault
from payments.records import Books, looking
from payments.service import Terms
from payments.states import RefundState, Stage
from payments.tables import BillRow, CollectionRow, OrderRow, RefundRow
from payments.tallies import Tallies
from payments.times import to_ms
from payments.webhooks import Webhooks
from storage import Store, StoreUnavailable

__all__ = ["Worker"]

log = logging.getLogger(__name__)

_CONCURRENCY = 32
_ROUND_S = 0.5
_CALM_S = 1.0
_LEAST_PAUSE_S = 0.02
_MOST_APPLIED = 20
_RECONCILE_EVERY = timedelta(hours=1)
_RECONCILE_FIRST = timedelta(minutes=2)
_CHORES_EVERY = timedelta(hours=1)
_RECONCILE_BACK = timedelta(days=7)


@dataclass(slots=True)
class Worker:
    """Run :meth:`run` in a task, under ``Lease.take(f"{database}.payments")`` or in a process that has it."""

    store: Store
    depot_id: str
    clock: Clock
    gateway: Gateway
    terms: Terms
    webhooks: Webhooks
    tallies: Tallies | None = None
    messenger: Messenger | None = None
    vault: Vault | None = None
    _in_hand: set[str] = field(default_factory=set, init=False)
    _woken: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _reconciled_at: datetime = field(init=False)
    _chores_at: datetime | None = field(default=None, init=False)
    _chores: Chores = field(init=False)
    _collector: Collector = field(init=False)
    _mandates: Mandates = field(init=False)

    def __post_init__(self) -> None:
        self._collector = Collector(self.store, self.depot_id, self.clock, self.gateway, self.terms)
        self._chores = Chores(self.store, self.depot_id, self.clock, self.gateway, self.terms, self.messenger)
        self._reconciled_at = self.clock.now() - _RECONCILE_EVERY + _RECONCILE_FIRST
        self._mandates = Mandates(self.store, self.depot_id, self.clock, self.terms, self.vault)

    def wake(self) -> None:
        """Something has come in: do not wait for the next round."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled. A store that is full or locked is waited for."""
        troubled = False
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                try:
                    await self._start_due(group)
                    if troubled:
                        log.info("payments go on")
                    troubled = False
                except StoreUnavailable as error:
                    if not troubled:
                        log.warning("payments wait: %s", error)
                    troubled = True
                await asyncio.sleep(_LEAST_PAUSE_S)  # much that ends at once is one round
                pause = _CALM_S if troubled else _ROUND_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()

    async def _start_due(self, group: asyncio.TaskGroup) -> None:
        """In small pieces: whoever knocks at the door meanwhile is heard."""
        for _ in range(_MOST_APPLIED):
            if not self.webhooks.apply():
                break
            await asyncio.sleep(0)
        if self.tallies is not None:
            self.tallies.write()
        now = self.clock.now()
        for kind, id_ in self.due(now):
            name = f"{kind} {id_}"
            if name in self._in_hand or len(self._in_hand) >= _CONCURRENCY:
                continue
            self._in_hand.add(name)
            group.create_task(self._guarded(name, kind, id_), name=name)
            await asyncio.sleep(0)
        if now >= self._reconciled_at + _RECONCILE_EVERY and "reconcile" not in self._in_hand:
            self._reconciled_at = now
            self._in_hand.add("reconcile")
            group.create_task(self._guarded("reconcile", "reconcile", ""), name="reconcile")
        if (self._chores_at is None or now >= self._chores_at + _CHORES_EVERY) and "chores" not in self._in_hand:
            self._chores_at = now
            self._in_hand.add("chores")
            group.create_task(self._guarded("chores", "chores", ""), name="chores")

    async def _guarded(self, name: str, kind: str, id_: str) -> None:
        """One piece of work; the others go on whatever happens to it."""
        try:
            match kind:
                case "debit":
                    await self.advance(id_)
                case "driver":
                    self.batch(id_)
                case "refund":
                    await self.advance_refund(id_)
                case "chores":
                    await self._chores.run()
                case "mandate":
                    await self._mandates.look(self.gateway, id_)
                case _:
                    await self.reconcile(self.clock.now() - _RECONCILE_BACK)
        except StoreUnavailable as error:
            log.info("%s waits: %s", name, error)
            await self.clock.sleep(_CALM_S)
        except Exception:
            log.exception("%s failed; the others go on, it is tried again", name)
            await self.clock.sleep(_CALM_S)
        finally:
            self._in_hand.discard(name)
            self.wake()

    def due(self, now: datetime) -> list[tuple[str, str]]:
        """What can be worked on: (``driver`` | ``debit`` | ``refund`` | ``mandate``, id), longest due first."""
        now_ms = to_ms(now)
        with looking(self.store) as session:
            drivers = session.exec(
                select(BillRow.driver_id)
                .where(BillRow.depot_id == self.depot_id, col(BillRow.next_ms) <= now_ms, BillRow.own == Stage.INVOICED)
                .distinct()
                .limit(4 * _CONCURRENCY)
            ).all()
            debits = session.exec(
                select(CollectionRow.collection_id)
                .where(CollectionRow.depot_id == self.depot_id, col(CollectionRow.next_ms) <= now_ms)
                .order_by(col(CollectionRow.next_ms))
                .limit(4 * _CONCURRENCY)
            ).all()
            refunds = session.exec(
                select(RefundRow.key).where(RefundRow.depot_id == self.depot_id, col(RefundRow.next_ms) <= now_ms).limit(_CONCURRENCY)
            ).all()
            mandates = self._mandates.due(session, now, most=_CONCURRENCY)
        return (
            [("mandate", m) for m in mandates]
            + [("refund", r) for r in refunds]
            + [("driver", d) for d in drivers]
            + [("debit", c) for c in debits]
        )

    async def advance(self, collection_id: str) -> None:
        """Take the collection's next step."""
        await self._collector.advance(collection_id)

    def batch(self, driver_id: str) -> None:
        """Make the debits that are due for a driver's open bills."""
        with self.store.unit() as session:
            batch_driver(Books(session, self.depot_id), driver_id, now=self.clock.now(), rules=self.terms.rules)

    async def advance_refund(self, key: str) -> None:
        """Ask for a refund, or how it is: with its key that is the same request."""
        with self.store.unit() as session:
            row = session.get(RefundRow, (self.depot_id, key))
        if row is None or row.state != RefundState.PENDING:
            return
        answer = await self.gateway.refund(payment_id=row.payment_id, amount_paise=row.amount_paise, key=key)
        with self.store.unit() as session:
            books, again = Books(session, self.depot_id), session.get(RefundRow, (self.depot_id, key))
            assert again is not None
            again.next_ms = to_ms(self.clock.now() + self.terms.rules.lookup_spacing)
            if isinstance(answer, Ok):
                books.note_refund(answer.value, self.clock.now())
            elif isinstance(answer, Rejected):
                again.state, again.next_ms = RefundState.FAILED, None
                log.error("refund of payment %s was refused: %s", row.payment_id, answer.description)

    async def reconcile(self, since: datetime) -> None:
        """Look at every order asked for since: late captures, doubled debits, what no webhook told."""
        with self.store.unit() as session:
            query = select(OrderRow.order_id).where(
                OrderRow.depot_id == self.depot_id, col(OrderRow.order_id).is_not(None), OrderRow.requested_ms >= to_ms(since)
            )
            order_ids = [order_id for order_id in session.exec(query).all() if order_id is not None]
        for order_id in order_ids:
            answer = await self.gateway.payments(order_id)
            if not isinstance(answer, Ok):
                continue
            with self.store.unit() as session:
                books = Books(session, self.depot_id)
                order = books.order_by_id(order_id)
                assert order is not None
                for told in answer.value:
                    books.note_payment(order, told, self.clock.now())
