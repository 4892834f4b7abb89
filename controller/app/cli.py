"""The command line. Each command loads what it needs when it runs, so that ``--help`` answers at once.

Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 a part that is needed is not reachable.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    name="chargeyard",
    help="The open controller for electric-fleet depots.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console()
complaints = Console(stderr=True)


@app.command("test")
def run_everything(
    pytest_arguments: Annotated[
        list[str] | None, typer.Argument(help="For pytest, as they are (after --): then only these tests run, without the gates.")
    ] = None,
    *,
    long: Annotated[bool, typer.Option("--long", help="Also run the tests that take minutes.")] = False,
) -> None:
    """Run all gates and all tests; say how many tests were skipped and why."""
    from controller.app.testing import run_tests

    raise typer.Exit(run_tests(console, long=long, pytest_arguments=tuple(pytest_arguments or ())))


@app.command("check")
def check_gates() -> None:
    """Check style, layout, types, import rules and documentation."""
    from controller.app.check import run_check

    raise typer.Exit(run_check(console))


def main() -> int:
    """Run the command line; an expected error is one sentence, never a traceback."""
    app(prog_name="./chargeyard")
    return 0
