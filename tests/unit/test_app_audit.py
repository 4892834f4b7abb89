"""``./chargeyard audit``: what it prints, what it finds, what it does not believe."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_app_user import config  # noqa: F401  # a fixture: a depot's settings in a folder
from typer.testing import CliRunner

import controller
from controller import audit_csv
from controller.app.audit import AuditError, parse_since
from controller.app.cli import app
from controller.app.people import open_people
from controller.audit import Entry
from controller.clock import SystemClock
from controller.journal import SqlJournal
from controller.settings import Settings
from depot import events as ev
from depot.values import Role
from storage import Store
from web.users import Users

NOW = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)


async def lived(path: Path) -> Settings:
    """A depot in which mira limited the site and omar was given an account."""
    settings = Settings.load(path)
    with Store.open(settings.database) as store:
        store.migrate([controller])
        async with SqlJournal(store, "kothrud", clock=SystemClock()) as journal:
            asked = ev.CommandRequested("c1", "SetManualLimit", "site", "the \x1b[31mutility called")
            await journal.append([ev.NewEvent(asked, NOW, actor="mira")])
            await journal.append([ev.NewEvent(ev.CommandFinished("c1", "done", "site limited to 90.0 kW"), NOW)])
    with open_people(settings) as store:
        Users(store, SystemClock(), "kothrud").add("omar", Role.OPERATOR)
    return settings


def run(path: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["audit", str(path), *words])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.anyio
async def test_it_prints_checks_and_finds(config: Path) -> None:  # noqa: F811
    settings = await lived(config)
    shown = run(config)
    assert re.search(r"c1 +2026-03-30 00:00:00 +mira +SetManualLimit +site +requested", shown)
    assert re.search(r"p1 .*command line +AccountAdded +omar", shown)
    assert "\x1b" not in shown
    assert "mira" not in run(config, "--actor", "controller")
    assert "SetManualLimit" not in run(config, "--kind", "AccountAdded")
    assert "AccountAdded" in run(config, "--since", "2026-04-01")
    assert run(config, "--csv").splitlines()[0] == ",".join(audit_csv.HEADER)
    heads = re.findall(r"head (\d+:[0-9a-f]{64})", run(config, "--verify"))
    assert len(heads) == 2
    assert "kept elsewhere" in run(config, "--expect", heads[0])
    assert "written anew" in run(config, "--expect", f"1:{'0' * 64}", code=1)
    with Store.open(settings.database) as store, store.writing() as connection:
        connection.exec_driver_sql("UPDATE events SET actor = 'nobody' WHERE seq = 1")
    assert "NOT SOUND: fact seq 1 " in run(config, "--verify", code=1)


def test_there_is_nothing_to_show_before_the_first_start(config: Path) -> None:  # noqa: F811
    assert isinstance(CliRunner().invoke(app, ["audit", str(config)]).exception, Exception)
    result = CliRunner().invoke(app, ["audit", str(config), "--expect", "7"])
    assert isinstance(result.exception, AuditError)


def test_times_are_the_depots_unless_they_say_otherwise() -> None:
    assert parse_since("2026-03-30", "Asia/Kolkata") == NOW
    assert parse_since("2026-03-29T18:30:00Z", "Asia/Kolkata") == NOW
    with pytest.raises(AuditError, match="no date"):
        parse_since("yesterday", "Asia/Kolkata")


def test_no_cell_becomes_a_formula() -> None:
    entry = Entry(7, NOW, "=cmd|calc", "StopCharging", "@x", 'a,"b"', "requested", "-1", 3)
    assert audit_csv.rows([("commands", entry)], header=False) == (
        'commands,3,2026-03-29T18:30:00.000Z,\'=cmd|calc,StopCharging,\'@x,"a,""b""",requested,\'-1,7\r\n'
    )
