"""What pages and machines are told of invoices and notes. Amounts are integer paise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from controller.driver_tariffs_view import DriverPriceView, DriverTariffsView, DriverTariffView
from controller.room import Carrier, Viewer
from depot.commands import Command


class DocumentRowView(Struct, frozen=True, kw_only=True):
    """A document in the list. ``kind``: tax_invoice, credit_note, debit_note. ``refers_to``: the invoice of a note. ``registered``: the
    recipient has a GSTIN. ``as_written`` False: its text is not what was issued."""

    number: str
    kind: str
    title: str
    day: str
    issued_at: datetime
    session_id: str
    driver_id: str
    refers_to: str
    cause: str
    reason: str
    registered: bool
    place_of_supply: str
    taxable_paise: int
    tax_paise: int
    total_paise: int
    as_written: bool


class SeriesView(Struct, frozen=True, kw_only=True):
    """Consecutive numbers of a financial year (``2627``). ``missing``: numbers that are not there, at most a hundred."""

    series: str
    year: str
    last: int
    missing: list[str]
    missing_count: int


class InvoicesView(Struct, frozen=True, kw_only=True):
    """The newest documents, newest first. ``more``: ask with ``before=more`` for older ones; "" at the end. ``supplier_missing``:
    what of the supplier has to be set before these are tax invoices."""

    at: datetime
    documents: list[DocumentRowView]
    more: str
    series: list[SeriesView]
    supplier_missing: list[str]


class PayLinkView(Struct, frozen=True, kw_only=True):
    """How a bill is paid by hand. ``url``: ``upi://pay?…``."""

    vpa: str
    name: str
    amount_paise: int
    url: str


class InvoiceView(Struct, frozen=True, kw_only=True):
    """One document. ``document``: as issued (``invoice/1``). ``stage``: of its money, "" for a credit note. ``pay`` None: nothing is
    to be paid by hand. ``others``: the session's other documents."""

    row: DocumentRowView
    stage: str
    owed_paise: int
    pay: PayLinkView | None
    others: list[str]
    digest: str
    document: dict[str, Any]


class RecipientView(Struct, frozen=True, kw_only=True):
    """To whom a driver's invoices are made out. ``gstin`` "": not registered."""

    driver_id: str
    name: str
    address: str
    gstin: str
    state_code: str
    state: str


class RecipientsView(Struct, frozen=True, kw_only=True):
    """Drivers whose invoices are made out to somebody else, by driver."""

    at: datetime
    recipients: list[RecipientView]


class NoInvoices:
    """The room where nobody pays: its views say that there is nothing."""

    commands: Mapping[type[Command], Carrier] = {}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        kinds = (InvoicesView, InvoiceView, RecipientsView, DriverTariffsView, DriverTariffView, DriverPriceView)
        return dict.fromkeys(kinds, self._view)

    async def run(self) -> None:
        """Nothing to do."""

    async def _view(self, _: Mapping[str, str]) -> None:
        return None
