"""A unit's connection to the broker: what is urgent first, then what is new, then what had to wait.

    Packet ─▶ Store ─▶ Uplink ──QoS 1──▶ broker        confirmed: the store lets it go

What waited longer than ``news_s`` is sent as history, so that nobody takes it for the present. The connection comes back by
itself, with jittered pauses. Over TLS the broker's certificate is checked against ``ca_file``, or the system's authorities.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiomqtt

from bms_bridge.edge.recorder import Packet
from bms_bridge.edge.store import Store
from bms_bridge.edge.wire import as_history

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""Messages that wait for the broker's confirmation at the same time."""

NEWS_S: Final = 20.0
_MOST_NEWS = 256
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where to send. ``ca_file`` None with ``tls``: the system's authorities. The key is never shown."""

    host: str
    port: int
    username: str
    key: str = field(repr=False)
    topic: str
    tls: bool = False
    ca_file: Path | None = None


class Uplink:
    """Its owner runs :meth:`run` as a task and gives it packets; both on one event loop. A packet is on the disk when
    :meth:`put` returns. ``sent``: messages that the broker has confirmed."""

    def __init__(self, broker: Broker, store: Store, *, news_s: float = NEWS_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.broker = broker
        self.store = store
        self.sent = 0
        self._news_s = news_s
        self._monotonic = monotonic
        self._rng = random.Random()  # noqa: S311  # jitter, not a secret
        self._urgent: deque[int] = deque()
        self._news: deque[tuple[int, float]] = deque(maxlen=_MOST_NEWS)
        self._some = asyncio.Event()
        self._some.set()
        self._empty = asyncio.Event()

    def put(self, packets: Iterable[Packet]) -> None:
        """Keep packets, to be sent as soon as can be. Raises :class:`~bms_bridge.edge.StoreError`."""
        for packet in packets:
            number = self.store.put(packet.data)
            if packet.urgent:
                self._urgent.append(number)
            if not packet.history:
                self._news.append((number, self._monotonic()))
            self._empty.clear()
            self._some.set()

    async def emptied(self) -> None:
        """Returns once the broker has confirmed everything."""
        await self._empty.wait()

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            began = self._monotonic()
            with contextlib.suppress(aiomqtt.MqttError, OSError):
                async with self._client() as client:
                    log.info("connected to %s:%d", self.broker.host, self.broker.port)
                    await self._send(client)
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # what the client said while it was closed has hidden the cancellation
                raise asyncio.CancelledError
            failures = 1 if self._monotonic() - began > _LONGEST_PAUSE_S else failures + 1
            await asyncio.sleep(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 8)) * self._rng.uniform(0.5, 1.0))

    def _client(self) -> aiomqtt.Client:
        broker = self.broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.key,
            identifier=f"unit-{broker.username}",
            clean_session=True,
            timeout=_TIMEOUT_S,
            tls_context=ssl.create_default_context(cafile=broker.ca_file) if broker.tls else None,
            logger=log,
        )

    async def _send(self, client: aiomqtt.Client) -> None:
        """Returns never; raises when the connection is lost."""
        lost = asyncio.ensure_future(_until_lost(client))
        try:
            while True:
                chosen = self._chosen()
                if not chosen:
                    self._empty.set()
                    self._some.clear()
                    more = asyncio.ensure_future(self._some.wait())
                    try:
                        await asyncio.wait((more, lost), return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        more.cancel()
                    if lost.done():
                        lost.result()
                    continue
                done = await asyncio.gather(*(self._publish(client, number, data) for number, data in chosen), return_exceptions=True)
                for error in done:
                    if isinstance(error, BaseException):
                        raise error
        finally:
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)

    async def _publish(self, client: aiomqtt.Client, number: int, data: bytes) -> None:
        await client.publish(self.broker.topic, data, qos=1)
        self.store.sent(number)
        self.sent += 1

    def _chosen(self) -> list[tuple[int, bytes]]:
        """What goes next."""
        now = self._monotonic()
        while self._news and now - self._news[0][1] > self._news_s:
            self._news.popleft()
        fresh = {number for number, _ in self._news}
        numbers: dict[int, None] = {}
        for number in (*self._urgent, *(number for number, _ in self._news), *self.store.waiting(2 * AT_ONCE)):
            numbers.setdefault(number)
        chosen: list[tuple[int, bytes]] = []
        gone: set[int] = set()
        for number in numbers:
            if len(chosen) == AT_ONCE:
                break
            data = self.store.get(number)
            if data is None:
                gone.add(number)
                continue
            chosen.append((number, data if number in fresh else as_history(data)))
        if gone:
            self._urgent = deque(number for number in self._urgent if number not in gone)
            self._news = deque((entry for entry in self._news if entry[0] not in gone), maxlen=_MOST_NEWS)
        return chosen


async def _until_lost(client: aiomqtt.Client) -> None:
    async for _ in client.messages:
        pass
