"""What all parts of the mock share: books, clock, settings, faults that were asked for, and telling by webhook."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from depot.ports import Clock
from payments.mock_gateway.books import ACCOUNTS, CUSTOMERS, EVENTS, FAULTS, MESSAGES, STATE, new_id, one
from payments.mock_gateway.settings import MockSettings
from storage import Store

__all__ = ["Desk", "Fault", "HttpFault", "MovedClock", "Refusal"]


class Refusal(Exception):
    """400, with the gateway's words."""

    def __init__(self, description: str, *, reason: str | None = None, status: int = 400, field_: str | None = None) -> None:
        super().__init__(description)
        self.description, self.reason, self.status, self.field = description, reason, status, field_


class MovedClock:
    """Another clock, put ahead. Only ever forward."""

    def __init__(self, clock: Clock, ahead_s: float = 0.0) -> None:
        self._clock, self.ahead_s = clock, ahead_s

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return self._clock.monotonic() + self.ahead_s

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Fault:
    """What shall go wrong with one thing. ``outcome``: see :mod:`payments.mock_gateway.faults`."""

    outcome: str
    reason: str
    after_s: float
    paise: int


@dataclass(slots=True)
class HttpFault:
    """An answer of the API that shall go wrong, ``left`` times: ``kind`` as in :mod:`payments.mock_gateway.faults`, for paths
    that hold ``path``. ``acted``: the request is carried out all the same."""

    kind: str
    path: str = ""
    method: str = ""
    acted: bool = False
    left: int = 1
    delay_s: float = 0.0


@dataclass(slots=True)
class Desk:
    """``woken``: a webhook waits to be sent. ``base_url``: where this gateway is. ``webhook_secret``: the
    present one; what was made before keeps its signature."""

    store: Store
    settings: MockSettings
    clock: Clock
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    http_faults: list[HttpFault] = field(default_factory=list)
    base_url: str = ""
    webhook_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.webhook_secret = self.webhook_secret or self.settings.webhook_secret

    @property
    def now_s(self) -> float:
        """The gateway's clock, Unix seconds."""
        return self.clock.now().timestamp()

    def advance(self, seconds: float) -> None:
        """Put the clock ahead; it stays so over a restart. Raises :class:`Refusal`: time does not run back."""
        if seconds < 0 or not isinstance(self.clock, MovedClock):
            raise Refusal("the clock can only be put ahead")
        self.clock.ahead_s += seconds
        with self.store.writing() as connection:
            connection.execute(sa.update(STATE).values(ahead_s=self.clock.ahead_s))

    # -- faults

    def take_fault(self, connection: Connection, outcomes: tuple[str, ...], **who: str | None) -> Fault | None:
        """The first fault that was asked for of these kinds and for this thing; it is used up by that. ``who``: contact,
        token, order, payment, receipt."""
        query = sa.select(FAULTS).where(FAULTS.c.left > 0, FAULTS.c.outcome.in_(outcomes)).order_by(FAULTS.c.seq)
        for row in connection.execute(query):
            if row.scope == "any" or who.get(row.scope) == row.of:
                connection.execute(sa.update(FAULTS).where(FAULTS.c.seq == row.seq).values(left=row.left - 1))
                return Fault(row.outcome, row.reason or "", row.after_s or 0.0, row.paise or 0)
        return None

    # -- the driver's bank and phone

    def contact_of(self, connection: Connection, customer_id: str | None) -> str:
        """The phone of a customer."""
        customer = one(connection, CUSTOMERS, customer_id or "")
        return "" if customer is None else str(customer.contact)

    def account(self, connection: Connection, customer_id: str | None) -> Any:
        """The customer's bank account; opened when it is asked for first."""
        customer = one(connection, CUSTOMERS, customer_id or "")
        contact = "" if customer is None else str(customer.contact)
        row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.contact == contact)).first()
        if row is None:
            name = "".join(c for c in (customer.name if customer is not None else "").lower() if c.isascii() and c.isalnum())
            values = {"contact": contact, "id": new_id("ba"), "vpa": f"{name or 'driver'}{contact[-3:]}@mockupi", "bank": "Mock Bank"}
            connection.execute(sa.insert(ACCOUNTS).values(**values, balance=self.settings.balance_paise))
            row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.contact == contact)).one()
        return row

    def message(self, connection: Connection, customer_id: str | None, kind: str, text: str, order_id: str | None = None) -> None:
        """The driver's phone shows it."""
        contact = self.contact_of(connection, customer_id)
        connection.execute(sa.insert(MESSAGES).values(contact=contact, kind=kind, text=text, order_id=order_id, at=int(self.now_s)))

    # -- webhooks

    def tell(self, connection: Connection, kind: str, **entities: dict[str, Any]) -> None:
        """Make a webhook, signed with the present secret; it leaves once this unit of work is done."""
        now, bad = self.now_s, self.settings.misbehaviour
        payload: dict[str, Any] = {name: {"entity": entity} for name, entity in entities.items()}
        event: dict[str, Any] = {"entity": "event", "account_id": "acc_mock", "event": kind, "contains": list(entities), "payload": payload}
        where = payload if "notification" in entities else event  # the real one puts the time inside there
        where["created_at"] = int(now)
        luck = self.settings.chance(kind, next(iter(entities.values()))["id"])
        event_id = new_id("evt")
        ids = [event_id]
        if luck.random() < bad.doubled:
            ids.append(new_id("evt") if luck.random() < bad.renamed else event_id)
        body = json.dumps(event)
        for id_ in ids:
            self.queue_event(connection, id_, kind, body, due_at=now + luck.random() * bad.shuffle_s)

    def queue_event(self, connection: Connection, event_id: str, kind: str, body: str, *, due_at: float, secret: str = "") -> None:
        """One webhook into the queue. ``secret``: another one than the present."""
        held = connection.execute(sa.select(STATE.c.held)).scalar_one_or_none() or 0
        signature = hmac.new((secret or self.webhook_secret).encode(), body.encode(), hashlib.sha256).hexdigest()
        row = {"event_id": event_id, "kind": kind, "body": body, "due_at": due_at, "delivered": False, "made_at": self.now_s}
        connection.execute(sa.insert(EVENTS).values(**row, signature=signature, held=held))
        self.woken.set()
