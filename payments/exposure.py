"""What the books know of one driver for the gate: instruments, and what is open. Reads only, inside the caller's session.

Two ids of drivers that the gateway knows as one customer (it merges by phone number) are one person here: their credit is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from payments import ledger
from payments.gate import Exposure
from payments.instruments import Instrument
from payments.records import Books
from payments.states import MandateState, Mode, Stage
from payments.tables import BillRow, MandateRow
from payments.times import from_ms

__all__ = ["Standing", "billed_on", "exposure_of", "instrument", "instruments_of", "same_person", "standing_of"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A driver as the books know it. ``paid_by``: which mandate pays for each session under way; ``open_paise``: what each
    counts for in the exposure; ``owed_paise`` of it all is ``exposure.unpaid_paise``."""

    instruments: Sequence[Instrument]
    exposure: Exposure
    paid_by: Mapping[str, str]
    open_paise: Mapping[str, int]


def instrument(row: MandateRow) -> Instrument:
    """A row as a value."""
    return Instrument(
        mandate_id=row.mandate_id,
        mode=Mode(row.mode),
        state=MandateState(row.state),
        max_amount_paise=row.max_amount_paise,
        expire_at=from_ms(row.expire_ms),
        created_at=from_ms(row.created_ms),
        blocked_paise=row.blocked_paise,
        debited_paise=row.debited_paise,
        customer_id=row.customer_id or "",
    )


def instruments_of(session: Session, depot_id: str, driver_id: str) -> list[Instrument]:
    """All of a driver, in no order."""
    query = select(MandateRow).where(MandateRow.depot_id == depot_id, MandateRow.driver_id == driver_id)
    return [instrument(row) for row in session.exec(query).all()]


def same_person(session: Session, depot_id: str, driver_id: str, instruments: Sequence[Instrument]) -> list[str]:
    """The driver's id and those of whoever is the same customer at the gateway."""
    customers = {one.customer_id for one in instruments if one.customer_id}
    if not customers:
        return [driver_id]
    query = select(MandateRow.driver_id).where(MandateRow.depot_id == depot_id, col(MandateRow.customer_id).in_(customers)).distinct()
    return sorted({driver_id, *session.exec(query).all()})


def exposure_of(
    session: Session, depot_id: str, driver_id: str, instruments: Sequence[Instrument], *, running: Mapping[str, int]
) -> Exposure:
    """What is open now. ``running``: paise that sessions under way have cost so far, by session id; where that is more than
    was reserved (a station began without asking) it counts."""
    people = same_person(session, depot_id, driver_id, instruments)
    mine = BillRow.depot_id == depot_id, col(BillRow.driver_id).in_(people)
    blocks = [one.mandate_id for one in instruments if one.mode.blocks]
    on_block = dict.fromkeys(blocks, 0)
    on_credit = 0
    for bill_id, mandate_id, reserved in session.exec(
        select(BillRow.bill_id, BillRow.mandate_id, BillRow.reserved_paise).where(*mine, BillRow.own == Stage.ESTIMATED)
    ).all():
        open_paise = max(reserved, running.get(bill_id, 0))
        if mandate_id in on_block:
            on_block[mandate_id] += open_paise
        else:
            on_credit += open_paise
    for mandate_id in blocks:
        on_block[mandate_id] += billed_on(session, depot_id, mandate_id)
    owed = sum(max(0, ledger.balance(session, depot_id, ledger.Account.RECEIVABLE, one)) for one in people)
    late = any(Books(session, depot_id).in_arrears(one) for one in people)
    return Exposure(unpaid_paise=owed, running_paise=on_credit, on_block=on_block, in_arrears=late)


def billed_on(session: Session, depot_id: str, mandate_id: str) -> int:
    """What was billed on one mandate, ever, in paise, less what is asked for no more: of a block it is debited or will be."""
    query = select(func.coalesce(func.sum(BillRow.total_paise - BillRow.credited_paise), 0)).where(
        BillRow.depot_id == depot_id, BillRow.mandate_id == mandate_id, BillRow.own != Stage.ESTIMATED
    )
    return int(session.exec(query).one())


def standing_of(session: Session, depot_id: str, driver_id: str, *, running: Mapping[str, int]) -> Standing:
    """Everything at once; ``running`` as in :func:`exposure_of`."""
    instruments = instruments_of(session, depot_id, driver_id)
    exposure = exposure_of(session, depot_id, driver_id, instruments, running=running)
    query = select(BillRow.bill_id, BillRow.mandate_id, BillRow.reserved_paise).where(
        BillRow.depot_id == depot_id, BillRow.driver_id == driver_id, BillRow.own == Stage.ESTIMATED
    )
    rows = session.exec(query).all()
    return Standing(
        instruments,
        exposure,
        {bill_id: mandate_id for bill_id, mandate_id, _ in rows},
        {bill_id: max(reserved, running.get(bill_id, 0)) for bill_id, _, reserved in rows},
    )
