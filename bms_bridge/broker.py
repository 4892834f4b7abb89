"""The embedded MQTT broker: amqtt behind a door of ours (:mod:`bms_bridge.door`), as a process that knows nothing of chargers.

    python -m bms_bridge.broker --accounts FILE [--host 127.0.0.1] [--port 1883] [--ready-fd N] [--tls-cert FILE --tls-key FILE]

Writes the port that it listens on to the file descriptor ``--ready-fd`` (and to the log) once it does. Ends with 0 at SIGTERM
or SIGINT, with 2 for wrong usage, with 3 where the port is taken. A depot with a broker of its own does not start this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

from amqtt.adapters import StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig, ListenerType
from amqtt.session import Session

from bms_bridge import AccountsError
from bms_bridge.accounts import Accounts
from bms_bridge.door import Door

log = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 2_000
SESSION_KEPT_S: Final = 120
"""How long the broker keeps what comes for a client that is away: the core's restarts, not more (it is kept in memory)."""

HANDSHAKE_S: Final = 10.0
"""Who has not said who it is within this time is cut off."""

EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE = 0, 2, 3
_LISTENER = "default"


@contextlib.asynccontextmanager
async def serving(
    accounts: Path, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None, handshake_s: float = HANDSHAKE_S
) -> AsyncIterator[int]:
    """A broker for as long as the block runs; gives its port. Raises :class:`~bms_bridge.AccountsError`, OSError."""
    Accounts.load(accounts)  # amqtt would hide why
    config = BrokerConfig(
        listeners={_LISTENER: ListenerConfig(type=ListenerType.EXTERNAL)},
        plugins={"bms_bridge.gate.Gate": {"accounts": str(accounts)}},
        session_expiry_interval=SESSION_KEPT_S,
    )
    broker = Broker(config)
    gate = broker.plugins_manager.get_plugin("Gate")

    def waiting() -> int:
        """Messages in amqtt's queues, which have no end of their own. It forgets those that are passed on when the next one comes,
        so they do not count: a full broker that waits for room would wait for ever."""
        passing_on = sum(not task.done() for task in broker._tasks_queue)
        return int(broker._broadcast_queue.qsize()) + passing_on

    async def filtered(session: Session, topic: str, action: Action) -> bool:
        return bool(await gate.topic_filtering(session=session, topic=topic, action=action))

    broker._topic_filtering = filtered  # twice a message: asked directly, without tasks for a list of plugins that is one long
    door = Door(gate.book, waiting=waiting, handshake_s=handshake_s)
    gate.passed_on = door.passed_on
    open_now: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitor = None
        try:
            visitor = await door.admit(reader, writer)
            if visitor is not None:
                await broker.external_connected(visitor, StreamWriterAdapter(writer), _LISTENER)
        except (OSError, EOFError) as error:
            log.debug("a connection ended: %s", error)
        finally:
            if visitor is not None:
                door.left(visitor)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(open_now) >= MOST_CONNECTIONS:
            writer.close()
            return

        def ended(task: asyncio.Task[None]) -> None:  # also one that is cancelled before its first step
            open_now.discard(task)
            writer.close()

        task = asyncio.create_task(serve(reader, writer))
        open_now.add(task)
        task.add_done_callback(ended)

    # our own socket and not amqtt's: port 0 is told, and too many connections are turned away instead of kept waiting
    await broker.start()
    try:
        server = await asyncio.start_server(connected, host, port, ssl=tls, ssl_handshake_timeout=handshake_s if tls is not None else None)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for task in list(open_now):
                task.cancel()
            await asyncio.gather(*open_now, return_exceptions=True)
            await server.wait_closed()
    finally:
        await broker.shutdown()


async def run(accounts: Path, *, host: str, port: int, ready: Callable[[int], None], tls: ssl.SSLContext | None = None) -> None:
    """Serve until SIGINT or SIGTERM. ``ready`` is called with the port once it listens."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with serving(accounts, host=host, port=port, tls=tls) as found:
        log.info("MQTT broker listens on %s:%d", host, found)
        ready(found)
        await ended.wait()


def main(words: Sequence[str] | None = None) -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m bms_bridge.broker", description="The embedded MQTT broker of a depot.")
    parser.add_argument("--accounts", type=Path, required=True, help="file of accounts (bms_bridge.accounts)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=1883, help="port; 0: a free one")
    parser.add_argument("--ready-fd", type=int, help="where to write the port once it listens")
    parser.add_argument("--tls-cert", type=Path, help="certificate chain, PEM; needs --tls-key")
    parser.add_argument("--tls-key", type=Path, help="private key, PEM")
    asked = parser.parse_args(words)
    if (asked.tls_cert is None) != (asked.tls_key is None):
        parser.error("--tls-cert and --tls-key belong together")
    if asked.tls_cert is None and not _loopback(asked.host):
        parser.error(f"{asked.host} can be reached by others: give --tls-cert and --tls-key, or keys cross the network in clear")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)

    def ready(port: int) -> None:
        if asked.ready_fd is not None:
            with contextlib.suppress(OSError):
                os.write(asked.ready_fd, f"{port}\n".encode())
                os.close(asked.ready_fd)

    try:
        tls = None
        if asked.tls_cert is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(asked.tls_cert, asked.tls_key)
        asyncio.run(run(asked.accounts, host=asked.host, port=asked.port, ready=ready, tls=tls))
    except AccountsError as error:
        log.error("%s", error)
        return EXIT_USAGE
    except OSError as error:
        log.error("cannot listen on %s:%d, or a certificate cannot be read: %s", asked.host, asked.port, error)
        return EXIT_UNREACHABLE
    return EXIT_OK


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
