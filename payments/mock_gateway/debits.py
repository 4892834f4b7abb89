"""Debits: accepted, queued, decided by the driver's bank; and the notices before them.

Like the real one it takes several payments for one order until one of them has been captured: who asks twice in doubt
has debited twice, and the books show it.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from depot.money_text import rupees
from payments.mock_gateway import npci
from payments.mock_gateway.books import ACCOUNTS, ORDERS, PAYMENTS, TOKENS, change, new_id, one, sure
from payments.mock_gateway.desk import Desk, Refusal
from payments.mock_gateway.entities import notification_entity, order_entity, payment_entity
from payments.mock_gateway.mandates import lapse, release
from payments.mock_gateway.settings import TEST_AMOUNTS

__all__ = ["accept", "decide_due", "notify_due", "opt_out", "state_reason"]

_PASSING = ("bank_technical_error", "psp_not_available", "insufficient_funds", "request_timed_out", "bank_not_available")
_OVER = {"paused": "mandate_paused", "cancelled": "mandate_cancelled", "expired": "mandate_expired"}
_FAULTS = ("debit_fails", "debit_fails_then_captured", "debit_hangs")


def state_reason(status: str) -> str:
    """Why a token in this state pays nothing."""
    return _OVER.get(status, "mandate_not_active")


def accept(desk: Desk, order_id: str, token_id: str, amount: int, notes: dict[str, Any], *, hidden_s: float, description: str = "") -> str:
    """Take a debit on; its payment's id. ``hidden_s``: nobody sees or decides it for so long. Raises :class:`Refusal`."""
    now = desk.now_s
    with desk.store.writing() as connection:
        order, token = one(connection, ORDERS, order_id), one(connection, TOKENS, token_id)
        if order is None or order.kind == "mandate":
            raise Refusal("The id provided does not exist")
        if order.status == "paid":
            raise Refusal("Order is already paid")
        if token is None or token.deleted or order.token_id not in (None, token_id):
            raise Refusal("The token is not this order's", reason="invalid_token")
        if amount != order.amount:
            raise Refusal("Payment amount is different from order amount", field_="amount")
        failed = sa.select(sa.func.count()).where(PAYMENTS.c.order_id == order_id, PAYMENTS.c.status == "failed")
        if connection.execute(failed).scalar_one() >= npci.MAX_ATTEMPTS:
            raise Refusal(f"The debit was tried {npci.MAX_ATTEMPTS} times, which is all that the network allows: make a new order")
        reason = _obstacle(desk, connection, order, token, now)
        if reason is not None:
            raise Refusal(f"The debit cannot be presented: {npci.REASONS[reason]}", reason=reason)
        payment_id = new_id("pay")
        fault = desk.take_fault(
            connection,
            _FAULTS,
            contact=desk.contact_of(connection, token.customer_id),
            token=token_id,
            order=order_id,
            receipt=order.receipt,
        )
        values: dict[str, Any] = {"decide_at": _decide_at(desk, connection, order, token, now) + hidden_s}
        if fault is not None:
            values["doom"] = json.dumps({"outcome": fault.outcome, "reason": fault.reason, "after_s": fault.after_s})
            values["decide_at"] += fault.after_s if fault.outcome == "debit_hangs" else 0.0
        if token.mode == "autopay" and order.amount > npci.SECOND_FACTOR_PAISE:
            values |= {"decide_at": None, "lapses_at": now + desk.settings.approve_within_s}
            desk.message(connection, token.customer_id, "asked", f"A debit of {rupees(order.amount)} needs your PIN", order_id)
        connection.execute(
            sa.insert(PAYMENTS).values(
                id=payment_id, kind="debit", order_id=order.id, customer_id=token.customer_id, token_id=token_id, amount=order.amount,
                currency=order.currency, status="created", notes=json.dumps(notes), visible_at=now + hidden_s, created_at=int(now),
                description=description, **values,
            )
        )  # fmt: skip
        change(connection, ORDERS, order.id, status="attempted", attempts=order.attempts + 1, customer_id=token.customer_id)
        return payment_id


def _obstacle(desk: Desk, connection: Connection, order: Any, token: Any, now: float) -> str | None:
    """Why the network would not take the debit at all."""
    if token.status != "confirmed":
        return state_reason(token.status)
    if token.expired_at <= now:
        return "mandate_expired"
    if token.mode != "autopay":
        if token.released:
            return "mandate_expired" if token.mode == "reserve" else "mandate_current_cycle_allowed_debit_exceeds"
        used = sa.select(sa.func.coalesce(sa.func.sum(PAYMENTS.c.amount), 0)).where(
            PAYMENTS.c.token_id == token.id, PAYMENTS.c.kind == "debit", PAYMENTS.c.status == "created"
        )
        busy = connection.execute(used).scalar_one()
        if token.mode == "otm" and (busy or token.debited):
            return "mandate_current_cycle_allowed_debit_exceeds"
        return None if order.amount <= token.blocked - token.debited - busy else "adequate_funds_not_available_blocked"
    if order.amount > token.max_amount:
        return "amount_does_not_match_mandate_amount"
    if not npci.day_allowed(token.frequency, token.recurring_type, token.recurring_value, now):
        return "execution_day_rule_mismatch"
    cycle = npci.cycle_of(token.frequency, now)
    if cycle is not None:
        taken = sa.select(PAYMENTS.c.captured_at).where(
            PAYMENTS.c.token_id == token.id, PAYMENTS.c.kind == "debit", PAYMENTS.c.captured_at.is_not(None)
        )
        if any(npci.cycle_of(token.frequency, at) == cycle for (at,) in connection.execute(taken)):
            return "mandate_current_cycle_allowed_debit_exceeds"
    if order.kind == "debit":  # the merchant gave notice
        told = order.notification_status == "delivered" and now >= int(order.delivered_at) + desk.settings.least_notice_s
        return None if told and now >= order.payment_after else "pre_debit_notification_failed"
    return None


def _decide_at(desk: Desk, connection: Connection, order: Any, token: Any, now: float) -> float:
    """When the bank will have decided: a block at once; a mandate's debit in the next execution window; without a notice of
    the merchant's the gateway gives one, and debits 25 h later."""
    settings = desk.settings
    if token.mode != "autopay":
        return now + settings.decide_s
    if order.kind != "debit":
        after = now + (npci.AUTO_DEBIT_AFTER_S if settings.least_notice_s else 0.0)
        change(
            connection, ORDERS, order.id, token_id=token.id, customer_id=token.customer_id, notification_id=new_id("notification"),
            notification_status="requested", notify_at=now + settings.notice_s, payment_after=int(after),
        )  # fmt: skip
        now = max(after, now + settings.notice_s)
    return npci.next_window_s(settings.windows, now) + settings.decide_s


def decide_due(desk: Desk, connection: Connection) -> None:
    """Debits that the banks decide on now, what lapsed without a PIN, and what was captured after it had failed."""
    now = desk.now_s
    created = PAYMENTS.c.status == "created"
    for (payment_id,) in connection.execute(sa.select(PAYMENTS.c.id).where(created, PAYMENTS.c.decide_at <= now)).all():
        _decide(desk, connection, sure(connection, PAYMENTS, payment_id))
    for payment in connection.execute(sa.select(PAYMENTS).where(created, PAYMENTS.c.lapses_at <= now)).all():
        lapse(desk, connection, payment, "payment_timed_out")
    late = sa.select(PAYMENTS).where(PAYMENTS.c.status == "failed", PAYMENTS.c.late_capture_at <= now)
    for payment in connection.execute(late).all():
        change(connection, PAYMENTS, payment.id, late_capture_at=None, error_reason=None)
        _capture(desk, connection, payment)


def _decide(desk: Desk, connection: Connection, payment: Any) -> None:
    order, token = sure(connection, ORDERS, payment.order_id), sure(connection, TOKENS, payment.token_id)
    account = desk.account(connection, token.customer_id)
    doom = json.loads(payment.doom) if payment.doom else {}
    reason = _why_not(desk, payment, order, token, account, doom)
    if reason is None:
        _capture(desk, connection, payment)
        return
    change(connection, PAYMENTS, payment.id, status="failed", error_reason=reason)
    if doom.get("outcome") == "debit_fails_then_captured":
        change(connection, PAYMENTS, payment.id, late_capture_at=desk.now_s + doom["after_s"])
    desk.tell(connection, "payment.failed", payment=payment_entity(sure(connection, PAYMENTS, payment.id)))
    desk.message(connection, token.customer_id, "failed", f"A debit of {rupees(payment.amount)} failed: {npci.REASONS.get(reason, reason)}")
    if token.released:  # what a running debit held of an ended block goes back too
        change(connection, TOKENS, token.id, released=0)
        release(desk, connection, sure(connection, TOKENS, token.id))


def _why_not(desk: Desk, payment: Any, order: Any, token: Any, account: Any, doom: dict[str, Any]) -> str | None:
    """Why the driver's bank declines; None: it pays."""
    settings = desk.settings
    if doom.get("outcome") in ("debit_fails", "debit_fails_then_captured"):
        return str(doom["reason"] or "bank_technical_error")
    if order.opted_out:
        return "debit_declined"
    if account.bank_trouble:
        return str(account.bank_trouble)
    if token.mode == "autopay":  # a block was set aside before
        if token.status != "confirmed":
            return state_reason(token.status)
        if account.no_funds or (account.balance is not None and account.balance - account.blocked < payment.amount):
            return "insufficient_funds"
    if settings.test_amounts and payment.amount % 100 in TEST_AMOUNTS:
        return TEST_AMOUNTS[payment.amount % 100]
    luck = settings.chance("debit", payment.id)
    return luck.choice(_PASSING) if luck.random() < settings.misbehaviour.failed else None


def _capture(desk: Desk, connection: Connection, payment: Any) -> None:
    token = sure(connection, TOKENS, payment.token_id)
    account = desk.account(connection, token.customer_id)
    fee, tax = desk.settings.fee_paise(payment.amount)
    rrn = f"{desk.settings.chance('rrn', payment.id).randrange(10**11, 10**12)}"
    change(connection, PAYMENTS, payment.id, status="authorized", rrn=rrn)
    desk.tell(connection, "payment.authorized", payment=payment_entity(sure(connection, PAYMENTS, payment.id)))
    change(connection, PAYMENTS, payment.id, status="captured", fee=fee, tax=tax, captured_at=desk.now_s)
    change(connection, ORDERS, payment.order_id, status="paid")
    change(connection, TOKENS, token.id, used_at=int(desk.now_s))
    blocked = account.blocked
    if token.blocked is not None:
        change(connection, TOKENS, token.id, debited=token.debited + payment.amount)
        blocked -= payment.amount
    balance = None if account.balance is None else account.balance - payment.amount
    connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.contact == account.contact).values(balance=balance, blocked=blocked))
    if token.mode == "otm":
        release(desk, connection, sure(connection, TOKENS, token.id))
    shown = payment_entity(sure(connection, PAYMENTS, payment.id))
    desk.tell(connection, "payment.captured", payment=shown)
    desk.tell(connection, "order.paid", payment=shown, order=order_entity(sure(connection, ORDERS, payment.order_id)))
    desk.message(
        connection, token.customer_id, "debited", f"{rupees(payment.amount)} were debited: {payment.description or 'no description'}"
    )


# -- notices ----------------------------------------------------------------------------------------------------------------


def notify_due(desk: Desk, connection: Connection) -> None:
    """Notices that arrive now, or fail."""
    query = sa.select(ORDERS).where(ORDERS.c.notification_status == "requested", ORDERS.c.notify_at <= desk.now_s)
    for order in connection.execute(query).all():
        token, now = sure(connection, TOKENS, order.token_id), desk.now_s
        who = {"contact": desk.contact_of(connection, token.customer_id), "token": token.id, "order": order.id, "receipt": order.receipt}
        late = desk.take_fault(connection, ("notice_late",), **who)
        if late is not None and late.after_s > 0:
            change(connection, ORDERS, order.id, notify_at=now + late.after_s)
            continue
        doomed = desk.settings.chance("notice", order.id).random() < desk.settings.misbehaviour.notice_failed
        if doomed or token.status != "confirmed" or desk.take_fault(connection, ("notice_fails",), **who) is not None:
            change(connection, ORDERS, order.id, notification_status="failed")
            entity = notification_entity(sure(connection, ORDERS, order.id))
            desk.tell(connection, "order.notification.failed", notification=entity)
            continue
        change(connection, ORDERS, order.id, notification_status="delivered", delivered_at=now)
        entity = notification_entity(sure(connection, ORDERS, order.id))
        desk.tell(connection, "order.notification.delivered", notification=entity)
        text = f"{rupees(order.amount)} will be debited, not before {npci.clock_words(order.payment_after)}. You may stop this debit alone"
        desk.message(connection, token.customer_id, "notice", text, order.id)


def opt_out(desk: Desk, order_id: str, *, out: bool = True) -> None:
    """The driver forbids one debit of which the phone was told (or allows it again)."""
    with desk.store.writing() as connection:
        order = one(connection, ORDERS, order_id)
        if order is None or order.notification_status != "delivered" or order.status == "paid":
            raise Refusal("there is no such debit to stop", status=404)
        change(connection, ORDERS, order_id, opted_out=int(out))
