"""The notifier as a process: ``python -m controller.app.notifier_process depot.toml``. Nothing waits for it.

Ends with 0 on SIGTERM, 2 for settings that cannot be used. It reads the depot's database and writes only its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable

from controller import notify
from controller.app.beside import run_process, until_told
from controller.notify.channels import Channel, Mail, Webhook
from controller.notify.courier import Courier
from controller.notify.ledger import Ledger, ledger_file
from controller.notify.sms import Sms
from controller.settings import Settings, SettingsError
from controller.settings_text import PREFIX
from controller.supervisor import notify_ready
from storage import Lease, Store, StoreMissing

log = logging.getLogger(__name__)

LEAST_SECRET = 32
_WAIT_S = 1.0


def open_ledger(settings: Settings) -> Store:
    """Open or create it, with its tables up to date. Raises :class:`storage.StorageError`."""
    store = Store.open(ledger_file(settings.database, settings.depot.id))
    try:
        store.migrate([notify])
    except BaseException:
        store.close()
        raise
    return store


def channels_of(settings: Settings, *, now_s: Callable[[], float] = time.time) -> list[Channel]:
    """The channels as configured. Raises :class:`SettingsError` where a secret is missing from the environment."""
    section = settings.notify
    channels: list[Channel] = []
    if section is not None and section.webhook is not None:
        secret = settings.notify_webhook_secret.get_secret_value() if settings.notify_webhook_secret is not None else ""
        if len(secret) < LEAST_SECRET:
            raise SettingsError(
                f"notify.webhook needs a key of {LEAST_SECRET} characters or more in {PREFIX}NOTIFY_WEBHOOK_SECRET: "
                "with it the receiver checks that a message is yours"
            )
        channels.append(Webhook(section.webhook.url, secret.encode(), section.webhook.timeout_s, now_s))
    if section is not None and section.email is not None:
        mail = section.email
        password = settings.notify_smtp_password.get_secret_value() if settings.notify_smtp_password is not None else ""
        if mail.user and not password:
            raise SettingsError(f"notify.email has a user, but {PREFIX}NOTIFY_SMTP_PASSWORD is not set")
        channels.append(
            Mail(
                mail.host,
                mail.port,
                mail.security,
                mail.sender,
                mail.to,
                settings.depot.name or settings.depot.id,
                mail.timeout_s,
                mail.user,
                password,
            )
        )
    if section is not None and section.sms is not None:
        token = settings.notify_sms_token.get_secret_value() if settings.notify_sms_token is not None else ""
        if not token:
            raise SettingsError(f"notify.sms needs the gateway's token in {PREFIX}NOTIFY_SMS_TOKEN")
        sms = section.sms
        channels.append(Sms(sms.url, token, sms.to, settings.depot.name or settings.depot.id, sms.timeout_s, sms.priority))
    return channels


async def serve(settings: Settings) -> None:
    """Deliver until cancelled."""
    channels = channels_of(settings)
    assert settings.notify is not None
    give_up_s = settings.notify.give_up_h * 3600
    with Lease.take(ledger_file(settings.database, settings.depot.id)), contextlib.closing(open_ledger(settings)) as own:
        notify_ready()
        depot = await _depot(settings)
        with contextlib.closing(depot):
            log.info("messages go out by %s", " and ".join(channel.name for channel in channels))
            await Courier(depot, settings.depot.id, Ledger(own, settings.depot.id), channels, now_s=time.time, give_up_s=give_up_s).run()


async def _depot(settings: Settings) -> Store:
    """The depot's database, read only, as soon as the core has made it."""
    while True:
        with contextlib.suppress(StoreMissing):
            return Store.open(settings.database, read_only=True)
        await asyncio.sleep(_WAIT_S)


def work(settings: Settings) -> None:
    """Send what is to be told, until SIGTERM. SettingsError: nobody is to be told."""
    if settings.notify is None:
        raise SettingsError("there is no section notify: nobody is to be told")
    asyncio.run(until_told(serve(settings)))


if __name__ == "__main__":
    sys.exit(run_process("notifier", sys.argv[1:], work))
