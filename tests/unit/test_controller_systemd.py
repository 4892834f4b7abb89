"""What systemd is told, over a real datagram socket; and the unit file, judged by systemd itself."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.supervisor import GRACE_S
from controller.systemd import ServiceManager

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "docs" / "chargeyard.service"

TREE = """
import os, sys
from controller.supervisor import ChildSpec, Supervisor
from controller.systemd import ServiceManager
CHILD = '''
import os, sys, time
from controller.supervisor import notify_ready
assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)
while sys.argv[1] == "web" and not os.path.exists(sys.argv[2]): time.sleep(0.05)
notify_ready()
time.sleep(60)
'''
specs = [ChildSpec(name=n, argv=(sys.executable, "-c", CHILD, n, sys.argv[1])) for n in ("core", "web")]
manager = ServiceManager.from_environment()
sys.exit(Supervisor(specs, manager=manager).run())
"""


@pytest.fixture
def manager_socket(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        yield sock


def heard(sock: socket.socket) -> str:
    return sock.recv(4096).decode()


def test_ready_when_all_are_up_alive_in_time_and_stopping(manager_socket: socket.socket, tmp_path: Path) -> None:
    go = tmp_path / "go"
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000", "PYTHONPATH": str(ROOT)}
    tree = subprocess.Popen([sys.executable, "-c", TREE, str(go)], env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)
    try:
        said = [heard(manager_socket)]
        while said.count("WATCHDOG=1") < 4 or not any("core up" in word for word in said):
            said.append(heard(manager_socket))
        assert "READY=1" not in said, "the web is not up yet"
        go.touch()
        while said[-1] != "READY=1":
            said.append(heard(manager_socket))
        assert "STATUS=core up, web up" in said
        before = len(said)
        while said[before:].count("WATCHDOG=1") < 2:
            said.append(heard(manager_socket))
        tree.send_signal(signal.SIGTERM)
        while said[-1] != "STOPPING=1":
            said.append(heard(manager_socket))
        assert tree.wait(30) == 0
        assert said.count("READY=1") == 1
    finally:
        tree.kill()
        tree.communicate()


def test_without_systemd_nothing_is_told_and_nothing_waits(manager_socket: socket.socket) -> None:
    manager = ServiceManager.from_environment({"WATCHDOG_USEC": "600000"})
    manager.ready()
    manager.alive(1.0)
    assert manager.wait_s(1.0) > 1e9
    manager_socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        heard(manager_socket)


@pytest.mark.parametrize(
    ("environment", "watched"),
    [
        ({"WATCHDOG_USEC": "30000000"}, True),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "0"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
        ({}, False),
    ],
)
def test_the_watchdog_is_heard_at_half_its_time(environment: dict[str, str], watched: bool) -> None:
    given = {"NOTIFY_SOCKET": "/nowhere/notify", **environment}
    manager = ServiceManager.from_environment(given)
    assert given == {}, "the children have nobody to tell"
    assert manager.wait_s(100.0) == (0.0 if watched else float("inf"))
    manager.alive(100.0)  # nobody listens there: nothing happens
    assert manager.wait_s(101.0) == (14.0 if watched else float("inf"))


@pytest.mark.parametrize("address", ["", "notify", "vsock:2:1"])
def test_an_address_that_is_none_is_left_alone(address: str) -> None:
    ServiceManager.from_environment({"NOTIFY_SOCKET": address}).ready()


def test_an_abstract_address_is_reached() -> None:
    name = f"chargeyard-test-{os.getpid()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(5)
        ServiceManager(f"@{name}").status("x")
        assert heard(sock) == "STATUS=x"


def test_the_unit_fits_the_program() -> None:
    told = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE))
    assert told["Type"] == "notify"
    assert told["NotifyAccess"] == "main"
    assert int(told["TimeoutStopSec"]) > GRACE_S
    assert told["KillMode"] == "mixed"
    assert told["RestartPreventExitStatus"] == "2"
    assert told["OOMPolicy"] == "continue"


def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on the PATH (apt install systemd)")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/chargeyard/chargeyard", str(ROOT / "chargeyard")), encoding="utf-8")
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    security = subprocess.run([analyze, "security", "--offline=true", str(unit)], capture_output=True, text=True, timeout=60)
    exposed = re.search(r"Overall exposure level for \S+: ([\d.]+)", security.stdout)
    assert exposed is not None
    assert float(exposed[1]) <= 1.5
