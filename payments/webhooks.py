"""What the gateway tells by itself: verified on the raw bytes, kept once per event id, applied in any order.

    receive()  verify the signature, store, answer: nothing else happens before the acknowledgement
    apply()    later, a few events in a unit of work: join them to what is known

The gateway delivers at least once, in no order. An event about an order or token that we do not know yet waits
(parked) until we do; one that contradicts our books (odd) changes nothing but has the worker look for itself.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from sqlmodel import Session, col, select

from depot.ports import Clock
from payments.disputes import WireDispute, note_dispute
from payments.gateway import Payment
from payments.keys import GatewayKeys
from payments.masks import without_persons
from payments.records import Books, EventState, looking
from payments.states import MandateState
from payments.tables import MandateRow, WebhookRow
from payments.times import to_ms
from payments.wire import WireNotification, WirePayment, WireRefund, WireToken
from storage import Store

__all__ = ["MOST_BYTES", "Delivery", "Receipt", "Webhooks", "signature", "verified"]

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024
_BATCH = 5
_MOST_ID = 200


class Receipt(StrEnum):
    """The answer to a delivery. Only the first two are acknowledged."""

    STORED = "stored"
    REPEATED = "repeated"
    FORGED = "forged"
    UNREADABLE = "unreadable"

    @property
    def acknowledged(self) -> bool:
        """Whether the gateway may forget it."""
        return self in (Receipt.STORED, Receipt.REPEATED)


def signature(body: bytes, secret: str) -> str:
    """Hex HMAC-SHA256 over the raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verified(body: bytes, told: str, secrets: Sequence[str]) -> bool:
    """Whether ``told`` is the signature of these very bytes under one of the secrets. Constant time per secret."""
    return any(hmac.compare_digest(signature(body, secret).encode(), told.encode()) for secret in secrets)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came in at the door: the raw bytes, and what the headers say."""

    body: bytes
    told_signature: str | None
    event_id: str | None


class _Wrapped(msgspec.Struct):
    entity: msgspec.Raw


class _Payload(msgspec.Struct):
    payment: _Wrapped | None = None
    token: _Wrapped | None = None
    refund: _Wrapped | None = None
    notification: _Wrapped | None = None
    invoice: _Wrapped | None = None
    dispute: _Wrapped | None = None
    created_at: int = 0


class _Event(msgspec.Struct):
    event: str
    payload: _Payload
    created_at: int = 0

    @property
    def at_s(self) -> int:
        """In notification events the time stands inside the payload."""
        return self.created_at or self.payload.created_at


class _Ids(msgspec.Struct):
    id: str
    order_id: str | None = None
    payment_id: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The inbox of one depot. ``currency``: what our orders are in."""

    store: Store
    depot_id: str
    clock: Clock
    keys: GatewayKeys
    currency: str = "INR"

    def receive(self, body: bytes, *, told_signature: str | None, event_id: str | None) -> Receipt:
        """Durable when it returns. Raises :class:`~storage.StoreUnavailable`: not stored, must not be acknowledged."""
        return self.receive_all([Delivery(body, told_signature, event_id)])[0]

    def receive_all(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """The same for several that came at once, in one unit of work: all of them are durable, or the store is unavailable."""
        read = [self._read(delivery) for delivery in deliveries]
        receipts = [row if isinstance(row, Receipt) else Receipt.STORED for row in read]
        if all(isinstance(row, Receipt) for row in read):
            return receipts
        with self.store.unit() as session:
            for place, row in enumerate(read):
                if isinstance(row, Receipt):
                    continue
                if session.get(WebhookRow, (self.depot_id, row.event_id)) is not None:
                    receipts[place] = Receipt.REPEATED
                else:
                    session.add(row)
                    session.flush()  # the next one may be the same
        return receipts

    def _read(self, delivery: Delivery) -> WebhookRow | Receipt:
        """The row to keep, or why none is kept."""
        body, told = delivery.body, delivery.told_signature
        if told is None or len(body) > MOST_BYTES or not verified(body, told, self.keys.webhook_secrets):
            return Receipt.FORGED
        try:
            event = msgspec.json.decode(body, type=_Event)
            ref = _about(event)
            text = msgspec.json.encode(without_persons(msgspec.json.decode(body))).decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Receipt.UNREADABLE
        # without an id of the gateway's, the same bytes are the same event
        key = delivery.event_id[:_MOST_ID] if delivery.event_id else hashlib.sha256(body).hexdigest()
        return WebhookRow(
            depot_id=self.depot_id,
            event_id=key,
            kind=event.event,
            ref=ref,
            state=EventState.PENDING,
            received_ms=to_ms(self.clock.now()),
            body=text,
        )

    def apply(self) -> int:
        """Apply the oldest of what waits, a few in one unit of work; the number done. An event that cannot be applied is set aside."""
        pending = (WebhookRow.depot_id == self.depot_id) & (WebhookRow.state == EventState.PENDING)
        with looking(self.store) as session:  # does not take the write lock while nothing waits
            if session.exec(select(WebhookRow.event_id).where(pending).limit(1)).first() is None:
                return 0
        with self.store.unit() as session:
            rows = session.exec(select(WebhookRow).where(pending).order_by(col(WebhookRow.received_ms)).limit(_BATCH)).all()
            for row in rows:
                try:
                    with session.begin_nested():
                        row.state, row.note = self._apply(session, row)
                except (msgspec.DecodeError, ValueError) as error:
                    row.state, row.note = EventState.ODD, f"cannot be read: {error}"
                if row.state == EventState.ODD:
                    log.warning("webhook %s (%s) was set aside: %s", row.event_id, row.kind, row.note)
        return len(rows)

    def _apply(self, session: Session, row: WebhookRow) -> tuple[EventState, str]:
        books, event = Books(session, self.depot_id), msgspec.json.decode(row.body, type=_Event)
        area, payload = event.event.partition(".")[0], event.payload
        if event.event.startswith("order.notification.") and payload.notification is not None:
            return self._notification(books, msgspec.json.decode(payload.notification.entity, type=WireNotification))
        if area == "token" and payload.token is not None:
            return self._token(books, msgspec.json.decode(payload.token.entity, type=WireToken), event.at_s)
        if payload.dispute is not None:
            found = note_dispute(books, msgspec.json.decode(payload.dispute.entity, type=WireDispute))
            return (EventState.APPLIED, "") if found else (EventState.PARKED, "of a payment that we do not know")
        if area == "refund" and payload.refund is not None:
            refund = msgspec.json.decode(payload.refund.entity, type=WireRefund).neutral()
            known = books.note_refund(refund, self.clock.now())
            return (EventState.APPLIED, "") if known else (EventState.PARKED, "of a payment that we do not know")
        if area == "invoice" and payload.invoice is not None:
            return self._link(books, msgspec.json.decode(payload.invoice.entity, type=_Ids), event.at_s)
        if area in ("payment", "order") and payload.payment is not None:
            return self._payment(books, msgspec.json.decode(payload.payment.entity, type=WirePayment).neutral())
        return EventState.APPLIED, "of no use to us"

    def _notification(self, books: Books, told: WireNotification) -> tuple[EventState, str]:
        order = books.order_by_id(told.order_id or "")
        if order is None:
            return EventState.PARKED, "about an order that we do not know"
        books.note_notification(order, told.neutral(), self.clock.now())
        return EventState.APPLIED, ""

    def _payment(self, books: Books, told: Payment) -> tuple[EventState, str]:
        order = books.order_by_id(told.order_id)
        if order is None:
            mandate = _mandate_by(books, col(MandateRow.order_id), told.order_id)
            if mandate is None:
                return EventState.PARKED, "about an order that we do not know"
            if told.token_id is not None:
                books.know_token(mandate, told.token_id)
            mandate.looked_ms = None  # the worker looks at the token itself
            return EventState.APPLIED, "authorisation of a mandate"
        if told.amount_paise != order.amount_paise or told.currency != self.currency:
            debit = books.collection(order.collection_id)
            debit.looked_ms, debit.next_ms = None, to_ms(self.clock.now())
            return EventState.ODD, f"{told.amount_paise} {told.currency} told, {order.amount_paise} {self.currency} asked for"
        books.note_payment(order, told, self.clock.now())
        return EventState.APPLIED, ""

    def _token(self, books: Books, told: WireToken, at_s: int) -> tuple[EventState, str]:
        token = told.neutral()
        mandate, state = _mandate_by(books, col(MandateRow.token_id), told.id), token.state
        if mandate is None:
            return EventState.PARKED, "about a token that we do not know"
        if state is None:
            mandate.looked_ms = None
            return EventState.ODD, f"a mandate's state is new to us: {told.recurring_details.status}"
        books.note_mandate(mandate, state, at_s, token=token)
        if state is MandateState.PAUSED:
            mandate.looked_ms = to_ms(self.clock.now())  # nobody tells of the end of a pause: looked up from now on
        return EventState.APPLIED, ""

    def _link(self, books: Books, told: _Ids, at_s: int) -> tuple[EventState, str]:
        """A page of the gateway on which a mandate is approved was used, has expired or was withdrawn."""
        mandate = _mandate_by(books, col(MandateRow.link_id), told.id)
        if mandate is None:
            return EventState.PARKED, "about a link that we do not know"
        if told.status in ("expired", "cancelled"):
            books.note_mandate(mandate, MandateState.LINK_EXPIRED, at_s)
        mandate.looked_ms = None  # an approval in its last second counts: the worker looks
        return EventState.APPLIED, ""


def _mandate_by(books: Books, column: object, value: str) -> MandateRow | None:
    return books.session.exec(select(MandateRow).where(MandateRow.depot_id == books.depot_id, column == value)).first()


def _about(event: _Event) -> str:
    """The order, token or payment by which the event finds its row. Raises ``msgspec.DecodeError``."""
    payload = event.payload
    back = payload.refund or payload.dispute
    if back is not None:  # comes with its payment
        ids = msgspec.json.decode(back.entity, type=_Ids)
        return ids.payment_id or ids.id
    if event.event.startswith("token.") and payload.token is not None:
        return msgspec.json.decode(payload.token.entity, type=_Ids).id
    wrapped = payload.notification or payload.invoice or payload.payment
    if wrapped is None:
        return ""
    ids = msgspec.json.decode(wrapped.entity, type=_Ids)
    return ids.order_id or ids.id
