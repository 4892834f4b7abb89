"""The embedded MQTT broker: amqtt, as a process of its own that knows nothing of chargers.

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

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType

from bms_bridge import AccountsError
from bms_bridge.accounts import Accounts

log = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 2_000
SESSION_KEPT_S: Final = 120
"""How long the broker keeps what comes for a client that is away: the core's restarts, not more (it is kept in memory)."""

HANDSHAKE_S: Final = 10.0
"""Who has not said who it is within this time is cut off."""

EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE = 0, 2, 3
_LISTENER = "default"


class _Writer(StreamWriterAdapter):  # type: ignore[misc]  # amqtt has no types
    """Knows whether the broker has answered: its first word to a client is the answer to CONNECT."""

    answered = False

    def write(self, data: bytes) -> None:
        self.answered = True
        super().write(data)


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
    open_now: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(open_now) >= MOST_CONNECTIONS:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        adapter = _Writer(writer)

        def impatient() -> None:
            if not adapter.answered:
                writer.transport.abort()

        patience = asyncio.get_running_loop().call_later(handshake_s, impatient)
        try:
            await broker.external_connected(StreamReaderAdapter(reader), adapter, _LISTENER)
        except (OSError, EOFError) as error:
            log.debug("a connection ended: %s", error)
        finally:
            patience.cancel()
            open_now.discard(task)
            writer.close()

    # our own socket and not amqtt's: port 0 is told, and too many connections are turned away instead of kept waiting
    await broker.start()
    try:
        server = await asyncio.start_server(connected, host, port, ssl=tls)
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
