"""Notifications when processes die: ``kill -9`` of the notifier between sending and knowing that it arrived."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

import controller
from controller.clock import SystemClock
from controller.journal import SqlJournal
from controller.notify.channels import SIGNATURE
from controller.outbox import OutboxWriter, Rules
from controller.settings import Settings
from depot import events as ev
from storage import Store

ROOT = Path(__file__).resolve().parents[2]
SECRET = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)
pytestmark = [pytest.mark.apart, pytest.mark.timeout(180), pytest.mark.anyio]


@dataclass
class Receiver:
    """A web server that keeps what is posted and answers when it is let."""

    ids: list[str] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = await reader.readexactly(int(fields["content-length"]))
            stamp, mac = fields[SIGNATURE.lower()].removeprefix("t=").split(",v1=")
            wanted = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            self.signed.append(hmac.compare_digest(mac, wanted))
            self.ids.append(json.loads(body)["id"])
            await self.answering.wait()
            writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.ids) < count:  # noqa: ASYNC110  # another process posts
                await asyncio.sleep(0.05)


@contextmanager
def notifier(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"CHARGEYARD_NOTIFY_WEBHOOK_SECRET": SECRET}
    process = subprocess.Popen([sys.executable, "-m", "controller.app.notifier_process", str(config)], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def write_config(folder: Path, port: int) -> Path:
    path = folder / "depot.toml"
    path.write_text(
        f"""
        [depot]
        id = "d1"
        contract_kw = 100
        failsafe_kw = 50
        worst_background_kw = 10
        [[feeder]]
        id = "F"
        rating_kw = 100
        [storage]
        path = "{folder / "var"}"
        [notify.webhook]
        url = "http://127.0.0.1:{port}/alarms"
        """,
        encoding="utf-8",
    )
    return path


async def alarms(settings: Settings, *subjects: str) -> list[str]:
    """Journal alarms as the core does; the ids of their facts."""
    with Store.open(settings.database) as store:
        store.migrate([controller])
        async with SqlJournal(store, "d1", clock=SystemClock(), companions=[OutboxWriter(Rules(), store, "d1")]) as journal:
            facts = [ev.AlarmRaised(f"pack_tripped:{s}", "pack_tripped", s, f"Pack {s} tripped", "Look.", 1) for s in subjects]
            return [envelope.id for envelope in await journal.append([ev.NewEvent(fact, NOW) for fact in facts])]


async def test_killed_between_sending_and_receipt_it_sends_again_with_the_same_id(tmp_path: Path) -> None:
    async with Receiver().running() as receiver:
        config = write_config(tmp_path, receiver.port)
        (first,) = await alarms(Settings.load(config), "BUS-1/p1")
        with notifier(config) as process:
            await receiver.until(1)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        receiver.answering.set()
        with notifier(config) as process:
            await receiver.until(2)
            (second,) = await alarms(Settings.load(config), "BUS-2/p1")  # while it runs, and reads
            await receiver.until(3)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        with notifier(config):
            await asyncio.sleep(6)  # long enough to start and to send what would be left
    assert receiver.ids == [first, first, second]
    assert all(receiver.signed)


async def test_a_missing_secret_is_said_with_exit_2(tmp_path: Path) -> None:
    config = write_config(tmp_path, 1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller.app.notifier_process", str(config), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, words = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert b"CHARGEYARD_NOTIFY_WEBHOOK_SECRET" in words
    assert b"Traceback" not in words
