"""The process that moves money: ``python -m controller.app.payments_process depot.toml``. The worker that carries bills to
their debits, and the receiver of the gateway's webhooks; one per depot, kept so by a lease on the books of money."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable

from controller.app.clocks import clock_of
from controller.app.exits import exit_code_of, sentence
from controller.logs import set_up
from controller.settings import Settings, SettingsError
from controller.supervisor import notify_ready
from payments import process
from payments.keys import keys_from

log = logging.getLogger(__name__)


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
        ready=notify_ready,
    )


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; :class:`ConnectionError` names a port in use."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise ConnectionError(f"cannot listen on {host}:{port}: {error.strerror}; stop what uses it, or set another port") from None
    sock.listen(128)
    return sock


def run_process(name: str, argv: list[str], work: Callable[[Settings], object]) -> int:
    """The frame of a process beside the core: settings, logs, exit codes."""
    set_up(name)
    try:
        settings = Settings.load(argv[0])
        set_up(name, level=settings.logging.level, json_lines=settings.logging.json_lines)
        work(settings)
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        log.error("%s", sentence(error))
        return code
    return 0


if __name__ == "__main__":
    sys.exit(run_process("payments", sys.argv[1:], lambda settings: asyncio.run(serve(settings))))
