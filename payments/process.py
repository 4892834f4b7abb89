"""Worker and webhook receiver of one depot as a process: the only one that moves money."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

import payments
from depot.ports import Clock
from payments.chores import Messenger
from payments.keys import GatewayKeys
from payments.privacy import Vault
from payments.razorpay import RazorpayGateway
from payments.service import Terms
from payments.tallies import WEBHOOK_FORGED, WEBHOOK_UNREADABLE, Tallies
from payments.webhooks import MOST_BYTES, Delivery, Receipt, Webhooks
from payments.worker import Worker
from storage import Lease, Store, StoreUnavailable

__all__ = ["WEBHOOK_PATH", "Door", "receiver", "run"]

log = logging.getLogger(__name__)

WEBHOOK_PATH = "/gateway/webhook"
_COMPANY_S = 0.002


@dataclass(slots=True)
class Door:
    """Keeps what comes in at the same time in one unit of work: one write to the disk for all of them."""

    webhooks: Webhooks
    _waiting: list[tuple[Delivery, asyncio.Future[Receipt]]] = field(default_factory=list, init=False)

    async def take(self, delivery: Delivery) -> Receipt:
        """Durable when it returns. Raises :class:`~storage.StoreUnavailable`."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Receipt] = loop.create_future()
        self._waiting.append((delivery, told))
        if len(self._waiting) == 1:
            loop.call_later(_COMPANY_S, self._keep)
        return await told

    def _keep(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            receipts = self.webhooks.receive_all([delivery for delivery, _ in waiting])
        except Exception as error:  # noqa: BLE001  # whoever waits gets it: the gateway is told that nothing was stored
            for _, told in waiting:
                if not told.done():
                    told.set_exception(error)
            return
        for (_, told), receipt in zip(waiting, receipts, strict=True):
            if not told.done():  # else the gateway has hung up
                told.set_result(receipt)


def receiver(webhooks: Webhooks, wake: Callable[[], None], turned_away: Callable[[str], None] = lambda _: None) -> FastAPI:
    """The webhook's end point: 200 stored or known, 400 unreadable, 401 not signed by the gateway, 413 too large, 503
    not stored (the gateway tries again). ``turned_away``: told the kind of each that was not taken."""
    app, door = FastAPI(openapi_url=None), Door(webhooks)

    @app.post(WEBHOOK_PATH)
    async def receive(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                turned_away(WEBHOOK_UNREADABLE)
                return Response(status_code=413)
        headers = request.headers
        try:
            receipt = await door.take(Delivery(body, headers.get("x-razorpay-signature"), headers.get("x-razorpay-event-id")))
        except StoreUnavailable as error:
            log.warning("a webhook was not stored: %s", error)
            return Response(status_code=503)
        if receipt.acknowledged:
            wake()
            return Response(status_code=200)
        log.info("a webhook was turned away: %s", receipt)
        forged = receipt is Receipt.FORGED
        turned_away(WEBHOOK_FORGED if forged else WEBHOOK_UNREADABLE)
        return Response(status_code=401 if forged else 400)

    return app


async def run(
    database: Path,
    *,
    depot_id: str,
    clock: Clock,
    gateway_url: str,
    keys: GatewayKeys,
    terms: Terms,
    sock: socket.socket,
    gateway_timeout_s: float = 10.0,
    messenger: Messenger | None = None,
    vault: Vault | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Work until SIGINT or SIGTERM. ``sock`` listens already; ``ready`` is called once everything runs. Raises
    :class:`~storage.LeaseTaken`, :class:`~payments.UnsafeKeys`, :class:`~storage.StorageError`."""
    with Lease.take(database), contextlib.closing(Store.open(database)) as store:
        store.migrate([payments])
        tallies = Tallies(store, depot_id, clock)
        async with RazorpayGateway(gateway_url, keys, timeout_s=gateway_timeout_s, heard=tallies.heard) as gateway:
            webhooks = Webhooks(store, depot_id, clock, keys, terms.currency)
            worker = Worker(store, depot_id, clock, gateway, terms, webhooks, tallies, messenger, vault)
            app = receiver(webhooks, worker.wake, tallies.count)
            config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off", ws="none")
            server = uvicorn.Server(config)
            working = asyncio.create_task(worker.run(), name="payments worker")
            working.add_done_callback(lambda _: setattr(server, "should_exit", True))
            ready()
            await server.serve(sockets=[sock])
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
