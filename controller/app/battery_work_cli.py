"""``./chargeyard battery work``, ``work-by-hand``, ``work-done``, ``work-reopen``: work orders on packs, without a running controller.

Exit codes: 0 done, 1 a step was changed outside of the program, 2 it cannot be done.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out
from controller.app.battery_anomalies_cli import (
    DONE,
    NO,
    USAGE,
    DepotArgument,
    ReasonOption,
    actor,
    console,
    settings_of,
    write_csv,
)
from controller.app.battery_pack_days import complaints

if TYPE_CHECKING:
    from bms_bridge.anomalies.work import WorkOrder

DUE_D = 14
NumberArgument = Annotated[int, typer.Argument(help="The order's number.", min=1)]


def add_to(battery: typer.Typer) -> None:
    """Hang the commands under ``battery``."""
    battery.command("work")(work)
    battery.command("work-by-hand")(work_by_hand)
    battery.command("work-done")(work_done)
    battery.command("work-reopen")(work_reopen)


def work(
    config: DepotArgument,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also orders that are ended, with their steps.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    as_csv: Annotated[Path | None, typer.Option("--csv", help="Write the orders to this file, a row for each step.")] = None,
) -> None:
    """List work orders on packs by the day on which they are due. Exit code 1: a step of theirs was changed by somebody."""
    from bms_bridge.anomalies.outcomes import believed
    from bms_bridge.anomalies.work import WorkBook, findings

    battery_out.places(as_csv)
    with WorkBook.opened(settings_of(config).work_database) as book:
        every, intact = book.orders(ended=True), book.intact()
        orders = every if everything else book.orders()
    found = findings(every)
    if as_csv is not None:
        steps = [_of_order(order) | {name: getattr(step, name) for name in step.__slots__} for order in orders for step in order.steps]
        write_csv(as_csv, steps)
    if as_json:
        rows = [_of_order(order) | {"steps": [{name: getattr(s, name) for name in s.__slots__} for s in order.steps]} for order in orders]
        typer.echo(
            json.dumps(
                {"schema": "work_orders/1", "intact": intact, "orders": rows, "findings": [asdict(one) for one in found]},
                ensure_ascii=False,
            )
        )
    else:
        shown = Table(title="work orders on packs", title_justify="left")
        for name in ("number", "alert", "due", "state", "why", "steps"):
            shown.add_column(name)
        for order in orders:
            told = "\n".join(f"{step.at[:16].replace('T', ' ')} {step.actor}: {step.what}, {step.reason}" for step in order.steps)
            shown.add_row(f"{order.number}", *(escape(text) for text in (order.key, order.due, order.state, order.cause, told)))
        console.print(shown)
        taken = believed(found)
        for one in found:
            told = f"{one.right} right, {one.false} false, {one.else_found} something else"
            if one.kind in taken:
                told += f"; {100 * taken[one.kind].real:.0f} % are taken for real"
            console.print(f"alerts of {one.kind.replace('_', ' ')}, where somebody looked: {told}", highlight=False)
    if not intact:
        complaints.print("[red]Steps of work orders were changed outside of the program: compare with a backup.[/]", highlight=False)
    raise typer.Exit(DONE if intact else NO)


def work_by_hand(
    config: DepotArgument,
    pack: Annotated[str, typer.Argument(metavar="VEHICLE/PACK", help="The pack, for example E-131/P1.")],
    *,
    what: Annotated[str, typer.Option("--what", help="What is to be done.")],
    reason: ReasonOption,
    due: Annotated[str, typer.Option("--due", help="By which day, as 2026-11-30; unset: in two weeks.")] = "",
) -> None:
    """Make a work order that no alert asked for. Exit code 2: pack, day or words cannot be."""
    from bms_bridge.anomalies.work import WorkBook

    now = datetime.now(UTC)
    day = due or (now.date() + timedelta(days=DUE_D)).isoformat()
    with WorkBook.opened(settings_of(config).work_database) as book:
        order = book.by_hand(pack=pack, what=what, due=day, actor=actor(), reason=reason, now=now)
    console.print(f"work order {order.number} opened, due {order.due}", highlight=False)


def work_done(
    config: DepotArgument,
    number: NumberArgument,
    *,
    result: Annotated[
        str, typer.Option("--result", help="What was found: fixed, nothing_found (a false alarm), something_else; dropped: nobody looked.")
    ],
    reason: ReasonOption,
) -> None:
    """End a work order and keep what was found. Exit code 2: no such order, or it is ended."""
    from bms_bridge.anomalies.work import Ending, WorkBook

    if result not in set(Ending):
        complaints.print(f"[red]--result is one of {', '.join(Ending)}, not {escape(result)}[/]", highlight=False)
        raise typer.Exit(USAGE)
    with WorkBook.opened(settings_of(config).work_database) as book:
        order = book.end(number, Ending(result), actor=actor(), reason=reason, now=datetime.now(UTC))
    console.print(f"work order {order.number} ({escape(order.key)}): {order.state}", highlight=False)


def work_reopen(config: DepotArgument, number: NumberArgument, *, reason: ReasonOption) -> None:
    """Open a work order again whose end was a mistake. Exit code 2: no such order, or it is open."""
    from bms_bridge.anomalies.work import WorkBook

    with WorkBook.opened(settings_of(config).work_database) as book:
        order = book.reopen(number, actor=actor(), reason=reason, now=datetime.now(UTC))
    console.print(f"work order {order.number} ({escape(order.key)}) is open again", highlight=False)


def _of_order(order: WorkOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in ("number", "key", "pack", "kind", "due", "cause", "advice", "state")}
