"""``./chargeyard battery features FILE``: what raw samples of cells and packs say, as a table, as JSON, or as charges for ``battery soh``.

Exit codes: 0 done, 1 the answer is no (nothing of a charge could be told), 2 the file or an option cannot be used.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out

if TYPE_CHECKING:
    from bms_bridge.features.report import Report

console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2


def add_to(battery: typer.Typer) -> None:
    """Hang the command under ``battery``."""
    battery.command("features")(features)


def features(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Samples of cells or packs (.csv, .parquet), also of the lake.")],
    *,
    nominal_ah: Annotated[float, typer.Option("--nominal-ah", help="Nominal capacity of the cell or the pack, Ah.")],
    series: Annotated[int, typer.Option("--series", help="Cells in series; voltages are told per cell.")] = 1,
    parallel: Annotated[int, typer.Option("--parallel", help="Strings in parallel; currents are told per cell.")] = 1,
    cut_off_v: Annotated[
        float | None, typer.Option("--cut-off-v", help="Cut-off voltage of charges, V per cell: makes the sixteen numbers of each charge.")
    ] = None,
    below_v: Annotated[float, typer.Option("--below-v", help="Height of the window below the cut-off voltage, V.")] = 0.2,
    from_a: Annotated[float, typer.Option("--from-a", help="At constant voltage the current's window begins here, A per cell.")] = 0.5,
    to_a: Annotated[float, typer.Option("--to-a", help="… and ends here.")] = 0.1,
    step_s: Annotated[float, typer.Option("--step-s", help="Even steps on which statistics are made, s: those of the taught table.")] = 5.0,
    discharge_positive: Annotated[
        bool, typer.Option("--discharge-positive", help="The file's currents are positive while discharging.")
    ] = False,
    batch: Annotated[str, typer.Option("--batch", help="The batch that is written beside the charges.")] = "",
    charges: Annotated[Path | None, typer.Option("--charges", help="Write the charges to this file (.csv), for battery soh.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All numbers and curves, one JSON object a cell and line.")] = False,
) -> None:
    """Tell what raw samples say: charges, dQ/dV, resistance, impedance, efficiency, cycles, hours by temperature and C-rate, spread.

    Of what cannot be told, it says why. Exit code 1: no charge could be written; 2: the file cannot be used.
    """
    from bms_bridge.features import FeaturesError, SamplesRefused
    from bms_bridge.features.charge_window import Window
    from bms_bridge.features.report import per_cell, report
    from bms_bridge.features.sample_files import read_samples

    if charges is not None and cut_off_v is None:
        _refuse("--charges needs --cut-off-v: where constant voltage begins, V per cell")
    if charges is not None and charges.suffix.lower() != ".csv":
        _refuse(f"{charges}: name a .csv file")
    battery_out.places(charges)
    try:
        window = None if cut_off_v is None else Window(cut_off_v, below_v, from_a, to_a, step_s)
        found: dict[str, Report] = {}
        refused: dict[str, str] = {}
        for cell, samples in read_samples(file, refused, discharge_positive=discharge_positive).items():
            try:
                found[cell] = report(per_cell(samples, series=series, parallel=parallel), nominal_ah / parallel, window=window)
            except SamplesRefused as error:
                refused[cell] = str(error)
        for cell, why in refused.items():
            complaints.print(f"[yellow]{escape(cell)}: left out: {escape(why)}[/]", highlight=False, soft_wrap=True)
        if not found:
            _refuse(f"{file}: nothing can be used")
    except SamplesRefused as error:
        _refuse(str(error))
    except (FeaturesError, ValueError) as error:
        _refuse(f"{file}: {error}")
    for cell, told in found.items():
        for note in told.notes:
            complaints.print(f"[yellow]{escape(cell)}: {escape(note)}[/]", highlight=False, soft_wrap=True)
        if as_json:
            typer.echo(json.dumps({"cell": cell} | told.found | {"missing": told.missing}, ensure_ascii=False))
        else:
            _show(cell, told)
    if charges is None:
        raise typer.Exit(DONE)
    written = _write(charges, found, nominal_ah / parallel, batch)
    console.print(f"{charges}: {written} charges", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(DONE if written else NO)


def _write(path: Path, found: dict[str, Report], nominal_ah: float, batch: str) -> int:
    from bms_bridge.health.charge_table import FEATURES

    rows = [
        [cell, f"{charge['cycle']:g}", f"{nominal_ah:g}", batch, *(f"{charge[name]:.9g}" for name in FEATURES)]
        for cell, told in found.items()
        for charge in told.found.get("charges", [])
    ]
    battery_out.put_rows(path, [["cell", "cycle", "q_nom_Ah", "batch", *FEATURES], *rows])
    return len(rows)


def _show(cell: str, told: Report) -> None:
    table = Table(title=escape(f"{cell}: features of {told.found['samples']:,} samples, {told.found['hours']:.1f} h"), title_justify="left")
    table.add_column("what")
    table.add_column("told", overflow="fold")
    for name, line in _lines(told.found):
        table.add_row(name, escape(line))
    for name, why in told.missing.items():
        table.add_row(_WORDS.get(name, name), escape(f"– {why}"))
    console.print(table)


_WORDS = {
    "temperature": "hours by temperature",
    "gradients": "temperature gradients",
    "cells": "spread of cells",
    "rainflow": "cycles by depth",
    "efficiency": "efficiency",
    "resistance": "resistance",
    "impedance": "pseudo-EIS",
    "ica": "dQ/dV",
    "charges": "ends of charges",
}


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [
        ("equivalent full cycles", f"{found['equivalent_full_cycles']:.1f}"),
        ("hours by C-rate", _bins(found["c_rate"]["edges"], found["c_rate"]["hours"], "C", "h")),
    ]
    if "temperature" in found:
        lines.append((_WORDS["temperature"], _bins(found["temperature"]["edges_c"], found["temperature"]["hours"], "°C", "h")))
    if "gradients" in found:
        told = found["gradients"]
        lines.append(
            (
                _WORDS["gradients"],
                f"between sensors {_number(told['between_k'], 'K')}, at worst {_number(told['worst_between_k'], 'K')}; "
                f"rise up to {_number(told['rise_k_per_min'], 'K/min')}; hottest {_number(told['hottest_c'], '°C')}",
            )
        )
    if "cells" in found:
        told = found["cells"]
        lines.append(
            (
                _WORDS["cells"],
                f"highest less lowest {_number(told['range_v'], 'V')}, at rest {_number(told['at_rest_v'], 'V')}, under load "
                f"{_number(told['under_load_v'], 'V')}; lowest is cell {told['lowest'][0] + 1} in {told['lowest'][1]:.0%} of the time",
            )
        )
    if "rainflow" in found:
        lines.append((_WORDS["rainflow"], _bins(found["rainflow"]["depths"], found["rainflow"]["cycles"], "", "×")))
    if "efficiency" in found:
        told = found["efficiency"]
        lines.append((_WORDS["efficiency"], f"{told['pairs']} pairs: coulombic {told['coulombic']:.4f}, energy {told['energy']:.4f}"))
    if "resistance" in found:
        told = found["resistance"]
        at = ", ".join(
            f"{time:g} s {_number(None if ohm is None else 1000 * ohm, 'mΩ')}"
            for time, ohm in zip(told["times_s"], told["at_ohm"], strict=True)
        )
        lines.append((_WORDS["resistance"], f"{told['steps']} steps: {at}"))
    if "impedance" in found:
        told = found["impedance"]
        lines.append(
            (
                _WORDS["impedance"],
                f"{told['hertz'][0]:.2g} to {told['hertz'][-1]:.2g} Hz, real part {1000 * told['real_ohm'][0]:.3g} to "
                f"{1000 * told['real_ohm'][-1]:.3g} mΩ",
            )
        )
    if "ica" in found:
        told = found["ica"]
        tops = ", ".join(f"{peak['at']:.3f} V ({peak['height']:.3g} Ah/V)" for peak in told["peaks"]) or "none stands out"
        lines.append((_WORDS["ica"], f"peaks of the last charge: {tops}; noise {1000 * told['noise_v']:.1f} mV"))
    if "charges" in found:
        lines.append((_WORDS["charges"], f"{len(found['charges'])} hold the whole window"))
    return lines


def _number(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.3g} {unit}"


def _bins(edges: list[float], counts: list[float], unit: str, what: str) -> str:
    """Bins that hold something, with their edges."""
    names = [
        f"below {edges[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges)),
        f"{edges[-1]:g} or more",
    ]
    space = f" {unit}" if unit else ""
    return "; ".join(f"{name}{space}: {count:.1f} {what}" for name, count in zip(names, counts, strict=True) if count > 0.05) or "nothing"


def _refuse(text: str) -> NoReturn:
    complaints.print(f"[red]{escape(text)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(USAGE)
