"""Supervisor: real processes, killed for real; nothing is left behind."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.logs import HumanFormatter, JsonFormatter, redacted

ROOT = Path(__file__).resolve().parents[2]

DRIVER = """
import json, logging, sys
from controller.supervisor import ChildSpec, Supervisor
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
children = [ChildSpec(**spec) for spec in json.loads(sys.argv[1])]
sys.exit(Supervisor(children, grace_s=float(sys.argv[2]), on_ready=lambda name: print("ready", name, flush=True)).run())
"""

CHILD = """
import os, signal, subprocess, sys, time
from controller.supervisor import notify_ready, wait_for_go
if "loads" in sys.argv:
    with open(sys.argv[1] + ".loaded", "a") as f: f.write(f"{os.getpid()}\\n")
wait_for_go()
with open(sys.argv[1], "a") as f: f.write(f"{os.getpid()}\\n")
if "stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "orderly" in sys.argv: signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(0)))
if "family" in sys.argv:
    inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(sys.argv[1] + ".inner", "a") as f: f.write(f"{inner.pid}\\n")
notify_ready()
time.sleep(60)
"""


def child(name: str, path: Path, *words: str, **more: object) -> dict[str, object]:
    return {"name": name, "argv": [sys.executable, "-c", CHILD, str(path / name), *words], **more}


def code(name: str, number: int, **more: object) -> dict[str, object]:
    return {
        "name": name,
        "argv": [sys.executable, "-c", f"import sys; print('port 1 in use', file=sys.stderr); sys.exit({number})"],
        **more,
    }


class Tree:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *specs: dict[str, object], grace_s: float = 5.0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(specs), str(grace_s)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.processes.append(process)
        return process

    def pids(self, name: str) -> list[int]:
        path = self.path / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(tmp_path)
    yield tree
    for process in tree.processes:
        process.kill()
        process.communicate()


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_children_start_in_order_and_end_with_a_signal(tree: Tree) -> None:
    process = tree.start(child("core", tree.path, "family"), child("web", tree.path))
    assert process.stdout is not None
    assert [process.stdout.readline().strip() for _ in range(2)] == ["ready core", "ready web"]
    pids = tree.pids("core") + tree.pids("web") + tree.pids("core.inner")
    assert len(pids) == 3
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert all(gone(pid) for pid in pids)


def test_killed_child_is_back_fast_and_takes_its_family_along(tree: Tree) -> None:
    process = tree.start(child("core", tree.path, "family"), child("web", tree.path))
    eventually(lambda: len(tree.pids("web")) == 1)
    (first,), (web,) = tree.pids("core"), tree.pids("web")
    killed = time.monotonic()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(tree.pids("core")) == 2)
    assert time.monotonic() - killed < 3  # back-off ≤ 0.2 s, the rest is the start of an interpreter on a busy machine
    assert gone(tree.pids("core.inner")[0])
    assert not gone(web)
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert errors.count("core killed by SIGKILL after") == 1


def test_a_spare_goes_on_in_place_of_the_dead_and_a_new_one_is_made(tree: Tree) -> None:
    process = tree.start(child("core", tree.path, "loads", spare=True))
    eventually(lambda: len(tree.pids("core.loaded")) == 2, within_s=20)
    first, spare = tree.pids("core.loaded")
    assert tree.pids("core") == [first]  # the other one waits
    os.kill(first, signal.SIGKILL)
    eventually(lambda: tree.pids("core") == [first, spare])
    eventually(lambda: len(tree.pids("core.loaded")) == 3, within_s=20)
    process.terminate()
    process.communicate(timeout=10)
    assert all(gone(pid) for pid in tree.pids("core.loaded"))


def test_what_can_be_loaded_early_is_loaded_while_others_come_up(tree: Tree) -> None:
    slow = "import time; from controller.supervisor import notify_ready; time.sleep(1.5); notify_ready(); time.sleep(60)"
    core: dict[str, object] = {"name": "core", "argv": [sys.executable, "-c", slow]}
    process = tree.start(core, child("web", tree.path, "loads", preload=True))
    eventually(lambda: len(tree.pids("web.loaded")) == 1)
    assert tree.pids("web") == []
    eventually(lambda: tree.pids("web") == tree.pids("web.loaded"))
    process.kill()
    eventually(lambda: all(gone(pid) for pid in tree.pids("web.loaded")))


def test_killed_supervisor_leaves_nothing(tree: Tree) -> None:
    process = tree.start(child("core", tree.path), child("web", tree.path))
    eventually(lambda: len(tree.pids("web")) == 1)
    process.kill()
    eventually(lambda: all(gone(pid) for pid in tree.pids("core") + tree.pids("web")))


def test_stubborn_child_is_killed_after_the_grace(tree: Tree) -> None:
    process = tree.start(child("core", tree.path, "stubborn"), grace_s=0.5)
    eventually(lambda: len(tree.pids("core")) == 1)
    time.sleep(0.1)
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "did not end within" in errors
    assert gone(tree.pids("core")[0])


def test_the_same_signal_twice_at_once_still_lets_the_children_end_in_order(tree: Tree) -> None:
    process = tree.start(child("core", tree.path, "orderly"))
    eventually(lambda: len(tree.pids("core")) == 1)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "killed" not in errors


def test_a_second_signal_does_not_wait_for_the_grace(tree: Tree) -> None:
    process = tree.start(child("core", tree.path, "stubborn"), grace_s=60.0)
    eventually(lambda: len(tree.pids("core")) == 1)
    time.sleep(0.2)
    process.terminate()
    time.sleep(1.3)
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert "killed" in errors
    assert gone(tree.pids("core")[0])


@pytest.mark.parametrize("number", [2, 3])
def test_bad_settings_or_a_port_in_use_end_everything_with_that_code(tree: Tree, number: int) -> None:
    process = tree.start(child("core", tree.path), code("web", number))
    _, errors = process.communicate(timeout=10)
    assert process.returncode == number
    assert "port 1 in use" in errors
    assert all(gone(pid) for pid in tree.pids("core"))


def test_a_program_that_is_not_there_ends_everything(tree: Tree) -> None:
    process = tree.start({"name": "core", "argv": ["/no/such/program"]})
    process.communicate(timeout=10)
    assert process.returncode == 3


def test_other_failures_are_tried_again_with_growing_pauses(tree: Tree) -> None:
    process = tree.start(child("core", tree.path), code("planner", 1), code("extra", 3, essential=False))
    time.sleep(2.5)
    assert process.poll() is None
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert 2 <= errors.count("port 1 in use") <= 8
    assert "planner ended with code 1" in errors


def test_work_that_is_done_once_ends_the_tree(tree: Tree) -> None:
    process = tree.start(code("job", 0, once=True, reports_ready=False))
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_log_lines_carry_no_secrets() -> None:
    for text in ("Authorization: Basic Q1AxOnNlY3JldA==", "password=Q1AxOnNlY3JldA==", "{'token': 'Q1AxOnNlY3JldA=='}"):
        assert "Q1AxOnNlY3JldA" not in redacted(text)
    assert redacted("the key of CP1 was refused") == "the key of CP1 was refused"
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "password=%s at CP1", ("hunter2",), None)
    assert "hunter2" not in HumanFormatter("core").format(record)
    assert json.loads(JsonFormatter("core").format(record))["message"] == "password=[hidden] at CP1"
