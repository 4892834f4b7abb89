"""``./chargeyard user``: people and machine tokens of a depot. A password is asked for or made up and shown once; it is
never taken from the command line, where others could read it."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from depot.values import Role

if TYPE_CHECKING:
    from web.users import Users

user = typer.Typer(help="People who may sign in, and tokens for machines.", no_args_is_help=True)
token = typer.Typer(help="Bearer tokens for machines.", no_args_is_help=True)
user.add_typer(token, name="token")
console = Console()

Config = Annotated[Path, typer.Option("--config", "-c", envvar="CHARGEYARD_CONFIG", help="The depot's configuration file.")]
Name = Annotated[str, typer.Argument(help="The person's name, as typed to sign in.")]
Generate = Annotated[
    bool, typer.Option("--generate", "-g", help="Make up a password and show it once; it must be changed at the first sign-in.")
]
CONFIG = Path("depot.toml")


@contextmanager
def _people(config: Path) -> Iterator[Users]:
    from controller.app.people import open_people
    from controller.clock import SystemClock
    from controller.settings import Settings
    from web.users import Users

    settings = Settings.load(config)
    with open_people(settings) as store:
        yield Users(store, SystemClock(), settings.depot.id, actor=f"command line ({shell_user()})")


def shell_user() -> str:
    """Who types, as the system knows it; a container may know nobody."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


def _password(name: str, *, generate: bool) -> str | None:
    """The password typed twice; None to have one made up (also where nobody can type)."""
    if generate or not sys.stdin.isatty():
        return None
    from web.users import check_password

    password: str = typer.prompt(f"Password for {name} (at least 12 characters)", hide_input=True, confirmation_prompt="The same again")
    check_password(password, name)
    return password


def _show(name: str, password: str, *, given: bool) -> None:
    if given:
        console.print(f"{name} can sign in now.", highlight=False)
    else:
        console.print(f"{name} can sign in with this password, shown only now, and must change it then:", highlight=False)
        console.print(f"    {password}", highlight=False)


@user.command("add")
def add(
    name: Name, *, role: Annotated[Role, typer.Option(help="What the person may do.")], config: Config = CONFIG, generate: Generate = False
) -> None:
    """Make an account."""
    password = _password(name, generate=generate)
    with _people(config) as people:
        _show(name, people.add(name, role, password), given=password is not None)


@user.command("list")
def show(*, config: Config = CONFIG) -> None:
    """Show all accounts."""
    table = Table("name", "role", "state", "since")
    with _people(config) as people:
        for person in people.list():
            state = "disabled" if person.disabled else ("must change the password" if person.must_change else "open")
            table.add_row(person.name, person.role.value, state, f"{person.created_at:%Y-%m-%d}" if person.created_at else "")
    console.print(table)


@user.command("disable")
def disable(name: Name, *, config: Config = CONFIG) -> None:
    """Shut an account and end its sessions at once."""
    with _people(config) as people:
        people.disable(name)
    console.print(f"{name} is shut out; `user enable` opens the account again.", highlight=False)


@user.command("enable")
def enable(name: Name, *, config: Config = CONFIG) -> None:
    """Open a shut account again."""
    with _people(config) as people:
        people.disable(name, disabled=False)
    console.print(f"{name} can sign in again.", highlight=False)


@user.command("reset")
def reset(name: Name, *, config: Config = CONFIG, generate: Generate = False) -> None:
    """Give a new password and end all sessions of the account."""
    password = _password(name, generate=generate)
    with _people(config) as people:
        _show(name, people.reset(name, password), given=password is not None)


@user.command("role")
def change_role(name: Name, role: Annotated[Role, typer.Argument(help="The new role.")], *, config: Config = CONFIG) -> None:
    """Give another role; it counts from the person's next click."""
    with _people(config) as people:
        people.set_role(name, role)
    console.print(f"{name} is {role.value} now.", highlight=False)


@token.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="What the machine is called.")],
    scopes: Annotated[list[str], typer.Argument(help="read, operate, visits, restore, limit, metrics, registry, audit, telemetry")],
    *,
    vehicle: Annotated[list[str] | None, typer.Option(help="With telemetry: may tell of this vehicle alone (may be given again).")] = None,
    config: Config = CONFIG,
) -> None:
    """Make a bearer token for /api/v1 and show it once."""
    from web.roles import SCOPES, Permission
    from web.users import UserError

    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise UserError(f"there is no scope {', '.join(unknown)}; scopes are {', '.join(SCOPES)}")
    with _people(config) as people:
        secret = people.add_token(name, [Permission(scope) for scope in scopes], vehicles=vehicle or ())
    console.print("Shown only now:", highlight=False)
    console.print(f"    {secret}", highlight=False)


@token.command("list")
def show_tokens(*, config: Config = CONFIG) -> None:
    """Show all tokens, without their secrets."""
    table = Table("name", "scopes", "since")
    with _people(config) as people:
        for entry in people.tokens():
            table.add_row(entry.name, " ".join(entry.scopes), f"{entry.created_at:%Y-%m-%d}")
    console.print(table)


@token.command("revoke")
def revoke_token(name: Annotated[str, typer.Argument(help="The token's name.")], *, config: Config = CONFIG) -> None:
    """Make a token worthless at once."""
    with _people(config) as people:
        people.revoke_token(name)
    console.print(f"token {name} is revoked.", highlight=False)
