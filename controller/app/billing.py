"""Where drivers pay: the books of money, the till at the desk and the room beside the loop, put into a core."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from contextlib import AsyncExitStack

from controller.alarm_desk import AlarmDesk
from controller.core import Core
from controller.payments_view import NoBilling
from controller.settings import Settings
from storage import Store

log = logging.getLogger(__name__)

GATEWAY_TIMEOUT_S = 5.0
"""What a person who sets up a mandate waits for each of the gateway's answers, at most."""


async def add_billing(core: Core, settings: Settings, stack: AsyncExitStack, alarms: AlarmDesk) -> None:
    """Give ``core`` its room of money, and ``alarms`` what it watches. Raises :class:`payments.UnsafeKeys`,
    :class:`storage.StorageError`."""
    if settings.payments is None:
        core.add(NoBilling())
        return
    import payments  # only where somebody pays
    from controller.billing import Billing
    from controller.till import Till
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
    await till.restore()
    core.desk.till = till
    room = Billing(
        yard,
        core.loop,
        till,
        lambda: RazorpayGateway(url, keys, timeout_s=GATEWAY_TIMEOUT_S),
        real_money=keys.live,
        mock=settings.payments.mock,
        look_s=core.parts.look_s,
    )
    core.add(room)
    alarms.sources.append(room)
    log.info("drivers pay by UPI AutoPay at %s (%s keys)", url, "live" if keys.live else "test")
