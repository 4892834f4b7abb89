"""The command line: helpful at once, one sentence for expected errors, the agreed exit codes."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from ocpp_fakes import enters

from controller.app import cli, exits
from controller.secrets import load_depot_secret
from depot.values import InvalidValue
from ocpp_server import KeyedCredentials
from optimizer import Policy
from payments.mock_gateway.settings import PROFILES
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


@pytest.mark.parametrize("command", ["plan", "simulate", "replay", "backup", "restore", "station-key", "user", "test", "check"])
def test_every_commands_help_is_instant_and_complete(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "Usage: ./chargeyard " + command in done.stdout


def test_a_station_gets_a_password_and_its_hash(tmp_path: Path) -> None:
    config = tmp_path / "depot.toml"
    text = (ROOT / "docs" / "example-depot.toml").read_text(encoding="utf-8")
    config.write_text(text.replace('path = "var"', f'path = "{tmp_path / "var"}"'), encoding="utf-8")
    done = run("station-key", "HALL-A-01", "--config", str(config))
    password, key_hash = re.findall(r"\b[0-9a-f]{40,64}\b", done.stdout)
    secret = load_depot_secret(tmp_path / "var")
    assert enters(KeyedCredentials(key=secret, digests={"HALL-A-01": key_hash}), "HALL-A-01", password)
    unknown = run("station-key", "HALL-A-1", "--config", str(config))
    assert unknown.returncode == 2
    assert "did you mean HALL-A-01?" in unknown.stderr


def test_help_loads_no_heavy_part() -> None:
    code = (
        "import sys; from controller.app import cli; sys.argv = ['x', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'pyomo', 'sqlalchemy', 'fastapi', 'highspy', 'plotly') if m in sys.modules])"
    )
    assert run(code=code).stdout.rstrip().endswith("[]")


def test_choices_are_those_of_the_rooms() -> None:
    assert get_args(cli.PolicyName) == tuple(policy.value for policy in Policy)
    assert get_args(cli.GatewayProfile) == tuple(PROFILES)


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


@pytest.mark.parametrize("name", sorted(exits.EXPECTED))
def test_expected_errors_exist_under_their_names(name: str) -> None:
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), kind), Exception)
    assert exits.EXPECTED[name] in (1, 2, 3)
