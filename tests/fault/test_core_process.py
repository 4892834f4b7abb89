"""The core and its tree as real processes: what is wrong is said with the right exit code, and nothing is left behind."""

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
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.limit_drop import full_depot
from benchmarks.real_depot import RealDepot, child_named, free_offset, open_depot, processes, tell
from controller.app.demo import OCPP_PORT, WEB_PORT, write_depot
from controller.link import CoreLink
from controller.replay import replay
from depot import commands as cmd
from depot import events as ev
from depot.events import Envelope
from simulator.demo_day import demo_spec
from storage import Store

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.serial, pytest.mark.timeout(120)]
LOCKED_S = 5.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A depot's settings, in real time, on free ports."""
    path, _ = write_depot(tmp_path, spec=demo_spec(), start=datetime.now(UTC), speed=1, port_offset=free_offset())
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("[clock]")], encoding="utf-8")
    return path


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def said(config: Path, module: str = "controller.app.core_process") -> tuple[int, str]:
    """Exit code and words of a core that cannot run."""
    done = subprocess.run([sys.executable, "-m", module, str(config)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def wait_for(what: Callable[[], bool], patience_s: float = 30.0) -> None:
    until = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def offset_of(config: Path) -> int:
    return int(config.read_text(encoding="utf-8").splitlines()[0].split("=")[1])


def test_a_second_controller_on_the_database_is_refused_with_exit_3(config: Path) -> None:
    with started("controller.app.core_process", str(config)) as first:
        wait_for(lambda: listens(OCPP_PORT + offset_of(config)))
        code, words = said(config)
        assert code == 3
        assert f"another controller (pid {first.pid}) runs this depot" in words
        assert "stop it first" in words
        assert "Traceback" not in words


def test_an_ocpp_port_in_use_is_named_with_exit_3(config: Path) -> None:
    port = OCPP_PORT + offset_of(config)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", port))
        sock.listen()
        code, words = said(config)
    assert code == 3
    assert str(port) in words
    assert "Traceback" not in words


def test_a_typo_in_the_settings_is_named_with_exit_2(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8").replace("contract_kw", "contract_kv"), encoding="utf-8")
    code, words = said(config)
    assert code == 2
    assert "contract_kv" in words
    assert "did you mean contract_kw?" in words
    assert "Traceback" not in words


def test_sigterm_ends_the_whole_tree_with_exit_0(config: Path) -> None:
    with started("controller", "run", str(config)) as tree:
        wait_for(lambda: listens(OCPP_PORT + offset_of(config)) and listens(WEB_PORT + offset_of(config)))
        wait_for(lambda: any("controller.planner_worker" in line for _, line in descendants(tree.pid).values()))
        family = set(descendants(tree.pid))
        tree.send_signal(signal.SIGTERM)
        assert tree.wait(20) == 0
        assert not family & set(processes())


def descendants(root: int) -> dict[int, tuple[int, str]]:
    living = processes()
    found = {pid: row for pid, row in living.items() if row[0] == root}
    for pid in tuple(found):
        found |= descendants(pid)
    return found


@contextlib.asynccontextmanager
async def charging_depot() -> AsyncIterator[RealDepot]:
    """24 polite stations, all charging, in real time."""
    day = full_depot(demo_spec(), start=datetime.now(UTC) + timedelta(seconds=4), duration_s=600)
    async with open_depot(day, speed=1, seed=1, personas={}) as depot:
        playing = asyncio.create_task(depot.world.run())
        try:
            async with asyncio.timeout(60):
                while depot.world.plant.site_power_w() < 350_000:  # noqa: ASYNC110  # the plant tells nobody
                    await asyncio.sleep(0.1)
            yield depot
        finally:
            playing.cancel()


async def until(what: Callable[[], bool], patience_s: float) -> None:
    async with asyncio.timeout(patience_s):
        while not what():  # noqa: ASYNC110  # other processes tell nobody
            await asyncio.sleep(0.05)


def limit(number: int, value_w: int) -> cmd.SetManualLimit:
    return cmd.SetManualLimit(command_id=f"limit {number}", actor="test", reason="test", value_w=value_w)


@pytest.mark.anyio
async def test_a_locked_database_delays_answers_but_no_decrease_and_loses_nothing() -> None:
    async with charging_depot() as depot:
        lock = sqlite3.connect(depot.settings.database, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        lowering = asyncio.create_task(tell(depot.link, limit(1, 260_000)))
        leaving = next(r for r in depot.book.ran if r.stop_wh is None)
        station = depot.world.stations[leaving.connector.station_id]
        station.unplugged(leaving.connector.connector)
        await until(lambda: depot.world.plant.site_power_w() <= 260_000, LOCKED_S - 0.5)
        assert len(station.outbox), "its stop is not answered before it is durable"
        await until(lambda: depot.link.view is not None and depot.link.view.health.journal == "frozen", LOCKED_S - 0.5)
        await asyncio.sleep(max(0.0, began + LOCKED_S - time.monotonic()))
        assert len(station.outbox)
        lock.execute("ROLLBACK")
        lock.close()
        await until(lambda: not len(station.outbox), 10)
        await until(lambda: depot.link.view is not None and depot.link.view.health.journal == "writing", 10)
        assert (await lowering).status is not cmd.CommandStatus.FAILED
        assert await depot.drained(20)
        await depot.close_core()
        facts: list[Envelope] = []
        with Store.open(depot.settings.database, read_only=True) as store:
            replay(store, "demo", show=facts.append)
        stops = [e.data.transaction_id for e in facts if isinstance(e.data, ev.TransactionStopped)]
        assert stops.count(leaving.transaction_id or -1) == 1
        starts = {e.data.transaction_id for e in facts if isinstance(e.data, ev.TransactionStarted)}
        assert {r.transaction_id for r in depot.book.ran} == starts


@pytest.mark.anyio
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_lost_planner_is_reported_charging_goes_on_and_it_comes_back(death: signal.Signals) -> None:
    async with charging_depot() as depot:
        core = depot.core_pid
        assert core is not None
        await until(lambda: planner_text(depot.link).startswith("plan of"), 60)  # loaded: a planner that still loads has other rules
        planner = child_named(core, "controller.planner_worker")
        assert planner is not None
        os.kill(planner, death)
        await tell(depot.link, limit(1, 300_000))  # a reason to plan anew
        await until(lambda: planner_state(depot.link) in ("dead", "late"), 30)
        assert depot.world.plant.charging_power_w() > 100_000
        assert depot.core_pid == core
        await until(lambda: child_named(core, "controller.planner_worker") not in (None, planner), 30)
        await tell(depot.link, limit(2, 310_000))
        await until(lambda: planner_state(depot.link) == "running", 45)


def planner_text(link: CoreLink) -> str:
    return link.view.health.planner_text if link.view is not None else ""


def planner_state(link: CoreLink) -> str:
    return link.view.health.planner if link.view is not None else ""
