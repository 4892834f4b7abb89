"""The room's tables. Times are milliseconds since 1970, UTC; amounts are integer paise. Created by ``migrations/``.

Names, phone numbers, addresses and VPAs rest in :class:`ContactRow` alone, sealed (:mod:`payments.privacy`).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Text
from sqlmodel import Field, Index, SQLModel


def _big(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


def _seq() -> Column[int]:
    return Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)


class MandateRow(SQLModel, table=True):
    """A driver's mandate. ``state``, ``state_at_s``, ``blocked_paise`` and ``debited_paise`` as in :mod:`payments.states`;
    ``looked_ms``: last look-up; ``link_id``: of a page of the gateway on which it is approved."""

    __tablename__ = "payments_mandate"

    depot_id: str = Field(primary_key=True)
    mandate_id: str = Field(primary_key=True)
    driver_id: str = Field(index=True)
    mode: str
    state: str
    state_at_s: int = Field(sa_column=_big())
    max_amount_paise: int = Field(sa_column=_big())
    expire_ms: int = Field(sa_column=_big())
    receipt: str = Field(unique=True)
    customer_id: str | None = None
    order_id: str | None = Field(default=None, index=True)
    token_id: str | None = Field(default=None, index=True)
    intent_url: str | None = None
    created_ms: int = Field(sa_column=_big())
    looked_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    blocked_paise: int = Field(default=0, sa_column=_big())
    debited_paise: int = Field(default=0, sa_column=_big())
    link_id: str | None = None


class BillRow(SQLModel, table=True):
    """A session's money: its tax invoice. ``own``: the stage that we brought it to ourselves; the rest follows from the
    collections that take its money. ``reserved_paise``: what it may cost while it runs. ``batched_paise``: how much of the total
    is in collections; ``credited_paise``: how much of it is asked for no more, by credit
    notes; ``collection_id``: the last collection. ``next_ms``: when what is left is batched, empty: when more is owed."""

    __tablename__ = "payments_bill"
    __table_args__ = (
        Index("payments_bill_due", "depot_id", "next_ms"),
        Index("payments_bill_invoice", "depot_id", "invoice_no", unique=True),
        Index("payments_bill_driver", "depot_id", "driver_id"),
        Index("payments_bill_collection", "depot_id", "collection_id"),
    )

    depot_id: str = Field(primary_key=True)
    bill_id: str = Field(primary_key=True)
    driver_id: str
    mandate_id: str
    own: str
    reserved_paise: int = Field(sa_column=_big())
    energy_wh: int = Field(default=0, sa_column=_big())
    taxable_paise: int = Field(default=0, sa_column=_big())
    cgst_paise: int = Field(default=0, sa_column=_big())
    sgst_paise: int = Field(default=0, sa_column=_big())
    igst_paise: int = Field(default=0, sa_column=_big())
    round_off_paise: int = Field(default=0, sa_column=_big())
    total_paise: int = Field(default=0, sa_column=_big())
    sac: str = ""
    invoice_no: str | None = None
    opened_ms: int = Field(sa_column=_big())
    invoiced_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    gave_up: str | None = None
    batched_paise: int = Field(default=0, sa_column=_big())
    credited_paise: int = Field(default=0, sa_column=_big())
    collection_id: str | None = None
    next_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class CollectionRow(SQLModel, table=True):
    """One debit: of one driver, for one bill or several. ``day``: the business day in India, as 2026-11-22. ``own``: batched, or
    what it came to without the gateway (arrears, written_off, paid_other). ``round_issue``: the issue of the order with which
    the present round of tries began. ``looked_ms``: last look-up; ``next_ms``: when the worker looks again, empty: never."""

    __tablename__ = "payments_collection"
    __table_args__ = (
        Index("payments_collection_due", "depot_id", "next_ms"),
        Index("payments_collection_driver", "depot_id", "driver_id", "day"),
    )

    depot_id: str = Field(primary_key=True)
    collection_id: str = Field(primary_key=True)
    driver_id: str
    mandate_id: str
    mode: str
    day: str
    amount_paise: int = Field(sa_column=_big())
    own: str
    gave_up: str | None = None
    round_issue: int = 1
    created_ms: int = Field(sa_column=_big())
    looked_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    next_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class ShareRow(SQLModel, table=True):
    """What a collection takes for a bill, and what of it has come (``paid_paise``; ``recovered_paise`` of that after the bill was
    written off). A bill above the cap has several."""

    __tablename__ = "payments_share"
    __table_args__ = (Index("payments_share_bill", "depot_id", "bill_id"),)

    depot_id: str = Field(primary_key=True)
    collection_id: str = Field(primary_key=True)
    bill_id: str = Field(primary_key=True)
    amount_paise: int = Field(sa_column=_big())
    paid_paise: int = Field(default=0, sa_column=_big())
    recovered_paise: int = Field(default=0, sa_column=_big())


class OrderRow(SQLModel, table=True):
    """The intent to have a gateway order, written before it is asked for; ``order_id`` once it is known. ``noticed``: it goes
    with a notice to the driver."""

    __tablename__ = "payments_order"

    depot_id: str = Field(primary_key=True)
    collection_id: str = Field(primary_key=True)
    issue: int = Field(primary_key=True)
    receipt: str = Field(unique=True)
    mandate_id: str
    amount_paise: int = Field(sa_column=_big())
    noticed: bool = True
    order_id: str | None = Field(default=None, unique=True)
    requested_ms: int = Field(sa_column=_big())
    payment_after_ms: int = Field(sa_column=_big())
    notification: str
    delivered_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class SubmissionRow(SQLModel, table=True):
    """The intent to debit, written before the request leaves. ``key`` travels in the payment's notes."""

    __tablename__ = "payments_submission"

    depot_id: str = Field(primary_key=True)
    collection_id: str = Field(primary_key=True)
    issue: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    key: str = Field(unique=True)
    at_ms: int = Field(sa_column=_big())
    refused: str | None = None
    empty_lookups: int = 0
    lapsed: bool = False


class PaymentRow(SQLModel, table=True):
    """A payment of one of our orders, as last known. ``booked``: its money is in the ledger; ``surplus_paise``: what of it no
    bill asked for. ``fee_paise`` (tax included) and ``tax_paise``: what the gateway kept, once it is settled;
    ``settlement_utr``: the bank transfer that brought it. ``dispute``: how the dispute ``dispute_id`` stands; ``disputed``: it may take
    the money, or has."""

    __tablename__ = "payments_payment"
    __table_args__ = (Index("payments_payment_collection", "depot_id", "collection_id"),)

    depot_id: str = Field(primary_key=True)
    payment_id: str = Field(primary_key=True)
    collection_id: str
    issue: int
    submission: int
    state: str
    amount_paise: int = Field(sa_column=_big())
    reason: str | None = None
    booked: bool = False
    surplus_paise: int = Field(default=0, sa_column=_big())
    disputed: bool = False
    dispute: str | None = None
    dispute_id: str | None = None
    settlement_utr: str | None = None
    fee_paise: int = Field(default=0, sa_column=_big())
    tax_paise: int = Field(default=0, sa_column=_big())
    fee_known: bool = False
    seen_ms: int = Field(sa_column=_big())
    taken_ms: int | None = Field(default=None, sa_column=_big(nullable=True))

    @property
    def surplus(self) -> bool:
        """Whether nothing of it was asked for."""
        return self.surplus_paise == self.amount_paise


class RefundRow(SQLModel, table=True):
    """The intent to refund; ``key`` is the gateway's idempotency key. ``bill_id``: whose money it is, "" where a payment for
    several bills was given back in part at the gateway. ``next_ms`` as in collections."""

    __tablename__ = "payments_refund"
    __table_args__ = (Index("payments_refund_bill", "depot_id", "bill_id"),)

    depot_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    payment_id: str
    bill_id: str
    amount_paise: int = Field(sa_column=_big())
    why: str
    state: str
    refund_id: str | None = Field(default=None, unique=True)
    asked_ms: int = Field(sa_column=_big())
    note: str = ""
    settlement_utr: str | None = None
    next_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class WebhookRow(SQLModel, table=True):
    """A verified webhook, kept before it is acknowledged. ``ref``: the order or token that it is about. ``state``:
    pending, applied, parked (about nothing that we know yet), odd (contradicts our books)."""

    __tablename__ = "payments_webhook"
    __table_args__ = (Index("payments_webhook_state", "depot_id", "state", "ref"),)

    depot_id: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    kind: str
    ref: str
    state: str
    note: str = ""
    received_ms: int = Field(sa_column=_big())
    body: str = Field(sa_column=Column(Text, nullable=False))


class EntryRow(SQLModel, table=True):
    """A ledger entry. ``seq`` is dense from 1 per depot. Never changed, never deleted."""

    __tablename__ = "payments_entry"
    __table_args__ = (Index("payments_entry_key", "depot_id", "key", unique=True),)

    depot_id: str = Field(primary_key=True)
    seq: int = Field(sa_column=_seq())
    key: str
    at_ms: int = Field(sa_column=_big())
    memo: str


class PostingRow(SQLModel, table=True):
    """A line of an entry: debit positive, credit negative. Never changed, never deleted."""

    __tablename__ = "payments_posting"
    __table_args__ = (Index("payments_posting_account", "depot_id", "account", "party"),)

    depot_id: str = Field(primary_key=True)
    seq: int = Field(sa_column=_seq())
    line: int = Field(primary_key=True)
    account: str
    party: str = ""
    amount_paise: int = Field(sa_column=_big())


class PayerRow(SQLModel, table=True):
    """Whose sessions a tag starts. The driver is an id that the depot chose, never a name or a phone number."""

    __tablename__ = "payments_payer"
    __table_args__ = (Index("payments_payer_tag", "depot_id", "id_tag", unique=True),)

    depot_id: str = Field(primary_key=True)
    driver_id: str = Field(primary_key=True)
    id_tag: str
    created_ms: int = Field(sa_column=_big())


class ContactRow(SQLModel, table=True):
    """How a driver can be reached. ``phone`` … ``vpa``: sealed with the key ``key_id``; ``phone_index``: keyed, to find a driver.
    ``source``: page (the driver gave them), manager. ``used_ms``: last needed; ``erased_ms``: since when only the row is left."""

    __tablename__ = "payments_contact"
    __table_args__ = (Index("payments_contact_phone", "depot_id", "phone_index"),)

    depot_id: str = Field(primary_key=True)
    driver_id: str = Field(primary_key=True)
    phone_index: str | None = None
    key_id: str | None = None
    phone: str | None = Field(default=None, repr=False)
    email: str | None = Field(default=None, repr=False)
    name: str | None = Field(default=None, repr=False)
    vpa: str | None = Field(default=None, repr=False)
    source: str = "manager"
    language: str = "en"
    created_ms: int = Field(sa_column=_big())
    used_ms: int = Field(sa_column=_big())
    erased_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class TallyRow(SQLModel, table=True):
    """How often something was seen, when last, and what it was."""

    __tablename__ = "payments_tally"

    depot_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    number: int = Field(sa_column=_big())
    last_ms: int = Field(sa_column=_big())
    note: str = ""


class TariffRow(SQLModel, table=True):
    """A version of a driver tariff; never changed but for ``ended_ms``, from when on no session starts under it. ``body``: its
    canonical text. ``number``: counts from 1 for each tariff."""

    __tablename__ = "payments_tariff"

    depot_id: str = Field(primary_key=True)
    tariff_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    digest: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    actor: str
    put_ms: int = Field(sa_column=_big())
    ended_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class RecipientRow(SQLModel, table=True):
    """Whom a driver's invoices are made out to, where it is a business or asked for. ``gstin`` "": not registered."""

    __tablename__ = "payments_recipient"

    depot_id: str = Field(primary_key=True)
    driver_id: str = Field(primary_key=True)
    name: str
    address: str
    gstin: str
    state_code: str
    changed_ms: int = Field(sa_column=_big())


class SeriesRow(SQLModel, table=True):
    """How far a series of document numbers has come in a financial year."""

    __tablename__ = "payments_series"

    depot_id: str = Field(primary_key=True)
    series: str = Field(primary_key=True)
    year: str = Field(primary_key=True)
    last: int


class RatingRow(SQLModel, table=True):
    """What a bill was rated from: the frozen tariff and what was measured, as JSON. ``number`` 0: the first time, then each
    correction."""

    __tablename__ = "payments_rating"

    depot_id: str = Field(primary_key=True)
    bill_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    tariff: str = Field(sa_column=Column(Text, nullable=False))
    facts: str = Field(sa_column=Column(Text, nullable=False))
    at_ms: int = Field(sa_column=_big())


class DocumentRow(SQLModel, table=True):
    """An invoice, credit note or debit note as issued. Never changed, never deleted. ``body``: canonical JSON, ``digest``: its
    SHA-256. ``refers_to``: the invoice of a note."""

    __tablename__ = "payments_document"
    __table_args__ = (
        Index("payments_document_bill", "depot_id", "bill_id"),
        Index("payments_document_driver", "depot_id", "driver_id"),
        Index("payments_document_day", "depot_id", "day"),
    )

    depot_id: str = Field(primary_key=True)
    number: str = Field(primary_key=True)
    kind: str
    bill_id: str
    driver_id: str
    day: str
    refers_to: str | None = None
    total_paise: int = Field(sa_column=_big())
    digest: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    issued_ms: int = Field(sa_column=_big())


class SettlementRow(SQLModel, table=True):
    """A line of the gateway's settlement report, as it came. ``day``: of the settlement, in India."""

    __tablename__ = "payments_settlement"
    __table_args__ = (Index("payments_settlement_day", "depot_id", "day"),)

    depot_id: str = Field(primary_key=True)
    settlement_id: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    entity_id: str = Field(primary_key=True)
    day: str
    amount_paise: int = Field(sa_column=_big())
    credit_paise: int = Field(sa_column=_big())
    debit_paise: int = Field(sa_column=_big())
    fee_paise: int = Field(sa_column=_big())
    tax_paise: int = Field(sa_column=_big())
    utr: str
    order_id: str
    seen_ms: int = Field(sa_column=_big())


class DifferenceRow(SQLModel, table=True):
    """What in a settlement does not agree with our books, until a person has explained it. ``clearing_paise``: what of it stands
    in the account gateway clearing."""

    __tablename__ = "payments_difference"
    __table_args__ = (Index("payments_difference_open", "depot_id", "explained_ms"),)

    depot_id: str = Field(primary_key=True)
    difference_id: str = Field(primary_key=True)
    kind: str
    entity_id: str
    settlement_id: str
    amount_paise: int = Field(sa_column=_big())
    clearing_paise: int = Field(sa_column=_big())
    note: str
    found_ms: int = Field(sa_column=_big())
    explained_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    explained_by: str | None = None
    explanation: str | None = None


class ReminderRow(SQLModel, table=True):
    """A word to a driver about money that is due. ``number``: which of the round; ``sent_ms`` empty: still to be handed over."""

    __tablename__ = "payments_reminder"

    depot_id: str = Field(primary_key=True)
    bill_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    driver_id: str
    due_ms: int = Field(sa_column=_big())
    sent_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    tries: int = 0


class OtherPaymentRow(SQLModel, table=True):
    """A bill that was paid without the gateway. ``way``: cash, upi_qr, bank; ``reference``: the receipt's or the transfer's."""

    __tablename__ = "payments_other_payment"
    __table_args__ = (Index("payments_other_payment_reference", "depot_id", "way", "reference", unique=True),)

    depot_id: str = Field(primary_key=True)
    bill_id: str = Field(primary_key=True)
    way: str
    reference: str
    amount_paise: int = Field(sa_column=_big())
    booked_ms: int = Field(sa_column=_big())
    booked_by: str
    why: str
