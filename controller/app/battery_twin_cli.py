"""``./chargeyard battery twin``: packs of a table, or of a depot, under a duty or a plan for years, by the digital twin.

Exit codes: 0 done, 1 the answer is no (of no pack anything can be said), 2 a file or a word cannot be used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from bms_bridge.twin.duty import Duty
    from bms_bridge.twin.packs_file import Listed
    from bms_bridge.twin.years import Outlook

console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2
PRESENT = "present"
SHOWN = 40
MOST_PLAN_BYTES = 50_000_000


def add_to(battery: typer.Typer) -> None:
    """Hang the command under ``battery``."""
    battery.command("twin")(twin)


def twin(
    packs: Annotated[
        Path | None, typer.Argument(metavar="[PACKS.csv]", help="One pack a line: pack, chemistry, capacity_kwh and what is known.")
    ] = None,
    *,
    depot: Annotated[Path | None, typer.Option("--depot", metavar="SETTINGS", help="The packs of this depot instead of a table.")] = None,
    vehicle: Annotated[str, typer.Option("--vehicle", help="With --depot: the packs of this vehicle alone.")] = "",
    pack: Annotated[str, typer.Option("--pack", help="With --depot: the packs of this name alone.")] = "",
    duty: Annotated[
        str, typer.Option("--duty", help="A duty's name, for packs that name none themselves; present: as today (with --depot).")
    ] = "stationary",
    ambient_c: Annotated[float | None, typer.Option("--ambient-c", help="A duty by its numbers: °C around the pack.")] = None,
    depth: Annotated[float, typer.Option("--depth", help="With --ambient-c: share that a round takes.")] = 0.6,
    c_rate: Annotated[float, typer.Option("--c-rate", help="With --ambient-c: capacities an hour of charging.")] = 0.3,
    cycles_per_year: Annotated[float, typer.Option("--cycles-per-year", help="With --ambient-c: full cycles a year.")] = 300.0,
    top_soc: Annotated[float, typer.Option("--top-soc", help="With --ambient-c: share up to which it is charged.")] = 0.95,
    until: Annotated[float | None, typer.Option("--until", min=0.35, max=0.98, help="A health beside 0.8, 0.7 and 0.6.")] = None,
    duties: Annotated[Path | None, typer.Option("--duties", help="A file of duties (TOML) beside the shipped ones.")] = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="A plan (./chargeyard plan -o): packs that are vehicles in it do that, every day.")
    ] = None,
    years: Annotated[int, typer.Option("--years", min=1, max=40, help="So far ahead.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Every pack, one JSON object a line.")] = False,
) -> None:
    """Run packs under a duty for years: health with P10, P50, P90, years and full cycles to 80, 70 and 60 %.

    Exit code 1: of no pack anything can be said; 2: a file or a word cannot be used.
    """
    from bms_bridge.twin import DutyRefused, PacksRefused, TwinError
    from bms_bridge.twin.ageing import known_chemistries
    from bms_bridge.twin.duty import chosen, read_duties, shipped
    from bms_bridge.twin.packs_file import read_packs
    from bms_bridge.twin.years import ENDS, outlook

    ends = ENDS if until is None else (*ENDS, until)
    try:
        known = shipped() | (read_duties(duties) if duties is not None else {})
        if ambient_c is not None:
            duty = "numbers"
            known[duty] = chosen(duty, ambient_c=ambient_c, depth=depth, c_rate=c_rate, cycles_a_year=cycles_per_year, top_soc=top_soc)
        present: dict[str, Duty] = {}
        if depot is not None:
            if packs is not None or plan is not None:
                raise PacksRefused("give a table of packs (with or without --plan), or --depot, not both")
            listed, present = _of_depot(depot, vehicle, pack)
        elif packs is None:
            raise PacksRefused("name a table of packs, or --depot with the settings of a depot that estimates health")
        else:
            listed = read_packs(packs)
        if duty == PRESENT and depot is not None:
            without = [one.pack.pack_id for one in listed if one.pack.pack_id not in present]
            for name in without:
                complaints.print(
                    f"[yellow]{escape(name)}: what it does today is not known (it takes a month of record); left out[/]",
                    highlight=False,
                )
            listed = [one for one in listed if one.pack.pack_id in present]
            if not listed:
                raise typer.Exit(NO)
            asked = [present[one.pack.pack_id] for one in listed]
        elif duty == PRESENT:
            raise DutyRefused("what a pack does today is known of a depot's packs alone: give --depot")
        else:
            asked = _duties(listed, known, duty, plan)
        told = [i for i, one in enumerate(listed) if one.pack.chemistry in known_chemistries()]
        for one in listed:
            if one.pack.chemistry not in known_chemistries():
                complaints.print(
                    f"[yellow]{escape(one.pack.pack_id)}: how {escape(one.pack.chemistry or '(no chemistry)')} cells age over years is not "
                    f"known here (known: {', '.join(known_chemistries())}); left out[/]",
                    highlight=False,
                    soft_wrap=True,
                )
        if not told:
            raise typer.Exit(NO)
        run = outlook([listed[i].pack for i in told], [asked[i] for i in told], years=years, ends=ends)
    except TwinError as error:
        _refuse(str(error))
    if as_json:
        for row, i in enumerate(told):
            typer.echo(json.dumps(as_object(listed[i], asked[i], run, row, ends), ensure_ascii=False))
    else:
        _show([listed[i] for i in told], [asked[i] for i in told], run, years, ends)
    raise typer.Exit(DONE)


def _of_depot(settings: Path, vehicle: str, pack: str) -> tuple[list[Listed], dict[str, Duty]]:
    """Packs of a depot's health, as its health process reckoned them last, and what each does today, by name."""
    import contextlib

    from bms_bridge.estimates.book import Book
    from bms_bridge.estimates.shelf import Shelf
    from bms_bridge.estimates.twin_run import duty_of, pack_of
    from bms_bridge.twin import DutyRefused, PacksRefused
    from bms_bridge.twin.packs_file import Listed
    from controller.health_room import made
    from controller.settings import Settings, SettingsError
    from storage import StorageError, Store, StoreMissing

    try:
        found = Settings.load(settings)
        if found.health is None:
            raise PacksRefused(f"{settings} has no section [health]: this depot estimates no health (docs/battery-health.md)")
        with contextlib.closing(Store.open(found.health_database, read_only=True)) as store:
            if not made(store):
                raise PacksRefused("the depot's health process has not begun yet: start the depot first")
            shelf = Shelf(store)
            keys = [
                entry.pack for entry in Book(store).packs() if vehicle in ("", entry.pack.vehicle_id) and pack in ("", entry.pack.pack_id)
            ]
            prospects = {key: shelf.prospect(key) for key in keys}
    except StoreMissing:
        raise PacksRefused(f"{settings}: nothing was estimated yet; the health process runs with the depot") from None
    except (SettingsError, StorageError) as error:
        raise PacksRefused(str(error)) from None
    listed, present = [], {}
    for key, prospect in prospects.items():
        if prospect is None or prospect.twin is None:
            why = (prospect.why_not if prospect is not None else "") or "nothing was reckoned of it yet, or its chemistry is not known here"
            complaints.print(f"[yellow]{escape(str(key))}: {escape(why)}; left out[/]", highlight=False, soft_wrap=True)
            continue
        listed.append(Listed(pack_of(prospect.twin, str(key)), ""))
        if prospect.twin.today is not None:
            with contextlib.suppress(DutyRefused):
                present[str(key)] = duty_of(prospect.twin.today, prospect.twin.chemistry, name=PRESENT)
    if not listed:
        raise PacksRefused("nothing can be run of these packs: their names are those of the page Batteries, and health must be known first")
    return listed, present


def as_object(one: Listed, duty: Duty, run: Outlook, row: int, ends: Sequence[float]) -> dict[str, Any]:
    """What a machine is told of a pack; null: not within the run."""
    from bms_bridge.twin.years import QUANTILES

    names = [f"p{100 * q:.0f}" for q in QUANTILES]

    def of(values: Any) -> dict[str, float | None]:
        return {name: round(float(value), 4) if math.isfinite(value) else None for name, value in zip(names, values, strict=True)}

    return {
        "pack": one.pack.pack_id,
        "duty": duty.name,
        "health": [{"year": year, **of(run.health[row, year])} for year in range(run.health.shape[1])],
        "to": [{"health": end, "years": of(run.years_to[row, k]), "full_cycles": of(run.cycles_to[row, k])} for k, end in enumerate(ends)],
        "full_cycles_a_year": round(float(run.full_cycles_a_year[row]), 1),
        "hottest_c": round(float(run.hottest_c[row]), 1),
        "unserved_now": round(float(run.unserved[row, 0]), 4),
        "unserved_at_end": round(float(run.unserved[row, 1]), 4),
        "efficiency": round(float(run.efficiency[row]), 4),
        "past_bend": round(float(run.bent[row]), 3),
    }


def _duties(listed: list[Listed], known: dict[str, Duty], duty: str, plan: Path | None) -> list[Duty]:
    from bms_bridge.twin import DutyRefused

    planned = _planned(listed, known, duty, plan) if plan is not None else {}
    out = []
    for one in listed:
        name = one.duty or duty
        if name not in known:
            raise DutyRefused(f"{one.pack.pack_id}: there is no duty {name!r}; there are {', '.join(known)}")
        out.append(planned.get(one.pack.pack_id, known[name]))
    return out


def _planned(listed: list[Listed], known: dict[str, Duty], duty: str, path: Path) -> dict[str, Duty]:
    """The duties of packs that stand in a plan as vehicles; surroundings as of the duty that they name."""
    from bms_bridge.twin import DutyRefused
    from bms_bridge.twin.duty import planned

    try:
        if path.stat().st_size > MOST_PLAN_BYTES:
            raise DutyRefused(f"{path} is longer than {MOST_PLAN_BYTES:,} bytes: it is no plan")
        content = json.loads(path.read_bytes())
        begins = datetime.fromisoformat(content["t0"])
        power, minutes = content["power_kw"], float(content["slot_minutes"])
        hour = begins.hour + begins.minute / 60
        out = {}
        for one in listed:
            like = known.get(one.duty or duty)
            if one.pack.pack_id in power and like is not None:
                series = [float(value) for value in power[one.pack.pack_id]]
                out[one.pack.pack_id] = planned(
                    f"plan of {one.pack.pack_id}",
                    series,
                    slot_minutes=minutes,
                    begins_h=hour,
                    capacity_kwh=one.pack.capacity_kwh,
                    like=like,
                )
    except OSError as error:
        raise DutyRefused(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise DutyRefused(f"{path} is no plan: make one with ./chargeyard plan SCENARIO -o {path.name}") from None
    if not out:
        raise DutyRefused(f"{path}: none of its vehicles is one of the packs; the column pack must name the plan's vehicles")
    return out


def _show(listed: list[Listed], duties: list[Duty], run: Outlook, years: int, ends: Sequence[float]) -> None:
    table = Table(title=f"the twin: {len(listed)} packs, {years} years (P10 · P50 · P90)", title_justify="left")
    for name in (
        "pack",
        "duty",
        "health now",
        f"after {years} years",
        "years to 70 %",
        "years to 60 %",
        "full cycles to 60 %",
        *(f"years to {end:.0%}" for end in ends[3:]),
        "hottest",
        "unserved",
    ):
        table.add_column(name)
    order = sorted(range(len(listed)), key=lambda row: float(run.health[row, -1, 1]))
    for row in order[:SHOWN]:
        table.add_row(
            escape(listed[row].pack.pack_id),
            escape(duties[row].name),
            f"{listed[row].pack.soh:.0%}",
            " · ".join(f"{value:.0%}" for value in run.health[row, -1]),
            " · ".join(_within(value, years, ".1f") for value in run.years_to[row, 1]),
            " · ".join(_within(value, years, ".1f") for value in run.years_to[row, 2]),
            " · ".join(_within(value, years, ",.0f") if math.isfinite(value) else "–" for value in run.cycles_to[row, 2]),
            *(" · ".join(_within(value, years, ".1f") for value in run.years_to[row, k]) for k in range(3, len(ends))),
            f"{run.hottest_c[row]:.0f} °C",
            f"{run.unserved[row, 0]:.0%} → {run.unserved[row, 1]:.0%}",
        )
    console.print(table)
    if len(order) > SHOWN:
        console.print(f"The {SHOWN} that end lowest; all of them with --json.", highlight=False)
    console.print("P10: one cell in ten ages at least so fast. What the numbers rest on: docs/battery-twin.md.", highlight=False)


def _within(value: float, years: int, form: str) -> str:
    return f"{value:{form}}" if math.isfinite(value) else f">{years}"


def _refuse(why: str) -> NoReturn:
    complaints.print(f"[red]{escape(why)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(USAGE)
