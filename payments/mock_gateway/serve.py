"""The mock gateway as a process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from depot.ports import Clock
from payments.mock_gateway.api import add_api
from payments.mock_gateway.bank import Bank
from payments.mock_gateway.books import STATE, prepare
from payments.mock_gateway.control import add_control
from payments.mock_gateway.desk import MovedClock
from payments.mock_gateway.driver import add_driver_page
from payments.mock_gateway.frame import Framed, add_errors
from payments.mock_gateway.lab import add_lab
from payments.mock_gateway.sender import Sender
from payments.mock_gateway.settings import MockSettings
from storage import Store

__all__ = ["create_app", "open_bank", "run"]


def create_app(bank: Bank) -> FastAPI:
    """API, driver's pages and control. Time and webhooks are :func:`run`'s."""
    app = FastAPI(title="mock gateway", openapi_url=None)
    app.add_middleware(Framed, desk=bank)
    add_errors(app)
    add_api(app, bank)
    add_control(app, bank)
    add_lab(app, bank)
    add_driver_page(app, bank)
    return app


def open_bank(settings: MockSettings, clock: Clock) -> Bank:
    """The bank on its own database, whose tables are made. Raises :class:`~storage.StorageError`."""
    store = Store.open(settings.database)
    with store.writing() as connection:
        prepare(connection)
        ahead_s = connection.execute(sa.select(STATE.c.ahead_s)).scalar_one() or 0.0
    return Bank(store, settings, MovedClock(clock, ahead_s))


async def run(settings: MockSettings, *, clock: Clock, sock: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM. ``sock`` listens already."""
    bank = open_bank(settings, clock)
    bank.base_url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    quiet = {"log_config": None, "access_log": False, "server_header": False, "date_header": False}
    config = uvicorn.Config(create_app(bank), **quiet, lifespan="off", ws="none", timeout_graceful_shutdown=1)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with contextlib.closing(bank.store):
        beside = [asyncio.create_task(bank.run(), name="bank")]
        if settings.webhook_url:
            beside.append(asyncio.create_task(Sender(bank.store, settings, bank.clock, bank.woken).run(), name="webhooks"))
        for task in beside:
            task.add_done_callback(lambda _: setattr(server, "should_exit", True))
        ready()
        try:
            await server.serve(sockets=[sock])
        finally:
            for task in beside:
                task.cancel()
        ended = await asyncio.gather(*beside, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result
