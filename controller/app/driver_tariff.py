"""``./chargeyard driver-tariff``: what drivers pay, looked at as a file: checked, from and to OCPI, and a session's bill worked out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

driver_tariff = typer.Typer(
    help="""What drivers pay (docs/driver-tariffs.md), as files.

A driver tariff is a list of elements; for each kind of price (energy, time, idle, flat) the first element whose restrictions hold counts:

  {"schema": "driver-tariff/1", "id": "evening",
   "elements": [{"energy": {"price": "16.50"}, "when": {"from": "18:00", "to": "22:00"}},
                {"energy": {"price": "12.75"}, "idle": {"price": "120", "grace_min": 15}}]}

Type: driver-tariff price FILE --energy 20 --from 2026-11-23T17:30 --minutes 90 --full-after 70 --gone-after 120""",
    no_args_is_help=True,
    rich_markup_mode=None,
)
console = Console()

File = Annotated[Path, typer.Argument(help="A tariff, as driver-tariff/1 or as OCPI's Tariff object (JSON).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; exact numbers as text.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Where it is written; else to the terminal.")]
Id = Annotated[str, typer.Option("--id", help="Which one, where the file holds several.")]


@driver_tariff.command("check")
def check_tariff(file: File, *, tariff_id: Id = "", as_json: Json = False) -> None:
    """Can it be read, what does it say, what is doubtful? Exit code 1: nobody can be billed by it."""
    from controller.app.driver_tariff_tables import show_check

    raise typer.Exit(show_check(file, tariff_id, console, as_json=as_json))


@driver_tariff.command("import")
def import_tariff(file: File, *, tariff_id: Id = "", output: Output = None) -> None:
    """Turn OCPI's Tariff object (2.2.1 or 2.3.0, alone, in a list, or a server's answer) into a driver-tariff/1.

    What OCPI can say and cannot be billed here is refused by name, never left out."""
    from controller.app.driver_tariff_tables import write_import

    raise typer.Exit(write_import(file, tariff_id, output, console))


@driver_tariff.command("export")
def export_tariff(
    file: File,
    *,
    tariff_id: Id = "",
    ocpi: Annotated[Literal["2.2.1", "2.3.0"], typer.Option("--ocpi", help="Version of OCPI.")] = "2.2.1",
    country: Annotated[str, typer.Option("--country", help="country_code: the operator's, two letters.")] = "IN",
    party: Annotated[str, typer.Option("--party", help="party_id: the operator's, three letters or digits.")] = "CYD",
    tax: Annotated[str, typer.Option("--tax", help="Tax in percent, given as vat with each price.")] = "18",
    output: Output = None,
) -> None:
    """Turn a driver tariff into OCPI's Tariff object. Read in again it is the same tariff."""
    from controller.app.driver_tariff_tables import OcpiWish, write_export

    raise typer.Exit(write_export(file, tariff_id, OcpiWish(ocpi, country, party, tax), output, console))


@driver_tariff.command("price")
def price_of_session(
    file: File,
    *,
    tariff_id: Id = "",
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], help="Start, tariff's clock; else today at 18:00."),
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0, max=4320, help="From the start to the end of the session.")] = 90.0,
    energy: Annotated[str, typer.Option("--energy", help="kWh, drawn evenly until the vehicle is full.")] = "20",
    readings: Annotated[
        Path | None, typer.Option("--readings", help="CSV with the columns at and register_wh instead of --from, --minutes and --energy.")
    ] = None,
    full_after: Annotated[float | None, typer.Option("--full-after", min=0, help="Minutes after the start at which it is full.")] = None,
    gone_after: Annotated[
        float | None, typer.Option("--gone-after", min=0, help="Minutes after the start at which it is unplugged.")
    ] = None,
    tax: Annotated[str, typer.Option("--tax", help="GST in percent.")] = "18",
    other_state: Annotated[bool, typer.Option("--other-state", help="The place of supply is in another state: IGST.")] = False,
    whole_rupees: Annotated[bool, typer.Option("--whole-rupees", help="Round the total to whole rupees, in a line of its own.")] = False,
    as_json: Json = False,
) -> None:
    """Work out the bill of a session: every line with its exact quantity and price, the taxes, the total."""
    from controller.app.driver_tariff_tables import PriceWish, show_price

    wish = PriceWish(since, minutes, energy, readings, full_after, gone_after, tax, other_state, whole_rupees)
    raise typer.Exit(show_price(file, tariff_id, wish, console, as_json=as_json))
