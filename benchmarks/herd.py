"""A thousand stations in one process at next to no cost a frame: plain sockets, hand-made WebSocket frames, OCPP 1.6J.

    herd = Herd(["CP-0001", …], port=…, keys=…)     one connector each
    await herd.connect(within_s=…)                   handshakes, boots, statuses; the times in .handshake_s, .boot_s, .in_s
    await herd.start_all()                           a transaction at each
    herd.meter_values(station, done)                 three sampled values; done(seconds) once it is answered

Where the controller is measured on the same small machine, its counterpart must not be what takes the time: frames are
masked with zeros (RFC 6455 allows any mask), answers are recognised by their message id, and only what the controller asks
is read as JSON. A station takes every profile, draws its live level (or its default) at once and never fills.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import ssl
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Done = Callable[[float], None]
"""Told how many seconds a call took to be answered."""

MASK = b"\0\0\0\0"
GRACE_S = 60.0
CONFIGURATION = {
    "ChargingScheduleAllowedChargingRateUnit": "Power",
    "ChargeProfileMaxStackLevel": "10",
    "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger",
    "ChargingScheduleMaxPeriods": "24",
    "MaxChargingProfilesInstalled": "10",
    "MeterValueSampleInterval": "60",
    "MeterValuesSampledData": "Power.Active.Import,Energy.Active.Import.Register,SoC",
    "LocalAuthorizeOffline": "false",
    "LocalPreAuthorize": "false",
    "AllowOfflineTxForUnknownId": "false",
    "AuthorizeRemoteTxRequests": "false",
    "StopTransactionOnInvalidId": "true",
}


def text_frame(text: str) -> bytes:
    """A client's text frame."""
    data = text.encode()
    size = len(data)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + MASK + data
    head = struct.pack("!BBH", 0x81, 0x80 | 126, size) if size < 65536 else struct.pack("!BBQ", 0x81, 0x80 | 127, size)
    return head + MASK + data


def stamp() -> str:
    """Now, as stations write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class HerdStation(asyncio.Protocol):
    """One station. ``closed``: the connection is gone; ``close_code``: with what, None where the socket just ended.
    :mod:`benchmarks.herd2x` has those of 2.x."""

    SUBPROTOCOL = "ocpp1.6"
    BOOT = '{"chargePointVendor":"Plain","chargePointModel":"Herd"}'

    __slots__ = (
        "_buffer", "_handshake", "_key", "_next", "_open", "_waiting", "asked", "booted", "close_code", "close_reason", "closed",
        "default_told", "default_w", "energy_wh",
        "herd", "level_w", "live_until", "station_id", "transaction_id", "transport",
    )  # fmt: skip

    def __init__(self, herd: Herd, station_id: str, key: str) -> None:
        self.herd = herd
        self.station_id = station_id
        self._key = key
        self._next = 0
        self.transaction_id: int | str | None = None
        self.level_w = 0.0
        self.live_until = -math.inf
        self.default_w = herd.rated_w
        self.default_told = False
        self.energy_wh = 1000.0
        self.asked = 0
        self.booted = False
        self._reset()

    def _reset(self) -> None:
        self._buffer = bytearray()
        self._open = False
        self._handshake: asyncio.Future[None] = self.herd.loop.create_future()
        self._waiting: dict[bytes, tuple[float, Callable[[float, bytes], None]]] = {}
        self.closed = False
        self.close_code: int | None = None
        self.close_reason = ""
        self.transport: asyncio.Transport | None = None

    async def connect(self) -> float:
        """Open the connection; how many seconds it took until the upgrade was answered."""
        self._reset()
        began = time.monotonic()
        await self.herd.dial(self)
        token = base64.b64encode(f"{self.station_id}:{self._key}".encode()).decode()
        request = (
            f"GET /ocpp/{self.station_id} HTTP/1.1\r\nHost: depot\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {self.SUBPROTOCOL}\r\n"
            f"Authorization: Basic {token}\r\n\r\n"
        )
        assert self.transport is not None
        self.transport.write(request.encode())
        await asyncio.wait_for(self._handshake, GRACE_S)
        return time.monotonic() - began

    def cut(self) -> None:
        """Lose the connection, without a word."""
        if self.transport is not None:
            self.transport.abort()

    # -- what it says -------------------------------------------------------------------------------------------

    def call(self, action: str, payload: str, done: Callable[[float, bytes], None], *, since: float | None = None) -> None:
        """Send a CALL; ``payload`` is JSON. ``since``: when it should have left, if that was earlier."""
        self._next += 1
        number = f"{self._next}"
        self._waiting[number.encode()] = (time.monotonic() if since is None else since, done)
        self.send(f'[2,"{number}","{action}",{payload}]')

    def send(self, text: str) -> None:
        if self.transport is not None and not self.closed:
            self.transport.write(text_frame(text))

    @property
    def power_w(self) -> int:
        """What it draws."""
        if self.transaction_id is None:
            return 0
        allowed_w = self.level_w if time.time() < self.live_until else self.default_w
        return int(min(self.herd.most_w, allowed_w)) if allowed_w >= self.herd.min_w else 0

    @property
    def unanswered(self) -> int:
        return len(self._waiting)

    def meter_values(self, done: Callable[[float, bytes], None], *, since: float | None = None) -> None:
        """Power, register and charge."""
        power_w = self.power_w
        self.energy_wh += power_w / 3600
        self.call(
            "MeterValues",
            f'{{"connectorId":1,"transactionId":{self.transaction_id or 0},"meterValue":[{{"timestamp":"{stamp()}","sampledValue":['
            f'{{"value":"{power_w}","measurand":"Power.Active.Import","unit":"W"}},'
            f'{{"value":"{self.energy_wh:.1f}","measurand":"Energy.Active.Import.Register","unit":"Wh"}},'
            '{"value":"41","measurand":"SoC","unit":"Percent","location":"EV"}]}]}',
            done,
            since=since,
        )

    def begin(self, tag: str, begun: Callable[[], None]) -> None:
        """Start a transaction; told when it has its number."""

        def answered(_seconds: float, body: bytes) -> None:
            self.transaction_id = json.loads(body)[2]["transactionId"]
            self.status("Charging")
            begun()

        begin = f'{{"connectorId":1,"idTag":"{tag}","meterStart":{round(self.energy_wh)},"timestamp":"{stamp()}"}}'
        self.call("StartTransaction", begin, answered)

    def heartbeat(self, done: Callable[[float, bytes], None], *, since: float | None = None) -> None:
        self.call("Heartbeat", "{}", done, since=since)

    def status(self, word: str) -> None:
        self.call("StatusNotification", f'{{"connectorId":1,"errorCode":"NoError","status":"{word}"}}', _nothing)

    # -- what it is told ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._waiting.clear()
        if not self._handshake.done():
            self._handshake.set_exception(ConnectionError(f"{self.station_id}: the connection ended in its handshake"))
        self.herd.lost(self)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._open and not self._upgraded():
            return
        place, size = 0, len(buffer)
        while size - place >= 2:
            opcode, length = buffer[place] & 0x0F, buffer[place + 1] & 0x7F
            head = 2
            if length == 126:
                if size - place < 4:
                    break
                length, head = int.from_bytes(buffer[place + 2 : place + 4], "big"), 4
            elif length == 127:
                if size - place < 10:
                    break
                length, head = int.from_bytes(buffer[place + 2 : place + 10], "big"), 10
            if size - place < head + length:
                break
            body = bytes(buffer[place + head : place + head + length])
            place += head + length
            self._frame(opcode, body)
        del buffer[:place]

    def _upgraded(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        first = bytes(self._buffer[: self._buffer.find(b"\r\n")])
        if b" 101 " not in first:
            if not self._handshake.done():
                self._handshake.set_exception(ConnectionError(f"{self.station_id}: {first.decode(errors='replace')}"))
            return False
        del self._buffer[: end + 4]
        self._open = True
        if not self._handshake.done():
            self._handshake.set_result(None)
        return True

    def _frame(self, opcode: int, body: bytes) -> None:
        if opcode == 1:
            if body[1:2] == b"2":
                self._asked(json.loads(body))
            else:
                message_id = body[4 : body.index(b'"', 4)]
                waiting = self._waiting.pop(message_id, None)
                if waiting is not None:
                    waiting[1](time.monotonic() - waiting[0], body)
        elif opcode == 9 and self.transport is not None:
            self.transport.write(bytes((0x8A, 0x80 | len(body))) + MASK + body)
        elif opcode == 8:
            self.close_code = int.from_bytes(body[:2], "big") if len(body) >= 2 else 1005
            self.close_reason = body[2:].decode(errors="replace")
            if self.transport is not None:
                self.transport.close()

    def _asked(self, frame: list[Any]) -> None:
        self.asked += 1
        _, message_id, action, payload = frame
        answer: dict[str, Any] = {"status": "Accepted"}
        if action == "GetConfiguration":
            answer = {"configurationKey": [{"key": k, "readonly": False, "value": v} for k, v in CONFIGURATION.items()]}
        elif action == "SetChargingProfile":
            self._install(payload["csChargingProfiles"])
        elif action == "RemoteStartTransaction":
            answer = {"status": "Rejected"}
        self.send(json.dumps([3, message_id, answer]))
        if action == "TriggerMessage" and payload["requestedMessage"] == "MeterValues":
            self.meter_values(_nothing)
        elif action == "TriggerMessage" and payload["requestedMessage"] == "StatusNotification":
            self.status("Charging" if self.transaction_id is not None else "Available")
        elif action == "TriggerMessage" and payload["requestedMessage"] == "BootNotification":
            self.herd.boot(self)

    def _install(self, profile: dict[str, Any]) -> None:
        level_w = float(profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"])
        if profile["chargingProfilePurpose"] == "TxDefaultProfile":
            self.default_w, self.default_told = level_w, True
        else:
            self.level_w = level_w
            self.live_until = datetime.fromisoformat(profile["validTo"]).timestamp() if "validTo" in profile else math.inf


class Herd:
    """See the module. ``closed``: (station, close code and reason) of every connection that ended, by whomever."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        port: int,
        keys: Mapping[str, str],
        rated_w: float = 7_360.0,
        min_w: float = 1_380.0,
        most_w: float = 7_360.0,
        kind: type[HerdStation] = HerdStation,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.port = port
        self.tls = tls
        self.rated_w, self.min_w, self.most_w = rated_w, min_w, most_w
        self.stations = [kind(self, name, keys[name]) for name in names]
        self.handshake_s: list[float] = []
        self.boot_s: list[float] = []
        self.in_s: list[float] = []
        self.closed: list[tuple[str, str]] = []
        self.failed: list[str] = []

    async def dial(self, station: HerdStation) -> None:
        name = None if self.tls is None else "localhost"
        dialled = self.loop.create_connection(lambda: station, "127.0.0.1", self.port, ssl=self.tls, server_hostname=name)
        await asyncio.wait_for(dialled, GRACE_S)

    def lost(self, station: HerdStation) -> None:
        self.closed.append((station.station_id, f"{station.close_code} {station.close_reason}".strip()))

    async def connect(self, *, within_s: float = 0.0, moments_s: Sequence[float] | None = None) -> float:
        """All dial, spread evenly over ``within_s`` or each at its own of ``moments_s``, and boot. Seconds until the last boot
        was accepted; who did not get so far is in :attr:`failed`."""
        self.handshake_s, self.boot_s, self.in_s, self.failed = [], [], [], []
        count = len(self.stations)
        moments = moments_s if moments_s is not None else [within_s * n / count for n in range(count)]
        began = time.monotonic()

        async def one(station: HerdStation, at_s: float) -> None:
            await asyncio.sleep(at_s)
            try:
                dialled = time.monotonic()
                self.handshake_s.append(await station.connect())
                await asyncio.wait_for(self.boot(station), GRACE_S)
                self.in_s.append(time.monotonic() - dialled)
            except (OSError, TimeoutError) as error:
                self.failed.append(f"{station.station_id}: {type(error).__name__} {error}")

        async with asyncio.TaskGroup() as group:
            for station, at_s in zip(self.stations, moments, strict=True):
                group.create_task(one(station, at_s))
        return time.monotonic() - began

    def boot(self, station: HerdStation) -> asyncio.Future[None]:
        """Boot, and say the status of the connector once it is accepted."""
        accepted: asyncio.Future[None] = self.loop.create_future()

        def answered(seconds: float, body: bytes) -> None:
            if b'"Accepted"' in body:
                self.boot_s.append(seconds)
                station.booted = True
                station.status("Charging" if station.transaction_id is not None else "Preparing")
                if not accepted.done():
                    accepted.set_result(None)

        station.call("BootNotification", station.BOOT, answered)
        return accepted

    async def start_all(self, *, within_s: float) -> None:
        """A transaction at every station, spread over ``within_s``."""

        async def one(n: int, station: HerdStation) -> None:
            await asyncio.sleep(within_s * n / len(self.stations))
            started: asyncio.Future[None] = self.loop.create_future()

            def begun() -> None:
                if not started.done():
                    started.set_result(None)

            station.begin(f"T{n}", begun)
            await asyncio.wait_for(started, GRACE_S)

        async with asyncio.TaskGroup() as group:
            for n, station in enumerate(self.stations):
                group.create_task(one(n, station))

    @property
    def power_w(self) -> float:
        """What all draw together."""
        return float(sum(station.power_w for station in self.stations))

    def cut_all(self) -> None:
        for station in self.stations:
            station.cut()

    async def paced(
        self, say: Callable[[HerdStation, Callable[[float, bytes], None], float], None], *, per_s: float, seconds: float
    ) -> tuple[list[float], int, float]:
        """``say(station, done, due)`` by turns at a rate, whatever is answered. Returns the times from when each was due to its
        answer, how many were sent, and the most by which this process itself was late."""
        took: list[float] = []

        def done(elapsed_s: float, _body: bytes) -> None:
            took.append(elapsed_s)

        began = time.monotonic()
        count, sent, late_s = int(per_s * seconds), 0, 0.0
        stations = self.stations
        while sent < count:
            now = time.monotonic()
            upto = min(count, int((now - began) * per_s) + 1)
            for n in range(sent, upto):
                due = began + n / per_s
                late_s = max(late_s, now - due)
                say(stations[n % len(stations)], done, due)
            sent = upto
            await asyncio.sleep(max(0.0, began + sent / per_s - time.monotonic()))
        patience = time.monotonic() + 30
        while len(took) < sent and time.monotonic() < patience:  # noqa: ASYNC110  # counted, not signalled: it must cost nothing
            await asyncio.sleep(0.01)
        return took, sent, late_s

    async def flooded(self, *, seconds: float) -> tuple[int, float]:
        """Meter values from every station, the next one as soon as the last is answered: (answered, seconds)."""
        answered, over = 0, False

        def again(station: HerdStation) -> Callable[[float, bytes], None]:
            def done(_elapsed_s: float, _body: bytes) -> None:
                nonlocal answered
                answered += 1
                if not over:
                    station.meter_values(done)

            return done

        began = time.monotonic()
        for station in self.stations:
            station.meter_values(again(station))
        await asyncio.sleep(seconds)
        over, counted = True, answered
        elapsed_s = time.monotonic() - began
        patience = time.monotonic() + 30
        while any(s.unanswered for s in self.stations) and time.monotonic() < patience:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)
        return counted, elapsed_s


def _nothing(_seconds: float, _body: bytes) -> None:
    """An answer that says nothing."""
