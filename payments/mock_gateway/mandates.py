"""Mandates: asked for, approved, paused, ended; and the blocks of Reserve Pay and one-time mandates."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy import Connection

from depot.money_text import rupees
from payments.mock_gateway import npci
from payments.mock_gateway.books import ACCOUNTS, LINKS, ORDERS, PAYMENTS, TOKENS, change, new_id, one, sure
from payments.mock_gateway.desk import Desk, Refusal
from payments.mock_gateway.entities import link_entity, order_entity, payment_entity, token_entity

__all__ = ["approve", "ask", "cancel", "decline", "end", "expire_due", "intent_url", "lapse", "release", "set_status"]

_PURPOSE = {"autopay": "14", "reserve": "77", "otm": "76"}
_WORDS = {"autopay": "AutoPay mandate", "reserve": "Reserve Pay block", "otm": "one-time mandate"}
_ALIVE = ("confirmed", "paused", "cancellation_initiated")


def ask(desk: Desk, order_id: str, *, description: str | None = None) -> str:
    """The driver is asked for approval: a payment that waits for it, and a token that is initiated; the payment's id."""
    with desk.store.writing() as connection:
        order = one(connection, ORDERS, order_id)
        if order is None or order.kind != "mandate":
            raise Refusal("The id provided does not exist")
        if order.status == "paid" or _taken(connection, order_id):
            raise Refusal("Order is already paid")
        now = desk.now_s
        if desk.settings.same_day and npci.end_of_day_s(order.created_at) <= now:
            raise Refusal("The order and its authorisation payment must be of the same day: make a new order")
        account, token_id, payment_id = desk.account(connection, order.customer_id), new_id("token"), new_id("pay")
        mode = order.mode or "autopay"
        connection.execute(
            sa.insert(TOKENS).values(
                id=token_id, customer_id=order.customer_id, order_id=order.id, status="initiated", max_amount=order.max_amount,
                expired_at=order.expire_at, created_at=int(now), mode=mode, frequency=order.frequency or "as_presented",
                recurring_type=order.recurring_type, recurring_value=order.recurring_value, vpa=account.vpa,
            )
        )  # fmt: skip
        connection.execute(
            sa.insert(PAYMENTS).values(
                id=payment_id, kind="authorisation", order_id=order.id, customer_id=order.customer_id, token_id=token_id,
                amount=order.amount, currency=order.currency, status="created", notes="{}", visible_at=now, created_at=int(now),
                description=description, lapses_at=npci.end_of_day_s(now) if desk.settings.same_day else None,
            )
        )  # fmt: skip
        change(connection, ORDERS, order.id, status="attempted", attempts=order.attempts + 1)
        desk.message(connection, order.customer_id, "asked", f"{_named(order)}: approve it with your PIN")
    if desk.settings.approve_at_once:
        approve(desk, payment_id)
    return payment_id


def _named(token: Any) -> str:
    """A mandate, or the order that asks for one."""
    words = _WORDS[token.mode or "autopay"]
    return f"{words[0].upper()}{words[1:]} up to {rupees(token.max_amount)}"


def _taken(connection: Connection, order_id: str) -> bool:
    query = sa.select(TOKENS.c.id).where(TOKENS.c.order_id == order_id, TOKENS.c.status.in_(_ALIVE))
    return connection.execute(query).first() is not None


def intent_url(order: Any, payment_id: str) -> str:
    """The link that opens a UPI app (NPCI's linking specification; Reserve Pay: purpose 77, block Y)."""
    mode = order.mode or "autopay"
    words = {
        "pa": "mock@chargeyard", "pn": "Mock Merchant", "tr": payment_id, "am": f"{order.max_amount / 100:.2f}", "amrule": "MAX",
        "cu": "INR", "recur": "ONETIME" if mode == "otm" else (order.frequency or "as_presented").replace("_", "").upper(),
        "validitystart": npci.validity(order.created_at), "validityend": npci.validity(order.expire_at), "purpose": _PURPOSE[mode],
        "block": "N" if mode == "autopay" else "Y", "rev": "Y", "mode": "04",
    }  # fmt: skip
    return f"upi://mandate?{urlencode(words)}"


def approve(desk: Desk, payment_id: str) -> None:
    """The driver says yes in the UPI app: to a mandate, or to a debit above the limit for no second factor."""
    with desk.store.writing() as connection:
        payment = one(connection, PAYMENTS, payment_id)
        if payment is None or payment.status != "created" or (payment.kind == "debit" and payment.decide_at is not None):
            raise Refusal("nothing to approve", status=404)
        now = desk.now_s
        if payment.kind == "debit":
            change(connection, PAYMENTS, payment_id, decide_at=now, lapses_at=None)
            return
        token = sure(connection, TOKENS, payment.token_id)
        values: dict[str, Any] = {"status": "confirmed", "start_time": int(now)}
        if token.mode != "autopay":
            account = desk.account(connection, token.customer_id)
            if account.no_funds or (account.balance is not None and account.balance - account.blocked < token.max_amount):
                _reject(desk, connection, payment, "insufficient_funds")
                return
            _block(connection, account, token.max_amount)
            values |= {"blocked": token.max_amount, "debited": 0}
        change(connection, TOKENS, token.id, **values)
        if token.mode == "otm":  # the real one shows the dummy payment of a one-time mandate as failed
            change(connection, PAYMENTS, payment_id, status="failed", error_reason="upi_dummy_payment")
            desk.tell(connection, "payment.failed", payment=payment_entity(sure(connection, PAYMENTS, payment_id)))
        else:
            change(connection, PAYMENTS, payment_id, status="authorized")
            desk.tell(connection, "payment.authorized", payment=payment_entity(sure(connection, PAYMENTS, payment_id)))
            change(connection, PAYMENTS, payment_id, status="captured", captured_at=now, rrn=_rrn(desk, payment_id))
            change(connection, ORDERS, payment.order_id, status="paid")
            shown = payment_entity(sure(connection, PAYMENTS, payment_id))
            desk.tell(connection, "payment.captured", payment=shown)
            desk.tell(connection, "order.paid", payment=shown, order=order_entity(sure(connection, ORDERS, payment.order_id)))
        desk.tell(connection, "token.confirmed", token=token_entity(sure(connection, TOKENS, token.id)))
        desk.message(connection, token.customer_id, "mandate", f"{_named(token)} is set up")
        _link_used(desk, connection, payment)


def _rrn(desk: Desk, payment_id: str) -> str:
    return f"{desk.settings.chance('rrn', payment_id).randrange(10**11, 10**12)}"


def _link_used(desk: Desk, connection: Connection, payment: Any) -> None:
    link = connection.execute(sa.select(LINKS).where(LINKS.c.order_id == payment.order_id, LINKS.c.status == "issued")).first()
    if link is not None:
        change(connection, LINKS, link.id, status="paid", payment_id=payment.id, paid_at=int(desk.now_s))
        desk.tell(connection, "invoice.paid", invoice=link_entity(sure(connection, LINKS, link.id), desk.base_url))


def decline(desk: Desk, payment_id: str, reason: str = "payment_declined") -> None:
    """The driver says no."""
    with desk.store.writing() as connection:
        payment = one(connection, PAYMENTS, payment_id)
        if payment is None or payment.status != "created" or (payment.kind == "debit" and payment.decide_at is not None):
            raise Refusal("nothing to decline", status=404)
        lapse(desk, connection, payment, reason)


def lapse(desk: Desk, connection: Connection, payment: Any, reason: str) -> None:
    """What waited for the driver fails; a mandate with it."""
    if payment.kind == "authorisation":
        _reject(desk, connection, payment, reason)
        return
    change(connection, PAYMENTS, payment.id, status="failed", error_reason=reason)
    desk.tell(connection, "payment.failed", payment=payment_entity(sure(connection, PAYMENTS, payment.id)))


def _reject(desk: Desk, connection: Connection, payment: Any, reason: str) -> None:
    change(connection, PAYMENTS, payment.id, status="failed", error_reason=reason)
    desk.tell(connection, "payment.failed", payment=payment_entity(sure(connection, PAYMENTS, payment.id)))
    change(connection, TOKENS, payment.token_id, status="rejected", failure_reason=reason)
    desk.tell(connection, "token.rejected", token=token_entity(sure(connection, TOKENS, payment.token_id)))


def set_status(desk: Desk, token_id: str, status: str) -> None:
    """The driver pauses, resumes or revokes (or a tester lets it expire); nobody is told of a resumption or of the end of
    its validity, as with the real one. A one-time mandate and a block cannot be paused."""
    with desk.store.writing() as connection:
        token = one(connection, TOKENS, token_id)
        if token is None or token.status not in _ALIVE:
            raise Refusal("The id provided does not exist", status=404)
        if status == "paused" and token.mode != "autopay":
            raise Refusal("a block cannot be paused; revoke it", status=409)
        if status in ("cancelled", "expired"):
            end(desk, connection, token, status)
            return
        change(connection, TOKENS, token_id, status=status)
        if status != "confirmed":
            desk.tell(connection, f"token.{status}", token=token_entity(sure(connection, TOKENS, token_id)))
        words = {"paused": "is paused", "confirmed": "is in force again"}[status]
        desk.message(connection, token.customer_id, "mandate", f"{_named(token)} {words}")


def cancel(desk: Desk, token_id: str) -> None:
    """The merchant asks for the end; it comes a little later. A block's rest is released at once."""
    with desk.store.writing() as connection:
        token = sure(connection, TOKENS, token_id)
        if token.status in ("cancellation_initiated", "cancelled"):
            return
        if token.status not in _ALIVE:
            raise Refusal(f"The token is {token.status} and cannot be cancelled", reason="mandate_not_active")
        release(desk, connection, token)
        change(connection, TOKENS, token_id, status="cancellation_initiated", ends_at=desk.now_s + desk.settings.decide_s)
        desk.tell(connection, "token.cancellation_initiated", token=token_entity(sure(connection, TOKENS, token_id)))


def end(desk: Desk, connection: Connection, token: Any, status: str) -> None:
    """Cancelled or expired: the block is released. Of an expiry nobody is told."""
    release(desk, connection, token)
    change(connection, TOKENS, token.id, status=status, ends_at=None)
    if status == "cancelled":
        desk.tell(connection, "token.cancelled", token=token_entity(sure(connection, TOKENS, token.id)))
    desk.message(connection, token.customer_id, "mandate", f"{_named(token)} has ended")


def _block(connection: Connection, account: Any, paise: int) -> None:
    connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.contact == account.contact).values(blocked=account.blocked + paise))


def release(desk: Desk, connection: Connection, token: Any) -> None:
    """What a block still holds goes back to the driver, but for debits that are under way."""
    if token.blocked is None or token.released:
        return
    busy = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(PAYMENTS.c.amount), 0)).where(
            PAYMENTS.c.token_id == token.id, PAYMENTS.c.kind == "debit", PAYMENTS.c.status == "created"
        )
    ).scalar_one()
    rest = token.blocked - token.debited - busy
    account = desk.account(connection, token.customer_id)
    _block(connection, account, -rest)
    change(connection, TOKENS, token.id, blocked=token.blocked - rest, released=1)
    if rest:
        desk.message(connection, token.customer_id, "released", f"{rupees(rest)} of your block were released")


def expire_due(desk: Desk, connection: Connection) -> None:
    """Blocks that end within ten minutes are released; mandates at their end expire; cancellations come through."""
    now = desk.now_s
    soon = (TOKENS.c.blocked.is_not(None)) & (TOKENS.c.released == 0) & (TOKENS.c.expired_at <= now + npci.RESERVE_RELEASE_S)
    for token in connection.execute(sa.select(TOKENS).where(TOKENS.c.status.in_(_ALIVE), soon)).all():
        release(desk, connection, token)
    for token in connection.execute(sa.select(TOKENS).where(TOKENS.c.status.in_(_ALIVE), TOKENS.c.expired_at <= now)).all():
        end(desk, connection, token, "expired")
    for token in connection.execute(sa.select(TOKENS).where(TOKENS.c.status == "cancellation_initiated", TOKENS.c.ends_at <= now)).all():
        end(desk, connection, token, "cancelled")
    for link in connection.execute(sa.select(LINKS).where(LINKS.c.status == "issued", LINKS.c.expire_by <= now)).all():
        change(connection, LINKS, link.id, status="expired")
        desk.tell(connection, "invoice.expired", invoice=link_entity(sure(connection, LINKS, link.id), desk.base_url))
