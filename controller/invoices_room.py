"""The room of documents: invoices and notes as they were issued, to whom they are made out, and corrections of what was measured."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct

from controller.invoices_view import DocumentRowView, InvoicesView, InvoiceView, PayLinkView, RecipientsView, RecipientView, SeriesView
from controller.room import Answered, Carrier, Viewer
from controller.till import Till, aside
from controller.yard import Yard
from depot import commands as cmd
from depot.events import Envelope
from depot.money_text import rupees
from depot.values import InvalidValue
from payments import PaymentsError, UnknownRecord
from payments.gst import STATES, Recipient, Supplier, checked_gstin
from payments.invoice_desk import ToldDocument, series_states, told_document, told_invoice_of
from payments.invoices import IssuedDocument
from storage import StorageError

T = TypeVar("T")

_MONTH = re.compile(r"(20\d{2}-(0[1-9]|1[0-2]))?", re.ASCII)
_MOST = 500
_Outcome = tuple[cmd.CommandStatus, str]


class InvoicesRoom:
    """One per depot, where somebody pays."""

    def __init__(self, yard: Yard, till: Till) -> None:
        self._yard, self._till = yard, till
        self._payments = till.payments
        self._store = till.payments.store

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {cmd.SetInvoiceRecipient: self._recipient, cmd.CorrectBill: self._correct}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {InvoicesView: self._list, InvoiceView: self._one, RecipientsView: self._recipients}

    async def run(self) -> None:
        """Nothing of its own to do."""
        await asyncio.Event().wait()

    # -- what people order --------------------------------------------------------------------------------------

    async def _correct(self, command: cmd.CorrectBill, _: Envelope) -> Answered:
        made = await self._do(
            lambda: self._payments.correct_bill(command.session_id, energy_wh=command.energy_wh, why=command.reason),
        )
        answer = {"number": made.number, "difference_paise": made.difference_paise, "refund_paise": made.refund_paise}
        if not made.difference_paise:
            return Answered(cmd.CommandStatus.DONE, "it costs the same: nothing is changed", answer)
        amount = f"{rupees(abs(made.difference_paise))}"
        if made.difference_paise > 0:
            words = f"{made.number}: the driver owes {amount} more, which goes into the next debit"
        elif made.refund_paise:
            words = f"{made.number}: {amount} less; the gateway gives {rupees(made.refund_paise)} back"
        else:
            words = f"{made.number}: {amount} less, which is not asked for any more"
        return Answered(cmd.CommandStatus.DONE, words, answer)

    async def _recipient(self, command: cmd.SetInvoiceRecipient, _: Envelope) -> _Outcome:
        def put() -> Recipient | None:
            recipient = None
            if command.name.strip():
                gstin = checked_gstin(command.gstin) if command.gstin.strip() else ""
                recipient = Recipient(
                    name=" ".join(command.name.split()),
                    address=" ".join(command.address.split()),
                    gstin=gstin,
                    state_code=command.state_code or gstin[:2],
                )
            if not command.driver_id.strip() or len(command.driver_id) > 80:
                raise InvalidValue("a driver's id has 1 to 80 characters")
            self._payments.invoices.put_recipient(command.driver_id, recipient)
            return recipient

        recipient = await self._do(put)
        try:
            await self._till.restore()
        except StorageError as error:
            raise InvalidValue(f"it is kept, and read again at the next start: {error}") from None
        if recipient is None:
            return cmd.CommandStatus.DONE, f"invoices of {command.driver_id} are made out to the driver alone again"
        kind = f"registered, {recipient.gstin}" if recipient.gstin else f"not registered, {STATES[recipient.state]}"
        return cmd.CommandStatus.DONE, f"from the next invoice on {command.driver_id}'s are made out to this recipient ({kind})"

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await aside(self._store, work)
        except (PaymentsError, StorageError) as error:
            raise InvalidValue(str(error)) from None

    # -- what people see ----------------------------------------------------------------------------------------

    async def _list(self, args: Mapping[str, str]) -> InvoicesView:
        """``limit``, ``before`` (a number), ``driver_id``, ``session_id``, ``month`` (2026-11)."""
        limit, month = _limit(args.get("limit", "50")), args.get("month", "")
        if not _MONTH.fullmatch(month):
            raise InvalidValue(f"a month is written like 2026-11, not {month[:20]!r}")
        invoices = self._payments.invoices
        wanted = {
            "before": args.get("before", ""),
            "driver_id": args.get("driver_id", ""),
            "bill_id": args.get("session_id", ""),
            "month": month,
        }
        rows, series = await self._do(lambda: (invoices.list(limit=limit + 1, **wanted), series_states(invoices)))
        return InvoicesView(
            at=self._yard.clock.now(),
            documents=[row_view(row) for row in rows[:limit]],
            more=rows[limit - 1].number if len(rows) > limit else "",
            series=[
                SeriesView(series=s.series, year=s.year, last=s.last, missing=list(s.missing), missing_count=s.missing_count)
                for s in series
            ],
            supplier_missing=missing_of(self._payments.terms.supplier),
        )

    async def _one(self, args: Mapping[str, str]) -> InvoiceView | None:
        """``number``, or ``session_id`` for its invoice; ``driver_id``: only if it is this driver's."""
        invoices, number, driver_id = self._payments.invoices, args.get("number", ""), args.get("driver_id", "")

        def look() -> ToldDocument | None:
            try:
                return told_document(invoices, number) if number else told_invoice_of(invoices, args.get("session_id", ""))
            except UnknownRecord:
                return None

        told = await self._do(look)
        if told is None or (driver_id and told.issued.driver_id != driver_id):
            return None
        pay = told.pay
        return InvoiceView(
            row=row_view(told.issued),
            stage=told.stage.value if told.stage is not None else "",
            owed_paise=told.owed_paise,
            pay=PayLinkView(vpa=pay.vpa, name=pay.name, amount_paise=pay.amount_paise, url=pay.url) if pay is not None else None,
            others=list(told.others),
            digest=told.issued.digest,
            document=told.issued.body,
        )

    async def _recipients(self, _: Mapping[str, str]) -> RecipientsView:
        found = await self._do(self._payments.invoices.recipients)
        return RecipientsView(
            at=self._yard.clock.now(),
            recipients=[
                RecipientView(
                    driver_id=driver_id, name=r.name, address=r.address, gstin=r.gstin, state_code=r.state, state=STATES.get(r.state, "")
                )
                for driver_id, r in sorted(found.items())
            ],
        )


def row_view(issued: IssuedDocument) -> DocumentRowView:
    """A document in the list."""
    body = issued.body
    return DocumentRowView(
        number=issued.number,
        kind=issued.kind.value,
        title=body["title"],
        day=issued.day,
        issued_at=issued.issued_at,
        session_id=issued.bill_id,
        driver_id=issued.driver_id,
        refers_to=issued.refers_to or "",
        cause=body["cause"],
        reason=body["corrects"]["reason"] if body["corrects"] else "",
        registered=body["recipient"]["registered"],
        place_of_supply=body["place_of_supply"]["state_code"],
        taxable_paise=body["taxable_paise"],
        tax_paise=sum(tax["amount_paise"] for tax in body["taxes"]),
        total_paise=issued.total_paise,
        as_written=issued.as_written,
    )


def missing_of(supplier: Supplier) -> list[str]:
    """Settings without which documents are no tax invoices."""
    said = (("payments.supplier_name", supplier.name), ("payments.supplier_address", supplier.address))
    return [name for name, value in (*said, ("payments.supplier_gstin", supplier.gstin)) if not value]


def _limit(text: str) -> int:
    try:
        return max(1, min(int(text), _MOST))
    except ValueError:
        raise InvalidValue(f"limit is a number, not {text[:20]!r}") from None
