"""The next step of a bill towards its one debit. Pure: (facts, now) in, a step out; the worker carries it out.

The gateway has no idempotency key for orders and recurring payments, so a second debit is kept off by three things:
an intent is stored before each request leaves; after any doubt the gateway is looked up, for longer than it could hide
a payment, before anything is asked again; and all tries for one bill go to one order, which the gateway lets be paid
only once. A new order follows only where the old one's notice failed, and then nothing was ever submitted to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from payments.reasons import Action, Reason, action_for
from payments.rules import Rules
from payments.states import BillFacts, NotificationState, OrderFacts, PaymentState, Stage

__all__ = ["CreateOrder", "Done", "GiveUp", "LookUpOrder", "LookUpPayments", "Step", "Submit", "Wait", "next_step"]


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing will ever be done by itself."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing before ``until``, unless a webhook comes."""

    until: datetime


@dataclass(frozen=True, slots=True)
class CreateOrder:
    """Ask for an order with its notice. Moves no money."""

    issue: int


@dataclass(frozen=True, slots=True)
class LookUpOrder:
    """The order was asked for and no answer is known: look for its receipt. ``or_create``: it has been looked for
    long enough; when it is still not there, ask again."""

    issue: int
    or_create: bool


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask for the debit: intent ``number``, on this order."""

    order_id: str
    number: int


@dataclass(frozen=True, slots=True)
class LookUpPayments:
    """See what became of the order's payments."""

    order_id: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The bill is in arrears: a person or the driver must act."""

    reason: Reason


Step = Done | Wait | CreateOrder | LookUpOrder | Submit | LookUpPayments | GiveUp


def next_step(bill: BillFacts, *, amount_paise: int, looked_at: datetime | None, now: datetime, rules: Rules) -> Step:
    """What to do now. ``looked_at``: the last look-up of this bill's order or payments, None: never."""
    if bill.own is not Stage.INVOICED or amount_paise < rules.least_debit_paise:
        return Done()
    if any(payment.state.taken for payment in bill.payments):
        return Done()
    if not bill.orders:
        return CreateOrder(1)
    order = bill.orders[-1]
    may_look_at = now if looked_at is None else looked_at + rules.lookup_spacing
    if order.order_id is None:
        if now < may_look_at:
            return Wait(may_look_at)
        return LookUpOrder(order.issue, or_create=now >= order.requested_at + rules.settle)
    if order.unresolved is not None or any(payment.state.open for payment in order.payments):
        return LookUpPayments(order.order_id) if now >= may_look_at else Wait(may_look_at)
    if order.notification is NotificationState.FAILED and not order.submissions:
        return CreateOrder(order.issue + 1) if order.issue < rules.max_notices else GiveUp(Reason.NOTIFICATION_FAILED)
    return _submit(order, order.order_id, now, rules)


def _submit(order: OrderFacts, order_id: str, now: datetime, rules: Rules) -> Step:
    """Nothing is in the air: first try, next try, or the end of trying."""
    assert order.payment_after is not None
    due = rules.due_at(order.payment_after, order.delivered_at)
    failures = order.failures
    if failures:
        if action_for(failures[-1]) is not Action.RETRY_LATER or len(failures) > rules.max_retries:
            return GiveUp(failures[-1])
        last = max(_last_failures(order), default=now)
        due = rules.next_window(max(due, last + rules.retry_wait))
    if now < due:
        return Wait(due)
    return Submit(order_id, len(order.submissions) + 1)


def _last_failures(order: OrderFacts) -> list[datetime]:
    refused = [s.at for s in order.submissions if s.refused is not None]
    return refused + [p.seen_at for p in order.payments if p.state is PaymentState.FAILED and p.seen_at is not None]
