"""``chargeyard bench optimizer|soc|soh|debits|webhooks``: measures a part of the program on this machine, as its benchmark in
``benchmarks/`` does.

Exit codes: 0 every goal is met, 1 some are missed, 3 there are no benchmarks here (an installation without them).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from controller.app.check import ROOT

MODULES = {
    "optimizer": "benchmarks.plan_speed",
    "soh": "benchmarks.soh",
    "soc": "benchmarks.soc",
    "rul": "benchmarks.rul",
    "grade": "benchmarks.grade",
    "twin": "benchmarks.twin",
    "anomalies": "benchmarks.anomalies",
    "debits": "benchmarks.debits",
    "webhooks": "benchmarks.webhooks",
}

bench = typer.Typer(help="Measure a part of the program on this machine.", no_args_is_help=True)

_Seed = Annotated[int, typer.Option("--seed", help="Of all chance in the run.")]


@bench.command("optimizer")
def optimizer(
    *,
    data: Annotated[Path | None, typer.Option("--data", help="A folder with scenarios/*.json, to measure them, too.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats, no 5,000 vehicles: about half a minute.")] = False,
) -> None:
    """How fast and how exact plans are, beside a raw HiGHS build of the same model. About five minutes."""
    paths = [word for name, path in (("--data", data), ("--json", as_json)) if path is not None for word in (name, str(path))]
    raise typer.Exit(run_bench("optimizer", [*paths, *(["--quick"] if quick else [])]))


@bench.command("soh")
def soh(
    *,
    data: Annotated[Path, typer.Option("--data", help="The folder of data sets.")],
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rows, trees and folds.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Seven estimators on the same folds, too.")] = False,
) -> None:
    """How good battery health is on cells, batches, temperatures and chemistries that were kept apart."""
    words = ["--data", str(data), *(["--json", str(as_json)] if as_json is not None else [])]
    flags = [word for word, wanted in (("--quick", quick), ("--compare", compare)) if wanted]
    raise typer.Exit(run_bench("soh", [*words, *flags]))


@bench.command("soc")
def soc(
    *,
    data: Annotated[Path | None, typer.Option("--data", help="The folder of data sets, for CALCE's cells.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One kind of cell, every fourth cycle.")] = False,
) -> None:
    """How far off states of charge are, and whether their intervals hold, with sensors that are off and a wrong start."""
    paths = [word for name, path in (("--data", data), ("--json", as_json)) if path is not None for word in (name, str(path))]
    raise typer.Exit(run_bench("soc", [*paths, *(["--quick"] if quick else [])]))


@bench.command("rul")
def rul(
    *,
    data: Annotated[Path, typer.Option("--data", help="The folder of data sets.")],
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Without the folds inside of the taught cells.")] = False,
) -> None:
    """How well the first hundred cycles tell the life of fast-charged LFP cells, on the published split."""
    _of_health("rul", data, as_json, quick=quick)


@bench.command("grade")
def grade(
    *,
    data: Annotated[Path, typer.Option("--data", help="The folder of data sets.")],
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One round of folds instead of three.")] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=50, help="So many rounds of folds, each with a seed of its own.")] = 3,
) -> None:
    """How often the grade of a retired cell from one pulse is right, cells kept apart."""
    _of_health("grade", data, as_json, "--rounds", str(rounds), quick=quick)


@bench.command("twin")
def twin(
    *,
    data: Annotated[Path | None, typer.Option("--data", help="The folder of data sets, to hold it against stored cells, too.")] = None,
    packs: Annotated[int, typer.Option("--packs", min=1, help="So many packs.")] = 1000,
    years: Annotated[int, typer.Option("--years", min=1, max=40, help="So far ahead.")] = 10,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
) -> None:
    """How long the digital twin takes for a fleet over years; with data, whether stored cells lie within what it foresees."""
    paths = [word for name, path in (("--data", data), ("--json", as_json)) if path is not None for word in (name, str(path))]
    raise typer.Exit(run_bench("twin", ["--packs", str(packs), "--years", str(years), *paths]))


@bench.command("anomalies")
def anomalies(
    *,
    data: Annotated[Path | None, typer.Option("--data", help="The folder of data sets; unset: cells with a stated spread.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the packs.")] = False,
    packs: Annotated[int, typer.Option("--packs", min=0, max=100_000, help="The daily look over so many packs instead.")] = 0,
    seed: _Seed = 7,
) -> None:
    """How early internal shorts are found that were put into strings of measured cells, and how often a healthy pack is called ill."""
    paths = [word for name, path in (("--data", data), ("--json", as_json)) if path is not None for word in (name, str(path))]
    more = [*(["--quick"] if quick else []), *(["--packs", str(packs)] if packs else [])]
    raise typer.Exit(run_bench("anomalies", [*paths, "--seed", str(seed), *more]))


def _of_health(what: str, data: Path, as_json: Path | None, *more: str, quick: bool) -> None:
    words = ["--data", str(data), *more, *(["--json", str(as_json)] if as_json is not None else [])]
    raise typer.Exit(run_bench(what, [*words, *(["--quick"] if quick else [])]))


@bench.command("debits")
def debits(
    *,
    count: Annotated[int, typer.Option("--debits", min=10, help="So many sessions, each to be debited once.")] = 10_000,
    kills: Annotated[int, typer.Option("--kills", min=0, help="How often the payment process is killed meanwhile.")] = 60,
    seed: _Seed = 3,
) -> None:
    """Is each bill debited exactly once, while the payment process is killed and the gateway misbehaves? A quarter of an hour."""
    raise typer.Exit(run_bench("debits", ["--debits", str(count), "--kills", str(kills), "--seed", str(seed)]))


@bench.command("webhooks")
def webhooks(
    *,
    rate: Annotated[float, typer.Option("--rate", min=1.0, help="Webhooks a second.")] = 50.0,
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="For so long.")] = 60.0,
    seed: _Seed = 1,
) -> None:
    """How soon webhooks are acknowledged, and whether forged, doubled and broken ones change anything. About two minutes."""
    raise typer.Exit(run_bench("webhooks", ["--rate", str(rate), "--seconds", str(seconds), "--seed", str(seed)]))


def run_bench(what: str, arguments: Sequence[str]) -> int:
    """Run the benchmark of ``what`` with its own ``arguments``; paths in them are the caller's."""
    if not (ROOT / "benchmarks").is_dir():
        complaints = Console(stderr=True)
        complaints.print(f"There are no benchmarks in {ROOT}: they are in the project's repository.", markup=False, highlight=False)
        return 3
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", MODULES[what], *arguments]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 (a module of our own)
