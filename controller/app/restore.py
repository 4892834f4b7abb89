"""``./chargeyard restore CONFIG FILE``: put a backup in the place of what a depot has, and start it safely.

    archive (or a folder that an earlier restore set aside) --> stage --every check--> made safe --> swap --> done
                                                                                          what was there --> replaced-…/

Until the swap nothing of the depot is touched. The swap is a handful of renames under a marker file: cut off in the middle,
the core refuses to start, and the next restore puts everything back first.

What happened after the backup is not known, so the restored depot believes nothing about its chargers
(``BackupRestored`` and the worst grants), stays within the fail-safe limit until a person lifts it, gives no transaction
id again that may have been given, looks every open bill up at the gateway before it asks for money, keeps every trip that
is latched now, and has nobody signed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import pwd
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from sqlalchemy import delete
from sqlmodel import col

import controller
import payments
import web
from bms_bridge import anomalies, estimates
from controller import incident_bundle
from controller.app.backup import Report, check_copies, shown, silent
from controller.app.kept import CONFIG, GROWING, HEALTH, INCIDENTS, JOURNAL, NAMES, PAYMENTS, PEOPLE, SECRET, WORK, kept_of
from controller.app.swap import STAGE, swap, undo_unfinished
from controller.archive import Archive, BackupDamaged, BackupError
from controller.clock import SystemClock
from controller.desk import MAX_TRANSACTION_ID
from controller.grants import EXPIRY_SKEW_S
from controller.journal import SqlJournal
from controller.replay import Replay
from controller.secrets import load_depot_secret
from controller.settings import Settings
from controller.site_changes import overlay
from depot import events as ev
from depot.state import DepotState
from depot.values import Limit, LimitSource, ScopeKind
from payments.restored import doubt_all
from payments.rules import Rules
from storage import Lease, Store, StoreBusy, copy_database, in_use
from storage.copying import flush
from web.tables import LoginSession

TRANSACTION_GAP = 1_000_000
TRANSACTION_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""After a restore ids go on from the seconds since then: whatever was given before, from whatever backup, is below as long
as a depot begins less than one session a second on the average. They last until 2088."""

CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done. ``made_at``: of the backup; ``aside``: where the files that were there are now."""

    depot_id: str
    made_at: datetime
    journal_seq: int
    next_transaction_id: int
    limit_w: int
    names: tuple[str, ...]
    kept_latches: bool
    aside: Path | None
    incidents: int = 0
    """Files of incidents that were not here any more."""


def restore(config: Path, source: Path, *, replace: bool, report: Report = silent, now: datetime | None = None) -> Restored:
    """See the module. ``replace``: there may be a depot already, and it is set aside. Raises :class:`BackupError`,
    :class:`~storage.StorageError` (a controller that runs: :class:`~storage.LeaseTaken`), OSError."""
    settings = Settings.load(config)
    now = now or datetime.now(UTC)
    kept = kept_of(settings)
    _as_its_owner(settings)
    with contextlib.ExitStack() as held:
        for one in kept:
            if one.name in (JOURNAL, PAYMENTS):
                held.enter_context(Lease.take(one.path))
        for one in kept:
            if one.is_database and in_use(one.path):
                raise StoreBusy(f"database {one.path} is open in another process: stop the controller, and whatever reads it")
        undo_unfinished(settings)
        there = [one for one in kept if one.path.exists()]
        if there and not replace:
            names = ", ".join(one.path.name for one in there)
            raise BackupError(f"{settings.storage.path} holds {names}: with --replace it is set aside, and nothing is lost")
        stage = settings.storage.path / f"{STAGE}{now:%Y%m%dT%H%M%S}-{os.getpid()}.{settings.depot.id}"
        stage.mkdir(mode=0o700)
        try:
            made_at = _fill_stage(stage, source, settings, report, now)
            files = {one.name: stage / one.name for one in kept if (stage / one.name).exists()}
            if JOURNAL not in files:
                raise BackupDamaged(f"{source} holds no journal: it is no backup of a depot")
            _up_to_date(files)
            found = check_copies(files, settings.depot.id, report)
            bundle = stage / INCIDENTS
            held_incidents = incident_bundle.check(bundle, settings.incidents) if bundle.exists() else 0
            made_at = made_at or found.at or now
            limit_w, next_id = _made_safe(files, settings, found, made_at, now)
            grown = {one.name for one in kept if one.name in GROWING and one.path.exists()}
            for name in grown:
                files.pop(name, None)
            aside = swap(settings, files, now, keep=grown)
            incidents = incident_bundle.bring_back(bundle, settings.incidents) if held_incidents else 0
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return Restored(settings.depot.id, made_at, found.last, next_id, limit_w, tuple(files), bool(grown), aside, incidents)


def _as_its_owner(settings: Settings) -> None:
    """Files that somebody else's service can't read would be no use. Makes the folder where there is none."""
    folder = settings.storage.path
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"'#{owner}'"
        raise BackupError(f"{folder} belongs to another user: type the same with sudo -u {name} before it")


# -- the stage ---------------------------------------------------------------------------------------------------------


def _fill_stage(stage: Path, source: Path, settings: Settings, report: Report, now: datetime) -> datetime | None:
    """Unpack or copy to ``stage``. Returns when the backup was made, where the source says so."""
    if source.is_dir():
        for one in kept_of(settings):
            old = source / one.path.name
            if not old.is_file():
                continue
            if one.is_database:
                copy_database(old, stage / one.name, progress=partial(report, f"copying {one.what}"))
            else:
                (stage / one.name).write_bytes(old.read_bytes())
                (stage / one.name).chmod(0o600)
        return None
    with Archive.open(source, NAMES) as archive:
        manifest = archive.manifest
        if manifest.depot_id != settings.depot.id:
            raise BackupError(f"{source} is of depot {manifest.depot_id}, the configuration is of {settings.depot.id}")
        if manifest.made_at > now + CLOCK_SLACK:
            raise BackupError(
                f"{source} was made at {manifest.made_at:%Y-%m-%d %H:%M} UTC, which is still to come: set this machine's clock"
            )
        free = shutil.disk_usage(stage).free
        if manifest.size > free:
            raise BackupError(f"{source} needs {manifest.size / 1e6:.0f} MB in {stage.parent}, which has {free / 1e6:.0f} MB left")
        archive.extract(stage, progress=partial(report, "unpacking"))
        (stage / CONFIG).unlink(missing_ok=True)
        return manifest.made_at


def _up_to_date(files: dict[str, Path]) -> None:
    """Bring the tables to this version. Raises :class:`~storage.FutureDatabase`, :class:`~storage.StoreCorrupt`."""
    for name, room in ((JOURNAL, controller), (PEOPLE, web), (PAYMENTS, payments), (HEALTH, estimates), (WORK, anomalies)):
        if name in files:
            with contextlib.closing(Store.open(files[name])) as store:
                store.migrate([room])


# -- safe again --------------------------------------------------------------------------------------------------------


def _made_safe(files: dict[str, Path], settings: Settings, found: Replay, made_at: datetime, now: datetime) -> tuple[int, int]:
    """Bring the staged files to this version and take back what must not be believed. Returns the site limit that holds
    now, and the next transaction id."""
    with contextlib.closing(Store.open(files[JOURNAL])) as store:
        facts = safe_facts(settings, found.state, made_at, found.last, now)
        asyncio.run(_append(store, settings.depot.id, facts))
    if PEOPLE in files:
        with contextlib.closing(Store.open(files[PEOPLE])) as store, store.unit() as session:
            # who has signed out since, or was shut out, must not be in again
            session.execute(delete(LoginSession).where(col(LoginSession.depot_id) == settings.depot.id))
    if PAYMENTS in files:
        rules = settings.payments.to_terms().rules if settings.payments is not None else Rules()
        with contextlib.closing(Store.open(files[PAYMENTS])) as store:
            doubt_all(store, settings.depot.id, now=now, rules=rules)
    if SECRET in files:
        load_depot_secret(files[SECRET].parent)
    for path in files.values():
        if Path(f"{path}-wal").exists():
            raise BackupError(f"{path} was not closed in order; nothing was changed, type the command again")
        flush(path)
    limit = next(new.data.limit for new in facts if isinstance(new.data, ev.LimitSet))
    restored = next(new.data for new in facts if isinstance(new.data, ev.BackupRestored))
    return limit.value, restored.next_transaction_id


def safe_facts(settings: Settings, state: DepotState, made_at: datetime, seq: int, now: datetime) -> list[ev.NewEvent]:
    """What the journal of a restored depot must say before anything else happens. ``state``, ``seq``: as in the backup."""
    actor = _who()
    next_id = max(state.next_transaction_id + TRANSACTION_GAP, int((now - TRANSACTION_EPOCH).total_seconds()))
    if next_id > MAX_TRANSACTION_ID:
        raise BackupError("no 31-bit transaction ids are left after this restore: begin a new journal, and keep this one")
    spec = overlay(settings.to_spec(), state.declared_stations, state.declared_feeders).spec
    ratings = {key: connector.rated_w for key, connector in spec.connectors.items()}
    # a profile that the journal has lost may live as long as this after the controller's last word, which was before now
    until = now + timedelta(seconds=settings.limiter.profile_life_s + EXPIRY_SKEW_S)
    site = [x.value for x in state.limits.values() if x.scope is ScopeKind.SITE and x.source is LimitSource.MANUAL and x.holds_at(now)]
    limit = Limit(
        "manual:",
        ScopeKind.SITE,
        min([spec.failsafe_w, *site]),
        LimitSource.MANUAL,
        now,
        set_by=actor,
        reason=f"restored from a backup of {made_at:%Y-%m-%d %H:%M} UTC: check limits and connectors out of service, then lift this",
    )
    facts: list[ev.Event] = [ev.BackupRestored(made_at, seq, next_id), ev.LimitSet(limit)]
    facts += [ev.SetpointGranted(key, rated_w, until) for key, rated_w in ratings.items()]
    return [ev.NewEvent(fact, now, actor=actor) for fact in facts]


async def _append(store: Store, depot_id: str, facts: Sequence[ev.NewEvent]) -> None:
    async with SqlJournal(store, depot_id, clock=SystemClock(), writer="inline") as journal:
        await journal.append(facts, wait=False)


def _who() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"user {os.getuid()}"
    return f"{name} (restore)"


# -- the command -------------------------------------------------------------------------------------------------------


def restore_command(config: Path, source: Path, console: Console, complaints: Console, *, replace: bool) -> int:
    """The command: do it, then say what to look at."""
    with shown(complaints) as report:
        done = restore(config, source, replace=replace, report=report)
    for line in told(done, config):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    return 0


def told(done: Restored, config: Path) -> Iterator[str]:
    """What was done and what a person must look at now."""
    yield f"{done.depot_id} is as it was at {done.made_at:%Y-%m-%d %H:%M} UTC: {done.journal_seq} facts ({', '.join(done.names)})."
    yield "What happened since is not known any more. So, until you have looked:"
    yield f"  - the site is limited to {done.limit_w / 1000:.0f} kW by a manual limit: lift it on the page Grid when all below is right"
    yield "  - check manual limits, connectors out of service, and announced stays: they are those of the backup"
    yield "  - names of people that were deleted since, and telematics keys that were revoked since, are back: delete them again"
    yield f"  - check people and tokens: ./chargeyard user list -c {config}, ./chargeyard user token list -c {config}; nobody is signed in"
    yield f"  - transaction ids go on at {done.next_transaction_id}; sessions of the lost time are kept as stops without a start"
    if PAYMENTS in done.names:
        yield "  - open bills are looked up at the gateway before anything is debited; compare invoice numbers with those sent since"
    if done.kept_latches:
        yield "  - latched trips of packs and isolated areas stay as they were before this restore"
    if done.incidents:
        yield f"Files of {done.incidents} incidents are here again; those that were here stay as they are."
    if done.aside is not None:
        yield f"What was there is in {done.aside}. To go back: ./chargeyard restore {config} {done.aside} --replace"
