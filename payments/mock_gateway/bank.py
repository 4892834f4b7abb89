"""What happens behind the API as time passes. Every change and its webhooks are one transaction."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from payments.mock_gateway import npci
from payments.mock_gateway.books import LINKS, ORDERS, PAYMENTS, REFUNDS, SETTLEMENTS, TOKENS
from payments.mock_gateway.debits import decide_due, notify_due
from payments.mock_gateway.desk import Desk, Refusal
from payments.mock_gateway.mandates import expire_due
from payments.mock_gateway.refunds import refund_due
from payments.mock_gateway.settling import settle_due

__all__ = ["Bank", "Refusal"]

_TICK_S = 0.1


@dataclass(slots=True)
class Bank(Desk):
    """The desk with time."""

    async def run(self) -> None:
        """Let time do its work."""
        while True:
            self.tick()
            await asyncio.sleep(_TICK_S)  # of the machine's time: where depot time runs fast, looking more often shows no more

    def tick(self) -> None:
        """Everything that is due now."""
        with self.store.reading() as connection:
            if not self._due(connection):
                return
        with self.store.writing() as connection:
            notify_due(self, connection)
            decide_due(self, connection)
            refund_due(self, connection)
            expire_due(self, connection)
            settle_due(self, connection)

    def _due(self, connection: Connection) -> bool:
        """Whether anything waits for this moment."""
        now = self.now_s
        alive = TOKENS.c.status.in_(("confirmed", "paused", "cancellation_initiated"))
        looks: list[ColumnElement[bool]] = [
            (ORDERS.c.notification_status == "requested") & (ORDERS.c.notify_at <= now),
            (PAYMENTS.c.status == "created") & ((PAYMENTS.c.decide_at <= now) | (PAYMENTS.c.lapses_at <= now)),
            (PAYMENTS.c.status == "failed") & (PAYMENTS.c.late_capture_at <= now),
            (REFUNDS.c.status == "pending") & (REFUNDS.c.decide_at <= now),
            alive & (TOKENS.c.expired_at <= now),
            alive & TOKENS.c.blocked.is_not(None) & (TOKENS.c.released == 0) & (TOKENS.c.expired_at <= now + npci.RESERVE_RELEASE_S),
            (TOKENS.c.status == "cancellation_initiated") & (TOKENS.c.ends_at <= now),
            (LINKS.c.status == "issued") & (LINKS.c.expire_by <= now),
        ]
        if any(connection.execute(sa.select(sa.literal(1)).where(look).limit(1)).first() for look in looks):
            return True
        wait = self.settings.settle_after_s
        if wait is None:
            return False
        last = connection.execute(sa.select(sa.func.max(SETTLEMENTS.c.created_at))).scalar_one_or_none() or 0
        if now < last + 3600:
            return False
        money = PAYMENTS.c.settlement_id.is_(None) & (PAYMENTS.c.kind == "debit") & (PAYMENTS.c.captured_at <= now - wait)
        return connection.execute(sa.select(PAYMENTS.c.id).where(money).limit(1)).first() is not None
