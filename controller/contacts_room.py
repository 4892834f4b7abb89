"""Drivers' contact data in the core: the masked list, what is kept of one driver, erasure, and what time takes away.

    EraseDriver --> mandate ended at the gateway --> contact data, tag and messages' personal parts are gone; invoices stay
    once a day  --> drivers whom nothing needed for ``contact_days``, messages of the gateway older than ``message_days``

Plain data leave in the answer to a command alone, so that each look at them stands in the audit trail.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import Struct

from controller.drivers_view import DriverRow, PayingDriversView
from controller.room import Answered, Carrier, Viewer
from controller.till import Till, aside
from depot import commands as cmd
from depot.events import Envelope
from depot.ports import Clock
from depot.values import InvalidValue
from payments import GatewayTrouble, PaymentsError
from payments.contacts import Contacts
from payments.gateway import Gateway
from payments.states import MandateState
from storage import StorageError

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_EVERY = timedelta(hours=1)
SWEEP_EVERY = timedelta(days=1)
LIST_MOST = 200


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept: contact data since they were last needed, the gateway's messages since they came."""

    contact: timedelta = timedelta(days=180)
    message: timedelta = timedelta(days=30)


class ContactsRoom:
    """One per depot, where somebody pays. ``gateway``: opens a client inside whatever loop awaits it."""

    def __init__(
        self,
        till: Till,
        contacts: Contacts,
        clock: Clock,
        gateway: Callable[[], AbstractAsyncContextManager[Gateway]],
        retention: Retention,
    ) -> None:
        self._till = till
        self.contacts = contacts
        self._clock = clock
        self._gateway = gateway
        self._retention = retention
        self._swept_at: datetime | None = None

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {cmd.EraseDriver: self._erase, cmd.TellDriverData: self._tell, cmd.FindDriver: self._find}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {PayingDriversView: self._view}

    async def run(self) -> None:
        """Take away what time takes, once a day; until cancelled."""
        while True:
            now = self._clock.now()
            if self._swept_at is None or now - self._swept_at >= SWEEP_EVERY:
                self._swept_at = now
                try:
                    await self.sweep()
                except (StorageError, PaymentsError) as error:
                    log.warning("old contact data stay for now: %s", error)
            await self._clock.sleep(LOOK_EVERY.total_seconds())

    async def sweep(self) -> int:
        """Erase whom nothing needed for long, and take persons' data out of old messages; how many drivers were erased."""
        done = await aside(self.contacts.store, self._sweep)
        if done:
            log.info("contact data of %d drivers were erased: nothing needed them for %d days", done, self._retention.contact.days)
            await self._till.restore()
        return done

    def _sweep(self) -> int:
        self.contacts.rotate()
        self.contacts.forget_old_messages(self._retention.message)
        due = self.contacts.due(self._retention.contact)
        for driver_id in due:
            self.contacts.erase(driver_id)
        return len(due)

    # -- what people order --------------------------------------------------------------------------------------

    async def _erase(self, command: cmd.EraseDriver, _: Envelope) -> tuple[cmd.CommandStatus, str]:
        driver_id = command.driver_id

        def work() -> str:
            return asyncio.run(self._end_mandate(driver_id))

        try:
            why = await aside(self.contacts.store, lambda: self.contacts.why_not_erase(driver_id))
            if why.startswith("a mandate"):
                ended = await asyncio.to_thread(work)
                return cmd.CommandStatus.ACCEPTED, f"{ended}; ask again once the gateway has confirmed it"
            await aside(self.contacts.store, lambda: self.contacts.erase(driver_id))
        except GatewayTrouble as error:
            return cmd.CommandStatus.FAILED, f"{error}; nothing was erased, ask again"
        except (PaymentsError, StorageError) as error:
            return cmd.CommandStatus.REFUSED, str(error)
        await self._till.restore()
        return cmd.CommandStatus.DONE, f"driver {driver_id} is erased; invoices stay under this id, as the law wants them"

    async def _end_mandate(self, driver_id: str) -> str:
        payments = self._till.payments
        view = payments.mandates.of(driver_id)
        if view is None or view.state not in (MandateState.ACTIVE, MandateState.PAUSED):
            return "no mandate is active"
        async with self._gateway() as gateway:
            await payments.mandates.cancel(gateway, view.mandate_id)
        return f"the gateway was told to end mandate {view.mandate_id}"

    async def _tell(self, command: cmd.TellDriverData, _: Envelope) -> Answered:
        held = await self._ask(lambda: self.contacts.held(command.driver_id))
        return Answered(cmd.CommandStatus.DONE, f"everything that is kept of driver {command.driver_id}", dict(held))

    async def _find(self, command: cmd.FindDriver, _: Envelope) -> Answered:
        found = await self._ask(lambda: self.contacts.find_by_phone(command.phone))
        words = "1 driver gave this number" if len(found) == 1 else f"{len(found) or 'no'} drivers gave this number"
        return Answered(cmd.CommandStatus.DONE, words, {"driver_ids": found})

    async def _ask(self, work: Callable[[], T]) -> T:
        try:
            return await aside(self.contacts.store, work)
        except (PaymentsError, StorageError) as error:
            raise InvalidValue(str(error)) from None

    # -- what people see ----------------------------------------------------------------------------------------

    async def _view(self, _: Mapping[str, str]) -> PayingDriversView:
        return PayingDriversView(
            at=self._clock.now(),
            drivers=await self._ask(self._rows),
            contact_days=self._retention.contact.days,
            message_days=self._retention.message.days,
        )

    def _rows(self) -> list[DriverRow]:
        return [
            DriverRow(
                driver_id=row.driver_id,
                phone=row.phone,
                email=row.email,
                name=row.name,
                vpa=row.vpa,
                source=row.source,
                created_at=row.created_at,
                used_at=row.used_at,
                erased_at=row.erased_at,
                keeps="" if row.erased_at is not None else self.contacts.why_not_erase(row.driver_id),
                readable=row.readable,
            )
            for row in self.contacts.masked(limit=LIST_MOST)
        ]
