"""``./chargeyard lake``: what the depot's lake of battery samples holds, questions to it in SQL, its upkeep, packs' histories.

    order --> the lake's process over its socket; where none runs, this command takes the lake itself for as long as it needs

Catalogue and questions only read, and need no process.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table

if TYPE_CHECKING:
    from bms_bridge.lake.catalog_view import LakeCatalogView
    from controller.settings import Settings

lake = typer.Typer(help="The lake: samples of batteries, kept for years.", no_args_is_help=True)
console = Console()
complaints = Console(stderr=True)

DONE, NO = 0, 1
ConfigArgument = Annotated[Path, typer.Argument(help="The depot's configuration file, with a section [lake].")]
PackArgument = Annotated[str, typer.Argument(metavar="VEHICLE/PACK", help="Which pack, as the registry names it: E-131/P1.")]


@lake.command("catalog")
def show_catalog(
    config: ConfigArgument,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show every column with unit and meaning, what is kept of which time, and the replays."""
    settings = _settings(config)
    from bms_bridge.lake.catalog import catalog
    from bms_bridge.lake.orders import words_of
    from controller.app.lake_process import places_of, retention_of

    places = places_of(settings)
    with looking(settings) as hot:
        found = catalog(hot, kept=words_of(retention_of(settings), cold=places.cold is not None))
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
        return
    _print_catalog(found)


@lake.command("query")
def ask_lake(
    config: ConfigArgument,
    sql: Annotated[str, typer.Argument(help="One SELECT over samples, packs, files, lives (docs/lake.md has examples).")],
    *,
    rows: Annotated[int, typer.Option("--rows", min=1, max=1_000_000, help="At most so many rows.")] = 100,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600, help="It may take so long.")] = 30.0,
    memory: Annotated[int, typer.Option("--memory", min=16, max=65_536, help="Megabytes that it may use.")] = 512,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """Ask in SQL. It can only read, and only the lake."""
    settings = _settings(config)
    from bms_bridge.lake.query import query
    from controller.app.lake_process import need_libraries, places_of

    need_libraries()
    with looking(settings) as hot:
        found = query(hot, places_of(settings), sql, most_rows=rows, time_s=seconds, memory_mb=memory, names=True)
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(found.columns)
        writer.writerows(found.rows)
    else:
        table = Table(*found.columns)
        for row in found.rows:
            table.add_row(*(escape(_cell(value)) for value in row))
        console.print(table)
    if found.more:
        complaints.print(f"there are more than {rows} rows: --rows shows more of them", highlight=False)


@lake.command("check")
def check_lake(
    config: ConfigArgument,
    *,
    lives: Annotated[bool, typer.Option("--lives", help="Also fold every record of a pack's life anew over all rows.")] = False,
) -> None:
    """Hash every file again and compare it with the manifest."""
    found = _order(_settings(config), "check", {"lives": lives})
    for complaint in found["wrong"]:
        complaints.print(f"[red]wrong:[/] {escape(complaint)}", highlight=False, soft_wrap=True)
    console.print(f"{found['files']} files, {found['lives']} records looked at; {len(found['wrong'])} wrong", highlight=False)
    raise typer.Exit(NO if found["wrong"] else DONE)


@lake.command("compact")
def compact_lake(config: ConfigArgument) -> None:
    """Move all rows that wait into their files now, and do what is due."""
    found = _order(_settings(config), "compact", {})
    console.print(f"{found['sealed']} files written; {found['waiting']} wait because somebody reads", highlight=False)


@lake.command("replay")
def replay_lake(
    config: ConfigArgument,
    *,
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=720, help="The last so many hours of raw messages.")] = 72,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the catalogue.")] = "",
) -> None:
    """Decode and check the raw messages of the last days once more, as the program and the settings have it now."""
    found = _order(_settings(config), "replay", {"hours": hours, "by": reason})
    words = ", ".join(f"{found[name]} {name}" for name in ("same", "changed", "new", "withdrawn"))
    console.print(f"replay {found['number']}: {found['rows']} rows of {found['batches']} batches: {words}", highlight=False)


@lake.command("life")
def show_life(config: ConfigArgument, pack: PackArgument) -> None:
    """Print the record of a pack's life, as JSON."""
    found = _order(_settings(config), "life", _pack(pack))
    if not found:
        complaints.print(f"[red]chargeyard:[/] the lake has never heard of {escape(pack)}")
        raise typer.Exit(NO)
    sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


@lake.command("export")
def export_pack(
    config: ConfigArgument,
    pack: PackArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive that is written (.zip).")],
) -> None:
    """Write a pack's whole history into one signed archive, for when it changes hands."""
    found = _order(_settings(config), "export", {**_pack(pack), "target": str(output.absolute())})
    if not found:
        complaints.print(f"[red]chargeyard:[/] the lake has never heard of {escape(pack)}")
        raise typer.Exit(NO)
    console.print(f"{escape(str(output))}: {found['rows']:,} rows, {found['bytes']:,} bytes", highlight=False)
    console.print(f"signed by the key {found['fingerprint']}", highlight=False)
    console.print("Tell the buyer this fingerprint by another way than the archive itself.", highlight=False)


@lake.command("import")
def import_pack(
    config: ConfigArgument,
    pack: PackArgument,
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="What the seller's depot exported.", exists=True, dir_okay=False)],
    *,
    fingerprint: Annotated[str, typer.Option("--fingerprint", help="Of the key that it must be signed with, as the seller said it.")],
) -> None:
    """Take in a pack's history from another depot: checked, and refused if anything in it was changed."""
    found = _order(_settings(config), "import", {**_pack(pack), "source": str(archive.absolute()), "fingerprint": fingerprint})
    again = "was here already" if found["again"] else "is kept with the pack"
    console.print(f"history of depot {escape(found['depot_id'])}, {found['rows']:,} rows: it {again}", highlight=False)


# -- how orders get there ------------------------------------------------------------------------------------------------


def _settings(config: Path) -> Settings:
    from controller.settings import Settings, SettingsError

    settings = Settings.load(config)
    if settings.lake is None:
        raise SettingsError(f"{config}: there is no section [lake]: this depot keeps no samples")
    return settings


@contextlib.contextmanager
def looking(settings: Settings) -> Any:
    """The lake's database, read only. Raises :class:`storage.StorageError`, :class:`~bms_bridge.lake.LakeRefused`."""
    from sqlalchemy import text

    from bms_bridge.lake import LakeRefused
    from bms_bridge.lake.hot import Hot
    from controller.app.lake_process import places_of
    from storage import Store, StoreMissing

    database = places_of(settings).database
    try:
        opened = Store.open(database, read_only=True)
    except StoreMissing:
        raise StoreMissing(f"{database}: there is no lake yet: start the depot (./chargeyard run), whose lake's process makes it") from None
    with contextlib.closing(opened) as store:
        with store.reading() as connection:
            made = connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'lake_meta'")).scalar()
        if not made:
            raise LakeRefused("the lake is only just being made: ask again when it runs")
        yield Hot(store)


def _order(settings: Settings, what: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Carry it out; raises an expected error with what the lake says against it."""
    from bms_bridge.lake.asking import ask
    from controller.app.lake_process import opened

    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=complaints, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def tell(text: str, done: int, of: int) -> None:
            bar.update(task, description=text, completed=done, total=of or None)

        try:
            answer = asyncio.run(ask(settings.lake_path, what, args, on_progress=lambda p: tell(p.text, p.done, p.of)))
        except (FileNotFoundError, ConnectionRefusedError):
            with opened(settings) as (owned, orders, _):
                return orders.table[what](owned, args, tell)
    if answer.error:
        raise _error(answer.kind)(answer.error)
    return answer.data


def _error(kind: str) -> Callable[[str], Exception]:
    from bms_bridge import lake as errors

    return next((found for found in (errors.ArchiveRefused, errors.LakeDamaged) if found.__name__ == kind), errors.LakeRefused)


def _pack(text: str) -> dict[str, str]:
    vehicle_id, slash, pack_id = text.partition("/")
    if not slash or not vehicle_id or not pack_id:
        raise typer.BadParameter(f"{text!r} names no pack: write VEHICLE/PACK, such as E-131/P1")
    return {"vehicle_id": vehicle_id, "pack_id": pack_id}


# -- for people ----------------------------------------------------------------------------------------------------------


def _print_catalog(found: LakeCatalogView) -> None:
    columns = Table(Column("column", no_wrap=True), "type", "unit", "meaning", "said by", "since")
    for one in found.columns:
        columns.add_row(one.name, one.type, one.unit, escape(one.meaning), one.source, str(one.since))
    console.print(columns)
    sets = Table("data", Column("rows", justify="right"), Column("bytes", justify="right"), "files", "packs", "from", "to", "kept")
    for data in found.datasets:
        times = (_cell(data.first_at), _cell(data.last_at))
        sets.add_row(data.name, f"{data.rows:,}", f"{data.bytes:,}", str(data.files or ""), str(data.packs or ""), *times, data.kept)
    console.print(sets)
    for replay in found.replays:
        end = "" if replay.done else ", cut off or still running"
        console.print(f"replay {replay.number}, {_cell(replay.at)}, {escape(replay.by)}: {replay.changed} of {replay.rows} changed{end}")
    console.print(f"{found.packs} packs; {found.histories} histories from other depots", highlight=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:g}" if isinstance(value, float) else str(value)
