"""``./chargeyard driver``: drivers who pay, for the depot's person at the controller: find, list, tell what is kept, erase.

It speaks to the running core like the pages, so each look at contact data stands in the audit trail with its reason. A phone number
is asked for and never taken from the command line, where others could read it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from controller.link import CoreLink
    from depot import commands as cmd

T = TypeVar("T")

driver = typer.Typer(help="Drivers who pay: find, list, what is kept of one, erase.", no_args_is_help=True)
console = Console()
complaints = Console(stderr=True)

Config = Annotated[Path, typer.Option("--config", "-c", envvar="CHARGEYARD_CONFIG", help="The depot's configuration file.")]
DriverId = Annotated[str, typer.Argument(help="The driver's id, as the list has it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
CONFIG = Path("depot.toml")
GATEWAY_S = 25.0
"""How long ending a mandate may take at the gateway."""


@driver.command("list")
def list_drivers(*, config: Config = CONFIG, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Drivers who pay, the last used first; contact data masked."""
    import msgspec

    from controller.drivers_view import PayingDriversView

    found = _with(config, lambda link: link.show(PayingDriversView))
    if found is None:
        _no("nobody pays in this depot: its settings have no [payments]")
    if as_json:
        console.print_json(msgspec.json.encode(found).decode())
        return
    table = Table(box=None, pad_edge=False)
    for name in ("driver", "phone", "e-mail", "name", "UPI", "last used", "erasure waits for"):
        table.add_column(name)
    for row in found.drivers:
        last = "erased" if row.erased_at is not None else f"{row.used_at:%Y-%m-%d}"
        table.add_row(row.driver_id, row.phone, row.email, row.name, row.vpa, last, row.keeps)
    console.print(table)


@driver.command("find")
def find_driver(*, reason: Reason, config: Config = CONFIG) -> None:
    """Ids of the drivers who gave a phone number, which is asked for (or read from standard input)."""
    from depot import commands as cmd

    phone = typer.prompt("Phone number", hide_input=False)
    result = _send(config, lambda base: cmd.FindDriver(**base, phone=phone[:30]), reason)
    ids = [str(name) for name in (result.answer or {}).get("driver_ids", [])]
    console.print("\n".join(ids) if ids else "No driver gave this number.", highlight=False, markup=False)
    raise typer.Exit(0 if ids else 1)


@driver.command("data")
def driver_data(
    driver_id: DriverId,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where it is written (JSON), readable by you alone.")],
    reason: Reason,
    config: Config = CONFIG,
) -> None:
    """Everything that is kept of a driver, in plain words, for the driver."""
    from depot import commands as cmd

    result = _send(config, lambda base: cmd.TellDriverData(**base, driver_id=driver_id), reason)
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(dict(result.answer or {}), file, ensure_ascii=False, indent=1)
    console.print(f"{output}: everything that is kept of {driver_id}; give it to the driver alone", highlight=False, markup=False)


@driver.command("erase")
def erase_driver(
    driver_id: DriverId,
    *,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    config: Config = CONFIG,
) -> None:
    """Erase a driver's contact data and tag for good; an active mandate is ended first. Invoices stay, as the law wants them."""
    from depot import commands as cmd

    if not yes and not typer.confirm(f"Erase everything that says who {driver_id} is? This cannot be taken back"):
        raise typer.Exit(1)
    result = _send(config, lambda base: cmd.EraseDriver(**base, driver_id=driver_id), reason)
    console.print(result.message, highlight=False, markup=False)
    raise typer.Exit(0 if result.status is cmd.CommandStatus.DONE else 1)


def _send(config: Path, make: Callable[[dict[str, str]], cmd.Command], reason: str) -> cmd.CommandResult:
    """Raises :class:`typer.Exit` where it is refused."""
    from uuid6 import uuid7

    from controller.app.user import shell_user
    from depot import commands as cmd

    told = " ".join(reason.split())
    if not 0 < len(told) <= 200:
        complaints.print("[red]chargeyard:[/] --reason has 1 to 200 characters: it is kept in the audit trail")
        raise typer.Exit(2)
    command = make({"command_id": str(uuid7()), "actor": f"console {shell_user()}", "reason": told})
    result = _with(config, lambda link: link.command(command, within_s=GATEWAY_S))
    if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED):
        _no(result.message)
    return result


def _with(config: Path, work: Callable[[CoreLink], Awaitable[T]]) -> T:
    from controller.app.transfer import connected
    from controller.link import CoreLink
    from controller.settings import Settings

    async def ask() -> T:
        async with CoreLink(settings.link_path) as link:
            await connected(link)
            return await work(link)

    settings = Settings.load(config)
    return asyncio.run(ask())


def _no(words: str) -> NoReturn:
    complaints.print(f"[red]chargeyard:[/] {escape(words)}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
