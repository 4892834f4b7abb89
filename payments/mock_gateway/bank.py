"""What happens behind the API: mandates, notices, debits, refunds. Every change and its webhooks are one transaction.

Like the real one it takes several payments for one order until one of them has been captured: who asks twice in doubt
has debited twice, and these books show it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from depot.ports import Clock
from payments.mock_gateway import books
from payments.mock_gateway.books import EVENTS, ORDERS, PAYMENTS, REFUNDS, TOKENS, change, new_id, one
from payments.mock_gateway.settings import TEST_AMOUNTS, MockSettings
from storage import Store

__all__ = ["Bank", "Refusal"]

_SECOND_FACTOR_PAISE = 15_000_00
_TICK_S = 0.1


class Refusal(Exception):
    """400, with the gateway's words."""

    def __init__(self, description: str, *, reason: str | None = None, status: int = 400) -> None:
        super().__init__(description)
        self.description, self.reason, self.status = description, reason, status


@dataclass(slots=True)
class Bank:
    """``woken``: a webhook waits to be sent."""

    store: Store
    settings: MockSettings
    clock: Clock
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def now_s(self) -> float:
        """The gateway's clock, Unix seconds."""
        return self.clock.now().timestamp()

    async def run(self) -> None:
        """Let time do its work."""
        while True:
            self.tick()
            await asyncio.sleep(_TICK_S)  # of the machine's time: where depot time runs fast, looking more often shows no more

    def tick(self) -> None:
        """Everything that is due now."""
        now = self.now_s
        with self.store.reading() as connection:
            notices = connection.execute(
                sa.select(ORDERS.c.id).where(ORDERS.c.notification_status == "requested", ORDERS.c.notify_at <= now)
            ).scalars().all()  # fmt: skip
            debits = connection.execute(
                sa.select(PAYMENTS.c.id).where(PAYMENTS.c.status == "created", PAYMENTS.c.decide_at <= now)
            ).scalars().all()  # fmt: skip
            refunds = connection.execute(
                sa.select(REFUNDS.c.id).where(REFUNDS.c.status == "pending", REFUNDS.c.decide_at <= now)
            ).scalars().all()  # fmt: skip
        if not (notices or debits or refunds):
            return
        with self.store.writing() as connection:
            for order_id in notices:
                change(connection, ORDERS, order_id, notification_status="delivered", delivered_at=now)
                entity = books.notification_entity(one(connection, ORDERS, order_id))
                self._tell(connection, "order.notification.delivered", notification=entity)
            for payment_id in debits:
                self._decide(connection, payment_id)
            for refund_id in refunds:
                self._give_back(connection, refund_id)

    # -- mandates -----------------------------------------------------------------------------------------------------

    def authorise(self, order_id: str) -> str:
        """The driver is asked for approval: a payment that waits for it; its id."""
        with self.store.writing() as connection:
            order = one(connection, ORDERS, order_id)
            if order is None or order.kind != "mandate":
                raise Refusal("The id provided does not exist")
            if order.status == "paid":
                raise Refusal("Order is already paid")
            payment_id = self._new_payment(connection, order, kind="authorisation", token_id=None, notes={}, decide_at=None)
        if self.settings.approve_at_once:
            self.approve(payment_id)
        return payment_id

    def approve(self, payment_id: str) -> None:
        """The driver says yes in the UPI app: to a mandate, or to a debit above the limit for no second factor."""
        with self.store.writing() as connection:
            payment = one(connection, PAYMENTS, payment_id)
            if payment is None or payment.status != "created":
                raise Refusal("nothing to approve", status=404)
            if payment.kind == "debit":
                change(connection, PAYMENTS, payment_id, decide_at=self.now_s)
                return
            order, token_id = one(connection, ORDERS, payment.order_id), new_id("token")
            assert order is not None
            connection.execute(
                sa.insert(TOKENS).values(
                    id=token_id, customer_id=order.customer_id, order_id=order.id, status="confirmed", max_amount=order.max_amount,
                    expired_at=order.expire_at, created_at=int(self.now_s),
                )
            )  # fmt: skip
            change(connection, PAYMENTS, payment_id, token_id=token_id)
            self._captured(connection, payment_id)
            self._tell(connection, "token.confirmed", token=books.token_entity(one(connection, TOKENS, token_id)))

    def decline(self, payment_id: str) -> None:
        """The driver says no."""
        with self.store.writing() as connection:
            payment = one(connection, PAYMENTS, payment_id)
            if payment is None or payment.status != "created":
                raise Refusal("nothing to decline", status=404)
            self._failed(connection, payment_id, "payment_declined")

    def set_token(self, token_id: str, status: str) -> None:
        """The driver pauses, resumes or revokes; nobody is told of a resumption, as with the real one."""
        with self.store.writing() as connection:
            token = one(connection, TOKENS, token_id)
            if token is None or token.status in ("cancelled", "rejected"):
                raise Refusal("The id provided does not exist", status=404)
            change(connection, TOKENS, token_id, status=status)
            if status != "confirmed":
                self._tell(connection, f"token.{status}", token=books.token_entity(one(connection, TOKENS, token_id)))

    # -- debits -------------------------------------------------------------------------------------------------------

    def accept_debit(self, order_id: str, token_id: str, amount: int, notes: dict[str, Any], *, hidden_s: float) -> str:
        """Take a debit on; its payment's id. ``hidden_s``: nobody sees or decides it for so long. Raises :class:`Refusal`."""
        now = self.now_s
        with self.store.writing() as connection:
            order, token = one(connection, ORDERS, order_id), one(connection, TOKENS, token_id)
            if order is None or order.kind != "debit":
                raise Refusal("The id provided does not exist")
            if order.status == "paid":
                raise Refusal("Order is already paid")
            if token is None or order.token_id != token_id:
                raise Refusal("The token is not this order's", reason="invalid_token")
            if amount != order.amount:
                raise Refusal("Payment amount is different from order amount")
            reason = self._obstacle(order, token, now)
            if reason is not None:
                raise Refusal("The debit cannot be presented", reason=reason)
            waits = order.amount > _SECOND_FACTOR_PAISE
            return self._new_payment(
                connection, order, kind="debit", token_id=token_id, notes=notes,
                decide_at=None if waits else now + self.settings.decide_s + hidden_s, hidden_s=hidden_s,
            )  # fmt: skip

    def _obstacle(self, order: Any, token: Any, now: float) -> str | None:
        if token.status != "confirmed":
            return {"paused": "mandate_paused", "cancelled": "mandate_cancelled"}.get(token.status, "mandate_not_active")
        if token.expired_at <= now:
            return "mandate_expired"
        if order.amount > token.max_amount:
            return "amount_does_not_match_mandate_amount"
        told = order.notification_status == "delivered" and now >= order.delivered_at + self.settings.least_notice_s
        return None if told and now >= order.payment_after else "pre_debit_notification_failed"

    def _decide(self, connection: Connection, payment_id: str) -> None:
        payment = one(connection, PAYMENTS, payment_id)
        assert payment is not None
        reason = TEST_AMOUNTS.get(payment.amount % 100) if self.settings.test_amounts and payment.kind == "debit" else None
        if reason is None:
            self._captured(connection, payment_id)
        else:
            self._failed(connection, payment_id, reason)

    def _captured(self, connection: Connection, payment_id: str) -> None:
        change(connection, PAYMENTS, payment_id, status="authorized")
        self._tell(connection, "payment.authorized", payment=books.payment_entity(one(connection, PAYMENTS, payment_id)))
        change(connection, PAYMENTS, payment_id, status="captured")
        payment = one(connection, PAYMENTS, payment_id)
        assert payment is not None
        change(connection, ORDERS, payment.order_id, status="paid")
        self._tell(connection, "payment.captured", payment=books.payment_entity(payment))
        order = books.order_entity(one(connection, ORDERS, payment.order_id))
        self._tell(connection, "order.paid", payment=books.payment_entity(payment), order=order)

    def _failed(self, connection: Connection, payment_id: str, reason: str) -> None:
        change(connection, PAYMENTS, payment_id, status="failed", error_reason=reason)
        self._tell(connection, "payment.failed", payment=books.payment_entity(one(connection, PAYMENTS, payment_id)))

    def _new_payment(
        self, connection: Connection, order: Any, *, kind: str, token_id: str | None, notes: dict[str, Any], decide_at: float | None,
        hidden_s: float = 0.0,
    ) -> str:  # fmt: skip
        payment_id, now = new_id("pay"), self.now_s
        connection.execute(
            sa.insert(PAYMENTS).values(
                id=payment_id, kind=kind, order_id=order.id, customer_id=order.customer_id, token_id=token_id, amount=order.amount,
                currency=order.currency, status="created", notes=json.dumps(notes), decide_at=decide_at, visible_at=now + hidden_s,
                created_at=int(now),
            )
        )  # fmt: skip
        change(connection, ORDERS, order.id, status="attempted", attempts=order.attempts + 1)
        return payment_id

    # -- refunds ------------------------------------------------------------------------------------------------------

    def refund(self, payment_id: str, amount: int, receipt: str | None, key: str | None, body: str) -> dict[str, Any]:
        """Give money back; the same key gets the same refund. Raises :class:`Refusal`."""
        with self.store.writing() as connection:
            known = connection.execute(sa.select(REFUNDS).where(REFUNDS.c.idempotency_key == key)).first() if key else None
            if known is not None:
                if known.body != body or known.payment_id != payment_id:
                    raise Refusal("Different request body for the same idempotency key")
                return books.refund_entity(known)
            payment = one(connection, PAYMENTS, payment_id)
            if payment is None or payment.status not in ("captured", "refunded"):
                raise Refusal("The payment has not been captured")
            asked = connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(REFUNDS.c.amount), 0)).where(REFUNDS.c.payment_id == payment_id)
            ).scalar_one()
            if not 0 < amount <= payment.amount - asked:
                raise Refusal("The total refund amount is greater than the refund payment amount")
            refund_id, now = new_id("rfnd"), self.now_s
            connection.execute(
                sa.insert(REFUNDS).values(
                    id=refund_id, payment_id=payment_id, amount=amount, receipt=receipt, status="pending", idempotency_key=key,
                    body=body, decide_at=now + self.settings.decide_s, created_at=int(now),
                )
            )  # fmt: skip
            entity = books.refund_entity(one(connection, REFUNDS, refund_id))
            self._tell(connection, "refund.created", refund=entity)
            return entity

    def _give_back(self, connection: Connection, refund_id: str) -> None:
        change(connection, REFUNDS, refund_id, status="processed")
        refund = one(connection, REFUNDS, refund_id)
        assert refund is not None
        payment = one(connection, PAYMENTS, refund.payment_id)
        assert payment is not None
        back = payment.amount_refunded + refund.amount
        status = "refunded" if back >= payment.amount else payment.status
        change(connection, PAYMENTS, payment.id, amount_refunded=back, status=status)
        self._tell(connection, "refund.processed", refund=books.refund_entity(refund))

    # -- webhooks -----------------------------------------------------------------------------------------------------

    def _tell(self, connection: Connection, kind: str, **entities: dict[str, Any]) -> None:
        now, event_id, bad = self.now_s, new_id("evt"), self.settings.misbehaviour
        payload: dict[str, Any] = {name: {"entity": entity} for name, entity in entities.items()}
        event: dict[str, Any] = {"entity": "event", "account_id": "acc_mock", "event": kind, "contains": list(entities), "payload": payload}
        where = payload if "notification" in entities else event  # the real one puts the time inside there
        where["created_at"] = int(now)
        luck = self.settings.chance(kind, next(iter(entities.values()))["id"])
        ids = [event_id]
        if luck.random() < bad.doubled:
            ids.append(new_id("evt") if luck.random() < bad.renamed else event_id)
        for id_ in ids:
            leaves_at = now + luck.random() * bad.shuffle_s
            row = {"event_id": id_, "kind": kind, "body": json.dumps(event), "due_at": leaves_at, "delivered": False, "made_at": now}
            connection.execute(sa.insert(EVENTS).values(**row))
        self.woken.set()
