"""The telemetry link: a client of any MQTT broker that hands samples over on the spot.

    broker ──QoS 1──▶ _Sink ──read, Repeats──▶ on_kept()    all that is new, for who keeps it
                                     └──▶ Inbox (newest of each pack, alarms of all) ──▶ on_sample()   a loop turn later

Persistent session, so that what vehicles say while the link is down is kept by the broker and comes late but comes. What
the broker or the unit had kept is told apart (``retained``) and never taken for news, nor is what came before. Of a batch the
newest sample is news: the others say how things were. The link checks itself by an echo through the broker, because a broker
that is up may have forgotten our subscription. It comes back by itself, with jittered pauses.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import random
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import aiomqtt

from bms_bridge import LinkRefused
from bms_bridge.contract import Message, PackSample, Rejection, RejectReason, addressed, read, topics_of_all
from bms_bridge.repeats import Repeats
from depot.ports import Clock
from depot.values import PackKey

log = logging.getLogger(__name__)
_wire_log = logging.getLogger(f"{__name__}.wire")

PAUSE_S: Final = 1.0
"""Between two attempts, at most. It does not grow: a depot has one core, and what vehicles say must be heard within two seconds
after the broker is back."""

ECHO_S: Final = 10.0
MOST_KEPT: Final = 64
"""Samples of a pack that say how things were and wait to be handed over; alarms of older ones are carried over."""

_TIMEOUT_S = 5.0
_KEEPALIVE_S = 15
_REFUSED = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """How to reach the broker. ``ca_file`` None with ``tls``: the system's authorities. ``pinned``: over TLS, the broker has the
    first certificate in this file and no other will do, whatever name stands in it (our own broker's). The password is never
    shown."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: Path | None = None
    pinned: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """How the broker's certificate is checked; None without TLS. Raises OSError and ssl.SSLError for a file that is none."""
        if not self.tls:
            return None
        if self.pinned is None:
            return ssl.create_default_context(cafile=self.ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=first_certificate(self.pinned))
        return context

    def client_id(self, depot_id: str) -> str:
        """Ours at this broker: the same for ever (the session is persistent), and not to be guessed by who does not know the
        password, because an embedded broker lets a stranger with the same id push us out."""
        secret = hmac.new(self.password.encode(), f"{depot_id}\0{self.username}".encode(), hashlib.sha256).hexdigest()
        return f"chargeyard-{secret[:24]}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A message with something new in it, as it came. ``samples``: what was not heard before; ``places``: where in the message."""

    topic: str
    payload: bytes
    received_at: datetime
    retained: bool
    samples: tuple[PackSample, ...]
    places: tuple[int, ...]


class Inbox:
    """What waits to be handed over: at most one sample of each pack that is news, so that a flood costs no memory and the newest
    is what counts, and the last :data:`MOST_KEPT` that say how things were. News goes first. Alarms of what is overtaken are
    carried over."""

    def __init__(self) -> None:
        self.overtaken = 0
        self._news: dict[PackKey, PackSample] = {}
        self._kept: dict[PackKey, deque[PackSample]] = {}
        self._count = 0
        self._some = asyncio.Event()

    def put(self, sample: PackSample) -> None:
        if sample.retained:
            waiting = self._kept.setdefault(sample.pack, deque())
            waiting.append(sample)
            if len(waiting) > MOST_KEPT:
                waiting[0] = self._over(waiting.popleft(), waiting[0])
            else:
                self._count += 1
        else:
            before = self._news.get(sample.pack)
            if before is not None:
                sample = self._over(before, sample)
            else:
                self._count += 1
            self._news[sample.pack] = sample
        self._some.set()

    async def take(self) -> PackSample:
        """The sample that has waited longest, news first; waits for one."""
        while not self._count:
            self._some.clear()
            await self._some.wait()
        self._count -= 1
        if self._news:
            return self._news.pop(next(iter(self._news)))
        pack = next(iter(self._kept))
        waiting = self._kept.pop(pack)
        sample = waiting.popleft()
        if waiting:
            self._kept[pack] = waiting  # behind the others'
        return sample

    def _over(self, before: PackSample, sample: PackSample) -> PackSample:
        """``sample``, which overtakes ``before``."""
        self.overtaken += 1
        if set(before.alarms) <= set(sample.alarms):
            return sample
        return replace(sample, alarms=tuple(dict.fromkeys((*before.alarms, *sample.alarms))))

    def __len__(self) -> int:
        return self._count


class TelemetryLink:
    """The link of one depot; its owner runs :meth:`run` as a task. All callbacks are synchronous, on the loop.

    ``known``: whether a pack's samples are wanted; others are refused before they cost anything. ``on_link(up, reason)`` is
    called at every change, and once at the first failure. ``on_kept`` is given everything that was not heard before, message by
    message, also what the inbox overtakes: for who keeps it; it must be as quick as a queue and raise nothing. An exception of
    ``on_sample`` ends :meth:`run`. ``repeated``: samples that were heard before; ``dropped``: that units had to give up.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        depot_id: str,
        clock: Clock,
        known: Callable[[PackKey], bool],
        on_sample: Callable[[PackSample], object],
        on_rejected: Callable[[Rejection], object],
        on_link: Callable[[bool, str], None],
        on_kept: Callable[[Kept], None] | None = None,
        rng: random.Random | None = None,
        echo_s: float = ECHO_S,
    ) -> None:
        self.settings = settings
        self.inbox = Inbox()
        self.received = 0
        self.repeated = 0
        self.dropped = 0
        self._repeats = Repeats()
        self._depot_id = depot_id
        self._filter = topics_of_all(depot_id)
        self._clock = clock
        self._known = known
        self._on_sample = on_sample
        self._on_rejected = on_rejected
        self._on_link = on_link
        self._on_kept = on_kept
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
        while True:
            try:
                async with self._client() as client:
                    await self._subscribe(client)
                    self._tell(True, "")
                    await self._until_lost(client)
            except (aiomqtt.MqttError, LinkRefused, OSError, ValueError) as error:
                # ValueError: paho's word for a host or a password that cannot be
                self._tell(False, str(error.__cause__ or error))
            await asyncio.sleep(PAUSE_S * self._rng.uniform(0.5, 1.0))

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
            tls_context=settings.context(),
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
        pack = addressed(self._depot_id, topic)
        if pack is not None and not self._known(pack):
            self._on_rejected(Rejection(RejectReason.UNKNOWN_PACK, f"{pack} is not in the registry", topic, "", received_at))
            return
        found = read(self._depot_id, topic, payload, received_at=received_at, retained=bool(message.retain))
        if isinstance(found, Rejection):
            self._on_rejected(found)
        else:
            places = self._heard(found)
            if places and self._on_kept is not None:
                new = tuple(found.samples[place] for place in places)
                self._on_kept(Kept(topic, payload, received_at, bool(message.retain), new, places))

    def _heard(self, message: Message) -> tuple[int, ...]:
        """Hand over what is in a message. A repeated sample may still trip its pack, but is no news: a unit that counts wrongly
        must not be able to silence itself. Returns where in the message the new ones are."""
        self.dropped += message.dropped
        samples = message.samples
        new = tuple(n for n, s in enumerate(samples) if s.sequence is None or self._repeats.new(s.pack, s.sequence))
        self.repeated += len(samples) - len(new)
        newest = samples[-1] if new and new[-1] == len(samples) - 1 else None
        for sample in samples:
            if message.packed:  # of a unit that leaves out what did not change: its count says nothing of what is missing
                self.inbox.put(replace(sample, sequence=None, retained=sample is not newest or sample.retained))
            else:
                self.inbox.put(sample if sample is newest or sample.retained else replace(sample, retained=True))
        return new

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


def first_certificate(file: Path) -> str:
    """The first certificate in a PEM file: the server's own, where it is a chain. Raises ssl.SSLError where there is none."""
    text = file.read_text(encoding="ascii", errors="replace")
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    start, stop = text.find(begin), text.find(end)
    if not 0 <= start < stop:
        raise ssl.SSLError(f"{file} holds no certificate")
    return text[start : stop + len(end)] + "\n"
