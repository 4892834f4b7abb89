"""``./chargeyard battery value``: what retired packs are worth, for what, and when to retire them.

Exit codes: 0 done, 1 the answer is no (no pack could be valued outside of recycling), 2 a file cannot be used.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out
from depot.money_text import amount

if TYPE_CHECKING:
    from bms_bridge.second_life.assumptions import Assumptions
    from bms_bridge.second_life.grading import Graded
    from bms_bridge.second_life.retired import Retired
    from bms_bridge.second_life.retirement import Advice
    from bms_bridge.second_life.worth import Worth

console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2


def add_to(battery: typer.Typer) -> None:
    """Hang the command under ``battery``."""
    battery.command("value")(value)


def value(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Retired packs (JSON); left out with --write-assumptions.")] = None,
    *,
    assumptions: Annotated[
        Path | None, typer.Option("--assumptions", help="A file (TOML) with what differs from the shipped ones.")
    ] = None,
    write_assumptions: Annotated[
        Path | None, typer.Option("--write-assumptions", help="Write the shipped assumptions to this file, to be changed, and stop.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every pack with all of its assumptions, one JSON object a line.")] = False,
) -> None:
    """Grade retired packs, say what they are worth (P10, P50, P90) for which use, and when to retire them, with every assumption.

    Exit code 1: no pack could be valued for a second life; 2: a file cannot be used.
    """
    from bms_bridge.second_life import SecondLifeError
    from bms_bridge.second_life.assumptions import read_assumptions, shipped, shipped_text
    from bms_bridge.second_life.grading import graded
    from bms_bridge.second_life.retired import read_retired
    from bms_bridge.second_life.retirement import advice
    from bms_bridge.second_life.worth import worth

    if write_assumptions is not None:
        battery_out.put(write_assumptions, shipped_text().encode(), replace=False)
        console.print(f"{write_assumptions}: change it, then give it with --assumptions.", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(DONE)
    if file is None:
        _refuse("Name a file of retired packs (JSON), described in docs/second-life.md.")
    try:
        given = shipped() if assumptions is None else read_assumptions(assumptions)
        packs = read_retired(file)
    except SecondLifeError as error:
        _refuse(str(error))
    some = False
    for pack in packs:
        found = graded(pack, given)
        told, when = worth(pack, found, given), advice(pack, found, given)
        some = some or any(not offer.why_not for offer in told.offers)
        if as_json:
            typer.echo(json.dumps(as_object(pack, found, told, when, given), ensure_ascii=False))
        else:
            _show(pack, found, told, when, given)
    if not as_json:
        _show_assumptions(given)
    raise typer.Exit(DONE if some else NO)


def as_object(pack: Retired, found: Graded, told: Worth, when: Advice, given: Assumptions) -> dict[str, Any]:
    """What a machine is told of a pack; null: unknown, or beyond what was looked at."""
    found_of: dict[str, Any] = _finite(
        {
            "schema": "pack_value/1",
            "pack_id": pack.pack_id,
            "currency": given.currency,
            "grade": found.grade,
            **asdict(found),
            "value": asdict(told),
            "retirement": asdict(when),
            "assumptions": asdict(given),
        }
    )
    return found_of


def _show(pack: Retired, found: Graded, told: Worth, when: Advice, given: Assumptions) -> None:
    health = "health unknown" if found.pack is None else f"gives {found.pack.soh:.0%} ({found.pack.low:.0%} to {found.pack.high:.0%})"
    title = f"{pack.pack_id}: {found.grade}; {pack.chemistry}, {pack.capacity_kwh:g} kWh, {health}; {found.completeness:.0%} of the data"
    table = Table(title=escape(title), title_justify="left")
    for name in ("use", f"value, {given.currency} (P10 · P50 · P90)", "years", "kg CO2e saved", "why not"):
        table.add_column(name)
    table.add_row("recycling now", _three(told.recycling_paise, given.currency), "", "", "")
    for offer in told.offers:
        figures = (
            ("", "", "")
            if offer.why_not
            else (
                _three(offer.value_paise, given.currency),
                " · ".join(f"{v:.0f}" for v in offer.years),
                " · ".join(f"{v:,.0f}" for v in offer.carbon_kg),
            )
        )
        table.add_row(escape(offer.name), *figures, escape(offer.why_not))
    console.print(table)
    for words in (*found.ruled_out, *found.inspect, *found.notes):
        console.print(f"- {words}", highlight=False, markup=False, soft_wrap=True)
    if found.missing:
        console.print(f"- not known: {', '.join(found.missing)}", highlight=False, markup=False, soft_wrap=True)
    if found.better_apart:
        console.print(f"- better than the pack as a whole: {', '.join(found.better_apart)}", highlight=False, markup=False, soft_wrap=True)
    best = "recycling" if told.best == "recycling" else told.best
    console.print(
        f"Residual value: {_three(told.residual_paise, given.currency)} {given.currency} ({best}).",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    console.print(f"{when.text}\n", highlight=False, markup=False, soft_wrap=True)


def _show_assumptions(given: Assumptions) -> None:
    table = Table(title="what this rests on (change it with --assumptions)", title_justify="left")
    for name in ("assumption", "low · mid · high", "unit", "source"):
        table.add_column(name)
    numbers = dict(given.numbers) | {f"{name}: earns": one.earns_per_kwh_year for name, one in given.applications.items()}
    for name, number in numbers.items():
        figures = f"{number.low:g} · {number.mid:g} · {number.high:g}"
        table.add_row(escape(name), figures, escape(number.unit), escape(number.source))
    for name, limit in given.limits.items():
        table.add_row(escape(name), f"{limit.value:g}", "", escape(limit.source))
    console.print(table)
    if given.changed:
        console.print(f"Changed by your file: {', '.join(given.changed)}.", highlight=False, markup=False, soft_wrap=True)


def _three(paise: tuple[int, int, int], currency: str) -> str:
    return " · ".join(amount(one, currency, whole=True) for one in paise)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def _refuse(why: str) -> NoReturn:
    complaints.print(f"[red]{escape(why)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(USAGE)
