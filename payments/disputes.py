"""Disputes: a driver's bank asks for a payment back. The gateway tells of each step in any order; the end of one outweighs its
beginning. Money that is lost is kept from a settlement, as an adjustment that a person explains (:mod:`payments.settlements`)."""

from __future__ import annotations

import logging
from enum import StrEnum

import msgspec

from payments.records import Books
from payments.tables import PaymentRow

__all__ = ["DisputeState", "WireDispute", "join_dispute", "note_dispute"]

log = logging.getLogger(__name__)


class DisputeState(StrEnum):
    """As the gateway names them, by rank."""

    OPEN = "open"
    UNDER_REVIEW = "under_review"
    CLOSED = "closed"
    WON = "won"
    LOST = "lost"

    @property
    def against_us(self) -> bool:
        """Whether the money may go, or is gone."""
        return self not in (DisputeState.CLOSED, DisputeState.WON)


class WireDispute(msgspec.Struct):
    """The entity of a ``payment.dispute.*`` webhook."""

    id: str
    payment_id: str
    status: str
    amount: int = 0
    reason_code: str | None = None


def join_dispute(known: DisputeState | None, told: DisputeState) -> DisputeState:
    """The later of two reports of one dispute, in whatever order they came."""
    ranks = list(DisputeState)
    return told if known is None else max(known, told, key=ranks.index)


def note_dispute(books: Books, told: WireDispute) -> bool:
    """Join what is told. False: of a payment that we do not know. Raises :class:`ValueError` for a state that is new to us."""
    state = DisputeState(told.status)
    row = books.session.get(PaymentRow, (books.depot_id, told.payment_id))
    if row is None:
        return False
    same = row.dispute_id == told.id
    if not same and row.disputed:
        return True  # one at a time: the first is not over
    joined = join_dispute(DisputeState(row.dispute) if same and row.dispute else None, state)
    row.dispute_id, row.dispute, row.disputed = told.id, joined, joined.against_us
    log.warning("payment %s is disputed: %s (%s)", row.payment_id, joined, told.reason_code or "no reason told")
    return True
