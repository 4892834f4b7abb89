"""The lake's local socket: the core's batches, acknowledged when they are on the disk, and orders of people, with progress.

    core ----Batch--> Server --take()--> Ack        one thread works on the lake; nobody else's wait is longer than one piece of work
    person --Ask----> Server --carry out--> Progress …, Answer

The socket's mode is 0600: whoever may open it is the depot's own user. Everything is bounded: length of a frame, connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from bms_bridge import BmsError
from bms_bridge.lake import LakeError, wire
from bms_bridge.lake.asking import send
from bms_bridge.lake.engine import Lake
from storage import StorageError

log = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 16
STEP_S: Final = 1.0
PERSIST_S: Final = 30.0

Tell = Callable[[str, int, int], None]
"""(text, done, of): how far an order got; from the working thread."""

Order = Callable[[Lake, Mapping[str, Any], Tell], dict[str, Any]]
"""Carries out an order on the lake's thread; raises BmsError, OSError with a sentence."""


class Server:
    """See the module. ``facts(lake)``: reads what the journal has new, on the lake's thread, and returns up to where."""

    def __init__(self, lake: Lake, orders: Mapping[str, Order], *, facts: Callable[[Lake], int | None] = lambda _: None) -> None:
        self._lake = lake
        self._orders = orders
        self._facts = facts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lake")
        self._open: set[asyncio.Task[None]] = set()
        self._closing = False

    @contextlib.asynccontextmanager
    async def serving(self, path: Path) -> AsyncIterator[None]:
        """For as long as the block runs. Raises OSError."""
        server = await asyncio.start_unix_server(self._connected, sock=bound(path), limit=wire.MOST_BYTES)
        try:
            yield
        finally:
            server.close()
            self._closing = True
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await server.wait_closed()
            await asyncio.to_thread(self._thread.shutdown)

    async def look_after(self) -> None:
        """What is due, piece by piece, until cancelled."""
        loop = asyncio.get_running_loop()
        persisted_s = loop.time()
        while True:
            more = await self._run(self._lake.step)
            if loop.time() - persisted_s >= PERSIST_S:
                persisted_s = loop.time()
                await self._run(self._persist)
            await asyncio.sleep(0 if more else STEP_S)

    def _persist(self) -> None:
        try:
            self._lake.persist(facts_seq=self._facts(self._lake))
        except (StorageError, OSError) as error:
            log.warning("records of packs' lives wait: %s", error)

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= MOST_CONNECTIONS:
            writer.close()
            return
        self._open.add(task)
        try:
            while (body := await wire.read_body(reader)) is not None:
                frame = wire.decode(body)
                if isinstance(frame, wire.Batch):
                    if len(frame.items) > wire.MOST_ITEMS:
                        raise LakeError(f"a batch of {len(frame.items)} items; at most {wire.MOST_ITEMS}")
                    await send(writer, await self._run(partial(self._lake.take, frame, body)))
                elif isinstance(frame, wire.Ask):
                    await send(writer, await self._answer(frame, writer))
        except (LakeError, ConnectionError) as error:
            log.warning("a connection to the lake ends: %s", error)
        except asyncio.CancelledError:
            if not self._closing:  # at the end asyncio would print a cancelled connection as an error
                raise
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, ask: wire.Ask, writer: asyncio.StreamWriter) -> wire.Answer:
        order = self._orders.get(ask.what)
        if order is None:
            return wire.Answer(error=f"the lake knows no order {ask.what[:40]!r}", kind="LakeRefused")
        loop = asyncio.get_running_loop()

        def tell(text: str, done: int, of: int) -> None:
            loop.call_soon_threadsafe(writer.write, wire.frame_of(wire.Progress(text, done, of)))

        try:
            return wire.Answer(data=await self._run(lambda: order(self._lake, ask.args, tell)))
        except (BmsError, StorageError, OSError) as error:
            return wire.Answer(error=str(error), kind=type(error).__name__)
        except Exception as error:
            log.exception("the order %s failed", ask.what)
            return wire.Answer(error=f"it failed: {type(error).__name__}; the lake's log says more", kind="LakeError")


def bound(path: Path) -> socket.socket:
    """A socket at ``path`` that its owner alone may open. Raises OSError. The lease is ours: one that lies there belongs to nobody."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock
