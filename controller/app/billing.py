"""Where drivers pay: the books of money, the till at the desk and the room beside the loop, put into a core."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from controller.alarm_desk import AlarmDesk
from controller.core import Core
from controller.drivers_view import NoDrivers
from controller.invoices_view import NoInvoices
from controller.payments_view import NoBilling
from controller.settings import Settings
from storage import Store

if TYPE_CHECKING:
    from controller.paid_sessions import PaidSessions
    from controller.till import Till
    from ocpp_server.central import Central

log = logging.getLogger(__name__)

GATEWAY_TIMEOUT_S = 5.0
"""What a person who sets up a mandate waits for each of the gateway's answers, at most."""


async def add_billing(core: Core, settings: Settings, stack: AsyncExitStack, alarms: AlarmDesk) -> PaidSessions | None:
    """Give ``core`` its rooms of money, and ``alarms`` what they watch; returns the watch over running sessions.
    Raises :class:`payments.UnsafeKeys`, :class:`storage.StorageError`."""
    if settings.payments is None:
        core.add(NoBilling())
        core.add(NoInvoices())
        core.add(NoDrivers())
        return None
    import payments  # only where somebody pays
    from controller.billing import Billing
    from controller.books_room import BooksRoom
    from controller.contact_keys import vault_of
    from controller.contacts_room import ContactsRoom
    from controller.drive_room import DriveRoom
    from controller.invoices_room import InvoicesRoom
    from controller.paid_sessions import PaidSessions
    from controller.tariffs_room import TariffsRoom
    from controller.till import Till
    from payments.contacts import Contacts
    from payments.keys import guarded_url, keys_from
    from payments.payers import Payers
    from payments.razorpay import RazorpayGateway
    from payments.service import Payments

    keys, url = keys_from(os.environ), settings.gateway_url
    guarded_url(url, keys)
    store = stack.enter_context(contextlib.closing(Store.open(settings.payments_database)))
    await asyncio.to_thread(store.migrate, [payments])
    yard, depot_id = core.yard, settings.depot.id
    desk = Payments(store, depot_id, yard.clock, settings.payments.to_terms())
    till = Till(yard, desk, Payers(store, depot_id, yard.clock), settings.payments.to_price())
    await asyncio.to_thread(_put_tariffs, till, settings.payments.tariff_files)
    await till.restore()
    core.desk.till = till

    def gateway() -> RazorpayGateway:
        return RazorpayGateway(url, keys, timeout_s=GATEWAY_TIMEOUT_S)

    room = Billing(
        yard,
        core.loop,
        till,
        gateway,
        real_money=keys.live,
        mock=settings.payments.mock,
        look_s=core.parts.look_s,
    )
    room.contacts = Contacts(store, depot_id, yard.clock, vault_of(settings))
    core.add(room)
    core.add(TariffsRoom(yard, till))
    core.add(InvoicesRoom(yard, till))
    core.add(ContactsRoom(till, room.contacts, yard.clock, gateway, settings.privacy.to_retention()))
    core.add(DriveRoom(yard, core.loop, till))
    books = BooksRoom(yard, desk, write_off_alone_paise=settings.payments.write_off_alone_paise)
    core.add(books)
    alarms.sources.append(books)
    alarms.sources.append(room)
    watch = PaidSessions(yard, core.loop, till, core.orders.execute, policy=settings.payments.to_watch_policy(), look_s=core.parts.look_s)
    core.add(watch)
    alarms.sources.append(watch)
    log.info("drivers pay by UPI AutoPay at %s (%s keys)", url, "live" if keys.live else "test")
    return watch


def _put_tariffs(till: Till, files: Sequence[str]) -> None:
    """A file that cannot be read or is no tariff stops the start: a depot must not charge drivers by another price than was meant."""
    from payments import InvalidTariff
    from payments.tariff_text import from_text

    for name in files:
        try:
            version = till.tariffs.put(from_text(Path(name).read_bytes()), actor="settings file")
        except OSError as error:
            raise InvalidTariff(f"payments.tariff_files: {name} cannot be read: {error.strerror}") from None
        except InvalidTariff as error:
            raise InvalidTariff(f"payments.tariff_files: {name}: {error}") from None
        log.info("driver tariff %s, version %d, from %s", version.tariff.tariff_id, version.number, name)


def show_money(watch: PaidSessions | None, core: Core, central: Central) -> None:
    """Let ``watch`` tell drivers on their stations' displays, where the station speaks OCPP 2.x."""
    from ocpp_server.version import Version

    if watch is not None:
        stations = [station.station_id for station in core.yard.spec.stations]
        watch.displays = lambda: [s for s in stations if central.version(s) in (Version.V201, Version.V21)]
