"""``./chargeyard tariff``: the tariffs that there are, what one says and whether it contradicts itself, its prices, a month's bill."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

tariff = typer.Typer(help="Tariffs, their prices and bills.", no_args_is_help=True)
console = Console()

Name = Annotated[str, typer.Argument(help="A tariff's name or file, perhaps with :parameter=value,… (docs/tariffs.md).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table; exact numbers as text.")]
Monthly = Annotated[
    list[str] | None, typer.Option("--monthly", help="CODE=VALUE of an adder that is published month by month; more than once.")
]


@tariff.command("list")
def list_tariffs(*, as_json: Json = False) -> None:
    """All tariffs that come with Chargeyard."""
    from controller.app.tariff_tables import show_list

    raise typer.Exit(show_list(console, as_json=as_json))


@tariff.command("show")
def show_tariff(name: Name, *, as_json: Json = False) -> None:
    """What a tariff says, in sentences, and what is doubtful in it."""
    from controller.app.tariff_tables import show_one

    raise typer.Exit(show_one(name, console, as_json=as_json))


@tariff.command("check")
def check_tariff(
    file: Annotated[str, typer.Argument(help="A tariff's file (.toml, .json, .csv) or name.")],
    *,
    as_json: Json = False,
) -> None:
    """Check a tariff: can it be read, does it contradict itself, does it have gaps? Exit code 1: it can't be billed with."""
    from controller.app.tariff_tables import show_check

    raise typer.Exit(show_check(file, console, as_json=as_json))


@tariff.command("price")
def price_of_tariff(
    name: Name,
    *,
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="First day or time, tariff's clock.")],
    until: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="First day or time after it; else one day.")
    ] = None,
    used: Annotated[str, typer.Option("--used", help="kWh or kVAh so far in the month; decides the slab.")] = "0",
    timezone: Annotated[str, typer.Option("--timezone", help="The depot's zone, for a tariff that has none of its own.")] = "Asia/Kolkata",
    monthly: Monthly = None,
    as_json: Json = False,
) -> None:
    """What one more kWh costs, each time that it changes."""
    from controller.app.tariff_tables import show_prices

    raise typer.Exit(show_prices(name, since, until, used=used, timezone=timezone, monthly=monthly or [], console=console, as_json=as_json))


@tariff.command("bill")
def bill_of_tariff(
    name: Name,
    *,
    month: Annotated[str, typer.Option("--month", help="For example 2025-10.")],
    blocks: Annotated[Path, typer.Option("--blocks", help="CSV of meter blocks (docs/tariffs.md).")],
    contract: Annotated[str, typer.Option("--contract", help="Contract demand, kW or kVA as the tariff has it.")] = "",
    history: Annotated[Path | None, typer.Option("--history", help="CSV of earlier months: month, recorded, billing.")] = None,
    power_factor: Annotated[str, typer.Option("--power-factor", help="The month's average, as the utility's meter shows it.")] = "",
    timezone: Annotated[str, typer.Option("--timezone", help="The depot's zone, for a tariff that has none of its own.")] = "Asia/Kolkata",
    monthly: Monthly = None,
    as_json: Json = False,
) -> None:
    """A month's bill of a file of meter blocks, with every line explained."""
    from controller.app.tariff_tables import BillWish, show_bill

    wish = BillWish(name, month, blocks, contract, history, power_factor, timezone, tuple(monthly or ()))
    raise typer.Exit(show_bill(wish, console, as_json=as_json))
