"""Firmware and logs over real sockets: a station on the client side of the ``ocpp`` package is told an address over its
WebSocket, fetches or sends over HTTP, and says how it goes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp_fakes import until
from small_yard import SPEC, SmallYard
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from controller.codec import EventCodec, decode_state, encode_state
from controller.desk import Desk, DeskSettings
from controller.files.desk import FilesDesk
from controller.files.service import Service
from controller.files.shelf import Shelf
from controller.files.tickets import Tickets, key_of
from controller.files.views import FirmwareView, LogsView, TransferView
from depot import commands as cmd
from depot import events as ev
from depot.files import Image, TransferKind
from depot.fold import fold
from depot.state import DepotState
from ocpp_server import Central, KeyedCredentials, keyed_digest

pytestmark = pytest.mark.anyio

KEY = b"0123456789abcdef"
PASSWORD = "4f1c9e0b7a5d48c2b6e3"
MOST = 200_000
BYTES = bytes(range(256)) * 2_000


class Station(ChargePoint):  # type: ignore[misc]  # the package is untyped
    """A scripted station. ``told``: the orders that it got, by action."""

    def __init__(self, station_id: str, connection: Any) -> None:
        super().__init__(station_id, connection, response_timeout=5)
        self.told: dict[str, dict[str, Any]] = {}
        self.signed = "Accepted"

    @on("GetConfiguration")
    def on_get_configuration(self, **_: Any) -> Any:
        return call_result.GetConfiguration(configuration_key=[])

    @on("ChangeConfiguration")
    def on_change_configuration(self, **_: Any) -> Any:
        return call_result.ChangeConfiguration(status="Accepted")

    @on("SetChargingProfile")
    def on_profile(self, **_: Any) -> Any:
        return call_result.SetChargingProfile(status="Accepted")

    @on("TriggerMessage")
    def on_trigger(self, **_: Any) -> Any:
        return call_result.TriggerMessage(status="Accepted")

    @on("UpdateFirmware")
    def on_update(self, **order: Any) -> Any:
        self.told["UpdateFirmware"] = order
        return call_result.UpdateFirmware()

    @on("SignedUpdateFirmware")
    def on_signed_update(self, **order: Any) -> Any:
        self.told["SignedUpdateFirmware"] = order
        return call_result.SignedUpdateFirmware(status=self.signed)

    @on("GetDiagnostics")
    def on_diagnostics(self, **order: Any) -> Any:
        self.told["GetDiagnostics"] = order
        return call_result.GetDiagnostics(file_name="../../diag.zip")

    @on("GetLog")
    def on_log(self, **order: Any) -> Any:
        self.told["GetLog"] = order
        return call_result.GetLog(status="Accepted", filename="security.csv")


class QuietDesk(Desk):
    """Hears stations, and leaves their power alone."""

    def ready(self, station_id: str, *, booted: bool) -> None:
        pass


@dataclass
class Rig(SmallYard):
    """A yard with its charger side and file service on real sockets."""

    folder: Path
    central: Central = field(init=False)
    desk: FilesDesk = field(init=False)

    def __post_init__(self) -> None:
        super().__init__()
        self.shelf = Shelf(self.folder / "files")
        self.service = Service(self.shelf, key_of(KEY), self.clock, most_bytes=MOST, kept_for=timedelta(days=30), most_kept_bytes=10 * MOST)

    def image(self, data: bytes = BYTES, **more: str) -> Image:
        with self.shelf.writing(len(data)) as writing:
            writing.write(data)
            sha256 = self.shelf.keep_image(writing)
        image = Image(sha256[:16], "fw-1.3.bin", "1.3", len(data), sha256, **more)
        self.put(ev.FirmwareAdded(image))
        return image

    async def order(self, what: type[cmd.Command], **words: Any) -> cmd.CommandResult:
        return await self.orders.execute(what(command_id=f"c{len(self.journal.facts)}", actor="Asha", reason="test", **words))

    async def update(self, image: Image, *station_ids: str) -> cmd.CommandResult:
        return await self.order(cmd.UpdateFirmware, image_id=image.image_id, station_ids=station_ids or ("CP-1",))

    async def log(self, kind: TransferKind = TransferKind.DIAGNOSTICS) -> cmd.CommandResult:
        return await self.order(cmd.FetchLog, station_id="CP-1", kind=kind)

    async def shown(self, *, logs: bool = False) -> TransferView:
        """The newest transfer, as a page would show it."""
        await self.desk.look()
        view = await self.desk.views[LogsView if logs else FirmwareView]({})
        return view.logs[0] if isinstance(view, LogsView) else view.updates[0]  # type: ignore[union-attr]  # one of the two

    @asynccontextmanager
    async def station(self, station_id: str = "CP-1") -> AsyncIterator[Station]:
        basic = base64.b64encode(f"{station_id}:{PASSWORD}".encode()).decode()
        async with connect(
            f"ws://127.0.0.1:{self.central.port}/ocpp/{station_id}", additional_headers={"Authorization": f"Basic {basic}"},
            subprotocols=[Subprotocol("ocpp1.6")], proxy=None, close_timeout=1,
        ) as connection:  # fmt: skip
            station = Station(station_id, connection)
            reading = asyncio.create_task(station.start())
            await station.call(call.BootNotification(charge_point_model="One", charge_point_vendor="Acme", firmware_version="1.2"))
            try:
                yield station
            finally:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                    await reading


@asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[Rig]:
    found = Rig(folder)
    book = KeyedCredentials(key=KEY, digests={s.station_id: keyed_digest(KEY, s.station_id, PASSWORD) for s in SPEC.stations})
    events = QuietDesk(found.yard, found.loop, DeskSettings(), replan=found.replans.append)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        config = uvicorn.Config(found.service.app(), log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        async with Central(spec=SPEC, events=events, clock=found.clock, credentials=book) as central:
            await central.listen("127.0.0.1", 0)
            found.central = central
            tickets = Tickets(key_of(KEY), f"http://127.0.0.1:{sock.getsockname()[1]}")
            found.desk = FilesDesk(found.yard, central, shelf=found.shelf, tickets=tickets, wall=found.clock.now)
            found.orders.carriers.update(found.desk.commands)
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            try:
                yield found
            finally:
                server.should_exit = True
                await serving


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as found:
        yield found


def files_in(folder: Path) -> list[Path]:
    """All files below a folder, from there."""
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


# -- firmware -----------------------------------------------------------------------------------------------------


async def test_a_station_fetches_by_range_goes_on_where_it_was_cut_and_says_how_far_it_is(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot, depot.station() as station, client() as http:
        result = await depot.update(depot.image())
        assert result.status is cmd.CommandStatus.DONE, result.message
        url = station.told["UpdateFirmware"]["location"]
        await station.call(call.FirmwareStatusNotification(status="Downloading"))
        head = await http.head(url)
        assert (head.status_code, head.headers["content-length"], head.headers["accept-ranges"]) == (200, str(len(BYTES)), "bytes")
        first = await http.get(url, headers={"Range": "bytes=0-299999"})
        assert (first.status_code, first.headers["content-range"]) == (206, f"bytes 0-299999/{len(BYTES)}")
        seen = await depot.shown()
        assert (seen.state, seen.sent_bytes, seen.size_bytes, seen.runs) == ("Downloading", 300_000, len(BYTES), "1.2")
        rest = await http.get(url, headers={"Range": "bytes=300000-", "If-Range": first.headers["etag"]})
        assert first.content + rest.content == BYTES
        assert (await http.get(url, headers={"Range": f"bytes={len(BYTES)}-"})).status_code == 416
        assert (await http.get(url, headers={"Range": "bytes=5-", "If-Range": '"other"'})).status_code == 200
        for status in ("Downloaded", "Installing", "Installed"):
            await station.call(call.FirmwareStatusNotification(status=status))
        seen = await depot.shown()
        assert (seen.state, seen.standing, seen.sent_bytes) == ("Installed", "done", len(BYTES))
        assert not depot.desk.conditions(depot.clock.now())


async def test_an_address_that_is_forged_expired_or_of_another_station_opens_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot, depot.station() as station, client() as http:
        await depot.update(depot.image())
        url = station.told["UpdateFirmware"]["location"]
        assert (await http.get(url.replace("/CP-1/", "/CP-2/"))).status_code == 403
        assert (await http.get(url.replace("/CP-1/1/", "/CP-1/2/"))).status_code == 403
        before, seal, name = url.rsplit("/", 2)
        assert (await http.get(f"{before}/{seal[:-1]}{'A' if seal[-1] != 'A' else 'B'}/{name}")).status_code == 403
        assert (await http.get(url.rpartition("/")[0])).status_code == 404
        assert (await http.put(url, content=b"x")).status_code == 405
        depot.clock.at += timedelta(hours=25)
        assert (await http.get(url)).status_code == 410
        assert b"expired" in (await http.get(url)).content


async def test_a_signed_image_is_told_with_its_signature_and_its_number_comes_back(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot, depot.station() as station:
        image = depot.image(signature="QUJD", certificate="-----BEGIN CERTIFICATE-----")
        await depot.update(image)
        order = station.told["SignedUpdateFirmware"]
        assert order["firmware"]["signature"] == "QUJD"
        await station.call(call.SignedFirmwareStatusNotification(status="InvalidSignature", request_id=order["request_id"]))
        assert (await depot.shown()).standing == "failed"
        condition = depot.desk.conditions(depot.clock.now())[0]
        assert (condition.kind, condition.subject) == ("firmware_failed", "CP-1")
        station.signed = "RevokedCertificate"
        assert (await depot.update(image)).status is cmd.CommandStatus.FAILED
        assert (await depot.shown()).detail == "RevokedCertificate"


async def test_a_station_that_is_away_is_not_told_and_one_that_stays_silent_is_overdue(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot:
        image = depot.image()
        assert (await depot.update(image)).status is cmd.CommandStatus.FAILED
        assert ((await depot.shown()).state, (await depot.shown()).standing) == ("NotSent", "failed")
        assert (await depot.update(image, "CP-9")).status is cmd.CommandStatus.REFUSED
        async with depot.station():
            await depot.update(image)
            assert (await depot.order(cmd.RemoveFirmware, image_id=image.image_id)).status is cmd.CommandStatus.REFUSED
            depot.clock.at += timedelta(hours=3)
            assert (await depot.shown()).overdue
            assert "nothing heard" in depot.desk.conditions(depot.clock.now())[0].title
            assert (await depot.order(cmd.RemoveFirmware, image_id=image.image_id)).status is cmd.CommandStatus.DONE
            assert depot.shelf.image(image.sha256) is None


# -- logs ---------------------------------------------------------------------------------------------------------


async def test_diagnostics_are_asked_for_sent_and_kept_under_our_own_names(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot, depot.station() as station, client() as http:
        await depot.log()
        url = station.told["GetDiagnostics"]["location"]
        await station.call(call.DiagnosticsStatusNotification(status="Uploading"))
        answer = await http.put(f"{url}/..%2f..%2f..%2fetc%2fpasswd", content=b"diagnostics")
        assert (answer.status_code, answer.text.strip()) == (201, hashlib.sha256(b"diagnostics").hexdigest())
        again = await http.post(url, files={"upload": ("second.zip", b"more")}, data={"note": "x"})
        assert again.status_code == 201
        await station.call(call.DiagnosticsStatusNotification(status="Uploaded"))
        seen = await depot.shown(logs=True)
        assert (seen.state, seen.standing, seen.file_name) == ("Uploaded", "done", "diag.zip")
        assert [(f.file, f.name, f.size_bytes, f.here) for f in seen.files] == [(1, "passwd", 11, True), (2, "second.zip", 4, True)]
        kept = files_in(tmp_path)
        assert {str(p.parent) for p in kept} == {"files/received"}
        assert {p.name for p in kept} == {"1-1.bin", "1-1.json", "1-2.bin", "1-2.json"}


async def test_a_security_log_of_1_6_and_what_its_station_says_by_number(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot, depot.station() as station, client() as http:
        await depot.log(TransferKind.SECURITY)
        order = station.told["GetLog"]
        assert order["log_type"] == "SecurityLog"
        await station.call(call.LogStatusNotification(status="Uploading", request_id=order["request_id"]))
        assert (await http.post(order["log"]["remote_location"], content=b"a,b")).status_code == 201
        await station.call(call.LogStatusNotification(status="UploadFailure", request_id=order["request_id"] + 5))  # not ours
        assert (await depot.shown(logs=True)).state == "Uploading"
        await station.call(call.LogStatusNotification(status="Uploaded", request_id=order["request_id"]))
        assert (await depot.shown(logs=True)).standing == "done"


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 10_000):
        yield b"x" * 10_000


async def test_a_file_that_is_too_large_gets_a_clear_413_and_leaves_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot, depot.station() as station, client() as http:
        await depot.log()
        url = station.told["GetDiagnostics"]["location"]
        told = await http.put(url, content=b"x" * (MOST * 2))
        streamed = await http.put(url, content=chunks(MOST * 2))
        form = await http.post(url, files={"f": ("big", b"x" * (MOST + 1))})
        for answer in (told, streamed, form):
            assert (answer.status_code, "at most" in answer.text) == (413, True)
        assert (await http.put(url, content=b"")).status_code == 400
        assert not files_in(tmp_path)
        assert (await http.put(url.replace("/logs/CP-1", "/logs/CP-2"), content=b"x")).status_code == 403
        depot.clock.at += timedelta(days=2)
        assert (await http.put(url, content=b"x")).status_code == 410
        assert (await depot.shown(logs=True)).overdue


async def test_who_hangs_up_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot, depot.station() as station:
        await depot.log()
        url = httpx.URL(station.told["GetDiagnostics"]["location"])
        reader, writer = await asyncio.open_connection("127.0.0.1", url.port)
        writer.write(f"PUT {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf".encode())
        await writer.drain()
        await until(lambda: depot.service._uploads)
        writer.close()
        await until(lambda: not depot.service._uploads)
        assert not files_in(tmp_path)
        del reader


# -- the core dies ------------------------------------------------------------------------------------------------


async def test_a_core_that_restarts_knows_its_orders_and_what_came_meanwhile(tmp_path: Path) -> None:
    async with rig(tmp_path) as depot, depot.station() as station, client() as http:
        await depot.update(depot.image())
        await depot.log()
        depot.put(ev.TransferOrdered(3, TransferKind.SECURITY, "CP-1"))  # it died before the station answered
        codec = EventCodec()
        again = DepotState()
        for e in depot.journal.facts:
            assert codec.decode(e.type, e.version, codec.encode(e.data)) == e.data
            again = fold(again, [e])
        assert decode_state(encode_state(again)) == depot.yard.state
        url = station.told["GetDiagnostics"]["location"]
        assert url not in str(depot.journal.facts), "addresses are keys: the journal keeps none"
        assert (await http.put(url, content=b"while the core was dead")).status_code == 201
        second = FilesDesk(depot.yard, depot.central, shelf=depot.shelf, tickets=None, wall=depot.clock.now)
        running = asyncio.create_task(second.run())
        await until(lambda: depot.yard.state.files.transfers[2].files)
        running.cancel()
        states = {n: (t.state, len(t.files)) for n, t in depot.yard.state.files.transfers.items()}
        assert states == {1: ("Accepted", 0), 2: ("Accepted", 1), 3: ("Unanswered", 0)}
