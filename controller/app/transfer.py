"""``chargeyard import`` and ``chargeyard export``: registry and departures of a running depot, to and from files.

    file --preview against the core's views--> what it would change --(--apply)--> commands through the core's local socket

Nothing is written beside the core's back: without a running core there is nothing to compare with, and that is said.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from uuid6 import uuid7

from controller.departures_import import KIND, DeparturesPreview, preview_departures, timetable_of
from controller.departures_view import ROWS_MOST, DeparturesView
from controller.import_reader import Change, Known, Preview, known_of
from controller.link import CoreLink, CoreUnreachable
from controller.registry_export import export, export_departures
from controller.registry_import import Kind, commands, preview
from controller.registry_view import DriversView, FleetView, SiteDeclarationView
from controller.settings import Settings
from controller.sheets import MAX_BYTES
from depot import commands as cmd

CONNECT_S = 5.0
AT_ONCE = 8
_MARKS = {Change.ADDED: "+", Change.CHANGED: "~", Change.REMOVED: "-"}


def run_import(
    config: Path, kind: str, file: Path, *, apply: bool, reason: str, remove_missing: bool, console: Console, complaints: Console
) -> int:
    """0: shown, or applied. 1: the file has mistakes, or the core refused. 2: wrong usage. 3: the core does not answer."""
    reason = " ".join(reason.split())
    if apply and not 0 < len(reason) <= 200:
        complaints.print("[red]chargeyard:[/] --apply needs --reason, at most 200 characters: it is kept in the audit trail")
        return 2
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    settings = Settings.load(config)
    return asyncio.run(_import(settings, kind, data, reason if apply else None, remove_missing, console, complaints))


def run_export(config: Path, kind: str, output: Path, *, console: Console) -> int:
    """0: written. 3: the core does not answer."""
    settings = Settings.load(config)
    data = asyncio.run(_export(settings, kind, as_json=output.suffix == ".json"))
    output.write_bytes(data)
    console.print(f"{escape(str(output))}: {len(data):,} bytes", highlight=False)
    return 0


async def _import(
    settings: Settings, kind: str, data: bytes, reason: str | None, remove_missing: bool, console: Console, complaints: Console
) -> int:
    async with CoreLink(settings.link_path) as link:
        found: Preview | DeparturesPreview
        await connected(link)
        if kind == KIND:
            found = preview_departures(data, timetable_of(*await _departures(link)), cancel_missing=remove_missing)
        else:
            found = preview(Kind(kind), data, await _known(link, kind), remove_missing=remove_missing)
        for complaint in found.complaints:
            complaints.print(f"[red]-[/] {escape(str(complaint))}", highlight=False, soft_wrap=True)
        if found.complaints:
            complaints.print("Nothing was changed.")
            return 1
        for line in found.lines:
            if line.change in _MARKS:
                words = f": {'; '.join(line.words)}" if line.words else ""
                console.print(escape(f"{_MARKS[line.change]} {line.name}{words}"), highlight=False, soft_wrap=True)
        console.print(f"{kind}: {found.summary()}", highlight=False)
        if reason is None or not found.applicable:
            if found.applicable:
                console.print('Nothing was changed. To apply it: --apply --reason "why"', highlight=False)
            return 0
        refused = await _send(link, _orders(found, f"console {getpass.getuser()}", reason))
        for words in refused:
            complaints.print(f"[red]refused:[/] {escape(words)}", highlight=False, soft_wrap=True)
        console.print("Applied." if not refused else "What was not refused is applied; the same file again does the rest.")
        return 1 if refused else 0


def _orders(found: Preview | DeparturesPreview, actor: str, reason: str) -> Sequence[cmd.Command]:
    if isinstance(found, Preview):
        return commands(found, new_id=lambda: str(uuid7()), actor=actor, reason=reason)
    announced = [cmd.AnnounceVisit(command_id=str(uuid7()), actor=actor, reason=reason, visit=visit) for visit in found.visits]
    cancelled = [
        cmd.CancelVisit(command_id=str(uuid7()), actor=actor, reason=reason, visit_id=visit_id, vehicle_id=vehicle_id)
        for visit_id, vehicle_id in found.cancels
    ]
    return [*announced, *cancelled]


async def _send(link: CoreLink, orders: Sequence[cmd.Command]) -> list[str]:
    """What was refused. Departures do not depend on each other and go together; a registry's parts go in order."""
    gate = asyncio.Semaphore(AT_ONCE if orders and not isinstance(orders[0], cmd.ChangeRegistry | cmd.ChangeSite) else 1)

    async def one(command: cmd.Command) -> str:
        async with gate:
            result = await link.command(command)
        return result.message if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED) else ""

    return [words for words in await asyncio.gather(*(one(command) for command in orders)) if words]


async def _export(settings: Settings, kind: str, *, as_json: bool) -> bytes:
    async with CoreLink(settings.link_path) as link:
        await connected(link)
        if kind == KIND:
            return export_departures((await _departures(link))[0], as_json=as_json)
        return export(Kind(kind), await _known(link, kind), as_json=as_json)


async def connected(link: CoreLink) -> None:
    """Wait for the first view, at most CONNECT_S. What the link says meanwhile is said by the error."""
    logging.getLogger("controller.link").setLevel(logging.ERROR)
    try:
        async with asyncio.timeout(CONNECT_S):
            async for _ in link.views():
                return
    except TimeoutError:
        raise CoreUnreachable(
            "the depot's core does not answer: start it with ./chargeyard run, on this machine and as this user"
        ) from None


async def _departures(link: CoreLink) -> tuple[DeparturesView, FleetView]:
    view, fleet = await link.show(DeparturesView, limit=str(ROWS_MOST)), await link.show(FleetView)
    if view is None or fleet is None:
        raise CoreUnreachable("the running core does not keep departures: restart it with this release")
    return view, fleet


async def _known(link: CoreLink, kind: str) -> Known:
    if kind == Kind.DRIVERS:
        return known_of(None, await link.show(DriversView))
    if kind in (Kind.STATIONS, Kind.FEEDERS):
        return known_of(None, None, await link.show(SiteDeclarationView))
    return known_of(await link.show(FleetView))
