"""State machines of money, driven by webhooks and look-ups in any order.

What the gateway says of one thing (mandate, notification, payment, refund) is joined: the higher rank wins, an equal
rank changes nothing. A join is commutative, associative and idempotent, so repeated, late and reordered reports all
end in the same state. Only *active* and *paused* follow each other both ways; there the later report wins.

The stage of a collection (one debit) is no state of its own but a function of such facts (:func:`stage_of`), and a bill's is
one of its collections' (:func:`bill_stage`), for the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from payments.reasons import Action, Reason, action_for

__all__ = [
    "BillFacts",
    "CollectionFacts",
    "MandateReport",
    "MandateState",
    "Mode",
    "NotificationState",
    "OrderFacts",
    "PaymentFacts",
    "PaymentState",
    "RefundState",
    "ShareFacts",
    "Stage",
    "SubmissionFacts",
    "bill_stage",
    "join_mandate",
    "join_notification",
    "join_payment",
    "join_refund",
    "stage_of",
]


class Mode(StrEnum):
    """Kind of payment instrument: AutoPay (each debit as presented, after a notice), Reserve Pay (one block, many debits),
    a one-time mandate (one block, one debit)."""

    AUTOPAY = "autopay"
    RESERVE = "reserve"
    ONE_TIME = "one_time"

    @property
    def blocks(self) -> bool:
        """Whether the money is blocked beforehand, so that a debit needs no notice and cannot lack funds."""
        return self is not Mode.AUTOPAY


class MandateState(StrEnum):
    """NEW → LINK_SENT | INTENT_OPEN → INITIATED → ACTIVE ⇄ PAUSED → CANCEL_PENDING → the ends."""

    NEW = "new"
    LINK_SENT = "link_sent"
    INTENT_OPEN = "intent_open"
    INITIATED = "initiated"
    LINK_EXPIRED = "link_expired"
    ACTIVE = "active"
    PAUSED = "paused"
    CANCEL_PENDING = "cancel_pending"
    EXPIRED = "expired"
    REJECTED = "rejected"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether no debit can ever follow."""
        return self in (MandateState.EXPIRED, MandateState.REJECTED, MandateState.CANCELLED)


# A link may be used in its last second, so a token beats LINK_EXPIRED; contradicting ends are settled by caution.
_MANDATE_RANK = {
    MandateState.NEW: 0,
    MandateState.LINK_SENT: 1,
    MandateState.INTENT_OPEN: 1,
    MandateState.INITIATED: 2,
    MandateState.LINK_EXPIRED: 3,
    MandateState.ACTIVE: 4,
    MandateState.PAUSED: 4,
    MandateState.CANCEL_PENDING: 5,
    MandateState.EXPIRED: 6,
    MandateState.REJECTED: 7,
    MandateState.CANCELLED: 8,
}
_TIE = list(MandateState)


@dataclass(frozen=True, slots=True)
class MandateReport:
    """A state and when it was so, by the gateway's clock (Unix seconds). ``blocked_paise`` and ``debited_paise``: of a block,
    what was held at first and what of it has been taken; 0 where nothing is blocked, or nothing was told."""

    state: MandateState = MandateState.NEW
    at_s: int = 0
    blocked_paise: int = 0
    debited_paise: int = 0


def join_mandate(known: MandateReport, told: MandateReport) -> MandateReport:
    """What is known after ``told``. Equal seconds: the more cautious state (paused beats active). A block's amounts only grow,
    so the larger one is the later."""

    def order(report: MandateReport) -> tuple[int, int, int]:
        return _MANDATE_RANK[report.state], report.at_s, _TIE.index(report.state)

    last = max(known, told, key=order)
    amounts = max(known.blocked_paise, told.blocked_paise), max(known.debited_paise, told.debited_paise)
    return MandateReport(last.state, last.at_s, *amounts)


class NotificationState(StrEnum):
    """The notice before a debit. Failed beats delivered: without a sure notice there is no debit."""

    REQUESTED = "requested"
    DELIVERED = "delivered"
    FAILED = "failed"


class PaymentState(StrEnum):
    """A payment at the gateway. Captured beats failed: banks answer late, and then the money has moved."""

    CREATED = "created"
    AUTHORIZED = "authorized"
    FAILED = "failed"
    CAPTURED = "captured"
    PART_REFUNDED = "part_refunded"
    REFUNDED = "refunded"

    @property
    def taken(self) -> bool:
        """Whether the driver's money has moved (whatever was given back since)."""
        return self in (PaymentState.CAPTURED, PaymentState.PART_REFUNDED, PaymentState.REFUNDED)

    @property
    def open(self) -> bool:
        """Whether the outcome is still to come."""
        return self in (PaymentState.CREATED, PaymentState.AUTHORIZED)


class RefundState(StrEnum):
    """A refund. Processed beats failed. REPLACED: it failed, and another one was asked for in its stead."""

    PENDING = "pending"
    FAILED = "failed"
    REPLACED = "replaced"
    PROCESSED = "processed"


def join_notification(known: NotificationState, told: NotificationState) -> NotificationState:
    """The later member of the enum."""
    return max(known, told, key=list(NotificationState).index)


def join_payment(known: PaymentState, told: PaymentState) -> PaymentState:
    """The later member of the enum."""
    return max(known, told, key=list(PaymentState).index)


def join_refund(known: RefundState, told: RefundState) -> RefundState:
    """The later member of the enum."""
    return max(known, told, key=list(RefundState).index)


class Stage(StrEnum):
    """How far the money of a session is."""

    ESTIMATED = "estimated"
    METERED = "metered"
    RATED = "rated"
    INVOICED = "invoiced"
    BATCHED = "batched"
    PDN_REQUESTED = "pdn_requested"
    PDN_DELIVERED = "pdn_delivered"
    PDN_FAILED = "pdn_failed"
    DEBIT_DUE = "debit_due"
    DEBIT_SUBMITTED = "debit_submitted"
    PENDING = "pending"
    FAILED = "failed"
    RETRY_WAIT = "retry_wait"
    ARREARS = "arrears"
    WRITTEN_OFF = "written_off"
    PAID_OTHER = "paid_other"
    CAPTURED = "captured"
    PART_REFUNDED = "part_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    RECONCILED = "reconciled"

    @property
    def owed(self) -> bool:
        """Whether the driver still owes the bill, as far as we know."""
        return self not in _SETTLED


_SETTLED = frozenset(
    {
        Stage.CAPTURED, Stage.PART_REFUNDED, Stage.REFUNDED, Stage.DISPUTED, Stage.RECONCILED, Stage.WRITTEN_OFF, Stage.PAID_OTHER,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """A payment as last known. ``submission`` 0: none of ours that we can name."""

    payment_id: str
    state: PaymentState
    reason: Reason | None = None
    submission: int = 0
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SubmissionFacts:
    """Our intent to ask for the debit, written before the request left.

    ``refused``: the gateway said no and made no payment, with this reason. ``empty_lookups``: look-ups since then
    that showed no payment of it. ``lapsed``: so many, over so long, that the request cannot have arrived.
    """

    number: int
    at: datetime
    refused: Reason | None = None
    empty_lookups: int = 0
    lapsed: bool = False


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """The gateway order of one issue of a collection. ``order_id`` None: asked for (or about to be), not known yet.
    ``noticed``: it goes with a notice to the driver."""

    issue: int
    requested_at: datetime
    order_id: str | None = None
    notification: NotificationState = NotificationState.REQUESTED
    delivered_at: datetime | None = None
    payment_after: datetime | None = None
    submissions: tuple[SubmissionFacts, ...] = ()
    payments: tuple[PaymentFacts, ...] = ()
    noticed: bool = True

    @property
    def unresolved(self) -> SubmissionFacts | None:
        """A submission of which nobody knows yet what became of it."""
        paid = {payment.submission for payment in self.payments}
        return next((s for s in self.submissions if s.refused is None and not s.lapsed and s.number not in paid), None)

    @property
    def failures(self) -> tuple[Reason, ...]:
        """Why each attempt failed, oldest first. Lapsed submissions were no attempts."""
        refused = [(s.number, s.refused) for s in self.submissions if s.refused is not None]
        failed = [(p.submission, p.reason or Reason.UNKNOWN) for p in self.payments if p.state is PaymentState.FAILED]
        return tuple(reason for _, reason in sorted(refused + failed) if action_for(reason) is not Action.IGNORE)


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """All that decides the stage of one debit. ``own``: BATCHED, or how it ended without the gateway (ARREARS, WRITTEN_OFF,
    PAID_OTHER). ``orders`` oldest issue first; ``round_issue``: with which the present round of tries began."""

    own: Stage = Stage.BATCHED
    orders: tuple[OrderFacts, ...] = ()
    mode: Mode = Mode.AUTOPAY
    round_issue: int = 1
    disputed: bool = False
    settlement_utr: str | None = None

    @property
    def payments(self) -> Sequence[PaymentFacts]:
        """Payments of all orders."""
        return [payment for order in self.orders for payment in order.payments]

    @property
    def failures(self) -> tuple[Reason, ...]:
        """Why each attempt of the present round failed, oldest first."""
        return tuple(reason for order in self.orders if order.issue >= self.round_issue for reason in order.failures)


@dataclass(frozen=True, slots=True)
class ShareFacts:
    """What one collection takes for a bill, and what of it has come."""

    amount_paise: int
    paid_paise: int
    collection: CollectionFacts


@dataclass(frozen=True, slots=True)
class BillFacts:
    """All that decides a bill's stage. ``own``: ESTIMATED, INVOICED, or what was decided of it (ARREARS, WRITTEN_OFF,
    PAID_OTHER). ``shares`` oldest first: a bill above the cap of one debit has several."""

    own: Stage
    total_paise: int = 0
    refunded_paise: int = 0
    shares: tuple[ShareFacts, ...] = ()

    @property
    def paid_paise(self) -> int:
        """What was debited for it, whatever was given back since."""
        return sum(share.paid_paise for share in self.shares)


_TOGETHER = (Stage.DISPUTED, Stage.CAPTURED, Stage.RECONCILED, Stage.PART_REFUNDED, Stage.REFUNDED)


def bill_stage(bill: BillFacts, now: datetime) -> Stage:
    """The stage of a bill: of the part of it that needs most. Money that has moved outweighs what was decided."""
    if bill.total_paise and bill.paid_paise >= bill.total_paise:
        stages = [stage_of(share.collection, now) for share in bill.shares if share.paid_paise]
        first = min((stage for stage in stages if stage in _TOGETHER), key=_TOGETHER.index, default=Stage.CAPTURED)
        if first is Stage.DISPUTED:
            return first
        if bill.refunded_paise:
            return Stage.REFUNDED if bill.refunded_paise >= bill.paid_paise else Stage.PART_REFUNDED
        return Stage.CAPTURED if first is Stage.PART_REFUNDED else first  # another bill of the same debit
    if bill.own is not Stage.INVOICED or not bill.shares:
        return bill.own
    open_ = [stage_of(share.collection, now) for share in bill.shares if share.paid_paise < share.amount_paise]
    if Stage.ARREARS in open_:
        return Stage.ARREARS
    return open_[-1] if open_ else Stage.INVOICED


def stage_of(debit: CollectionFacts, now: datetime) -> Stage:
    """The stage that the facts make of one debit. Money that has moved outweighs everything that was planned or decided."""
    taken = [payment.state for payment in debit.payments if payment.state.taken]
    if taken:
        if debit.disputed:
            return Stage.DISPUTED
        best = min(taken, key=list(PaymentState).index)  # of a doubled debit, the one that was kept
        if best is PaymentState.CAPTURED:
            return Stage.RECONCILED if debit.settlement_utr else Stage.CAPTURED
        return Stage.REFUNDED if best is PaymentState.REFUNDED else Stage.PART_REFUNDED
    if debit.own is not Stage.BATCHED or not debit.orders:
        return debit.own
    order = debit.orders[-1]
    if any(payment.state.open for payment in order.payments):
        return Stage.PENDING
    if order.unresolved is not None:
        return Stage.DEBIT_SUBMITTED
    if order.failures:
        return Stage.RETRY_WAIT if action_for(order.failures[-1]) is Action.RETRY_LATER else Stage.FAILED
    if order.notification is NotificationState.FAILED:
        return Stage.PDN_FAILED
    if order.payment_after is not None and order.order_id is not None and now >= order.payment_after:
        return Stage.DEBIT_DUE
    return Stage.PDN_DELIVERED if order.notification is NotificationState.DELIVERED else Stage.PDN_REQUESTED
