"""Worker and webhook receiver of one depot as a process: the only one that moves money."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

import payments
from depot.ports import Clock
from payments.keys import GatewayKeys
from payments.razorpay import RazorpayGateway
from payments.service import Terms
from payments.webhooks import MOST_BYTES, Webhooks
from payments.worker import Worker
from storage import Lease, Store, StoreUnavailable

__all__ = ["WEBHOOK_PATH", "receiver", "run"]

log = logging.getLogger(__name__)

WEBHOOK_PATH = "/gateway/webhook"


def receiver(webhooks: Webhooks, wake: Callable[[], None]) -> FastAPI:
    """The webhook's end point: 200 stored or known, 400 unreadable, 401 not signed by the gateway, 413 too large, 503
    not stored (the gateway tries again)."""
    app = FastAPI(openapi_url=None)

    @app.post(WEBHOOK_PATH)
    async def receive(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return Response(status_code=413)
        try:
            receipt = webhooks.receive(
                body,
                told_signature=request.headers.get("x-razorpay-signature"),
                event_id=request.headers.get("x-razorpay-event-id"),
            )
        except StoreUnavailable as error:
            log.warning("a webhook was not stored: %s", error)
            return Response(status_code=503)
        if receipt.acknowledged:
            wake()
            return Response(status_code=200)
        log.warning("a webhook was turned away: %s", receipt)
        return Response(status_code=401 if receipt == "forged" else 400)

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
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Work until SIGINT or SIGTERM. ``sock`` listens already; ``ready`` is called once everything runs. Raises
    :class:`~storage.LeaseTaken`, :class:`~payments.UnsafeKeys`, :class:`~storage.StorageError`."""
    with Lease.take(database), contextlib.closing(Store.open(database)) as store:
        store.migrate([payments])
        async with RazorpayGateway(gateway_url, keys, timeout_s=gateway_timeout_s) as gateway:
            webhooks = Webhooks(store, depot_id, clock, keys, terms.currency)
            worker = Worker(store, depot_id, clock, gateway, terms, webhooks)
            config = uvicorn.Config(
                receiver(webhooks, worker.wake), log_config=None, access_log=False, server_header=False, lifespan="off", ws="none"
            )
            server = uvicorn.Server(config)
            working = asyncio.create_task(worker.run(), name="payments worker")
            working.add_done_callback(lambda _: setattr(server, "should_exit", True))
            ready()
            await server.serve(sockets=[sock])
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
