"""Telemetry over a real socket: the real broker process, real clients, samples, verdicts, latches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bms_bridge.accounts import Account, Accounts, Kind, new_account
from bms_bridge.broker import serving
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Rejection, RejectReason, topic_of
from bms_bridge.edge.wire import BY_NAME, Block, Part, encode
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.mqtt import Kept, MqttSettings, TelemetryLink
from bms_bridge.verdicts import Cause, Derate, Trip, Verdict
from controller.clock import SystemClock
from depot.values import PackKey

pytestmark = pytest.mark.anyio

DEPOT = "pune-1"
BUS = PackKey("BUS7", "P1")
OTHER = PackKey("BUS8", "P1")
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Broker:
    """The broker process and the keys of its accounts."""

    accounts: Path
    keys: dict[str, str]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        read, write = os.pipe()
        words = [sys.executable, "-m", "bms_bridge.broker", "--accounts", str(self.accounts), "--port", str(self.port)]
        self.process = subprocess.Popen([*words, "--ready-fd", str(write)], pass_fds=(write,), cwd=ROOT)
        os.close(write)
        with os.fdopen(read) as told:
            self.port = int(told.readline())

    def stop(self, *, kill: bool = False) -> int:
        assert self.process is not None
        (self.process.kill if kill else self.process.terminate)()
        return self.process.wait(20)

    def client(self, name: str, **more: Any) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.port, username=name, password=self.keys[name], identifier=f"test-{name}", **more)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    keys: dict[str, str] = {}
    accounts: list[Account] = []
    for name, kind, packs in (("core", Kind.CORE, ()), (BUS.vehicle_id, Kind.VEHICLE, ("P1",)), (OTHER.vehicle_id, Kind.VEHICLE, ("P1",))):
        keys[name], account = new_account(name, kind, packs)
        accounts.append(account)
    path = tmp_path / "accounts.json"
    Accounts(DEPOT, accounts).save(path)
    found = Broker(path, keys)
    found.start()
    yield found
    if found.process is not None and found.process.poll() is None:
        found.stop()


@dataclass
class Heard:
    """What the link's callbacks were told."""

    samples: list[PackSample] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    links: list[bool] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def listening(
    broker: Broker, *, on_sample: Callable[[PackSample], None] | None = None, **more: Any
) -> AsyncIterator[tuple[Heard, TelemetryLink]]:
    heard = Heard()

    def note(where: list[Any]) -> Callable[[Any], None]:
        def noted(what: Any) -> None:
            where.append(what)
            heard.changed.set()

        return noted

    def sample(what: PackSample) -> None:
        if on_sample is not None:
            on_sample(what)
        note(heard.samples)(what)

    link = TelemetryLink(
        MqttSettings(port=broker.port, username="core", password=broker.keys["core"]),
        depot_id=DEPOT,
        clock=SystemClock(),
        known=lambda pack: pack in (BUS, OTHER),
        on_sample=sample,
        on_rejected=note(heard.rejected),
        on_link=lambda up, reason: note(heard.links)(up),
        **more,
    )
    task = asyncio.create_task(link.run())
    await heard.until(lambda: heard.links[-1:] == [True])
    try:
        yield heard, link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def payload(*temperatures: float | None, **more: Any) -> bytes:
    now = datetime.now(UTC).isoformat()
    return json.dumps({"schema": "pack_telemetry/1", "reported_at": now, "temperatures_c": temperatures, "soc": 0.5, **more}).encode()


async def test_a_published_sample_comes_out_whole(broker: Broker) -> None:
    async with listening(broker) as (heard, _), broker.client("BUS7") as bus:
        await bus.publish(topic_of(DEPOT, BUS), payload(25.1, 25.4, None, 26.0, alarms=["sensor_fault"]), qos=1)
        await heard.until(lambda: bool(heard.samples))
    assert heard.samples[0].pack == BUS
    assert heard.samples[0].temperatures_c == (25.1, 25.4, None, 26.0)
    assert heard.samples[0].alarms == ("sensor_fault",)
    assert not heard.samples[0].retained


async def test_a_hot_pack_is_derated_then_tripped_and_latched(broker: Broker, tmp_path: Path) -> None:
    verdicts: list[Verdict] = []
    with LatchFile.open(tmp_path / "latches") as latches:
        guard = Guard(latches, clock=SystemClock(), chemistry_of=lambda _: Chemistry.LFP, on_verdict=verdicts.append)
        writing = asyncio.create_task(guard.run())
        async with listening(broker, on_sample=guard.heard) as (heard, _), broker.client("BUS7") as bus:
            for count, hottest in enumerate((30.0, 52.0, 61.0), 1):
                await bus.publish(topic_of(DEPOT, BUS), payload(*(hottest - k / 2 for k in range(4))), qos=1)
                await heard.until(lambda count=count: len(heard.samples) == count)  # type: ignore[misc]  # binds the loop's value
        async with asyncio.timeout(10):
            await guard.written()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert [type(verdict) for verdict in verdicts] == [Derate, Trip]
    trip = verdicts[1]
    assert isinstance(trip, Trip)
    assert trip.cause is Cause.OVER_TEMPERATURE
    with LatchFile.open(tmp_path / "latches") as again:
        assert set(again.latched) == {BUS}


async def test_a_vehicle_speaks_only_for_itself(broker: Broker) -> None:
    async with listening(broker) as (heard, _), broker.client("BUS7") as bus:
        await bus.publish(topic_of(DEPOT, OTHER), payload(99, 99, 99, 99), qos=1)
        await bus.publish(f"chargeyard/v1/{DEPOT}/core/x/echo", b"", qos=1)
        await bus.publish(topic_of(DEPOT, BUS), payload(25, 25, 25, 25), qos=1)
        await heard.until(lambda: bool(heard.samples))
    assert [sample.pack for sample in heard.samples] == [BUS]


async def test_a_vehicle_reads_nothing(broker: Broker) -> None:
    async with broker.client("BUS8") as bus:
        codes = await bus.subscribe("chargeyard/#", qos=1)
    assert [code if isinstance(code, int) else code.value for code in codes] == [0x80]


@pytest.mark.parametrize(("name", "key"), [("BUS7", "wrong"), ("BUS99", "any"), (None, None)], ids=["wrong key", "unknown", "anonymous"])
async def test_strangers_are_refused(broker: Broker, name: str | None, key: str | None) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", broker.port, username=name, password=key, timeout=5):
            pass


async def test_a_last_will_in_anothers_name_is_refused(broker: Broker) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with broker.client("BUS7", will=aiomqtt.Will(topic_of(DEPOT, OTHER), payload(99, 99, 99, 99), qos=1), timeout=5):
            pass


async def test_junk_is_refused_with_a_reason_and_the_link_stays(broker: Broker) -> None:
    junk = [b"", b"\xff\xfe", b"[" * 3000, b'{"schema": "pack_telemetry/9"}', b'{"schema": "pack_telemetry/1"}', b"x" * 20_000]
    async with listening(broker) as (heard, _), broker.client("BUS7") as bus:
        for what in junk:
            await bus.publish(topic_of(DEPOT, BUS), what, qos=1)
        await bus.publish(topic_of(DEPOT, BUS), payload(25, 25, 25, 25), qos=1)
        await heard.until(lambda: bool(heard.samples))
    reasons = [rejection.reason for rejection in heard.rejected]
    assert reasons == [
        RejectReason.NOT_JSON,
        RejectReason.NOT_JSON,
        RejectReason.NOT_JSON,
        RejectReason.UNKNOWN_SCHEMA,
        RejectReason.SHAPE,
        RejectReason.TOO_LARGE,
    ]
    assert heard.links == [True]


async def test_in_a_flood_the_newest_counts_and_the_alarm_is_not_lost(broker: Broker) -> None:
    seen: list[PackSample] = []

    async with listening(broker, on_sample=seen.append) as (heard, link), broker.client("BUS7") as bus, broker.client("BUS8") as other:
        for number in range(2000):
            alarms = ["smoke_or_gas"] if number == 700 else []
            await bus.publish(topic_of(DEPOT, BUS), payload(20 + number / 100, alarms=alarms), qos=0)
        await other.publish(topic_of(DEPOT, OTHER), payload(25, 25, 25, 25), qos=1)
        await bus.publish(topic_of(DEPOT, BUS), payload(55.5), qos=1)
        await heard.until(lambda: any(s.temperatures_c == (55.5,) for s in seen) and any(s.pack == OTHER for s in seen))
        assert len(link.inbox) == 0
    assert any("smoke_or_gas" in sample.alarms for sample in seen)
    assert len(seen) + link.inbox.overtaken == link.received == 2002


async def test_nothing_is_retained(broker: Broker) -> None:
    async with listening(broker) as (heard, _), broker.client("BUS7") as bus:
        await bus.publish(topic_of(DEPOT, BUS), payload(70, 70, 70, 70), qos=1, retain=True)
        await heard.until(lambda: bool(heard.samples))
    assert not heard.samples[0].retained
    async with broker.client("BUS8") as other, listening(broker) as (heard, _):  # amqtt would send it to both
        await other.publish(topic_of(DEPOT, OTHER), payload(25, 25, 25, 25), qos=1)
        await heard.until(lambda: bool(heard.samples))
        assert not len(other.messages)
    assert [sample.pack for sample in heard.samples] == [OTHER]


async def test_a_batch_comes_out_sample_by_sample_the_newest_as_news(broker: Broker) -> None:
    kept: list[Kept] = []
    rows = tuple((2500 + k, 2510, 2520, 2530) for k in range(5))
    now_ms = int(datetime.now(UTC).timestamp() * 1000) - 4000
    parts = (Part(BY_NAME["temperatures_c"], 4, 1),)
    block = Block(boot=1, first_ms=now_ms, parts=parts, ticks=tuple(range(0, 5000, 1000)), sequences=tuple(range(5)), rows=rows)
    async with listening(broker, on_kept=kept.append) as (heard, link), broker.client("BUS7") as bus:
        await bus.publish(topic_of(DEPOT, BUS), encode(block), qos=1)
        await heard.until(lambda: len(heard.samples) == 5)
        await bus.publish(topic_of(DEPOT, BUS), encode(block), qos=1)
        await heard.until(lambda: len(heard.samples) == 10)
        assert link.repeated == 5
    news = [sample.temperatures_c for sample in heard.samples if not sample.retained]
    assert news == [(25.04, 25.1, 25.2, 25.3)]
    assert [[sample.temperatures_c[0] for sample in message.samples] for message in kept] == [[25.0, 25.01, 25.02, 25.03, 25.04]]
    assert not any(sample.retained for sample in kept[0].samples)
    assert (kept[0].payload, kept[0].places) == (encode(block), (0, 1, 2, 3, 4))


async def test_a_killed_broker_is_found_again(broker: Broker) -> None:
    async with listening(broker) as (heard, _):
        broker.stop(kill=True)
        await heard.until(lambda: heard.links == [True, False])
        broker.start()
        await heard.until(lambda: heard.links == [True, False, True])
        async with broker.client("BUS7") as bus:
            await bus.publish(topic_of(DEPOT, BUS), payload(25, 25, 25, 25), qos=1)
            await heard.until(lambda: bool(heard.samples))


async def test_what_came_while_the_core_was_away_comes_late(broker: Broker) -> None:
    async with listening(broker):
        pass
    async with broker.client("BUS7") as bus:
        await bus.publish(topic_of(DEPOT, BUS), payload(25, 25, 25, 25, alarms=["smoke_or_gas"]), qos=1)
    async with listening(broker) as (heard, _):
        await heard.until(lambda: bool(heard.samples))
    assert heard.samples[0].alarms == ("smoke_or_gas",)


async def test_a_subscription_that_the_broker_forgot_is_noticed(broker: Broker) -> None:
    settings = MqttSettings(port=broker.port, username="core", password=broker.keys["core"])
    async with listening(broker, echo_s=0.3) as (heard, _):
        # a second one with our id takes the session over and unsubscribes everything
        async with aiomqtt.Client(
            "127.0.0.1",
            broker.port,
            username="core",
            password=broker.keys["core"],
            identifier=settings.client_id(DEPOT),
            clean_session=True,
        ):
            pass
        await heard.until(lambda: heard.links[:3] == [True, False, True])
        async with broker.client("BUS7") as bus:
            await bus.publish(topic_of(DEPOT, BUS), payload(25, 25, 25, 25), qos=1)
            await heard.until(lambda: bool(heard.samples))


async def test_a_new_vehicle_needs_no_restart(broker: Broker) -> None:
    known = Accounts.load(broker.accounts)
    broker.keys["BUS9"], account = new_account("BUS9", Kind.VEHICLE, ["P1"])
    Accounts(DEPOT, [*known.accounts.values(), account]).save(broker.accounts)
    async with broker.client("BUS9", timeout=5) as bus:
        await bus.publish(topic_of(DEPOT, PackKey("BUS9", "P1")), payload(25), qos=1)


@pytest.mark.parametrize("said", [b"", b"\x10", b"\x10\xff\xff\xff\x7f", b"\x10\x30\x00\x04MQTT"], ids=["nothing", "type", "huge", "part"])
async def test_who_never_says_who_it_is_is_cut_off_and_others_are_served(broker: Broker, said: bytes) -> None:
    async with serving(broker.accounts, handshake_s=0.5) as port:
        broker.stop()
        broker.port = port
        async with broker.client("BUS7") as bus:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(20):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()
            await bus.publish(topic_of(DEPOT, BUS), payload(25), qos=1)


async def test_the_broker_ends_at_a_signal_with_clients_connected(broker: Broker) -> None:
    async with listening(broker) as (heard, _):
        assert await asyncio.to_thread(broker.stop) == 0
        await heard.until(lambda: heard.links[-1] is False)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--host", "0.0.0.0"], 2),
        (["--tls-cert", "x"], 2),
        (["--accounts", "nowhere.json"], 2),
    ],
)
def test_wrong_usage(broker: Broker, words: list[str], code: int) -> None:
    command = [sys.executable, "-m", "bms_bridge.broker", "--accounts", str(broker.accounts), "--port", "0", *words]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode == code


def test_a_port_that_is_taken(broker: Broker) -> None:
    command = [sys.executable, "-m", "bms_bridge.broker", "--accounts", str(broker.accounts), "--port", str(broker.port)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode == 3
