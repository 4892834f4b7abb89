"""The process that moves money: ``python -m controller.app.payments_process depot.toml``. The worker that carries bills to
their debits, and the receiver of the gateway's webhooks; one per depot, kept so by a lease on the books of money."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from controller.app.beside import listening, run_process
from controller.app.clocks import clock_of
from controller.contact_keys import vault_of
from controller.settings import Settings, SettingsError
from controller.settings_text import PREFIX
from controller.supervisor import notify_ready
from payments import process
from payments.keys import keys_from
from payments.messenger import HttpMessenger

log = logging.getLogger(__name__)


LEAST_SECRET = 32


def messenger_of(settings: Settings) -> HttpMessenger | None:
    """Who takes reminders; None: nobody. Raises :class:`~controller.settings.SettingsError` without a key to sign them."""
    if settings.payments is None or not settings.payments.reminder_url:
        return None
    secret = settings.reminder_secret.get_secret_value() if settings.reminder_secret is not None else ""
    if len(secret) < LEAST_SECRET:
        raise SettingsError(
            f"payments.reminder_url needs a key of {LEAST_SECRET} characters or more in {PREFIX}REMINDER_SECRET: "
            "with it your messenger checks that a reminder is yours"
        )
    return HttpMessenger(settings.payments.reminder_url, secret)


async def serve(settings: Settings) -> None:
    """Work until SIGTERM."""
    if settings.payments is None:
        raise SettingsError("there is no section [payments]: nobody pays in this depot")
    settings.storage.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = keys_from(os.environ)
    sock = listening(settings.payments.webhook_host, settings.webhook_port)
    log.info("webhooks are awaited at http://%s:%d%s", settings.payments.webhook_host, sock.getsockname()[1], process.WEBHOOK_PATH)
    await process.run(
        settings.payments_database,
        depot_id=settings.depot.id,
        clock=clock_of(settings),
        gateway_url=settings.gateway_url,
        keys=keys,
        terms=settings.payments.to_terms(),
        sock=sock,
        messenger=messenger_of(settings),
        vault=vault_of(settings),
        ready=notify_ready,
    )


if __name__ == "__main__":
    sys.exit(run_process("payments", sys.argv[1:], lambda settings: asyncio.run(serve(settings))))
