"""``./chargeyard battery soc`` and ``ocv-fit``: state of charge over a trace from a file, with an interval or the reason why there is none.

Exit codes: 0 done, 1 the answer is no (no sample got a state of charge), 2 a file cannot be used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out

if TYPE_CHECKING:
    from bms_bridge.soc.cells import CellKind
    from bms_bridge.soc.report import Analysis

console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2
SHOWN = 12
COLUMNS = ("time", "soc", "soc_low", "soc_high", "verdict")


class HowTo(StrEnum):
    """Which estimator."""

    EKF = "ekf"
    UKF = "ukf"
    COUNTING = "counting"


def add_to(battery: typer.Typer) -> None:
    """Hang the commands under ``battery``."""
    battery.command("soc")(soc)
    battery.command("ocv-fit")(ocv_fit)


TurnedOption = Annotated[bool, typer.Option("--discharge-positive", help="The file's currents are positive while discharging.")]
ChemistryOption = Annotated[str, typer.Option("--chemistry", help="LFP, NMC, NMC811, LCO; NCA, LMO, LTO with --ocv.")]
SeriesOption = Annotated[int | None, typer.Option("--series", min=1, max=2000, help="Cells in series, where voltage_v is a pack's.")]


def soc(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table (.csv, .parquet): time, current_a (charging positive), voltage_v …")
    ],
    *,
    chemistry: ChemistryOption,
    capacity_ah: Annotated[float, typer.Option("--capacity-ah", help="What the pack holds, as far as known (Ah).")],
    capacity_error: Annotated[float, typer.Option("--capacity-error", min=0.001, max=0.5, help="How far that may be off, a share.")] = 0.04,
    series: SeriesOption = None,
    ocv: Annotated[Path | None, typer.Option("--ocv", help="A curve of ocv-fit, in place of the shipped one.")] = None,
    start_soc: Annotated[
        float | None, typer.Option("--start-soc", min=0.0, max=1.0, help="What is believed at the start, a share.")
    ] = None,
    start_error: Annotated[float, typer.Option("--start-error", min=0.001, max=0.5, help="How far that may be off, a share.")] = 0.1,
    method: Annotated[HowTo, typer.Option("--method", help="Filter, or charge counted alone.")] = HowTo.EKF,
    lag_s: Annotated[float | None, typer.Option("--lag-s", min=-60, max=60, help="How late voltages are stamped; unset: found.")] = None,
    discharge_positive: TurnedOption = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write every sample's state of charge to this CSV file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Say a battery's state of charge over a trace: with a 90 % interval, or why there is none.

    Exit code 1: no sample got a state of charge; 2: the file cannot be used.
    """
    from bms_bridge.soc import SocError
    from bms_bridge.soc.cells import kind_of
    from bms_bridge.soc.estimate import Knowledge
    from bms_bridge.soc.report import analyse
    from bms_bridge.soc.trace import read_trace

    battery_out.places(out)
    try:
        kind = kind_of(chemistry, ocv)
        start = float("nan") if start_soc is None else start_soc
        known = Knowledge(soc=start, soc_sd=start_error, capacity_sd=capacity_error)
        trace = read_trace(file, discharge_positive=discharge_positive)
        found = analyse(kind, trace, capacity_ah=capacity_ah, known=known, method=method.value, series=series, lag_s=lag_s)
    except SocError as error:
        _refuse(str(error))
    if out is not None:
        battery_out.put_rows(out, _rows(found))
    if as_json:
        typer.echo(json.dumps(_plain(file, kind, found, capacity_ah), ensure_ascii=False))
    else:
        _show(file, kind, found, capacity_ah)
    raise typer.Exit(DONE if found.told > 0 else NO)


def ocv_fit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table with one slow charge, or a charge and a discharge.")],
    *,
    chemistry: ChemistryOption,
    out: Annotated[Path, typer.Option("--out", help="The curve file that is written (.json).")],
    series: SeriesOption = None,
    capacity_ah: Annotated[float | None, typer.Option("--capacity-ah", help="Where the charge does not begin at empty (Ah).")] = None,
    discharge_positive: TurnedOption = False,
    resistance_ohm: Annotated[float | None, typer.Option("--resistance-ohm", help="Of one cell, where only a charge is told.")] = None,
) -> None:
    """Learn a cell's open-circuit curve from a slow charge, or better from a charge and a discharge. A fifth of the capacity
    per hour, or slower.

    Exit code 2: the file cannot be used.
    """
    from bms_bridge.chemistry_names import grade
    from bms_bridge.current_sign import TURNED, turned
    from bms_bridge.soc import SocError
    from bms_bridge.soc.cells import LEARNABLE, curve_text
    from bms_bridge.soc.ocv import fit_ocv
    from bms_bridge.soc.trace import read_trace

    name = grade(chemistry, frozenset(LEARNABLE))
    if name not in LEARNABLE:
        _refuse(f"no chemistry {chemistry}: say one of {', '.join(LEARNABLE)}")
    battery_out.places(out)
    try:
        trace = read_trace(file, discharge_positive=discharge_positive).per_cell(series)
        if turned(trace.time_s, trace.current_a, trace.voltage_v):
            _refuse(TURNED)
        fit = fit_ocv(trace.time_s, trace.current_a, trace.voltage_v, resistance_ohm=resistance_ohm, capacity_ah=capacity_ah)
    except SocError as error:
        _refuse(str(error))
    battery_out.put(out, curve_text(name, fit).encode())
    for note in (*trace.notes, *fit.notes):
        complaints.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
    console.print(
        f"{out}: {fit.curve.volts[0]:.3f} to {fit.curve.volts[-1]:.3f} V over {fit.capacity_ah:.4g} Ah, "
        f"off by about {1000 * fit.error_v:.0f} mV. "
        f"Use it: battery soc FILE --chemistry {name} --ocv {out}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _show(file: Path, kind: CellKind, found: Analysis, capacity_ah: float) -> None:
    from bms_bridge.soc.estimate import WORDS, Verdict

    track = found.track
    table = Table(title=f"{escape(file.name)}: state of charge, {kind.chemistry} ({escape(kind.source)})", title_justify="left")
    for name in ("time", "state of charge", "90 % interval", "worth"):
        table.add_column(name, justify="left")
    length = len(found.trace)
    rows = sorted({round(place * (length - 1) / (SHOWN - 1)) for place in range(SHOWN)}) if length > SHOWN else range(length)
    for place in rows:
        verdict = Verdict(int(track.verdict[0, place]))
        told = verdict == Verdict.TOLD
        figures = (f"{track.soc[0, place]:.1%}", f"{track.low[0, place]:.1%} to {track.high[0, place]:.1%}") if told else ("–", "–")
        table.add_row(_time(found, place), *figures, WORDS[verdict])
    console.print(table)
    words = [f"{found.told:.0%} of {length:,} steps have a state of charge."]
    words += [f"Anchors: {int(track.full.sum())} full, {int(track.empty.sum())} empty, {int(track.rest.sum())} rests."]
    words += [f"Capacity {capacity_ah * track.capacity[0, -1]:.4g} Ah ± {1.645 * track.capacity_sd[0, -1]:.1%}."]
    words += [f"Offset of the current sensor {capacity_ah * track.offset_c[0, -1]:+.3g} A."]
    if math.isfinite(found.steps.ohm_sd):
        ohm = float(found.steps.ohm[-1])
        words += [f"Resistance of a cell by {found.steps.steps} steps {1000 * ohm:.3g} mΩ ± {1645 * found.steps.ohm_sd:.2g}."]
    if found.lag is not None:
        words += [f"Voltages were stamped {found.lag.lag_s:.1f} s late; that was taken off."]
    console.print(" ".join(words), highlight=False, markup=False, soft_wrap=True)
    if found.cells is not None:
        cells = found.cells
        low, high = int(cells.delta_soc.argmin()), int(cells.delta_soc.argmax())
        console.print(
            f"Cells at the end: cell {low + 1} is lowest ({100 * cells.delta_soc[low]:+.1f} %-points against the mean, "
            f"± {164.5 * cells.delta_soc_sd[low]:.1f}), cell {high + 1} highest ({100 * cells.delta_soc[high]:+.1f}, "
            f"± {164.5 * cells.delta_soc_sd[high]:.1f}).",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for note in (*found.trace.notes, *([_misfit(found)] if found.curve_wrong else [])):
        complaints.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)


def _misfit(found: Analysis) -> str:
    off = f" (off by {1000 * found.curve_off_v:.0f} mV)" if math.isfinite(found.curve_off_v) else ""
    return f"the open-circuit curve does not fit these cells{off}: learn theirs with battery ocv-fit, and name it by --ocv"


def _time(found: Analysis, place: int) -> str:
    seconds = float(found.trace.time_s[place])
    if found.trace.begin is not None:
        return f"{found.trace.begin + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
    return f"{seconds:.0f} s"


def _plain(file: Path, kind: CellKind, found: Analysis, capacity_ah: float) -> dict[str, object]:
    from bms_bridge.soc.estimate import Verdict

    track = found.track
    verdict = Verdict(int(track.verdict[0, -1]))
    told = verdict == Verdict.TOLD
    rows = track.verdict[0].tolist()
    return {
        "schema": "soc_trace/1",
        "file": file.name,
        "chemistry": kind.chemistry,
        "curve": kind.source,
        "samples": len(rows),
        "told": found.told,
        "not_told": {other.name.lower(): rows.count(int(other)) for other in Verdict if other != Verdict.TOLD},
        "last": {
            "soc": float(track.soc[0, -1]) if told else None,
            "soc_low": float(track.low[0, -1]) if told else None,
            "soc_high": float(track.high[0, -1]) if told else None,
            "verdict": verdict.name.lower(),
        },
        "anchors": {"full": int(track.full.sum()), "empty": int(track.empty.sum()), "rest": int(track.rest.sum())},
        "capacity_ah": capacity_ah * float(track.capacity[0, -1]),
        "capacity_sd_share": float(track.capacity_sd[0, -1]),
        "current_offset_a": capacity_ah * float(track.offset_c[0, -1]),
        "step_resistance_ohm": float(found.steps.ohm[-1]) if math.isfinite(found.steps.ohm_sd) else None,
        "voltage_lag_s": None if found.lag is None else found.lag.lag_s,
        "cells": None
        if found.cells is None
        else [
            {"delta_soc": float(delta), "delta_soc_sd": float(spread)}
            for delta, spread in zip(found.cells.delta_soc, found.cells.delta_soc_sd, strict=True)
        ],
        "curve_off_v": found.curve_off_v if math.isfinite(found.curve_off_v) else None,
        "curve_wrong": found.curve_wrong,
        "notes": list(found.trace.notes),
    }


def _rows(found: Analysis) -> Iterator[Sequence[str]]:
    from bms_bridge.soc.estimate import Verdict

    track = found.track
    yield COLUMNS
    for place in range(len(found.trace)):
        verdict = Verdict(int(track.verdict[0, place]))
        figures = (track.soc[0, place], track.low[0, place], track.high[0, place])
        told = [f"{figure:.5f}" for figure in figures] if verdict == Verdict.TOLD else ["", "", ""]
        yield [_time(found, place).removesuffix(" s"), *told, verdict.name.lower()]


def _refuse(text: str) -> NoReturn:
    complaints.print(f"[red]{escape(text)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(USAGE)
