"""``./chargeyard battery life``, ``life-train``, ``life-test``: how long packs will last, from their history of health.

Exit codes: 0 done, 1 the answer is no, 2 a file or a number cannot be used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out

if TYPE_CHECKING:
    from bms_bridge.life.history import Track
    from bms_bridge.life.remaining import Left, LifeModel
    from controller.life_policy import Policy, Use

console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2
TARGETS = (0.8, 0.7)
SHOWN = 30
LEAST_WORD = 0.03
"""Of ln(cycles): no early curve tells a life better."""
JsonOption = Annotated[bool, typer.Option("--json", help="For machines: one JSON object a line.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="Take this kind's model for all packs, whatever the file says.")]


def add_to(battery: typer.Typer) -> None:
    """Hang the commands under ``battery``."""
    battery.command("life")(life)
    battery.command("life-train")(life_train)
    battery.command("life-test")(life_test)


def life(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Histories of health, one row per pack and estimate (.parquet, .csv).")
    ] = None,
    *,
    depot: Annotated[
        Path | None, typer.Option("--depot", help="The settings of a depot: its own estimates, and its health.life_model without --model.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="A model file of life-train. Without: the packs of FILE teach each other.")
    ] = None,
    kind: KindOption = None,
    cycles_per_year: Annotated[
        float | None, typer.Option("--cycles-per-year", help="Full cycles a year. Without: as the file's column years tells for each pack.")
    ] = None,
    early: Annotated[
        Path | None,
        typer.Option(
            "--early", help="A folder with tables of first curves (cell, log10_var_dQ …, dQ_0 …): a word about new cells of FILE."
        ),
    ] = None,
    chemistry: Annotated[str | None, typer.Option("--chemistry", help="LFP or NMC: then effects of policies are told, too.")] = None,
    temp: Annotated[float, typer.Option("--temp", help="Mean temperature of the cells, °C.")] = 30.0,
    top: Annotated[float, typer.Option("--top", help="State of charge when ready, %.")] = 100.0,
    depth: Annotated[float, typer.Option("--depth", help="What a day takes, % of the capacity.")] = 60.0,
    full_hours: Annotated[float, typer.Option("--full-hours", help="Hours a day that it waits at the top.")] = 8.0,
    rate: Annotated[float, typer.Option("--rate", help="Mean charging rate, capacities an hour.")] = 0.25,
    calibration: Annotated[Path | None, typer.Option("--calibration", help="A file of battery calibrate: the fleet's own factors.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how long packs will last: P10, P50, P90 until 80 % and 70 % health, in cycles and years, and what other charging would change.

    Exit code 1: no pack got a figure; 2: a file or a number cannot be used.
    """
    from bms_bridge.health import HealthError
    from bms_bridge.life.history import read_histories
    from controller.life_policy import Use

    try:
        if (file is None) == (depot is None):
            _refuse("name a FILE with histories, or a depot's settings with --depot")
        if depot is not None:
            tracks, models = _of_depot(depot, model, kind)
        else:
            assert file is not None
            tracks, notes = read_histories(file)
            _notes(notes)
            models = _models(model, tracks)
            tracks = [replace(track, kind=_kind(models, kind, track.kind)) for track in tracks]
        if early is not None:
            tracks = _with_words(tracks, early)
        ways = _policies(chemistry, Use("", temp, 250.0, top / 100, depth / 100, full_hours, rate), cycles_per_year, tracks, calibration)
    except HealthError as error:
        _refuse(str(error))
    rows = [row for name, its, left in _asked(models, tracks) for row in _rows(name, its, left, cycles_per_year, ways)]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
    else:
        _show(rows, ways)
    raise typer.Exit(DONE if any(row["targets"][0]["p50_cycles"] is not None for row in rows) else NO)


def life_train(
    *,
    data: Annotated[Path, typer.Option("--data", help="Histories of whole lives: a file, or a folder with files or folders of files.")],
    out: Annotated[Path, typer.Option("--out", help="The model file that is written.")],
    seed: Annotated[int, typer.Option("--seed", help="Where chance begins; the same seed makes the same model.")] = 0,
) -> None:
    """Teach remaining life from packs that went far: one model per kind, one for packs of any kind. A minute or some.

    Exit code 2: the data cannot be used.
    """
    from bms_bridge.health import HealthError
    from bms_bridge.health.model_file import write_model
    from bms_bridge.life.history import read_histories
    from bms_bridge.life.remaining import to_file
    from bms_bridge.life.teaching import teach_all

    battery_out.places(out)
    try:
        tracks, notes = read_histories(data)
        _notes(notes)
        models = teach_all(tracks, seed=seed)
        told = write_model(out, to_file(models))
    except HealthError as error:
        _refuse(str(error))
    for name, made in models.items():
        told_of = made.taught
        console.print(
            f"{name}: {told_of['lives']} lives in {told_of['groups']} groups, down to {made.deepest:.0%}; kept apart while learning: "
            f"mean miss of {math.expm1(told_of['miss_log']):.0%}, {told_of['p10_to_p90_holds']:.0%} within P10 to P90; "
            f"trees count {made.own.trees:.0%}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    console.print(f"{out}: {len(models)} models, SHA-256 {told}", highlight=False, markup=False, soft_wrap=True)


def life_test(
    *,
    model: Annotated[Path, typer.Option("--model", help="A model file of life-train.")],
    data: Annotated[Path, typer.Option("--data", help="Whole lives of other packs.")],
    to: Annotated[float, typer.Option("--to", help="Until which health, %.")] = 80.0,
    kind: KindOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold remaining life against what really came, for packs that were not taught: asked where they cross each hundredth of health.

    Exit code 1: no pack of the file reached that health; 2: a file or a number cannot be used.
    """
    from bms_bridge.health import HealthError
    from bms_bridge.health.model_file import read_model
    from bms_bridge.life.history import read_histories
    from bms_bridge.life.judging import judged
    from bms_bridge.life.remaining import PURPOSE, from_file

    if not 30 <= to <= 97:
        _refuse(f"--to is {to:g}; it lies between 30 and 97 %")
    try:
        models = from_file(read_model(model, PURPOSE))
        tracks, notes = read_histories(data)
        _notes(notes)
        kinds = {track.kind: _kind(models, kind, track.kind) for track in tracks}
    except HealthError as error:
        _refuse(str(error))
    found = []
    for name in sorted(kinds):
        row = judged(models[kinds[name]], [track for track in tracks if track.kind == name], to / 100)
        if row is not None:
            found.append({"kind": name, "model": kinds[name]} | row)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        table = Table(title=f"cycles left to {to:g} %, where packs crossed each hundredth", title_justify="left")
        for name in ("kind", "packs", "questions", "mean miss", "worst pack", "of life", "within 1 % of life", "P10 to P90 holds"):
            table.add_column(name, justify="left" if name == "kind" else "right")
        for row in found:
            table.add_row(
                escape(str(row["kind"])),
                str(row["lives"]),
                str(row["questions"]),
                f"{row['mae']:.0f}",
                f"{row['worst']:.0f}",
                f"{row['share']:.1%}",
                f"{row['within_1_pct']:.0%}",
                f"{row['coverage']:.2f}",
            )
        console.print(table)
    if not found:
        complaints.print(f"[yellow]no pack of {escape(str(data))} was seen to reach {to:g} %[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(DONE if found else NO)


def _with_words(tracks: Sequence[Track], early: Path) -> list[Track]:
    """Each with what its first curves say of its life. Raises :class:`~bms_bridge.health.HealthError`."""
    from bms_bridge.health.early_life import END_OF_LIFE_SOH, read_early_lives, words_about
    from bms_bridge.life.history import NINETY, Word

    lives = read_early_lives(early)
    _notes(lives.notes)
    said = words_about(lives, [track.pack for track in tracks])
    words = {
        cell: Word(END_OF_LIFE_SOH, life, max(math.log(high / low) / 2 / NINETY, LEAST_WORD)) for cell, (life, low, high) in said.items()
    }
    if not words:
        _notes([f"{early}: no cell of the histories is in it"])
    return [replace(track, word=words.get(track.pack)) for track in tracks]


def _of_depot(config: Path, model: Path | None, kind: str | None) -> tuple[list[Track], dict[str, LifeModel]]:
    """Histories of a depot's packs, and the models for them. Raises :class:`~bms_bridge.health.HealthError`."""
    from bms_bridge.health import DataRefused
    from controller.app.depot_health import health_book, kinds_for, tracks_of

    with health_book(config) as (settings, book):
        tracks, notes = tracks_of(book)
    _notes(notes)
    chosen = model or (settings.health.life_model if settings.health is not None else None)
    if chosen is None:
        raise DataRefused(f"{config}: health.life_model is not set; name a model with --model (battery life-train makes one)")
    models = _models(chosen, tracks)
    if kind is not None:
        return [replace(track, kind=_kind(models, kind, track.kind)) for track in tracks], models
    return kinds_for(models, tracks), models


def _models(model: Path | None, tracks: Sequence[Track]) -> dict[str, LifeModel]:
    from bms_bridge.health.model_file import read_model
    from bms_bridge.life.remaining import PURPOSE, from_file

    if model is not None:
        return from_file(read_model(model, PURPOSE))
    from bms_bridge.life.teaching import teach_all

    complaints.print(
        "no --model: the packs of this file teach each other (figures kept apart are for packs like them only)", highlight=False
    )
    return teach_all(tracks)


def _kind(models: dict[str, LifeModel], wanted: str | None, told: str) -> str:
    """The model for packs whose file says ``told``: the one that was asked for, of that name, with its name in it, the one for any, or
    the only one."""
    from bms_bridge.life.remaining import ANY

    if wanted is not None:
        if wanted not in models:
            _refuse(f"the model knows no kind {wanted!r}; it knows {', '.join(sorted(models))}")
        return wanted
    close = sorted((name for name in models if name != ANY and name.lower() in told.lower()), key=len, reverse=True)
    found = next((name for name in (told, *close, ANY) if name in models), None)
    if found is None:
        if len(models) > 1:
            _refuse(f"the model knows no kind {told!r}; it knows {', '.join(sorted(models))}: name one with --kind")
        found = next(iter(models))
        complaints.print(f"[yellow]{escape(told)}: not taught by name; taken as {escape(found)}[/]", highlight=False)
    return found


def _asked(models: dict[str, LifeModel], tracks: Sequence[Track]) -> list[tuple[str, list[Track], Left]]:
    from bms_bridge.life.remaining import remaining

    found = []
    for name in sorted({track.kind for track in tracks}):
        its = [track for track in tracks if track.kind == name]
        found.append((name, its, remaining(models[name], its, TARGETS)))
    return found


def _policies(
    chemistry: str | None, use: Use, cycles_per_year: float | None, tracks: Sequence[Track], calibration: Path | None
) -> tuple[Policy, ...]:
    from bms_bridge.chemistry_names import usual
    from controller.life_policy import checked, policies

    rates = sorted(rate for track in tracks if (rate := _per_year(track, cycles_per_year)) is not None)
    if cycles_per_year is not None:
        for sentence in checked(replace(use, cycles_per_year=cycles_per_year)):
            _refuse(sentence)
    if chemistry is None:
        return ()
    middle = rates[len(rates) // 2] if rates else use.cycles_per_year
    mine = replace(use, chemistry=usual(chemistry), cycles_per_year=middle)
    for sentence in checked(mine):
        _refuse(sentence)
    factors = (1.0, 1.0)
    if calibration is not None:
        from controller.life_factors import FactorsRefused, read_factors

        try:
            factors = read_factors(calibration).get(mine.chemistry, factors)
        except FactorsRefused as error:
            _refuse(str(error))
    try:
        return policies(mine, factors)
    except KeyError:
        _refuse(f"nothing is known of {chemistry} cells' ageing; --chemistry is LFP or NMC")


def _per_year(track: Track, wanted: float | None) -> float | None:
    if wanted is not None:
        return wanted if wanted > 0 else None
    first, last = track.years[0], track.years[-1]
    if not (math.isfinite(first) and math.isfinite(last) and last - first > 0.05):
        return None
    rate = float((track.cycles[-1] - track.cycles[0]) / (last - first))
    return rate if rate > 0 else None


def _rows(kind: str, tracks: Sequence[Track], left: Left, cycles_per_year: float | None, ways: Sequence[Policy]) -> list[dict[str, Any]]:
    from bms_bridge.life.remaining import VERDICTS

    found = []
    for place, track in enumerate(tracks):
        rate = _per_year(track, cycles_per_year)
        targets = []
        for column, target in enumerate(TARGETS):
            cycles = {name: float(getattr(left, name)[place, column]) for name in ("p10", "p50", "p90")}
            one: dict[str, Any] = {"target": target, "worth": VERDICTS[left.verdict[place, column]]}
            one |= {f"{name}_cycles": round(value) for name, value in cycles.items()}
            if rate is not None:
                one |= {f"{name}_years": round(value / rate, 2) for name, value in cycles.items()}
                one["policies"] = [
                    {"policy": way.words}
                    | {f"{name}_years_more": round(value / rate * (way.stretch - 1), 2) for name, value in cycles.items()}
                    for way in ways
                ]
            targets.append(one)
        found.append(
            {"pack": track.pack, "kind": kind, "cycle": float(track.cycles[-1]), "soh": round(float(track.soh[-1]), 4), "targets": targets}
        )
    return found


def _show(rows: Sequence[dict[str, Any]], ways: Sequence[Policy]) -> None:
    table = Table(title="life that is left: P10 / P50 / P90", title_justify="left")
    for name in ("pack", "health", "cycle", *(f"to {target:.0%}: {unit}" for target in TARGETS for unit in ("cycles", "years")), "worth"):
        table.add_column(name, justify="left" if name in ("pack", "worth") else "right")
    for row in rows[:SHOWN]:
        cells = []
        for one in row["targets"]:
            cells.append(" / ".join(f"{one[f'{name}_cycles']:,}" for name in ("p10", "p50", "p90")))
            years = [one.get(f"{name}_years") for name in ("p10", "p50", "p90")]
            cells.append(" / ".join(f"{year:.1f}" for year in years if year is not None) or "–")
        worth = "; ".join(dict.fromkeys(f"{one['target']:.0%}: {one['worth']}" for one in row["targets"]))
        table.add_row(escape(row["pack"]), f"{row['soh']:.1%}", f"{row['cycle']:,.0f}", *cells, worth)
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"… and {len(rows) - SHOWN} more packs; all with --json", highlight=False)
    if all("p50_years" not in one for row in rows for one in row["targets"]):
        console.print("Years need --cycles-per-year, or a column years in the file.", highlight=False, soft_wrap=True)
    if ways:
        _show_policies(rows, ways)


def _show_policies(rows: Sequence[dict[str, Any]], ways: Sequence[Policy]) -> None:
    waiting = sorted(
        (row for row in rows if row["targets"][0].get("p50_years", 0) > 0), key=lambda row: float(row["targets"][0]["p50_years"])
    )
    table = Table(title="charged otherwise", title_justify="left")
    for name in ("policy", "years to 80 % are so many times as long", "the middle pack: P10 / P50 / P90"):
        table.add_column(name, justify="left" if name == "policy" else "right")
    middle = waiting[len(waiting) // 2]["targets"][0]["policies"] if waiting else []
    for place, way in enumerate(ways):
        more = [middle[place][f"{name}_years_more"] for name in ("p10", "p50", "p90")] if middle else []
        table.add_row(escape(way.words), f"{way.stretch:.2f}", " / ".join(f"{year:+.1f}" for year in more) + (" years" if more else "–"))
    console.print(table)
    console.print(
        "Paces are those of the shipped cell models (with --calibration: of your fleet); nobody has measured these packs otherwise.",
        highlight=False,
        soft_wrap=True,
    )


def _notes(notes: Sequence[str]) -> None:
    for note in notes:
        complaints.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)


def _refuse(sentence: str) -> NoReturn:
    complaints.print(f"[red]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(USAGE)
