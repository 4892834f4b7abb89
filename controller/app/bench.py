"""``chargeyard bench``: measures a part of the program on this machine, as its benchmark in ``benchmarks/`` does.

Exit codes: 0 every goal is met, 1 some are missed, 3 there are no benchmarks here (an installation without them).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console

from controller.app.check import ROOT

MODULES = {"optimizer": "benchmarks.plan_speed", "soh": "benchmarks.soh"}


def run_bench(what: str, arguments: Sequence[str], complaints: Console) -> int:
    """Run the benchmark of ``what`` with its own ``arguments``; paths in them are the caller's."""
    if not (ROOT / "benchmarks").is_dir():
        complaints.print(f"There are no benchmarks in {ROOT}: they are in the project's repository.", markup=False, highlight=False)
        return 3
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", MODULES[what], *arguments]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 (a module of our own)
