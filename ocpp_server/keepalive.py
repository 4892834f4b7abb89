"""Pings, and what counts as life: any byte that came (reference no. 4).

Some stations never answer a ping and talk all day; others say nothing for hours but answer each. Both live. Who sends
neither for an interval and a time-out is gone. While a ping is not answered a lone pong goes out instead of the next
one (RFC 6455 §5.5.3): it keeps the way through a NAT open, and nothing piles up.
"""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed


class LivelyConnection(ServerConnection):
    """Its ``ping_interval`` and ``ping_timeout`` are used as the module says."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._came_s = self.loop.time()

    def data_received(self, data: bytes) -> None:
        self._came_s = self.loop.time()
        super().data_received(data)

    async def keepalive(self) -> None:
        """Runs as long as the connection is open."""
        assert self.ping_interval is not None
        patience_s = self.ping_interval + (self.ping_timeout or float("inf"))
        answered: asyncio.Future[float] | None = None
        try:
            while True:
                await asyncio.sleep(self.ping_interval)
                if self.loop.time() - self._came_s > patience_s:
                    await self.close(1011, "nothing was heard")
                elif answered is None or answered.done():
                    answered = asyncio.ensure_future(await self.ping())
                else:
                    await self.pong()
        except ConnectionClosed:
            pass
