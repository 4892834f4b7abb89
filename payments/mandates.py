"""A driver's instruments: opened at the gateway, ended, and what is known of them.

Any process may use it beside the worker; every call may be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlmodel import Session, col, or_, select

from depot.ports import Clock
from payments import GatewayTrouble, Refused
from payments.gateway import Answer, Customer, Gateway, Ok, Order, Rejected
from payments.records import Books, key_for, looking
from payments.states import MandateState, Mode
from payments.tables import MandateRow
from payments.terms import Terms
from payments.times import from_ms, to_ms
from storage import Store

__all__ = ["MandateView", "Mandates"]

T = TypeVar("T")

_CALM = timedelta(hours=1)
_PAUSED_EVERY = timedelta(minutes=10)
_GATEWAY_MANDATE_PAISE = (1_00, 99_999_00)
"""What Razorpay takes as max_amount for ordinary merchants."""


@dataclass(frozen=True, slots=True)
class MandateView:
    """A mandate as shown. ``intent_url``: for the driver's UPI app, while approval is still to come."""

    mandate_id: str
    driver_id: str
    state: MandateState
    max_amount_paise: int
    expire_at: datetime
    intent_url: str | None


@dataclass(frozen=True, slots=True)
class Mandates:
    """The instruments of one depot's drivers. ``store`` has this room's tables."""

    store: Store
    depot_id: str
    clock: Clock
    terms: Terms

    async def open(
        self,
        gateway: Gateway,
        *,
        mandate_id: str,
        driver_id: str,
        name: str,
        email: str,
        contact: str,
        max_amount_paise: int,
        expire_at: datetime,
    ) -> MandateView:
        """Set up UPI AutoPay: customer, order, intent link. Name, e-mail and phone go to the gateway and are not kept.

        May be called again with the same ``mandate_id`` after any failure. Raises :class:`~payments.Refused`,
        :class:`~payments.GatewayTrouble` (call again).
        """
        row = self._intent(mandate_id, driver_id, max_amount_paise, expire_at)
        if row.state != MandateState.NEW:
            return _mandate_view(row)
        customer = _sure(await gateway.create_customer(name=name, email=email, contact=contact), "customer")
        order = await self._order(gateway, row, customer)
        whole = Customer(customer.customer_id, customer.email or email, customer.contact or contact)
        link = _sure(await gateway.authorise(order=order, customer=whole), "authorisation")
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = books.mandate(mandate_id)
            row.customer_id, row.order_id, row.intent_url = customer.customer_id, order.order_id, link.url
            books.note_mandate(row, MandateState.INTENT_OPEN, 0)
            session.flush()
            books.unpark(order.order_id)
        return _mandate_view(row)

    def _intent(self, mandate_id: str, driver_id: str, max_amount_paise: int, expire_at: datetime) -> MandateRow:
        least, most = _GATEWAY_MANDATE_PAISE
        if not least <= max_amount_paise <= most:
            raise Refused(f"a mandate's maximum must be between ₹{least / 100:g} and ₹{most / 100:g}")
        now = self.clock.now()
        if expire_at <= now + self.terms.rules.mandate_spare:
            raise Refused("the mandate would end too soon to debit a session")
        with self.store.unit() as session:
            row = session.get(MandateRow, (self.depot_id, mandate_id))
            if row is None:
                row = MandateRow(
                    depot_id=self.depot_id,
                    mandate_id=mandate_id,
                    driver_id=driver_id,
                    mode=Mode.AUTOPAY,
                    state=MandateState.NEW,
                    state_at_s=0,
                    max_amount_paise=max_amount_paise,
                    expire_ms=to_ms(expire_at),
                    receipt=key_for(self.depot_id, "mandate", mandate_id),
                    created_ms=to_ms(now),
                )
                session.add(row)
            elif (row.driver_id, row.max_amount_paise) != (driver_id, max_amount_paise):
                raise Refused(f"mandate {mandate_id} exists with another driver or maximum: use a new id")
        return row

    async def _order(self, gateway: Gateway, row: MandateRow, customer: Customer) -> Order:
        """The order of an earlier call if there is one. A second one would be harmless: nobody approves it."""
        found = _sure(await gateway.orders(row.receipt), "order")
        if found:
            return found[0]
        answer = await gateway.create_mandate_order(
            customer_id=customer.customer_id,
            receipt=row.receipt,
            max_amount_paise=row.max_amount_paise,
            expire_at=from_ms(row.expire_ms),
            currency=self.terms.currency,
        )
        return _sure(answer, "order")

    async def cancel(self, gateway: Gateway, mandate_id: str) -> MandateView:
        """Ask the gateway to end a mandate; it has ended once the worker has heard so."""
        with self.store.unit() as session:
            row = Books(session, self.depot_id).mandate(mandate_id)
        if row.customer_id is None or row.token_id is None:
            raise Refused(f"mandate {mandate_id} was never approved: it ends by itself")
        state = _sure(await gateway.cancel_token(row.customer_id, row.token_id), "cancellation")
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = books.mandate(mandate_id)
            books.note_mandate(row, state, row.state_at_s)
        return _mandate_view(row)

    def of(self, driver_id: str) -> MandateView | None:
        """The driver's mandate that counts."""
        with looking(self.store) as session:
            row = Books(session, self.depot_id).newest_mandate(driver_id)
        return _mandate_view(row) if row is not None else None

    def due(self, session: Session, now: datetime, *, most: int) -> Sequence[str]:
        """The mandates to look at now: those that change soon, paused ones now and then (nobody tells of the end of a
        pause), the others once an hour."""
        paused_ms, calm_ms, soon_ms = (to_ms(now - every) for every in (_PAUSED_EVERY, _CALM, self.terms.rules.lookup_spacing))
        state, looked = col(MandateRow.state), col(MandateRow.looked_ms)
        changing = (MandateState.INTENT_OPEN, MandateState.INITIATED, MandateState.CANCEL_PENDING)
        stale = or_(
            looked.is_(None),
            state.in_(changing) & (looked <= soon_ms),
            (state == MandateState.PAUSED) & (looked <= paused_ms),
            (state == MandateState.ACTIVE) & (looked <= calm_ms),
        )
        live = state.in_((*changing, MandateState.ACTIVE, MandateState.PAUSED))
        return session.exec(select(MandateRow.mandate_id).where(MandateRow.depot_id == self.depot_id, live, stale).limit(most)).all()

    async def look(self, gateway: Gateway, mandate_id: str) -> None:
        """See what became of a mandate: find its token, then the token's state."""
        with self.store.unit() as session:
            row = Books(session, self.depot_id).mandate(mandate_id)
        token_id, told = row.token_id, None
        if token_id is None and row.order_id is not None:
            seen = await gateway.payments(row.order_id)
            if isinstance(seen, Ok):
                token_id = next((p.token_id for p in seen.value if p.token_id is not None), None)
        if token_id is not None and row.customer_id is not None:
            told = await gateway.token(row.customer_id, token_id)
        now = self.clock.now()
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = books.mandate(mandate_id)
            row.looked_ms = to_ms(now)
            if token_id is not None:
                books.know_token(row, token_id)
            if isinstance(told, Ok) and told.value.state is not None:
                books.note_mandate(row, told.value.state, told.at_s)
            if row.expire_ms <= to_ms(now):
                books.note_mandate(row, MandateState.EXPIRED, to_ms(now) // 1000)


def _mandate_view(row: MandateRow) -> MandateView:
    state = MandateState(row.state)
    url = row.intent_url if state is MandateState.INTENT_OPEN else None
    return MandateView(row.mandate_id, row.driver_id, state, row.max_amount_paise, from_ms(row.expire_ms), url)


def _sure(answer: Answer[T], what: str) -> T:
    if isinstance(answer, Ok):
        return answer.value
    said = answer.description if isinstance(answer, Rejected) else answer.why
    raise GatewayTrouble(f"the gateway gave no {what}: {said}")
