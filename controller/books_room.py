"""The room of the books of money: debits, settlements, refunds and statements as views, and what people decide about them.

It shares the books with :mod:`controller.billing` and touches them in threads only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from msgspec import Struct

from controller import books_view as v
from controller.alarms import Condition
from controller.room import Carrier, Viewer
from controller.till import aside
from controller.yard import Yard
from depot import commands as cmd
from depot.events import Envelope
from depot.money_text import rupees
from depot.values import InvalidValue
from payments import PaymentsError, claims, refunds, settlements, statements
from payments.debit_list import DebitLine, debit_list, refund_list
from payments.dunning import Arrears, arrears_of
from payments.records import Books, looking
from payments.rules import INDIA
from payments.service import Payments
from payments.settlements import Reconciliation
from payments.statements import FleetStatement, Mismatch
from payments.states import RefundState
from payments.times import from_ms, maybe_from_ms
from storage import StorageError

T = TypeVar("T")

log = logging.getLogger(__name__)

_LONGEST = timedelta(days=400)
_LOOK_S = 600.0
_Outcome = tuple[cmd.CommandStatus, str]


class BooksRoom:
    """One per depot. ``write_off_alone_paise``: above this a second person approves a write-off."""

    def __init__(self, yard: Yard, payments: Payments, *, write_off_alone_paise: int = 0) -> None:
        self._yard, self._payments = yard, payments
        self._write_off_alone_paise = write_off_alone_paise
        self._store, self._depot_id = payments.store, payments.depot_id
        self._known: Reconciliation | None = None
        self._wrong: list[Mismatch] = []

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {
            cmd.PayOtherwise: self._pay,
            cmd.ExplainDifference: self._explain,
            cmd.RetryRefund: self._retry_refund,
        }

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {
            v.ReconciliationView: self._reconciliation,
            v.DebitsView: self._debits,
            v.RefundsView: self._refunds,
            v.ArrearsView: self._arrears,
            v.DriverStatementView: self._driver,
            v.FleetStatementView: self._fleet,
            v.DayStatementView: self._day,
        }

    @property
    def kinds(self) -> frozenset[str]:
        """What it can report to the alarm desk."""
        return frozenset({"settlements_differ"})

    def conditions(self, now: datetime) -> Sequence[Condition] | None:
        """What holds now; None before the books were looked at."""
        if self._known is None:
            return None
        found = []
        if self._known.open:
            words = f"{self._known.open} settled thing{'s do' if self._known.open > 1 else ' does'} not agree with the books:"
            found.append(Condition("settlements_differ", title=f"{words} {rupees(self._known.open_paise)}."))
        if self._known.gap_paise or self._wrong:
            words = "The books do not agree with themselves: debits, documents and ledger say different sums."
            found.append(Condition("settlements_differ", "books", title=words, action="Keep the books as they are, and ask for help."))
        return found

    async def run(self) -> None:
        """Look for what does not agree, now and then, until cancelled. Books that are full or locked are waited for."""
        while True:
            try:
                await self.look()
            except StorageError as error:
                log.warning("the books of money cannot be read: %s", error)
            await self._yard.clock.sleep(_LOOK_S)

    async def look(self) -> None:
        """Add up once. Raises :class:`~storage.StorageError`."""

        def read() -> tuple[Reconciliation, list[Mismatch]]:
            found = settlements.reconciliation(self._store, self._depot_id)
            with looking(self._store) as session:
                return found, statements.mismatches(session, self._depot_id)

        self._known, self._wrong = await aside(self._store, read)

    # -- what people order --------------------------------------------------------------------------------------

    async def _pay(self, command: cmd.PayOtherwise, _: Envelope) -> _Outcome:
        try:
            way = claims.Way(command.way)
        except ValueError:
            raise InvalidValue(f"{command.way[:20]!r} is no way to pay: cash, upi_qr or bank") from None
        paise = await self._do(
            lambda: claims.pay_otherwise(
                self._store,
                self._depot_id,
                command.session_id,
                way=way,
                reference=command.reference,
                by=command.actor,
                why=command.reason,
                now=self._yard.clock.now(),
            )
        )
        words = f"{rupees(paise)} is booked as paid" if paise else "it was booked before"
        return cmd.CommandStatus.DONE, f"{words}; should the gateway's money come all the same, it goes back to the driver"

    async def _explain(self, command: cmd.ExplainDifference, _: Envelope) -> _Outcome:
        now = self._yard.clock.now()
        await self._do(
            lambda: settlements.explain(self._store, self._depot_id, command.difference_id, by=command.actor, why=command.reason, now=now)
        )
        await self.look()
        return cmd.CommandStatus.DONE, "the difference is explained"

    async def _retry_refund(self, command: cmd.RetryRefund, _: Envelope) -> _Outcome:
        now = self._yard.clock.now()
        await self._do(lambda: refunds.retry_refund(self._store, self._depot_id, command.refund_key, now=now))
        return cmd.CommandStatus.DONE, "the gateway is asked for the refund again"

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await aside(self._store, work)
        except (PaymentsError, StorageError) as error:
            raise InvalidValue(str(error)) from None

    # -- what people see ----------------------------------------------------------------------------------------

    async def _reconciliation(self, args: Mapping[str, str]) -> v.ReconciliationView:
        everything = args.get("explained", "") == "1"
        found = await self._do(lambda: settlements.reconciliation(self._store, self._depot_id, explained_too=everything))
        return v.ReconciliationView(
            at=self._yard.clock.now(),
            zero=found.zero,
            open=found.open,
            open_paise=found.open_paise,
            transit_paise=found.transit_paise,
            clearing_paise=found.clearing_paise,
            gap_paise=found.gap_paise,
            last_day=found.last_day,
            differences=[
                v.DifferenceView(
                    difference_id=d.difference_id,
                    kind=d.kind,
                    entity_id=d.entity_id,
                    settlement_id=d.settlement_id,
                    amount_paise=d.amount_paise,
                    note=d.note,
                    found_at=d.found_at,
                    explained_at=d.explained_at,
                    explained_by=d.explained_by or "",
                    explanation=d.explanation or "",
                )
                for d in found.differences
            ],
        )

    async def _debits(self, args: Mapping[str, str]) -> v.DebitsView:
        now, limit = self._yard.clock.now(), _number(args.get("limit", "50"))
        before, driver_id = args.get("before", ""), args.get("driver_id", "")
        lines, more = await self._do(lambda: debit_list(self._store, self._depot_id, now, limit=limit, before=before, driver_id=driver_id))
        return v.DebitsView(at=now, debits=[_debit(line) for line in lines], more=more)

    async def _refunds(self, args: Mapping[str, str]) -> v.RefundsView:
        rows = await self._do(lambda: refund_list(self._store, self._depot_id, bill_id=args.get("session_id", "")))
        return v.RefundsView(
            at=self._yard.clock.now(),
            refunds=[
                v.RefundView(
                    refund_key=row.key,
                    session_id=row.bill_id,
                    payment_id=row.payment_id,
                    amount_paise=row.amount_paise,
                    state=row.state,
                    why=row.why,
                    asked_at=from_ms(row.asked_ms),
                    may_retry=row.state == RefundState.FAILED,
                )
                for row in rows
            ],
        )

    async def _arrears(self, args: Mapping[str, str]) -> v.ArrearsView:
        driver_id, days = args.get("driver_id", ""), self._payments.terms.rules.reminder_days

        def read() -> list[Arrears]:
            with looking(self._store) as session:
                return arrears_of(Books(session, self._depot_id), days=days, driver_id=driver_id)

        found = await self._do(read)
        return v.ArrearsView(
            at=self._yard.clock.now(),
            owed_paise=sum(line.owed_paise for line in found),
            write_off_alone_paise=self._write_off_alone_paise,
            bills=[
                v.ArrearsLineView(
                    session_id=line.session_id,
                    driver_id=line.driver_id,
                    invoice_no=line.invoice_no,
                    owed_paise=line.owed_paise,
                    reason=str(line.reason or ""),
                    what_to_do=line.what_to_do,
                    since=line.since,
                    reminders=line.reminders,
                    taken=line.taken,
                    next_reminder_at=line.next_at,
                )
                for line in found
            ],
        )

    async def _driver(self, args: Mapping[str, str]) -> v.DriverStatementView:
        first, last = self._span(args)
        driver_id = args.get("driver_id", "")
        found = await self._do(lambda: statements.driver_statement(self._store, self._depot_id, driver_id, first, last))
        lines = [
            v.StatementLineView(
                at=e.at, kind=e.kind, reference=e.reference, memo=e.memo, amount_paise=e.amount_paise, balance_paise=e.balance_paise
            )
            for e in found.lines
        ]
        return v.DriverStatementView(
            driver_id=driver_id,
            first=first,
            last=last,
            opening_paise=found.opening_paise,
            closing_paise=found.closing_paise,
            lines=lines,
            csv=statements.as_csv(found) if args.get("csv") else "",
        )

    async def _fleet(self, args: Mapping[str, str]) -> v.FleetStatementView:
        first, last = self._span(args)

        def read() -> tuple[FleetStatement, list[Mismatch]]:
            found = statements.fleet_statement(self._store, self._depot_id, first, last)
            with looking(self._store) as session:
                return found, statements.mismatches(session, self._depot_id)

        found, wrong = await self._do(read)
        names = v.DriverSumsView.__struct_fields__
        return v.FleetStatementView(
            first=first,
            last=last,
            opening_paise=found.opening_paise,
            closing_paise=found.closing_paise,
            drivers=[v.DriverSumsView(**{name: getattr(line, name) for name in names}) for line in found.drivers],
            mismatches=[
                f"{m.what} of {m.driver_id}: {rupees(m.ledger_paise)} in the ledger, {rupees(m.documents_paise)} in the documents"
                for m in wrong
            ],
            csv=statements.as_csv(found) if args.get("csv") else "",
        )

    async def _day(self, args: Mapping[str, str]) -> v.DayStatementView:
        day = _date(args.get("day", ""), "day") or self._today()
        found = await self._do(lambda: statements.day_statement(self._store, self._depot_id, day))
        names = v.AccountDayView.__struct_fields__
        return v.DayStatementView(
            day=day,
            entries=found.entries,
            accounts=[v.AccountDayView(**{name: getattr(line, name) for name in names}) for line in found.accounts],
            csv=statements.as_csv(found) if args.get("csv") else "",
        )

    def _today(self) -> date:
        return self._yard.clock.now().astimezone(INDIA).date()

    def _span(self, args: Mapping[str, str]) -> tuple[date, date]:
        last = _date(args.get("last", ""), "last") or self._today()
        first = _date(args.get("first", ""), "first") or last.replace(day=1)
        if first > last or last - first > _LONGEST:
            raise InvalidValue("a statement goes from an earlier day to a later one, over 400 days at most")
        return first, last


def _debit(line: DebitLine) -> v.DebitView:
    row = line.row
    return v.DebitView(
        debit_id=row.collection_id,
        driver_id=row.driver_id,
        mandate_id=row.mandate_id,
        mode=row.mode,
        day=row.day,
        stage=line.stage,
        amount_paise=row.amount_paise,
        due_at=line.due_at,
        next_at=maybe_from_ms(row.next_ms),
        reason=line.reason or "",
        what_to_do=line.what_to_do,
        bills=[
            v.DebitBillView(session_id=session_id, invoice_no=number, amount_paise=amount, paid_paise=paid)
            for session_id, number, amount, paid in line.bills
        ],
        steps=[v.DebitStepView(at=step.at, what=step.what, note=step.note) for step in line.steps],
    )


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidValue(f"limit is a number, not {text[:20]!r}") from None


def _date(text: str, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidValue(f"{name} is a day such as 2026-11-22, not {text[:20]!r}") from None
