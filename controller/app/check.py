"""``chargeyard check``: every gate that needs no running depot, each timed, all of them run even when one fails."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
"""The checkout. The gates judge the source, so they run there wherever they were called from."""


@dataclass(frozen=True, slots=True)
class Step:
    """One gate: what it keeps, and the environment's program with its arguments that judges it (exit code 0: kept)."""

    name: str
    arguments: tuple[str, ...]


STEPS: tuple[Step, ...] = (
    Step("style (ruff check)", ("ruff", "check", "--quiet", ".")),
    Step("layout (ruff format)", ("ruff", "format", "--check", "--quiet", ".")),
    Step("types (mypy --strict)", ("mypy", "--no-error-summary")),
    Step("import rules (import-linter)", ("lint-imports", "--no-logo")),
)

DOCS_STEP = Step(
    "documentation (tests/unit/test_docs.py)", ("pytest", "-q", "--no-header", "-p", "no:cacheprovider", "tests/unit/test_docs.py")
)
"""Part of ``check`` alone: ``test`` runs the same file among all others."""


def program(name: str) -> str:
    """A tool of this environment, whatever the PATH says."""
    return str(Path(sys.executable).with_name(name))


def run_steps(steps: Sequence[Step], console: Console) -> list[Step]:
    """Run all ``steps`` in order, print each with its time and, where it failed, what it said; return the failed ones."""
    failed = []
    for step in steps:
        started = time.perf_counter()  # a developer's tool, outside any depot: no injected clock here
        command = [program(step.arguments[0]), *step.arguments[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 (our own list)
        took_s = time.perf_counter() - started
        if done.returncode == 0:
            console.print(f"[green]✓[/] {step.name} [dim]{took_s:.1f} s[/]", highlight=False)
        else:
            failed.append(step)
            console.print(f"[red]✗[/] {step.name} [dim]{took_s:.1f} s[/]", highlight=False)
            console.print((done.stdout + done.stderr).strip(), markup=False, highlight=False, soft_wrap=True)
    return failed


def run_check(console: Console) -> int:
    """All gates with the documentation's; exit code 0, or 1 with the failed ones named."""
    steps = (*STEPS, DOCS_STEP)
    failed = run_steps(steps, console)
    if failed:
        names = ", ".join(step.name for step in failed)
        console.print(f"[red]check: {len(failed)} of {len(steps)} failed:[/] {names}", highlight=False, soft_wrap=True)
        return 1
    console.print(f"[green]check: all {len(steps)} gates kept[/]", highlight=False)
    return 0
