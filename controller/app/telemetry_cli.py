"""``./chargeyard telemetry``: files of readings into the packed form of telemetry and back, with what that saves and costs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

if TYPE_CHECKING:
    from bms_bridge.edge.wire import Block, Reading

telemetry = typer.Typer(help="Telemetry: readings into the compact form that a vehicle's unit sends, and back.", no_args_is_help=True)
console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2
MARK = b"CYT2"
"""A file of packed messages begins with this; before each message stands its length, four bytes, lowest first."""

_WIDE = ("temperatures_c", "cells_v")
_TIMES = ("reported_at", "at_ms", "t_s")


class BadFile(ValueError):
    """The file cannot be read as what it should be; the text says where and what to change."""


@telemetry.command("encode")
def encode_file(
    file: Annotated[Path, typer.Argument(help="Readings: .csv, .jsonl (JSON lines) or .parquet.", exists=True, dir_okay=False)],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where the packed messages are written.")] = None,
    batch_s: Annotated[float, typer.Option("--batch", min=0.0, help="Seconds of readings in one message.")] = 10.0,
    heartbeat_s: Annotated[float, typer.Option("--heartbeat", min=0.1, help="So often something is told although nothing changed.")] = 10.0,
    band: Annotated[
        list[str] | None, typer.Option("--band", help="NAME=STEP,BAND of a signal in its unit, e.g. current_a=0.1,0.5; repeat for several.")
    ] = None,
    firmware: Annotated[str, typer.Option("--firmware", help="Named in each message.")] = "",
    boot: Annotated[int, typer.Option("--boot", min=0, help="The unit's start that the messages belong to.")] = 1,
) -> None:
    """Record a file of readings as a vehicle's unit would: what it would send, how much less that is, how exact.

    Columns: a time (reported_at: ISO 8601 with a zone; at_ms: Unix milliseconds; t_s: seconds) and the contract's names; sensors and
    cells as temperatures_c.0, temperatures_c.1, … in CSV. Exit code 1: an error is larger than its band.
    """
    from bms_bridge.edge import EdgeError
    from bms_bridge.edge.bands import bands
    from bms_bridge.edge.recorder import Habits
    from bms_bridge.edge.review import record, review

    try:
        told = bands(**_bands_of(band or []))
        readings = sorted(read_readings(file), key=lambda reading: reading.at_ms)
        if not readings:
            raise BadFile(f"{file.name} holds no readings")
        packets = record(readings, Habits(boot=boot, firmware=firmware, bands=told, batch_s=batch_s, heartbeat_s=heartbeat_s))
    except (BadFile, EdgeError) as error:
        complaints.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(USAGE) from None
    if output is not None:
        output.write_bytes(MARK + b"".join(len(packet.data).to_bytes(4, "little") + packet.data for packet in packets))
    found = review(readings, packets)
    sizes = Table(Column("form", no_wrap=True), Column("bytes", justify="right"), Column("× packed", justify="right"))
    for name, size in (
        ("packed", found.packed_bytes),
        ("each reading as JSON", found.json_bytes),
        ("8 bytes a value", found.raw_bytes),
        ("these, all together through gzip", found.gzip_bytes),
    ):
        sizes.add_row(name, f"{size:,}", f"{size / found.packed_bytes:.1f}")
    exact = Table(Column("signal", no_wrap=True), Column("largest error", justify="right"), Column("its band", justify="right"))
    kept = True
    for name, largest in found.errors.items():
        within = largest <= told[name].band * (1 + 1e-9) + 1e-9
        kept = kept and within
        exact.add_row(name, f"{largest:.4g}" if within else f"[red]{largest:.4g}[/]", f"{told[name].band:g}")
    console.print(f"{found.readings} readings, {found.rows} told in {found.messages} messages", highlight=False)
    console.print(sizes, exact)
    raise typer.Exit(DONE if kept else NO)


@telemetry.command("decode")
def decode_file(
    file: Annotated[Path, typer.Argument(help="What `telemetry encode` wrote, or one packed message.", exists=True, dir_okay=False)],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where the readings are written: .jsonl, .csv or .parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the readings as JSON lines.")] = False,
) -> None:
    """Read packed messages. A damaged one is told and left out; the others count. Exit code 1: there was one."""
    try:
        blocks, damaged = read_packed(file)
        rows = [_row(block, sequence, reading) for block in blocks for sequence, reading in block.readings()]
        if output is not None:
            write_rows(rows, output)
    except BadFile as error:
        complaints.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(USAGE) from None
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        size = file.stat().st_size
        console.print(
            f"{len(blocks)} messages, {len(rows)} readings, {size:,} bytes ({size / max(1, len(rows)):.1f} a reading)", highlight=False
        )
        dropped = sum(block.dropped for block in blocks)
        if dropped:
            console.print(f"{dropped} more had been given up by the unit for want of room", highlight=False)
    for problem in damaged:
        complaints.print(f"[red]{escape(problem)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(NO if damaged else DONE)


# -- files ---------------------------------------------------------------------------------------------------------------


def read_readings(file: Path) -> Iterator[Reading]:
    """The readings in a file, by its ending. Raises :class:`BadFile` with the line."""
    match file.suffix.lower():
        case ".csv":
            with file.open(newline="", encoding="utf-8-sig") as lines:
                for number, row in enumerate(csv.DictReader(lines), 2):
                    yield reading_of({name: value for name, value in row.items() if name and value not in ("", None)}, f"line {number}")
        case ".jsonl" | ".ndjson" | ".json":
            with file.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        try:
                            row = json.loads(line)
                        except json.JSONDecodeError as error:
                            raise BadFile(f"line {number}: {error}") from None
                        if not isinstance(row, dict):
                            raise BadFile(f"line {number}: an object is wanted, one reading a line")
                        yield reading_of(row, f"line {number}")
        case ".parquet":
            yield from (reading_of(row, f"row {number}") for number, row in enumerate(_parquet(file), 1))
        case other:
            raise BadFile(f"{file.name}: {other or 'a file without ending'} is not known; .csv, .jsonl and .parquet are")


def reading_of(row: Mapping[str, Any], where: str) -> Reading:
    """One reading of a row with the contract's names. Raises :class:`BadFile`."""
    from bms_bridge.edge.wire import BY_NAME, MOST_MS, Reading

    values: dict[str, Any] = {}
    wide: dict[str, dict[int, float | None]] = {}
    try:
        for name, value in row.items():
            head, _, number = name.partition(".")
            if name in _TIMES or name in ("schema", "firmware", "boot", "sequence", "history") or value is None:
                continue
            if head in _WIDE and number:
                wide.setdefault(head, {})[int(number)] = float(value)
            elif name in _WIDE:
                values[name] = tuple(None if each is None else float(each) for each in value)
            elif name == "alarms":
                values[name] = tuple(value.split()) if isinstance(value, str) else tuple(map(str, value))
            elif name == "stop":
                values[name] = str(value).lower() in ("1", "true", "yes", "1.0")
            elif name in BY_NAME:
                values[name] = float(value)
            else:
                raise BadFile(f"{where}: {name!r} is no signal; there are {', '.join(BY_NAME)}, and the time as {', '.join(_TIMES)}")
        for name, sensors in wide.items():
            values[name] = tuple(sensors.get(number) for number in range(min(max(sensors) + 1, BY_NAME[name].most + 1)))
        at_ms = _at_ms(row)
    except (TypeError, ValueError, OverflowError) as error:
        raise error if isinstance(error, BadFile) else BadFile(f"{where}: {error}") from None
    if not 0 <= at_ms <= MOST_MS:
        raise BadFile(f"{where}: a time before 1970 or after the year 9999")
    return Reading(at_ms=at_ms, **values)


def _at_ms(row: Mapping[str, Any]) -> int:
    if row.get("reported_at") is not None:
        stamp = row["reported_at"]
        at = stamp if isinstance(stamp, datetime) else datetime.fromisoformat(str(stamp))
        if at.tzinfo is None:
            raise ValueError("reported_at has no zone")
        return round(at.timestamp() * 1000)
    if row.get("at_ms") is not None:
        return int(row["at_ms"])
    if row.get("t_s") is not None and math.isfinite(float(row["t_s"])):
        return round(float(row["t_s"]) * 1000)
    raise ValueError(f"no time; give one of {', '.join(_TIMES)}")


def read_packed(file: Path) -> tuple[list[Block], list[str]]:
    """The messages in a file, and what is wrong with those that cannot be read. Raises :class:`BadFile` for another file."""
    from bms_bridge.edge import WireError
    from bms_bridge.edge.wire import MOST_BYTES, decode, is_packed

    data = file.read_bytes()
    if is_packed(data):
        messages = [data]
    elif data.startswith(MARK):
        messages, at = [], len(MARK)
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "little")
            if length > MOST_BYTES:
                raise BadFile(f"{file.name}: at byte {at} a message of {length} bytes; the file is damaged from there on")
            messages.append(data[at + 4 : at + 4 + length])
            at += 4 + length
    else:
        raise BadFile(f"{file.name} is no file of packed messages: it begins with {MARK.decode()}")
    blocks, damaged = [], []
    for number, message in enumerate(messages, 1):
        try:
            blocks.append(decode(message))
        except WireError as error:
            damaged.append(f"message {number}: {error}")
    return blocks, damaged


def _row(block: Block, sequence: int, reading: Reading) -> dict[str, Any]:
    """A reading with the contract's names, without what was not said."""
    stamp = datetime.fromtimestamp(reading.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {name: getattr(reading, name) for name in reading.__slots__ if name != "at_ms"}
    row = {"schema": "pack_telemetry/2", "reported_at": stamp, "temperatures_c": list(said.pop("temperatures_c"))}
    row |= {name: list(value) if isinstance(value, tuple) else value for name, value in said.items() if value not in (None, (), False)}
    row |= {"firmware": block.firmware} if block.firmware else {}
    return row | {"boot": block.boot, "sequence": sequence} | ({"history": True} if block.history else {})


def write_rows(rows: Iterable[dict[str, Any]], file: Path) -> None:
    """As the file's ending says. Raises :class:`BadFile`."""
    rows = list(rows)
    match file.suffix.lower():
        case ".jsonl" | ".ndjson" | ".json":
            file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        case ".csv":
            flat = [_flat(row) for row in rows]
            names = list(dict.fromkeys(name for row in flat for name in row))
            with file.open("w", newline="", encoding="utf-8") as lines:
                out = csv.DictWriter(lines, names)
                out.writeheader()
                out.writerows(flat)
        case ".parquet":
            import pyarrow
            import pyarrow.parquet

            names = list(dict.fromkeys(name for row in rows for name in row))
            table = pyarrow.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
            pyarrow.parquet.write_table(table, file)
        case other:
            raise BadFile(f"{file.name}: {other or 'a file without ending'} is not known; .jsonl, .csv and .parquet are")


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in _WIDE:
            found |= {f"{name}.{number}": each for number, each in enumerate(value)}
        else:
            found[name] = " ".join(value) if isinstance(value, list) else value
    return found


def _parquet(file: Path) -> list[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(file).to_pylist()  # type: ignore[no-any-return]
    except pyarrow.ArrowException as error:
        raise BadFile(f"{file.name} is no Parquet file that can be read: {error}") from None


def _bands_of(words: Iterable[str]) -> dict[str, tuple[float, float]]:
    found = {}
    for word in words:
        name, _, numbers = word.partition("=")
        try:
            step, band = (float(number) for number in numbers.split(","))
        except ValueError:
            raise BadFile(f"--band {word}: write NAME=STEP,BAND, e.g. current_a=0.1,0.5") from None
        found[name] = (step, band)
    return found
