"""``./chargeyard battery soh``, ``soh-train``, ``soh-test``, ``grade-train``, ``grade``: health of cells from files, without a depot.

Exit codes: 0 done, 1 the answer is no (nothing could be estimated, a goal that was asked for was missed), 2 a file cannot be used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bms_bridge.health.charge_table import ChargeTable
    from bms_bridge.health.files import Floats
    from bms_bridge.health.soh import Estimates, SohModel

console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2
DataOption = Annotated[Path, typer.Option("--data", help="A file, or a folder with files or folders of files (.parquet, .csv).")]
ModelOption = Annotated[Path, typer.Option("--model", help="A model file of soh-train.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="Take this model for all charges, whatever their files are called.")]
WORTH = ("as the taught batches", "another batch: wide interval", "none: unlike what was taught")
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


def add_to(battery: typer.Typer) -> None:
    """Hang the commands under ``battery``."""
    battery.command("soh")(soh)
    battery.command("soh-train")(soh_train)
    battery.command("soh-test")(soh_test)
    battery.command("grade-train")(grade_train)
    battery.command("grade")(grade_cells)


@dataclass(frozen=True, slots=True)
class Tested:
    """Of one kind of charge; misses in %-points of nominal. ``covered``: of the charges with an estimate, each cell the same."""

    kind: str
    model: str
    cells: int
    charges: int
    mae: float
    mae_by_cell: float
    worst_cell: float
    worst_cell_name: str
    covered: float
    level: float
    width: float
    abstained: float
    unusual: float
    mae_of_all: float


def soh(
    *,
    model: ModelOption,
    data: DataOption,
    kind: KindOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every charge, one JSON object a line.")] = False,
) -> None:
    """Say what health cells have by their last charge: with an interval, or why there is no estimate.

    The model is found by the name of the file or of its folder. Exit code 1: nothing could be estimated; 2: a file cannot be used.
    """
    import numpy as np

    table = Table(title="state of health by the last charge", title_justify="left")
    for name in ("charges of", "cell", "charges", "health", "90 % interval", "worth"):
        table.add_column(name, justify="right" if name == "charges" else "left")
    some = False
    for name, charges, judge in _with_models(model, data, kind):
        said = judge.estimate(charges)
        some = some or bool(np.isfinite(said.soh).any())
        if as_json:
            for row in range(len(charges)):
                found = {"kind": name, "cell": str(charges.cells[row]), "cycle": float(charges.cycles[row])}
                found |= {"soh": float(said.soh[row]), "soh_low": float(said.low[row]), "soh_high": float(said.high[row])}
                typer.echo(json.dumps(_finite(found | {"worth": WORTH[said.verdict[row]]}), ensure_ascii=False))
            continue
        ends = np.flatnonzero(np.r_[charges.cells[1:] != charges.cells[:-1], True])
        for cell, last, count in zip(charges.cells[ends], ends, np.diff(np.r_[-1, ends]), strict=True):
            there = np.isfinite(said.soh[last])
            figures = (f"{said.soh[last]:.1%}", f"{said.low[last]:.1%} to {said.high[last]:.1%}") if there else ("–", "–")
            table.add_row(escape(name), escape(str(cell)), f"{count}", *figures, WORTH[said.verdict[last]])
    if not as_json:
        console.print(table)
    raise typer.Exit(DONE if some else NO)


def soh_train(
    *,
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="The model file that is written.")],
    seed: Annotated[int, typer.Option("--seed", help="Where chance begins; the same seed makes the same model.")] = 0,
) -> None:
    """Teach state of health from charges with measured capacities, one model per kind of charge. Some minutes.

    Exit code 2: the data cannot be used.
    """
    from bms_bridge.health import HealthError
    from bms_bridge.health.charge_table import read_folder
    from bms_bridge.health.model_file import write_model
    from bms_bridge.health.soh import to_file
    from bms_bridge.health.soh_training import train

    battery_out.places(out)
    models: dict[str, SohModel] = {}
    try:
        for table in read_folder(data):
            _notes(table.kind, table.notes)
            console.print(f"{table.kind}: {len(set(table.cells))} cells, {len(table):,} charges …", highlight=False, markup=False)
            models[table.kind] = model = train(table, seed=seed)
            console.print(
                f"  cells kept apart while learning: mean miss {100 * model.taught['mae_by_cell']:.2f} %-points, "
                f"{model.taught['coverage_by_cell']:.0%} within the {model.level:.0%} interval",
                highlight=False,
                markup=False,
            )
        told = write_model(out, to_file(models))
    except HealthError as error:
        _refuse(str(error))
    console.print(
        f"{out}: {len(models)} models, {out.stat().st_size / 1e6:.1f} MB, SHA-256 {told}", highlight=False, markup=False, soft_wrap=True
    )


def soh_test(
    *,
    model: ModelOption,
    data: DataOption,
    kind: KindOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold estimates against measured capacities of other cells: misses, worst cell, coverage of intervals, how often there is none.

    The model is found by the name of the file or of its folder. Exit code 1: nothing could be estimated; 2: a file cannot be used.
    """
    from bms_bridge.health import HealthError

    found: list[Tested] = []
    try:
        for name, table, judge in _with_models(model, data, kind):
            found.append(tested(table, name, judge.estimate(table), judge.level))
    except HealthError as error:
        _refuse(str(error))
    if as_json:
        typer.echo(json.dumps([_finite(asdict(row)) for row in found], ensure_ascii=False))
    else:
        _show(found)
    raise typer.Exit(DONE if any(row.abstained < 1 for row in found) else NO)


def _with_models(model: Path, data: Path, kind: str | None) -> Iterator[tuple[str, ChargeTable, SohModel]]:
    """Every table of charges with its model's name and its model; exit code 2 where one is missing."""
    from bms_bridge.health import HealthError
    from bms_bridge.health.charge_table import read_folder
    from bms_bridge.health.model_file import read_model
    from bms_bridge.health.soh import PURPOSE, from_file

    try:
        models = from_file(read_model(model, PURPOSE))
        if kind is not None and kind not in models:
            _refuse(f"{model} knows no kind {kind!r}; it knows {', '.join(sorted(models))}")
        tables = read_folder(data, models)
    except HealthError as error:
        _refuse(str(error))
    for table in tables:
        _notes(table.kind, table.notes)
        name = kind or table.kind
        if name not in models:
            _refuse(f"{model} knows no kind {name!r}; it knows {', '.join(sorted(models))}: name one with --kind")
        yield name, table, models[name]


def grade_train(
    *,
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="The model file that is written.")],
    seed: Annotated[int, typer.Option("--seed", help="Where chance begins; the same seed makes the same model.")] = 0,
) -> None:
    """Teach grades of retired cells from pulses with measured capacities, one model per chemistry and nominal capacity.

    Exit code 2: the data cannot be used.
    """
    from bms_bridge.health import HealthError
    from bms_bridge.health.grade_training import train_grades
    from bms_bridge.health.grading import to_file
    from bms_bridge.health.model_file import write_model
    from bms_bridge.health.pulse_table import read_pulses

    battery_out.places(out)
    try:
        table = read_pulses(data)
        _notes("pulses", table.notes)
        models = train_grades(table, seed=seed)
        told = write_model(out, to_file(models))
    except HealthError as error:
        _refuse(str(error))
    for kind, model in models.items():
        for part, name in (("counted", "charge counted"), ("blind", "charge unknown")):
            if part in model.taught:
                figures = model.taught[part]
                console.print(
                    f"{kind}, {name}: {model.taught['cells']} cells; kept apart while learning: "
                    f"{figures['right']:.1%} right without sending any to a test, mean miss {100 * figures['mae']:.1f} %-points",
                    highlight=False,
                    markup=False,
                )
    for kind in sorted(set(map(str, table.kinds)) - set(models)):
        complaints.print(f"[yellow]{escape(kind)}: too few cells with a measured health; not taught[/]", highlight=False)
    console.print(f"{out}: {len(models)} models, SHA-256 {told}", highlight=False, markup=False, soft_wrap=True)


def grade_cells(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Pulses of retired cells (.parquet, .csv).")],
    *,
    model: Annotated[Path, typer.Option("--model", help="A model file of grade-train.")],
    as_json: JsonOption = False,
) -> None:
    """Grade retired cells from one pulse each: a band of health with its probability, or "test required".

    Several pulses of a cell each get a grade. Exit code 1: no cell got a grade; 2: a file cannot be used.
    """
    import numpy as np

    from bms_bridge.health import HealthError
    from bms_bridge.health.grading import BANDS, PURPOSE, TEST_REQUIRED, from_file, grade
    from bms_bridge.health.model_file import read_model
    from bms_bridge.health.pulse_table import read_pulses

    try:
        models = from_file(read_model(model, PURPOSE))
        pulses = read_pulses(file)
    except HealthError as error:
        _refuse(str(error))
    _notes("pulses", pulses.notes)
    unknown = sorted(set(map(str, pulses.kinds)) - set(models))
    if unknown:
        known = ", ".join(sorted(models))
        complaints.print(f"[yellow]{escape(', '.join(unknown))}: not taught (known: {escape(known)}); test required[/]", highlight=False)
    said = grade(models, pulses)
    words = [BANDS[band] if band >= 0 else TEST_REQUIRED for band in said.band]
    if as_json:
        rows = [
            {
                "cell": str(pulses.cells[row]),
                "kind": str(pulses.kinds[row]),
                "soc": float(pulses.soc[row]),
                "grade": words[row] if said.band[row] >= 0 else None,
                "probability": float(said.probability[row]),
                "soh": float(said.soh[row]),
                "soh_low": float(said.low[row]),
                "soh_high": float(said.high[row]),
            }
            for row in range(len(pulses))
        ]
        typer.echo(json.dumps([_finite(row) for row in rows], ensure_ascii=False))
    else:
        table = Table(title="grades of retired cells from one pulse", title_justify="left")
        for name in ("cell", "kind", "charge", "grade", "probability", "health", "90 % interval"):
            table.add_column(name)
        for row in range(len(pulses)):
            soc = f"{pulses.soc[row]:.0%}" if np.isfinite(pulses.soc[row]) else "unknown"
            there = np.isfinite(said.soh[row])
            figures = (f"{said.probability[row]:.0%}", f"{said.soh[row]:.1%}", f"{said.low[row]:.1%} to {said.high[row]:.1%}")
            table.add_row(
                escape(str(pulses.cells[row])), escape(str(pulses.kinds[row])), soc, words[row], *(figures if there else ("–",) * 3)
            )
        console.print(table)
    if (pulses.soh == pulses.soh).any() and not as_json:
        _held_against(pulses.soh, said.band)
    raise typer.Exit(DONE if (said.band >= 0).any() else NO)


def _held_against(soh: Floats, bands: NDArray[np.int64]) -> None:
    """One line where health was measured, too."""
    import numpy as np

    from bms_bridge.health.grading import band_of

    known = np.isfinite(soh)
    told = known & (bands >= 0)
    right = float((bands[told] == band_of(soh[told])).mean()) if told.any() else 0.0
    console.print(
        f"Held against {int(known.sum())} measured: {right:.1%} of the grades right, {1 - told.sum() / known.sum():.1%} sent to a test.",
        highlight=False,
    )


def tested(table: ChargeTable, model: str, said: Estimates, level: float) -> Tested:
    """What estimates are worth against what was measured. DataRefused: no capacity was measured."""
    import numpy as np

    from bms_bridge.health import DataRefused
    from bms_bridge.health.conformal import grouped_share

    known = np.isfinite(table.soh)
    if not known.any():
        raise DataRefused(f"{table.kind}: no capacity was measured (the column capacity, Ah); nothing to hold estimates against")
    table, said = table.rows(known), said.rows(known)
    there = np.isfinite(said.soh)
    off = 100 * np.abs(said.soh - table.soh)
    names, which = np.unique(table.cells[there], return_inverse=True)
    means = np.bincount(which, weights=off[there]) / np.bincount(which)
    by_cell = {str(name): float(mean) for name, mean in zip(names, means, strict=True)}
    worst = max(by_cell, key=lambda cell: by_cell[cell], default="")
    inside = (said.low <= table.soh) & (table.soh <= said.high)
    nan = float("nan")
    return Tested(
        kind=table.kind,
        model=model,
        cells=len(set(table.cells)),
        charges=len(table),
        mae=float(off[there].mean()) if there.any() else nan,
        mae_by_cell=float(np.mean(list(by_cell.values()))) if by_cell else nan,
        worst_cell=by_cell.get(worst, nan),
        worst_cell_name=worst,
        covered=grouped_share(inside[there], table.cells[there]),
        level=level,
        width=float(50 * np.median((said.high - said.low)[there])) if there.any() else nan,
        abstained=float(1 - there.mean()),
        unusual=float(np.mean(said.verdict == 1)),
        mae_of_all=float(100 * np.mean(np.abs(said.guess - table.soh))),
    )


def _show(found: list[Tested]) -> None:
    table = Table(title="state of health from one charge, held against measured capacity (misses in %-points)", title_justify="left")
    for name in ("charges of", "model"):
        table.add_column(name)
    for name in ("cells", "charges", "mean miss", "by cell", "worst cell", "within interval", "± median", "wide", "none"):
        table.add_column(name, justify="right")
    for row in found:
        misses = [f"{row.mae:.2f}", f"{row.mae_by_cell:.2f}", f"{row.worst_cell:.2f} ({row.worst_cell_name})"]
        widths = [f"{row.covered:.0%} of {row.level:.0%}", f"{row.width:.1f}"]
        table.add_row(
            escape(row.kind),
            escape(row.model),
            f"{row.cells}",
            f"{row.charges:,}",
            *([escape(word) for word in (*misses, *widths)] if row.abstained < 1 else ["–"] * 5),
            f"{row.unusual:.1%}",
            f"{row.abstained:.1%}",
        )
    console.print(table)
    console.print(
        "wide: unlike the batches that were taught, so that the interval is the wider one; none: unlike anything, so that there is no "
        "estimate. Misses are of charges with an estimate.",
        highlight=False,
        soft_wrap=True,
    )


def _notes(kind: str, notes: tuple[str, ...]) -> None:
    for note in notes:
        complaints.print(f"[yellow]{escape(kind)}: {escape(note)}[/]", highlight=False, soft_wrap=True)


def _refuse(text: str) -> NoReturn:
    complaints.print(f"[red]{escape(text)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(USAGE)


def _finite(row: Mapping[str, object]) -> dict[str, object]:
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
