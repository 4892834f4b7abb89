"""The list of drivers' contact data of one depot: kept sealed, shown masked, told to the driver, erased.

    put --> sealed row          masked: what screens show        held: everything that is kept of one driver, to be told
    rotate: seal anew           due: whom nothing needs any more      erase: the row stays as a witness, its content goes

Erasing takes contact data, the tag that starts sessions, approval links and the gateway's messages about the driver. What the law
wants kept stays: invoices and ledger for eight years after their financial year (CGST Act 2017 section 36: 72 months from the annual
return; Companies Act 2013 section 128: eight years), under the driver's id, which says nobody's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from depot.ports import Clock
from payments import Refused, UnknownRecord
from payments.masks import mask_email, mask_name, mask_phone, mask_vpa, phone_digits, without_persons
from payments.privacy import Sealed, UnreadableContact, Vault
from payments.records import Books, looking
from payments.states import MandateState, Stage, bill_stage
from payments.tables import BillRow, CollectionRow, ContactRow, MandateRow, PayerRow, RecipientRow, WebhookRow
from payments.times import from_ms, maybe_from_ms, to_ms
from storage import Store

__all__ = ["Contact", "Contacts", "MaskedContact", "check_email", "check_phone"]

_FIELDS = ("phone", "email", "name", "vpa")
_MASKS = {"phone": mask_phone, "email": mask_email, "name": mask_name, "vpa": mask_vpa}


@dataclass(frozen=True, slots=True)
class Contact:
    """Plain contact data; "" what is not known. Never logged: it shows nothing of itself."""

    phone: str = ""
    email: str = ""
    name: str = ""
    vpa: str = ""

    def __repr__(self) -> str:
        return "Contact(…)"


@dataclass(frozen=True, slots=True)
class MaskedContact:
    """What screens show. ``erased_at``: since when nothing else is kept. ``readable`` False: the key is not there."""

    driver_id: str
    phone: str
    email: str
    name: str
    vpa: str
    source: str
    created_at: datetime
    used_at: datetime
    erased_at: datetime | None
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Contacts:
    """One depot's list. Blocking, like everything that touches the store."""

    store: Store
    depot_id: str
    clock: Clock
    vault: Vault

    def put(self, driver_id: str, contact: Contact, *, source: str = "manager", language: str = "en") -> None:
        """Keep the driver's contact data, sealed, instead of earlier ones; empty fields keep what is known. Raises
        :class:`~payments.Refused` for a number or an address that cannot be one."""
        check_phone(contact.phone)
        if contact.email:
            check_email(contact.email)
        now_ms = to_ms(self.clock.now())
        with self.store.unit() as session:
            row = session.get(ContactRow, (self.depot_id, driver_id))
            if row is None:
                row = ContactRow(depot_id=self.depot_id, driver_id=driver_id, created_ms=now_ms, used_ms=now_ms)
                session.add(row)
                known = Contact()
            else:
                known = Contact() if row.erased_ms is not None else self._opened(row)
            merged = {name: getattr(contact, name) or getattr(known, name) for name in _FIELDS}
            self._seal(row, Contact(**merged))
            row.source, row.language, row.used_ms, row.erased_ms = source, language, now_ms, None

    def note_vpa(self, driver_id: str, vpa: str) -> None:
        """The address that the driver approved with, as the gateway tells it; ignored for a driver who is not in the list."""
        with self.store.unit() as session:
            row = session.get(ContactRow, (self.depot_id, driver_id))
            if row is not None and row.erased_ms is None and vpa:
                known = self._opened(row)
                if known.vpa != vpa:
                    self._seal(row, Contact(known.phone, known.email, known.name, vpa))

    def reveal(self, driver_id: str) -> Contact:
        """Plain contact data, for the gateway and for the driver. Raises :class:`~payments.UnknownRecord`,
        :class:`~payments.privacy.UnreadableContact`."""
        with looking(self.store) as session:
            row = session.get(ContactRow, (self.depot_id, driver_id))
            if row is None or row.erased_ms is not None:
                raise UnknownRecord(f"no contact data of driver {driver_id} are kept")
            return self._opened(row)

    def masked(self, *, limit: int = 200) -> list[MaskedContact]:
        """The list for screens, the last used first."""
        with looking(self.store) as session:
            query = select(ContactRow).where(ContactRow.depot_id == self.depot_id)
            rows = session.exec(query.order_by(col(ContactRow.used_ms).desc(), col(ContactRow.driver_id)).limit(limit)).all()
            return [self._masked(row) for row in rows]

    def masked_of(self, driver_id: str) -> MaskedContact | None:
        """One driver as screens show it."""
        with looking(self.store) as session:
            row = session.get(ContactRow, (self.depot_id, driver_id))
            return None if row is None else self._masked(row)

    def find_by_phone(self, phone: str) -> list[str]:
        """Ids of the drivers who gave this number, the last used first. Raises :class:`~payments.Refused`."""
        check_phone(phone)
        with looking(self.store) as session:
            query = select(ContactRow.driver_id).where(
                ContactRow.depot_id == self.depot_id, col(ContactRow.phone_index).in_(list(self.vault.indices(phone)))
            )
            return list(session.exec(query.order_by(col(ContactRow.used_ms).desc())).all())

    def used(self, driver_id: str) -> None:
        """The driver charged or was asked for money: what is kept is still needed."""
        with self.store.unit() as session:
            row = session.get(ContactRow, (self.depot_id, driver_id))
            if row is not None:
                row.used_ms = to_ms(self.clock.now())

    def rotate(self) -> int:
        """Seal everything with the present key that is sealed with an older one; how many rows. What does not open stays."""
        done = 0
        with self.store.unit() as session:
            query = select(ContactRow).where(
                ContactRow.depot_id == self.depot_id, col(ContactRow.key_id).is_not(None), ContactRow.key_id != self.vault.key_id
            )
            for row in session.exec(query).all():
                self._seal(row, self._opened(row))
                done += 1
        return done

    # -- what is held, and its end ------------------------------------------------------------------------------

    def held(self, driver_id: str) -> Mapping[str, Any]:
        """Everything that the depot keeps of one driver, plain, for the driver. Raises :class:`~payments.UnknownRecord`."""
        now = self.clock.now()
        with looking(self.store) as session:
            books = Books(session, self.depot_id)
            row = session.get(ContactRow, (self.depot_id, driver_id))
            mandates = session.exec(select(MandateRow).where(MandateRow.depot_id == self.depot_id, MandateRow.driver_id == driver_id)).all()
            bills = session.exec(select(BillRow).where(BillRow.depot_id == self.depot_id, BillRow.driver_id == driver_id)).all()
            payer = session.get(PayerRow, (self.depot_id, driver_id))
            recipient = session.get(RecipientRow, (self.depot_id, driver_id))
            if row is None and payer is None and not mandates and not bills:
                raise UnknownRecord(f"nothing is kept of driver {driver_id}")
            known = Contact() if row is None or row.erased_ms is not None else self._opened(row)
            return {
                "driver_id": driver_id,
                "told_at": now.isoformat(),
                "contact": {name: getattr(known, name) for name in _FIELDS},
                "contact_since": _iso(row.created_ms) if row is not None else None,
                "contact_erased_at": _iso(row.erased_ms) if row is not None and row.erased_ms is not None else None,
                "tag": payer.id_tag if payer is not None else None,
                "invoices_made_out_to": None
                if recipient is None
                else {"name": recipient.name, "address": recipient.address, "gstin": recipient.gstin},
                "mandates": [
                    {
                        "mandate_id": m.mandate_id,
                        "kind": m.mode,
                        "state": m.state,
                        "max_amount_paise": m.max_amount_paise,
                        "expires_at": _iso(m.expire_ms),
                        "created_at": _iso(m.created_ms),
                    }
                    for m in mandates
                ],
                "sessions": [
                    {
                        "session_id": b.bill_id,
                        "opened_at": _iso(b.opened_ms),
                        "energy_wh": b.energy_wh,
                        "total_paise": b.total_paise,
                        "invoice_no": b.invoice_no,
                        "state": str(bill_stage(books.facts(b), now)),
                    }
                    for b in bills
                ],
            }

    def why_not_erase(self, driver_id: str) -> str:
        """What must end first, for people; "" where nothing does. Raises :class:`~payments.UnknownRecord`."""
        now = self.clock.now()
        with looking(self.store) as session:
            books = Books(session, self.depot_id)
            bills = session.exec(select(BillRow).where(BillRow.depot_id == self.depot_id, BillRow.driver_id == driver_id)).all()
            stages = [bill_stage(books.facts(bill), now) for bill in bills]
            mandates = session.exec(select(MandateRow).where(MandateRow.depot_id == self.depot_id, MandateRow.driver_id == driver_id)).all()
            known = session.get(ContactRow, (self.depot_id, driver_id)) or session.get(PayerRow, (self.depot_id, driver_id))
        if known is None and not bills and not mandates:
            raise UnknownRecord(f"nothing is kept of driver {driver_id}")
        if Stage.ESTIMATED in stages:
            return "a session is under way: it must end and be billed first"
        if any(stage.owed for stage in stages):
            return "money is still owed: it must be debited, paid otherwise or written off first"
        if any(MandateState(m.state) in (MandateState.ACTIVE, MandateState.PAUSED) for m in mandates):
            return "a mandate is active: end it first"
        return ""

    def erase(self, driver_id: str) -> None:
        """Take away what says who the driver is. A second time changes nothing. Raises :class:`~payments.Refused` while it is
        needed, :class:`~payments.UnknownRecord`."""
        why = self.why_not_erase(driver_id)
        if why:
            raise Refused(f"driver {driver_id} cannot be erased now: {why}")
        now_ms = to_ms(self.clock.now())
        with self.store.unit() as session:
            row = session.get(ContactRow, (self.depot_id, driver_id))
            if row is None:
                row = ContactRow(depot_id=self.depot_id, driver_id=driver_id, created_ms=now_ms, used_ms=now_ms)
                session.add(row)
            row.phone = row.email = row.name = row.vpa = row.phone_index = row.key_id = None
            row.erased_ms = row.erased_ms or now_ms
            payer = session.get(PayerRow, (self.depot_id, driver_id))
            if payer is not None:
                session.delete(payer)
            recipient = session.get(RecipientRow, (self.depot_id, driver_id))
            if recipient is not None:
                session.delete(recipient)
            self._forget_messages(session, driver_id)

    def due(self, keep: timedelta, *, limit: int = 100) -> Sequence[str]:
        """Drivers whose contact data nothing has needed for ``keep``, and that may be erased now."""
        before_ms = to_ms(self.clock.now() - keep)
        with looking(self.store) as session:
            query = select(ContactRow.driver_id).where(
                ContactRow.depot_id == self.depot_id, col(ContactRow.erased_ms).is_(None), ContactRow.used_ms < before_ms
            )
            found = session.exec(query.order_by(col(ContactRow.used_ms)).limit(limit)).all()
        return [driver_id for driver_id in found if not self.why_not_erase(driver_id)]

    def forget_old_messages(self, keep: timedelta, *, limit: int = 500) -> int:
        """Take persons' data out of the gateway's messages that were applied and are older than ``keep``; how many."""
        before_ms = to_ms(self.clock.now() - keep)
        done = 0
        with self.store.unit() as session:
            query = select(WebhookRow).where(
                WebhookRow.depot_id == self.depot_id,
                WebhookRow.state == "applied",
                WebhookRow.received_ms < before_ms,
                ~col(WebhookRow.body).startswith(_FORGOTTEN),
            )
            for row in session.exec(query.limit(limit)).all():
                row.body = _forgotten(row.body)
                done += 1
        return done

    def _forget_messages(self, session: Session, driver_id: str) -> None:
        """Approval links, and the gateway's messages about this driver's mandates and debits, without persons' data."""
        mandates = session.exec(select(MandateRow).where(MandateRow.depot_id == self.depot_id, MandateRow.driver_id == driver_id)).all()
        mine = (CollectionRow.depot_id == self.depot_id) & (CollectionRow.driver_id == driver_id)
        debits = session.exec(select(CollectionRow.collection_id).where(mine)).all()
        names = {name for m in mandates for name in (m.order_id, m.token_id, m.customer_id) if name}
        for mandate in mandates:
            mandate.intent_url = None
        books = Books(session, self.depot_id)
        for debit_id in debits:
            names |= {order.order_id for order in books.orders(debit_id) if order.order_id}
            names |= {p.payment_id for p in books.payments(debit_id)}
        rows = session.exec(select(WebhookRow).where(WebhookRow.depot_id == self.depot_id, col(WebhookRow.ref).in_(sorted(names)))).all()
        for row in rows:
            if row.state == "applied" and not row.body.startswith(_FORGOTTEN):
                row.body = _forgotten(row.body)

    # -- rows ---------------------------------------------------------------------------------------------------

    def _place(self, driver_id: str, name: str) -> str:
        return f"{self.depot_id}/{driver_id}/{name}"

    def _seal(self, row: ContactRow, contact: Contact) -> None:
        for name in _FIELDS:
            plain = getattr(contact, name)
            setattr(row, name, self.vault.seal(plain, self._place(row.driver_id, name)).text if plain else None)
        row.key_id = self.vault.key_id
        row.phone_index = self.vault.index(contact.phone) if contact.phone else None

    def _opened(self, row: ContactRow) -> Contact:
        def plain(name: str) -> str:
            text = getattr(row, name)
            return self.vault.open(Sealed(row.key_id or "", text), self._place(row.driver_id, name)) if text else ""

        return Contact(*(plain(name) for name in _FIELDS))

    def _masked(self, row: ContactRow) -> MaskedContact:
        readable = True
        try:
            plain = Contact() if row.erased_ms is not None else self._opened(row)
        except UnreadableContact:
            plain, readable = Contact(), False
        words = {name: _MASKS[name](getattr(plain, name)) if getattr(plain, name) else "" for name in _FIELDS}
        return MaskedContact(
            driver_id=row.driver_id,
            **words,
            source=row.source,
            created_at=from_ms(row.created_ms),
            used_at=from_ms(row.used_ms),
            erased_at=maybe_from_ms(row.erased_ms),
            readable=readable,
        )


_FORGOTTEN = '{"forgotten":'


def _forgotten(body: str) -> str:
    """A message without what stands under persons' keys; ids, amounts and states stay."""

    try:
        return json.dumps({"forgotten": True, "message": without_persons(json.loads(body))}, separators=(",", ":"))
    except ValueError:
        return f"{_FORGOTTEN}true}}"


def _iso(ms: int) -> str:
    return from_ms(ms).isoformat()


def check_phone(phone: str) -> None:
    """Raises :class:`~payments.Refused` for what cannot be a phone number (ITU-T E.164: 15 digits at most)."""
    digits = phone_digits(phone)
    if not 11 <= len(digits) <= 15 or any(mark not in "+ -()0123456789" for mark in phone):
        raise Refused("a phone number has 10 digits, or a country code with + before it")
    if digits.startswith("91") and (len(digits) != 12 or digits[2] not in "6789"):
        raise Refused("an Indian mobile number has 10 digits and begins with 6, 7, 8 or 9")


def check_email(email: str) -> None:
    """Raises :class:`~payments.Refused` for what cannot be an e-mail address."""
    name, at, host = email.partition("@")
    if not at or not name or "." not in host or len(email) > 190 or any(mark.isspace() for mark in email):
        raise Refused("an e-mail address looks like name@example.org")
