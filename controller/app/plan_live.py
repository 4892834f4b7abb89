"""``chargeyard plan depot.toml --explain``: the plan in force of a depot that runs, as the page *Plan* says it.

    core's socket --PlanView, ExplanationView--> the page's own words --> terminal

Words and figures are made by the page's functions, so that both say the same. Nothing is changed in the depot; that somebody looks
makes the core explain its plan. Exit codes: 0 everybody is served, 1 somebody leaves short, or there is no plan or no explanation, 2 a
question that cannot be right, 3 the core does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from controller.app.transfer import connected
from controller.link import CoreLink, LinkError
from controller.plan_answers_view import AnswerState
from controller.plan_reasons_view import ExplanationView
from controller.plan_view import PlanView
from controller.settings import Settings
from depot.values import InvalidValue
from web import text
from web.plan_page import plan_context
from web.plan_why import slot_choices, slot_time

ASK_EVERY_S = 0.3
BACK_H = 3
ROWS = 5000


def explain_live(config: Path, *, vehicle: str, cell: str, as_json: bool, deadline_s: float, console: Console, complaints: Console) -> int:
    """Ask, wait for the explanation, tell. ``cell``: VEHICLE@02:15. Raises :class:`~controller.settings.SettingsError` as every command
    that reads settings."""
    settings = Settings.load(config)
    named, at, time = cell.rpartition("@")
    if cell and not at:
        complaints.print(f"{cell!r} names no cell; write VEHICLE@02:15", markup=False, highlight=False)
        return 2
    try:
        view, why = asyncio.run(_ask(settings, named or vehicle, time, deadline_s))
    except InvalidValue as error:
        complaints.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 2
    except LinkError as error:
        complaints.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 3
    if as_json:
        console.file.write(msgspec.json.format(msgspec.json.encode({"plan": view, "explanation": why})).decode() + "\n")
    else:
        tell(view, why, vehicle=named or vehicle, console=console)
    return 0 if view.plan is not None and not view.plan.short and why.state is AnswerState.DONE else 1


async def _ask(settings: Settings, vehicle: str, time: str, deadline_s: float) -> tuple[PlanView, ExplanationView]:
    """The plan with its explanation, remedies too, or as far as they came in time."""
    async with CoreLink(settings.link_path) as link:
        await connected(link)
        view = await link.show(PlanView, by="vehicle", back_h=str(BACK_H), rows=str(ROWS), powers="yes")
        assert view is not None
        slot = "" if not time else _slot_of(time, view).isoformat()
        names = [row.vehicle_id for row in view.rows]
        if vehicle and vehicle not in names:
            raise InvalidValue(
                f"no vehicle {vehicle!r} wants energy; there are {', '.join(names[:5]) or 'none'}{' …' if names[5:] else ''}"
            )
        end = asyncio.get_running_loop().time() + deadline_s
        while True:
            why = await link.show(ExplanationView, vehicle=vehicle, slot=slot)
            assert why is not None
            waits = why.behind or why.state in (AnswerState.WAITING, AnswerState.RUNNING)
            looks = why.state is AnswerState.DONE and (bool(why.shorts and not why.deep) or _makes(why))
            if not (waits or looks) or asyncio.get_running_loop().time() > end:
                return view, why
            await asyncio.sleep(ASK_EVERY_S)


def _makes(why: ExplanationView) -> bool:
    return why.slot is not None and why.slot.state is not AnswerState.DONE


def _slot_of(time: str, view: PlanView) -> datetime:
    """The plan's slot that begins then by the depot's clock, or holds it. Raises :class:`InvalidValue`."""
    choices = slot_choices(view, text.DepotTime(view.timezone, view.at))
    before = [value for value, _ in choices if value.partition("T")[2] <= time]
    same = [value for value, _ in choices if value.endswith(f"T{time}")]
    found = slot_time((same or before[-1:] or [""])[0], view.timezone)
    if found is None or len(time) != 5:
        first, last = (choices[0][0], choices[-1][0]) if choices else ("", "")
        raise InvalidValue(f"{time!r} is no time of the plan, which goes from {first[-5:]} to {last[-5:]}; write it as 02:15")
    return found


def tell(view: PlanView, why: ExplanationView, *, vehicle: str, console: Console) -> None:
    """As the page has it, from the top."""
    at = why.slot.at if why.slot is not None else None
    page = plan_context(view, why, back_h=BACK_H, vehicle=vehicle, at=at)
    _say(console, f"Plan: {page['subtitle']}")
    if page["banner"]:
        _say(console, f"{page['banner']['head']}. {page['banner']['words']}")
    if page["empty"]:
        _say(console, f"{page['empty']['title']}. {page['empty']['words']}")
        return
    console.print(
        _table("", ("", ">", ""), [(t["title"], f"{t['before']}{t['value']} {t['unit']}".strip(), t["note"]) for t in page["tiles"]])
    )
    for one in page["short"]:
        more = f" Or: {', '.join(one['remedies'][2:])}." if len(one["remedies"]) > 2 else ""
        _say(console, f"{one['words']}{more}")
    for words in page["relaxed"]:
        _say(console, words)
    if page["why_state"]:
        _say(console, page["why_state"])
    slot = page["slot"]
    if slot is not None:
        _say(console, f"{slot['title']}. {slot['words']}")
        cells = [(c["vehicle"], f"{c['power']} kW", c["words"]) for c in slot["cells"]]
        console.print(_table("", ("Vehicle", ">Power", "Because"), [*cells, (slot["others"] or "Sum", f"{slot['sum']} kW", "")]))
    elif page["limits"]:
        held = [(limit["name"], limit["when"], limit["value"]) for limit in page["limits"]]
        console.print(_table("What holds the plan", ("Limit", "When", ">One more kW saves an hour"), held))
    elif page["explained"]:
        _say(console, "No limit costs anything: the plan is as cheap as the prices and departures allow.")
    for words in (page["wish"], *page["gains"]):
        if words:
            _say(console, words)
    rows = [row for row in page["rows"] if not vehicle or row["vehicle"] == vehicle]
    console.print(
        _table(
            f"Vehicles: {len(rows)}, who is short first, then by departure",
            (
                "Vehicle",
                "Charger",
                ">Arrives",
                ">Leaves",
                ">To flow kWh",
                ">Planned kWh",
                "Charges",
                f">Cost {page['currency']}",
                ">At departure",
            ),
            [_row(row) for row in rows],
        )
    )


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    planned = f"{row['energy']}, {row['missing']} short" if row["missing"] else row["energy"]
    charges = f"{row['planned']} ({row['beside']})" if row["beside"] else row["planned"]
    charge = f"{row['charge']} {row['target']}".strip()
    return (row["vehicle"], row["where"], row["arrives"], row["leaves"], row["to_flow"], planned, charges, row["cost"], charge)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """``>`` before a column's name: its figures stand to the right."""
    table = Table(title=title or None, title_justify="left", show_header=any(name.strip(">") for name in columns))
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _say(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)
