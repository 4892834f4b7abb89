"""Drivers' instruments at the gateway: opened, looked at, ended. One thing with three modes (:class:`~payments.states.Mode`).

    open → the driver approves in the UPI app → webhook or look → ACTIVE ⇄ PAUSED → an end

What is known is joined by rank, so webhooks and look-ups may come in any order. Any process may use it beside the worker;
every call may be repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, or_, select

from depot.money_text import short_rupees
from depot.ports import Clock
from payments import GatewayTrouble, Refused
from payments.contacts import Contacts
from payments.exposure import instrument, instruments_of
from payments.gateway import Answer, Customer, Gateway, LinkState, Ok, Order, Rejected
from payments.instruments import BOUNDS, Instrument, in_order, link_ends_at, superseded
from payments.privacy import UnreadableContact, Vault
from payments.records import Books, key_for, looking
from payments.states import MandateState, Mode, Stage, bill_stage, stage_of
from payments.tables import BillRow, CollectionRow, MandateRow
from payments.terms import Terms
from payments.times import from_ms, to_ms
from storage import Store

__all__ = ["MandateView", "Mandates"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_CALM = timedelta(hours=1)
_PAUSED_EVERY = timedelta(minutes=10)
_ASKED = (MandateState.LINK_SENT, MandateState.INTENT_OPEN)
_LIVE = (MandateState.ACTIVE, MandateState.PAUSED)


@dataclass(frozen=True, slots=True)
class MandateView:
    """A mandate as shown. ``intent_url``: for the driver's UPI app (or a page of the gateway), while approval is still to come,
    until ``link_ends_at``. ``blocked_paise`` and ``debited_paise``: of a block, as the gateway told. ``replaced``: a newer one of
    the same kind is in force."""

    mandate_id: str
    driver_id: str
    state: MandateState
    max_amount_paise: int
    expire_at: datetime
    intent_url: str | None
    mode: Mode = Mode.AUTOPAY
    blocked_paise: int = 0
    debited_paise: int = 0
    link_ends_at: datetime | None = None
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Mandates:
    """The instruments of one depot's drivers. ``store`` has this room's tables. ``vault``: seals the UPI address that the gateway
    tells, for drivers whose contact data are kept; None: it is not kept."""

    store: Store
    depot_id: str
    clock: Clock
    terms: Terms
    vault: Vault | None = None

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
        mode: Mode = Mode.AUTOPAY,
        hosted: bool = False,
        tell_driver: bool = False,
    ) -> MandateView:
        """Ask for an instrument: customer, order, link for approval. Name, e-mail and phone go to the gateway and are not kept.
        ``max_amount_paise``: of each debit (AutoPay), or what is blocked. ``hosted``: the link is a page of the gateway, which
        sends it to the driver where ``tell_driver`` says so; else it opens the UPI app.

        May be called again with the same ``mandate_id`` after any failure. Raises :class:`~payments.Refused`,
        :class:`~payments.GatewayTrouble` (call again).
        """
        row = self._intent(mandate_id, driver_id, max_amount_paise, expire_at, mode)
        if row.state != MandateState.NEW:
            return self._view(row)
        customer = _sure(await gateway.create_customer(name=name, email=email, contact=contact), "customer")
        link_id = None
        if hosted:
            made = await gateway.create_auth_link(
                name=name,
                email=email,
                contact=contact,
                receipt=row.receipt,
                max_amount_paise=row.max_amount_paise,
                expire_at=from_ms(row.expire_ms),
                currency=self.terms.currency,
                description="EV charging",
                link_expires_at=link_ends_at(from_ms(row.created_ms)),
                mode=mode,
                tell_driver=tell_driver,
            )
            link = _sure(made, "link")
            link_id, order_id, url, state = link.link_id, link.order_id, link.url, MandateState.LINK_SENT
            customer_id = link.customer_id or customer.customer_id
        else:
            order = await self._order(gateway, row, customer)
            whole = Customer(customer.customer_id, customer.email or email, customer.contact or contact)
            intent = _sure(await gateway.authorise(order=order, customer=whole), "authorisation")
            order_id, url, state, customer_id = order.order_id, intent.url, MandateState.INTENT_OPEN, customer.customer_id
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = books.mandate(mandate_id)
            row.customer_id, row.order_id, row.intent_url, row.link_id = customer_id, order_id, url, link_id
            books.note_mandate(row, state, 0)
            session.flush()
            books.unpark(order_id)
        return self._view(row)

    def _intent(self, mandate_id: str, driver_id: str, max_amount_paise: int, expire_at: datetime, mode: Mode) -> MandateRow:
        bounds, rules, now = BOUNDS[mode], self.terms.rules, self.clock.now()
        what = "a reserved amount" if mode.blocks else "a mandate's maximum"
        if not bounds.least_paise <= max_amount_paise <= bounds.most_paise:
            raise Refused(f"{what} must be between {short_rupees(bounds.least_paise)} and {short_rupees(bounds.most_paise)}")
        if expire_at <= now + (rules.block_spare if mode.blocks else rules.mandate_spare):
            raise Refused("the mandate would end too soon to debit a session")
        if expire_at > now + bounds.longest:
            raise Refused(f"it may live for {bounds.longest.days} days at most: choose an earlier end")
        with self.store.unit() as session:
            row = session.get(MandateRow, (self.depot_id, mandate_id))
            if row is None:
                row = MandateRow(
                    depot_id=self.depot_id,
                    mandate_id=mandate_id,
                    driver_id=driver_id,
                    mode=mode,
                    state=MandateState.NEW,
                    state_at_s=0,
                    max_amount_paise=max_amount_paise,
                    expire_ms=to_ms(expire_at),
                    receipt=key_for(self.depot_id, "mandate", mandate_id),
                    created_ms=to_ms(now),
                )
                session.add(row)
            elif (row.driver_id, row.max_amount_paise, row.mode) != (driver_id, max_amount_paise, mode):
                raise Refused(f"mandate {mandate_id} exists with another driver, maximum or mode: use a new id")
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
            mode=Mode(row.mode),
        )
        return _sure(answer, "order")

    async def cancel(self, gateway: Gateway, mandate_id: str) -> MandateView:
        """Ask the gateway to end a mandate, which releases what a block still holds; it has ended once the worker has heard so.
        A link that nobody has used yet is withdrawn, where it is one of the gateway's."""
        with looking(self.store) as session:
            row = Books(session, self.depot_id).mandate(mandate_id)
        if row.token_id is None and row.link_id is not None and row.state == MandateState.LINK_SENT:
            link = _sure(await gateway.cancel_auth_link(row.link_id), "end of the link")
            return self._note(mandate_id, MandateState.LINK_EXPIRED if link.state is not LinkState.PAID else MandateState.INITIATED)
        if row.customer_id is None or row.token_id is None:
            raise Refused(f"mandate {mandate_id} was never approved: it ends by itself")
        return self._note(mandate_id, _sure(await gateway.cancel_token(row.customer_id, row.token_id), "cancellation"))

    def _note(self, mandate_id: str, state: MandateState) -> MandateView:
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = books.mandate(mandate_id)
            books.note_mandate(row, state, row.state_at_s)
        return self._view(row)

    def of(self, driver_id: str) -> MandateView | None:
        """The driver's mandate that counts."""
        with looking(self.store) as session:
            row = Books(session, self.depot_id).newest_mandate(driver_id)
        return self._view(row) if row is not None else None

    def all_of(self, driver_id: str) -> list[MandateView]:
        """All of a driver: those in force first, the newest first, and which of them a newer one has replaced."""
        with looking(self.store) as session:
            query = select(MandateRow).where(MandateRow.depot_id == self.depot_id, MandateRow.driver_id == driver_id)
            rows = {row.mandate_id: row for row in session.exec(query).all()}
        known = [instrument(row) for row in rows.values()]
        old = {one.mandate_id for one in superseded(known)}
        return [self._view(rows[one.mandate_id], replaced=one.mandate_id in old) for one in in_order(known)]

    def look_soon(self, driver_id: str) -> None:
        """Have the worker look at what may have changed at the gateway without our being told: a pause that ended, an approval.
        At most once in the spacing that the network allows, however often a card is held to a reader."""
        now = self.clock.now()
        with self.store.unit() as session:
            changing = (*_ASKED, MandateState.INITIATED, MandateState.PAUSED)
            query = select(MandateRow).where(
                MandateRow.depot_id == self.depot_id,
                MandateRow.driver_id == driver_id,
                col(MandateRow.state).in_(changing),
                col(MandateRow.looked_ms) <= to_ms(now - self.terms.rules.lookup_spacing),
            )
            for row in session.exec(query).all():
                row.looked_ms = None

    def due(self, session: Session, now: datetime, *, most: int) -> Sequence[str]:
        """The mandates to look at now: those that change soon and those that a newer one has replaced, paused ones now and then
        (nobody tells of the end of a pause), the others once an hour."""
        paused_ms, calm_ms, soon_ms = (to_ms(now - every) for every in (_PAUSED_EVERY, _CALM, self.terms.rules.lookup_spacing))
        state, looked = col(MandateRow.state), col(MandateRow.looked_ms)
        changing = (*_ASKED, MandateState.INITIATED, MandateState.CANCEL_PENDING)
        newer = aliased(MandateRow)
        replaced = (
            select(newer.mandate_id)
            .where(
                newer.depot_id == MandateRow.depot_id,
                newer.driver_id == MandateRow.driver_id,
                newer.mode == MandateRow.mode,
                newer.state == MandateState.ACTIVE,
                newer.created_ms > MandateRow.created_ms,
            )
            .exists()
        )
        stale = or_(
            looked.is_(None),
            state.in_(changing) & (looked <= soon_ms),
            (state == MandateState.PAUSED) & (looked <= paused_ms),
            (state == MandateState.ACTIVE) & (looked <= calm_ms),
            state.in_(_LIVE) & (looked <= soon_ms) & replaced if self.terms.cancel_older else looked.is_(None),
        )
        live = state.in_((*changing, *_LIVE)) | ((state == MandateState.LINK_EXPIRED) & looked.is_(None))
        return session.exec(select(MandateRow.mandate_id).where(MandateRow.depot_id == self.depot_id, live, stale).limit(most)).all()

    async def look(self, gateway: Gateway, mandate_id: str) -> None:
        """See what became of a mandate: find its token, then the token's state. One that a newer one has replaced is ended
        once nothing is to be debited under it any more."""
        with looking(self.store) as session:
            row = Books(session, self.depot_id).mandate(mandate_id)
        token_id, told, link = row.token_id, None, None
        if token_id is None and row.order_id is not None:
            seen = await gateway.payments(row.order_id)
            if isinstance(seen, Ok):
                token_id = next((p.token_id for p in seen.value if p.token_id is not None), None)
        if token_id is not None and row.customer_id is not None:
            told = await gateway.token(row.customer_id, token_id)
        elif row.link_id is not None and row.state == MandateState.LINK_SENT:
            link = await gateway.auth_link(row.link_id)
        now = self.clock.now()
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = books.mandate(mandate_id)
            row.looked_ms = to_ms(now)
            if token_id is not None:
                books.know_token(row, token_id)
            if isinstance(told, Ok) and told.value.state is not None:
                books.note_mandate(row, told.value.state, told.at_s, token=told.value)
            if row.expire_ms <= to_ms(now):
                books.note_mandate(row, MandateState.EXPIRED, to_ms(now) // 1000)
            withdrawn = isinstance(link, Ok) and link.value.state in (LinkState.EXPIRED, LinkState.CANCELLED)
            if token_id is None and row.state in _ASKED and (withdrawn or link_ends_at(from_ms(row.created_ms)) <= now):
                books.note_mandate(row, MandateState.LINK_EXPIRED, to_ms(now) // 1000)  # an approval that comes all the same counts
            session.flush()
            ends = self.terms.cancel_older and row.token_id is not None and self._replaced(session, row) and not _open_on(books, row, now)
        if isinstance(told, Ok) and told.value.vpa and told.value.state in _LIVE:
            self._note_vpa(row.driver_id, told.value.vpa)
        if ends:
            try:
                await self.cancel(gateway, mandate_id)
            except GatewayTrouble as error:
                log.info("mandate %s, which a newer one has replaced, is not ended yet: %s", mandate_id, error)

    def _note_vpa(self, driver_id: str, vpa: str) -> None:
        if self.vault is None:
            return
        try:
            Contacts(self.store, self.depot_id, self.clock, self.vault).note_vpa(driver_id, vpa)
        except UnreadableContact as error:
            log.warning("the UPI address of driver %s is not kept: %s", driver_id, error)

    def _replaced(self, session: Session, row: MandateRow) -> bool:
        return row.mandate_id in {one.mandate_id for one in superseded(instruments_of(session, self.depot_id, row.driver_id))}

    def _view(self, row: MandateRow, *, replaced: bool = False) -> MandateView:
        one: Instrument = instrument(row)
        asked = one.state in _ASKED
        return MandateView(
            row.mandate_id,
            row.driver_id,
            one.state,
            one.max_amount_paise,
            one.expire_at,
            row.intent_url if asked else None,
            one.mode,
            one.blocked_paise,
            one.debited_paise,
            link_ends_at(one.created_at) if asked else None,
            replaced,
        )


def _open_on(books: Books, mandate: MandateRow, now: datetime) -> bool:
    """Whether a session runs or a bill is unpaid under this mandate."""
    query = select(BillRow).where(
        BillRow.depot_id == books.depot_id,
        BillRow.mandate_id == mandate.mandate_id,
        col(BillRow.own).in_((Stage.ESTIMATED, Stage.INVOICED)),
        (BillRow.own == Stage.ESTIMATED) | (BillRow.total_paise > 0),
    )
    bills = books.session.exec(query).all()
    if any(bill.own == Stage.ESTIMATED for bill in bills):
        return True
    if any(_to_come(bill_stage(facts, now)) for facts in books.facts_of(bills)):
        return True
    under = select(CollectionRow).where(
        CollectionRow.depot_id == books.depot_id, CollectionRow.mandate_id == mandate.mandate_id, CollectionRow.own == Stage.BATCHED
    )
    return any(_to_come(stage_of(facts, now)) for facts in books.debits(books.session.exec(under).all()).values())


def _to_come(stage: Stage) -> bool:
    """Whether its debit is still tried by itself; what is in arrears waits for a person, and for a mandate of that day."""
    return stage.owed and stage is not Stage.ARREARS


def _sure(answer: Answer[T], what: str) -> T:
    if isinstance(answer, Ok):
        return answer.value
    said = answer.description if isinstance(answer, Rejected) else answer.why
    raise GatewayTrouble(f"the gateway gave no {what}: {said}")
