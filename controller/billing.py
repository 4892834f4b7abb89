"""The room of money in the core: bills what was charged on a driver's account, and carries out what people order about it.

    journal: session admitted … stopped --> books of money: bill, invoice, ledger entry --> journal: session billed

The journal comes first and the books are filled from it by session id, so a death between the two leaves a session that
is stopped and not billed, and the next core finds it. Money itself is moved by :mod:`payments.process`, beside the core.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import Struct

from controller.alarms import Condition
from controller.billing_view import payments_view
from controller.loop import ControlLoop
from controller.paid_facts import reading_due, ready_to_bill, session_facts
from controller.payments_view import PaymentsView
from controller.room import Carrier, Viewer
from controller.till import Till, aside
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.events import Envelope
from depot.money_text import rupees
from depot.state import PaidSession
from depot.values import ConnectorId, InvalidValue
from payments import GatewayTrouble, PaymentsError
from payments.contacts import Contact, Contacts
from payments.gateway import Gateway
from payments.invoices import Charge
from payments.money import Bill
from payments.overview import Overview, overview
from payments.rating import rate
from payments.states import MandateState, Mode
from payments.tallies import GATEWAY_ANSWERED, GATEWAY_SILENT
from storage import StorageError, StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

OpenGateway = Callable[[], AbstractAsyncContextManager[Gateway]]

STUCK_AGAIN = timedelta(minutes=5)
"""A session that cannot be billed is tried again after this time."""

SWEEP_EVERY = timedelta(minutes=10)
FORGOTTEN_AFTER = timedelta(hours=1)
"""A reservation of which the journal knows no session after this time is given back."""

HEALTH_EVERY = timedelta(minutes=2)
"""How often the books are added up for the alarm desk."""

SEEN_S = 1.5
"""What was read of the books is shown for so long, in real seconds."""

_Outcome = tuple[cmd.CommandStatus, str]


class Billing:
    """One per depot. ``gateway``: opens a client of the payment gateway, inside whatever loop awaits it. ``look_s``: how
    often it looks for sessions that have ended, depot seconds."""

    def __init__(
        self,
        yard: Yard,
        loop: ControlLoop,
        till: Till,
        gateway: OpenGateway,
        *,
        real_money: bool = False,
        mock: bool = False,
        look_s: float = 1.0,
    ) -> None:
        self._yard = yard
        self._loop = loop
        self._till = till
        self._payments = till.payments
        self._store = till.payments.store
        self._gateway = gateway
        self._real_money, self._mock = real_money, mock
        self._look_s = look_s
        self.contacts: Contacts | None = None
        """Where contact data are kept, sealed; None: nowhere."""
        self._stuck: dict[str, tuple[datetime, str]] = {}
        self._swept_at: datetime | None = None
        self._health_at: datetime | None = None
        self._health: Overview | None = None
        self._troubled = False
        self._seen: tuple[tuple[int, str], float, Overview] | None = None

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {
            cmd.RegisterMandate: self._register,
            cmd.RevokeMandate: self._revoke,
            cmd.RetryDebit: self._retry,
            cmd.WriteOffBill: self._write_off,
            cmd.RefundBill: self._refund,
        }

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {PaymentsView: self._view}

    @property
    def kinds(self) -> frozenset[str]:
        """What it can report to the alarm desk."""
        return frozenset({"ledger_wrong", "sessions_unbilled", "gateway_silent"})

    def conditions(self, now: datetime) -> Sequence[Condition] | None:
        """What holds now; None before the books were looked at."""
        if self._health is None:
            return None
        found = [] if self._health.ledger.sound else [Condition("ledger_wrong")]
        if self._stuck:
            words = f"{len(self._stuck)} paid session{'s have' if len(self._stuck) > 1 else ' has'} ended and cannot be billed."
            found.append(Condition("sessions_unbilled", title=words))
        answered, silent = (self._health.tallies.get(name) for name in (GATEWAY_ANSWERED, GATEWAY_SILENT))
        if silent is not None and (answered is None or silent.at > answered.at):
            found.append(Condition("gateway_silent"))
        return found

    async def run(self) -> None:
        """Bill and sweep up; until cancelled. Books that are full or locked are waited for."""
        while True:
            try:
                await self.look()
                self._troubled = False
            except StoreUnavailable as error:
                if not self._troubled:
                    log.warning("billing waits: %s", error)
                self._troubled = True
            await self._yard.clock.sleep(self._look_s)

    async def look(self) -> None:
        """Everything that is due now. Raises :class:`~storage.StoreUnavailable`."""
        now = self._yard.clock.now()
        for session_id, paid in tuple(self._yard.state.paid.items()):
            if paid.stopped_at is None:
                await self._read(session_id, paid)
            elif self._ready(paid, now) and (session_id not in self._stuck or now - self._stuck[session_id][0] >= STUCK_AGAIN):
                await self._bill(session_id, paid, now)
        if self._health_at is None or now - self._health_at >= HEALTH_EVERY:
            self._health_at = now
            self._health = await aside(self._store, lambda: overview(self._store, self._payments.depot_id, now, limit=1))
        if self._swept_at is None or now - self._swept_at >= SWEEP_EVERY:
            self._swept_at = now
            await self._sweep(now)

    # -- from the journal into the books ------------------------------------------------------------------------

    async def _bill(self, session_id: str, paid: PaidSession, now: datetime) -> None:
        try:
            bill, invoice_no = await aside(self._store, lambda: self._book(session_id, paid))
        except PaymentsError as error:
            if session_id not in self._stuck:
                log.error("session %s cannot be billed: %s", session_id, error)
            self._stuck[session_id] = (now, str(error))
            return
        self._seen = None
        self._stuck.pop(session_id, None)
        billed = ev.SessionBilled(session_id, bill.energy_wh, bill.total_paise, invoice_no)
        await self._yard.journal.append([ev.NewEvent(billed, self._yard.clock.now(), key=f"billed/{session_id}")])

    def _book(self, session_id: str, paid: PaidSession) -> tuple[Bill, str]:
        """The bill in the books; made at the first call, found at every other."""
        terms = paid.terms
        known = self._payments.invoiced(session_id)
        if known is None:
            self._payments.readmit(session_id, terms.driver_id, terms.mandate_id, reserved_paise=terms.reserved_paise)
            tariff = self._till.terms_tariff(terms)
            facts = session_facts(paid, longest=self._till.price.longest)
            charge = Charge(rated=rate(tariff, facts), tariff=tariff, facts=facts, place=str(paid.connector))
            self._payments.bill_session(session_id, charge)
            known = self._payments.invoiced(session_id)
            assert known is not None
        return known

    async def _read(self, session_id: str, paid: PaidSession) -> None:
        """Write a running session's register down, on each quarter of an hour, so that each part of its energy meets its price."""
        reading = self._yard.readings.get(paid.connector)
        ours = reading is not None and not reading.replayed and reading.transaction_id in (None, paid.transaction_id)
        if not ours or reading is None or reading.energy_wh is None or reading.energy_wh < 0:
            return
        if reading_due(paid, self._till.terms_tariff(paid.terms).timezone, reading.received_at):
            read = ev.SessionRead(session_id, reading.energy_wh)
            key = f"read/{session_id}/{reading.received_at.isoformat()}"
            await self._yard.journal.append([ev.NewEvent(read, reading.received_at, key=key)])

    def _ready(self, paid: PaidSession, now: datetime) -> bool:
        return ready_to_bill(paid, self._till.terms_tariff(paid.terms), now, longest=self._till.price.longest)

    async def _sweep(self, now: datetime) -> None:
        """Reservations whose start was never journaled: the core died between, or the station never said it again."""
        held = await aside(self._store, self._payments.reservations)
        for session_id, since in held.items():
            if session_id not in self._yard.state.paid and now - since >= FORGOTTEN_AFTER:
                log.info("the reservation of session %s is given back: the journal knows no such session", session_id)
                await self._till.withdraw(session_id)

    def _energy_wh(self, connector: ConnectorId) -> int:
        return self._yard.session_energy_wh(connector)

    # -- what people order --------------------------------------------------------------------------------------

    async def _register(self, command: cmd.RegisterMandate, _: Envelope) -> _Outcome:
        if not command.contact.strip() or not command.email.strip():
            raise InvalidValue("the gateway needs the driver's phone number and e-mail address")
        if command.mode not in set(Mode):
            raise InvalidValue(f"a mandate's mode is one of {', '.join(Mode)}, not {command.mode[:20]!r}")

        async def open_(gateway: Gateway) -> str:
            self._till.payers.put(command.driver_id, command.id_tag)
            if self.contacts is not None:
                source = "page" if command.actor == f"driver {command.driver_id}" else "manager"
                self.contacts.put(command.driver_id, Contact(command.contact, command.email, command.name), source=source)
            view = await self._payments.mandates.open(
                gateway,
                mandate_id=self._mandate_id(command),
                driver_id=command.driver_id,
                name=command.name,
                email=command.email,
                contact=command.contact,
                max_amount_paise=command.max_amount_paise,
                expire_at=command.expire_at,
                mode=Mode(command.mode),
                hosted=command.hosted,
                tell_driver=command.hosted,
            )
            return f"driver {command.driver_id} must now approve it in the UPI app; the link is on the page (mandate {view.mandate_id})"

        status, words = await self._at_gateway(open_)
        await self._till.restore()
        return status, words

    def _mandate_id(self, command: cmd.RegisterMandate) -> str:
        """An id that the driver's unfinished request has already, so that asking again after a failure makes no second one."""
        for known in self._payments.mandates.all_of(command.driver_id):
            same = (known.max_amount_paise, known.mode) == (command.max_amount_paise, command.mode)
            if known.state is MandateState.NEW and same:
                return known.mandate_id
        return f"m-{command.command_id}"

    async def _revoke(self, command: cmd.RevokeMandate, _: Envelope) -> _Outcome:
        async def cancel(gateway: Gateway) -> str:
            view = await self._payments.mandates.cancel(gateway, command.mandate_id)
            return f"the gateway was told; the mandate is {view.state.replace('_', ' ')}"

        return await self._at_gateway(cancel)

    async def _retry(self, command: cmd.RetryDebit, _: Envelope) -> _Outcome:
        await self._in_books(lambda: self._payments.collect_again(command.session_id))
        return cmd.CommandStatus.DONE, "the debit is tried again, with a new notice to the driver first"

    async def _write_off(self, command: cmd.WriteOffBill, _: Envelope) -> _Outcome:
        paise = await self._in_books(
            lambda: self._payments.write_off(command.session_id, why=command.reason, most_paise=command.amount_paise)
        )
        words = f"{rupees(paise)} is written off" if paise else "it was written off before"
        return cmd.CommandStatus.DONE, f"{words}; should the money come all the same, it is booked as recovered"

    async def _refund(self, command: cmd.RefundBill, _: Envelope) -> _Outcome:
        paise = await self._in_books(
            lambda: self._payments.refund_bill(command.session_id, why=command.reason, amount_paise=command.amount_paise)
        )
        if not paise:
            return cmd.CommandStatus.DONE, "the same refund is under way already: nothing was asked for twice"
        return cmd.CommandStatus.DONE, f"the credit note over {rupees(paise)} is booked; the gateway gives the money back"

    async def _in_books(self, work: Callable[[], T]) -> T:
        self._seen = None
        try:
            return await aside(self._store, work)
        except (PaymentsError, StorageError) as error:
            raise InvalidValue(str(error)) from None

    async def _at_gateway(self, work: Callable[[Gateway], Awaitable[str]]) -> _Outcome:
        """In a thread with a loop of its own: it waits for the gateway, and for the books between."""

        async def there() -> str:
            async with self._gateway() as gateway:
                return await work(gateway)

        self._seen = None
        try:
            words = await asyncio.to_thread(lambda: asyncio.run(there()))
        except GatewayTrouble as error:
            return cmd.CommandStatus.FAILED, f"{error}; ask again, nothing is made twice"
        except (PaymentsError, StorageError) as error:
            return cmd.CommandStatus.REFUSED, str(error)
        return cmd.CommandStatus.DONE, words

    # -- what people see ----------------------------------------------------------------------------------------

    async def _books(self, limit: int, before: str, now: datetime) -> Overview:
        """Of a moment ago, where somebody else has just asked for the same: every open page asks once a second."""
        seen_s, asked = asyncio.get_running_loop().time(), (limit, before)
        if self._seen is None or self._seen[0] != asked or seen_s - self._seen[1] > SEEN_S:
            try:
                books = await aside(self._store, lambda: overview(self._store, self._payments.depot_id, now, limit=limit, before=before))
            except StorageError as error:
                raise InvalidValue(f"the books of money cannot be read: {error}") from None
            self._seen = (asked, seen_s, books)
        return self._seen[2]

    async def _view(self, args: Mapping[str, str]) -> PaymentsView:
        now, state = self._yard.clock.now(), self._yard.state
        try:
            limit = int(args.get("limit", "50"))
        except ValueError:
            raise InvalidValue(f"limit is a number, not {args['limit'][:20]!r}") from None
        books = await self._books(limit, args.get("before", ""), now)
        price = self._till.price
        return payments_view(
            books,
            at=now,
            paid=list(state.paid.values()),
            refused=state.refused_starts,
            stuck={session_id: why for session_id, (_, why) in self._stuck.items()},
            energy_wh={k: self._energy_wh(p.connector) for k, p in state.paid.items() if p.stopped_at is None},
            real_money=self._real_money,
            mock=self._mock,
            paise_per_kwh=float(price.paise_per_kwh),
            service_paise=price.service_paise,
            most_wh=price.most_wh,
        )
