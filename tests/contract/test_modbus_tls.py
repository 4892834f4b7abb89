"""Modbus/TLS over real sockets: mutual TLS only, the role in the certificate says what a master may do, files are followed."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from little_core import LittleCore, serving
from pki import Ca, name
from test_modbus_limit_server import FIRST, exchange, frame, our_definition, reading, until, whole_block

import grid.limit_server
from grid.limit_access import LimitServerError, LimitTlsSettings, Role
from grid.limit_model import LOAD_LIMIT, AckState
from grid.limit_server import LimitServer
from grid.limit_tls import ROLE_OID, role_extension, role_of

__all__ = ["our_definition"]

pytestmark = pytest.mark.anyio

GRID_SERVICE = [role_extension(Role.GRID_SERVICE)]


class Pki:
    """Two authorities: of the port, and of masters."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ours, self.utility = Ca("depot", folder), Ca("utility", folder)
        self.port = folder / "port.pem"
        self.authorities = folder / "masters.pem"
        self.authorities.write_text(self.utility.root)
        self.renew()

    def renew(self) -> None:
        shutil.copy(self.ours.issue("port", server=True).path, self.port)

    def settings(self, **changes: Any) -> LimitTlsSettings:
        return LimitTlsSettings(
            **{"certificate": self.port, "key": self.port, "authorities": self.authorities, "port": 0, **changes}  # type: ignore[arg-type]
        )

    def master(self, role: str | None = Role.GRID_SERVICE) -> Path:
        return self.utility.issue("rtu-1", extensions=[role_extension(role)] if role else []).path

    def context(self, pair: Path | None, *, most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.ours.root)
        if pair is not None:
            context.load_cert_chain(pair)
        if most is not None:
            context.maximum_version = most
        return context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@asynccontextmanager
async def link(server: LimitServer, context: ssl.SSLContext) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.tls_port, ssl=context, server_hostname="localhost")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def asked(context: ssl.SSLContext, server: LimitServer, pdu: bytes) -> bytes:
    """The answer's PDU."""
    async with link(server, context) as (reader, writer), asyncio.timeout(5):
        writer.write(frame(1, pdu))
        _, _, length, _ = struct.unpack(">HHHB", await reader.readexactly(7))
        return await reader.readexactly(length - 1)


def writing(seq: int) -> bytes:
    return struct.pack(">BHHB17H", 16, FIRST, 17, 34, *whole_block(seq=seq))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_master_of_the_grid_service_commands_and_is_known_by_role_and_name(pki: Pki, version: ssl.TLSVersion) -> None:
    core = LittleCore()
    async with serving(core, tls=pki.settings()) as server:
        answer = await asked(pki.context(pki.master(), most=version), server, writing(7))
        assert answer[0] == 16
        await until(lambda: server.block.acknowledged_seq == 7)
        await until(lambda: core.words)
    assert core.commands[0].role == "GridServiceSunSpec rtu-1"
    assert (core.words[0].role, core.words[0].state) == ("GridServiceSunSpec rtu-1", AckState.ACCEPTED)


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        (Role.READ_ONLY, True, False),
        (Role.GRID_SERVICE, True, True),
        (Role.NETWORK_ADMINISTRATOR, True, False),
        (Role.SUPER_ADMINISTRATOR, True, True),
        ("SomethingElse", False, False),
        (None, False, False),
    ],
)
async def test_the_role_says_what_a_master_may(pki: Pki, role: str | None, reads: bool, writes: bool) -> None:
    core = LittleCore()
    async with serving(core, tls=pki.settings()) as server:
        context = pki.context(pki.master(role))
        assert await asked(context, server, reading(40_000, 2)) == (b"\x03\x04SunS" if reads else b"\x83\x01")
        assert (await asked(context, server, writing(3)))[:1] == (b"\x10" if writes else b"\x90")
        await until(lambda: core.words)
        assert bool(core.commands) is writes
        assert core.words[0].code == (0 if writes else 1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("who", ["nobody", "foreign", "expired", "self-signed"])
async def test_without_a_certificate_that_counts_nobody_comes_in(pki: Pki, tmp_path: Path, version: ssl.TLSVersion, who: str) -> None:
    foreign = Ca("foreign", tmp_path)
    pair = {
        "nobody": None,
        "foreign": foreign.issue("rtu-1", extensions=GRID_SERVICE).path,
        "expired": pki.utility.issue("rtu-1", days=(-9, -1), extensions=GRID_SERVICE).path,
        "self-signed": foreign.issue("port", server=True, extensions=GRID_SERVICE).path,
    }[who]
    core = LittleCore()
    async with serving(core, tls=pki.settings()) as server:
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await asked(pki.context(pair, most=version), server, writing(1))
        await until(lambda: server.refused == 1)
        assert any("certificate" in reason for reason in server.refusals)
        await until(lambda: server.connections == 0)
        assert (await asked(pki.context(pki.master()), server, reading(40_000, 2)))[2:] == b"SunS"
    assert core.commands == []


async def test_plain_bytes_and_silence_at_the_tls_port_cost_a_place_only_for_a_while(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid.limit_server, "FRAME_S", 0.2)
    async with serving(LittleCore(), tls=pki.settings()) as server:
        assert await exchange(server.tls_port, frame(1, reading(40_000, 2)), 1) in (b"", b"\x15")
        await until(lambda: server.refusals["master that speaks no TLS"] == 1)
        _, writer = await asyncio.open_connection("127.0.0.1", server.tls_port)
        await until(lambda: server.connections == 1)
        await until(lambda: server.connections == 0)
        writer.close()


async def test_where_there_is_tls_only_the_plain_port_is_closed(pki: Pki) -> None:
    async with serving(LittleCore(), tls=pki.settings(), plain=False) as server:
        assert server.addresses == (f"127.0.0.1:{server.tls_port} (TLS)",)
        with pytest.raises(RuntimeError, match="does not listen"):
            _ = server.port


async def test_masters_from_elsewhere_are_cut_off_before_the_handshake(pki: Pki) -> None:
    async with serving(LittleCore(), tls=pki.settings(networks=("10.0.0.0/8",))) as server:
        with pytest.raises(OSError):  # noqa: PT011  # closed at once: reset or end of file, as it happens
            await asked(pki.context(pki.master()), server, reading(40_000, 2))
        assert server.refusals["master that is not on the allow-list"] == 1


async def test_new_files_are_followed_and_bad_ones_leave_what_was_there(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    async with serving(LittleCore(), tls=pki.settings()) as server:
        files = server.files
        assert files is not None
        assert not files.refresh()
        before = await shown(server, pki)
        pki.renew()
        os.utime(pki.port, ns=(1, 1))
        assert files.refresh()
        assert await shown(server, pki) != before
        good = pki.port.read_bytes()
        pki.port.write_text("nothing")
        assert not files.refresh()
        assert await shown(server, pki) != before
        pki.port.write_bytes(good)
        other = Ca("next utility", pki.folder)
        pki.authorities.write_text(other.root)
        assert files.refresh()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await asked(pki.context(pki.master()), server, reading(40_000, 2))
        pair = other.issue("rtu-2", extensions=GRID_SERVICE).path
        assert (await asked(pki.context(pair), server, reading(40_000, 2)))[2:] == b"SunS"


async def shown(server: LimitServer, pki: Pki) -> bytes:
    """The certificate that the port shows."""
    async with link(server, pki.context(pki.master())) as (_, writer):
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found


async def test_files_that_do_not_serve_are_said_in_a_sentence(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(LimitServerError, match="do not serve"):
        LimitServer(
            grid.limit_server.LimitServerSettings(tls=pki.settings(certificate=tmp_path / "none.pem")),
            commands=LittleCore(),
            feedback=LittleCore().feedback,
            now=LittleCore().now,
        )


async def test_the_plain_port_is_free_again_where_the_tls_port_is_taken(pki: Pki) -> None:
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        with pytest.raises(grid.limit_server.PortInUse):
            async with serving(LittleCore(), port=port, tls=pki.settings(port=taken.getsockname()[1])):
                pass
        async with serving(LittleCore(), port=port) as server:
            assert server.port == port


def certificate(*extensions: x509.ExtensionType) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    from datetime import UTC, datetime, timedelta

    builder = x509.CertificateBuilder().subject_name(name("x")).issuer_name(name("x")).public_key(key.public_key())
    now = datetime.now(UTC)
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    ("data", "role"),
    [
        (b"\x0c\x12GridServiceSunSpec", Role.GRID_SERVICE),
        (b"\x16\x12GridServiceSunSpec", None),  # an IA5String
        (b"\x0c\x11GridServiceSunSpec", None),
        (b"\x0c\x12gridservicesunspec", None),
        (b"\x0c\x26GridServiceSunSpec, ReadOnlySunSpec...", None),
        (b"GridServiceSunSpec", None),
        (b"\x0c\x02\xff\xfe", None),
        (b"\x0c", None),
        (b"", None),
    ],
)
def test_a_role_is_exactly_one_utf8_string(data: bytes, role: Role | None) -> None:
    assert role_of(certificate(x509.UnrecognizedExtension(ROLE_OID, data))) is role


def test_no_extension_is_no_role() -> None:
    assert role_of(certificate()) is None


@pytest.mark.usefixtures("our_definition")
async def test_pysunspec2_commands_over_tls(pki: Pki) -> None:
    import sunspec2.modbus.client as sunspec

    core = LittleCore()
    pair = pki.master()
    root = pki.folder / "root.pem"
    root.write_text(pki.ours.root)

    def drive(port: int) -> tuple[Any, ...]:
        device = sunspec.SunSpecModbusClientDeviceTCP(
            slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=3, tls=True, cafile=str(root), certfile=str(pair), keyfile=str(pair)
        )
        device.connect()
        try:
            device.scan(connect=False)
            block = device.models[LOAD_LIMIT][0]
            block.CtlHb.value = 1
            block.WLimEna.value = 1
            block.WLim.cvalue = 300_000
            block.CmdSeq.value = 12
            block.write()
            while block.AckSeq.value != 12:
                block.read()
            return block.AckSt.value, block.WLimEff.cvalue
        finally:
            device.disconnect()

    async with serving(core, tls=pki.settings()) as server, asyncio.timeout(20):
        assert await asyncio.to_thread(drive, server.tls_port) == (AckState.ACCEPTED, 300_000)
