"""``./chargeyard battery stress``: how much faster packs fade when warmer or charged faster, from measured lives.

Exit codes: 0 done, 2 the file cannot be used.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
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
    battery.command("stress")(stress)


def stress(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Histories of health with T_C and rate_c (.parquet, .csv).")],
    *,
    cycles: Annotated[float, typer.Option("--cycles", help="Loss after so many cycles.", min=1)] = 100.0,
    to: Annotated[float, typer.Option("--to", help="Cycles until this health, %.", min=30, max=99)] = 85.0,
    nominal: Annotated[float | None, typer.Option("--nominal", help="Nominal capacity, Ah, where the file has no column q_nom_Ah.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Say how fade depends on temperature and charging rate, as these cells show it: loss after some cycles, and cycles until a health.

    Exit code 2: the file cannot be used.
    """
    from bms_bridge.health import HealthError
    from bms_bridge.life.history import read_histories
    from bms_bridge.life.stress import conditions, slopes

    try:
        tracks, notes = read_histories(file, nominal_ah=nominal)
        found = conditions(tracks, cycles=cycles, to=to / 100)
        told = slopes(tracks, cycles=cycles)
    except HealthError as error:
        complaints.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(USAGE) from error
    for note in notes:
        complaints.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
    if as_json:
        plain = {"conditions": [_finite(asdict(one)) for one in found], "slopes": [asdict(one) for one in told]}
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    table = Table(title="fade by condition", title_justify="left")
    for name in ("make", "°C", "rate, C", "cells", f"lost after {cycles:g} cycles", f"cycles to {to:g} %", "of them reached it"):
        table.add_column(name, justify="left" if name == "make" else "right")
    for one in found:
        lost = f"{one.loss:.1%} ({one.loss_least:.1%} to {one.loss_most:.1%})" if math.isfinite(one.loss) else "–"
        end = f"{one.cycles_to:,.0f}" if math.isfinite(one.cycles_to) else "–"
        table.add_row(
            escape(one.make),
            f"{one.temp_c:g}",
            f"{one.rate_c:g}" if math.isfinite(one.rate_c) else "–",
            str(one.cells),
            lost,
            end,
            f"{one.reached} of {one.cells}",
        )
    console.print(table)
    for slope in told:
        console.print(
            f"{slope.make}: {slope.per}: {slope.times:.2f} times the loss after {cycles:g} cycles "
            f"(90 %: {slope.low:.2f} to {slope.high:.2f}; {slope.cells} cells)",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _finite(row: dict[str, object]) -> dict[str, object]:
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
