"""The mock gateway as a process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from email.utils import format_datetime

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from depot.ports import Clock
from payments.mock_gateway.api import add_api
from payments.mock_gateway.bank import Bank
from payments.mock_gateway.books import METADATA
from payments.mock_gateway.driver import add_driver_page
from payments.mock_gateway.sender import Sender
from payments.mock_gateway.settings import MockSettings
from storage import Store

__all__ = ["create_app", "open_bank", "run"]


class _Dated:
    """The date of answers is the gateway's clock, which a demonstration lets run faster than the world's."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"date", format_datetime(self._clock.now(), usegmt=True).encode()))
            await send(message)

        await self._app(scope, receive, dated)


def create_app(bank: Bank) -> FastAPI:
    """API and driver's page. Time and webhooks are :func:`run`'s."""
    app = FastAPI(title="mock gateway", openapi_url=None)
    app.add_middleware(_Dated, clock=bank.clock)
    add_api(app, bank)
    add_driver_page(app, bank)
    return app


def open_bank(settings: MockSettings, clock: Clock) -> Bank:
    """The bank on its own database, whose tables are made. Raises :class:`~storage.StorageError`."""
    store = Store.open(settings.database)
    with store.writing() as connection:
        METADATA.create_all(connection)
    return Bank(store, settings, clock)


async def run(settings: MockSettings, *, clock: Clock, sock: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM. ``sock`` listens already."""
    bank = open_bank(settings, clock)
    quiet = {"log_config": None, "access_log": False, "server_header": False, "date_header": False}
    config = uvicorn.Config(create_app(bank), **quiet, lifespan="off", ws="none", timeout_graceful_shutdown=1)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with contextlib.closing(bank.store):
        beside = [asyncio.create_task(bank.run(), name="bank")]
        if settings.webhook_url:
            beside.append(asyncio.create_task(Sender(bank.store, settings, clock, bank.woken).run(), name="webhooks"))
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
