"""Another maker's broker in the place of ours: mosquitto, with the settings that docs/telemetry.md names, over real sockets.

What is not on this machine is skipped, and the reason says why (apt install mosquitto).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import pytest
import toolbox

from bms_bridge.contract import PackSample, topic_of
from bms_bridge.edge.recorder import Habits, Recorder
from bms_bridge.edge.store import Store
from bms_bridge.edge.uplink import Broker as Address
from bms_bridge.edge.uplink import Uplink
from bms_bridge.edge.wire import Reading
from bms_bridge.mqtt import MqttSettings, TelemetryLink
from controller.clock import SystemClock
from depot.values import PackKey

pytestmark = pytest.mark.anyio

DEPOT = "pune-1"
BUS, OTHER = PackKey("BUS7", "P1"), PackKey("BUS8", "P1")
KEYS = {"core": "core-key", "BUS7": "key-7", "BUS8": "key-8"}
_COMMON = f"""user core
topic read chargeyard/v1/{DEPOT}/vehicles/#
topic readwrite chargeyard/v1/{DEPOT}/core/#

pattern write chargeyard/v1/{DEPOT}/vehicles/%u/packs/+/telemetry
"""


@dataclass
class Mosquitto:
    """A mosquitto process with a folder of its own."""

    folder: Path
    program: str
    port: int = 0
    tls: tuple[Path, Path] | None = None
    process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        (self.folder / "acl").write_text(_COMMON)
        for name, key in KEYS.items():
            make = ["-c"] if name == "core" else []
            subprocess.run(["mosquitto_passwd", *make, "-b", self.folder / "passwords", name, key], check=True, capture_output=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        lines = [
            f"listener {self.port} 127.0.0.1",
            *([f"certfile {self.tls[0]}", f"keyfile {self.tls[1]}"] if self.tls else []),
            "allow_anonymous false",
            f"password_file {self.folder}/passwords",
            f"acl_file {self.folder}/acl",
            "max_packet_size 32768",
            "max_qos 1",
            "retain_available false",
            "persistence true",
            f"persistence_location {self.folder}/",
            "log_dest stderr",
            *(["user root"] if os.geteuid() == 0 else []),
        ]
        (self.folder / "conf").write_text("\n".join(lines) + "\n")

    async def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self.program, "-c", self.folder / "conf"], stderr=log, stdout=log)  # noqa: ASYNC220  # waited for below
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                assert self.process.poll() is None, (self.folder / "log").read_text()
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    def client(self, name: str) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.port, username=name, password=KEYS[name], identifier=f"test-{name}", timeout=10)


@pytest.fixture
def program() -> str:
    try:
        toolbox.need("mosquitto_passwd", "mosquitto")
        return toolbox.need("mosquitto", "mosquitto")
    except toolbox.Missing as error:
        pytest.skip(f"no interop client: {error}")


@pytest.fixture
def mosquitto(tmp_path: Path, program: str) -> Iterator[Mosquitto]:
    found = Mosquitto(tmp_path, program)
    found.prepare()
    yield found
    found.stop()


@dataclass
class Heard:
    samples: list[PackSample] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ups: list[bool] = field(default_factory=list)
    link: TelemetryLink | None = None

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def listening(settings: MqttSettings) -> AsyncIterator[Heard]:
    heard = Heard()

    def sample(what: PackSample) -> None:
        heard.samples.append(what)
        heard.changed.set()

    def linked(up: bool, reason: str) -> None:
        heard.ups.append(up)
        heard.changed.set()

    heard.link = TelemetryLink(
        settings,
        depot_id=DEPOT,
        clock=SystemClock(),
        known=lambda pack: True,
        on_sample=sample,
        on_rejected=lambda rejection: None,
        on_link=linked,
    )
    task = asyncio.create_task(heard.link.run())
    try:
        await heard.until(lambda: heard.ups[-1:] == [True])
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def settings_of(mosquitto: Mosquitto) -> MqttSettings:
    return MqttSettings(port=mosquitto.port, username="core", password=KEYS["core"])


def readings(count: int) -> list[Reading]:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    return [Reading(at_ms=now_ms + k * 1000, temperatures_c=(25.0 + k / 3, 25.5, 26.0, 26.5), soc=0.5) for k in range(count)]


SAMPLE = b'{"schema":"pack_telemetry/2","reported_at":"2026-11-20T19:42:12Z","temperatures_c":[25,26,27,28],"boot":1,"sequence":%d}'


async def test_samples_come_through_and_a_vehicle_speaks_only_for_itself(mosquitto: Mosquitto) -> None:
    await mosquitto.start()
    async with listening(settings_of(mosquitto)) as heard, mosquitto.client("BUS7") as bus:
        await bus.publish(topic_of(DEPOT, OTHER), SAMPLE % 1, qos=1)
        await bus.publish(topic_of(DEPOT, BUS), SAMPLE % 2, qos=1)
        for packet in Recorder(Habits(boot=2)).put(readings(1)[0]):
            await bus.publish(topic_of(DEPOT, BUS), packet.data, qos=1)
        await heard.until(lambda: len(heard.samples) == 2)
    assert {sample.pack for sample in heard.samples} == {BUS}
    assert [sample.temperatures_c[0] for sample in heard.samples] == [25.0, 25.0]


async def test_what_came_while_the_core_was_away_survives_a_restart_of_the_broker(mosquitto: Mosquitto) -> None:
    await mosquitto.start()
    async with listening(settings_of(mosquitto)):
        pass
    async with mosquitto.client("BUS7") as bus:
        for number in range(20):
            await bus.publish(topic_of(DEPOT, BUS), SAMPLE % number, qos=1)
    mosquitto.stop()
    await mosquitto.start()
    kept: list[PackSample] = []
    async with listening(settings_of(mosquitto)) as heard:
        assert heard.link is not None
        await heard.until(lambda: heard.link is not None and heard.link.received == 20 and bool(heard.samples))
        kept += heard.samples
    assert kept[-1].sequence == 1 << 31 | 19


async def test_a_unit_and_the_core_find_the_broker_again_and_nothing_is_lost_or_doubled(mosquitto: Mosquitto, tmp_path: Path) -> None:
    await mosquitto.start()
    address = Address(host="127.0.0.1", port=mosquitto.port, username="BUS7", key=KEYS["BUS7"], topic=topic_of(DEPOT, BUS))
    recorder = Recorder(Habits(boot=5, batch_s=0.0))
    series = readings(30)
    new: list[int] = []
    async with listening(settings_of(mosquitto)) as heard:
        link = heard.link
        assert link is not None
        link._on_kept = lambda kept: new.extend(sample.sequence or 0 for sample in kept.samples)
        with Store(tmp_path / "store", durable=False) as store:
            uplink = Uplink(address, store)
            sending = asyncio.create_task(uplink.run())
            for reading in series[:10]:
                uplink.put(recorder.put(reading))
            await heard.until(lambda: len(new) == 10)
            mosquitto.stop()
            await heard.until(lambda: heard.ups[-1] is False)
            for reading in series[10:20]:
                uplink.put(recorder.put(reading))
            assert len(store) >= 10
            await mosquitto.start()
            for reading in series[20:]:
                uplink.put(recorder.put(reading))
            await heard.until(lambda: len(new) == 30)
            async with asyncio.timeout(20):
                await uplink.emptied()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    assert sorted(number & (2**31 - 1) for number in new) == list(range(30))
    assert {number >> 31 for number in new} == {5}


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of its own for localhost, and its key."""
    made = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=broker -addext subjectAltName=DNS:localhost"
    )
    try:
        toolbox.carry_out(toolbox.need("openssl", "openssl"), *words.split(), "-out", made[0], "-keyout", made[1])
    except toolbox.Missing as error:
        pytest.skip(f"no interop client: {error}")
    return made


async def test_over_tls_its_name_and_authority_are_checked(tmp_path: Path, program: str, certificate: tuple[Path, Path]) -> None:
    broker = Mosquitto(tmp_path, program, tls=certificate)
    broker.prepare()
    try:
        await broker.start()
        good = MqttSettings(host="localhost", port=broker.port, username="core", password=KEYS["core"], tls=True, ca_file=certificate[0])
        async with listening(good) as heard:
            assert heard.ups == [True]
        for host, ca_file in (("127.0.0.1", certificate[0]), ("localhost", None)):
            context = MqttSettings(tls=True, ca_file=ca_file).context()
            with pytest.raises(OSError, match=r"(?i)certificate"):
                await asyncio.open_connection(host, broker.port, ssl=context, server_hostname=host)
    finally:
        broker.stop()
