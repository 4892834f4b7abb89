"""The command line. Each command loads what it needs when it runs, so that ``--help`` answers at once.

Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 a part that is needed is not reachable.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

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


EXPECTED: dict[str, int] = {
    "builtins.ConnectionError": 3,
    "builtins.OSError": 2,
    "controller.link.LinkError": 3,
    "depot.ports.JournalFrozen": 3,
    "depot.values.DepotError": 2,
    "ocpp_server.errors.OcppError": 2,
    "ocpp_server.errors.PortInUse": 3,
    "optimizer.errors.OptimizerError": 2,
    "optimizer.errors.SolverFailed": 1,
    "storage.errors.StorageError": 3,
}
"""Errors that mean something to a person, with their exit code; the nearest ancestor counts. By name: nothing is loaded
for it. Anything else is a mistake of ours and keeps its traceback."""


def exit_code_of(error: BaseException) -> int | None:
    """The exit code for an expected error; None for one that nobody expected."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((EXPECTED[name] for name in names if name in EXPECTED), None)


def sentence(error: BaseException) -> str:
    """What an expected error says to a person."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def main() -> int:
    """Run the command line; an expected error is one sentence, never a traceback."""
    try:
        app(prog_name="./chargeyard")
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        complaints.print(f"[red]chargeyard:[/] {escape(sentence(error))}", highlight=False, soft_wrap=True)
        return code
    return 0
