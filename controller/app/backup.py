"""``./chargeyard backup CONFIG FILE``: everything that a depot keeps, in one checked file, while the depot runs.

    each database --copy_database()--> copy --integrity, journal's chain, fold--> hashes --> archive --read back--> done

Nothing is written to the depot, and the controller notices nothing. Until the archive is whole and read back it has
another name. The steps report progress, because a depot of some years takes minutes.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from controller import incident_bundle
from controller.app.kept import CONFIG, INCIDENTS, JOURNAL, NAMES, kept_of
from controller.app.version import software_version
from controller.archive import SCHEMA, Archive, BackupError, Manifest, described, write_archive
from controller.replay import Replay, replay
from controller.settings import Settings
from storage import Store, copy_database
from storage.store import WHOLE_CHECK_BYTES

Report = Callable[[str, int, int], None]
"""(what is done, done, in all)"""


def silent(_what: str, _done: int, _total: int) -> None:
    """No progress."""


def make_backup(config: Path, target: Path, *, report: Report = silent, now: datetime | None = None) -> tuple[Path, Manifest]:
    """Make the backup and check it. ``target`` is a new file, or a folder for one named after depot and time. Raises
    :class:`BackupError`, :class:`~storage.StorageError`, :class:`~controller.journal_store.JournalCorrupt`, OSError."""
    settings = Settings.load(config)
    made_at = (now or datetime.now(UTC)).replace(microsecond=0)
    if target.is_dir():
        target /= f"{settings.depot.id}-{made_at:%Y%m%dT%H%M%SZ}.tar"
    if target.exists():
        raise BackupError(f"{target} exists already: name another file, or a folder")
    if not target.parent.is_dir():
        raise BackupError(f"there is no folder {target.parent}: make it first")
    if not settings.database.is_file():
        raise BackupError(f"{settings.depot.id} has no database yet ({settings.database}): there is nothing to back up")
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        files = _copies(settings, config, work, report)
        found = check_copies(files, settings.depot.id, report)
        manifest = Manifest(
            schema=SCHEMA,
            depot_id=settings.depot.id,
            made_at=made_at,
            software=software_version(),
            sqlite=sqlite3.sqlite_version,
            journal_seq=found.last,
            next_transaction_id=found.state.next_transaction_id,
            members=described(files),
        )
        write_archive(target, manifest, files, progress=partial(report, "writing"))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with Archive.open(target, NAMES) as archive:
        archive.verify(progress=partial(report, "reading back"))
    return target, manifest


def _copies(settings: Settings, config: Path, work: Path, report: Report) -> dict[str, Path]:
    """Every file that is there, copied to ``work``, by its name in the archive."""
    files = {}
    for kept in kept_of(settings):
        if not kept.path.is_file():
            continue
        copy = work / kept.name
        if kept.is_database:
            copy_database(kept.path, copy, progress=partial(report, f"copying {kept.what}"))
        else:
            copy.write_bytes(kept.path.read_bytes())
        files[kept.name] = copy
    if incident_bundle.pack(settings.incidents, work / INCIDENTS):
        files = {INCIDENTS: work / INCIDENTS, **files}
    (work / CONFIG).write_bytes(config.read_bytes())
    return {CONFIG: work / CONFIG, **files}


def check_copies(files: dict[str, Path], depot_id: str, report: Report = silent) -> Replay:
    """Look at every page of every database, and fold the journal. Raises :class:`~storage.StoreCorrupt`,
    :class:`~controller.journal_store.JournalCorrupt`."""
    for name, path in files.items():
        if name.endswith(".db"):
            report(f"checking {name}", 0, 1)
            with contextlib.closing(Store.open(path, read_only=True)) as store:
                if path.stat().st_size > WHOLE_CHECK_BYTES:
                    store.verify()
            report(f"checking {name}", 1, 1)
    with contextlib.closing(Store.open(files[JOURNAL], read_only=True)) as store:
        last = newest_seq(store, depot_id)
        found = replay(store, depot_id, show=lambda envelope: report("checking the journal", envelope.seq, last))
    if not found.same:
        raise BackupError(f"the journal's snapshot at seq {found.snapshot} is not what its facts say: see `./chargeyard replay`")
    return found


def newest_seq(store: Store, depot_id: str) -> int:
    """Seq of the journal's last fact; 0 where there is none."""
    with store.reading() as connection:
        found = connection.exec_driver_sql("SELECT max(seq) FROM events WHERE depot_id = ?", (depot_id,)).scalar()
    return int(found or 0)


@contextlib.contextmanager
def shown(console: Console) -> Iterator[Report]:
    """Progress as a bar for people; nothing where nobody watches."""
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        last = ("", -1)

        def report(what: str, done: int, total: int) -> None:
            nonlocal last
            percent = 100 * done // max(1, total)
            if (what, percent) != last:
                last = (what, percent)
                bar.update(task, description=what, completed=done, total=max(1, total))

        yield report


def backup_command(config: Path, target: Path, console: Console, complaints: Console) -> int:
    """The command: make it, then say what it holds."""
    with shown(complaints) as report:
        path, manifest = make_backup(config, target, report=report)
    megabytes = path.stat().st_size / 1e6
    console.print(
        f"{path}: depot {manifest.depot_id}, {manifest.journal_seq} facts, {len(manifest.members)} files, {megabytes:.1f} MB; checked.",
        highlight=False,
        soft_wrap=True,
    )
    console.print("It holds the depot's secret: keep it as safe as the depot, on another machine.", highlight=False, soft_wrap=True)
    return 0
