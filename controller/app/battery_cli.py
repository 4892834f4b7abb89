"""``./chargeyard battery``: what files say of a battery, without a depot. Health of cells: :mod:`battery_health_cli`;
passports: :mod:`battery_passport_cli`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import (
    battery_anomalies_cli,
    battery_calibrate_cli,
    battery_features_cli,
    battery_health_cli,
    battery_life_cli,
    battery_passport_cli,
    battery_reference_cli,
    battery_soc_cli,
    battery_stress_cli,
    battery_twin_cli,
    battery_value_cli,
    battery_work_cli,
)

if TYPE_CHECKING:
    from bms_bridge.profile_dump import Histogram, ProfileDump

battery = typer.Typer(
    help="Battery: what a management system has counted, and health of cells from charges and pulses.", no_args_is_help=True
)
battery_health_cli.add_to(battery)
battery_soc_cli.add_to(battery)
battery_features_cli.add_to(battery)
battery_passport_cli.add_to(battery)
battery_life_cli.add_to(battery)
battery_stress_cli.add_to(battery)
battery_calibrate_cli.add_to(battery)
battery_twin_cli.add_to(battery)
battery_anomalies_cli.add_to(battery)
battery_work_cli.add_to(battery)
battery_value_cli.add_to(battery)
battery_reference_cli.add_to(battery)
console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2
HOT_C = 45.0


@battery.command("profile")
def show_profiles(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Profile dumps of hybrid buses (.csv).")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="All histograms, one JSON object a file.")] = False,
) -> None:
    """Show what profile dumps hold: a pack's life as histograms of current, voltage, power, cells and temperatures.

    Broken dumps are shown as far as they go, with what is missing. Exit code 1: something is missing; 2: a file is no dump.
    """
    from bms_bridge.profile_dump import NotADump, read_dump

    code = DONE
    for file in files:
        try:
            dump = read_dump(file)
        except NotADump as error:
            complaints.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
            code = USAGE
            continue
        if as_json:
            typer.echo(json.dumps(_plain(file, dump), ensure_ascii=False))
        else:
            _show(file, dump)
        if dump.problems and code == DONE:
            code = NO
    raise typer.Exit(code)


def _show(file: Path, dump: ProfileDump) -> None:
    when = f", read out {dump.retrieved_at:%Y-%m-%d %H:%M}" if dump.retrieved_at else ""
    title = f"{file.name}: pack {dump.serial or 'without a serial number'}{when}"
    table = Table(title=escape(title), title_justify="left")
    for name in ("what", "unit", "mean", "from", "to", "samples"):
        table.add_column(name, justify="left" if name in ("what", "unit") else "right")
    for found in (dump.current_a, dump.voltage_v, dump.power_kw):
        if found is not None:
            table.add_row(*_row(found.name, found))
    temperatures = [sensor for module in dump.modules for sensor in module.temperatures_c]
    for module in dump.modules:
        for sensor in module.temperatures_c:
            table.add_row(*_row(f"module {module.number}, {sensor.name.lower()}", sensor))
    console.print(table)
    cells = sum(len(module.cells_v) for module in dump.modules)
    told = f"Modules: {len(dump.modules)}; with counts: {cells} cells, {len(temperatures)} temperature sensors."
    if temperatures:
        hot = max(sensor.share_from(HOT_C) for sensor in temperatures)
        told += f" The hottest sensor spent {hot:.2%} of its samples at {HOT_C:g} °C or above."
    console.print(f"{told} Signs of current and power are the battery's own.", highlight=False, soft_wrap=True)
    for problem in dump.problems:
        complaints.print(f"[yellow]{escape(problem)}[/]", highlight=False, soft_wrap=True)


def _row(name: str, found: Histogram) -> tuple[str, ...]:
    mean, seen = found.mean, found.seen
    if mean is None or seen is None:
        return escape(name), found.unit, "–", "–", "–", "0"
    return escape(name), found.unit, f"{mean:,.1f}", f"{seen[0]:,.1f}", f"{seen[1]:,.1f}", f"{found.total:,}"


def _plain(file: Path, dump: ProfileDump) -> dict[str, object]:
    import msgspec

    return {"file": file.name, "whole": dump.whole, **msgspec.to_builtins(dump)}
