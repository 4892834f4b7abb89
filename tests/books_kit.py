"""Books of money in memory with a clock that moves when told: bills, debits that were taken or failed, settlement lines."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path

from sqlmodel import col, select

import payments
from payments import ledger
from payments.batcher import batch_driver, new_order
from payments.gateway import Payment, Refund, SettlementItem, SettlementKind
from payments.ledger import Account
from payments.money import EnergyLine
from payments.reasons import Reason
from payments.records import Books
from payments.rules import Rules
from payments.service import Payments, Terms
from payments.settlements import Reconciliation, reconciliation
from payments.states import MandateState, Mode, PaymentState, RefundState, Stage
from payments.tables import BillRow, CollectionRow, MandateRow, RefundRow
from payments.times import to_ms
from storage import Store

DEPOT = "yard"
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)  # 11:30 in India
RULES = Rules(cut_off=None, windows=((time(0), time(0)),), notice=timedelta(0), notice_margin=timedelta(0), ask_second_factor=True)


class Clock:
    """Stands still."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOW).total_seconds()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Kit:
    """One depot's books."""

    def __init__(self, *, rules: Rules = RULES, path: Path | None = None) -> None:
        self.store = Store.open(path)
        self.store.migrate([payments])
        self.clock = Clock()
        self.rules = rules
        self.desk = Payments(self.store, DEPOT, self.clock, Terms(credit_limit_paise=90_000_00, rules=rules))
        self._number = 0

    @property
    def now(self) -> datetime:
        return self.clock.at

    def later(self, **step: float) -> None:
        self.clock.at += timedelta(**step)

    def mandate(self, driver: str = "rani", *, state: MandateState = MandateState.ACTIVE, max_paise: int = 20_000_00) -> str:
        with self.store.unit() as session:
            session.add(
                MandateRow(
                    depot_id=DEPOT, mandate_id=f"m-{driver}", driver_id=driver, mode=Mode.AUTOPAY, state=state, state_at_s=0,
                    max_amount_paise=max_paise, expire_ms=to_ms(NOW + timedelta(days=900)), receipt=f"r-{driver}", created_ms=to_ms(NOW),
                    token_id=f"t-{driver}", customer_id=f"c-{driver}",
                )
            )  # fmt: skip
        return f"m-{driver}"

    def bill(self, session_id: str, driver: str = "rani", *, wh: int = 10_000, paise_per_kwh: int = 1_000) -> int:
        """Invoiced; ₹118.00 where nothing is said."""
        self.desk.readmit(session_id, driver, f"m-{driver}", reserved_paise=1)
        return self.desk.meter_session(session_id, [EnergyLine(wh, Fraction(paise_per_kwh))]).total_paise

    def batch(self, driver: str = "rani") -> list[str]:
        """The debits that are made now, each with its order ``order_…``."""
        with self.store.unit() as session:
            books = Books(session, DEPOT)
            made = batch_driver(books, driver, now=self.now, rules=self.rules)
            for row in made:
                self._order(books, row)
            return [row.collection_id for row in made]

    def _order(self, books: Books, row: CollectionRow) -> None:
        order = new_order(DEPOT, row, 1, row.amount_paise, self.now, self.rules)
        books.session.add(order)
        books.session.flush()
        books.know_order(order, f"order_{row.collection_id}", None)

    def report(
        self, collection_id: str, state: PaymentState = PaymentState.CAPTURED, *, payment_id: str = "", reason: Reason | None = None,
        fee_paise: int | None = None,
    ) -> str:  # fmt: skip
        """The gateway tells of a payment of this debit."""
        with self.store.unit() as session:
            books = Books(session, DEPOT)
            order = books.order_by_id(f"order_{collection_id}")
            assert order is not None
            id_ = payment_id or f"pay_{collection_id[-12:]}"
            told = Payment(id_, f"order_{collection_id}", state, order.amount_paise, "INR", reason=reason, fee_paise=fee_paise)
            books.note_payment(order, told, self.now)
        return id_

    def paid(self, session_id: str, driver: str = "rani", *, wh: int = 10_000, fee_paise: int | None = None) -> str:
        """A session from its invoice to the captured debit; the payment's id."""
        self.bill(session_id, driver, wh=wh)
        (debit,) = self.batch(driver)
        return self.report(debit, fee_paise=fee_paise)

    def failed(self, session_id: str, driver: str = "rani", *, wh: int = 10_000) -> str:
        """A session whose debit was given up; the debit's id."""
        self.bill(session_id, driver, wh=wh)
        (debit,) = self.batch(driver)
        self.report(debit, PaymentState.FAILED, reason=Reason.MANDATE_CANCELLED)
        with self.store.unit() as session:
            row = Books(session, DEPOT).collection(debit)
            row.own, row.gave_up, row.next_ms = Stage.ARREARS, Reason.MANDATE_CANCELLED, None
        return debit

    def refund_done(self, key: str, *, state: RefundState = RefundState.PROCESSED) -> str:
        """The gateway tells how a refund of ours went."""
        with self.store.unit() as session:
            row = session.get(RefundRow, (DEPOT, key))
            assert row is not None
            told = Refund(f"rfnd_{key[-10:]}", row.payment_id, row.amount_paise, state, key)
            Books(session, DEPOT).note_refund(told, self.now)
        return f"rfnd_{key[-10:]}"

    def refunds(self) -> list[RefundRow]:
        with self.store.unit() as session:
            rows = session.exec(select(RefundRow).order_by(col(RefundRow.asked_ms), col(RefundRow.key))).all()
            session.expunge_all()
            return list(rows)

    def stage(self, session_id: str) -> Stage:
        with self.store.unit() as session:
            books = Books(session, DEPOT)
            return books.stage(books.bill(session_id), self.now)

    def owed(self, session_id: str) -> int:
        with self.store.unit() as session:
            books = Books(session, DEPOT)
            return books.owed_paise(books.bill(session_id))

    def row(self, session_id: str) -> BillRow:
        with self.store.unit() as session:
            row = Books(session, DEPOT).bill(session_id)
            session.expunge(row)
            return row

    def balance(self, account: Account, party: str | None = None) -> int:
        with self.store.unit() as session:
            return ledger.balance(session, DEPOT, account, party)

    def reconciled(self, *, explained_too: bool = False) -> Reconciliation:
        return reconciliation(self.store, DEPOT, explained_too=explained_too)


def line(
    entity_id: str, paise: int, *, kind: SettlementKind = SettlementKind.PAYMENT, fee: int = 0, tax: int = 0, net: int | None = None,
    settlement: str = "setl_1", settled: bool = True, order_id: str = "",
) -> SettlementItem:  # fmt: skip
    """A line of a report; ``net``: what comes (a minus: goes), where it is not the amount less the fee."""
    if net is None:
        net = paise - fee if kind is SettlementKind.PAYMENT else -paise
    return SettlementItem(
        entity_id=entity_id, kind=kind, amount_paise=paise, credit_paise=max(0, net), debit_paise=max(0, -net), fee_paise=fee,
        tax_paise=tax, settled=settled, settlement_id=settlement if settled else "", utr="UTR1" if settled else "", order_id=order_id,
    )  # fmt: skip
