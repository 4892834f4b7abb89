"""A TCP server that can hang up on everybody, also on who has only just been let in.

``asyncio.start_server`` begins a task for each connection; one that is cancelled before its first step never closes its socket. Here
a connection is known from the moment it is accepted, and its socket is closed when its task ends, however that ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
"""Serves one connection until that ends; need not close it."""


class Listener:
    """Serves every connection by ``serve``. Listens from :meth:`open` to :meth:`close`, as often as wanted."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._served: set[asyncio.Task[None]] = set()

    @property
    def listens(self) -> bool:
        return self._server is not None

    async def open(self, host: str, port: int = 0, *, backlog: int = 100) -> int:
        """Listen; gives the port (``port`` 0: a free one). OSError: cannot listen there."""
        assert self._server is None, "listens already"
        self._server = await asyncio.start_server(self._accepted, host, port, backlog=backlog)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Be away: listen no more, and hang up on everybody. Nothing happens to one that does not listen."""
        if self._server is None:
            return
        self._server.close()
        served = tuple(self._served)
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._served.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._served.discard(task)
            if task.cancelled():  # hung up on: what is not sent yet is nobody's any more
                writer.transport.abort()
            else:
                writer.close()

        task.add_done_callback(ended)
