"""``./chargeyard driver``: each look at contact data is a command with its reason; a phone number is never an argument."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_depot import NOW
from typer.testing import CliRunner

from controller.app import driver_cli
from controller.drivers_view import DriverRow, PayingDriversView
from depot import commands as cmd

ROW = DriverRow(
    driver_id="g-abc", phone="98•••••210", email="r•••@example.org", name="R•••", vpa="", source="page", created_at=NOW, used_at=NOW,
    erased_at=None, keeps="a mandate is active: end it first", readable=True,
)  # fmt: skip


class FakeLink:
    """Answers as the core would."""

    def __init__(self) -> None:
        self.commands: list[cmd.Command] = []
        self.status, self.message = cmd.CommandStatus.DONE, "done"
        self.answer: Mapping[str, Any] | None = None

    async def show(self, kind: type[Any], **_: str) -> Any:
        return kind(at=NOW, drivers=[ROW], contact_days=180, message_days=30) if kind is PayingDriversView else None

    async def command(self, command: cmd.Command, *, within_s: float | None = None) -> cmd.CommandResult:
        self.commands.append(command)
        return cmd.CommandResult(command.command_id, self.status, self.message, 7, self.answer)


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> FakeLink:
    fake = FakeLink()

    def with_(_: Path, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def ask() -> Any:
            return await work(fake)

        return asyncio.run(ask())

    monkeypatch.setattr(driver_cli, "_with", with_)
    return fake


def run(*words: str, typed: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(driver_cli.driver, list(words), input=typed)
    return result.exit_code, result.output


def test_the_list_is_masked(link: FakeLink) -> None:
    code, said = run("list", "--json")
    assert code == 0
    assert json.loads(said)["drivers"][0]["phone"] == "98•••••210"
    assert link.commands == []


def test_a_number_is_asked_for_and_the_search_has_a_reason(link: FakeLink) -> None:
    link.answer = {"driver_ids": ["g-abc"]}
    code, said = run("find", "--reason", "called about a bill", typed="98765 43210\n")
    assert (code, "g-abc" in said) == (0, True)
    (command,) = link.commands
    assert isinstance(command, cmd.FindDriver)
    assert (command.phone, command.reason) == ("98765 43210", "called about a bill")
    assert command.actor.startswith("console ")
    link.answer = {"driver_ids": []}
    assert run("find", "--reason", "x", typed="98765 43210\n")[0] == 1


def test_data_go_into_a_file_that_only_its_owner_reads(link: FakeLink, tmp_path: Path) -> None:
    link.answer = {"contact": {"phone": "+919876543210"}}
    file = tmp_path / "g-abc.json"
    assert run("data", "g-abc", "-o", str(file), "--reason", "asked in writing")[0] == 0
    assert json.loads(file.read_text(encoding="utf-8")) == link.answer
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_erasing_is_asked_for_twice_and_tells_what_keeps_it(link: FakeLink) -> None:
    assert run("erase", "g-abc", "--reason", "asked", typed="n\n")[0] == 1
    assert link.commands == []
    link.message = "driver g-abc is erased"
    code, said = run("erase", "g-abc", "--reason", "asked", "--yes")
    assert (code, "is erased" in said) == (0, True)
    link.status, link.message = cmd.CommandStatus.ACCEPTED, "the gateway was told; ask again"
    assert run("erase", "g-abc", "--reason", "asked", "--yes")[0] == 1
    link.status, link.message = cmd.CommandStatus.REFUSED, "money is still owed"
    assert run("erase", "g-abc", "--reason", "asked", "--yes")[0] == 1
    assert run("erase", "g-abc", "--reason", " ", "--yes")[0] == 2
