"""Hostile clients at the real broker: what they may not do, and that everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bms_bridge import door
from bms_bridge.accounts import Account, Accounts, Kind, new_account
from bms_bridge.broker import serving
from bms_bridge.contract import PackSample, Rejection, topic_of
from bms_bridge.door import Hello, Unwelcome, checked, hello_of
from bms_bridge.edge import uplink as edge
from bms_bridge.edge.recorder import Habits, Recorder
from bms_bridge.edge.store import Store
from bms_bridge.edge.wire import Reading
from bms_bridge.gate import MOST_KEPT, AccountBook, Newest
from bms_bridge.mqtt import MqttSettings, TelemetryLink
from controller.clock import SystemClock
from depot.values import PackKey

pytestmark = pytest.mark.anyio

DEPOT = "pune-1"
BUS, OTHER = PackKey("BUS7", "P1"), PackKey("BUS8", "P1")
SAMPLE = b'{"schema":"pack_telemetry/1","reported_at":"2026-11-20T19:42:12Z","temperatures_c":[25,26,27,28]}'


@dataclass
class Site:
    """A broker, and who may come."""

    port: int
    keys: dict[str, str]
    samples: list[PackSample]
    heard: asyncio.Event
    link: TelemetryLink | None = None
    rejected: list[Rejection] = field(default_factory=list)

    async def until_heard(self, pack: PackKey) -> None:
        async with asyncio.timeout(20):
            while not any(sample.pack == pack for sample in self.samples):
                self.heard.clear()
                await self.heard.wait()

    async def until_rejected(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.rejected) < count:
                self.heard.clear()
                await self.heard.wait()

    def client(self, name: str, **more: object) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.port, username=name, password=self.keys[name], timeout=10, **more)  # type: ignore[arg-type]

    async def others_are_served(self) -> None:
        """Another vehicle's sample still comes through."""
        self.samples.clear()
        async with self.client("BUS8", identifier="BUS8") as bus:
            await bus.publish(topic_of(DEPOT, OTHER), SAMPLE, qos=1)
            await self.until_heard(OTHER)


@pytest.fixture
def accounts(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    keys: dict[str, str] = {}
    made: list[Account] = []
    for name, kind, packs in (("core", Kind.CORE, ()), ("BUS7", Kind.VEHICLE, ("P1",)), ("BUS8", Kind.VEHICLE, ("P1",))):
        keys[name], account = new_account(name, kind, packs)
        made.append(account)
    Accounts(DEPOT, made).save(tmp_path / "accounts")
    return tmp_path / "accounts", keys


@asynccontextmanager
async def listening(site: Site, settings: MqttSettings) -> AsyncIterator[None]:
    up = asyncio.Event()

    def sample(what: PackSample) -> None:
        site.samples.append(what)
        site.heard.set()

    def refused(what: Rejection) -> None:
        site.rejected.append(what)
        site.heard.set()

    site.link = TelemetryLink(
        settings,
        depot_id=DEPOT,
        clock=SystemClock(),
        known=lambda pack: True,
        on_sample=sample,
        on_rejected=refused,
        on_link=lambda is_up, reason: up.set() if is_up else None,
    )
    task = asyncio.create_task(site.link.run())
    try:
        async with asyncio.timeout(20):
            await up.wait()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def site(accounts: tuple[Path, dict[str, str]]) -> AsyncIterator[Site]:
    path, keys = accounts
    async with serving(path) as port:
        found = Site(port, keys, [], asyncio.Event())
        async with listening(found, MqttSettings(port=port, username="core", password=keys["core"])):
            yield found


class Raw:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Raw]:
        raw = cls(*await asyncio.open_connection("127.0.0.1", port))
        try:
            yield raw
        finally:
            raw.writer.close()

    async def hello(self, site: Site, name: str, client_id: str, *, clean: bool = True) -> bytes:
        """CONNECT; the answer."""
        self.writer.write(Hello(client_id, clean, 0, name, site.keys[name].encode()).packet())
        return await self.read(4)

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(15):
            return await self.reader.readexactly(size)

    async def is_cut_off(self) -> bool:
        async with asyncio.timeout(15):
            with contextlib.suppress(ConnectionError):
                await self.reader.read(-1)
            return True


def packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + door._length(len(body)) + body


def publish(topic: str, payload: bytes = SAMPLE, *, first: int = 0x32) -> bytes:
    return packet(first, door._text(topic) + (b"\0\1" if first & 6 else b"") + payload)


@pytest.mark.parametrize("clean", [True, False])
async def test_another_account_s_client_id_ends_nobody_s_session(site: Site, clean: bool) -> None:
    assert site.link is not None
    async with site.client("BUS8", identifier="unit") as victim, Raw.to(site.port) as thief:
        for client_id in ("unit", "BUS8/unit", site.link.settings.client_id(DEPOT)):
            async with Raw.to(site.port) as thief:
                assert (await thief.hello(site, "BUS7", client_id, clean=clean))[3] == 0
                thief.writer.write(packet(0x82, b"\0\1" + door._text("chargeyard/#") + b"\1"))
                assert await thief.read(5) == b"\x90\x03\0\1\x80"
        await victim.publish(topic_of(DEPOT, OTHER), SAMPLE, qos=1)
        await site.until_heard(OTHER)


async def test_a_stranger_with_a_known_client_id_and_a_wrong_key_ends_nobody_s_session(site: Site) -> None:
    async with site.client("BUS8", identifier="unit") as victim:
        async with Raw.to(site.port) as thief:
            thief.writer.write(Hello("unit", True, 0, "BUS8", b"wrong").packet())
            assert await thief.read(4) == b"\x20\x02\x00\x05"
            assert await thief.is_cut_off()
        await victim.publish(topic_of(DEPOT, OTHER), SAMPLE, qos=1)
        await site.until_heard(OTHER)


@pytest.mark.parametrize(
    "filter_", ["#", "+/#", "$SYS/#", "chargeyard/v1/pune-1/vehicles/+/packs/+/telemetry", "chargeyard/v1/pune-1/core/#"]
)
async def test_a_vehicle_subscribes_to_nothing(site: Site, filter_: str) -> None:
    async with Raw.to(site.port) as bus:
        await bus.hello(site, "BUS7", "x")
        bus.writer.write(packet(0x82, b"\0\7" + door._text(filter_) + b"\1"))
        assert await bus.read(5) == b"\x90\x03\0\7\x80"
        await site.others_are_served()
        bus.writer.write(b"\xc0\0")
        assert await bus.read(2) == b"\xd0\0"  # nothing came before the answer to the ping


@pytest.mark.parametrize("leave", [b"", b"\xe0\0"], ids=["gone", "DISCONNECT"])
async def test_what_was_confirmed_comes_through_though_the_client_leaves_at_once(site: Site, leave: bytes) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            bus = await stack.enter_async_context(Raw.to(site.port))
            await bus.hello(site, "BUS7", "x")
            bus.writer.write(b"".join(publish(topic_of(DEPOT, BUS), b"%d" % number) for number in range(12)))
            assert await bus.read(48) == b"\x40\x02\0\1" * 12
            bus.writer.write(leave)
            bus.writer.close()
            await bus.writer.wait_closed()
    await site.until_rejected(36)


async def test_what_is_retained_for_one_reaches_no_other(site: Site) -> None:
    async with Raw.to(site.port) as bus:
        await bus.hello(site, "BUS8", "x")
        bus.writer.write(publish(topic_of(DEPOT, OTHER), first=0x33))
        assert await bus.read(4) == b"\x40\x02\0\1"
        await site.until_heard(OTHER)
    async with Raw.to(site.port) as thief:
        await thief.hello(site, "BUS7", "y")
        thief.writer.write(b"\xc0\0")
        assert await thief.read(2) == b"\xd0\0"


async def test_a_last_will_is_said_only_where_it_may_be_and_is_not_retained(site: Site) -> None:
    async with Raw.to(site.port) as bus:
        will = (topic_of(DEPOT, OTHER), SAMPLE, 1)
        bus.writer.write(Hello("x", True, 0, "BUS7", site.keys["BUS7"].encode(), will).packet())
        assert await bus.read(4) == b"\x20\x02\x00\x05"
    async with Raw.to(site.port) as bus:
        hello = bytearray(Hello("x", True, 0, "BUS7", site.keys["BUS7"].encode(), (topic_of(DEPOT, BUS), SAMPLE, 1)).packet())
        hello[hello.index(b"MQTT\x04") + 5] |= 0x20  # retain it
        bus.writer.write(hello)
        assert await bus.read(4) == b"\x20\x02\x00\x00"
        bus.writer.transport.abort()
    await site.until_heard(BUS)
    async with listening(site, MqttSettings(port=site.port, username="core", password=site.keys["core"])):
        await site.others_are_served()
    assert not any(sample.pack == BUS for sample in site.samples)


@pytest.mark.parametrize(
    "said",
    [
        b"\x32\xff\xff\xff\x7f",
        packet(0x32, bytes(door.MOST_PACKET + 1)),
        publish(topic_of(DEPOT, BUS), first=0x34),
        publish(topic_of(DEPOT, BUS), first=0x38),
        publish(""),
        publish("$SYS/broker"),
        publish("chargeyard/+/x"),
        packet(0x32, b"\xff\xff" + b"topic that is longer than the packet"),
        packet(0x32, b"\0\2\xff\xfe" + b"\0\1" + SAMPLE),
        packet(0x32, door._text(topic_of(DEPOT, BUS)) + b"\0\0" + SAMPLE),
        packet(0x82, b"\0\1"),
        packet(0x82, b"\0\1" + door._text("x") + b"\3"),
        packet(0x82, b"\0\1\0\x20x"),
        packet(0xA2, b"\0\0" + door._text("x")),
        packet(0x40, b"\0\1\2"),
        packet(0xC0, b"more"),
        packet(0xE0, b"\x32\x02"),
        packet(0x20, b"\0\0"),
        packet(0xF0, b""),
        Hello("x", True, 0, "core", b"guess").packet(),
    ],
    ids=lambda said: f"{said[0]:02x} {len(said)}",
)
async def test_packets_that_no_client_may_send_end_the_connection_and_nothing_else(site: Site, said: bytes) -> None:
    async with Raw.to(site.port) as bus:
        assert await bus.hello(site, "BUS7", "x") == b"\x20\x02\0\0"
        bus.writer.write(said)
        assert await bus.is_cut_off()
    await site.others_are_served()


async def test_a_flood_waits_in_the_sender_and_others_are_served(site: Site) -> None:
    async with Raw.to(site.port) as bus:
        await bus.hello(site, "BUS7", "x")
        one = publish(topic_of(DEPOT, BUS), b"x" * 16_000, first=0x30)

        async def flood() -> None:
            while True:
                bus.writer.write(one)
                await bus.writer.drain()

        flooding = asyncio.create_task(flood())
        await site.until_rejected(50)
        await site.others_are_served()
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


class Unread:
    """A socket whose other side reads nothing."""

    transport: Unread

    def __init__(self) -> None:
        self.transport = self

    def get_write_buffer_size(self) -> int:
        return door.UNREAD_BYTES + 1

    async def drain(self) -> None:
        await asyncio.Event().wait()


async def test_who_reads_no_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch, accounts: tuple[Path, dict[str, str]]) -> None:
    monkeypatch.setattr(door, "UNREAD_S", 0.05)
    reader = asyncio.StreamReader()
    reader.feed_data(publish(topic_of(DEPOT, BUS)))
    own = door.Door(AccountBook(accounts[0]), waiting=lambda: 0, handshake_s=1)
    visitor = door.Visitor(own, Hello("x", True, 0, "BUS7", b"key"), reader, Unread(), limited=True)  # type: ignore[arg-type]  # in its place
    async with asyncio.timeout(10):
        while await visitor.read(1):
            pass
    assert visitor.ahead == 0


async def test_a_fifth_connection_of_an_account_pushes_out_the_first(site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        raws = [await stack.enter_async_context(Raw.to(site.port)) for _ in range(5)]
        for number, raw in enumerate(raws):
            assert (await raw.hello(site, "BUS7", f"x{number}"))[3] == 0
        assert await raws[0].is_cut_off()
        raws[4].writer.write(b"\xc0\0")
        assert await raws[4].read(2) == b"\xd0\0"


async def test_who_says_nothing_for_longer_than_it_said_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Raw.to(site.port) as bus:
        bus.writer.write(Hello("x", True, 0, "BUS7", site.keys["BUS7"].encode()).packet().replace(b"\x04\xc2\0\0", b"\x04\xc2\0\1"))
        assert await bus.read(4) == b"\x20\x02\0\0"
        assert await bus.is_cut_off()


async def test_strangers_push_out_strangers_not_us(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_STRANGERS", 20)
    async with contextlib.AsyncExitStack() as stack:
        strangers = [await stack.enter_async_context(Raw.to(site.port)) for _ in range(60)]
        await site.others_are_served()
        assert await strangers[0].is_cut_off()


async def test_a_vehicle_that_lost_its_account_is_heard_no_longer(site: Site, accounts: tuple[Path, dict[str, str]]) -> None:
    async with site.client("BUS7", identifier="x") as bus:
        await bus.publish(topic_of(DEPOT, BUS), SAMPLE, qos=1)
        await site.until_heard(BUS)
        known = Accounts.load(accounts[0])
        Accounts(DEPOT, [account for name, account in known.accounts.items() if name != "BUS7"]).save(accounts[0])
        await site.others_are_served()  # a new connection: the file is looked at
        await bus.publish(topic_of(DEPOT, BUS), SAMPLE, qos=1)
        await site.others_are_served()
    assert not any(sample.pack == BUS for sample in site.samples)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", None),
        (door._text("MQIsdp") + bytes((3, 0xC2, 0, 0)), door.BAD_VERSION),
        (door._text("MQTT") + bytes((5, 0xC2, 0, 0)), door.BAD_VERSION),
        (door._text("MQTT") + bytes((4, 0xC3, 0, 0)), None),
        (door._text("MQTT") + bytes((4, 0x02, 0, 0)) + door._text("x"), door.NOT_AUTHORIZED),
        (door._text("MQTT") + bytes((4, 0xE2, 0, 0)) + door._text("x"), None),
        (door._text("MQTT") + bytes((4, 0xD6, 0, 0)) + door._text("x") * 5, None),
        (door._text("MQTT") + bytes((4, 0xC0, 0, 0)) + door._text("") + door._text("u") * 2, door.BAD_ID),
        (door._text("MQTT") + bytes((4, 0xC2, 0, 0)) + door._text("i" * 129) + door._text("u") * 2, door.BAD_ID),
        (door._text("MQTT") + bytes((4, 0xC2, 0, 0)) + door._text("a\0b") + door._text("u") * 2, None),
        (door._text("MQTT") + bytes((4, 0xC2, 0, 0)) + door._text("x") + door._text("u") * 3, None),
    ],
)
def test_a_connect_that_cannot_be(body: bytes, code: int | None) -> None:
    with pytest.raises(Unwelcome) as refused:
        hello_of(body)
    assert refused.value.code == code


def test_a_connect_comes_out_as_it_went_in() -> None:
    hello = Hello("x", False, 0, "BUS7", b"key", ("topic", b"gone", 1))
    whole = hello.packet()
    assert hello_of(whole[2:]) == hello
    checked(14, 0, b"")


async def test_for_who_is_away_the_newest_are_kept() -> None:
    @dataclass
    class Kept:
        data: bytes

    queue = Newest()
    for number in range(MOST_KEPT + 10):
        await queue.put(Kept(b"%d" % number))
    assert (queue.qsize(), queue.get_nowait().data) == (MOST_KEPT, b"10")
    for _ in range(MOST_KEPT):
        await queue.put(Kept(bytes(32_768)))
    assert queue.qsize() == 1024


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own for ``name``, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return cert_file, key_file


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path, Path]:
    ours, key = certificate(tmp_path, "localhost")
    other, _ = certificate(tmp_path, "elsewhere")
    return ours, key, other


async def test_over_tls_a_unit_and_the_core_meet_and_another_s_certificate_is_not_believed(
    accounts: tuple[Path, dict[str, str]], certificates: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    path, keys = accounts
    ours, key, other = certificates
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ours, key)
    async with serving(path, tls=context) as port:
        found = Site(port, keys, [], asyncio.Event())
        settings = MqttSettings(port=port, username="core", password=keys["core"], tls=True, pinned=ours)
        async with listening(found, settings):  # by an address that is not in the certificate: it is pinned
            with Store(tmp_path / "store", durable=False) as store:
                broker = edge.Broker(
                    host="localhost", port=port, username="BUS7", key=keys["BUS7"], topic=topic_of(DEPOT, BUS), tls=True, ca_file=ours
                )
                uplink = edge.Uplink(broker, store)
                now_ms = int(datetime.now(UTC).timestamp() * 1000)
                uplink.put(Recorder(Habits(boot=store.boot)).put(Reading(at_ms=now_ms, temperatures_c=(25.0, 25.5, 26.0, 26.5))))
                sending = asyncio.create_task(uplink.run())
                await found.until_heard(BUS)
                async with asyncio.timeout(10):
                    await uplink.emptied()
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                assert len(store) == 0
        wrong = MqttSettings(port=port, username="core", password=keys["core"], tls=True, pinned=other)
        context = wrong.context()
        assert context is not None
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=context)
        with pytest.raises((ssl.SSLError, OSError)):
            MqttSettings(tls=True, pinned=key).context()


async def test_what_a_unit_kept_while_the_broker_was_away_comes_as_history_and_once(
    accounts: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    path, keys = accounts
    async with serving(path) as port:
        pass
    recorder = Recorder(Habits(boot=1, batch_s=0.0))
    with Store(tmp_path / "store", durable=False) as store:
        now = [0.0]
        broker = edge.Broker(host="127.0.0.1", port=port, username="BUS7", key=keys["BUS7"], topic=topic_of(DEPOT, BUS))
        uplink = edge.Uplink(broker, store, monotonic=lambda: now[0])
        now_ms = int(datetime.now(UTC).timestamp() * 1000) - 40_000
        for k in range(30):
            uplink.put(recorder.put(Reading(at_ms=now_ms + k * 1000, temperatures_c=(25.0 + k / 3, 25.5, 26.0, 26.5), soc=0.5)))
            now[0] += 1.0
        waiting = [store.get(number) for number in store.waiting(99)]
        async with serving(path, port=port):
            found = Site(port, keys, [], asyncio.Event())
            async with listening(found, MqttSettings(port=port, username="core", password=keys["core"])):
                sending = asyncio.create_task(uplink.run())
                async with asyncio.timeout(30):
                    await uplink.emptied()
                    while len(found.samples) < 30:
                        found.heard.clear()
                        await found.heard.wait()
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
                    assert found.link is not None
                    async with found.client("BUS7", identifier="again") as bus:  # a kill before the note was written
                        for data in waiting:
                            await bus.publish(topic_of(DEPOT, BUS), data, qos=1)
                        while found.link.repeated < 30:
                            found.heard.clear()
                            await found.heard.wait()
    times = [sample.reported_at for sample in found.samples if not sample.retained]
    assert sum(sample.retained for sample in found.samples[:30]) == 10  # what had waited for more than 20 s
    assert len(set(times)) == len(times)
    assert all(sample.retained for sample in found.samples[30:])
