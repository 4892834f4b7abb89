"""A real core with a TLS port: a station gets its certificate there, and after the core was killed only that lets it in."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from ocpp_fakes import until

from benchmarks.real_depot import free_offset
from controller.link import CoreLink, CoreUnreachable
from controller.secrets import new_station_key
from controller.security_view import CertificatesView, SecurityEventsView, SecurityView
from controller.settings import Settings
from depot import commands as cmd
from ocpp_server.authority import Authority
from tests.security.wallbox import USE, Wallbox

ROOT = Path(__file__).resolve().parents[2]
SECRET = secrets.token_hex(32)
pytestmark = [pytest.mark.anyio, pytest.mark.apart, pytest.mark.timeout(120)]
CONFIG = """
port_offset = {offset}

[depot]
id = "vault"
contract_kw = 100
failsafe_kw = 40
worst_background_kw = 10

[[feeder]]
id = "F1"
rating_kw = 80

[[station]]
id = "BOX-1"
feeder = "F1"
key_hash = "{key_hash}"

[[station.connector]]
rated_kw = 22

[ocpp.tls]
names = ["localhost"]

[storage]
path = "{folder}"
"""


@asynccontextmanager
async def core(config: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], CoreLink]]:
    """A core process that is ready, and a link to it."""
    settings = Settings.load(config)
    process = _start(config)
    try:
        await until(lambda: process.poll() is not None or _listens(settings.ocpp_tls_port), within_s=40)
        assert process.poll() is None, "the core ended"
        async with CoreLink(settings.link_path) as link:
            await until(lambda: link.view is not None, within_s=20)
            yield process, link
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 20)


def _start(config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "controller.app.core_process", str(config)], cwd=ROOT, stderr=subprocess.DEVNULL)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


async def eventually(ask: Callable[[], Awaitable[bool]], *, within_s: float = 20) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(within_s):
        while not await ask():  # noqa: ASYNC110  # the core is another process
            await asyncio.sleep(0.05)


async def came_by(link: CoreLink, profile: int) -> None:
    """Wait until the station has come by a profile, and the facts say so."""

    async def came() -> bool:
        with contextlib.suppress(CoreUnreachable):
            view = await link.show(SecurityView, station="BOX-1")
            return view is not None and (view.stations[0].came_by, view.stations[0].security_profile) == (profile, profile)
        return False

    await eventually(came)


async def test_a_station_moves_from_profile_1_to_3_and_stays_there_when_the_core_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARGEYARD_DEPOT_SECRET", SECRET)
    key, key_hash = new_station_key("BOX-1", bytes.fromhex(SECRET))
    config, folder = tmp_path / "depot.toml", tmp_path / "var"
    config.write_text(CONFIG.format(offset=free_offset(), key_hash=key_hash, folder=folder), encoding="utf-8")
    settings = Settings.load(config)
    box = Wallbox("BOX-1", settings.ocpp_port, settings.ocpp_tls_port, tmp_path, key=key)

    async def order(link: CoreLink, kind: type[cmd.StationCommand], **what: object) -> cmd.CommandResult:
        return await link.command(kind(command_id=str(uuid4()), actor="meena", reason="upgrade", station_id="BOX-1", **what))  # type: ignore[arg-type]

    async with box.running():
        async with core(config) as (process, link):
            await came_by(link, 1)
            authority = folder / "vault-authority.pem"
            assert stat.S_IMODE(authority.stat().st_mode) == 0o600
            assert (await order(link, cmd.InstallCertificate)).status is cmd.CommandStatus.DONE
            assert box.roots[USE] == [Authority.read(authority.read_text()).root_pem]
            assert (await order(link, cmd.SetSecurityProfile, profile=2)).status is not cmd.CommandStatus.REFUSED
            await came_by(link, 2)
            assert (await order(link, cmd.RenewCertificate)).status is cmd.CommandStatus.ACCEPTED
            await until(lambda: box.certificate, within_s=10)

            async def moved() -> bool:
                return (await order(link, cmd.SetSecurityProfile, profile=3)).status is not cmd.CommandStatus.REFUSED

            await eventually(moved)
            await came_by(link, 3)
            process.kill()
            await asyncio.to_thread(process.wait, 10)
        async with core(config) as (process, link):
            await came_by(link, 3)
            certificates = await link.show(CertificatesView)
            assert certificates is not None
            assert [(row.station_id, row.in_use) for row in certificates.certificates] == [("BOX-1", True)]
            box.profile = 1
            await box.hang_up()
            await until(lambda: box.refused > 2, within_s=10)

            async def told() -> bool:
                events = await link.show(SecurityEventsView)
                return events is not None and "downgrade" in [row.kind for row in events.events]

            await eventually(told)
            box.profile = 3
            await came_by(link, 3)
            assert (await order(link, cmd.RevokeCertificate, serial=certificates.certificates[0].serial)).status is cmd.CommandStatus.DONE
            refused = box.refused
            await until(lambda: box.refused > refused, within_s=10)
    for file in folder.iterdir():
        if file.is_file() and file.suffix != ".pem":
            data = file.read_bytes()
            assert key.encode() not in data
            assert b"PRIVATE KEY" not in data, file
