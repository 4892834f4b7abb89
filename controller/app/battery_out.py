"""Files that ``./chargeyard battery …`` writes: looked at before long work, whole or not at all; what cannot be is one sentence and exit
code 2."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from bms_bridge import in_one_step

USAGE = 2
complaints = Console(stderr=True)


def places(*paths: Path | None) -> None:
    """End the command where one of them could not be written: before minutes are spent on what goes into it."""
    for path in paths:
        if path is not None:
            with _refusing(path):
                in_one_step.ready(path)


def put(path: Path, data: bytes, *, mode: int = in_one_step.FILE_MODE, replace: bool = True) -> None:
    """Write ``data``; the old file stays until the new one is whole. ``mode``, ``replace``: as in :func:`in_one_step.write`."""
    with _refusing(path):
        in_one_step.write(path, data, mode=mode, replace=replace)


def put_rows(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write ``rows`` as CSV."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    put(path, stream.getvalue().encode())


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        words = f"{path} cannot be written: {in_one_step.why(error)}"
        complaints.print(f"[red]chargeyard:[/] {escape(words)}", highlight=False, soft_wrap=True)
        raise typer.Exit(USAGE) from error
