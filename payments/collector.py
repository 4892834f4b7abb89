"""One bill's way to its one debit: decide the next step, store its intent, ask the gateway, store what came of it.

Decision and intent are one unit of work; the request leaves after it; what came of it is a second unit of work. A death
between the two leaves the intent, and whoever comes next looks up what became of it (:mod:`payments.debits`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlmodel import select

from depot.ports import Clock
from payments.debits import CreateOrder, Done, GiveUp, LookUpOrder, LookUpPayments, Step, Submit, Wait, next_step
from payments.gateway import Answer, Customer, DebitRequest, Gateway, NotSent, Ok, Order, Payment, Rejected
from payments.reasons import Reason
from payments.records import Books, key_for, looking
from payments.service import Terms, new_order
from payments.states import PaymentState, Stage
from payments.tables import MandateRow, OrderRow, SubmissionRow
from payments.times import from_ms, from_s, maybe_from_ms, to_ms
from storage import Store

__all__ = ["Collector", "back_off"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Doing:
    """A step with what its request needs."""

    step: Step
    bill_id: str
    order: OrderRow | None = None
    mandate: MandateRow | None = None
    amount_paise: int = 0
    key: str = ""


@dataclass(slots=True)
class Collector:
    """Of one depot, used by its one worker. ``_customers``: contact data for debits, in memory only."""

    store: Store
    depot_id: str
    clock: Clock
    gateway: Gateway
    terms: Terms
    _customers: dict[str, Customer] = field(default_factory=dict)

    async def advance(self, bill_id: str) -> None:
        """Take the bill's next step."""
        customer = await self._customer_of(bill_id)
        doing = self._decide(bill_id, customer)
        rules = self.terms.rules
        match doing.step:
            case CreateOrder():
                await self._first_order(doing)
            case LookUpOrder(or_create=or_create):
                assert doing.order is not None
                answer = await self.gateway.orders(doing.order.receipt)
                if isinstance(answer, Ok) and answer.value:
                    self._order_known(doing, answer.value[0])
                elif isinstance(answer, Ok) and or_create:
                    self._ask_order_anew(doing)
                    await self._create_order(doing, first=False)
                else:
                    self._looked(bill_id)
            case LookUpPayments(order_id=order_id):
                self._payments_seen(doing, await self.gateway.payments(order_id))
            case Submit(order_id=order_id):
                assert customer is not None
                assert doing.mandate is not None
                assert doing.mandate.token_id is not None
                request = DebitRequest(
                    order_id=order_id,
                    customer=customer,
                    token_id=doing.mandate.token_id,
                    amount_paise=doing.amount_paise,
                    currency=self.terms.currency,
                    key=doing.key,
                    description="EV charging",
                )
                self._submitted(doing, await self.gateway.create_debit(request), rules.lookup_spacing)
            case _:
                pass

    async def _customer_of(self, bill_id: str) -> Customer | None:
        """Contact data for the debit, from the gateway, which keeps them. Before the intent: it moves no money."""
        with looking(self.store) as session:
            books = Books(session, self.depot_id)
            customer_id = books.mandate(books.bill(bill_id).mandate_id).customer_id
        if customer_id is None:
            return None
        if customer_id not in self._customers:
            answer = await self.gateway.customer(customer_id)
            if isinstance(answer, Ok):
                self._customers[customer_id] = answer.value
        return self._customers.get(customer_id)

    def _decide(self, bill_id: str, customer: Customer | None) -> _Doing:
        """The next step, with its intent stored in the same unit of work."""
        now, rules = self.clock.now(), self.terms.rules
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            bill = books.bill(bill_id)
            step = next_step(
                books.facts(bill), amount_paise=bill.total_paise, looked_at=maybe_from_ms(bill.looked_ms), now=now, rules=rules
            )
            orders = books.orders(bill_id)
            mandate = books.mandate(orders[-1].mandate_id if orders else bill.mandate_id)
            order, key = (orders[-1] if orders else None), ""
            match step:
                case Done():
                    bill.next_ms = None
                case Wait(until=until):
                    bill.next_ms = to_ms(until)
                case GiveUp(reason=reason):
                    bill.own, bill.gave_up, bill.next_ms = Stage.ARREARS, reason, None
                    log.warning("session %s is in arrears: %s", bill_id, reason)
                case CreateOrder(issue=issue):
                    bill.looked_ms = None
                    order = new_order(self.depot_id, bill, issue, now, rules)
                    session.add(order)
                case Submit(number=number) if customer is not None and order is not None:
                    key = key_for(order.receipt, number)
                    row = SubmissionRow(
                        depot_id=self.depot_id, bill_id=bill_id, issue=order.issue, number=number, key=key, at_ms=to_ms(now)
                    )
                    bill.looked_ms = to_ms(now)
                    session.add(row)
                case Submit():
                    step = Wait(now + rules.lookup_spacing)
                    bill.next_ms = to_ms(step.until)
                case _:
                    pass
            return _Doing(step, bill_id, order, mandate, bill.total_paise, key)

    async def _first_order(self, doing: _Doing) -> None:
        """Ask for the order, unless the gateway has it: books that were restored from a backup do not know what was done
        since. Where it cannot be looked up now, nothing was asked for, and the intent is void."""
        assert doing.order is not None
        known = await self.gateway.orders(doing.order.receipt)
        if isinstance(known, Ok) and known.value:
            self._order_known(doing, known.value[0])
        elif isinstance(known, Ok):
            await self._create_order(doing, first=True)
        else:
            pause = back_off(known) if isinstance(known, NotSent) else self.terms.rules.lookup_spacing
            with self.store.unit() as session:
                session.delete(session.get(OrderRow, (self.depot_id, doing.bill_id, doing.order.issue)))
                Books(session, self.depot_id).bill(doing.bill_id).next_ms = to_ms(self.clock.now() + pause)

    async def _create_order(self, doing: _Doing, *, first: bool) -> None:
        order, mandate = doing.order, doing.mandate
        assert order is not None
        assert mandate is not None
        assert mandate.token_id is not None
        answer = await self.gateway.create_debit_order(
            receipt=order.receipt,
            token_id=mandate.token_id,
            amount_paise=doing.amount_paise,
            currency=self.terms.currency,
            payment_after=from_ms(order.payment_after_ms),
        )
        if isinstance(answer, Ok):
            self._order_known(doing, answer.value)
            return
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            bill, row = books.bill(doing.bill_id), session.get(OrderRow, (self.depot_id, doing.bill_id, order.issue))
            if isinstance(answer, Rejected):
                log.warning("no order for session %s: %s (%s)", doing.bill_id, answer.reason, answer.description)
                bill.own, bill.gave_up, bill.next_ms = Stage.ARREARS, answer.reason, None
            elif isinstance(answer, NotSent) and first and row is not None:
                session.delete(row)  # it cannot have been acted on: the intent is void
                bill.next_ms = to_ms(self.clock.now() + back_off(answer))
            else:
                bill.looked_ms = to_ms(self.clock.now())

    def _ask_order_anew(self, doing: _Doing) -> None:
        """The first request for the order came to nothing: the notice's time counts from now."""
        assert doing.order is not None
        now = self.clock.now()
        with self.store.unit() as session:
            row = session.get(OrderRow, (self.depot_id, doing.bill_id, doing.order.issue))
            assert row is not None
            row.requested_ms, row.payment_after_ms = to_ms(now), to_ms(self.terms.rules.payment_after(now))
            doing.order.requested_ms, doing.order.payment_after_ms = row.requested_ms, row.payment_after_ms

    def _order_known(self, doing: _Doing, told: Order) -> None:
        assert doing.order is not None
        now = self.clock.now()
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = session.get(OrderRow, (self.depot_id, doing.bill_id, doing.order.issue))
            assert row is not None
            if row.order_id is None:
                if told.amount_paise != doing.amount_paise or told.currency != self.terms.currency:
                    bill = books.bill(doing.bill_id)
                    bill.own, bill.gave_up, bill.next_ms = Stage.ARREARS, Reason.UNKNOWN, None
                    log.error("the gateway's order %s is not what session %s asked for", told.order_id, doing.bill_id)
                    return
                books.know_order(row, told.order_id, from_s(told.notification.payment_after_s) if told.notification else None)
            if told.notification is not None:
                books.note_notification(row, told.notification, now)

    def _submitted(self, doing: _Doing, answer: Answer[str], spacing: timedelta) -> None:
        assert doing.order is not None
        assert doing.order.order_id is not None
        now = self.clock.now()
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            bill = books.bill(doing.bill_id)
            order = books.order_by_id(doing.order.order_id)
            row = session.exec(select(SubmissionRow).where(SubmissionRow.depot_id == self.depot_id, SubmissionRow.key == doing.key)).one()
            assert order is not None
            payment_id = answer.value if isinstance(answer, Ok) else answer.payment_id if isinstance(answer, Rejected) else None
            if payment_id is not None:
                state = PaymentState.CREATED if isinstance(answer, Ok) else PaymentState.FAILED
                reason = answer.reason if isinstance(answer, Rejected) else None
                told = Payment(
                    payment_id, order.order_id or "", state, doing.amount_paise, self.terms.currency, reason=reason, submission=doing.key
                )
                books.note_payment(order, told, now)
            elif isinstance(answer, Rejected) and not _already_paid(answer):
                row.refused = answer.reason
                log.warning("debit of session %s refused: %s (%s)", doing.bill_id, answer.reason, answer.description)
            elif isinstance(answer, NotSent):
                session.delete(row)  # it cannot have been acted on: the intent is void
                bill.next_ms = to_ms(now + max(spacing, back_off(answer)))
                log.info("debit of session %s waits: %s", doing.bill_id, answer.why)
            else:
                log.info("debit of session %s has no sure answer: it will be looked up", doing.bill_id)

    def _payments_seen(self, doing: _Doing, answer: Answer[Sequence[Payment]]) -> None:
        assert doing.order is not None
        assert doing.order.order_id is not None
        now, rules = self.clock.now(), self.terms.rules
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            books.bill(doing.bill_id).looked_ms = to_ms(now)
            if not isinstance(answer, Ok):
                return
            order = books.order_by_id(doing.order.order_id)
            assert order is not None
            for told in answer.value:
                books.note_payment(order, told, now)
            facts = books.facts(books.bill(doing.bill_id)).orders[-1]
            if facts.unresolved is None:
                return
            row = session.get(SubmissionRow, (self.depot_id, doing.bill_id, facts.issue, facts.unresolved.number))
            assert row is not None
            row.empty_lookups += 1
            if row.empty_lookups >= rules.lookups_before_resubmit and now >= facts.unresolved.at + rules.settle:
                row.lapsed = True
                log.info("debit of session %s never arrived: it will be asked for again", doing.bill_id)

    def _looked(self, bill_id: str) -> None:
        with self.store.unit() as session:
            Books(session, self.depot_id).bill(bill_id).looked_ms = to_ms(self.clock.now())


def back_off(answer: NotSent) -> timedelta:
    """How long to leave the gateway alone."""
    return timedelta(seconds=max(1.0, answer.retry_after_s))


def _already_paid(answer: Rejected) -> bool:
    """The order took a payment that we have not seen yet: to be looked up, not a refusal."""
    text = answer.description.lower()
    return "already" in text and "paid" in text
