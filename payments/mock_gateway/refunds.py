"""Money on its way back to the driver."""

from __future__ import annotations

import json
import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from depot.money_text import rupees
from payments.mock_gateway import npci
from payments.mock_gateway.books import ACCOUNTS, PAYMENTS, REFUNDS, change, new_id, one, sure
from payments.mock_gateway.desk import Desk, Refusal
from payments.mock_gateway.entities import payment_entity, refund_entity

__all__ = ["refund", "refund_due"]

_KEY = re.compile(r"[A-Za-z0-9_-]{10,}")


def refund(
    desk: Desk, payment_id: str, amount: int | None, receipt: str | None, notes: dict[str, Any], *, key: str | None, body: str
) -> dict[str, Any]:
    """Give money back; the same key gets the same refund, and must come with the same body. Raises :class:`Refusal`."""
    if key is not None and not _KEY.fullmatch(key):
        raise Refusal("The idempotency key must have 10 characters or more of A-Z, a-z, 0-9, - and _")
    with desk.store.writing() as connection:
        known = connection.execute(sa.select(REFUNDS).where(REFUNDS.c.idempotency_key == key)).first() if key else None
        if known is not None:
            if known.body != body or known.payment_id != payment_id:
                raise Refusal("Different request body for the same idempotency key")
            return refund_entity(known)
        payment = one(connection, PAYMENTS, payment_id)
        if payment is None:
            raise Refusal("The id provided does not exist")
        if payment.status == "refunded":
            raise Refusal("The payment has been fully refunded already")
        if payment.status != "captured":
            raise Refusal("The payment has not been captured")
        now = desk.now_s
        if payment.created_at + npci.REFUND_WITHIN_S < now:
            raise Refusal("The payment is older than 6 months and cannot be refunded")
        asked = connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(REFUNDS.c.amount), 0)).where(
                REFUNDS.c.payment_id == payment_id, REFUNDS.c.status != "failed"
            )
        ).scalar_one()
        amount = payment.amount - asked if amount is None else amount
        if not 0 < amount <= payment.amount - asked:
            raise Refusal("The total refund amount is greater than the refund payment amount", field_="amount")
        refund_id = new_id("rfnd")
        contact = desk.contact_of(connection, payment.customer_id)
        fault = desk.take_fault(connection, ("refund_fails",), payment=payment_id, order=payment.order_id, contact=contact, receipt=receipt)
        connection.execute(
            sa.insert(REFUNDS).values(
                id=refund_id, payment_id=payment_id, amount=amount, receipt=receipt, status="pending", idempotency_key=key, body=body,
                decide_at=now + desk.settings.decide_s, created_at=int(now), notes=json.dumps(notes), doomed=int(fault is not None),
            )
        )  # fmt: skip
        entity = refund_entity(sure(connection, REFUNDS, refund_id))
        desk.tell(connection, "refund.created", refund=entity, payment=payment_entity(payment))
        return entity


def refund_due(desk: Desk, connection: Connection) -> None:
    """Refunds that arrive now, or fail."""
    query = sa.select(REFUNDS).where(REFUNDS.c.status == "pending", REFUNDS.c.decide_at <= desk.now_s)
    for row in connection.execute(query).all():
        payment = sure(connection, PAYMENTS, row.payment_id)
        if row.doomed:
            change(connection, REFUNDS, row.id, status="failed")
        else:
            change(connection, REFUNDS, row.id, status="processed", processed_at=desk.now_s)
            back = payment.amount_refunded + row.amount
            change(connection, PAYMENTS, payment.id, amount_refunded=back, status="refunded" if back >= payment.amount else payment.status)
            account = desk.account(connection, payment.customer_id)
            if account.balance is not None and payment.kind == "debit":
                whose = ACCOUNTS.c.contact == account.contact
                connection.execute(sa.update(ACCOUNTS).where(whose).values(balance=account.balance + row.amount))
            desk.message(connection, payment.customer_id, "refund", f"{rupees(row.amount)} came back")
        shown = sure(connection, REFUNDS, row.id)
        desk.tell(
            connection,
            f"refund.{shown.status}",
            refund=refund_entity(shown),
            payment=payment_entity(sure(connection, PAYMENTS, payment.id)),
        )
