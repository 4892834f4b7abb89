"""What the depot calls: the gate before a session, the bill after it, refunds; mandates are in :mod:`payments.mandates`.

    mandates.open → the driver approves in the UPI app → reserve (gate) → the session runs → meter_session → worker

Any process may use it beside the worker; every call may be repeated. Money moves in :mod:`payments.worker` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from depot.ports import Clock
from payments import InvalidBill, Refused, claims, ledger, refunds
from payments.corrections import Corrected, correct_bill
from payments.exposure import Standing, exposure_of, instruments_of, standing_of
from payments.gate import Ask, Credit, GateAnswer, decide
from payments.invoices import Charge, Invoices, charge_of_lines
from payments.mandates import Mandates, MandateView
from payments.money import Bill, EnergyLine
from payments.reasons import Reason
from payments.records import Books, bill_value, looking
from payments.states import Mode, Stage, bill_stage
from payments.tables import BillRow, MandateRow
from payments.terms import Terms
from payments.times import from_ms, to_ms
from storage import Store

__all__ = ["BillView", "MandateView", "Payments", "Terms"]


@dataclass(frozen=True, slots=True)
class BillView:
    """A session's money as shown. ``gave_up``: why a bill is in arrears."""

    bill_id: str
    driver_id: str
    stage: Stage
    total_paise: int
    energy_wh: int
    invoice_no: str | None
    opened_at: datetime
    gave_up: Reason | None


@dataclass(frozen=True, slots=True)
class Payments:
    """The room's front desk for one depot. ``store`` has this room's tables (``store.migrate([payments])``)."""

    store: Store
    depot_id: str
    clock: Clock
    terms: Terms

    @property
    def mandates(self) -> Mandates:
        """The drivers' instruments."""
        return Mandates(self.store, self.depot_id, self.clock, self.terms)

    @property
    def invoices(self) -> Invoices:
        """Invoices, notes, recipients."""
        return Invoices(self.store, self.depot_id, self.clock, self.terms)

    def gate(self, driver_id: str, ask: Ask, *, running: Mapping[str, int] | None = None) -> GateAnswer:
        """May this driver charge now? Changes nothing. ``running``: what sessions under way have cost so far, paise by id."""
        with looking(self.store) as session:
            return self._gate(session, driver_id, ask, running or {})

    def reserve(
        self, session_id: str, driver_id: str, ask: Ask, *, running: Mapping[str, int] | None = None, unasked: bool = False
    ) -> GateAnswer:
        """The gate, and in the same unit of work the reservation that it grants: two sessions at once cannot both use
        the same room. The same session asked again gets yes again.

        ``unasked``: a station began it without asking, so it is owed whatever the gate says; the answer says what it said, and
        the reservation stands on the instrument that counts."""
        with self.store.unit() as session:
            known = session.get(BillRow, (self.depot_id, session_id))
            if known is not None:
                if known.driver_id != driver_id:
                    raise Refused(f"session {session_id} belongs to another driver")
                return GateAnswer(True, "may charge", mandate_id=known.mandate_id, granted_paise=known.reserved_paise)
            answer = self._gate(session, driver_id, ask, running or {})
            if answer.allowed or unasked:
                reserved = answer.granted_paise if answer.allowed else ask.worst_paise
                session.add(self._reservation(session_id, driver_id, answer.mandate_id, reserved))
            return answer

    def move(self, session_id: str, mandate_id: str, *, reserved_paise: int) -> None:
        """Have a running session paid by another of its driver's instruments: a block that was topped up by a new one.
        Raises :class:`~payments.Refused` for a session that is billed, or somebody else's instrument."""
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row, mandate = books.bill(session_id), books.mandate(mandate_id)
            if row.own != Stage.ESTIMATED or row.driver_id != mandate.driver_id:
                raise Refused(f"session {session_id} cannot be paid by mandate {mandate_id}")
            row.mandate_id, row.reserved_paise = mandate_id, reserved_paise

    def standing(self, driver_id: str, *, running: Mapping[str, int] | None = None) -> Standing:
        """A driver's instruments, what is open, and what pays for each session under way."""
        with looking(self.store) as session:
            return standing_of(session, self.depot_id, driver_id, running=running or {})

    def readmit(self, session_id: str, driver_id: str, mandate_id: str, *, reserved_paise: int) -> None:
        """The journal says that this session was let charge, and the books have no reservation (a backup older than it, or books
        that were shut when a station told of it): it is owed all the same. ``mandate_id`` "": that which counts now, if any.
        Raises :class:`~payments.UnknownRecord` where its mandate is missing too."""
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            if session.get(BillRow, (self.depot_id, session_id)) is not None:
                return
            if mandate_id:
                books.mandate(mandate_id)
            else:
                newest = books.newest_mandate(driver_id)
                mandate_id = newest.mandate_id if newest is not None else ""
            session.add(self._reservation(session_id, driver_id, mandate_id, reserved_paise))

    def _reservation(self, session_id: str, driver_id: str, mandate_id: str, reserved_paise: int) -> BillRow:
        return BillRow(
            depot_id=self.depot_id,
            bill_id=session_id,
            driver_id=driver_id,
            mandate_id=mandate_id,
            own=Stage.ESTIMATED,
            reserved_paise=reserved_paise,
            opened_ms=to_ms(self.clock.now()),
        )

    def release(self, session_id: str) -> bool:
        """Give a reservation back whose session never came to be. False: there is none, or it is billed."""
        with self.store.unit() as session:
            row = session.get(BillRow, (self.depot_id, session_id))
            if row is None or row.own != Stage.ESTIMATED:
                return False
            session.delete(row)
            return True

    def reservations(self) -> dict[str, datetime]:
        """Sessions that have a reservation and no bill, with the time since when."""
        with looking(self.store) as session:
            query = select(BillRow.bill_id, BillRow.opened_ms).where(BillRow.depot_id == self.depot_id, BillRow.own == Stage.ESTIMATED)
            return {bill_id: from_ms(opened_ms) for bill_id, opened_ms in session.exec(query).all()}

    def invoiced(self, session_id: str) -> tuple[Bill, str] | None:
        """The bill and its invoice number, once the session is billed."""
        with looking(self.store) as session:
            row = session.get(BillRow, (self.depot_id, session_id))
            return None if row is None or row.own == Stage.ESTIMATED else (bill_value(row), row.invoice_no or "")

    @property
    def credit(self) -> Credit:
        """The terms as the gate wants them."""
        return Credit(limit_paise=self.terms.credit_limit_paise, spread_days=self.terms.spread_days, rules=self.terms.rules)

    def _gate(self, session: Session, driver_id: str, ask: Ask, running: Mapping[str, int]) -> GateAnswer:
        instruments = instruments_of(session, self.depot_id, driver_id)
        exposure = exposure_of(session, self.depot_id, driver_id, instruments, running=running)
        return decide(instruments, exposure, ask, self.credit)

    def meter_session(self, session_id: str, lines: Sequence[EnergyLine], *, service_paise: int = 0) -> Bill:
        """Bill energy that was priced elsewhere: see :meth:`bill_session`."""
        if service_paise < 0:
            raise InvalidBill(f"a service charge of {service_paise} paise is negative")
        return self.bill_session(session_id, charge_of_lines(lines, service_paise))

    def bill_session(self, session_id: str, charge: Charge) -> Bill:
        """The session has ended and was rated: invoice it, hand it to the worker. Nothing is due for no energy; less than the
        least debit stays on the driver's account.

        Again with the same numbers: the same bill. Raises :class:`~payments.UnknownRecord`, :class:`~payments.Refused`
        for other numbers than before, :class:`~payments.InvalidBill`.
        """
        now = self.clock.now()
        with self.store.unit() as session:
            books = Books(session, self.depot_id)
            row = books.bill(session_id)
            if row.own != Stage.ESTIMATED:
                if (row.energy_wh, row.taxable_paise) != (charge.rated.energy_wh, charge.rated.taxable_paise):
                    raise Refused(f"session {session_id} is invoiced already, with other numbers: correct its bill instead")
                return bill_value(row)
            bill = self.invoices.issue(session, row, charge, now)
            if bill.total_paise == 0:
                return bill
            if not row.mandate_id:  # a station began it without asking, for somebody who never set up how to pay
                row.own, row.gave_up = Stage.ARREARS, Reason.MANDATE_NOT_ACTIVE
            else:
                mandate = session.get(MandateRow, (self.depot_id, row.mandate_id))
                at_once = mandate is not None and mandate.mode != Mode.AUTOPAY
                row.next_ms = to_ms(now if at_once else self.terms.rules.cut_off_of(now))
        return bill

    def correct_bill(self, bill_id: str, *, energy_wh: int, why: str) -> Corrected:
        """Bill a session for another energy: see :func:`payments.corrections.correct_bill`."""
        next_debit_at = self.terms.rules.cut_off_of(self.clock.now())
        return correct_bill(self.invoices, bill_id, energy_wh=energy_wh, why=why, next_debit_at=next_debit_at)

    def collect_again(self, bill_id: str) -> None:
        """Try an unpaid bill once more: see :func:`payments.claims.collect_again`."""
        claims.collect_again(self.store, self.depot_id, bill_id, now=self.clock.now(), rules=self.terms.rules)

    def write_off(self, bill_id: str, *, why: str, most_paise: int | None = None) -> int:
        """Give a bill in arrears up: see :func:`payments.claims.write_off`."""
        return claims.write_off(self.store, self.depot_id, bill_id, why=why, now=self.clock.now(), most_paise=most_paise)

    def refund_bill(self, bill_id: str, *, why: str, amount_paise: int | None = None, request: str = "") -> int:
        """Give a paid bill back, as a whole or in part: see :func:`payments.refunds.refund_bill`."""
        return refunds.refund_bill(
            self.store, self.depot_id, bill_id, why=why, amount_paise=amount_paise, request=request, now=self.clock.now()
        )

    def bills(self, *, limit: int = 100) -> list[BillView]:
        """The newest sessions' money, newest first."""
        now = self.clock.now()
        with looking(self.store) as session:
            books = Books(session, self.depot_id)
            query = select(BillRow).where(BillRow.depot_id == self.depot_id).order_by(col(BillRow.opened_ms).desc(), col(BillRow.bill_id))
            rows = session.exec(query.limit(limit)).all()
            debits = {c.collection_id: c for c in (books.collection(r.collection_id) for r in rows if r.collection_id)}
            return [
                BillView(
                    row.bill_id,
                    row.driver_id,
                    bill_stage(facts, now),
                    row.total_paise,
                    row.energy_wh,
                    row.invoice_no,
                    from_ms(row.opened_ms),
                    Reason(why) if (why := row.gave_up or (debits[row.collection_id].gave_up if row.collection_id else None)) else None,
                )
                for row, facts in zip(rows, books.facts_of(rows), strict=True)
            ]

    def check_ledger(self) -> ledger.Check:
        """Add the ledger up again."""
        with looking(self.store) as session:
            return ledger.check(session, self.depot_id)
