"""Fixtures that every test may use, and the counting of skipped tests.

Markers ``data``, ``browser`` and ``long`` skip by themselves, with a reason, where what they need is absent. With
``--skip-budget`` the run fails when more is skipped than ``skips_allowed.toml`` allows; with ``--summary FILE`` the
counts are written down for ``./chargeyard test``.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from skip_budget import over_budget, read_allowances

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

_summary = pytest.StashKey[dict[str, Any]]()


def data_root() -> Path:
    """Where the real data sets lie, should they be there."""
    return Path(os.environ.get("CHARGEYARD_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def judge_path() -> Path:
    """Where the shared judge of physical traces lies, should it be there (``benchmarks.evidence.SHARED_JUDGE``)."""
    return Path(os.environ.get("CHARGEYARD_JUDGE", Path(__file__).resolve().parents[2] / "shared" / "tools" / "judge_trace.py"))


def chromium_path() -> str | None:
    """The system's Chromium."""
    return next((path for path in map(shutil.which, BROWSERS) if path), None)


@pytest.fixture
def anyio_backend() -> str:
    """The product runs on asyncio."""
    return "asyncio"


@pytest.fixture
def data_dir() -> Path:
    """The folder of real data sets, which the project does not ship; skips where it is absent."""
    root = data_root()
    if not root.is_dir():
        pytest.skip(f"real data sets not found in {root} (set CHARGEYARD_DATA)")
    return root


@pytest.fixture(autouse=True)
def _no_part_fails(request: pytest.FixtureRequest) -> Iterator[None]:
    """A room of the core that falls is begun again, and a rule that falls hides no other, so that a depot goes on; a test of ours
    must not pass over it."""
    fallen: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fallen.append(record.getMessage() + "\n" + logging.Formatter().formatException(record.exc_info or sys.exc_info()))

    listener = Listener(logging.ERROR)
    watched = [logging.getLogger(name) for name in ("controller.room_keeper", "bms_bridge.rules.frame")]
    for logger in watched:
        logger.addHandler(listener)
    yield
    for logger in watched:
        logger.removeHandler(listener)
    if request.node.get_closest_marker("parts_fail") is None:
        assert not fallen, fallen[0]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """A test that starts a depot and leaves a socket open fails itself, and not the run at its very end."""
    result = yield
    if any(pyfuncitem.get_closest_marker(name) for name in ("apart", "serial")):
        gc.collect()
    return result


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")
    parser.addoption("--skip-budget", action="store_true", help="fail when more tests are skipped than skips_allowed.toml allows")
    parser.addoption("--summary", metavar="FILE", help="write the counts of this run to FILE as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_summary] = {"outcomes": Counter(), "skips": [], "failures": [], "over_budget": []}
    # the same examples for everybody, so that a run says something of the change and not of chance; --long looks for new ones
    hypothesis.settings.register_profile("steady", derandomize=True)
    hypothesis.settings.load_profile("default" if config.getoption("--long") else "steady")
    config.pluginmanager.register(_Counting(config.stash[_summary]), "chargeyard-counting")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {}
    if not config.getoption("--long"):
        reasons["long"] = "takes minutes: run with --long"
    if not data_root().is_dir():
        reasons["data"] = f"real data sets not found in {data_root()} (set CHARGEYARD_DATA)"
    if chromium_path() is None:
        reasons["browser"] = "no Chromium on the PATH (apt install chromium)"
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


class _Counting:
    """Sees every report: of this process, or under xdist of its workers."""

    def __init__(self, summary: dict[str, Any]) -> None:
        self.outcomes: Counter[str] = summary["outcomes"]
        self.skips: list[str] = summary["skips"]
        self.failures: list[str] = summary["failures"]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "wasxfail"):
            self.outcomes["xfailed"] += report.skipped
        elif report.failed:
            self.outcomes["failed" if report.when == "call" else "errors"] += 1
            self.failures.append(report.nodeid)
        elif report.skipped:
            self._skipped(report.longrepr)
        elif report.when == "call":
            self.outcomes["passed"] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.outcomes["errors"] += 1
        elif report.skipped:
            self._skipped(report.longrepr)

    def _skipped(self, longrepr: object) -> None:
        self.outcomes["skipped"] += 1
        text = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
        self.skips.append(text.removeprefix("Skipped: "))


def _conditions(config: pytest.Config) -> set[str]:
    here = {
        "no judge": not judge_path().is_file(),
        "no data": not data_root().is_dir(),
        "no chromium": chromium_path() is None,
        "no mbpoll": shutil.which("mbpoll") is None,
        "no openssl": shutil.which("openssl") is None,
        "no systemd": shutil.which("systemd-analyze") is None,
        "short run": not config.getoption("--long"),
        "root": os.geteuid() == 0,
        "not linux": sys.platform != "linux",
        "always": True,
    }
    return {name for name, holds in here.items() if holds}


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    if hasattr(config, "workerinput"):  # an xdist worker: the main process counts for all
        return
    summary = config.stash[_summary]
    if config.getoption("--skip-budget"):
        summary["over_budget"] = over_budget(summary["skips"], allowances=read_allowances(), conditions=_conditions(config))
        if summary["over_budget"] and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if path := config.getoption("--summary"):
        Path(path).write_text(json.dumps(summary, indent=2), encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    complaints = config.stash[_summary]["over_budget"]
    if complaints:
        terminalreporter.section("more skipped than allowed", red=True)
        for complaint in complaints:
            terminalreporter.write_line(complaint)
