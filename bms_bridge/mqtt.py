"""The telemetry link: a client of any MQTT broker that hands samples over on the spot.

    broker ──QoS 1──▶ _Sink ──parse──▶ Inbox (newest of each pack, alarms of all) ──▶ on_sample()   a loop turn later

Persistent session, so that what vehicles say while the link is down is kept by the broker and comes late but comes. What
the broker had kept is told apart (``retained``) and never taken for news. The link checks itself by an echo through the
broker, because a broker that is up may have forgotten our subscription. It comes back by itself, with jittered pauses.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import aiomqtt

from bms_bridge import LinkRefused
from bms_bridge.contract import PackSample, Rejection, RejectReason, parse, topics_of_all
from depot.ports import Clock
from depot.values import PackKey

log = logging.getLogger(__name__)
_wire_log = logging.getLogger(f"{__name__}.wire")

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
ECHO_S: Final = 10.0
_TIMEOUT_S = 5.0
_KEEPALIVE_S = 15
_REFUSED = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """How to reach the broker. ``ca_file`` None with ``tls``: the system's authorities. The password is never shown."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: Path | None = None

    def client_id(self, depot_id: str) -> str:
        """Ours at this broker: the same for ever (the session is persistent), and not to be guessed by who does not know the
        password, because an embedded broker lets a stranger with the same id push us out."""
        secret = hmac.new(self.password.encode(), f"{depot_id}\0{self.username}".encode(), hashlib.sha256).hexdigest()
        return f"chargeyard-{secret[:24]}"


class Inbox:
    """What waits to be handed over: at most one sample of each pack (two, with what a broker had kept), so that a flood
    costs no memory and the newest is what counts. Alarms of what is overtaken are carried over."""

    def __init__(self) -> None:
        self.overtaken = 0
        self._waiting: dict[tuple[PackKey, bool], PackSample] = {}
        self._some = asyncio.Event()

    def put(self, sample: PackSample) -> None:
        key = (sample.pack, sample.retained)
        before = self._waiting.get(key)
        if before is not None:
            self.overtaken += 1
            sample = replace(sample, alarms=tuple(dict.fromkeys((*before.alarms, *sample.alarms))))
        self._waiting[key] = sample
        self._some.set()

    async def take(self) -> PackSample:
        """The sample that has waited longest; waits for one."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        return self._waiting.pop(next(iter(self._waiting)))

    def __len__(self) -> int:
        return len(self._waiting)


class TelemetryLink:
    """The link of one depot; its owner runs :meth:`run` as a task. All callbacks are synchronous, on the loop.

    ``known``: whether a pack's samples are wanted; others are refused before they cost anything. ``on_link(up, reason)`` is
    called at every change, and once at the first failure. An exception of ``on_sample`` ends :meth:`run`.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        depot_id: str,
        clock: Clock,
        known: Callable[[PackKey], bool],
        on_sample: Callable[[PackSample], None],
        on_rejected: Callable[[Rejection], None],
        on_link: Callable[[bool, str], None],
        rng: random.Random | None = None,
        echo_s: float = ECHO_S,
    ) -> None:
        self.settings = settings
        self.inbox = Inbox()
        self.received = 0
        self._depot_id = depot_id
        self._filter = topics_of_all(depot_id)
        self._clock = clock
        self._known = known
        self._on_sample = on_sample
        self._on_rejected = on_rejected
        self._on_link = on_link
        self._rng = rng or random.Random()  # noqa: S311  # jitter, not a secret
        self._echo_s = echo_s
        self._client_id = settings.client_id(depot_id)
        self._echo_topic = f"chargeyard/v1/{depot_id}/core/{self._client_id}/echo"
        self._echo_heard = asyncio.Event()
        self._up: bool | None = None

    async def run(self) -> None:
        """Connect, subscribe, hand over; for ever, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_over(), name="telemetry samples")
            group.create_task(self._keep_connected(), name="telemetry link")

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            try:
                async with self._client() as client:
                    await self._subscribe(client)
                    failures = 0
                    self._tell(True, "")
                    await self._until_lost(client)
            except (aiomqtt.MqttError, LinkRefused, OSError, ValueError) as error:
                # ValueError: paho's word for a host or a password that cannot be
                self._tell(False, str(error.__cause__ or error))
            failures += 1
            await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures, 8)) * self._rng.uniform(0.5, 1.0))

    def _client(self) -> aiomqtt.Client:
        settings = self.settings
        sink = self._arrived

        class _Sink(asyncio.Queue[aiomqtt.Message]):
            """Where aiomqtt puts what comes: it is handed on instead of being queued."""

            def put_nowait(self, item: aiomqtt.Message) -> None:
                sink(item)

        return aiomqtt.Client(
            settings.host,
            settings.port,
            username=settings.username or None,
            password=settings.password or None,
            identifier=self._client_id,
            clean_session=False,
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            tls_context=ssl.create_default_context(cafile=settings.ca_file) if settings.tls else None,
            queue_type=_Sink,
            logger=_wire_log,
        )

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        for topic, qos in ((self._filter, 1), (self._echo_topic, 0)):
            for code in await client.subscribe(topic, qos=qos):
                if (code if isinstance(code, int) else code.value) >= _REFUSED:
                    raise LinkRefused(f"the broker does not let {self.settings.username or 'us'} subscribe to {topic}")

    async def _until_lost(self, client: aiomqtt.Client) -> None:
        """Returns never; raises when the connection, or the way through the broker, is lost."""
        lost = asyncio.ensure_future(_drained(client))
        echo = asyncio.ensure_future(self._echo(client))
        try:
            done, _ = await asyncio.wait((lost, echo), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (lost, echo):
                task.cancel()
            await asyncio.gather(lost, echo, return_exceptions=True)

    async def _echo(self, client: aiomqtt.Client) -> None:
        while True:
            self._echo_heard.clear()
            await client.publish(self._echo_topic, b"", qos=0)
            await asyncio.sleep(self._echo_s)
            if not self._echo_heard.is_set():
                raise LinkRefused("the broker answers but passes nothing on")

    def _arrived(self, message: aiomqtt.Message) -> None:
        """Called by the client as soon as a message was read from the socket."""
        topic = str(message.topic)
        if topic == self._echo_topic:
            self._echo_heard.set()
            return
        self.received += 1
        payload = message.payload if isinstance(message.payload, bytes) else b""
        received_at = self._clock.now()
        found = parse(self._depot_id, topic, payload, received_at=received_at, retained=bool(message.retain))
        if isinstance(found, Rejection):
            self._on_rejected(found)
        elif self._known(found.pack):
            self.inbox.put(found)
        else:
            text = f"{found.pack} is not in the registry"
            self._on_rejected(Rejection(RejectReason.UNKNOWN_PACK, text, topic, "", received_at))

    async def _hand_over(self) -> None:
        while True:
            self._on_sample(await self.inbox.take())
            if len(self.inbox):
                await asyncio.sleep(0)  # others' work between two of a flood

    def _tell(self, up: bool, reason: str) -> None:
        if up == self._up:
            return
        self._up = up
        name = f"{self.settings.host}:{self.settings.port}"
        if up:
            log.info("telemetry: connected to %s", name)
        else:
            log.warning("telemetry: %s is not reachable (%s); trying again", name, reason)
        self._on_link(up, reason)


async def _drained(client: aiomqtt.Client) -> None:
    """Nothing ever comes out, because the sink keeps it: this waits for the end of the connection, which raises."""
    async for _ in client.messages:
        pass
