"""Open bills become collections: :mod:`payments.batches` decides, this stores. A collection's id is made from what it is for
(driver and business day, or the session), so books that were restored from a backup make the same ones again, and find
at the gateway what was asked for under them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime

from sqlmodel import col, func, select

from payments.batches import Batch, Instrument, OpenBill, batch
from payments.reasons import Reason
from payments.records import Books, key_for
from payments.rules import Rules
from payments.states import MandateState, Mode, Stage
from payments.tables import BillRow, CollectionRow, MandateRow, OrderRow, ShareRow
from payments.times import from_ms, to_ms

__all__ = ["batch_driver", "instrument_of", "new_order", "open_bills", "receipt_of"]

log = logging.getLogger(__name__)

_MOST_AT_ONCE = 1000


def open_bills(books: Books, driver_id: str) -> list[BillRow]:
    """Bills of a driver of which something is in no debit yet, oldest first."""
    query = select(BillRow).where(
        BillRow.depot_id == books.depot_id,
        BillRow.driver_id == driver_id,
        BillRow.own == Stage.INVOICED,
        BillRow.batched_paise + BillRow.credited_paise < BillRow.total_paise,
    )
    return list(books.session.exec(query.order_by(col(BillRow.invoiced_ms), col(BillRow.opened_ms), col(BillRow.bill_id))).all())


def batch_driver(books: Books, driver_id: str, *, now: datetime, rules: Rules) -> list[CollectionRow]:
    """Make the debits that are due for this driver, in the caller's unit of work."""
    made: list[CollectionRow] = []
    by_mandate: dict[str, list[BillRow]] = {}
    for bill in open_bills(books, driver_id):
        by_mandate.setdefault(_mandate_for(books, bill), []).append(bill)
    for mandate_id, bills in by_mandate.items():
        mandate = books.session.get(MandateRow, (books.depot_id, mandate_id))
        for _ in range(_MOST_AT_ONCE):
            instrument = instrument_of(books, mandate) if mandate is not None else None
            found = batch([_open(books, bill) for bill in bills], instrument, now=now, rules=rules)
            if found.stuck is not None:
                _in_arrears(bills, found.stuck)
                break
            if found.takes and mandate is not None:
                made.append(_collect(books, bills, mandate, found, daily=rules.cut_off is not None, now=now))
            bills = [bill for bill in bills if bill.batched_paise + bill.credited_paise < bill.total_paise]
            for bill in bills:
                bill.next_ms = None if found.again_at is None else to_ms(found.again_at)
            books.session.flush()
            if found.again_at is None or found.again_at > now:
                break
    return made


def instrument_of(books: Books, mandate: MandateRow) -> Instrument:
    """A mandate as something to debit."""
    mine = (CollectionRow.depot_id == books.depot_id) & (CollectionRow.driver_id == mandate.driver_id)
    days: frozenset[date] = frozenset()
    taken = 0
    if mandate.mode == Mode.AUTOPAY:
        query = select(CollectionRow.day).where(mine, CollectionRow.mode == Mode.AUTOPAY)
        days = frozenset(
            date.fromisoformat(day) for day in books.session.exec(query.order_by(col(CollectionRow.day).desc()).limit(3)).all()
        )
    else:
        query_ = select(func.coalesce(func.sum(CollectionRow.amount_paise), 0)).where(
            mine, CollectionRow.mandate_id == mandate.mandate_id, CollectionRow.own == Stage.BATCHED
        )
        taken = int(books.session.exec(query_).one())
    return Instrument(
        mandate_id=mandate.mandate_id,
        mode=Mode(mandate.mode),
        state=MandateState(mandate.state),
        max_amount_paise=mandate.max_amount_paise if mandate.mode == Mode.AUTOPAY else mandate.blocked_paise or mandate.max_amount_paise,
        expire_at=from_ms(mandate.expire_ms),
        taken_paise=taken,
        taken_days=days,
    )


def receipt_of(depot_id: str, collection_id: str, issue: int) -> str:
    """Of the order of one issue: the same for the same debit, whatever the books have forgotten."""
    return key_for(depot_id, "debit", collection_id, issue)


def new_order(depot_id: str, debit: CollectionRow, issue: int, amount_paise: int, now: datetime, rules: Rules) -> OrderRow:
    """The intent to have a gateway order for ``debit``: with a notice for AutoPay, at once for a block."""
    noticed = debit.mode == Mode.AUTOPAY
    return OrderRow(
        depot_id=depot_id,
        collection_id=debit.collection_id,
        issue=issue,
        receipt=receipt_of(depot_id, debit.collection_id, issue),
        mandate_id=debit.mandate_id,
        amount_paise=amount_paise,
        noticed=noticed,
        requested_ms=to_ms(now),
        payment_after_ms=to_ms(rules.payment_after(now) if noticed else now),
        notification="requested",
    )


def _mandate_for(books: Books, bill: BillRow) -> str:
    """A session that was let charge on a block is paid from it; everything else by the mandate that counts now."""
    own = books.session.get(MandateRow, (books.depot_id, bill.mandate_id))
    if own is not None and own.mode != Mode.AUTOPAY:
        return own.mandate_id
    newest = books.newest_mandate(bill.driver_id)
    return newest.mandate_id if newest is not None else ""


def _open(books: Books, bill: BillRow) -> OpenBill:
    days = frozenset(date.fromisoformat(row.day) for row in books.collections_of(bill.bill_id)) if bill.batched_paise else frozenset()
    invoiced = from_ms(bill.invoiced_ms if bill.invoiced_ms is not None else bill.opened_ms)
    return OpenBill(bill.bill_id, invoiced, bill.total_paise - bill.batched_paise - bill.credited_paise, days)


def _in_arrears(bills: Sequence[BillRow], why: Reason) -> None:
    for bill in bills:
        log.warning("session %s is in arrears: %s", bill.bill_id, why)
        bill.own, bill.gave_up, bill.next_ms = Stage.ARREARS, why, None


def _collect(books: Books, bills: Sequence[BillRow], mandate: MandateRow, found: Batch, *, daily: bool, now: datetime) -> CollectionRow:
    assert found.day is not None
    mine = {bill.bill_id: bill for bill in bills}
    row = CollectionRow(
        depot_id=books.depot_id,
        collection_id=_id(books, mandate, found, daily=daily),
        driver_id=mandate.driver_id,
        mandate_id=mandate.mandate_id,
        mode=mandate.mode,
        day=found.day.isoformat(),
        amount_paise=found.amount_paise,
        own=Stage.BATCHED,
        created_ms=to_ms(now),
        next_ms=to_ms(now),
    )
    books.session.add(row)
    for bill_id, paise in found.takes:
        books.session.add(ShareRow(depot_id=books.depot_id, collection_id=row.collection_id, bill_id=bill_id, amount_paise=paise))
        bill = mine[bill_id]
        bill.batched_paise, bill.collection_id, bill.next_ms = bill.batched_paise + paise, row.collection_id, None
    books.session.flush()
    return row


def _id(books: Books, mandate: MandateRow, found: Batch, *, daily: bool) -> str:
    """By driver and day, where a day has one debit; else by the session that it is for."""
    if daily and mandate.mode == Mode.AUTOPAY:
        return key_for(books.depot_id, "collection", mandate.driver_id, found.day)
    main = max(found.takes, key=lambda take: take[1])[0]
    return key_for(books.depot_id, "collection", main, len(books.collections_of(main)) + 1)
