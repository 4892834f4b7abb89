"""The core and its tree as real processes: what is wrong is said with the right exit code, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.real_depot import free_offset, processes
from controller.app.demo import OCPP_PORT, WEB_PORT, write_depot
from simulator.demo_day import demo_spec

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.apart, pytest.mark.timeout(120)]


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
    config.write_text(config.read_text(encoding="utf-8").replace("contract_kw", "contract_kx"), encoding="utf-8")
    code, words = said(config)
    assert code == 2
    assert "contract_kx" in words
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
