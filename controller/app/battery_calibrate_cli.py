"""``./chargeyard battery calibrate``: how much faster or slower a fleet ages than the table that plans count with.

Exit codes: 0 done, 2 the file or a number cannot be used.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out

if TYPE_CHECKING:
    from bms_bridge.life.calibration import Factors

console = Console()
complaints = Console(stderr=True)

USAGE = 2


def add_to(battery: typer.Typer) -> None:
    """Hang the command under ``battery``."""
    battery.command("calibrate")(calibrate)


def calibrate(
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="The file that pack_life.calibration names.")],
    data: Annotated[Path | None, typer.Option("--data", help="The fleet's history: pack, years, cycle, soh … (.csv, .parquet).")] = None,
    depot: Annotated[Path | None, typer.Option("--depot", help="The settings of a depot, whose own estimates are taken instead.")] = None,
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

    if (data is None) == (depot is None):
        complaints.print("[red]name a history with --data, or a depot's settings with --depot[/]", highlight=False)
        raise typer.Exit(USAGE)

    battery_out.places(out)
    given = {"temp_c": temp, "soc": None if soc is None else soc / 100, "rate_c": rate}
    try:
        if depot is not None:
            found, notes = _of_depot(depot)
        else:
            assert data is not None
            told = {name: value for name, value in given.items() if value is not None}
            found, notes = factors_of_fleet(data, given=told, chemistry=chemistry)
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


def _of_depot(config: Path) -> tuple[dict[str, Factors], tuple[str, ...]]:
    """What the depot's own estimates say now, and why others say nothing. Raises :class:`~bms_bridge.health.HealthError`."""
    from bms_bridge.health import DataRefused
    from controller.app.depot_health import health_book
    from controller.fleet_ageing import as_factors, of_fleet

    with health_book(config) as (_, book):
        said = of_fleet(book, now_us=time.time_ns() // 1000)
    notes = tuple(f"{one.chemistry}: {one.reason}" for one in said if one.reason)
    factors = as_factors(said)
    if not factors:
        raise DataRefused("; ".join(notes) or f"{config}: no pack was heard of yet")
    return factors, notes
