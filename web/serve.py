"""The web as a process: uvicorn as a library on a socket that we open ourselves, so that a taken port is said clearly."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import uvicorn

from controller.link import CoreLink
from depot.ports import Clock
from storage import Store
from web import WebError
from web.app import create_app
from web.live import DepotLink, LiveHub
from web.settings import WebSettings

log = logging.getLogger(__name__)

EXIT_UNREACHABLE = 3
"""CLI exit code for :class:`PortInUse`: a part that is needed is not there for us."""


class PortInUse(WebError):
    """The web's port cannot be opened; the message says which, why, and what to do."""


class _Server(uvicorn.Server):
    """Ends the endless live streams first, so that a shutdown does not wait for them."""

    def __init__(self, config: uvicorn.Config, hub: LiveHub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)


def open_socket(settings: WebSettings) -> socket.socket:
    """The listening socket; raises :class:`PortInUse`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise PortInUse(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Stop what uses it, or choose another port (--port-offset, or web.port)"
        ) from error
    return sock


async def run_web(settings: WebSettings, *, socket_path: Path, store: Store, clock: Clock, sock: socket.socket | None = None) -> None:
    """Serve until SIGINT or SIGTERM. ``socket_path``: the core's local socket; ``store`` has the web's tables; ``clock``
    is the world's. Raises :class:`PortInUse`."""
    sock = sock or open_socket(settings)
    async with CoreLink(socket_path) as link:
        await server(settings, link, store=store, clock=clock).serve(sockets=[sock])


def server(settings: WebSettings, link: DepotLink, *, store: Store, clock: Clock) -> uvicorn.Server:
    """A uvicorn server of the application, not started yet."""
    app = create_app(settings, link, store, clock=clock)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        limit_concurrency=500,
        ws="none",
        h11_max_incomplete_event_size=32 * 1024,
    )
    return _Server(config, app.state.web.hub)
