"""``chargeyard test``: the gates, then all tests; says how many were skipped and why.

Tests run on two processes, file by file; after them those marked ``apart`` (they start whole depots), two at a time; then, alone,
those marked ``serial`` (they measure times, or need the machine's quiet). All runs count into one last line in pytest's own form.

A machine that is busy with something else makes a measured time late. So of the last two kinds a few tests that failed get one more
try, alone, and are named whatever it says; the others get none.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from controller.app.check import ROOT, STEPS, program, run_steps

PAIRS = ("-n", "2", "--dist", "loadfile")
PARALLEL = (*PAIRS, "-m", "not serial and not apart")
TIMED = {"apart": PAIRS, "serial": ()}

AGAIN_AT_MOST = 4
"""As many tests of a run get a second try; more that fail are no chance."""

SOME_FAILED = 1
"""pytest's exit code when it ran, and tests failed."""

NOTHING_COLLECTED = 5
"""pytest's exit code when a selection holds no test: no failure of ours, as long as the other run had some."""


@dataclass(slots=True)
class Tally:
    """What one or more pytest runs counted. ``outcomes``: passed, failed, errors, skipped, xfailed."""

    outcomes: Counter[str] = field(default_factory=Counter)
    skips: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    failed: bool = False

    def add(self, summary: dict[str, Any], exit_code: int) -> None:
        """Count one run; one that ended without a summary has failed."""
        self.outcomes.update(summary.get("outcomes", {}))
        self.skips += summary.get("skips", [])
        self.failed = self.failed or exit_code not in (0, NOTHING_COLLECTED) or not summary

    def add_second_try(self, tried: list[str], summary: dict[str, Any], exit_code: int) -> None:
        """Count a second try of tests that are counted as failed; they pass only all together."""
        self.again += tried
        if exit_code == 0 and summary.get("outcomes", {}).get("passed", 0) == len(tried):
            self.outcomes["failed"] -= len(tried)
            self.outcomes["passed"] += len(tried)
        else:
            self.failed = True

    def last_line(self, took_s: float) -> str:
        """``12 passed, 1 skipped in 3.4s``, in pytest's words and order."""
        counts = [f"{self.outcomes[name]} {name}" for name in ("failed", "passed", "skipped", "xfailed", "errors") if self.outcomes[name]]
        return f"{', '.join(counts) or 'no tests ran'} in {took_s:.1f}s"


def skip_table(skips: list[str]) -> list[str]:
    """One line per reason, the most frequent first; numbers and paths inside a reason don't split it."""
    reasons = Counter(re.sub(r"/\S+", "…", reason.splitlines()[0] if reason else "no reason given") for reason in skips)
    return [f"{count:5d} × {reason}" for reason, count in reasons.most_common()]


def run_tests(console: Console, *, long: bool, pytest_arguments: tuple[str, ...] = ()) -> int:
    """Gates and tests; exit code 0, or 1 when a gate or a test failed or more was skipped than allowed.

    ``pytest_arguments`` go to pytest as they are; with them only the tests run, in one process and without the budget.
    """
    started = time.perf_counter()  # a developer's tool, outside any depot: no injected clock here
    tally = Tally()
    failed_gates = [] if pytest_arguments else run_steps(STEPS, console)
    more = ("--long",) if long else ()
    if pytest_arguments:
        tally.add(*_pytest((*pytest_arguments, *more)))
    else:
        tally.add(*_pytest((*PARALLEL, "--skip-budget", *more)))
        for marker, how in TIMED.items():
            _run_timed(tally, (*how, "-m", marker, *files_with(marker)), more)
    if tally.skips:
        console.print(f"\nskipped: {len(tally.skips)}", highlight=False)
        for line in skip_table(tally.skips):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    for test in tally.again:
        console.print(f"needed a second try: {test}", markup=False, highlight=False, soft_wrap=True)
    if failed_gates:
        console.print("[red]gates failed:[/] " + ", ".join(step.name for step in failed_gates), highlight=False)
    failed = tally.failed or bool(failed_gates) or not tally.outcomes["passed"]
    console.print(f"[{'red' if failed else 'green'}]{tally.last_line(time.perf_counter() - started)}[/]", highlight=False)
    return 1 if failed else 0


def files_with(marker: str) -> list[str]:
    """The test files in which a marker stands: to collect all others again would take a minute."""
    return sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py") if f"mark.{marker}" in path.read_text("utf-8")
    )


def _run_timed(tally: Tally, selection: tuple[str, ...], more: tuple[str, ...]) -> None:
    summary, exit_code = _pytest((*selection, "--skip-budget", *more))
    tried = second_try(summary, exit_code)
    tally.add(summary, 0 if tried else exit_code)
    if tried:
        tally.add_second_try(tried, *_pytest((*tried, *more)))


def second_try(summary: dict[str, Any], exit_code: int) -> list[str]:
    """The tests of a run that get another try: none where something else than a few tests failed."""
    failed = summary.get("failures", [])
    only_tests = exit_code == SOME_FAILED and not summary.get("over_budget") and len(failed) == summary["outcomes"].get("failed", 0)
    return list(failed) if only_tests and len(failed) <= AGAIN_AT_MOST else []


def _pytest(arguments: tuple[str, ...]) -> tuple[dict[str, Any], int]:
    with tempfile.TemporaryDirectory(prefix="chargeyard-test-") as folder:
        path = Path(folder) / "summary.json"
        command = [program("pytest"), "-q", "--no-header", "-rfE", "--summary", str(path), *arguments]
        exit_code = subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 (our own list)
        return (json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}), exit_code
