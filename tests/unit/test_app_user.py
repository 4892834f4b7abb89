"""``./chargeyard user``: accounts and tokens from the command line, never a password on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.app.people import open_people
from controller.app.user import user
from controller.clock import SystemClock
from controller.settings import Settings
from depot.values import Role
from web.users import UserError, Users


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "depot.toml"
    file.write_text(
        f"""
        [depot]
        id = "kothrud"
        contract_kw = 500
        failsafe_kw = 200
        worst_background_kw = 50
        [[feeder]]
        id = "A"
        rating_kw = 200
        [storage]
        path = "{tmp_path / "var"}"
        """
    )
    return file


def run(config: Path, *words: str) -> str:
    result = CliRunner().invoke(user, [*words, "--config", str(config)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_an_account_lives_from_add_to_disable(config: Path) -> None:
    shown = run(config, "add", "Asha", "--role", "manager")
    password = re.search(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", shown)
    assert password is not None
    with open_people(Settings.load(config)) as store:
        people = Users(store, SystemClock(), "kothrud")
        person = people.verify("Asha", password[0])
        assert person is not None
        assert (person.role, person.must_change) == (Role.MANAGER, True)
    run(config, "role", "Asha", "viewer")
    assert "viewer" in run(config, "list")
    again = run(config, "reset", "Asha", "--generate")
    assert password[0] not in again
    run(config, "disable", "Asha")
    assert "disabled" in run(config, "list")
    run(config, "enable", "Asha")
    with pytest.raises(UserError, match="already"):
        run(config, "add", "Asha", "--role", "viewer")


def test_tokens(config: Path) -> None:
    assert "cy_" in run(config, "token", "add", "scada", "read", "limit")
    shown = run(config, "token", "list")
    assert "read limit" in shown
    assert "cy_" not in shown
    run(config, "token", "revoke", "scada")
    with pytest.raises(UserError, match="there is no scope launch"):
        run(config, "token", "add", "x", "launch")


def test_no_option_takes_a_password() -> None:
    for command in ("add", "reset"):
        shown = CliRunner().invoke(user, [command, "--help"]).output
        assert not re.search(r"--pass", shown)
