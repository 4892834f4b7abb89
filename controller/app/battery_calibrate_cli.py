"""``./chargeyard battery calibrate``: how much faster or slower a fleet ages than the table that plans count with.

Exit codes: 0 done, 2 the file or a number cannot be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

console = Console()
complaints = Console(stderr=True)

USAGE = 2


def add_to(battery: typer.Typer) -> None:
    """Hang the command under ``battery``."""
    battery.command("calibrate")(calibrate)


def calibrate(
    *,
    data: Annotated[Path, typer.Option("--data", help="The fleet's history: pack, years, cycle, soh … (.csv, .parquet).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file that pack_life.calibration names.")],
    chemistry: Annotated[str | None, typer.Option("--chemistry", help="LFP or NMC, where the file has no such column.")] = None,
    temp: Annotated[
        float | None, typer.Option("--temp", help="Mean temperature of the cells, °C, where the file has no column temp_c.")
    ] = None,
    soc: Annotated[float | None, typer.Option("--soc", help="Mean state of charge, %, where the file has no column soc.")] = None,
    rate: Annotated[
        float, typer.Option("--rate", help="Mean charging rate, capacities an hour, where the file has no column rate_c.")
    ] = 0.25,
) -> None:
    """Find two factors per chemistry, calendar and cycle ageing beside the shipped table, from how the fleet's packs really lost health.

    Exit code 2: the data cannot be used.
    """
    from bms_bridge.health import HealthError
    from controller.life_factors import FactorsRefused, factors_of_fleet, write_factors

    given = {"temp_c": temp, "soc": None if soc is None else soc / 100, "rate_c": rate}
    try:
        found, notes = factors_of_fleet(
            data, given={name: value for name, value in given.items() if value is not None}, chemistry=chemistry
        )
        write_factors(out, found)
    except (HealthError, FactorsRefused) as error:
        complaints.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(USAGE) from error
    for note in notes:
        complaints.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
    table = Table(title="ageing beside the shipped table (1: as there)", title_justify="left")
    for name in ("chemistry", "packs", "rows", "calendar", "cycles"):
        table.add_column(name, justify="left" if name == "chemistry" else "right")
    for kind, one in found.items():
        table.add_row(
            kind,
            str(one.packs),
            str(one.rows),
            f"{one.calendar:.2f} ± {one.calendar_spread:.2f}",
            f"{one.cycle:.2f} ± {one.cycle_spread:.2f}",
        )
        if one.bounded:
            complaints.print(
                f"[yellow]{kind}: a factor was held at its bound; check temperatures, states of charge and units of the file[/]",
                highlight=False,
                soft_wrap=True,
            )
    console.print(table)
    console.print(
        f"{out}: name it in the settings, pack_life.calibration; plans count with it from the next start.", highlight=False, soft_wrap=True
    )
