"""A meter that was wrong, found out after the bill: rated again from the frozen tariff, and the difference is a note.

    less   credit note; what is not debited yet is not asked for (a debit of which the driver has had notice is announced anew, with
           the lower amount), what was paid is refunded by the worker
    more   debit note, and a bill of its own that goes into the driver's next debit

The amounts of the first invoice and all notes together are, to the paisa, those of an invoice over the corrected energy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session, col, select

from payments import Refused, ledger
from payments.batcher import new_order
from payments.claims import close_settled
from payments.documents import DocumentKind, indian_day
from payments.driver_tariff import DriverTariff
from payments.facts_text import from_text as facts_from_text
from payments.invoices import Charge, Invoices, keep_rating, recipient_of
from payments.ledger import Account, Entry, Transfer
from payments.money import Bill, bill_of_value
from payments.notes import billed_so_far, invoice_of, issue_note, rule_of
from payments.rating import Reading, SessionFacts, rate
from payments.records import Books
from payments.refunds import REFUNDS_END_AFTER, kept_payments
from payments.rules import Rules
from payments.states import Mode, Stage
from payments.tables import BillRow, CollectionRow, MandateRow, RatingRow, ShareRow
from payments.tariff_text import from_text as tariff_from_text
from payments.times import from_ms, to_ms

__all__ = ["Corrected", "correct_bill", "with_energy"]


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction came to. ``number``: of the note, "" where nothing changes. ``difference_paise``: what the driver owes more
    (less, where negative); ``refund_paise``: what is given back."""

    number: str
    difference_paise: int
    refund_paise: int


def with_energy(facts: SessionFacts, energy_wh: int) -> SessionFacts:
    """The same session with another energy: each reading in proportion, so that the parts keep their prices. Where nothing had been
    measured, evenly from start to end."""
    first = facts.readings[0]
    so_far, highest, base = [0], first.register_wh, first.register_wh
    for one in facts.readings[1:]:  # as rating counts: a register that fell counts nothing twice
        if one.register_wh < base:
            highest = base = one.register_wh
            so_far.append(so_far[-1])
            continue
        so_far.append(so_far[-1] + max(0, one.register_wh - highest))
        highest = max(highest, one.register_wh)
    whole = so_far[-1]
    if whole == 0:
        return replace(facts, readings=(Reading(first.at, 0), Reading(facts.ended_at, energy_wh)))
    readings = tuple(Reading(one.at, wh * energy_wh // whole) for one, wh in zip(facts.readings, so_far, strict=True))
    return replace(facts, readings=readings)


def correct_bill(invoices: Invoices, bill_id: str, *, energy_wh: int, why: str, next_debit_at: datetime) -> Corrected:
    """Bill the session for ``energy_wh`` instead. ``next_debit_at``: when a further bill is put into the driver's next debit. The
    same again changes nothing. Raises :class:`~payments.Refused`, :class:`~payments.UnknownRecord`."""
    if energy_wh < 0:
        raise Refused("a session's energy is 0 Wh or more")
    now, depot_id = invoices.clock.now(), invoices.depot_id
    with invoices.store.unit() as session:
        books = Books(session, depot_id)
        row = books.bill(bill_id)
        tariff, facts = _rated_from(session, depot_id, row)
        changed = with_energy(facts, energy_wh)
        rated = rate(tariff, changed)
        invoice = invoice_of(session, depot_id, bill_id)
        if invoice is None:
            rule = invoices.terms.gst_book.rule(indian_day(now), recipient_of(session, depot_id, row.driver_id))
        else:
            rule = rule_of(invoice, whole_rupees=invoices.terms.gst.whole_rupees)
        bill = bill_of_value(rated.taxable_paise, rated.energy_wh, rule)
        difference = billed_so_far(session, depot_id, bill_id, refunds=False).plus(bill, -1)  # billed less due
        if difference.total_paise == 0:
            return Corrected("", 0, 0)
        keep_rating(session, depot_id, bill_id, tariff, changed, now)
        if difference.total_paise > 0:
            note = difference.as_bill()
            if note.total_paise > billed_so_far(session, depot_id, bill_id, refunds=True).total_paise:
                raise Refused(f"session {bill_id} has been given back already: there is not so much left to credit")
            number = issue_note(
                session, depot_id, row, DocumentKind.CREDIT_NOTE, note, reason=why, cause="correction", now=now, rated=rated
            )  # fmt: skip
            refund = _credit(books, row, note, f"note/{number}", why, now, invoices.terms.rules)
            return Corrected(number or "", -note.total_paise, refund)
        more = difference.as_bill(-1)
        further = _further_bill(session, row, more, rated.energy_wh - row.energy_wh, now, next_debit_at)
        if invoice is None:  # nothing had been due: this is its invoice
            charge = Charge(rated=rated, tariff=tariff, facts=changed)
            number = invoices.issue_late(session, row, further, charge, bill, rule, now)
        else:
            number = issue_note(
                session, depot_id, row, DocumentKind.DEBIT_NOTE, more, reason=why, cause="correction", now=now, rated=rated
            )  # fmt: skip
        further.invoice_no = number
        session.add(further)
        session.flush()
        ledger.post(session, depot_id, ledger.invoiced(further.bill_id, row.driver_id, more, now))
        return Corrected(number or "", more.total_paise, 0)


def _rated_from(session: Session, depot_id: str, row: BillRow) -> tuple[DriverTariff, SessionFacts]:
    if row.own == Stage.ESTIMATED:
        raise Refused(f"session {row.bill_id} is not billed yet: nothing is to be corrected")
    first = session.get(RatingRow, (depot_id, row.bill_id, 0))  # as measured: corrections of corrections do not add up their roundings
    if first is None:
        raise Refused(f"what session {row.bill_id} was rated from is not kept: refund a part of it, with the reason")
    return tariff_from_text(first.tariff), facts_from_text(first.facts)


def _further_bill(session: Session, row: BillRow, more: Bill, more_wh: int, now: datetime, next_debit_at: datetime) -> BillRow:
    count = len(_further(session, row))
    mandate = session.get(MandateRow, (row.depot_id, row.mandate_id))
    at_once = mandate is not None and mandate.mode != Mode.AUTOPAY
    return BillRow(
        depot_id=row.depot_id,
        bill_id=f"{row.bill_id}+{count + 1}",
        driver_id=row.driver_id,
        mandate_id=row.mandate_id,
        own=Stage.INVOICED,
        reserved_paise=0,
        energy_wh=max(0, more_wh),
        taxable_paise=more.taxable_paise,
        cgst_paise=more.cgst_paise,
        sgst_paise=more.sgst_paise,
        igst_paise=more.igst_paise,
        round_off_paise=more.round_off_paise,
        total_paise=more.total_paise,
        sac=row.sac,
        opened_ms=to_ms(now),
        invoiced_ms=to_ms(now),
        next_ms=to_ms(now if at_once else next_debit_at),
    )


def _further(session: Session, row: BillRow) -> list[BillRow]:
    """Bills that earlier corrections of the session have made."""
    like = col(BillRow.bill_id).startswith(f"{row.bill_id}+", autoescape=True)
    return list(session.exec(select(BillRow).where(BillRow.depot_id == row.depot_id, like).order_by(col(BillRow.opened_ms))).all())


def _credit(books: Books, row: BillRow, note: Bill, key: str, why: str, now: datetime, rules: Rules) -> int:
    """Book a credit note: first what is not asked for yet, or was given up, then what was paid; returns what is refunded. What is
    being debited just now can be neither."""
    left, offset = note.total_paise, 0
    bills = [*_further(books.session, row), row]
    for bill in bills:
        if bill.own not in (Stage.INVOICED, Stage.ARREARS):
            continue
        paise = min(left, bill.total_paise - bill.batched_paise - bill.credited_paise)
        bill.credited_paise += paise
        left, offset = left - paise, offset + paise
        for debit, share in (*_given_up(books, bill), *_announced(books, bill)):
            paise = min(left, share.amount_paise - share.paid_paise)
            announced = debit.own == Stage.BATCHED
            if paise == 0 or (announced and 0 < debit.amount_paise - paise < rules.least_debit_paise):
                continue
            share.amount_paise -= paise
            debit.amount_paise -= paise
            bill.batched_paise -= paise
            bill.credited_paise += paise
            left, offset = left - paise, offset + paise
            if announced and debit.amount_paise:
                _announce_anew(books, debit, now, rules)
    refund = left
    for bill in bills:
        left -= _refund(books, bill, left, key, why, now)
    if left:
        raise Refused(f"session {row.bill_id} is being debited now: correct it when the debit is decided, tomorrow at the latest")
    session, depot_id = books.session, books.depot_id
    ledger.post(session, depot_id, ledger.credited(key, row.driver_id, note, now))
    if offset:
        transfer = Transfer(Account.REFUNDS_DUE, Account.RECEIVABLE, offset)
        ledger.post(session, depot_id, Entry(f"offset:{key}", now, "credit note lowers what is owed", row.driver_id, (transfer,)))
    for bill in bills:
        if bill.own == Stage.ARREARS and books.owed_paise(bill) == 0:
            bill.own, bill.gave_up = Stage.INVOICED, None
        close_settled(books, bill.bill_id, Stage.PAID_OTHER, now)
    return refund


def _refund(books: Books, bill: BillRow, wanted_paise: int, key: str, why: str, now: datetime) -> int:
    """Ask for a refund of what was paid for a bill, at most so much."""
    asked = 0
    for payment, most in kept_payments(books, bill.bill_id):
        paise = min(wanted_paise - asked, most)
        if not paise:
            continue
        if payment.taken_ms is not None and now > from_ms(payment.taken_ms) + REFUNDS_END_AFTER:
            raise Refused(f"payment {payment.payment_id} is older than six months, and the gateway gives nothing back of it")
        books.ask_refund(payment, amount_paise=paise, bill_id=bill.bill_id, why=why, now=now, key=f"{key}/{bill.bill_id}")
        asked += paise
    return asked


def _given_up(books: Books, row: BillRow) -> list[tuple[CollectionRow, ShareRow]]:
    """Shares of debits that nobody asks the gateway for any more."""
    debits = [debit for debit in books.collections_of(row.bill_id) if debit.own == Stage.ARREARS]
    return [(debit, share) for debit in debits for share in books.shares(debit.collection_id) if share.bill_id == row.bill_id]


def _announced(books: Books, row: BillRow) -> list[tuple[CollectionRow, ShareRow]]:
    """Shares of debits of which the driver has had notice at most: no bank was asked for their money."""
    debits = [debit for debit in books.collections_of(row.bill_id) if debit.own == Stage.BATCHED and debit.mode == Mode.AUTOPAY]
    quiet = [debit for debit in debits if not any(order.submissions or order.payments for order in books.debit(debit).orders)]
    return [(debit, share) for debit in quiet for share in books.shares(debit.collection_id) if share.bill_id == row.bill_id]


def _announce_anew(books: Books, debit: CollectionRow, now: datetime, rules: Rules) -> None:
    """A lower amount has an order and a notice of its own; the order before is never used."""
    orders = books.orders(debit.collection_id)
    if orders:
        debit.round_issue = orders[-1].issue + 1
        debit.looked_ms, debit.next_ms = None, to_ms(now)
        books.session.add(new_order(books.depot_id, debit, debit.round_issue, debit.amount_paise, now, rules))
        books.session.flush()
