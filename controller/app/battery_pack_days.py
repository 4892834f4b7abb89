"""Where a look at packs gets their days from: a table, or a depot's lake, asked in pieces.

    FILE -----------------------------------------------------------------> PackDays
    depot.toml --> <depot>-pack-days (what the daily look has kept) --copy--+
                   lake: the newest days, and what is missing --pieces------+--> Kept (recent rows, charts' grid)

The command leaves what the depot keeps as it is: the health process owns it.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bms_bridge.lake import QueryTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bms_bridge.anomalies.from_lake import Ask, Beside, Chosen
    from bms_bridge.anomalies.kept import Kept
    from bms_bridge.anomalies.pack_days import PackDays
    from bms_bridge.anomalies.pieces import AskDays, Told
    from controller.settings import Settings
    from depot.fleet import Pack

complaints = Console(stderr=True)

MOST_ROWS = 500_000
MEMORY_MB = 1024
TIME_S = 300.0


def of_depot(settings: Settings, days: int) -> Kept:
    """What the depot itself keeps of its packs' days, with the newest ones asked of the lake: for its daily look. Raises
    :class:`bms_bridge.BmsError`, :class:`storage.StorageError`."""
    from bms_bridge.anomalies.from_lake import chosen_packs
    from bms_bridge.anomalies.kept import load, refreshed
    from bms_bridge.anomalies.pieces import samples_a_day

    today, beside, folder = _today(settings), told_by(settings), kept_folder(settings)
    with _asking(settings) as (ask, registered):
        chosen, _ = chosen_packs(ask, registered, beside)
        packs = _capacities(chosen)
        refreshed(folder, packs, _days(ask, chosen, beside), since=today - days, today=today, samples=samples_a_day(ask))
    return load(folder, packs, today=today)


def of_lake(settings: Settings, packs: Path | None, days: int, *, whole: bool) -> tuple[Kept, tuple[str, ...]]:
    """The same for somebody who asks: with the table ``packs`` beside, cells of all days where ``whole``, and what was left out. Raises
    :class:`bms_bridge.BmsError`, :class:`storage.StorageError`, :class:`OSError`."""
    from bms_bridge.anomalies.from_lake import batches_told, chosen_packs, read_beside
    from bms_bridge.anomalies.kept import RECENT_D, copied, load, refreshed
    from bms_bridge.anomalies.pieces import samples_a_day

    named = read_beside(packs) if packs is not None else {}
    today, beside = _today(settings), told_by(settings) | named
    with _asking(settings) as (ask, registered), tempfile.TemporaryDirectory(prefix="pack-days-") as name, _bar() as told:
        folder = Path(name)
        chosen, unknown = chosen_packs(ask, registered, beside)
        known, since = _capacities(chosen), max(today - days, min(pack.heard for pack in chosen.values()))
        copied(kept_folder(settings), folder, without=named)
        every = _days(ask, chosen, beside)
        left_out = refreshed(folder, known, every, since=since, today=today, samples=samples_a_day(ask), told=told)
        kept = load(folder, known, today=today, cells_d=days + 1 if whole else RECENT_D)
    return kept, (*left_out, *unknown, *batches_told(beside, known))


def kept_folder(settings: Settings) -> Path:
    """Where the depot keeps its packs' days."""
    return settings.storage.path / f"{settings.depot.id}-pack-days"


def told_by(settings: Settings) -> dict[str, Beside]:
    """Production batches and ages as the settings' [[health.pack]] have them; a batch of which they are silent as its data sheet or a
    passport from elsewhere tells it."""
    from bms_bridge.anomalies.decision import today_of
    from bms_bridge.anomalies.from_lake import Beside
    from controller.app.clocks import clock_of
    from controller.production_batches import SETTINGS, batch_for
    from controller.told_elsewhere import ToldElsewhere
    from depot.values import PackKey

    now, elsewhere = clock_of(settings).now(), ToldElsewhere(settings.passport.sheets, settings.passports)
    rows = {PackKey(row.vehicle, row.pack): row for row in (settings.health.pack if settings.health is not None else ())}
    found = {}
    for pack in sorted({*rows, *elsewhere.packs()}):
        row = rows.get(pack)
        sheet, passports = elsewhere.of(pack)
        batch = batch_for(row.batch if row is not None else "", sheet, [one.shown for one in passports], now=now)
        born = None if row is None or row.in_service is None else today_of(row.in_service.date())
        found[str(pack)] = Beside(batch.name, born, "" if batch.source == SETTINGS else batch.source)
    return found


def _today(settings: Settings) -> int:
    from bms_bridge.anomalies.decision import today_of
    from controller.app.clocks import clock_of

    return today_of(clock_of(settings).now().date())


def _capacities(chosen: Mapping[str, Chosen]) -> dict[str, float]:
    return {pack.name: pack.capacity_ah for pack in chosen.values()}


def _days(ask: Ask, chosen: Mapping[str, Chosen], beside: Mapping[str, Beside]) -> AskDays:
    from bms_bridge.anomalies.from_lake import days_of

    pseudonyms = {pack.name: pseudonym for pseudonym, pack in chosen.items()}

    def days(names: Iterable[str], first: int, last: int) -> PackDays:
        own = {pseudonyms[name]: chosen[pseudonyms[name]] for name in names}
        return days_of(ask, own, beside, since=first, until=last)

    return days


@contextlib.contextmanager
def _asking(settings: Settings) -> Iterator[tuple[Ask, dict[tuple[str, str], Pack]]]:
    """Questions to the lake, and what the registry says of packs."""
    from bms_bridge.lake.query import query
    from bms_bridge.lake.schema import micros
    from controller.app.lake import looking
    from controller.app.lake_process import need_libraries, places_of
    from controller.lake_facts import JournalFacts

    need_libraries()
    with contextlib.closing(JournalFacts(settings.database, settings.depot.id, micros=micros)) as facts:
        packs_known = facts.packs() if settings.database.exists() else {}
        registered = {(key.vehicle_id, key.pack_id): pack for key, pack in packs_known.items()}
    with looking(settings) as hot:

        def ask(sql: str) -> Sequence[tuple[Any, ...]]:
            found = query(hot, places_of(settings), sql, most_rows=MOST_ROWS, memory_mb=MEMORY_MB, time_s=TIME_S, names=True)
            if found.more:
                raise QueryTooLarge(f"it finds more than {MOST_ROWS:,} rows: ask for fewer days or packs")
            return found.rows

        yield ask, registered


@contextlib.contextmanager
def _bar() -> Iterator[Told]:
    """A bar while the lake is asked, where somebody looks."""
    columns = (TextColumn("pack days asked of the lake"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=complaints, transient=True, disable=not complaints.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def told(asked: int, of: int) -> None:
            bar.update(task, completed=asked, total=of)

        yield told
