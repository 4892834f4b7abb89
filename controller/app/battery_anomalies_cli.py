"""``./chargeyard battery anomalies`` and ``work-open``: alerts from pack days, and work orders made of them (ended by
:mod:`.battery_work_cli`).

    FILE or depot.toml --> PackDays --> alerts, ranked --> advice --> work order (its own database beside the journal)

Exit codes: 0 done, 1 alerts hold now (``anomalies``), or the answer is no; 2 a file cannot be used.
"""

from __future__ import annotations

import getpass
import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out
from controller.app.battery_pack_days import complaints, of_depot, of_lake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bms_bridge.anomalies.alerts import Alert
    from bms_bridge.anomalies.cohorts import Grid
    from bms_bridge.anomalies.decision import Advice, Assumptions
    from bms_bridge.anomalies.leak import Leak
    from bms_bridge.anomalies.losses import Loss
    from bms_bridge.anomalies.outcomes import Finding
    from bms_bridge.anomalies.pack_days import PackDays
    from controller.settings import Settings

console = Console()

DONE, NO, USAGE = 0, 1, 2
LAKE_DAYS = 180
SourceArgument = Annotated[
    Path, typer.Argument(metavar="FILE|depot.toml", help="A table of pack days (.csv, .parquet), or a depot with a lake.")
]
AssumeOption = Annotated[
    Path | None, typer.Option("--assume", help="Assumptions of the decision (TOML); unset: those of docs/anomalies.md.")
]
PacksOption = Annotated[Path | None, typer.Option("--packs", help="For a lake: a table pack,batch,made (CSV).")]
DaysOption = Annotated[int, typer.Option("--days", min=10, max=3650, help="For a lake: the last so many days.")]
DepotArgument = Annotated[Path, typer.Argument(metavar="depot.toml", help="The depot's configuration file.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the order.")]


def add_to(battery: typer.Typer) -> None:
    """Hang the commands under ``battery``."""
    battery.command("anomalies")(anomalies)
    battery.command("work-open")(work_open)


def anomalies(
    source: SourceArgument,
    *,
    assume: AssumeOption = None,
    packs: PacksOption = None,
    days: DaysOption = LAKE_DAYS,
    ended: Annotated[bool, typer.Option("--ended", help="Also alerts that do not hold any more.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    as_csv: Annotated[Path | None, typer.Option("--csv", help="Write the alerts to this file, too.")] = None,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="depot.toml", help="Keep them for this depot's REST and pages.")] = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write the pack days to this file (CSV), too.")] = None,
) -> None:
    """List what is unusual in packs, the most urgent first: signals that caused it, days left, what to do.

    Exit code 0: nothing holds now; 1: something does; 2: a file cannot be used.
    """
    from bms_bridge.anomalies.limits import limits
    from bms_bridge.anomalies.pack_days import as_text

    battery_out.places(save, as_csv)
    assumptions = _assumptions(assume)
    seen = _seen(source, packs, days, whole=ended or save is not None)
    table = seen.table
    if save is not None:
        battery_out.put(save, as_text(table).encode())
    home = keep if keep is not None else source if source.suffix.lower() == ".toml" else None
    outcomes = () if home is None else outcomes_of(settings_of(home))
    found = _advised(seen, assumptions, outcomes, ended=ended)
    rows = [_plain(alert, advice) for alert, advice in found]
    if keep is not None:
        keep_alerts(settings_of(keep), table, rows)
    if as_csv is not None:
        write_csv(as_csv, rows)
    seeing = limits(table)
    if as_json:
        told = {"schema": "pack_alerts/1", "packs": len(table.names()), "alerts": rows, "limits": [asdict(one) for one in seeing]}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        _show(found, table)
        for one in seeing:
            console.print(escape(one.words), highlight=False)
    raise typer.Exit(NO if any(alert.now for alert, _ in found) else DONE)


def keep_alerts(settings: Settings, table: PackDays, rows: Sequence[dict[str, Any]]) -> None:
    """Put what a look found where the running depot reads it. Raises :class:`storage.StorageError`."""
    from bms_bridge.anomalies.work import WorkBook
    from controller.app.clocks import clock_of

    with WorkBook.opened(settings.work_database) as book:
        told = [(str(row["key"]), json.dumps(row, ensure_ascii=False)) for row in rows]
        book.keep_alerts(told, packs=len(table.names()), now=clock_of(settings).now())


class Looked(NamedTuple):
    """``holding``: alerts that hold now; ``losses``: what the cells of each pack (VEHICLE/PACK) lose."""

    holding: int
    losses: dict[str, Loss]


def look(settings: Settings, *, days: int = LAKE_DAYS) -> Looked:
    """The depot's own look at its lake; its alerts are kept. Raises :class:`bms_bridge.BmsError`,
    :class:`storage.StorageError`."""
    import importlib.util

    from bms_bridge.anomalies.losses import losses

    kept = of_depot(settings, days)
    opinion = importlib.util.find_spec("sklearn") is not None
    found = _advised(Seen(kept.recent, kept.grid), _assumptions(None), outcomes_of(settings), opinion=opinion)
    rows = [_plain(alert, advice) for alert, advice in found]
    keep_alerts(settings, kept.recent, rows)
    return Looked(len(rows), losses(kept.recent, [alert.leak for alert, _ in found if alert.leak is not None]))


def work_open(
    config: DepotArgument,
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="Its key, as `battery anomalies` names it: E-131/P1/internal_short/7.")],
    *,
    reason: ReasonOption,
    source: Annotated[Path | None, typer.Option("--from", help="A table of pack days; unset: the depot's lake.")] = None,
    assume: AssumeOption = None,
    packs: PacksOption = None,
    days: DaysOption = LAKE_DAYS,
) -> None:
    """Make a work order of an alert that holds now. One that is open already is shown, not doubled.

    Exit code 1: there is no such alert now; 2: a file cannot be used.
    """
    from bms_bridge.anomalies.pack_days import day_text
    from bms_bridge.anomalies.work import WorkBook

    settings = settings_of(config)
    seen = _seen(source or config, packs, days, whole=False)
    found = {one.key: (one, advice) for one, advice in _advised(seen, _assumptions(assume), outcomes_of(settings))}
    if alert not in found:
        complaints.print(f"[red]no alert {escape(alert)} holds now[/]; there are: {escape(', '.join(found) or 'none')}", highlight=False)
        raise typer.Exit(NO)
    chosen, advice = found[alert]
    with WorkBook.opened(settings.work_database) as book:
        order, new = book.open(
            key=chosen.key,
            pack=chosen.pack,
            kind=chosen.kind.value,
            due=day_text(advice.due),
            cause=_causes(chosen),
            advice=advice.words,
            actor=actor(),
            reason=reason,
            now=datetime.now(UTC),
        )
    console.print(f"work order {order.number} {'opened' if new else 'is open already'}, due {order.due}", highlight=False)


# -- where the table comes from --------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """``table``: rows with cells; ``grid``: of the charts, None: the table's own."""

    table: PackDays
    grid: Grid | None


def _seen(source: Path, packs: Path | None, days: int, *, whole: bool) -> Seen:
    """``whole``: cells of all days, not of the last weeks only."""
    from bms_bridge.anomalies.pack_days import read_pack_days
    from controller.settings import SettingsError

    grid = None
    if source.suffix.lower() == ".toml":
        settings = settings_of(source)
        if settings.lake is None:
            raise SettingsError(f"{source}: there is no section [lake]: this depot keeps no samples; name a table of pack days instead")
        kept, notes = of_lake(settings, packs, days, whole=whole)
        table, grid = kept.recent, kept.grid
    else:
        table = read_pack_days(source)
        notes = table.notes
    for note in notes:
        complaints.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
    return Seen(table, grid)


def settings_of(config: Path) -> Settings:
    """Raises :class:`controller.settings.SettingsError`."""
    from controller.settings import Settings

    return Settings.load(config)


def _assumptions(path: Path | None) -> Assumptions:
    from bms_bridge.anomalies.decision import Assumptions, read_assumptions

    return Assumptions() if path is None else read_assumptions(path)


def outcomes_of(settings: Settings) -> Sequence[Finding]:
    """What people of the depot found who looked after its alerts. Raises :class:`storage.StorageError`."""
    from bms_bridge.anomalies.work import WorkBook, findings

    if not settings.work_database.exists():
        return ()
    with WorkBook.opened(settings.work_database) as book:
        return findings(book.orders(ended=True))


def _advised(
    seen: Seen, assumptions: Assumptions, outcomes: Sequence[Finding], *, opinion: bool = True, ended: bool = False
) -> list[tuple[Alert, Advice]]:
    """``outcomes``: of the depot, for how probable an alert is real; ``ended``: also what does not hold any more."""
    from bms_bridge.anomalies.alerts import watch
    from bms_bridge.anomalies.decision import advise

    newest = int(seen.table.days.max())
    alerts = watch(seen.table, opinion=opinion, now=not ended, grid=seen.grid)
    return [(alert, advise(alert, assumptions, newest, outcomes)) for alert in alerts]


def actor() -> str:
    """Who types."""
    return f"console {getpass.getuser()}"


# -- words ------------------------------------------------------------------------------------------------------------------


def _causes(alert: Alert) -> str:
    from bms_bridge.anomalies.alerts import WORDS

    parts = [cause.words for cause in alert.causes]
    leak = "" if alert.leak is None else f"; {_leak_words(alert.leak)}"
    cell = f", cell {alert.cell + 1}" if alert.cell >= 0 else ""
    return f"{WORDS[alert.kind]}{cell}{leak}: {'; '.join(parts)}"


def _leak_words(leak: Leak) -> str:
    """Its size; where none can be told from nothing, how far the cell is behind."""
    if leak.low > 0:
        size = f"leak of {leak.current_a * 1000:.0f} mA (C/{1 / leak.c_rate:,.0f})"
    else:
        most_ma = 1000 * leak.current_a * leak.high / leak.share_per_day if leak.share_per_day else 0.0
        size = f"{100 * leak.behind:.1f} % of charge behind its string; it loses {max(0.0, most_ma):.0f} mA at most now"
    return size if leak.balancing_told else f"{size} beyond what balancing takes, which is not told"


def _plain(alert: Alert, advice: Advice) -> dict[str, Any]:
    from bms_bridge.anomalies.pack_days import day_text

    leak = alert.leak
    return {
        "key": alert.key,
        "pack": alert.pack,
        "kind": alert.kind.value,
        "cell": alert.cell + 1 if alert.cell >= 0 else None,
        "since": day_text(alert.since),
        "found": day_text(alert.found),
        "holds_now": alert.now,
        "compared_with": alert.cohort,
        "why": _causes(alert),
        "days_left": None if alert.days_left is None or not math.isfinite(alert.days_left) else round(alert.days_left, 1),
        "leak_ma": None if leak is None else round(1000 * leak.current_a, 2),
        "leak_ma_low": None if leak is None else round(1000 * leak.current_a * leak.low / leak.share_per_day, 2),
        "leak_ma_high": None if leak is None else round(1000 * leak.current_a * leak.high / leak.share_per_day, 2),
        "balancing_counted": None if leak is None else leak.balancing_told,
        "second_opinion": None if alert.agrees is None else "unlike the others" if alert.agrees else "like the others",
        "act_now": advice.act_now,
        "due": day_text(advice.due),
        "chance_before_service": round(advice.chance, 4),
        "now_paise": advice.now_paise,
        "waiting_paise": advice.waiting_paise,
        "advice": advice.words,
        "real": round(advice.belief.real, 4),
        "real_assumed": advice.belief.assumed,
        "right_here": advice.belief.right,
        "false_here": advice.belief.false,
    }


def _show(found: Sequence[tuple[Alert, Advice]], table: PackDays) -> None:
    from bms_bridge.anomalies.pack_days import day_text

    shown = Table(title=f"what is unusual in {len(table.names())} packs, the most urgent first", title_justify="left", show_lines=True)
    for name in ("alert", "found", "why", "second opinion", "to do"):
        shown.add_column(name, no_wrap=name == "alert")
    for alert, advice in found:
        opinion = "none" if alert.agrees is None else "unlike the others" if alert.agrees else "like the others"
        left = f"; cells {alert.days_left:.0f} days from derating" if alert.days_left is not None and alert.now else ""
        when = day_text(alert.found) + ("" if alert.now else ", over")
        shown.add_row(escape(alert.key), when, escape(_causes(alert) + left), opinion, escape(advice.words))
    if found:
        console.print(shown)
    else:
        console.print(f"nothing unusual now in {len(table.names())} packs", highlight=False)


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Cells that a spreadsheet would take for a formula get an apostrophe."""
    from controller.sheets import safe_row

    battery_out.put_rows(path, [list(rows[0]) if rows else ["nothing"], *(safe_row(row.values()) for row in rows)])
