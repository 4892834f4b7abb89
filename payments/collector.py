"""One collection's way to its one debit: decide the next step, store its intent, ask the gateway, store what came of it.

Decision and intent are one unit of work; the request leaves after it; what came of it is a second unit of work. A death
between the two leaves the intent, and whoever comes next looks up what became of it (:mod:`payments.debits`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from sqlmodel import select

from depot.ports import Clock
from payments.batcher import new_order, receipt_of
from payments.claims import owed_of
from payments.debits import CreateOrder, Done, GiveUp, LookUpOrder, LookUpPayments, MandateFacts, Step, Submit, Wait, next_step
from payments.gateway import Answer, Customer, DebitRequest, Gateway, NotSent, Ok, Order, Payment, Rejected
from payments.reasons import Reason
from payments.records import Books, key_for
from payments.service import Terms
from payments.states import MandateState, Mode, PaymentState, Stage
from payments.tables import MandateRow, OrderRow, SubmissionRow
from payments.times import from_ms, from_s, maybe_from_ms, to_ms
from storage import Store

__all__ = ["Collector", "back_off"]

log = logging.getLogger(__name__)

_CLOCKS_AGREE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Doing:
    """A step with what its request needs."""

    step: Step
    collection_id: str
    order: OrderRow | None = None
    mandate: MandateRow | None = None
    amount_paise: int = 0
    key: str = ""
    older: tuple[str, ...] = ()


@dataclass(slots=True)
class Collector:
    """Of one depot, used by its one worker. ``_customers``: contact data for debits, in memory only; ``_ahead``: by how much this
    machine's clock is ahead of the gateway's, which decides when a debit may be presented."""

    store: Store
    depot_id: str
    clock: Clock
    gateway: Gateway
    terms: Terms
    _customers: dict[str, Customer] = field(default_factory=dict)
    _ahead: timedelta = timedelta(0)

    async def advance(self, collection_id: str) -> None:
        """Take the collection's next step."""
        doing, rules = self._decide(collection_id), self.terms.rules
        if isinstance(doing.step, Submit) and not doing.key:  # contact data first: that moves no money, and needs no intent
            await self._know_customer(doing.mandate)
            doing = self._decide(collection_id, patient=False)
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
                    self._looked(collection_id)
            case LookUpPayments(order_id=order_id):
                self._payments_seen(doing, await self.gateway.payments(order_id))
            case Submit(order_id=order_id):
                assert doing.mandate is not None
                assert doing.mandate.token_id is not None
                assert doing.mandate.customer_id is not None
                request = DebitRequest(
                    order_id=order_id,
                    customer=self._customers[doing.mandate.customer_id],
                    token_id=doing.mandate.token_id,
                    amount_paise=doing.amount_paise,
                    currency=self.terms.currency,
                    key=doing.key,
                    description="EV charging",
                    mode=Mode(doing.mandate.mode),
                )
                self._submitted(doing, await self.gateway.create_debit(request), rules.lookup_spacing)
            case _:
                pass

    async def _know_customer(self, mandate: MandateRow | None) -> None:
        """Contact data for the debit, from the gateway, which keeps them."""
        customer_id = mandate.customer_id if mandate is not None else None
        if customer_id is not None and customer_id not in self._customers:
            answer = await self.gateway.customer(customer_id)
            if isinstance(answer, Ok):
                self._customers[customer_id] = answer.value
                self._compare_clocks(answer.at_s)

    def _compare_clocks(self, at_s: int) -> None:
        """``at_s``: the gateway's clock just now, 0: not told. A clock that is behind only debits later, which is harmless."""
        if not at_s:
            return
        ahead = self.clock.now() - from_s(at_s)
        if ahead <= _CLOCKS_AGREE:
            self._ahead = timedelta(0)
            return
        if abs(ahead - self._ahead) > _CLOCKS_AGREE:
            log.warning(
                "this machine's clock is %.0f s ahead of the gateway's: set it; debits wait for the gateway's", ahead.total_seconds()
            )
        self._ahead = ahead

    def _decide(self, collection_id: str, *, patient: bool = True) -> _Doing:
        """The next step, with its intent stored in the same unit of work. A debit whose customer is not known yet has no intent:
        ``patient`` says whether that is to be looked up now, else it waits."""
        now, rules = self.clock.now(), self.terms.rules
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            debit = books.collection(collection_id)
            orders = books.orders(collection_id)
            mandate = books.mandate(orders[-1].mandate_id if orders else debit.mandate_id)
            decide = partial(
                next_step,
                books.debit(debit, orders),
                amount_paise=orders[-1].amount_paise if orders else debit.amount_paise,
                looked_at=maybe_from_ms(debit.looked_ms),
                rules=rules,
                mandate=MandateFacts(MandateState(mandate.state), from_ms(mandate.expire_ms)),
            )
            step = decide(now=now)
            if isinstance(step, Submit) and self._ahead:
                there = decide(now=now - self._ahead)
                step = Wait(there.until + self._ahead) if isinstance(there, Wait) else step
            order, key = (orders[-1] if orders else None), ""
            older = tuple(o.order_id for o in orders if o.order_id is not None)
            match step:
                case Done():
                    debit.next_ms = None
                case Wait(until=until):
                    debit.next_ms = to_ms(until)
                case GiveUp(reason=reason):
                    debit.own, debit.gave_up, debit.next_ms = Stage.ARREARS, reason, None
                    log.warning("debit %s is in arrears: %s", collection_id, reason)
                case CreateOrder(issue=issue):
                    debit.looked_ms = None
                    order = new_order(self.depot_id, debit, issue, owed_of(books, debit), now, rules)
                    session.add(order)
                case Submit(number=number) if mandate.customer_id in self._customers and order is not None:
                    key = key_for(order.receipt, number)
                    row = SubmissionRow(
                        depot_id=self.depot_id, collection_id=collection_id, issue=order.issue, number=number, key=key, at_ms=to_ms(now)
                    )
                    debit.looked_ms = to_ms(now)
                    session.add(row)
                case Submit() if not patient:
                    step = Wait(now + rules.lookup_spacing)
                    debit.next_ms = to_ms(step.until)
                case _:
                    pass
            return _Doing(step, collection_id, order, mandate, order.amount_paise if order is not None else 0, key, older)

    async def _first_order(self, doing: _Doing) -> None:
        """Ask for the order, unless the gateway has it: books that were restored from a backup do not know what was done
        since. Nor is a second order asked for while an older one may have been paid. Where that cannot be looked up now,
        nothing was asked for, and the intent is void."""
        assert doing.order is not None
        for order_id in doing.older:
            seen = await self.gateway.payments(order_id)
            if not isinstance(seen, Ok):
                self._void_order(doing, back_off(seen) if isinstance(seen, NotSent) else self.terms.rules.lookup_spacing)
                return
            if self._note_older(order_id, seen.value):
                self._void_order(doing, timedelta(0))
                return
        known = await self.gateway.orders(doing.order.receipt)
        self._compare_clocks(known.at_s if isinstance(known, Ok) else 0)
        if isinstance(known, Ok) and known.value:
            await self._found(doing, known.value[0])
        elif isinstance(known, Ok):
            await self._create_order(doing, first=True)
        else:
            self._void_order(doing, back_off(known) if isinstance(known, NotSent) else self.terms.rules.lookup_spacing)

    async def _found(self, doing: _Doing, told: Order) -> None:
        """An order that these books had not asked for: there may be later ones and payments, too."""
        assert doing.order is not None
        self._order_known(doing, told)
        later, issue = [told.order_id], doing.order.issue
        while True:
            issue += 1
            receipt = receipt_of(self.depot_id, doing.collection_id, issue)
            known = await self.gateway.orders(receipt)
            if not isinstance(known, Ok) or not known.value:
                break
            with self.store.unit() as session:
                debit, now = Books(session, self.depot_id).collection(doing.collection_id), self.clock.now()
                row = new_order(self.depot_id, debit, issue, known.value[0].amount_paise, now, self.terms.rules)
                session.add(row)
                Books(session, self.depot_id).know_order(row, known.value[0].order_id, None)
            later.append(known.value[0].order_id)
        for order_id in reversed(later):
            self._note_older(order_id, await self._payments_of(order_id))

    async def _payments_of(self, order_id: str) -> Sequence[Payment]:
        answer = await self.gateway.payments(order_id)
        return answer.value if isinstance(answer, Ok) else ()

    def _note_older(self, order_id: str, seen: Sequence[Payment]) -> bool:
        """Join what is told of an older order's payments; whether one of them has taken money or may yet."""
        now = self.clock.now()
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            order = books.order_by_id(order_id)
            states = [books.note_payment(order, told, now).state for told in seen] if order is not None else []
        return any(PaymentState(state).taken or PaymentState(state).open for state in states)

    def _void_order(self, doing: _Doing, pause: timedelta) -> None:
        assert doing.order is not None
        with self.store.unit() as session:
            session.delete(session.get(OrderRow, (self.depot_id, doing.collection_id, doing.order.issue)))
            Books(session, self.depot_id).collection(doing.collection_id).next_ms = to_ms(self.clock.now() + pause)

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
            payment_after=from_ms(order.payment_after_ms) if order.noticed else None,
        )
        if isinstance(answer, Ok):
            self._order_known(doing, answer.value)
            return
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            debit, row = books.collection(doing.collection_id), session.get(OrderRow, (self.depot_id, doing.collection_id, order.issue))
            if isinstance(answer, Rejected):
                log.warning("no order for debit %s: %s (%s)", doing.collection_id, answer.reason, answer.description)
                debit.own, debit.gave_up, debit.next_ms = Stage.ARREARS, answer.reason, None
            elif isinstance(answer, NotSent) and first and row is not None:
                session.delete(row)  # it cannot have been acted on: the intent is void
                debit.next_ms = to_ms(self.clock.now() + back_off(answer))
            else:
                debit.looked_ms = to_ms(self.clock.now())

    def _ask_order_anew(self, doing: _Doing) -> None:
        """The first request for the order came to nothing: the notice's time counts from now."""
        assert doing.order is not None
        now = self.clock.now()
        with self.store.unit() as session:
            row = session.get(OrderRow, (self.depot_id, doing.collection_id, doing.order.issue))
            assert row is not None
            row.requested_ms, row.payment_after_ms = to_ms(now), to_ms(self.terms.rules.payment_after(now))
            doing.order.requested_ms, doing.order.payment_after_ms = row.requested_ms, row.payment_after_ms

    def _order_known(self, doing: _Doing, told: Order) -> None:
        assert doing.order is not None
        now = self.clock.now()
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = session.get(OrderRow, (self.depot_id, doing.collection_id, doing.order.issue))
            assert row is not None
            if row.order_id is None:
                if told.amount_paise != doing.amount_paise or told.currency != self.terms.currency:
                    debit = books.collection(doing.collection_id)
                    debit.own, debit.gave_up, debit.next_ms = Stage.ARREARS, Reason.UNKNOWN, None
                    log.error("the gateway's order %s is not what debit %s asked for", told.order_id, doing.collection_id)
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
            debit = books.collection(doing.collection_id)
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
                log.warning("debit %s refused: %s (%s)", doing.collection_id, answer.reason, answer.description)
            elif isinstance(answer, NotSent):
                session.delete(row)  # it cannot have been acted on: the intent is void
                debit.next_ms = to_ms(now + max(spacing, back_off(answer)))
                log.info("debit %s waits: %s", doing.collection_id, answer.why)
            else:
                log.info("debit %s has no sure answer: it will be looked up", doing.collection_id)

    def _payments_seen(self, doing: _Doing, answer: Answer[Sequence[Payment]]) -> None:
        assert doing.order is not None
        assert doing.order.order_id is not None
        now, rules = self.clock.now(), self.terms.rules
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            books.collection(doing.collection_id).looked_ms = to_ms(now)
            if not isinstance(answer, Ok):
                return
            order = books.order_by_id(doing.order.order_id)
            assert order is not None
            for told in answer.value:
                books.note_payment(order, told, now)
            facts = next(o for o in books.debit(books.collection(doing.collection_id)).orders if o.issue == order.issue)
            if facts.unresolved is None:
                return
            row = session.get(SubmissionRow, (self.depot_id, doing.collection_id, facts.issue, facts.unresolved.number))
            assert row is not None
            row.empty_lookups += 1
            if row.empty_lookups >= rules.lookups_before_resubmit and now >= facts.unresolved.at + rules.settle:
                row.lapsed = True
                log.info("debit %s never arrived: it will be asked for again", doing.collection_id)

    def _looked(self, collection_id: str) -> None:
        with self.store.unit() as session:
            Books(session, self.depot_id).collection(collection_id).looked_ms = to_ms(self.clock.now())


def back_off(answer: NotSent) -> timedelta:
    """How long to leave the gateway alone."""
    return timedelta(seconds=max(1.0, answer.retry_after_s))


def _already_paid(answer: Rejected) -> bool:
    """The order took a payment that we have not seen yet: to be looked up, not a refusal."""
    text = answer.description.lower()
    return "already" in text and "paid" in text
