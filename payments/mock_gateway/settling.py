"""Settlements: the merchant's money leaves for its bank, less fees and refunds, and a report says which line is what. On
demand a line is missing, short, or tells another fee: the transfer is then what the report says, as with a real mistake."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from payments.mock_gateway import npci
from payments.mock_gateway.books import ORDERS, PAYMENTS, RECON, REFUNDS, SETTLEMENTS, change, new_id, sure
from payments.mock_gateway.desk import Desk

__all__ = ["settle", "settle_due"]

_FAULTS = ("settlement_missing", "settlement_short", "settlement_fee")
_HOUR_S = 3600


def settle_due(desk: Desk, connection: Connection) -> None:
    """Once an hour of the gateway's clock: what is old enough. (Real ones settle once a day; the report is by day anyway.)"""
    wait = desk.settings.settle_after_s
    if wait is None:
        return
    last = connection.execute(sa.select(sa.func.max(SETTLEMENTS.c.created_at))).scalar_one_or_none()
    if last is None or desk.now_s >= last + _HOUR_S:
        settle(desk, connection, until_s=desk.now_s - wait)


def settle(desk: Desk, connection: Connection, *, until_s: float) -> str | None:
    """Everything captured or given back until then, in one transfer; its id, None if there is nothing."""
    taken = connection.execute(
        sa.select(PAYMENTS).where(
            PAYMENTS.c.kind == "debit", PAYMENTS.c.captured_at <= until_s, PAYMENTS.c.settlement_id.is_(None),
            PAYMENTS.c.status.in_(("captured", "refunded")),
        )
    ).all()  # fmt: skip
    back = connection.execute(
        sa.select(REFUNDS).where(REFUNDS.c.status == "processed", REFUNDS.c.processed_at <= until_s, REFUNDS.c.settlement_id.is_(None))
    ).all()
    if not taken and not back:
        return None
    settlement_id, now = new_id("setl"), int(desk.now_s)
    day = npci.day_of(now)
    total = fees = taxes = 0
    for payment in taken:
        order = sure(connection, ORDERS, payment.order_id)
        fault = desk.take_fault(connection, _FAULTS, payment=payment.id, order=order.id, receipt=order.receipt, token=payment.token_id)
        kind, paise = (fault.outcome, fault.paise) if fault is not None else ("", 0)
        fee = payment.fee + (paise if kind == "settlement_fee" else 0)
        credit = 0 if kind == "settlement_missing" else payment.amount - fee - (paise if kind == "settlement_short" else 0)
        connection.execute(
            sa.insert(RECON).values(
                settlement_id=settlement_id, day=day, entity_id=payment.id, type="payment", amount=payment.amount, debit=0, credit=credit,
                fee=fee, tax=payment.tax, order_id=order.id, order_receipt=order.receipt, payment_id=payment.id, settled_at=now,
                hidden=int(kind == "settlement_missing"), disturbed=kind or None,
            )
        )  # fmt: skip
        change(connection, PAYMENTS, payment.id, settlement_id=settlement_id)
        total, fees, taxes = total + credit, fees + fee, taxes + payment.tax
    for refund in back:
        payment = sure(connection, PAYMENTS, refund.payment_id)
        order = sure(connection, ORDERS, payment.order_id)
        connection.execute(
            sa.insert(RECON).values(
                settlement_id=settlement_id, day=day, entity_id=refund.id, type="refund", amount=refund.amount, debit=refund.amount,
                credit=0, fee=0, tax=0, order_id=order.id, order_receipt=order.receipt, payment_id=payment.id, settled_at=now,
            )
        )  # fmt: skip
        change(connection, REFUNDS, refund.id, settlement_id=settlement_id)
        total -= refund.amount
    utr = f"MOCKN{desk.settings.chance('utr', settlement_id).randrange(10**11, 10**12)}"
    connection.execute(
        sa.insert(SETTLEMENTS).values(id=settlement_id, amount=total, fees=fees, tax=taxes, utr=utr, status="processed", created_at=now)
    )
    return settlement_id
