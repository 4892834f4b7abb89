"""``./chargeyard meter``: the maps of meters that are known, a check of one's own, and the probe that finds how a meter that
was just wired is read. The probe only reads."""

from __future__ import annotations

import asyncio
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

if TYPE_CHECKING:
    from grid.meter_map import MapValue, MeterMap, Quantity
    from grid.meter_probe import Finding, Trial
    from grid.modbus_link import Peer

meter = typer.Typer(help="Meters: known maps, and the probe that finds how a meter is read.", no_args_is_help=True)
console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
_SCAN_TIMEOUT_S = 0.5
_WORDS = {"big": "high word first", "little": "low word first"}


@meter.command("list")
def list_maps() -> None:
    """Show all maps that come with the program."""
    from grid.meter_map import MeterMap

    table = Table(Column("map", no_wrap=True), "meter", "tells", "not verified", "words")
    for name in MeterMap.names():
        found = MeterMap.named(name)
        doubtful = f"{len(found.unverified)} of {len(found.values)}" if found.unverified else ""
        words = "as the meter is set" if found.word_order_varies else _WORDS[next(iter(found.values.values())).word_order]
        table.add_row(name, found.title, f"{len(found.values)} values", doubtful, words)
    console.print(table)
    console.print("`meter show NAME` lists the registers; values that are not verified are what the probe looks at.", highlight=False)


@meter.command("show")
def show_map(name: Annotated[str, typer.Argument(help="A map's name, or the path of one's own, ending in .toml.")]) -> None:
    """Show where a kind of meter keeps its values."""
    from grid.meter_map import MeterMap

    found = MeterMap.named(name)
    table = Table(Column("value", no_wrap=True), "registers", "address", "type", "one count", "verified")
    for value in found.values.values():
        kind = f"{value.type.value}, {_WORDS[value.word_order]}" if value.type.registers > 1 else value.type.value
        worth = f"{value.scale:g} {value.quantity.unit.removeprefix('1')}".rstrip()
        table.add_row(
            value.quantity.value, value.table.value, str(value.address), kind, worth, "yes" if value.verified else "[yellow]no[/]"
        )
    console.print(f"[bold]{escape(found.title)}[/]  {escape(found.maker)}: {escape(', '.join(found.models))}", highlight=False)
    console.print(table)
    for line in (f"Source: {found.source}.", *found.notes, "Addresses count from 0, as on the wire."):
        console.print(escape(line), highlight=False)


@meter.command("check")
def check_map(file: Annotated[Path, typer.Argument(help="A meter map of one's own.")]) -> None:
    """Check a map; everything that is wrong with it is told with its line."""
    from grid.meter_codec import blocks
    from grid.meter_map import InvalidMap, MeterMap

    try:
        found = MeterMap.load(file)
    except InvalidMap as error:
        for problem in error.problems:
            complaints.print(f"[red]{escape(problem)}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(NO) from None
    requests = blocks(found)
    console.print(f"{escape(found.title)}: {len(found.values)} values in {len(requests)} requests. The map can be used.", highlight=False)


@meter.command("probe")
def probe_meter(
    address: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="The meter, or the gateway in front of it.")],
    *,
    map_name: Annotated[str, typer.Option("--map", help="A map's name or file; auto tries all that come with the program.")] = "auto",
    unit: Annotated[int, typer.Option("--unit", min=0, max=255, help="Modbus unit id.")] = 1,
    scan: Annotated[str, typer.Option("--scan", help="First look which unit ids answer, for example 1-32; the first is then probed.")] = "",
    volts: Annotated[
        float, typer.Option("--volts", min=1, help="Nominal voltage between phase and neutral, as the meter shows it.")
    ] = 230.0,
    rtu: Annotated[bool, typer.Option("--rtu", help="RTU frames over TCP, for a gateway that does not translate.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.05, max=30, help="Seconds to wait for each answer.")] = 1.0,
) -> None:
    """Find how a meter is read: map, offset, word order. Prints every try, and the lines for the settings."""
    from grid.meter_map import MeterMap
    from grid.modbus_link import Framing, Peer

    host, port = _host_port(address)
    maps = [MeterMap.named(name) for name in (MeterMap.names() if map_name == "auto" else (map_name,))]
    units = _units(scan) if scan else []
    peer = Peer(host=host, port=port, unit_id=unit, timeout_s=timeout, framing=Framing.RTU if rtu else Framing.TCP)
    raise typer.Exit(asyncio.run(_probe(peer, maps, units, volts)))


async def _probe(peer: Peer, maps: list[MeterMap], units: list[int], volts: float) -> int:
    from dataclasses import replace

    from grid.meter_probe import answering_units, probe
    from grid.modbus_link import ModbusLink, NoAnswer

    try:
        if units:
            quick = ModbusLink(replace(peer, timeout_s=min(peer.timeout_s, _SCAN_TIMEOUT_S)), label="probe")
            await quick.open()
            try:
                with console.status(f"Looking for unit ids {units[0]} to {units[-1]} …") as status:
                    found_units = await answering_units(
                        quick, units, tell=lambda number, _: status.update(f"Looking for unit ids: {number} of {units[-1]} …")
                    )
            finally:
                quick.close()
            if not found_units:
                complaints.print(f"[red]No unit answers between {units[0]} and {units[-1]}.[/]", highlight=False)
                return UNREACHABLE
            console.print(f"Units that answer: {', '.join(map(str, found_units))}. Probing {found_units[0]}.", highlight=False)
            peer = replace(peer, unit_id=found_units[0])
        link = ModbusLink(peer, label="probe")
        await link.open()
        trials: list[Trial] = []
        try:
            with console.status(f"Reading {peer} …") as status:

                def tell(trial: Trial) -> None:
                    trials.append(trial)
                    status.update(f"Reading {peer}: {trial.map_name} …")

                findings = await probe(link, maps, nominal_v=volts, tell=tell)
        finally:
            link.close()
            _show_trials(trials)
    except NoAnswer as error:
        complaints.print(f"[red]{escape(str(peer))} does not answer:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        complaints.print("Check address, port, unit id (--unit, --scan 1-32) and framing (--rtu).", highlight=False)
        return UNREACHABLE
    if not findings:
        complaints.print(
            f"[red]No map fits:[/] nowhere a frequency of 45 to 65 Hz with voltages near {volts:g} V. Try another --map or --volts, "
            "or write a map of its own (docs/meters.md).",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        return NO
    _show_finding(findings[0], peer, volts)
    for other in findings[1:]:
        how = ", ".join(line for line in settings_lines(other, peer, volts)[4:] if not line.startswith("nominal_v"))
        console.print(f"Fits as well: {how} ({len(other.values)} values).", highlight=False, soft_wrap=True)
    twins = [other for other in findings[1:] if other.map.name == findings[0].map.name and other.score[:2] == findings[0].score[:2]]
    if twins:
        console.print("[yellow]Nothing tells these apart now. Probe again while the site draws power.[/]", highlight=False)
    return DONE


def _show_trials(trials: list[Trial]) -> None:
    """One line for each try; tries of one map that failed alike share a line."""

    def alike(trial: Trial) -> tuple[str, str, str, bool]:
        return trial.map_name, trial.table.value, trial.words, trial.fits

    for (map_name, table, words, good), group in groupby(trials, key=alike):
        tried = list(group)
        how = ", ".join(
            f"{trial.offset:+d} {trial.word_order.value}" if trial.offset else f"as written {trial.word_order.value}" for trial in tried
        )
        mark, style = ("fits", "green") if good else ("no  ", "dim")
        console.print(f"[{style}]{mark}  {escape(map_name)}, {table}, {how}: {escape(words)}[/]", highlight=False, soft_wrap=True)


def _show_finding(finding: Finding, peer: Peer, volts: float) -> None:
    table = Table("value", "now", "address", "verified")
    for quantity, value in finding.map.values.items():
        told = finding.values.get(quantity)
        now = f"[yellow]{escape(finding.missing.get(quantity, 'not told'))}[/]" if told is None else _amount(quantity, told)
        table.add_row(quantity.value, now, str(value.address + finding.offset), _verified(value, told))
    console.print(f"[bold]{escape(finding.map.title)}[/] at {escape(str(peer))}", highlight=False)
    console.print(table)
    expected_w, power_w = finding.expected_w, finding.power_w
    if expected_w is not None and power_w is not None:
        apart = abs(abs(power_w) - expected_w) > 0.1 * max(expected_w, abs(power_w)) + 50
        verdict = "[yellow]they do not fit[/]" if apart else "they fit"
        made = "V × I × PF make" if finding.tells_power_factor else "V × I (it tells no power factor) make"
        console.print(f"Total power {power_w / 1000:.2f} kW; {made} {expected_w / 1000:.2f}: {verdict}.", highlight=False)
    for words in finding.doubts:
        console.print(f"[yellow]{escape(words)}[/]", highlight=False, soft_wrap=True)
    console.print("Import must show as a positive power; if the site draws and it is negative, add turned = true.", highlight=False)
    console.print("\nFor the depot's settings:\n", highlight=False)
    for line in settings_lines(finding, peer, volts):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def settings_lines(finding: Finding, peer: Peer, volts: float) -> list[str]:
    """The section of the settings file that reads the meter as it was found."""
    from grid.meter_map import MeterMap
    from grid.modbus_link import Framing

    name = finding.map.name if finding.map.name in MeterMap.names() else str(finding.map.file)
    lines = ["[meter]", f'host = "{peer.host}"', f"port = {peer.port}", f"unit = {peer.unit_id}", f'map = "{name}"']
    if peer.framing is Framing.RTU:
        lines.append('framing = "rtu"')
    if finding.table is not None:
        lines.append(f'table = "{finding.table}"')
    if finding.offset:
        lines.append(f"offset = {finding.offset}")
    if finding.word_order is not None:
        lines.append(f'word_order = "{finding.word_order}"')
    if volts != 230.0:
        lines.append(f"nominal_v = {volts:g}")
    return lines


def _amount(quantity: Quantity, value: float) -> str:
    unit = quantity.unit
    if unit in ("W", "VA", "var", "Wh", "VAh"):
        return f"{value / 1000:,.2f} k{unit}"
    return f"{value:.3f}" if unit == "1" else f"{value:.2f} {unit}"


def _verified(value: MapValue, told: float | None) -> str:
    if value.verified:
        return "yes"
    return "[yellow]no: compare it with the meter's display[/]" if told is not None else "[yellow]no[/]"


def _host_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon:
        return address, 502
    if not port.isdecimal() or not host or not 1 <= int(port) <= 65_535:
        raise typer.BadParameter(f"{address!r} is no HOST or HOST:PORT; write for example 10.20.0.9 or 10.20.0.9:502")
    return host.strip("[]"), int(port)


def _units(scan: str) -> list[int]:
    first, _, last = scan.partition("-")
    last = last or first
    if not (first.isdecimal() and last.isdecimal() and 0 <= int(first) <= int(last) <= 255):
        raise typer.BadParameter(f"--scan {scan!r}: write a range of unit ids, for example 1-32")
    return list(range(int(first), int(last) + 1))
