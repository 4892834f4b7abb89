"""The command line: helpful at once, one sentence for expected errors, the agreed exit codes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.app import cli
from depot.values import InvalidValue
from storage.errors import StoreFull

ROOT = Path(__file__).resolve().parents[2]


def run(
    *arguments: str, code: str = "from controller.app.cli import main; import sys; sys.exit(main())"
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_every_command_explains_itself() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "check" in done.stdout
    assert "test" in done.stdout


def test_help_loads_no_heavy_part() -> None:
    code = (
        "import sys; from controller.app import cli; sys.argv = ['x', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'pyomo', 'sqlalchemy', 'fastapi', 'highspy', 'plotly') if m in sys.modules])"
    )
    assert run(code=code).stdout.rstrip().endswith("[]")


@pytest.mark.parametrize("arguments", [("nonsense",), ("check", "--nonsense")])
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "nonsense" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InvalidValue("limit x: -1 W is negative"), 2, "limit x: -1 W is negative"),
        (FileNotFoundError(2, "No such file or directory", "depot.toml"), 2, "depot.toml: No such file or directory"),
        (ConnectionRefusedError("nobody listens"), 3, "nobody listens"),
        (StoreFull("chargeyard.db can't grow"), 3, "chargeyard.db can't grow"),
    ],
)
def test_expected_errors_are_one_sentence(
    error: Exception, code: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert cli.main() == code
    assert capsys.readouterr().err.strip() == f"chargeyard: {text}"


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(KeyError):
        cli.main()


@pytest.mark.parametrize("name", sorted(cli.EXPECTED))
def test_expected_errors_exist_under_their_names(name: str) -> None:
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), kind), Exception)
    assert cli.EXPECTED[name] in (1, 2, 3)
