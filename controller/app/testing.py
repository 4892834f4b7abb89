"""``chargeyard test``: the gates, then all tests; says how many were skipped and why.

Tests run on two processes, file by file; those marked ``serial`` (they measure times, or need the machine's quiet) run
alone after them. Both runs count into one last line in pytest's own form.
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

PARALLEL = ("-n", "2", "--dist", "loadfile", "-m", "not serial")
SERIAL = ("-m", "serial")

NOTHING_COLLECTED = 5
"""pytest's exit code when a selection holds no test: no failure of ours, as long as the other run had some."""


@dataclass(slots=True)
class Tally:
    """What one or more pytest runs counted. ``outcomes``: passed, failed, errors, skipped, xfailed."""

    outcomes: Counter[str] = field(default_factory=Counter)
    skips: list[str] = field(default_factory=list)
    failed: bool = False

    def add(self, summary: dict[str, Any], exit_code: int) -> None:
        """Count one run; one that ended without a summary has failed."""
        self.outcomes.update(summary.get("outcomes", {}))
        self.skips += summary.get("skips", [])
        self.failed = self.failed or exit_code not in (0, NOTHING_COLLECTED) or not summary

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
    selections = [pytest_arguments] if pytest_arguments else [(*PARALLEL, "--skip-budget"), (*SERIAL, "--skip-budget")]
    for selection in selections:
        summary, exit_code = _pytest((*selection, *(("--long",) if long else ())))
        tally.add(summary, exit_code)
    if tally.skips:
        console.print(f"\nskipped: {len(tally.skips)}", highlight=False)
        for line in skip_table(tally.skips):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if failed_gates:
        console.print("[red]gates failed:[/] " + ", ".join(step.name for step in failed_gates), highlight=False)
    failed = tally.failed or bool(failed_gates) or not tally.outcomes["passed"]
    console.print(f"[{'red' if failed else 'green'}]{tally.last_line(time.perf_counter() - started)}[/]", highlight=False)
    return 1 if failed else 0


def _pytest(arguments: tuple[str, ...]) -> tuple[dict[str, Any], int]:
    with tempfile.TemporaryDirectory(prefix="chargeyard-test-") as folder:
        path = Path(folder) / "summary.json"
        command = [program("pytest"), "-q", "--no-header", "-rfE", "--summary", str(path), *arguments]
        exit_code = subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 (our own list)
        return (json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}), exit_code
