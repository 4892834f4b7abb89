"""Fault 5 with real processes: the last page of the database is torn, the core refuses to start on it, and one command
puts the backup in its place that was made while the depot ran."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.real_depot import free_offset, tell
from controller.app.demo import write_depot
from controller.link import CoreLink
from controller.readmodel import NowView
from controller.settings import Settings
from depot import commands as cmd
from simulator.demo_day import demo_spec

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
pytestmark = [pytest.mark.apart, pytest.mark.timeout(280)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "var"
    folder.mkdir(mode=0o700)
    path, _ = write_depot(folder, spec=demo_spec(), start=datetime.now(UTC), speed=1, port_offset=free_offset())
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("[clock]")], encoding="utf-8")
    return path


@contextlib.contextmanager
def core(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running core, killed at the end if it still lives."""
    process = subprocess.Popen(
        [sys.executable, "-m", "controller.app.core_process", str(config)], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until(lambda: listens(Settings.load(config).ocpp_port) or process.poll() is not None)
        assert process.poll() is None
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def run(*words: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S * 2)
    return done.returncode, done.stdout + done.stderr


async def limited(config: Path, number: int, value_w: int) -> None:
    async with CoreLink(Settings.load(config).link_path) as link:
        command = cmd.SetManualLimit(command_id=f"limit {number}", actor="mani", reason="test", value_w=value_w)
        assert (await tell(link, command, PATIENCE_S)).status is cmd.CommandStatus.DONE


async def seen(config: Path) -> NowView:
    async with CoreLink(Settings.load(config).link_path) as link, asyncio.timeout(PATIENCE_S):
        async for view in link.views():
            return view
    raise AssertionError


PAGE = 4096


def flipped(database: Path) -> None:
    """Some bytes of the newest fact are other ones."""
    data = bytearray(database.read_bytes())
    place = data.rindex(b"limit.value_set")
    data[place : place + 8] = bytes(byte ^ 0x55 for byte in data[place : place + 8])
    database.write_bytes(data)


def torn(database: Path) -> None:
    """Of the page with the newest facts only the first half was written."""
    data = bytearray(database.read_bytes())
    page = data.rindex(b"limit.value_set") // PAGE * PAGE
    data[page + PAGE // 2 : page + PAGE] = bytes(PAGE // 2)
    database.write_bytes(data)


def cut(database: Path) -> None:
    """The file ends in the middle of that page."""
    os.truncate(database, database.read_bytes().rindex(b"limit.value_set"))


@pytest.mark.parametrize("damage", [torn, pytest.param(flipped, marks=pytest.mark.long), pytest.param(cut, marks=pytest.mark.long)])
def test_fault_5_a_torn_page_is_refused_and_one_command_brings_the_backup_back(
    config: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    database = Settings.load(config).database
    archive = tmp_path / "backup.tar"
    with core(config):
        asyncio.run(limited(config, 1, 300_000))
        code, words = run("controller", "backup", str(config), str(archive))
        assert code == 0, words
        asyncio.run(limited(config, 2, 250_000))  # after the backup: this will be lost, and be told
        code, words = run("controller", "restore", str(config), str(archive), "--replace")
        assert (code, "another controller" in words) == (3, True), words
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(database)
    damaged = database.read_bytes()
    code, words = run("controller.app.core_process", str(config))
    assert code == 3, words
    assert "restore a backup" in words
    assert "Traceback" not in words
    code, words = run("controller", "restore", str(config), str(archive), "--replace")
    assert code == 0, words
    (aside,) = database.parent.glob("replaced-*")
    assert (aside / database.name).read_bytes() == damaged, "the evidence is kept"
    with core(config):
        view = asyncio.run(seen(config))
        assert view.health.journal == "writing"
        (limit,) = [x for x in view.limits if x.source == "manual"]
        assert limit.value_w == min(300_000, demo_spec().failsafe_w)
        assert "restored from a backup" in limit.reason
    code, words = run("controller", "replay", str(database))
    assert (code, "Sound:" in words, "controller.backup_restored" in words) == (0, True, True), words


def test_a_core_does_not_start_in_the_middle_of_a_restore(config: Path) -> None:
    settings = Settings.load(config)
    marker = settings.storage.path / f"{settings.depot.id}.restoring"
    marker.write_text("{}", encoding="utf-8")
    code, words = run("controller.app.core_process", str(config))
    assert (code, "type the restore command again" in words) == (2, True), words
    assert not settings.database.exists()
