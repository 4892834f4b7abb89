"""Logs of real processes: whatever happens in one, machines get one JSON object a line, and no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.logs import INHERIT_VARIABLE, redacted

ROOT = Path(__file__).resolve().parents[2]
START = "import asyncio, gc, logging, os, sys, threading, warnings\nfrom controller.logs import set_up\n"


def lines_of(code: str, *, set_up: str = 'set_up("x", json_lines=True)', **environment: str) -> list[dict[str, Any]]:
    """What a process that runs ``code`` writes on both streams: every line an object."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", f"{START}{set_up}\n{code}"], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines, "nothing was said"
    found = [json.loads(line) for line in lines]
    for line in found:
        assert line.keys() >= {"at", "level", "process", "logger", "message"}
    return found


@pytest.mark.parametrize(
    ("code", "level", "message", "error"),
    [
        ('logging.warning("a\\nb \\u2028 \\ud800 %s", "c")', "warning", "a\nb \u2028 \ud800 c", ""),
        ('raise ValueError("two\\nlines")', "critical", "this process ends: ValueError", "ValueError: two\nlines"),
        ("t = threading.Thread(target=lambda: 1 / 0, name='w'); t.start(); t.join()", "critical", "thread w ends", "ZeroDivisionError"),
        ('warnings.warn("old\\nthing", DeprecationWarning)', "warning", "DeprecationWarning: old\nthing", ""),
        ("class A:\n  def __del__(self): 1 / 0\nA()", "error", "__del__", "ZeroDivisionError"),
        ('logging.error("%d kW", "many")', "error", "can't be written: TypeError", ""),
        (
            "async def fail(): 1 / 0\n"
            "async def main():\n  asyncio.create_task(fail()); await asyncio.sleep(0.01)\n"
            "asyncio.run(main())\ngc.collect()",
            "error",
            "Task exception was never retrieved",
            "ZeroDivisionError",
        ),
        (
            "async def main():\n  asyncio.get_running_loop().call_soon(lambda: 1 / 0); await asyncio.sleep(0.01)\nasyncio.run(main())",
            "error",
            "Exception in callback",
            "ZeroDivisionError",
        ),
        ('async def f(): pass\nf()\ngc.collect()\nlogging.error("end")', "warning", "coroutine 'f' was never awaited", ""),
    ],
    ids=["message", "main", "thread", "warning", "destructor", "bad record", "task", "callback", "coroutine"],
)
def test_whatever_happens_is_one_object_a_line(code: str, level: str, message: str, error: str) -> None:
    first = lines_of(code)[0]
    assert first["level"] == level
    assert message in first["message"]
    assert error in first.get("error", "")


def test_a_child_begins_to_log_as_its_parent_does() -> None:
    inherited = {INHERIT_VARIABLE: "json,warning"}
    (line,) = lines_of('logging.info("hidden"); logging.warning("shown")', set_up='set_up("early")', **inherited)
    assert (line["process"], line["message"]) == ("early", "shown")
    program = "from controller.logs import set_up; set_up('y'); import logging; logging.error(1)"
    child = f'import subprocess; subprocess.run([sys.executable, "-c", {program!r}])'
    assert lines_of(child, **{INHERIT_VARIABLE: "people,error"})[0]["process"] == "y"


def test_people_get_lines_and_whole_tracebacks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f'{START}set_up("core")\nlogging.info("hello")\n1 / 0'],
        env={**os.environ, "PYTHONPATH": str(ROOT), INHERIT_VARIABLE: ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "core    INFO     hello" in done.stderr
    assert "Traceback" in done.stderr
    assert done.returncode == 1


def test_libraries_have_no_other_way_out() -> None:
    code = (
        'own = logging.StreamHandler(sys.stdout); logging.getLogger("lib").addHandler(own)\n'
        'from controller.logs import adopt_libraries; adopt_libraries()\nlogging.getLogger("lib").warning("once")'
    )
    assert [line["message"] for line in lines_of(code)] == ["once"]


def test_secrets_in_an_error_are_hidden_too() -> None:
    (line,) = lines_of('raise ValueError("password=hunter2")')
    assert "hunter2" not in json.dumps(line)
    assert redacted("Authorization: Basic Q1AxOnNlY3JldA==") == "Authorization: Basic [hidden]"
