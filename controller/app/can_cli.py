"""``./chargeyard can``: logs of a vehicle's CAN bus decoded, pack maps shown and checked. Nothing is sent to any bus."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table

if TYPE_CHECKING:
    from bms_bridge.can.bind import Binding
    from bms_bridge.can.dbc import Dbc
    from bms_bridge.can.frame import CanFrame
    from bms_bridge.can.log_file import LogFile
    from bms_bridge.contract import PackSample

can = typer.Typer(help="CAN: decode a log of a vehicle's bus, show and check pack maps.", no_args_is_help=True)
console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2
_LOOK_FRAMES = 2000


@can.command("maps")
def list_maps(name: Annotated[str, typer.Argument(help="Show one map in full: its name, or the path of one's own.")] = "") -> None:
    """Show the pack maps that come with the program, or one of them in full."""
    from bms_bridge.can.pack_map import PackMap

    if name:
        _show_map(PackMap.named(name))
        return
    table = Table(Column("map", no_wrap=True), "pack", "values", "sensors", "cells", "alarms")
    for each in PackMap.names():
        found = PackMap.named(each)
        sensors, cells = (len(row.signals) if row is not None else 0 for row in (found.temperatures, found.cells))
        table.add_row(each, found.title, str(len(found.values)), str(sensors), str(cells), str(len(found.alarms)))
    console.print(table)
    console.print("`can maps NAME` shows which signal is what. A map of one's own is a file like these (docs/can.md).", highlight=False)


@can.command("check")
def check_map(
    file: Annotated[str, typer.Argument(metavar="MAP", help="A pack map of one's own, or the name of one that comes with the program.")],
    *,
    dbc: Annotated[str, typer.Option("--dbc", help="The maker's DBC: are the map's signals there, in the units that it says?")] = "",
) -> None:
    """Check a pack map, alone or against a DBC; everything that is wrong is told with its line.

    Exit code 1: something is wrong with it.
    """
    from bms_bridge.can import InvalidDbc, InvalidPackMap
    from bms_bridge.can.bind import bind
    from bms_bridge.can.pack_map import PackMap

    try:
        found = PackMap.named(file)
        bound = bind(found, _dbc(dbc), where=Path(file).name) if dbc else None
    except InvalidPackMap as error:
        for problem in error.problems:
            complaints.print(f"[red]{escape(problem)}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(NO) from None
    except InvalidDbc as error:
        complaints.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(NO) from None
    if bound is None:
        console.print(f"{escape(found.title)}: the map itself is sound. Check it against the maker's DBC with --dbc FILE.", highlight=False)
        return
    _warn(bound.warnings)
    console.print(
        f"{escape(found.title)}: {len(bound.slots)} signals in {len(bound.layouts)} messages of {escape(bound.dbc)}. The map can be used.",
        highlight=False,
    )


@can.command("decode")
def decode_log(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="candump (.log), ASC, BLF, CSV, TRC, also .gz; MF4 where asammdf is installed.")
    ],
    *,
    dbc: Annotated[str, typer.Option("--dbc", help="The maker's DBC. Alone: every signal that was told, for who writes a map.")] = "",
    map_name: Annotated[str, typer.Option("--map", help="A pack map's name or file: then samples of the pack are made.")] = "",
    gbt: Annotated[bool, typer.Option("--gbt", help="The log is of a charging line: GB/T 27930. Needs neither DBC nor map.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line: each sample, or each message of GB/T 27930.")] = False,
    as_table: Annotated[bool, typer.Option("--table", help="A table of what was told (this is what happens without --json).")] = False,
) -> None:
    """Decode a log of a CAN bus.

    With --dbc and --map: the samples that the controller would have made of it. With --dbc alone: all signals. With --gbt: a
    charging session between charger and vehicle. Timestamps that stand still or jump are repaired, and that is said. A VIN is never
    shown; its pseudonym holds for one run only.

    ./chargeyard can decode drive.log --dbc maker.dbc

    ./chargeyard can decode drive.blf --dbc maker.dbc --map mymap.toml --json

    ./chargeyard can decode charging.log --gbt
    """
    if as_json and as_table:
        raise typer.BadParameter("--json or --table, not both")
    if gbt == bool(dbc) or (map_name and not dbc):
        raise typer.BadParameter("say what the log holds: --dbc FILE, --dbc FILE --map MAP, or --gbt")
    if gbt:
        raise typer.Exit(_decode_gbt(log, as_json=as_json))
    from bms_bridge.can.bind import bind
    from bms_bridge.can.pack_map import PackMap

    found = _dbc(dbc)
    if not map_name:
        _warn(found.warnings)
        raise typer.Exit(_survey(log, found, as_json=as_json))
    bound = bind(PackMap.named(map_name), found, where=Path(map_name).name)
    _warn(bound.warnings)
    raise typer.Exit(_samples(log, found, bound, as_json=as_json))


def _samples(path: Path, dbc: Dbc, bound: Binding, *, as_json: bool) -> int:
    from bms_bridge.can.gather import Gatherer
    from bms_bridge.can.log_file import LogFile
    from depot.values import PackKey

    log, gatherer = LogFile(path, cycles_of(dbc)), Gatherer(bound)
    pack, spread, last = PackKey("log", "P1"), _Spread(), None
    first_s = last_s = 0.0
    for frame in _progress(log):
        first_s, last_s = first_s or frame.at_s, frame.at_s
        if gatherer.hear(frame, frame.at_s) and gatherer.due(frame.at_s):
            last = gatherer.take(pack, frame.at_s, received_at=_time(frame.at_s))
            spread.add(last)
            if as_json:
                _print_json({"estimated": frame.estimated, **sample_fields(last)})
    _tell_log(log)
    if not gatherer.frames:
        complaints.print(
            "[red]No frame of the log is of this map.[/] `can decode LOG --dbc FILE` shows which signals there are.", highlight=False
        )
        return NO
    if not as_json and last is not None:
        console.print(spread.table(last))
        console.print(
            f"{log.frames} frames in {last_s - first_s:.1f} s, {gatherer.frames} of this map; {spread.count} samples.", highlight=False
        )
    return DONE


def _survey(path: Path, dbc: Dbc, *, as_json: bool) -> int:
    from bms_bridge.can.log_file import LogFile
    from bms_bridge.can.survey import Survey

    log, survey = LogFile(path, cycles_of(dbc)), Survey(dbc)
    for frame in _progress(log):
        survey.hear(frame)
    _tell_log(log)
    rows = survey.rows()
    if as_json:
        for signal, seen in rows:
            _print_json(
                {"signal": signal.key, "unit": signal.unit, "count": seen.count, "least": seen.least, "most": seen.most, "last": seen.last}
            )
        return DONE if rows else NO
    table = Table(
        Column("signal", no_wrap=True),
        "unit",
        Column("told", justify="right"),
        *(Column(n, justify="right") for n in ("least", "most", "last")),
    )
    for signal, seen in rows:
        table.add_row(signal.key, signal.unit, str(seen.count), f"{seen.least:g}", f"{seen.most:g}", f"{seen.last:g}")
    console.print(table)
    strangers = sum(survey.unknown.values())
    console.print(
        f"{survey.frames} frames of this DBC; {strangers} of {len(survey.unknown)} identifiers that it does not have.", highlight=False
    )
    return DONE if rows else NO


def _decode_gbt(path: Path, *, as_json: bool) -> int:
    from bms_bridge.can.log_file import LogFile
    from bms_bridge.gbt27930 import CYCLES_S
    from bms_bridge.gbt_session import GbtListener
    from bms_bridge.pseudonym import Pseudonyms

    listener = GbtListener(Pseudonyms.passing().of)
    log, table = LogFile(path, CYCLES_S), Table("time", "phase", "message", "says")
    phase, told = None, {}
    for frame in _progress(log):
        listener.look(frame.at_s)
        message = listener.hear(frame)
        if message is None:
            continue
        if as_json:
            _print_json(
                {
                    "at": _stamp(frame.at_s), "estimated": message.estimated, "phase": listener.session.phase, "message": message.name,
                    **message.values, "reasons": message.reasons, "alarms": message.alarms, "unreliable": message.unreliable,
                    **({"vehicle": message.vehicle} if message.vehicle else {}),
                }
            )  # fmt: skip
            continue
        says = _says(message.values, message.reasons)
        if listener.session.phase != phase or message.name not in told or message.reasons != told[message.name]:
            table.add_row(_stamp(frame.at_s)[11:23], listener.session.phase, message.name, escape(says))
        phase, told[message.name] = listener.session.phase, message.reasons
    _tell_log(log)
    if not listener.counts:
        complaints.print("[red]No message of GB/T 27930 is in this log.[/]", highlight=False)
        return NO
    if not as_json:
        console.print(table)
        for name, newest in listener.last.items():
            console.print(f"last {name}: {escape(_says(newest.values, newest.reasons))}", highlight=False, soft_wrap=True)
        counts = ", ".join(f"{name} {count}" for name, count in listener.counts.items())
        console.print(
            f"{counts}; {listener.transport.done} by the transport protocol; {listener.foreign} frames of others.", highlight=False
        )
        if listener.session.vehicle:
            console.print(f"The vehicle's VIN was told; it is {listener.session.vehicle} in this run.", highlight=False)
    return DONE


class _Spread:
    """Least and greatest of each number over all samples."""

    def __init__(self) -> None:
        self.count = 0
        self._range: dict[str, tuple[float, float]] = {}

    def add(self, sample: PackSample) -> None:
        self.count += 1
        for name, values in _numbers(sample).items():
            if values:
                least, most = self._range.get(name, (values[0], values[0]))
                self._range[name] = min(least, *values), max(most, *values)

    def table(self, last: PackSample) -> Table:
        table = Table("value", *(Column(name, justify="right") for name in ("least", "most", "last")))
        for name, values in _numbers(last).items():
            if name in self._range:
                least, most = self._range[name]
                now = f"{min(values):g} … {max(values):g}" if len(values) > 1 else f"{values[0]:g}" if values else "not told"
                table.add_row(name, f"{least:g}", f"{most:g}", now)
        table.add_row("alarms", "", "", ", ".join(last.alarms) or "none")
        if last.firmware:
            table.add_row("firmware", "", "", escape(last.firmware))
        return table


_FIELDS = ("soc", "soh", "current_a", "voltage_v", "cell_min_v", "cell_max_v", "insulation_ohm", "limit_a", "limit_v")


def _numbers(sample: PackSample) -> dict[str, list[float]]:
    found = {name: [value] if (value := getattr(sample, name)) is not None else [] for name in _FIELDS}
    rows = {"temperatures_c": sample.temperatures_c, "cells_v": sample.cells_v, "balancing_a": sample.balancing_a}
    return {**found, **{name: [v for v in row if v is not None] for name, row in rows.items()}}


def sample_fields(sample: PackSample) -> dict[str, Any]:
    """A sample as JSON says it; what was not told is left out."""
    found: dict[str, Any] = {"at": _stamp(sample.received_at.timestamp())}
    found |= {name: round(value, 6) for name in _FIELDS if (value := getattr(sample, name)) is not None}
    for name in ("temperatures_c", "cells_v", "balancing_a"):
        if row := getattr(sample, name):
            found[name] = [None if value is None else round(value, 6) for value in row]
    return found | {"alarms": sample.alarms, "stop": sample.stop} | ({"firmware": sample.firmware} if sample.firmware else {})


def cycles_of(dbc: Dbc) -> dict[int, float]:
    """The periods that a DBC says, by identifier."""
    return {message.frame_id: message.cycle_s for message in dbc.messages.values() if message.cycle_s}


def _says(values: Any, reasons: tuple[str, ...]) -> str:
    from bms_bridge.gbt27930 import BATTERY_TYPES

    words = {"battery_type": BATTERY_TYPES}
    told = [f"{name} {words.get(name, {}).get(value, f'{value:g}')}" for name, value in values.items() if value is not None]
    return ", ".join([*told, *reasons])


def _progress(log: LogFile) -> Iterator[CanFrame]:
    """The frames of a log, with a bar for who watches a terminal."""
    if not sys.stderr.isatty():
        yield from log
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[frames]} frames"))
    with Progress(*columns, console=complaints, transient=True) as bar:
        task = bar.add_task(escape(log.path.name), total=log.size if log.measured else None, frames=0)
        for number, frame in enumerate(log, 1):
            if number % _LOOK_FRAMES == 0:
                bar.update(task, completed=log.read_bytes, frames=number)
            yield frame


def _tell_log(log: LogFile) -> None:
    _warn((*log.problems, *log.times.texts()))
    if log.other_frames:
        complaints.print(f"{log.other_frames} error or remote frames carry no values.", highlight=False)


def _warn(texts: tuple[str, ...]) -> None:
    for text in texts:
        complaints.print(f"[yellow]{escape(text)}[/]", highlight=False, soft_wrap=True)


def _dbc(name: str) -> Dbc:
    from bms_bridge.can.dbc import Dbc

    return Dbc.named(name)


def _rows_of(found: Any) -> tuple[tuple[str, Any], ...]:
    return (("temperatures", found.temperatures), ("cells", found.cells), ("balancing", found.balancing))


def _show_map(found: Any) -> None:
    table = Table(Column("value", no_wrap=True), "signal", "unit")
    rows = [(str(quantity), told) for quantity, told in found.values.items()]
    rows += [(name, told) for name, told in _rows_of(found) if told is not None]
    for name, told in rows:
        first, last = told.signals[0], told.signals[-1]
        signal = first if first == last else f"{first} … {last} ({len(told.signals)})"
        table.add_row(name, signal, (told.unit or "as the DBC says") + (", charging negative" if told.negative else ""))
    for alarm, signs in (*found.alarms.items(), ("stop", found.stop), ("firmware", found.firmware)):
        for sign in signs:
            counts = "" if sign.counts is None else f" is {', '.join(map(str, sorted(sign.counts)))}"
            table.add_row(alarm, f"{sign.signal}{counts}", "")
    console.print(f"[bold]{escape(found.title)}[/]  {escape(found.maker)}: {escape(', '.join(found.models))}", highlight=False)
    console.print(table)
    for line in (f"Source: {found.source}.", *found.notes):
        console.print(escape(line), highlight=False)


def _print_json(fields: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        typer.echo(json.dumps(fields, ensure_ascii=False))


def _time(at_s: float) -> datetime:
    """A frame's time; what no calendar has becomes 1970."""
    try:
        return datetime.fromtimestamp(at_s, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _stamp(at_s: float) -> str:
    return _time(at_s).isoformat(timespec="milliseconds").replace("+00:00", "Z")
