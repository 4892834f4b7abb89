"""The next step of a collection: towards its one debit. Pure: (facts, now) in, a step out; the worker carries it out.

The gateway has no idempotency key for orders and recurring payments, so a second debit is kept off by three things:
an intent is stored before each request leaves; after any doubt the gateway is looked up, for longer than it could hide
a payment, before anything is asked again; and all tries for one collection go to one order, which the gateway lets be paid
only once. A new order follows only where the old one's notice failed or did not hold, so that no bank was asked for the money, or
when a person says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from payments.reasons import Action, Reason, action_for
from payments.rules import Rules
from payments.states import CollectionFacts, MandateState, Mode, NotificationState, OrderFacts, PaymentState, Stage

__all__ = ["CreateOrder", "Done", "GiveUp", "LookUpOrder", "LookUpPayments", "MandateFacts", "Step", "Submit", "Wait", "next_step"]


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
    """Its bills are in arrears: a person or the driver must act."""

    reason: Reason


Step = Done | Wait | CreateOrder | LookUpOrder | Submit | LookUpPayments | GiveUp


_NEW_NOTICE = frozenset({Reason.NOTIFICATION_FAILED, Reason.DAY_RULE})
"""The notice was what was wrong: a retry needs another one, with an order of its own."""

_STATUS_CHECKS = 3
_CHECK_SLOWLY = timedelta(hours=1)
"""NPCI: three status checks of a pending debit, 90 s apart. After them it is looked up now and then, for the webhook that was
lost; a debit that waits for the driver's approval may be pending for days."""


@dataclass(frozen=True, slots=True)
class MandateFacts:
    """What the debit's mandate was, when it was last heard of."""

    state: MandateState
    expire_at: datetime

    def trouble(self, now: datetime) -> Reason | None:
        """Why no debit can be presented now."""
        if self.state is MandateState.EXPIRED or self.expire_at <= now:
            return Reason.MANDATE_EXPIRED
        if self.state in (MandateState.CANCELLED, MandateState.CANCEL_PENDING):
            return Reason.MANDATE_CANCELLED
        return Reason.INVALID_TOKEN if self.state is MandateState.REJECTED else None


def next_step(
    debit: CollectionFacts,
    *,
    amount_paise: int,
    looked_at: datetime | None,
    now: datetime,
    rules: Rules,
    mandate: MandateFacts | None = None,
) -> Step:
    """What to do now. ``looked_at``: the last look-up of the debit's order or payments, None: never. ``mandate`` None: not asked
    for."""
    if debit.own is not Stage.BATCHED or amount_paise < rules.least_debit_paise:
        return Done()
    if any(payment.state.taken for payment in debit.payments):
        return Done()
    trouble = mandate.trouble(now) if mandate is not None else None
    if not debit.orders:
        return CreateOrder(1) if trouble is None else GiveUp(trouble)
    known = [order for order in debit.orders[:-1] if order.order_id is not None]
    for order in (*known, debit.orders[-1]):  # what an older order left in the air comes first
        step = _in_the_air(order, looked_at, now, rules)
        if step is not None:
            return step
    assert order.order_id is not None
    if trouble is not None:
        return GiveUp(trouble)
    if order.notification is NotificationState.FAILED and not order.submissions:
        return _new_notice(debit, order, rules)
    return _submit(debit, order, order.order_id, mandate=mandate, now=now, rules=rules)


def _in_the_air(order: OrderFacts, looked_at: datetime | None, now: datetime, rules: Rules) -> Step | None:
    """What of this order nobody knows for sure."""
    spacing = rules.lookup_spacing
    if order.order_id is None:
        may_look_at = now if looked_at is None else looked_at + spacing
        return Wait(may_look_at) if now < may_look_at else LookUpOrder(order.issue, or_create=now >= order.requested_at + rules.settle)
    waits = [payment for payment in order.payments if payment.state.open]
    if order.unresolved is None and not waits:
        return None
    since = min((payment.seen_at for payment in waits if payment.seen_at is not None), default=now)
    if order.unresolved is None and now > since + max(spacing * (_STATUS_CHECKS + 1), rules.settle):
        spacing = max(spacing, _CHECK_SLOWLY)
    may_look_at = now if looked_at is None else looked_at + spacing
    return LookUpPayments(order.order_id) if now >= may_look_at else Wait(may_look_at)


def _new_notice(debit: CollectionFacts, order: OrderFacts, rules: Rules) -> Step:
    more = order.issue - debit.round_issue + 1 < rules.max_notices
    return CreateOrder(order.issue + 1) if more else GiveUp(Reason.NOTIFICATION_FAILED)


def _submit(debit: CollectionFacts, order: OrderFacts, order_id: str, *, mandate: MandateFacts | None, now: datetime, rules: Rules) -> Step:
    """Nothing is in the air: first try, next try, or the end of trying."""
    assert order.payment_after is not None
    at_once = debit.mode is not Mode.AUTOPAY
    due = order.payment_after if at_once else rules.due_at(order.payment_after, order.delivered_at)
    failures = debit.failures
    if failures:
        if action_for(failures[-1]) is not Action.RETRY_LATER or len(failures) > rules.max_retries:
            return GiveUp(failures[-1])
        sure = order.notification is not NotificationState.REQUESTED or failures[-1] is Reason.DAY_RULE  # else it may only be late
        if failures[-1] in _NEW_NOTICE and sure and order.failures and order.noticed:
            return _new_notice(debit, order, rules)
        last = max(_last_failures(order), default=None)
        if last is not None:
            again = max(due, last + rules.retry_wait)
            due = again if at_once else rules.next_window(again)
    if now < due:
        return Wait(due)
    if mandate is not None and mandate.state is MandateState.PAUSED:
        return Wait(now + rules.paused_look) if now < due + rules.paused_patience else GiveUp(Reason.MANDATE_PAUSED)
    return Submit(order_id, len(order.submissions) + 1)


def _last_failures(order: OrderFacts) -> list[datetime]:
    refused = [s.at for s in order.submissions if s.refused is not None]
    return refused + [p.seen_at for p in order.payments if p.state is PaymentState.FAILED and p.seen_at is not None]
